/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/media_buf.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAPACITY 256

void media_buf_destroy(struct media_buf *b)
{
  free(b->data);
  *b = (struct media_buf){0};
}

void media_buf_clear(struct media_buf *b)
{
  b->len = 0;
  b->failed = false;
}

int media_buf_error(const struct media_buf *b)
{
  return b->failed ? -ENOMEM : 0;
}

/* Room for `len` more bytes; NULL when the buffer has failed. */
static uint8_t *reserve(struct media_buf *b, size_t len)
{
  if (b->failed)
    return NULL;
  if (len > b->cap - b->len) {
    size_t cap = b->cap ? b->cap : MIN_CAPACITY;
    while (cap - b->len < len && cap <= SIZE_MAX / 2)
      cap *= 2;
    uint8_t *data = cap - b->len < len ? NULL : realloc(b->data, cap);
    if (!data) {
      b->failed = true;
      return NULL;
    }
    b->data = data;
    b->cap = cap;
  }
  uint8_t *at = b->data + b->len;
  b->len += len;
  return at;
}

void media_buf_put(struct media_buf *b, const void *data, size_t len)
{
  if (len == 0)
    return;
  uint8_t *at = reserve(b, len);
  if (at)
    memcpy(at, data, len);
}

void media_buf_zero(struct media_buf *b, size_t len)
{
  if (len == 0)
    return;
  uint8_t *at = reserve(b, len);
  if (at)
    memset(at, 0, len);
}

static void put_be(struct media_buf *b, uint64_t v, unsigned bytes)
{
  uint8_t *at = reserve(b, bytes);
  if (!at)
    return;
  for (unsigned i = 0; i < bytes; i++)
    at[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

void media_buf_u8(struct media_buf *b, uint8_t v)
{
  put_be(b, v, 1);
}
void media_buf_u16(struct media_buf *b, uint16_t v)
{
  put_be(b, v, 2);
}
void media_buf_u24(struct media_buf *b, uint32_t v)
{
  put_be(b, v, 3);
}
void media_buf_u32(struct media_buf *b, uint32_t v)
{
  put_be(b, v, 4);
}
void media_buf_u64(struct media_buf *b, uint64_t v)
{
  put_be(b, v, 8);
}

void media_buf_set_u32(struct media_buf *b, size_t at, uint32_t v)
{
  if (b->failed)
    return;
  assert(at <= b->len && b->len - at >= 4);
  for (unsigned i = 0; i < 4; i++)
    b->data[at + i] = (uint8_t)(v >> (24 - 8 * i));
}

size_t media_buf_box(struct media_buf *b, const char *type)
{
  size_t mark = b->len;
  media_buf_u32(b, 0);
  media_buf_put(b, type, 4);
  return mark;
}

size_t media_buf_full_box(struct media_buf *b, const char *type, uint8_t version, uint32_t flags)
{
  size_t mark = media_buf_box(b, type);
  media_buf_u8(b, version);
  media_buf_u24(b, flags);
  return mark;
}

void media_buf_end_box(struct media_buf *b, size_t mark)
{
  /* A box of 4 GiB cannot come out of bounded inputs; treat it as out of room all the same. */
  if (!b->failed && b->len - mark > UINT32_MAX)
    b->failed = true;
  media_buf_set_u32(b, mark, (uint32_t)(b->len - mark));
}
