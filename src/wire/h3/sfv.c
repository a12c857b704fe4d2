/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/sfv.h"
#include <errno.h>

static int peek(const struct slice *in)
{
  return in->n > 0 ? in->p[0] : -1;
}

static int next(struct slice *in)
{
  int c = peek(in);
  if (c >= 0)
    *in = slice_from(*in, 1);
  return c;
}

static bool is_digit(int c)
{
  return c >= '0' && c <= '9';
}

static bool is_lower(int c)
{
  return c >= 'a' && c <= 'z';
}

static bool is_alpha(int c)
{
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool in_set(int c, const char *set)
{
  return c > 0 && strchr(set, c) != NULL;
}

static bool is_key(int c)
{
  return is_lower(c) || is_digit(c) || in_set(c, "_-.*");
}

static bool is_token(int c)
{
  return is_alpha(c) || is_digit(c) || in_set(c, "!#$%&'*+-.^_`|~:/");
}

static bool is_base64(int c)
{
  return is_alpha(c) || is_digit(c) || in_set(c, "+/=");
}

static bool is_printable(int c)
{
  return c >= 0x20 && c <= 0x7e;
}

static size_t skip(struct slice *in, bool (*in_class)(int))
{
  size_t n = 0;
  for (; in_class(peek(in)); n++)
    next(in);
  return n;
}

static void skip_spaces(struct slice *in)
{
  while (peek(in) == ' ')
    next(in);
}

static void skip_ows(struct slice *in)
{
  while (peek(in) == ' ' || peek(in) == '\t')
    next(in);
}

/* The opening quote is next. Appends to *text unless that is NULL. */
static bool read_string(struct slice *in, char **text)
{
  if (next(in) != '"')
    return false;
  for (;;) {
    int c = next(in);
    if (c == '"')
      return true;
    if (c == '\\') {
      c = next(in);
      if (c != '"' && c != '\\')
        return false;
    }
    if (!is_printable(c))
      return false;
    if (text)
      *(*text)++ = (char)c;
  }
}

static bool skip_number(struct slice *in)
{
  if (peek(in) == '-')
    next(in);
  if (skip(in, is_digit) == 0)
    return false;
  if (peek(in) != '.')
    return true;
  next(in);
  return skip(in, is_digit) > 0;
}

static bool skip_bare_item(struct slice *in)
{
  int c = peek(in);
  if (c == '"')
    return read_string(in, NULL);
  if (c == '-' || is_digit(c))
    return skip_number(in);
  if (is_alpha(c) || c == '*')
    return skip(in, is_token) > 0;
  next(in);
  if (c == '?') {
    c = next(in);
    return c == '0' || c == '1';
  }
  if (c == '@')
    return skip_number(in);
  if (c == '%')
    return read_string(in, NULL);
  if (c != ':')
    return false;
  skip(in, is_base64);
  return next(in) == ':';
}

static bool skip_parameters(struct slice *in)
{
  while (peek(in) == ';') {
    next(in);
    skip_spaces(in);
    if (!is_lower(peek(in)) && peek(in) != '*')
      return false;
    skip(in, is_key);
    if (peek(in) != '=')
      continue;
    next(in);
    if (!skip_bare_item(in))
      return false;
  }
  return true;
}

/* A string with its parameters; the text gets its NUL. */
static bool read_item(struct slice *in, char **text)
{
  if (!read_string(in, text) || !skip_parameters(in))
    return false;
  *(*text)++ = '\0';
  return true;
}

/* After a member: the end, or a comma and another member. */
static bool next_member(struct slice *in)
{
  if (next(in) != ',')
    return false;
  skip_ows(in);
  return in->n > 0;
}

int sfv_string_list(struct slice field, char *text, const char **items, size_t max)
{
  size_t n = 0;
  skip_spaces(&field);
  while (field.n > 0) {
    const char *item = text;
    if (!read_item(&field, &text))
      return -EINVAL;
    if (n < max)
      items[n++] = item;
    skip_ows(&field);
    if (field.n > 0 && !next_member(&field))
      return -EINVAL;
  }
  return (int)n;
}

int sfv_string(struct slice field, char *text)
{
  skip_spaces(&field);
  if (!read_item(&field, &text))
    return -EINVAL;
  skip_spaces(&field);
  return field.n == 0 ? 0 : -EINVAL;
}

void sfv_string_write(struct buf *out, const char *s)
{
  buf_u8(out, '"');
  for (; *s; s++) {
    if (!is_printable((uint8_t)*s)) {
      out->failed = true;
      return;
    }
    if (*s == '"' || *s == '\\')
      buf_u8(out, '\\');
    buf_u8(out, (uint8_t)*s);
  }
  buf_u8(out, '"');
}
