/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/varint.h"
#include <assert.h>

size_t varint_size(uint64_t v)
{
  if (v < 1ULL << 6)
    return 1;
  if (v < 1ULL << 14)
    return 2;
  if (v < 1ULL << 30)
    return 4;
  return v <= VARINT_MAX ? 8 : 0;
}

size_t varint_write(uint8_t *out, uint64_t v)
{
  static const uint8_t tag[9] = {[1] = 0x00, [2] = 0x40, [4] = 0x80, [8] = 0xc0};
  size_t n = varint_size(v);
  assert(n != 0);
  for (size_t i = n; i-- > 0; v >>= 8)
    out[i] = (uint8_t)v;
  out[0] |= tag[n];
  return n;
}

size_t varint_read(const uint8_t *p, size_t n, uint64_t *ret_v)
{
  if (n == 0)
    return 0;
  size_t need = (size_t)1 << (p[0] >> 6);
  if (n < need)
    return 0;
  uint64_t v = p[0] & 0x3f;
  for (size_t i = 1; i < need; i++)
    v = v << 8 | p[i];
  *ret_v = v;
  return need;
}

size_t varint_ones_size(uint64_t v)
{
  size_t n = 1;
  while (n < VARINT_ONES_MAX_BYTES && v >> (7 * n) != 0)
    n++;
  return n == 7 ? 8 : n;
}

size_t varint_ones_write(uint8_t *out, uint64_t v)
{
  size_t n = varint_ones_size(v);
  for (size_t i = n; i-- > 0; v >>= 8)
    out[i] = (uint8_t)v;
  out[0] |= (uint8_t)(0xff00u >> (n - 1));
  return n;
}

size_t varint_ones_read(const uint8_t *p, size_t n, uint64_t *ret_v)
{
  size_t need = 1;
  if (n == 0)
    return 0;
  while (need < VARINT_ONES_MAX_BYTES && p[0] & 0x80u >> (need - 1))
    need++;
  if (n < need)
    return 0;
  uint64_t v = p[0] & 0xffu >> need;
  for (size_t i = 1; i < need; i++)
    v = v << 8 | p[i];
  *ret_v = v;
  return need;
}

const struct varint_form varint_quic = {varint_size, varint_write, varint_read};
const struct varint_form varint_ones = {varint_ones_size, varint_ones_write, varint_ones_read};
