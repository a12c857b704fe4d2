/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/annexb.h"

#include <errno.h>
#include <stdbool.h>

#include "media/codec_config.h"

#define NAL_SPS 7
#define NAL_PPS 8
#define NAL_DELIMITER 9

struct nal {
  const uint8_t *at;
  size_t len;
};

/* Where the next 00 00 01 begins, or `end`. */
static const uint8_t *start_code(const uint8_t *p, const uint8_t *end)
{
  for (; end - p >= 3; p++)
    if (p[0] == 0 && p[1] == 0 && p[2] == 1)
      return p;
  return end;
}

/* The NAL unit behind the start code at or after *at; moves *at to the start code behind it. */
static bool next_nal(const uint8_t **at, const uint8_t *end, struct nal *ret_nal)
{
  const uint8_t *code = start_code(*at, end);
  if (code == end)
    return false;
  const uint8_t *from = code + 3;
  const uint8_t *to = *at = start_code(from, end);
  /* A NAL unit never ends in a zero; these belong to a longer start code or are padding. */
  while (to > from && to[-1] == 0)
    to--;
  *ret_nal = (struct nal){from, (size_t)(to - from)};
  return true;
}

static uint8_t nal_type(const struct nal *n)
{
  return n->len ? n->at[0] & 0x1f : 0;
}

int annexb_h264_config(struct media_track *t, const uint8_t *frame, size_t len)
{
  const uint8_t *at = frame, *end = frame + len;
  struct nal nal, sps = {0}, pps = {0};
  while (next_nal(&at, end, &nal)) {
    if (nal_type(&nal) == NAL_SPS)
      sps = nal;
    else if (nal_type(&nal) == NAL_PPS)
      pps = nal;
  }
  if (sps.len == 0 || pps.len == 0)
    return -ENODATA;
  if (sps.len < 4 || sps.len > UINT16_MAX || pps.len > UINT16_MAX)
    return -EPROTO;
  struct media_buf b = {0};
  media_buf_u8(&b, 1);
  media_buf_put(&b, sps.at + 1, 3);
  media_buf_u8(&b, 0xff); /* lengths of four bytes */
  media_buf_u8(&b, 0xe1); /* one SPS */
  media_buf_u16(&b, (uint16_t)sps.len);
  media_buf_put(&b, sps.at, sps.len);
  media_buf_u8(&b, 1);
  media_buf_u16(&b, (uint16_t)pps.len);
  media_buf_put(&b, pps.at, pps.len);
  int rv = media_buf_error(&b);
  if (rv == 0)
    rv = media_config_avcc(t, "avc1", b.data, b.len);
  media_buf_destroy(&b);
  return rv;
}

int annexb_h264_frame(struct media_buf *out, const uint8_t *frame, size_t len)
{
  const uint8_t *at = frame, *end = frame + len;
  struct nal nal;
  while (next_nal(&at, end, &nal)) {
    uint8_t type = nal_type(&nal);
    if (nal.len == 0 || type == NAL_SPS || type == NAL_PPS || type == NAL_DELIMITER)
      continue;
    media_buf_u32(out, (uint32_t)nal.len);
    media_buf_put(out, nal.at, nal.len);
  }
  return media_buf_error(out);
}
