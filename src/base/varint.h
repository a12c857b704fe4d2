/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* QUIC variable-length integers, RFC 9000 section 16. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX ((1ULL << 62) - 1)
#define VARINT_MAX_BYTES 8

/* Bytes of the shortest form of v; 0 when v is above VARINT_MAX. */
size_t varint_size(uint64_t v);

/* Writes the shortest form of v, which must be at most VARINT_MAX; out holds varint_size(v) bytes. Returns the bytes
 * written. */
size_t varint_write(uint8_t *out, uint64_t v);

/* Reads one varint from the first n bytes of p. Returns the bytes it took, 0 when p ends before the varint does (then
 * *ret_v is untouched). Longer than shortest forms are legal. */
size_t varint_read(const uint8_t *p, size_t n, uint64_t *ret_v);
