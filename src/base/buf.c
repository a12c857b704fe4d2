/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/buf.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_MIN_CAP 64

void buf_destroy(struct buf *b)
{
  free(b->p);
  *b = (struct buf){0};
}

static int grow(struct buf *b, size_t n)
{
  if (n > SIZE_MAX / 4 - b->n)
    return -1;
  size_t cap = b->cap ? b->cap : BUF_MIN_CAP;
  while (cap < b->n + n)
    cap *= 2;
  uint8_t *p = realloc(b->p, cap);
  if (!p)
    return -1;
  b->p = p;
  b->cap = cap;
  return 0;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
  if (b->failed)
    return NULL;
  if (b->cap - b->n < n || !b->p) {
    if (grow(b, n) < 0) {
      b->failed = true;
      return NULL;
    }
  }
  return b->p + b->n;
}

void buf_bytes(struct buf *b, struct slice s)
{
  uint8_t *out = buf_reserve(b, s.n);
  if (!out || s.n == 0)
    return;
  memcpy(out, s.p, s.n);
  b->n += s.n;
}

static void big_endian(struct buf *b, uint64_t v, size_t n)
{
  uint8_t *out = buf_reserve(b, n);
  if (!out)
    return;
  for (size_t i = n; i-- > 0; v >>= 8)
    out[i] = (uint8_t)v;
  b->n += n;
}

void buf_u8(struct buf *b, uint8_t v)
{
  big_endian(b, v, 1);
}

void buf_u16(struct buf *b, uint16_t v)
{
  big_endian(b, v, 2);
}

void buf_u32(struct buf *b, uint32_t v)
{
  big_endian(b, v, 4);
}

void buf_varint(struct buf *b, uint64_t v)
{
  const struct varint_form *ints = b->ints ? b->ints : &varint_quic;
  size_t n = ints->size(v);
  uint8_t *out = buf_reserve(b, n);
  if (!out)
    return;
  if (n == 0) {
    b->failed = true;
    return;
  }
  b->n += ints->write(out, v);
}

void buf_prefixed(struct buf *b, struct slice s)
{
  buf_varint(b, s.n);
  buf_bytes(b, s);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  uint8_t *out = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
  if (!out) {
    b->failed = true;
    return;
  }
  va_start(ap, fmt);
  vsnprintf((char *)out, (size_t)n + 1, fmt, ap);
  va_end(ap);
  b->n += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
  assert(n <= b->n);
  b->n -= n;
  if (b->n > 0)
    memmove(b->p, b->p + n, b->n);
}
