/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reading MP4 boxes (ISO/IEC 14496-12) out of memory: a cursor that cannot overrun, the walk over
 * sibling boxes, and the error that names a box and a byte of the input.
 */
#ifndef MOQ_MEDIA_MP4_BOX_H
#define MOQ_MEDIA_MP4_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP4_TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

#define MP4_ERROR_MAX 320

/* What went wrong and where: one sentence for a person. Empty while nothing did. */
struct mp4_error {
  char text[MP4_ERROR_MAX];
};

/*
 * Writes "<type> at byte <offset>: <message>" and returns `code`, a negative errno. Bytes of the
 * type that are not printable come out as '?'. The first error stays.
 */
int mp4_fail(struct mp4_error *err, int code, uint32_t type, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The four characters of a box type, '?' for what is not printable. */
struct mp4_type_name {
  char text[5];
};
struct mp4_type_name mp4_type_name(uint32_t type);

/* Borrows the bytes. A read past the end yields zeros and sets `failed`, for good. */
struct mp4_cursor {
  const uint8_t *at;
  const uint8_t *end;
  uint64_t offset; /* of `at` in the input, for messages */
  bool failed;
};

struct mp4_cursor mp4_cursor(const uint8_t *data, size_t len, uint64_t offset);
size_t mp4_left(const struct mp4_cursor *c);
uint8_t mp4_u8(struct mp4_cursor *c);
uint16_t mp4_u16(struct mp4_cursor *c);
uint32_t mp4_u24(struct mp4_cursor *c);
uint32_t mp4_u32(struct mp4_cursor *c);
uint64_t mp4_u64(struct mp4_cursor *c);
/* 64 bits in version 1 of a full box, 32 in version 0. */
uint64_t mp4_u32_or_64(struct mp4_cursor *c, uint8_t version);
void mp4_skip(struct mp4_cursor *c, size_t len);
/* A cursor over the next `len` bytes, which are consumed. */
struct mp4_cursor mp4_take(struct mp4_cursor *c, size_t len);

struct mp4_box {
  uint32_t type;
  uint64_t offset; /* of its first byte */
  struct mp4_cursor body;
};

/*
 * The next box of `c`, which is the body of a box. 1 with *ret_box set, 0 at the end (fewer than
 * eight bytes left: QuickTime ends some lists with four zeros), -EPROTO for a box that claims
 * more than its parent holds. Size 0 means up to the end of the parent.
 */
int mp4_next_box(struct mp4_cursor *c, struct mp4_box *ret_box, struct mp4_error *err);

/*
 * The first child of that type. 1 with *ret_box set, 0 when there is none, or -EPROTO. `c` is by
 * value: the caller's cursor stays.
 */
int mp4_find_box(struct mp4_cursor c, uint32_t type, struct mp4_box *ret_box, struct mp4_error *err);

/* Reads version and flags of a full box. Returns the version. */
uint8_t mp4_full_box(struct mp4_cursor *c, uint32_t *ret_flags);

#endif
