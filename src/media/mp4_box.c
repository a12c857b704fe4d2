/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/mp4_box.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define BOX_HEADER 8

struct mp4_type_name mp4_type_name(uint32_t type)
{
  struct mp4_type_name name;
  for (int i = 0; i < 4; i++) {
    uint8_t ch = (uint8_t)(type >> (24 - 8 * i));
    name.text[i] = ch >= 0x20 && ch < 0x7f ? (char)ch : '?';
  }
  name.text[4] = '\0';
  return name;
}

int mp4_fail(struct mp4_error *err, int code, uint32_t type, uint64_t offset, const char *fmt, ...)
{
  if (err->text[0] != '\0')
    return code;
  int n = snprintf(err->text, sizeof(err->text), "%s at byte %" PRIu64 ": ", mp4_type_name(type).text, offset);
  va_list ap;
  va_start(ap, fmt);
  if (n > 0 && (size_t)n < sizeof(err->text))
    vsnprintf(err->text + n, sizeof(err->text) - (size_t)n, fmt, ap);
  va_end(ap);
  return code;
}

struct mp4_cursor mp4_cursor(const uint8_t *data, size_t len, uint64_t offset)
{
  return (struct mp4_cursor){.at = data, .end = data + len, .offset = offset};
}

size_t mp4_left(const struct mp4_cursor *c)
{
  return (size_t)(c->end - c->at);
}

static uint64_t read_be(struct mp4_cursor *c, unsigned bytes)
{
  if (c->failed || mp4_left(c) < bytes) {
    c->failed = true;
    return 0;
  }
  uint64_t v = 0;
  for (unsigned i = 0; i < bytes; i++)
    v = v << 8 | c->at[i];
  c->at += bytes;
  c->offset += bytes;
  return v;
}

uint8_t mp4_u8(struct mp4_cursor *c)
{
  return (uint8_t)read_be(c, 1);
}
uint16_t mp4_u16(struct mp4_cursor *c)
{
  return (uint16_t)read_be(c, 2);
}
uint32_t mp4_u24(struct mp4_cursor *c)
{
  return (uint32_t)read_be(c, 3);
}
uint32_t mp4_u32(struct mp4_cursor *c)
{
  return (uint32_t)read_be(c, 4);
}
uint64_t mp4_u64(struct mp4_cursor *c)
{
  return read_be(c, 8);
}

uint64_t mp4_u32_or_64(struct mp4_cursor *c, uint8_t version)
{
  return read_be(c, version == 1 ? 8 : 4);
}

void mp4_skip(struct mp4_cursor *c, size_t len)
{
  mp4_take(c, len);
}

struct mp4_cursor mp4_take(struct mp4_cursor *c, size_t len)
{
  struct mp4_cursor part = {.at = c->at, .end = c->at, .offset = c->offset, .failed = true};
  if (c->failed || mp4_left(c) < len) {
    c->failed = true;
    return part;
  }
  part = mp4_cursor(c->at, len, c->offset);
  c->at += len;
  c->offset += len;
  return part;
}

int mp4_next_box(struct mp4_cursor *c, struct mp4_box *ret_box, struct mp4_error *err)
{
  if (c->failed || mp4_left(c) < BOX_HEADER)
    return 0;
  uint64_t offset = c->offset;
  size_t room = mp4_left(c);
  uint64_t size = mp4_u32(c);
  uint32_t type = mp4_u32(c);
  size_t header = BOX_HEADER;
  if (size == 1) {
    size = mp4_u64(c);
    header += 8;
  } else if (size == 0) {
    size = room;
  }
  if (c->failed || size < header || size > room)
    return mp4_fail(err, -EPROTO, type, offset, "size %" PRIu64 " does not fit in its parent", size);
  *ret_box = (struct mp4_box){.type = type, .offset = offset, .body = mp4_take(c, (size_t)size - header)};
  return 1;
}

int mp4_find_box(struct mp4_cursor c, uint32_t type, struct mp4_box *ret_box, struct mp4_error *err)
{
  struct mp4_box box;
  int rv;
  while ((rv = mp4_next_box(&c, &box, err)) > 0) {
    if (box.type == type) {
      *ret_box = box;
      return 1;
    }
  }
  return rv;
}

uint8_t mp4_full_box(struct mp4_cursor *c, uint32_t *ret_flags)
{
  uint8_t version = mp4_u8(c);
  *ret_flags = mp4_u24(c);
  return version;
}
