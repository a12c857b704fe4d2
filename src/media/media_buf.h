/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A growable output buffer for MP4 boxes and other big-endian structures.
 *
 * A failed allocation is remembered in `failed` and every later write is a no-op, so a writer
 * builds a whole structure and checks once at its end (media_buf_error). Not thread safe.
 */
#ifndef MOQ_MEDIA_BUF_H
#define MOQ_MEDIA_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialize it: `struct media_buf b = {0};`. Frees with media_buf_destroy. */
struct media_buf {
  uint8_t *data; /* owned; NULL while nothing was written */
  size_t len;
  size_t cap;
  bool failed;
};

void media_buf_destroy(struct media_buf *b);

/* Forgets the content and a past failure, keeps the memory. */
void media_buf_clear(struct media_buf *b);

/* 0, or -ENOMEM when any write since the last clear did not fit in memory. */
int media_buf_error(const struct media_buf *b);

void media_buf_put(struct media_buf *b, const void *data, size_t len);
void media_buf_zero(struct media_buf *b, size_t len);
void media_buf_u8(struct media_buf *b, uint8_t v);
void media_buf_u16(struct media_buf *b, uint16_t v);
void media_buf_u24(struct media_buf *b, uint32_t v);
void media_buf_u32(struct media_buf *b, uint32_t v);
void media_buf_u64(struct media_buf *b, uint64_t v);

/* Overwrites four bytes at `at`, which must have been written (or the buffer has failed). */
void media_buf_set_u32(struct media_buf *b, size_t at, uint32_t v);

/*
 * MP4 boxes (ISO/IEC 14496-12, 4.2): begin returns a mark that end needs to fill in the size.
 * `type` is four characters. A full box has a version and 24 bits of flags.
 */
size_t media_buf_box(struct media_buf *b, const char *type);
size_t media_buf_full_box(struct media_buf *b, const char *type, uint8_t version, uint32_t flags);
void media_buf_end_box(struct media_buf *b, size_t mark);

#endif
