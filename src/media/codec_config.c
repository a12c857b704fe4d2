/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/codec_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "media/h26x_sps.h"
#include "media/media_buf.h"
#include "media/mp4_box.h"

#define ESDS_ES_DESCRIPTOR 0x03
#define ESDS_DECODER_CONFIG 0x04
#define ESDS_DECODER_SPECIFIC 0x05
#define OTI_MPEG4_AUDIO 0x40
#define OTI_MPEG2_AAC_MAIN 0x66
#define OTI_MPEG2_AAC_SSR 0x68

#define AOT_LC 2
#define AOT_SBR 5
#define AOT_PS 29
#define AOT_ESCAPE 31
#define ASC_RATE_ESCAPE 15

#define OPUS_RATE 48000
/* What libopus needs at 48 kHz before its output is right; used when nobody says. */
#define OPUS_PRE_SKIP 312
#define OPUS_HEAD_MAGIC "OpusHead"
#define OPUS_HEAD_MAGIC_LEN 8
#define DOPS_MIN 11

#define H265_NAL_SPS 33

static const uint32_t aac_rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                     22050, 16000, 12000, 11025, 8000,  7350};
#define AAC_RATES (sizeof(aac_rates) / sizeof(aac_rates[0]))

static int set_config(struct media_track *t, const uint8_t *p, size_t len)
{
  return len > MEDIA_CONFIG_MAX ? -EPROTO : media_track_set_config(t, p, len);
}

static void use_sps(struct media_track *t, const struct h26x_sps *sps)
{
  t->reorder_known = sps->reorder_known;
  t->reorder_depth = sps->reorder_depth;
  if (!t->width || !t->height) {
    t->width = sps->width;
    t->height = sps->height;
  }
  if (!t->framerate_num && sps->fps_num) {
    t->framerate_num = sps->fps_num;
    t->framerate_den = sps->fps_den;
  }
}

int media_config_avcc(struct media_track *t, const char *entry, const uint8_t *p, size_t len)
{
  struct mp4_cursor c = mp4_cursor(p, len, 0);
  uint8_t version = mp4_u8(&c);
  uint8_t profile = mp4_u8(&c);
  uint8_t compat = mp4_u8(&c);
  uint8_t level = mp4_u8(&c);
  mp4_u8(&c);
  unsigned count = mp4_u8(&c) & 0x1f;
  if (c.failed || version != 1)
    return -EPROTO;
  t->codec = MEDIA_H264;
  snprintf(t->codec_string, sizeof(t->codec_string), "%.4s.%02x%02x%02x", entry, profile, compat, level);
  /* avc3 may keep its parameter sets in the stream: then the reordering is a guess. */
  t->reorder_known = false;
  t->reorder_depth = profile == 66 ? 0 : 2;
  for (unsigned i = 0; i < count; i++) {
    size_t size = mp4_u16(&c);
    struct mp4_cursor nal = mp4_take(&c, size);
    struct h26x_sps sps;
    if (c.failed)
      return -EPROTO;
    if (i == 0 && h264_sps_parse(nal.at, size, &sps) == 0)
      use_sps(t, &sps);
  }
  return set_config(t, p, len);
}

/* The codec string's compatibility flags are the record's, bits reversed (14496-15, Annex E). */
static uint32_t reverse_bits(uint32_t v)
{
  uint32_t out = 0;
  for (int i = 0; i < 32; i++, v >>= 1)
    out = out << 1 | (v & 1);
  return out;
}

static void hevc_codec_string(struct media_track *t, const char *entry, const uint8_t *p)
{
  static const char space[4][2] = {"", "A", "B", "C"};
  uint32_t compat = (uint32_t)p[2] << 24 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 8 | p[5];
  int n = snprintf(t->codec_string, sizeof(t->codec_string), "%.4s.%s%u.%" PRIX32 ".%c%u", entry, space[p[1] >> 6],
                   p[1] & 0x1fu, reverse_bits(compat), p[1] & 0x20 ? 'H' : 'L', p[12]);
  int last = 11;
  while (last > 5 && p[last] == 0)
    last--;
  for (int i = 6; i <= last; i++)
    n += snprintf(t->codec_string + n, sizeof(t->codec_string) - (size_t)n, ".%X", p[i]);
}

int media_config_hvcc(struct media_track *t, const char *entry, const uint8_t *p, size_t len)
{
  struct mp4_cursor c = mp4_cursor(p, len, 0);
  mp4_skip(&c, 22);
  unsigned arrays = mp4_u8(&c);
  if (c.failed || p[0] != 1)
    return -EPROTO;
  t->codec = MEDIA_H265;
  hevc_codec_string(t, entry, p);
  t->reorder_known = false;
  t->reorder_depth = 2;
  for (unsigned i = 0; i < arrays; i++) {
    uint8_t type = mp4_u8(&c) & 0x3f;
    unsigned count = mp4_u16(&c);
    for (unsigned k = 0; k < count && !c.failed; k++) {
      size_t size = mp4_u16(&c);
      struct mp4_cursor nal = mp4_take(&c, size);
      struct h26x_sps sps;
      if (!c.failed && type == H265_NAL_SPS && h265_sps_parse(nal.at, size, &sps) == 0)
        use_sps(t, &sps);
    }
    if (c.failed)
      return -EPROTO;
  }
  return set_config(t, p, len);
}

static bool unspecified_or_bt709(uint8_t v)
{
  return v == 1 || v == 2;
}

int media_config_vpcc(struct media_track *t, const uint8_t *p, size_t len)
{
  struct mp4_cursor c = mp4_cursor(p, len, 0);
  uint32_t flags;
  uint8_t version = mp4_full_box(&c, &flags);
  uint8_t profile = mp4_u8(&c);
  uint8_t level = mp4_u8(&c);
  uint8_t bits = mp4_u8(&c);
  uint8_t primaries = mp4_u8(&c);
  uint8_t transfer = mp4_u8(&c);
  uint8_t matrix = mp4_u8(&c);
  if (c.failed || version != 1)
    return -EPROTO;
  t->codec = MEDIA_VP9;
  t->reorder_known = true;
  t->reorder_depth = 0;
  uint8_t chroma = bits >> 1 & 7;
  /* Browsers refuse level 0, which muxers write when they do not know: then name the lowest. */
  int n =
      snprintf(t->codec_string, sizeof(t->codec_string), "vp09.%02u.%02u.%02u", profile, level ? level : 10, bits >> 4);
  bool plain = chroma <= 1 && !(bits & 1) && unspecified_or_bt709(primaries) && unspecified_or_bt709(transfer) &&
               unspecified_or_bt709(matrix);
  if (!plain)
    snprintf(t->codec_string + n, sizeof(t->codec_string) - (size_t)n, ".%02u.%02u.%02u.%02u.%02u", chroma, primaries,
             transfer, matrix, bits & 1u);
  return set_config(t, p, len);
}

/* The lowest level whose pictures are this large (AV1 specification, A.3). */
static unsigned av1_level(const struct media_track *t)
{
  static const struct {
    uint64_t pixels;
    unsigned level;
  } levels[] = {{147456, 0}, {278784, 1}, {665856, 4}, {1065024, 5}, {2359296, 8}, {8912896, 12}};
  uint64_t pixels = (uint64_t)t->width * t->height;
  for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
    if (pixels <= levels[i].pixels)
      return levels[i].level;
  return 16;
}

/*
 * ffmpeg writes an empty av1C when it has to write the header before the encoder's first frame
 * (+empty_moov). Take the Main profile with 8 bits then; decoders go by the stream.
 */
static int av1_without_record(struct media_track *t)
{
  t->codec = MEDIA_AV1;
  t->reorder_known = true;
  t->reorder_depth = 0;
  snprintf(t->codec_string, sizeof(t->codec_string), "av01.0.%02uM.08", av1_level(t));
  return 0;
}

int media_config_av1c(struct media_track *t, const uint8_t *p, size_t len)
{
  if (len == 0)
    return av1_without_record(t);
  if (len < 4 || p[0] != 0x81)
    return -EPROTO;
  unsigned profile = p[1] >> 5, level = p[1] & 0x1f;
  bool tier = p[2] & 0x80, high = p[2] & 0x40, twelve = p[2] & 0x20, mono = p[2] & 0x10;
  unsigned sub_x = p[2] >> 3 & 1, sub_y = p[2] >> 2 & 1, position = p[2] & 3;
  t->codec = MEDIA_AV1;
  t->reorder_known = true;
  t->reorder_depth = 0;
  int n = snprintf(t->codec_string, sizeof(t->codec_string), "av01.%u.%02u%c.%02u", profile, level, tier ? 'H' : 'M',
                   high ? (twelve ? 12u : 10u) : 8u);
  /* The optional fields come all or not at all; without colour information take BT.709. */
  if (mono || !sub_x || !sub_y)
    snprintf(t->codec_string + n, sizeof(t->codec_string) - (size_t)n, ".%u.%u%u%u.01.01.01.0", mono ? 1u : 0u, sub_x,
             sub_y, sub_x && sub_y ? position : 0u);
  return set_config(t, p, len);
}

/* Up to 32 bits out of a big-endian string, zeros past its end. */
static uint32_t take_bits(const uint8_t *p, size_t len, size_t *at, unsigned n)
{
  uint32_t v = 0;
  for (unsigned i = 0; i < n; i++, (*at)++)
    v = v << 1 | (*at / 8 < len ? p[*at / 8] >> (7 - *at % 8) & 1u : 0u);
  return v;
}

static uint32_t asc_rate(const uint8_t *p, size_t len, size_t *at)
{
  uint32_t index = take_bits(p, len, at, 4);
  if (index == ASC_RATE_ESCAPE)
    return take_bits(p, len, at, 24);
  return index < AAC_RATES ? aac_rates[index] : 0;
}

int media_config_asc(struct media_track *t, const uint8_t *p, size_t len)
{
  static const uint8_t channels[] = {0, 1, 2, 3, 4, 5, 6, 8};
  size_t at = 0;
  if (len < 2)
    return -EPROTO;
  uint32_t type = take_bits(p, len, &at, 5);
  if (type == AOT_ESCAPE)
    type = 32 + take_bits(p, len, &at, 6);
  uint32_t rate = asc_rate(p, len, &at);
  uint32_t layout = take_bits(p, len, &at, 4);
  if (type == AOT_SBR || type == AOT_PS)
    rate = asc_rate(p, len, &at);
  if (type == 0 || at > len * 8)
    return -EPROTO;
  t->codec = MEDIA_AAC;
  if (rate)
    t->sample_rate = rate;
  if (layout > 0 && layout < sizeof(channels))
    t->channels = channels[layout];
  snprintf(t->codec_string, sizeof(t->codec_string), "mp4a.40.%" PRIu32, type);
  return set_config(t, p, len);
}

/* A descriptor's tag and payload; the size is up to four groups of seven bits. */
static uint8_t next_descriptor(struct mp4_cursor *c, struct mp4_cursor *ret_body)
{
  uint8_t tag = mp4_u8(c);
  uint32_t size = 0;
  for (int i = 0; i < 4; i++) {
    uint8_t b = mp4_u8(c);
    size = size << 7 | (b & 0x7f);
    if (!(b & 0x80))
      break;
  }
  *ret_body = mp4_take(c, size);
  return tag;
}

static int parse_decoder_config(struct media_track *t, struct mp4_cursor c)
{
  uint8_t object = mp4_u8(&c);
  mp4_skip(&c, 4);
  uint32_t peak = mp4_u32(&c);
  uint32_t average = mp4_u32(&c);
  struct mp4_cursor body;
  uint8_t tag = next_descriptor(&c, &body);
  if (object != OTI_MPEG4_AUDIO && (object < OTI_MPEG2_AAC_MAIN || object > OTI_MPEG2_AAC_SSR))
    return -ENOTSUP;
  if (c.failed || tag != ESDS_DECODER_SPECIFIC)
    return -EPROTO;
  t->bitrate = average ? average : peak;
  return media_config_asc(t, body.at, mp4_left(&body));
}

int media_config_esds(struct media_track *t, const uint8_t *p, size_t len)
{
  struct mp4_cursor c = mp4_cursor(p, len, 0), es, body;
  uint32_t version_flags;
  mp4_full_box(&c, &version_flags);
  uint8_t tag = next_descriptor(&c, &es);
  if (c.failed || tag != ESDS_ES_DESCRIPTOR)
    return -EPROTO;
  mp4_skip(&es, 2);
  uint8_t flags = mp4_u8(&es);
  if (flags & 0x80)
    mp4_skip(&es, 2);
  if (flags & 0x40)
    mp4_skip(&es, mp4_u8(&es));
  if (flags & 0x20)
    mp4_skip(&es, 2);
  while (!es.failed && mp4_left(&es) > 0) {
    tag = next_descriptor(&es, &body);
    if (!es.failed && tag == ESDS_DECODER_CONFIG)
      return parse_decoder_config(t, body);
  }
  return -EPROTO;
}

int media_config_dops(struct media_track *t, const uint8_t *p, size_t len)
{
  if (len < DOPS_MIN || p[0] != 0 || p[1] == 0)
    return -EPROTO;
  /* A mapping family other than 0 has its table behind: streams, coupled, one byte a channel. */
  if (p[10] != 0 && len < (size_t)DOPS_MIN + 2 + p[1])
    return -EPROTO;
  t->codec = MEDIA_OPUS;
  t->channels = p[1];
  t->sample_rate = OPUS_RATE;
  snprintf(t->codec_string, sizeof(t->codec_string), "opus");
  return set_config(t, p, len);
}

int media_config_opus(struct media_track *t, const uint8_t *p, size_t len)
{
  if (len < OPUS_HEAD_MAGIC_LEN || memcmp(p, OPUS_HEAD_MAGIC, OPUS_HEAD_MAGIC_LEN) != 0)
    return media_config_dops(t, p, len);
  p += OPUS_HEAD_MAGIC_LEN;
  len -= OPUS_HEAD_MAGIC_LEN;
  if (len < DOPS_MIN || len > MEDIA_CONFIG_MAX)
    return -EPROTO;
  /* The same fields, little-endian and with version 1. */
  const uint8_t head[DOPS_MIN] = {0, p[1], p[3], p[2], p[7], p[6], p[5], p[4], p[9], p[8], p[10]};
  struct media_buf b = {0};
  media_buf_put(&b, head, sizeof(head));
  media_buf_put(&b, p + DOPS_MIN, len - DOPS_MIN);
  int rv = media_buf_error(&b);
  if (rv == 0)
    rv = media_config_dops(t, b.data, b.len);
  media_buf_destroy(&b);
  return rv;
}

int media_codec_from_string(struct media_track *t, const char *codec)
{
  static const struct {
    const char *prefix;
    enum media_codec codec;
  } known[] = {
      {"avc1.", MEDIA_H264}, {"avc3.", MEDIA_H264}, {"hvc1.", MEDIA_H265}, {"hev1.", MEDIA_H265},
      {"vp09.", MEDIA_VP9},  {"av01.", MEDIA_AV1},  {"mp4a.", MEDIA_AAC},  {"opus", MEDIA_OPUS},
  };
  size_t len = strlen(codec);
  if (len == 0 || len >= sizeof(t->codec_string))
    return -EINVAL;
  memcpy(t->codec_string, codec, len + 1);
  t->codec = MEDIA_CODEC_NONE;
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
    if (strncmp(codec, known[i].prefix, strlen(known[i].prefix)) == 0)
      t->codec = known[i].codec;
  t->reorder_known = t->codec != MEDIA_H264 && t->codec != MEDIA_H265;
  t->reorder_depth = t->reorder_known ? 0 : 2;
  return 0;
}

/* AAC-LC says all it needs by rate and channels; the other kinds have more to tell. */
static int synthesize_asc(struct media_track *t)
{
  unsigned layout = t->channels == 8 ? 7 : t->channels;
  if (strcmp(t->codec_string, "mp4a.40.2") != 0)
    return -ENODATA;
  if (layout < 1 || layout > 7 || t->channels == 7)
    return -EINVAL;
  for (unsigned i = 0; i < AAC_RATES; i++) {
    if (aac_rates[i] != t->sample_rate)
      continue;
    uint8_t record[] = {(uint8_t)(AOT_LC << 3 | i >> 1), (uint8_t)((i & 1) << 7 | layout << 3)};
    return media_track_set_config(t, record, sizeof(record));
  }
  return -EINVAL;
}

static int synthesize_vpcc(struct media_track *t)
{
  unsigned v[8] = {0, 0, 0, 1, 2, 2, 2, 0};
  int n = sscanf(t->codec_string, "vp09.%2u.%2u.%2u.%2u.%2u.%2u.%2u.%2u", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
                 &v[6], &v[7]);
  if (n < 3 || v[2] > 15 || v[3] > 7)
    return -EINVAL;
  uint8_t record[] = {1,
                      0,
                      0,
                      0,
                      (uint8_t)v[0],
                      (uint8_t)v[1],
                      (uint8_t)(v[2] << 4 | v[3] << 1 | (v[7] & 1)),
                      (uint8_t)v[4],
                      (uint8_t)v[5],
                      (uint8_t)v[6],
                      0,
                      0};
  return media_track_set_config(t, record, sizeof(record));
}

static int synthesize_av1c(struct media_track *t)
{
  unsigned profile, level, depth, mono = 0, chroma = 110;
  char tier;
  int n = sscanf(t->codec_string, "av01.%1u.%2u%c.%2u.%1u.%3u", &profile, &level, &tier, &depth, &mono, &chroma);
  if (n < 4 || profile > 2 || level > 31)
    return -EINVAL;
  uint8_t flags =
      (uint8_t)((tier == 'H' ? 0x80 : 0) | (depth > 8 ? 0x40 : 0) | (depth > 10 ? 0x20 : 0) | (mono ? 0x10 : 0) |
                (chroma / 100 % 10 ? 8 : 0) | (chroma / 10 % 10 ? 4 : 0) | (chroma % 10 & 3));
  uint8_t record[] = {0x81, (uint8_t)(profile << 5 | level), flags, 0};
  return media_track_set_config(t, record, sizeof(record));
}

static int synthesize_dops(struct media_track *t)
{
  if (t->channels < 1 || t->channels > 2)
    return -EINVAL;
  uint32_t rate = t->sample_rate ? t->sample_rate : OPUS_RATE;
  uint8_t record[DOPS_MIN] = {0,
                              (uint8_t)t->channels,
                              OPUS_PRE_SKIP >> 8,
                              OPUS_PRE_SKIP & 0xff,
                              (uint8_t)(rate >> 24),
                              (uint8_t)(rate >> 16),
                              (uint8_t)(rate >> 8),
                              (uint8_t)rate};
  return media_track_set_config(t, record, sizeof(record));
}

int media_config_synthesize(struct media_track *t)
{
  if (t->config)
    return 0;
  switch (t->codec) {
  case MEDIA_VP9:
    return synthesize_vpcc(t);
  case MEDIA_AV1:
    return synthesize_av1c(t);
  case MEDIA_OPUS:
    return synthesize_dops(t);
  case MEDIA_AAC:
    return synthesize_asc(t);
  default:
    return -ENODATA;
  }
}
