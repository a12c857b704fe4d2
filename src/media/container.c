/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/container.h"

#include <errno.h>
#include <stdbool.h>

#include "media/track.h"

#define LOC_TIMESCALE 0x08
#define LOC_TIMESTAMP 0x10
/* The number of an earlier draft, still sent by some. */
#define LOC_TIMESTAMP_EARLY 0x06

struct input {
  const uint8_t *at;
  size_t len;
};

static bool take_varint(struct input *in, uint64_t *ret_value)
{
  if (in->len == 0)
    return false;
  size_t size = (size_t)1 << (in->at[0] >> 6);
  if (in->len < size)
    return false;
  uint64_t v = in->at[0] & 0x3f;
  for (size_t i = 1; i < size; i++)
    v = v << 8 | in->at[i];
  in->at += size;
  in->len -= size;
  *ret_value = v;
  return true;
}

int container_legacy_header(int64_t pts_us, uint8_t out[CONTAINER_HEADER_MAX])
{
  if (pts_us < 0 || pts_us > CONTAINER_US_MAX)
    return -ERANGE;
  int log = pts_us < 1 << 6 ? 0 : pts_us < 1 << 14 ? 1 : pts_us < 1 << 30 ? 2 : 3;
  int size = 1 << log;
  for (int i = 0; i < size; i++)
    out[i] = (uint8_t)((uint64_t)pts_us >> (8 * (size - 1 - i)));
  out[0] |= (uint8_t)(log << 6);
  return size;
}

int container_legacy_parse(const uint8_t *frame, size_t len, struct container_frame *ret_frame)
{
  struct input in = {frame, len};
  uint64_t us;
  if (!take_varint(&in, &us))
    return -EPROTO;
  *ret_frame = (struct container_frame){.pts_us = (int64_t)us, .data = in.at, .len = in.len};
  return 0;
}

struct loc_times {
  bool have_timestamp;
  uint64_t timestamp;
  uint64_t timescale;
};

/* One property: an even type has a varint, an odd one a length and that many bytes. */
static bool take_property(struct input *in, uint64_t *type, struct loc_times *times)
{
  uint64_t delta, value;
  if (!take_varint(in, &delta) || !take_varint(in, &value))
    return false;
  *type += delta;
  if (*type & 1) {
    if (value > in->len)
      return false;
    in->at += value;
    in->len -= (size_t)value;
  } else if (*type == LOC_TIMESTAMP || *type == LOC_TIMESTAMP_EARLY) {
    times->have_timestamp = true;
    times->timestamp = value;
  } else if (*type == LOC_TIMESCALE) {
    times->timescale = value;
  }
  return true;
}

int container_loc_parse(const uint8_t *frame, size_t len, struct container_frame *ret_frame)
{
  struct input in = {frame, len};
  struct loc_times times = {.timescale = MEDIA_US};
  uint64_t size, type = 0;
  if (!take_varint(&in, &size) || size > in.len)
    return -EPROTO;
  struct input properties = {in.at, (size_t)size};
  while (properties.len > 0)
    if (!take_property(&properties, &type, &times))
      return -EPROTO;
  if (!times.have_timestamp || times.timescale == 0 || times.timescale > UINT32_MAX)
    return -EPROTO;
  *ret_frame =
      (struct container_frame){.pts_us = media_rescale((int64_t)times.timestamp, (uint32_t)times.timescale, MEDIA_US),
                               .data = in.at + size,
                               .len = in.len - (size_t)size};
  return 0;
}
