/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Refcounted pieces of received payload. Bytes are copied once, out of a packet into a chunk, and stay at their address
 * until the last reference goes; a chunk only grows at its end, so readers may hold pointers into what is filled.
 * One worker owns a chunk's references.
 *
 * Chunks come from slabs of a pool, away from everything else: payload comes and goes in large amounts, and in the
 * allocator's heap what stays between would keep its memory from the system for ever. A slab has chunks of one size. When
 * its last one goes it is spare: for any size, or to be given back. */
#pragma once
#include "base/list.h"
#include "base/slice.h"
#include <stdbool.h>

#define CHUNK_SLAB_BYTES ((size_t)256 << 10)
#define CHUNK_CLASSES 13     /* sizes of chunks */
#define CHUNK_CAP_MAX 16384u /* of a chunk from a pool; larger ones are the allocator's */
#define CHUNK_SPARE 8 /* 1 / this of the slabs in use is kept spare, so that a busy pool asks the system for nothing */

struct chunk {
  uint32_t refs;
  uint32_t len, cap; /* bytes filled, bytes there */
  bool pooled;
  uint8_t data[];
};

struct chunk_pool {
  struct list partial[CHUNK_CLASSES]; /* slabs with room, the ones that have had it longest first */
  struct list spare;                  /* slabs without chunks */
  size_t used_n, spare_n;
  bool slabs; /* else chunks are the allocator's: so under ASan, which then watches each */
};

void chunk_pool_init(struct chunk_pool *p);
void chunk_pool_destroy(struct chunk_pool *p); /* its chunks have gone */

/* Bytes of slabs with chunks in them; of spare ones. */
static inline size_t chunk_pool_used(const struct chunk_pool *p)
{
  return p->used_n * CHUNK_SLAB_BYTES;
}
static inline size_t chunk_pool_spare(const struct chunk_pool *p)
{
  return p->spare_n * CHUNK_SLAB_BYTES;
}

/* Gives up to `max` spare slabs back to the system, each some 20 us of work. Whether there are more to give back. */
bool chunk_pool_release(struct chunk_pool *p, size_t max);

/* One reference, nothing filled, `cap` at least as large as asked for. p NULL: from the allocator, exactly as large. NULL
 * without memory. */
struct chunk *chunk_new(struct chunk_pool *p, uint32_t cap);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c); /* NULL is fine */

/* Copies as much of s as fits; returns the bytes taken. */
size_t chunk_append(struct chunk *c, struct slice s);
