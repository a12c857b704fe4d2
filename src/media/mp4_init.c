/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/mp4_init.h"

#include <errno.h>

#include "media/mp4_sample_entry.h"

#define MOVIE_TIMESCALE 1000
#define ONE_16_16 0x00010000u
#define ONE_8_8 0x0100
#define ONE_2_30 0x40000000u
#define MINUS_ONE_16_16 0xffff0000u
#define TRACK_ENABLED_IN_MOVIE 3
#define DATA_IN_THIS_FILE 1
#define LANGUAGE_UND 0x55c4

static void put_ftyp(struct media_buf *b)
{
  size_t box = media_buf_box(b, "ftyp");
  media_buf_put(b, "iso5", 4);
  media_buf_u32(b, 0x200);
  media_buf_put(b, "iso5iso6mp41", 12);
  media_buf_end_box(b, box);
}

/* The matrices of the four quarter turns (8.3.2.3); without translation, as players expect. */
static void put_matrix(struct media_buf *b, uint32_t rotation)
{
  static const uint32_t turns[4][4] = {
      {ONE_16_16, 0, 0, ONE_16_16},
      {0, ONE_16_16, MINUS_ONE_16_16, 0},
      {MINUS_ONE_16_16, 0, 0, MINUS_ONE_16_16},
      {0, MINUS_ONE_16_16, ONE_16_16, 0},
  };
  const uint32_t *m = turns[rotation / 90 % 4];
  const uint32_t matrix[9] = {m[0], m[1], 0, m[2], m[3], 0, 0, 0, ONE_2_30};
  for (int i = 0; i < 9; i++)
    media_buf_u32(b, matrix[i]);
}

static void put_mvhd(struct media_buf *b, size_t tracks)
{
  size_t box = media_buf_full_box(b, "mvhd", 0, 0);
  media_buf_zero(b, 8);
  media_buf_u32(b, MOVIE_TIMESCALE);
  media_buf_u32(b, 0);
  media_buf_u32(b, ONE_16_16);
  media_buf_u16(b, ONE_8_8);
  media_buf_zero(b, 10);
  put_matrix(b, 0);
  media_buf_zero(b, 24);
  media_buf_u32(b, (uint32_t)tracks + 1);
  media_buf_end_box(b, box);
}

static uint32_t fixed_16_16(uint32_t v)
{
  return v <= UINT16_MAX ? v << 16 : 0;
}

static void put_tkhd(struct media_buf *b, const struct media_track *t, uint32_t id)
{
  size_t box = media_buf_full_box(b, "tkhd", 0, TRACK_ENABLED_IN_MOVIE);
  media_buf_zero(b, 8);
  media_buf_u32(b, id);
  media_buf_zero(b, 4 + 4 + 8 + 4);
  media_buf_u16(b, t->kind == MEDIA_AUDIO ? ONE_8_8 : 0);
  media_buf_zero(b, 2);
  put_matrix(b, t->rotation);
  bool shaped = t->display_width && t->display_height;
  media_buf_u32(b, fixed_16_16(shaped ? t->display_width : t->width));
  media_buf_u32(b, fixed_16_16(shaped ? t->display_height : t->height));
  media_buf_end_box(b, box);
}

static void put_mdhd(struct media_buf *b, const struct media_track *t)
{
  size_t box = media_buf_full_box(b, "mdhd", 0, 0);
  media_buf_zero(b, 8);
  media_buf_u32(b, t->timescale);
  media_buf_u32(b, 0);
  media_buf_u16(b, LANGUAGE_UND);
  media_buf_u16(b, 0);
  media_buf_end_box(b, box);
}

static void put_hdlr(struct media_buf *b, const struct media_track *t)
{
  bool video = t->kind == MEDIA_VIDEO;
  size_t box = media_buf_full_box(b, "hdlr", 0, 0);
  media_buf_u32(b, 0);
  media_buf_put(b, video ? "vide" : "soun", 4);
  media_buf_zero(b, 12);
  media_buf_put(b, video ? "VideoHandler" : "SoundHandler", 13);
  media_buf_end_box(b, box);
}

static void put_media_header(struct media_buf *b, const struct media_track *t)
{
  size_t box;
  if (t->kind == MEDIA_VIDEO) {
    box = media_buf_full_box(b, "vmhd", 0, 1);
    media_buf_zero(b, 8);
  } else {
    box = media_buf_full_box(b, "smhd", 0, 0);
    media_buf_zero(b, 4);
  }
  media_buf_end_box(b, box);
}

static void put_dinf(struct media_buf *b)
{
  size_t dinf = media_buf_box(b, "dinf");
  size_t dref = media_buf_full_box(b, "dref", 0, 0);
  media_buf_u32(b, 1);
  media_buf_end_box(b, media_buf_full_box(b, "url ", 0, DATA_IN_THIS_FILE));
  media_buf_end_box(b, dref);
  media_buf_end_box(b, dinf);
}

/* The sample tables are there and empty: all samples are in fragments. */
static int put_stbl(struct media_buf *b, const struct media_track *t)
{
  static const char *const empty[] = {"stts", "stsc", "stsz", "stco"};
  size_t stbl = media_buf_box(b, "stbl");
  size_t stsd = media_buf_full_box(b, "stsd", 0, 0);
  media_buf_u32(b, 1);
  int rv = mp4_put_sample_entry(b, t);
  media_buf_end_box(b, stsd);
  for (int i = 0; i < 4; i++) {
    size_t box = media_buf_full_box(b, empty[i], 0, 0);
    media_buf_zero(b, i == 2 ? 8 : 4);
    media_buf_end_box(b, box);
  }
  media_buf_end_box(b, stbl);
  return rv;
}

static int put_trak(struct media_buf *b, const struct media_track *t, uint32_t id)
{
  size_t trak = media_buf_box(b, "trak");
  put_tkhd(b, t, id);
  size_t mdia = media_buf_box(b, "mdia");
  put_mdhd(b, t);
  put_hdlr(b, t);
  size_t minf = media_buf_box(b, "minf");
  put_media_header(b, t);
  put_dinf(b);
  int rv = put_stbl(b, t);
  media_buf_end_box(b, minf);
  media_buf_end_box(b, mdia);
  media_buf_end_box(b, trak);
  return rv;
}

static void put_mvex(struct media_buf *b, size_t count)
{
  size_t mvex = media_buf_box(b, "mvex");
  for (size_t i = 0; i < count; i++) {
    size_t trex = media_buf_full_box(b, "trex", 0, 0);
    media_buf_u32(b, (uint32_t)i + 1);
    media_buf_u32(b, 1);
    media_buf_zero(b, 12);
    media_buf_end_box(b, trex);
  }
  media_buf_end_box(b, mvex);
}

int mp4_put_init(struct media_buf *b, const struct media_track *tracks, size_t count)
{
  put_ftyp(b);
  size_t moov = media_buf_box(b, "moov");
  put_mvhd(b, count);
  for (size_t i = 0; i < count; i++) {
    if (tracks[i].timescale == 0)
      return -EINVAL;
    int rv = put_trak(b, &tracks[i], (uint32_t)i + 1);
    if (rv < 0)
      return rv;
  }
  put_mvex(b, count);
  media_buf_end_box(b, moov);
  return media_buf_error(b);
}
