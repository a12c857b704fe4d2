/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_offer.h"
#include "base/path.h"
#include <errno.h>
#include <gnutls/crypto.h>

#define WINDOWS_ACCEPTED 2 /* this one and the last */
#define WINDOWS_KNOWN 4    /* of the others is only known that they have passed */

/* A scope to be: "op:" + slash + path + '*'. */
struct wanted {
  enum pp_op op;
  bool slash, prefix;
  struct slice path;
};

static void put_scope(struct buf *b, const struct wanted *w)
{
  buf_printf(b, "%s:%s", pp_op_name(w->op), w->slash ? "/" : "");
  buf_bytes(b, w->path);
  if (w->prefix)
    buf_u8(b, '*');
}

static uint64_t window_of(const struct pp_offer *o, uint64_t wall_s)
{
  return o->window_s ? wall_s / o->window_s : 0;
}

/* The context of a scope in a window, or none. */
static struct slice context_of(const struct pp_offer *o, struct slice issuer, struct slice scope, uint64_t window,
                               uint8_t space[PP_CONTEXT_BYTES])
{
  struct buf b = {0};
  if (o->window_s == 0)
    return slice_of("", 0);
  buf_u32(&b, (uint32_t)(window >> 32));
  buf_u32(&b, (uint32_t)window);
  buf_u16(&b, (uint16_t)issuer.n);
  buf_bytes(&b, issuer);
  buf_bytes(&b, scope);
  bool ok = !b.failed && gnutls_hmac_fast(GNUTLS_MAC_SHA256, o->secret, sizeof o->secret, b.p, b.n, space) >= 0;
  buf_destroy(&b);
  return slice_of(space, ok ? PP_CONTEXT_BYTES : 1); /* no length of a context: the challenge cannot be made */
}

static void put_challenge(const struct pp_offer *o, struct slice issuer, const struct wanted *w, uint64_t window,
                          struct buf *out)
{
  uint8_t space[PP_CONTEXT_BYTES];
  struct buf scope = {0};
  put_scope(&scope, w);
  struct pp_challenge c = {.type = PP_TYPE, .issuer = issuer, .origin_info = buf_slice(&scope)};
  c.context = context_of(o, issuer, c.origin_info, window, space);
  pp_challenge_encode(out, &c);
  if (scope.failed)
    out->failed = true;
  buf_destroy(&scope);
}

static struct slice trim(struct slice path)
{
  while (path.n > 0 && path.p[0] == '/')
    path = slice_from(path, 1);
  while (path.n > 0 && path.p[path.n - 1] == '/')
    path.n--;
  return path;
}

int pp_offer_write(const struct pp_offer *o, struct slice issuer, enum pp_op op, struct slice path, uint64_t wall_s,
                   struct buf *out)
{
  struct wanted w = {.op = op, .path = trim(path)};
  if (o->wide && w.path.n > 0 && w.path.p[w.path.n - 1] == '*') {
    w.path.n--;
    w.prefix = true;
    if (w.path.n > 0 && w.path.p[w.path.n - 1] != '/')
      return -EINVAL; /* a piece of a name: it would never be looked for */
  }
  if (!pp_scope_can_say(w.path) || w.path.n > PATH_BYTES_MAX)
    return -EINVAL;
  put_challenge(o, issuer, &w, window_of(o, wall_s), out);
  return out->failed ? -ENOMEM : 0;
}

/* -- known again -- */

struct search {
  const struct pp_offer *offer;
  struct slice issuer;
  const uint8_t *digest;
  uint64_t window;
};

static bool is_it(const struct search *s, const struct wanted *w, uint64_t window)
{
  uint8_t sum[PP_DIGEST_BYTES];
  struct buf b = {0};
  put_challenge(s->offer, s->issuer, w, window, &b);
  bool same =
      !b.failed && gnutls_hash_fast(GNUTLS_DIG_SHA256, b.p, b.n, sum) >= 0 && memcmp(sum, s->digest, sizeof sum) == 0;
  buf_destroy(&b);
  return same;
}

static enum pp_verdict found(const struct search *s, const struct wanted *w, uint64_t age, struct pp_known *ret_known)
{
  uint64_t window_s = s->offer->window_s;
  if (age >= WINDOWS_ACCEPTED)
    return PP_EXPIRED;
  *ret_known = (struct pp_known){
      .scope = {.ops = 1u << w->op, .namespace = w->path, .prefix = w->prefix},
      .expires_s = window_s ? (s->window - age + WINDOWS_ACCEPTED) * window_s : PP_SPENT_NEVER,
  };
  return PP_OK;
}

static enum pp_verdict try_windows(const struct search *s, const struct wanted *w, struct pp_known *ret_known)
{
  uint64_t windows = s->offer->window_s == 0 ? 1 : w->prefix ? WINDOWS_ACCEPTED : WINDOWS_KNOWN;
  for (uint64_t age = 0; age < windows && age <= s->window; age++) {
    if (is_it(s, w, s->window - age))
      return found(s, w, age, ret_known);
  }
  return PP_NO_CHALLENGE;
}

static enum pp_verdict try_ops(const struct search *s, struct wanted w, struct pp_known *ret_known)
{
  enum pp_verdict v = PP_NO_CHALLENGE;
  for (w.op = 0; w.op < PP_OPS && v == PP_NO_CHALLENGE; w.op++)
    v = try_windows(s, &w, ret_known);
  return v;
}

/* "*", "a/" and a star, ... for a path that begins with a/. */
static enum pp_verdict try_wide(const struct search *s, struct slice path, struct pp_known *ret_known)
{
  struct wanted w = {.prefix = true, .path = slice_of(path.p, 0)};
  enum pp_verdict v = try_ops(s, w, ret_known);
  unsigned depth = 0;
  for (size_t i = 0; i < path.n && v == PP_NO_CHALLENGE && depth < PP_OFFER_DEPTH_MAX; i++) {
    if (path.p[i] != '/')
      continue;
    depth++;
    w.path.n = i + 1;
    v = try_ops(s, w, ret_known);
  }
  return v;
}

enum pp_verdict pp_offer_find(const struct pp_offer *o, struct slice issuer, struct slice path, const uint8_t *digest,
                              uint64_t wall_s, struct pp_known *ret_known)
{
  struct search s = {o, issuer, digest, window_of(o, wall_s)};
  if (!pp_scope_can_say(path))
    return PP_NO_CHALLENGE;
  enum pp_verdict v = try_ops(&s, (struct wanted){.path = path}, ret_known);
  if (v == PP_NO_CHALLENGE)
    v = try_ops(&s, (struct wanted){.path = path, .slash = true}, ret_known);
  if (v == PP_NO_CHALLENGE && o->wide)
    v = try_wide(&s, path, ret_known);
  return v;
}
