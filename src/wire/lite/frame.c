/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/cursor.h"
#include "wire/lite/lite.h"
#include <errno.h>

/* 0, -1, 1, -2 as 0, 1, 2, 3: the distance from prev to t, both at most LITE_TIMESTAMP_MAX, in 62
 * bits. */
static uint64_t zigzag(uint64_t prev, uint64_t t)
{
  return t >= prev ? (t - prev) << 1 : ((prev - t) << 1) - 1;
}

static int unzigzag(uint64_t prev, uint64_t z, uint64_t *ret_t)
{
  uint64_t distance = (z >> 1) + (z & 1);
  if (z & 1 ? distance > prev : distance > LITE_TIMESTAMP_MAX - prev)
    return -EPROTO;
  *ret_t = z & 1 ? prev - distance : prev + distance;
  return 0;
}

int lite_frame_read(enum lite_version v, struct slice in, uint64_t prev, struct lite_frame *ret_frame)
{
  const struct varint_form *ints = lite_info(v)->ints;
  struct lite_frame f = {.timestamp = LITE_NONE};
  size_t at = 0;
  if (lite_info(v)->timestamps) {
    uint64_t z;
    at = ints->read(in.p, in.n, &z);
    if (at == 0)
      return 0;
    if (unzigzag(prev, z, &f.timestamp) < 0)
      return -EPROTO;
  }
  size_t n = ints->read(in.p + at, in.n - at, &f.size);
  if (n == 0)
    return 0;
  *ret_frame = f;
  return (int)(at + n);
}

int lite_frame_header(enum lite_version v, uint64_t prev, uint64_t timestamp, uint64_t size,
                      uint8_t out[LITE_FRAME_HEADER_MAX])
{
  const struct varint_form *ints = lite_info(v)->ints;
  bool timestamps = lite_info(v)->timestamps;
  if (size > VARINT_MAX || (timestamps && (prev > LITE_TIMESTAMP_MAX || timestamp > LITE_TIMESTAMP_MAX)))
    return -EINVAL;
  size_t n = timestamps ? ints->write(out, zigzag(prev, timestamp)) : 0;
  return (int)(n + ints->write(out + n, size));
}

int lite_datagram_decode(enum lite_version v, struct slice in, struct lite_datagram *ret_datagram)
{
  struct cursor c = cursor_of_ints(in, lite_info(v)->ints);
  struct lite_datagram d = {0};
  d.subscribe_id = cursor_varint(&c);
  d.sequence = cursor_varint(&c);
  d.timestamp = cursor_varint(&c);
  d.payload = cursor_rest(&c);
  if (c.failed || d.subscribe_id > VARINT_MAX || d.sequence > VARINT_MAX || d.timestamp > LITE_TIMESTAMP_MAX ||
      !lite_info(v)->datagrams)
    return -EPROTO;
  *ret_datagram = d;
  return 0;
}

int lite_datagram_header(enum lite_version v, const struct lite_datagram *in, uint8_t out[LITE_DATAGRAM_HEADER_MAX])
{
  if (!lite_info(v)->datagrams || in->subscribe_id > VARINT_MAX || in->sequence > VARINT_MAX ||
      in->timestamp > LITE_TIMESTAMP_MAX)
    return -EINVAL;
  const struct varint_form *ints = lite_info(v)->ints;
  size_t n = ints->write(out, in->subscribe_id);
  n += ints->write(out + n, in->sequence);
  return (int)(n + ints->write(out + n, in->timestamp));
}
