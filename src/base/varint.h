/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Variable-length integers: those of QUIC, RFC 9000 section 16, and those that count leading ones (moq-lite-07, later
 * drafts of moq-transport). */
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

#define VARINT_ONES_MAX_BYTES 9

/* The same for integers of up to 64 bits whose first byte tells by its leading ones how many bytes follow. What is
 * written never has 7 bytes, since one draft reserves that form; it is read. */
size_t varint_ones_size(uint64_t v);
size_t varint_ones_write(uint8_t *out, uint64_t v);
size_t varint_ones_read(const uint8_t *p, size_t n, uint64_t *ret_v);

/* One of the two, for those who write both. */
struct varint_form {
  size_t (*size)(uint64_t v);
  size_t (*write)(uint8_t *out, uint64_t v);
  size_t (*read)(const uint8_t *p, size_t n, uint64_t *ret_v);
};
extern const struct varint_form varint_quic, varint_ones;
