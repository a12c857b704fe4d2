/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/cursor.h"
#include "base/utf8.h"

void cursor_fail(struct cursor *c)
{
  c->failed = true;
  c->p = c->end;
}

struct slice cursor_bytes(struct cursor *c, uint64_t n)
{
  if (c->failed || n > (uint64_t)(c->end - c->p)) {
    cursor_fail(c);
    return slice_of(NULL, 0);
  }
  struct slice s = {c->p, (size_t)n};
  c->p += n;
  return s;
}

static uint64_t big_endian(struct cursor *c, size_t n)
{
  struct slice s = cursor_bytes(c, n);
  uint64_t v = 0;
  for (size_t i = 0; i < s.n; i++)
    v = v << 8 | s.p[i];
  return v;
}

uint8_t cursor_u8(struct cursor *c)
{
  return (uint8_t)big_endian(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
  return (uint16_t)big_endian(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
  return (uint32_t)big_endian(c, 4);
}

uint64_t cursor_varint(struct cursor *c)
{
  uint64_t v = 0;
  size_t n = c->failed ? 0 : c->ints->read(c->p, (size_t)(c->end - c->p), &v);
  if (n == 0)
    cursor_fail(c);
  c->p += n;
  return v;
}

struct slice cursor_prefixed(struct cursor *c)
{
  return cursor_bytes(c, cursor_varint(c));
}

struct slice cursor_string(struct cursor *c)
{
  struct slice s = cursor_prefixed(c);
  if (!utf8_valid(s)) {
    cursor_fail(c);
    return slice_of(NULL, 0);
  }
  return s;
}

struct slice cursor_rest(struct cursor *c)
{
  return cursor_bytes(c, cursor_left(c));
}
