/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Refcounted pieces of received payload. Bytes are copied once, out of a packet into a chunk, and stay at their address
 * until the last reference goes; a chunk only grows at its end, so readers may hold pointers into what is filled.
 * One worker owns a chunk's references. */
#pragma once
#include "base/slice.h"

struct chunk {
  uint32_t refs;
  uint32_t len, cap; /* bytes filled, bytes there */
  uint8_t data[];
};

/* One reference, nothing filled. NULL without memory. */
struct chunk *chunk_new(uint32_t cap);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c); /* NULL is fine */

/* Copies as much of s as fits; returns the bytes taken. */
size_t chunk_append(struct chunk *c, struct slice s);
