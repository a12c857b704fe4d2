/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/h26x_sps.h"

#include <errno.h>

#include "media/track.h"

#define H264_NAL_SPS 7
#define H265_NAL_SPS 33
#define EXTENDED_SAR 255
#define FPS_MAX 1000
#define FPS_MAX_VARIABLE 120
#define HRD_CPB_MAX 32
#define POC_CYCLE_MAX 255
#define DIMENSION_MAX 65535

/* Reads bits of a payload whose emulation prevention bytes are already out. Fails for good. */
struct bits {
  const uint8_t *data;
  size_t len; /* in bits */
  size_t at;
  bool failed;
};

static uint32_t bits_get(struct bits *b, unsigned n)
{
  if (b->failed || b->len - b->at < n) {
    b->failed = true;
    return 0;
  }
  uint32_t v = 0;
  for (unsigned i = 0; i < n; i++, b->at++)
    v = v << 1 | (b->data[b->at / 8] >> (7 - b->at % 8) & 1u);
  return v;
}

static bool bits_flag(struct bits *b)
{
  return bits_get(b, 1) != 0;
}

static void bits_skip(struct bits *b, size_t n)
{
  if (b->len - b->at < n)
    b->failed = true;
  else
    b->at += n;
}

/* Exp-Golomb, 9.1 of H.264. */
static uint32_t bits_ue(struct bits *b)
{
  unsigned zeros = 0;
  while (!b->failed && !bits_flag(b))
    zeros++;
  if (b->failed || zeros > 31) {
    b->failed = true;
    return 0;
  }
  return (uint32_t)((UINT64_C(1) << zeros) - 1 + bits_get(b, zeros));
}

static int32_t bits_se(struct bits *b)
{
  uint32_t v = bits_ue(b);
  return v & 1 ? (int32_t)(v / 2 + 1) : -(int32_t)(v / 2);
}

/* Drops the 03 of 00 00 03. Returns the number of bytes written to `out` (SPS_MAX of room). */
static size_t unescape(const uint8_t *in, size_t len, uint8_t *out)
{
  size_t n = 0;
  unsigned zeros = 0;
  for (size_t i = 0; i < len; i++) {
    if (zeros >= 2 && in[i] == 3) {
      zeros = 0;
      continue;
    }
    zeros = in[i] == 0 ? zeros + 1 : 0;
    out[n++] = in[i];
  }
  return n;
}

static void h264_skip_scaling_list(struct bits *b, unsigned size)
{
  int32_t last = 8, next = 8;
  for (unsigned i = 0; i < size && !b->failed; i++) {
    if (next != 0)
      next = (int32_t)(((int64_t)last + bits_se(b) + 256) % 256);
    last = next == 0 ? last : next;
  }
}

static bool h264_has_chroma_info(uint8_t profile)
{
  static const uint8_t profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
  for (size_t i = 0; i < sizeof(profiles); i++)
    if (profiles[i] == profile)
      return true;
  return false;
}

/* Returns chroma_format_idc, 1 where the profile does not say. */
static uint32_t h264_chroma_info(struct bits *b, uint8_t profile)
{
  if (!h264_has_chroma_info(profile))
    return 1;
  uint32_t chroma = bits_ue(b);
  bool planes = chroma == 3 && bits_flag(b);
  bits_ue(b); /* bit depths */
  bits_ue(b);
  bits_flag(b);
  if (bits_flag(b)) {
    unsigned lists = chroma == 3 ? 12 : 8;
    for (unsigned i = 0; i < lists; i++)
      if (bits_flag(b))
        h264_skip_scaling_list(b, i < 6 ? 16 : 64);
  }
  return planes ? 0 : chroma;
}

static uint32_t h264_poc_type(struct bits *b)
{
  uint32_t type = bits_ue(b);
  if (type == 0) {
    bits_ue(b);
  } else if (type == 1) {
    bits_flag(b);
    bits_se(b);
    bits_se(b);
    uint32_t cycle = bits_ue(b);
    if (cycle > POC_CYCLE_MAX)
      b->failed = true;
    for (uint32_t i = 0; i < cycle && !b->failed; i++)
      bits_se(b);
  }
  return type;
}

static void h264_skip_hrd(struct bits *b)
{
  uint32_t count = bits_ue(b) + 1;
  if (count > HRD_CPB_MAX)
    b->failed = true;
  bits_skip(b, 8);
  for (uint32_t i = 0; i < count && !b->failed; i++) {
    bits_ue(b);
    bits_ue(b);
    bits_flag(b);
  }
  bits_skip(b, 20);
}

static void set_fps(struct h26x_sps *sps, uint64_t num, uint64_t den, uint64_t max)
{
  if (num == 0 || den == 0 || num > UINT32_MAX || den > UINT32_MAX || num > max * den)
    return;
  uint64_t a = num, b = den;
  while (b) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  sps->fps_num = (uint32_t)(num / a);
  sps->fps_den = (uint32_t)(den / a);
}

static void set_reorder(struct h26x_sps *sps, uint32_t depth)
{
  sps->reorder_known = true;
  sps->reorder_depth = depth < MEDIA_REORDER_MAX ? depth : MEDIA_REORDER_MAX;
}

/* Aspect ratio, overscan, video signal and chroma location: the same bits in both codecs. */
static void skip_vui_picture(struct bits *b)
{
  if (bits_flag(b) && bits_get(b, 8) == EXTENDED_SAR)
    bits_skip(b, 32);
  if (bits_flag(b))
    bits_flag(b);
  if (bits_flag(b)) {
    bits_skip(b, 4);
    if (bits_flag(b))
      bits_skip(b, 24);
  }
  if (bits_flag(b)) {
    bits_ue(b);
    bits_ue(b);
  }
}

static void h264_vui(struct bits *b, struct h26x_sps *sps)
{
  skip_vui_picture(b);
  if (bits_flag(b)) {
    uint32_t unit = bits_get(b, 32);
    uint32_t scale = bits_get(b, 32);
    bool fixed = bits_flag(b);
    /*
     * A tick is a field, so a frame takes two of them. Encoders that take any frame rate clear
     * `fixed` and still write the usual one, or else a clock of milliseconds and the like.
     */
    if (!b->failed)
      set_fps(sps, scale, (uint64_t)unit * 2, fixed ? FPS_MAX : FPS_MAX_VARIABLE);
  }
  bool nal = bits_flag(b);
  if (nal)
    h264_skip_hrd(b);
  bool vcl = bits_flag(b);
  if (vcl)
    h264_skip_hrd(b);
  if (nal || vcl)
    bits_flag(b);
  bits_flag(b);
  if (!bits_flag(b))
    return;
  bits_flag(b);
  for (int i = 0; i < 4; i++)
    bits_ue(b);
  uint32_t depth = bits_ue(b);
  if (!b->failed)
    set_reorder(sps, depth);
}

static void set_size(struct h26x_sps *sps, int64_t width, int64_t height)
{
  if (width > 0 && height > 0 && width <= DIMENSION_MAX && height <= DIMENSION_MAX) {
    sps->width = (uint32_t)width;
    sps->height = (uint32_t)height;
  }
}

static void h264_size(struct bits *b, uint32_t chroma, struct h26x_sps *sps)
{
  int64_t width = ((int64_t)bits_ue(b) + 1) * 16;
  int64_t height = ((int64_t)bits_ue(b) + 1) * 16;
  bool frames_only = bits_flag(b);
  if (!frames_only) {
    height *= 2;
    bits_flag(b);
  }
  bits_flag(b);
  if (bits_flag(b)) {
    int64_t x = chroma == 1 || chroma == 2 ? 2 : 1;
    int64_t y = (chroma == 1 ? 2 : 1) * (frames_only ? 1 : 2);
    width -= ((int64_t)bits_ue(b) + bits_ue(b)) * x;
    height -= ((int64_t)bits_ue(b) + bits_ue(b)) * y;
  }
  if (!b->failed)
    set_size(sps, width, height);
}

int h264_sps_parse(const uint8_t *nal, size_t len, struct h26x_sps *ret_sps)
{
  uint8_t raw[SPS_MAX];
  if (len > sizeof(raw))
    return -EMSGSIZE;
  if (len < 4 || (nal[0] & 0x1f) != H264_NAL_SPS)
    return -EPROTO;
  struct bits b = {.data = raw, .len = unescape(nal + 1, len - 1, raw) * 8};
  struct h26x_sps sps = {0};
  uint8_t profile = (uint8_t)bits_get(&b, 8);
  bits_skip(&b, 16);
  bits_ue(&b);
  uint32_t chroma = h264_chroma_info(&b, profile);
  bits_ue(&b);
  uint32_t poc_type = h264_poc_type(&b);
  uint32_t refs = bits_ue(&b);
  bits_flag(&b);
  h264_size(&b, chroma, &sps);
  if (b.failed)
    return -EPROTO;
  if (bits_flag(&b))
    h264_vui(&b, &sps);
  /* Output order is decoding order without B slices (Baseline) and with this way of counting. */
  if (profile == 66 || poc_type == 2)
    set_reorder(&sps, 0);
  else if (!sps.reorder_known)
    sps.reorder_depth = refs < MEDIA_REORDER_MAX ? refs : MEDIA_REORDER_MAX;
  *ret_sps = sps;
  return 0;
}

static void h265_skip_profile_tier_level(struct bits *b, unsigned sub_layers)
{
  bits_skip(b, 88 + 8);
  bool profile[8] = {false}, level[8] = {false};
  for (unsigned i = 0; i < sub_layers; i++) {
    profile[i] = bits_flag(b);
    level[i] = bits_flag(b);
  }
  if (sub_layers > 0)
    bits_skip(b, 2 * (8 - sub_layers));
  for (unsigned i = 0; i < sub_layers; i++)
    bits_skip(b, (profile[i] ? 88u : 0u) + (level[i] ? 8u : 0u));
}

static void h265_size(struct bits *b, struct h26x_sps *sps)
{
  uint32_t chroma = bits_ue(b);
  if (chroma == 3 && bits_flag(b))
    chroma = 0;
  int64_t width = bits_ue(b);
  int64_t height = bits_ue(b);
  if (bits_flag(b)) {
    width -= ((int64_t)bits_ue(b) + bits_ue(b)) * (chroma == 1 || chroma == 2 ? 2 : 1);
    height -= ((int64_t)bits_ue(b) + bits_ue(b)) * (chroma == 1 ? 2 : 1);
  }
  if (!b->failed)
    set_size(sps, width, height);
}

int h265_sps_parse(const uint8_t *nal, size_t len, struct h26x_sps *ret_sps)
{
  uint8_t raw[SPS_MAX];
  if (len > sizeof(raw))
    return -EMSGSIZE;
  if (len < 4 || (nal[0] >> 1 & 0x3f) != H265_NAL_SPS)
    return -EPROTO;
  struct bits b = {.data = raw, .len = unescape(nal + 2, len - 2, raw) * 8};
  struct h26x_sps sps = {0};
  bits_skip(&b, 4);
  unsigned sub_layers = bits_get(&b, 3);
  bits_flag(&b);
  h265_skip_profile_tier_level(&b, sub_layers);
  bits_ue(&b);
  h265_size(&b, &sps);
  bits_ue(&b); /* bit depths */
  bits_ue(&b);
  bits_ue(&b);
  bool each_layer = bits_flag(&b);
  uint32_t depth = 0;
  /* The last sub-layer's values are those of the whole stream. */
  for (unsigned i = each_layer ? 0 : sub_layers; i <= sub_layers; i++) {
    bits_ue(&b);
    depth = bits_ue(&b);
    bits_ue(&b);
  }
  if (b.failed)
    return -EPROTO;
  set_reorder(&sps, depth);
  *ret_sps = sps;
  return 0;
}
