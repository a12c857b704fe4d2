/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/base64url.h"
#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(struct buf *out, struct slice data)
{
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < data.n; i++) {
    bits = bits << 8 | data.p[i];
    for (held += 8; held >= 6; held -= 6)
      buf_u8(out, (uint8_t)alphabet[bits >> (held - 6) & 63]);
  }
  if (held > 0)
    buf_u8(out, (uint8_t)alphabet[bits << (6 - held) & 63]);
}

static int digit(uint8_t c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(struct buf *out, struct slice text)
{
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < text.n; i++) {
    int d = digit(text.p[i]);
    if (d < 0)
      return -EINVAL;
    bits = bits << 6 | (uint32_t)d;
    held += 6;
    if (held >= 8) {
      held -= 8;
      buf_u8(out, (uint8_t)(bits >> held));
    }
  }
  if (held == 6 || (bits & ((1u << held) - 1)) != 0)
    return -EINVAL;
  return out->failed ? -ENOMEM : 0;
}
