/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/utf8.h"

/* Length of the sequence that starts with lead byte b, and the smallest code point that may use it. */
static size_t sequence(uint8_t b, uint32_t *ret_bits, uint32_t *ret_min)
{
  static const struct {
    uint8_t mask, lead;
    uint32_t min;
  } rows[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
  for (size_t i = 0; i < 4; i++) {
    if ((b & rows[i].mask) != rows[i].lead)
      continue;
    *ret_bits = b & (uint8_t)~rows[i].mask;
    *ret_min = rows[i].min;
    return i + 1;
  }
  return 0;
}

bool utf8_valid(struct slice s)
{
  for (size_t i = 0; i < s.n;) {
    uint32_t v = 0, min = 0;
    size_t len = sequence(s.p[i], &v, &min);
    if (len == 0 || len > s.n - i)
      return false;
    for (size_t k = 1; k < len; k++) {
      if ((s.p[i + k] & 0xc0) != 0x80)
        return false;
      v = v << 6 | (s.p[i + k] & 0x3f);
    }
    if (v < min || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
      return false;
    i += len;
  }
  return true;
}
