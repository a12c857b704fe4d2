/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/settings.h"
#include "base/cursor.h"
#include <errno.h>

enum setting_id {
  QPACK_MAX_TABLE_CAPACITY = 0x01,
  MAX_FIELD_SECTION_SIZE = 0x06,
  QPACK_BLOCKED_STREAMS = 0x07,
  ENABLE_CONNECT_PROTOCOL = 0x08,
  H3_DATAGRAM = 0x33,
  H3_DATAGRAM_DRAFT04 = 0xffd277,
  WT_ENABLE_DRAFT02 = 0x2b603742, /* drafts 00 to 06: Chromium, Firefox */
  WT_MAX_SESSIONS_DRAFT02 = 0x2b603743,
  WT_MAX_SESSIONS_DRAFT07 = 0xc671706a, /* drafts 07 to 12: Chromium, Rust, Safari */
  WT_MAX_SESSIONS_DRAFT13 = 0x14e9cd29,
  WT_ENABLED = 0x2c7cf000, /* drafts 15 and later */
};

static const struct {
  uint64_t id, value;
} ours[] = {
    {QPACK_MAX_TABLE_CAPACITY, 0},
    {QPACK_BLOCKED_STREAMS, 0},
    {MAX_FIELD_SECTION_SIZE, H3_FIELD_SECTION_MAX},
    {ENABLE_CONNECT_PROTOCOL, 1},
    {H3_DATAGRAM, 1},
    {H3_DATAGRAM_DRAFT04, 1},
    {WT_ENABLE_DRAFT02, 1},
    {WT_MAX_SESSIONS_DRAFT02, 1},
    {WT_MAX_SESSIONS_DRAFT07, 1},
};

void h3_settings_encode(struct buf *out)
{
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    buf_varint(out, ours[i].id);
    buf_varint(out, ours[i].value);
  }
}

static int apply(struct h3_settings *s, uint64_t id, uint64_t value)
{
  switch (id) {
  case 0x02: /* HTTP/2's, which must not be used here */
  case 0x03:
  case 0x04:
  case 0x05:
    return -EINVAL;
  case MAX_FIELD_SECTION_SIZE:
    s->field_section_max = value;
    return 0;
  case ENABLE_CONNECT_PROTOCOL:
    s->connect_protocol = value == 1;
    return value <= 1 ? 0 : -EINVAL;
  case H3_DATAGRAM:
    s->datagrams |= value == 1;
    return value <= 1 ? 0 : -EINVAL;
  case H3_DATAGRAM_DRAFT04:
    s->datagrams |= value == 1;
    return 0;
  case WT_ENABLE_DRAFT02:
  case WT_MAX_SESSIONS_DRAFT07:
  case WT_MAX_SESSIONS_DRAFT13:
  case WT_ENABLED:
    s->webtransport |= value >= 1;
    return 0;
  default:
    return 0;
  }
}

static bool seen(const uint64_t *ids, size_t n, uint64_t id)
{
  for (size_t i = 0; i < n; i++)
    if (ids[i] == id)
      return true;
  return false;
}

int h3_settings_decode(struct slice payload, struct h3_settings *ret_settings)
{
  struct h3_settings s = {.field_section_max = UINT64_MAX};
  struct cursor c = cursor_of(payload);
  uint64_t ids[H3_SETTINGS_MAX];
  for (size_t n = 0; cursor_left(&c) > 0; n++) {
    uint64_t id = cursor_varint(&c), value = cursor_varint(&c);
    if (c.failed)
      return -EPROTO;
    if (n == H3_SETTINGS_MAX)
      return -E2BIG;
    if (seen(ids, n, id) || apply(&s, id, value) < 0)
      return -EINVAL;
    ids[n] = id;
  }
  *ret_settings = s;
  return 0;
}
