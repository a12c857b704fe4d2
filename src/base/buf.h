/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A growing output buffer that remembers a failed allocation: append field after field, then check `failed` once.
 * Owned by whoever embeds it. A zeroed struct is a valid empty buffer. */
#pragma once
#include "base/slice.h"
#include "base/varint.h"

struct buf {
  uint8_t *p;
  size_t n, cap;
  bool failed;
  const struct varint_form *ints; /* how buf_varint writes; NULL: as QUIC does */
};

void buf_destroy(struct buf *b);

/* Empties the buffer and clears the failure; keeps the memory. */
static inline void buf_clear(struct buf *b)
{
  b->n = 0;
  b->failed = false;
}

/* Room for n more bytes, to be written by the caller, who then adds to b->n. NULL (and `failed`) without memory. */
uint8_t *buf_reserve(struct buf *b, size_t n);

void buf_bytes(struct buf *b, struct slice s);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);          /* big-endian */
void buf_u32(struct buf *b, uint32_t v);          /* big-endian */
void buf_varint(struct buf *b, uint64_t v);       /* more than the form holds: failed */
void buf_prefixed(struct buf *b, struct slice s); /* varint length, then the bytes */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

static inline struct slice buf_slice(const struct buf *b)
{
  return slice_of(b->p, b->n);
}
