/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/json_line.h"
#include "base/utf8.h"

#define UTF8_MAX 4

void json_begin(struct buf *b)
{
  buf_u8(b, '{');
}

/* Length of the character that s begins with; 0 when it begins with none. */
static size_t character(struct slice s)
{
  for (size_t n = 1; n <= UTF8_MAX && n <= s.n; n++) {
    if (utf8_valid(slice_of(s.p, n)))
      return n;
  }
  return 0;
}

static void quoted(struct buf *b, struct slice s)
{
  buf_u8(b, '"');
  while (s.n > 0) {
    size_t n = character(s);
    uint8_t c = s.p[0];
    if (n == 0)
      buf_bytes(b, slice_str("\xef\xbf\xbd"));
    else if (c < 0x20 || c == 0x7f)
      buf_printf(b, "\\u%04x", c);
    else if (c == '"' || c == '\\')
      buf_printf(b, "\\%c", c);
    else
      buf_bytes(b, slice_of(s.p, n));
    s = slice_from(s, n ? n : 1);
  }
  buf_u8(b, '"');
}

static void name(struct buf *b, const char *key)
{
  if (b->n > 0 && b->p[b->n - 1] != '{')
    buf_u8(b, ',');
  quoted(b, slice_str(key));
  buf_u8(b, ':');
}

void json_text(struct buf *b, const char *key, struct slice text)
{
  name(b, key);
  quoted(b, text);
}

void json_base64(struct buf *b, const char *key, struct slice data)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  name(b, key);
  buf_u8(b, '"');
  for (; data.n > 0; data = slice_from(data, data.n < 3 ? data.n : 3)) {
    uint32_t bits = (uint32_t)data.p[0] << 16;
    bits |= data.n > 1 ? (uint32_t)data.p[1] << 8 : 0;
    bits |= data.n > 2 ? data.p[2] : 0;
    buf_u8(b, (uint8_t)digits[bits >> 18]);
    buf_u8(b, (uint8_t)digits[bits >> 12 & 63]);
    buf_u8(b, data.n > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=');
    buf_u8(b, data.n > 2 ? (uint8_t)digits[bits & 63] : '=');
  }
  buf_u8(b, '"');
}

void json_number(struct buf *b, const char *key, uint64_t value)
{
  name(b, key);
  buf_printf(b, "%llu", (unsigned long long)value);
}

void json_bool(struct buf *b, const char *key, bool value)
{
  name(b, key);
  buf_printf(b, value ? "true" : "false");
}

void json_end(struct buf *b)
{
  buf_bytes(b, slice_str("}\n"));
}
