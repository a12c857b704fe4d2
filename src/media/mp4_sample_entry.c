/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/mp4_sample_entry.h"

#include <errno.h>
#include <string.h>

#include "media/codec_config.h"

#define QUICKTIME_V1_EXTRA 16
#define QUICKTIME_V2_EXTRA 36
#define DPI_72 0x00480000
#define DEPTH_24 24
#define AUDIO_BITS 16
#define OTI_MPEG4_AUDIO 0x40
#define STREAM_AUDIO (5 << 2 | 1)

enum config_box { BOX_AVCC, BOX_HVCC, BOX_VPCC, BOX_AV1C, BOX_ESDS, BOX_DOPS };

struct entry_kind {
  uint32_t entry;
  uint32_t box;
  enum config_box kind;
};

static const struct entry_kind video_kinds[] = {
    {MP4_TYPE('a', 'v', 'c', '1'), MP4_TYPE('a', 'v', 'c', 'C'), BOX_AVCC},
    {MP4_TYPE('a', 'v', 'c', '3'), MP4_TYPE('a', 'v', 'c', 'C'), BOX_AVCC},
    {MP4_TYPE('h', 'v', 'c', '1'), MP4_TYPE('h', 'v', 'c', 'C'), BOX_HVCC},
    {MP4_TYPE('h', 'e', 'v', '1'), MP4_TYPE('h', 'v', 'c', 'C'), BOX_HVCC},
    {MP4_TYPE('v', 'p', '0', '9'), MP4_TYPE('v', 'p', 'c', 'C'), BOX_VPCC},
    {MP4_TYPE('a', 'v', '0', '1'), MP4_TYPE('a', 'v', '1', 'C'), BOX_AV1C},
};

static const struct entry_kind audio_kinds[] = {
    {MP4_TYPE('m', 'p', '4', 'a'), MP4_TYPE('e', 's', 'd', 's'), BOX_ESDS},
    {MP4_TYPE('O', 'p', 'u', 's'), MP4_TYPE('d', 'O', 'p', 's'), BOX_DOPS},
};

static const struct entry_kind *find_kind(const struct entry_kind *kinds, size_t n, uint32_t type)
{
  for (size_t i = 0; i < n; i++)
    if (kinds[i].entry == type)
      return &kinds[i];
  return NULL;
}

static int parse_config(struct media_track *t, const struct entry_kind *kind, const struct mp4_cursor *body)
{
  size_t len = mp4_left(body);
  const struct mp4_type_name name = mp4_type_name(kind->entry);
  switch (kind->kind) {
  case BOX_AVCC:
    return media_config_avcc(t, name.text, body->at, len);
  case BOX_HVCC:
    return media_config_hvcc(t, name.text, body->at, len);
  case BOX_VPCC:
    return media_config_vpcc(t, body->at, len);
  case BOX_AV1C:
    return media_config_av1c(t, body->at, len);
  case BOX_ESDS:
    return media_config_esds(t, body->at, len);
  case BOX_DOPS:
    return media_config_dops(t, body->at, len);
  }
  return -ENOTSUP;
}

/* btrt is maximum and average bits per second; what the codec's own record says goes first. */
static int parse_bitrate(struct media_track *t, struct mp4_cursor boxes, struct mp4_error *err)
{
  struct mp4_box btrt;
  int rv = mp4_find_box(boxes, MP4_TYPE('b', 't', 'r', 't'), &btrt, err);
  if (rv <= 0)
    return rv;
  mp4_skip(&btrt.body, 4);
  uint32_t peak = mp4_u32(&btrt.body);
  uint32_t average = mp4_u32(&btrt.body);
  if (!btrt.body.failed && t->bitrate == 0)
    t->bitrate = average ? average : peak;
  return 0;
}

static int parse_boxes(struct media_track *t, const struct entry_kind *kind, const struct mp4_box *entry,
                       struct mp4_cursor boxes, struct mp4_error *err)
{
  struct mp4_box box;
  int rv = mp4_find_box(boxes, kind->box, &box, err);
  if (rv < 0)
    return rv;
  if (rv == 0)
    return mp4_fail(err, -EPROTO, entry->type, entry->offset, "has no %s", mp4_type_name(kind->box).text);
  rv = parse_config(t, kind, &box.body);
  if (rv == -ENOTSUP)
    return 0;
  if (rv == -EPROTO)
    return mp4_fail(err, rv, box.type, box.offset, "is malformed");
  return rv < 0 ? rv : parse_bitrate(t, boxes, err);
}

int mp4_video_entry(struct media_track *t, const struct mp4_box *entry, struct mp4_error *err)
{
  struct mp4_cursor c = entry->body;
  mp4_skip(&c, 8 + 16);
  uint16_t width = mp4_u16(&c);
  uint16_t height = mp4_u16(&c);
  mp4_skip(&c, 50);
  if (c.failed)
    return mp4_fail(err, -EPROTO, entry->type, entry->offset, "is too short");
  t->width = width;
  t->height = height;
  const struct entry_kind *kind = find_kind(video_kinds, sizeof(video_kinds) / sizeof(video_kinds[0]), entry->type);
  return kind ? parse_boxes(t, kind, entry, c, err) : 0;
}

int mp4_audio_entry(struct media_track *t, const struct mp4_box *entry, struct mp4_error *err)
{
  struct mp4_cursor c = entry->body;
  mp4_skip(&c, 8);
  uint16_t version = mp4_u16(&c);
  mp4_skip(&c, 6);
  uint16_t channels = mp4_u16(&c);
  mp4_skip(&c, 6);
  uint32_t rate = mp4_u32(&c) >> 16;
  if (version > 0)
    mp4_skip(&c, version == 1 ? QUICKTIME_V1_EXTRA : QUICKTIME_V2_EXTRA);
  if (c.failed)
    return mp4_fail(err, -EPROTO, entry->type, entry->offset, "is too short");
  t->channels = channels;
  t->sample_rate = rate;
  const struct entry_kind *kind = find_kind(audio_kinds, sizeof(audio_kinds) / sizeof(audio_kinds[0]), entry->type);
  return kind ? parse_boxes(t, kind, entry, c, err) : 0;
}

static void put_entry_start(struct media_buf *b)
{
  media_buf_zero(b, 6);
  media_buf_u16(b, 1); /* data_reference_index */
}

static void put_video(struct media_buf *b, const struct media_track *t)
{
  put_entry_start(b);
  media_buf_zero(b, 16);
  media_buf_u16(b, (uint16_t)(t->width <= UINT16_MAX ? t->width : 0));
  media_buf_u16(b, (uint16_t)(t->height <= UINT16_MAX ? t->height : 0));
  media_buf_u32(b, DPI_72);
  media_buf_u32(b, DPI_72);
  media_buf_u32(b, 0);
  media_buf_u16(b, 1);
  media_buf_zero(b, 32);
  media_buf_u16(b, DEPTH_24);
  media_buf_u16(b, 0xffff);
}

static void put_audio(struct media_buf *b, const struct media_track *t)
{
  put_entry_start(b);
  media_buf_zero(b, 8);
  media_buf_u16(b, (uint16_t)t->channels);
  media_buf_u16(b, AUDIO_BITS);
  media_buf_u32(b, 0);
  media_buf_u32(b, t->sample_rate <= UINT16_MAX ? t->sample_rate << 16 : 0);
}

/* A descriptor's size in the four-byte form, which holds every size we write. */
static void put_descriptor(struct media_buf *b, uint8_t tag, size_t size)
{
  media_buf_u8(b, tag);
  for (int shift = 21; shift > 0; shift -= 7)
    media_buf_u8(b, (uint8_t)(0x80 | (size >> shift & 0x7f)));
  media_buf_u8(b, (uint8_t)(size & 0x7f));
}

static void put_esds(struct media_buf *b, const struct media_track *t)
{
  const size_t head = 5;
  size_t specific = t->config_len;
  size_t decoder = 13 + head + specific;
  uint32_t bitrate = t->bitrate <= UINT32_MAX ? (uint32_t)t->bitrate : UINT32_MAX;
  size_t box = media_buf_full_box(b, "esds", 0, 0);
  put_descriptor(b, 3, 3 + head + decoder + head + 1);
  media_buf_u16(b, 0);
  media_buf_u8(b, 0);
  put_descriptor(b, 4, decoder);
  media_buf_u8(b, OTI_MPEG4_AUDIO);
  media_buf_u8(b, STREAM_AUDIO);
  media_buf_u24(b, 0);
  media_buf_u32(b, bitrate);
  media_buf_u32(b, bitrate);
  put_descriptor(b, 5, specific);
  media_buf_put(b, t->config, specific);
  put_descriptor(b, 6, 1);
  media_buf_u8(b, 2);
  media_buf_end_box(b, box);
}

static void put_config(struct media_buf *b, const char *type, const struct media_track *t)
{
  size_t box = media_buf_box(b, type);
  media_buf_put(b, t->config, t->config_len);
  media_buf_end_box(b, box);
}

/*
 * The shape of a pixel, from the picture's shape on screen (12.1.4). Where that is not given,
 * VP9 and AV1 get square ones; in H.264 and HEVC the stream may say otherwise.
 */
static void put_pasp(struct media_buf *b, const struct media_track *t)
{
  uint64_t h = 1, v = 1;
  if (t->display_width && t->display_height && t->width && t->height) {
    h = (uint64_t)t->display_width * t->height;
    v = (uint64_t)t->display_height * t->width;
  } else if (t->codec != MEDIA_VP9 && t->codec != MEDIA_AV1) {
    return;
  }
  while (h > UINT32_MAX || v > UINT32_MAX) {
    h /= 2;
    v /= 2;
  }
  if (h == 0 || v == 0)
    return;
  size_t box = media_buf_box(b, "pasp");
  media_buf_u32(b, (uint32_t)h);
  media_buf_u32(b, (uint32_t)v);
  media_buf_end_box(b, box);
}

int mp4_put_sample_entry(struct media_buf *b, const struct media_track *t)
{
  static const struct {
    enum media_codec codec;
    const char *entry;
    const char *box;
  } rows[] = {
      {MEDIA_H264, "avc1", "avcC"}, {MEDIA_H265, "hvc1", "hvcC"}, {MEDIA_VP9, "vp09", "vpcC"},
      {MEDIA_AV1, "av01", "av1C"},  {MEDIA_AAC, "mp4a", NULL},    {MEDIA_OPUS, "Opus", "dOps"},
  };
  if (!t->config || t->config_len > MEDIA_CONFIG_MAX)
    return -EINVAL;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (rows[i].codec != t->codec)
      continue;
    /* avc3 and hev1 allow parameter sets in the stream; keep what the source said. */
    bool in_band = strncmp(t->codec_string, "avc3", 4) == 0 || strncmp(t->codec_string, "hev1", 4) == 0;
    size_t entry = media_buf_box(b, in_band ? t->codec_string : rows[i].entry);
    if (t->kind == MEDIA_VIDEO)
      put_video(b, t);
    else
      put_audio(b, t);
    if (rows[i].box)
      put_config(b, rows[i].box, t);
    else
      put_esds(b, t);
    if (t->kind == MEDIA_VIDEO)
      put_pasp(b, t);
    media_buf_end_box(b, entry);
    return 0;
  }
  return -EINVAL;
}
