/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The grammar is RFC 9110 11.2 and 11.3: challenges in a list, each a scheme and parameters in a list of their own. */
#include "auth/pp_header.h"
#include "base/base64url.h"
#include <errno.h>
#include <strings.h>

void pp_asked_destroy(struct pp_asked *a)
{
  buf_destroy(&a->challenge);
  buf_destroy(&a->key);
}

void pp_base64_encode(struct buf *out, struct slice data)
{
  size_t before = out->n;
  base64url_encode(out, data);
  while (!out->failed && (out->n - before) % 4)
    buf_u8(out, '=');
}

int pp_base64_decode(struct buf *out, struct slice text)
{
  size_t n = text.n, pad = 0;
  while (n > 0 && text.p[n - 1] == '=')
    n--, pad++;
  if (pad && (pad > 2 || text.n % 4))
    return -EINVAL;
  return base64url_decode(out, slice_of(text.p, n));
}

void pp_header_ask(struct buf *out, struct slice challenge, struct slice key, unsigned max_age_s)
{
  buf_printf(out, "PrivateToken challenge=\"");
  pp_base64_encode(out, challenge);
  buf_printf(out, "\", token-key=\"");
  pp_base64_encode(out, key);
  buf_printf(out, "\", max-age=%u", max_age_s);
}

void pp_header_token(struct buf *out, struct slice token)
{
  buf_printf(out, "PrivateToken token=\"");
  pp_base64_encode(out, token);
  buf_u8(out, '"');
}

/* -- reading -- */

struct scan {
  struct slice left;
  bool failed;
};

static uint8_t peek(const struct scan *s)
{
  return s->left.n ? s->left.p[0] : 0;
}

static void skip(struct scan *s, const char *set)
{
  while (s->left.n && s->left.p[0] && strchr(set, s->left.p[0]))
    s->left = slice_from(s->left, 1);
}

static bool is_token_char(uint8_t c)
{
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

static struct slice word(struct scan *s)
{
  struct slice w = {s->left.p, 0};
  while (w.n < s->left.n && is_token_char(s->left.p[w.n]))
    w.n++;
  s->left = slice_from(s->left, w.n);
  return w;
}

/* No value of ours has an escaped character in it: one is taken as it stands, and makes a value malformed. */
static struct slice quoted(struct scan *s)
{
  size_t n = 1;
  while (n < s->left.n && s->left.p[n] != '"')
    n += s->left.p[n] == '\\' ? 2 : 1;
  if (n >= s->left.n) {
    s->failed = true;
    return slice_of("", 0);
  }
  struct slice v = slice_of(s->left.p + 1, n - 1);
  s->left = slice_from(s->left, n + 1);
  return v;
}

/* A bare value may be padded base64, whatever the grammar says. */
static struct slice bare(struct scan *s)
{
  struct slice w = word(s);
  while (peek(s) == '=') {
    w.n++;
    s->left = slice_from(s->left, 1);
  }
  return w;
}

/* The next parameter; false when a scheme follows, or nothing. */
static bool parameter(struct scan *s, struct slice *ret_name, struct slice *ret_value)
{
  skip(s, " \t,");
  struct scan ahead = *s;
  *ret_name = word(&ahead);
  skip(&ahead, " \t");
  if (ret_name->n == 0 || peek(&ahead) != '=')
    return false;
  ahead.left = slice_from(ahead.left, 1);
  skip(&ahead, " \t");
  *ret_value = peek(&ahead) == '"' ? quoted(&ahead) : bare(&ahead);
  *s = ahead;
  return !s->failed;
}

static bool is_word(struct slice w, const char *name)
{
  return w.n == strlen(name) && strncasecmp((const char *)w.p, name, w.n) == 0;
}

/* Stands behind the scheme; false when there is none that is ours. */
static bool find_scheme(struct scan *s)
{
  struct slice name, value;
  for (;;) {
    while (parameter(s, &name, &value))
      ;
    struct slice scheme = word(s);
    if (scheme.n == 0 || s->failed)
      return false;
    if (is_word(scheme, "PrivateToken"))
      return true;
  }
}

static int take(struct buf *out, struct slice value)
{
  if (out->n > 0 || value.n == 0)
    return -EINVAL; /* twice, or nothing */
  return pp_base64_decode(out, value);
}

int pp_header_read_ask(struct slice header, struct pp_asked *ret_asked)
{
  struct scan s = {.left = header};
  struct pp_asked a = {0};
  struct slice name, value;
  int rc = find_scheme(&s) ? 0 : s.failed ? -EINVAL : -ENOENT;
  while (rc == 0 && parameter(&s, &name, &value)) {
    if (is_word(name, "challenge"))
      rc = take(&a.challenge, value);
    else if (is_word(name, "token-key"))
      rc = take(&a.key, value);
  }
  if (rc == 0 && (s.failed || a.challenge.n == 0))
    rc = -EINVAL;
  if (rc < 0)
    pp_asked_destroy(&a);
  else
    *ret_asked = a;
  return rc;
}

int pp_header_read_token(struct slice header, struct buf *out)
{
  struct scan s = {.left = header};
  struct slice name, value;
  size_t before = out->n;
  struct buf token = {0};
  skip(&s, " \t");
  if (!is_word(word(&s), "PrivateToken"))
    return -ENOENT;
  int rc = 0;
  while (rc == 0 && parameter(&s, &name, &value)) {
    if (is_word(name, "token"))
      rc = take(&token, value);
  }
  if (rc == 0 && (s.failed || s.left.n > 0 || token.n == 0))
    rc = -EINVAL;
  if (rc == 0) {
    buf_bytes(out, buf_slice(&token));
    rc = out->failed ? -ENOMEM : 0;
  }
  if (rc < 0)
    out->n = before;
  buf_destroy(&token);
  return rc;
}
