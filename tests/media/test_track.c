/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Times, frame rates, decoding times, and the codec records that no clip has. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "media/annexb.h"
#include "media/codec_config.h"
#include "media/decode_times.h"
#include "media/h26x_sps.h"

static void rescale(void **state)
{
  static const uint32_t scales[] = {1, 24, 1000, 12800, 15360, 30000, 44100, 48000, 90000, 999983};
  uint64_t seed = 0xa4093822299f31d0;
  for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
    for (int k = 0; k < 1000; k++) {
      int64_t ticks = (int64_t)(clip_random(&seed) >> 24) - (INT64_C(1) << 39);
      int64_t us = media_rescale(ticks, scales[i], MEDIA_US);
      assert_int_equal(media_rescale(us, MEDIA_US, scales[i]), ticks);
    }
  }
  assert_int_equal(media_rescale(-3, 2, 1), -2);
  assert_int_equal(media_rescale(3, 2, 1), 2);
  assert_int_equal(media_rescale(INT64_MAX, 1, MEDIA_US), INT64_MAX);
  assert_int_equal(media_rescale(INT64_MIN, 1, MEDIA_US), -INT64_MAX);
  assert_int_equal(media_rescale(UINT32_MAX - 1, UINT32_MAX, UINT32_MAX - 1), UINT32_MAX - 2);
}

static void framerates(void **state)
{
  static const struct {
    double fps;
    uint32_t num, den, timescale;
  } rows[] = {
      {25, 25, 1, 12800},          {30, 30, 1, 15360},           {60, 60, 1, 15360},
      {29.97, 30000, 1001, 30000}, {23.976, 24000, 1001, 24000}, {59.94006, 60000, 1001, 60000},
      {24.0, 24, 1, 12288},        {12.5, 12500, 1000, 12500},   {0, 0, 0, MEDIA_US},
      {-1, 0, 0, MEDIA_US},        {1e9, 0, 0, MEDIA_US},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct media_track t = {.kind = MEDIA_VIDEO};
    media_track_set_framerate(&t, rows[i].fps);
    assert_int_equal(t.framerate_num, rows[i].num);
    assert_int_equal(t.framerate_den, rows[i].den);
    assert_int_equal(media_track_pick_timescale(&t), rows[i].timescale);
  }
  struct media_track audio = {.kind = MEDIA_AUDIO, .sample_rate = 44100};
  assert_int_equal(media_track_pick_timescale(&audio), 44100);
}

static void check_times(uint32_t depth, const int64_t *pts, const int64_t *dts, size_t n)
{
  struct decode_times d;
  decode_times_init(&d, depth, 10);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(decode_times_next(&d, pts[i]), dts[i]);
}

static void decoding_times(void **state)
{
  const int64_t plain[] = {5, 15, 25, 35};
  check_times(0, plain, plain, 4);
  /* I P B B P B B, and the same from time 0 on, where there is no room before it. */
  const int64_t late[] = {20, 50, 30, 40, 80, 60, 70}, late_dts[] = {10, 20, 30, 40, 50, 60, 70};
  check_times(1, late, late_dts, 7);
  const int64_t two[] = {20, 60, 40, 30, 50, 100}, two_dts[] = {0, 10, 20, 30, 40, 50};
  check_times(2, two, two_dts, 6);
  const int64_t zero[] = {0, 30, 10, 20, 60}, zero_dts[] = {0, 1, 10, 20, 30};
  check_times(1, zero, zero_dts, 5);
  /* Too little depth: times still go up. */
  const int64_t wrong[] = {0, 30, 10, 20, 40}, wrong_dts[] = {0, 30, 31, 32, 40};
  check_times(0, wrong, wrong_dts, 5);
  const int64_t same[] = {10, 10, 10, 11}, same_dts[] = {10, 10, 10, 11};
  check_times(0, same, same_dts, 4);
}

static void check_reordered(uint32_t depth, uint64_t *seed)
{
  struct decode_times d;
  int64_t last = -1, window[MEDIA_REORDER_MAX + 1];
  uint32_t held = 0;
  int64_t next = (int64_t)(depth + 2) * 10;
  decode_times_init(&d, depth, 10);
  for (int i = 0; i < 500; i++) {
    /* Any order in which a decoder with `depth` frames of room can still put them right. */
    while (held <= depth) {
      window[held++] = next;
      next += 10;
    }
    uint32_t pick = i % (int)(depth + 1) == (int)depth ? 0 : (uint32_t)(clip_random(seed) % held);
    int64_t pts = window[pick];
    memmove(window + pick, window + pick + 1, (--held - pick) * sizeof(window[0]));
    int64_t dts = decode_times_next(&d, pts);
    assert_true(dts > last);
    last = dts;
  }
}

static void decoding_times_grow(void **state)
{
  uint64_t seed = 0x082efa98ec4e6c89;
  for (uint32_t depth = 0; depth <= MEDIA_REORDER_MAX; depth++)
    check_reordered(depth, &seed);
}

static void vp9_and_av1_strings(void **state)
{
  static const struct {
    uint8_t bytes[12];
    const char *codec;
  } vp9[] = {
      {{1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0}, "vp09.00.31.08"},
      {{1, 0, 0, 0, 0, 0, 0x80, 2, 2, 2, 0, 0}, "vp09.00.10.08"},
      {{1, 0, 0, 0, 2, 50, 0xa3, 9, 16, 9, 0, 0}, "vp09.02.50.10.01.09.16.09.01"},
  };
  for (size_t i = 0; i < 3; i++) {
    struct media_track t = {0}, back = {0};
    assert_int_equal(media_config_vpcc(&t, vp9[i].bytes, 12), 0);
    assert_string_equal(t.codec_string, vp9[i].codec);
    assert_int_equal(media_codec_from_string(&back, t.codec_string), 0);
    assert_int_equal(media_config_synthesize(&back), 0);
    assert_int_equal(back.config_len, 12);
    media_track_destroy(&t);
    assert_int_equal(media_config_vpcc(&t, back.config, 12), 0);
    assert_string_equal(t.codec_string, vp9[i].codec);
    media_track_destroy(&t);
    media_track_destroy(&back);
  }
  static const struct {
    uint8_t bytes[4];
    const char *codec;
  } av1[] = {
      {{0x81, 0x04, 0x0c, 0}, "av01.0.04M.08"},
      {{0x81, 0x0d, 0xcc, 0}, "av01.0.13H.10"},
      {{0x81, 0x04, 0x1c, 0}, "av01.0.04M.08.1.110.01.01.01.0"},
      {{0x81, 0x24, 0x00, 0}, "av01.1.04M.08.0.000.01.01.01.0"},
      {{0x81, 0x48, 0x68, 0}, "av01.2.08M.12.0.100.01.01.01.0"},
  };
  for (size_t i = 0; i < 5; i++) {
    struct media_track t = {0}, back = {0};
    assert_int_equal(media_config_av1c(&t, av1[i].bytes, 4), 0);
    assert_string_equal(t.codec_string, av1[i].codec);
    assert_int_equal(media_codec_from_string(&back, t.codec_string), 0);
    assert_int_equal(media_config_synthesize(&back), 0);
    assert_memory_equal(back.config, av1[i].bytes, 4);
    media_track_destroy(&t);
    media_track_destroy(&back);
  }
}

static void audio_records(void **state)
{
  static const struct {
    uint8_t bytes[5];
    size_t len;
    const char *codec;
    uint32_t rate, channels;
  } rows[] = {
      {{0x12, 0x10}, 2, "mp4a.40.2", 44100, 2},
      {{0x11, 0xb0}, 2, "mp4a.40.2", 48000, 6},
      {{0x2b, 0x92, 0x08, 0x00}, 4, "mp4a.40.5", 44100, 2},
      {{0x17, 0x80, 0x5d, 0xc0, 0x10}, 5, "mp4a.40.2", 48000, 2},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct media_track t = {.kind = MEDIA_AUDIO};
    assert_int_equal(media_config_asc(&t, rows[i].bytes, rows[i].len), 0);
    assert_string_equal(t.codec_string, rows[i].codec);
    assert_int_equal(t.sample_rate, rows[i].rate);
    assert_int_equal(t.channels, rows[i].channels);
    media_track_destroy(&t);
  }
  struct media_track t = {.kind = MEDIA_AUDIO, .sample_rate = 44100, .channels = 2};
  assert_int_equal(media_codec_from_string(&t, "mp4a.40.2"), 0);
  assert_int_equal(media_config_synthesize(&t), 0);
  assert_memory_equal(t.config, rows[0].bytes, 2);
  media_track_destroy(&t);
  t = (struct media_track){.kind = MEDIA_AUDIO, .sample_rate = 48000, .channels = 2};
  assert_int_equal(media_codec_from_string(&t, "opus"), 0);
  assert_int_equal(media_config_synthesize(&t), 0);
  assert_int_equal(t.config_len, 11);
  media_track_destroy(&t);
  const uint8_t head[] = {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 2, 0x38, 1, 0x80, 0xbb, 0x00, 0, 0xfe, 0xff, 0};
  const uint8_t dops[] = {0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0xff, 0xfe, 0};
  assert_int_equal(media_config_opus(&t, head, sizeof(head)), 0);
  assert_int_equal(t.config_len, sizeof(dops));
  assert_memory_equal(t.config, dops, sizeof(dops));
  media_track_destroy(&t);
  for (size_t n = 0; n < sizeof(head); n++)
    assert_int_equal(media_config_opus(&t, head, n), -EPROTO);
}

typedef int (*record_parser)(struct media_track *t, const uint8_t *p, size_t len);

static int parse_avcc(struct media_track *t, const uint8_t *p, size_t len)
{
  return media_config_avcc(t, "avc1", p, len);
}
static int parse_hvcc(struct media_track *t, const uint8_t *p, size_t len)
{
  return media_config_hvcc(t, "hvc1", p, len);
}
static int parse_annexb(struct media_track *t, const uint8_t *p, size_t len)
{
  return annexb_h264_config(t, p, len);
}

/* A parser on its own exact allocation, so that no read beyond the end goes unseen. */
static void hurt(record_parser parser, const uint8_t *p, size_t len, uint64_t *seed)
{
  for (int i = 0; i < 2000; i++) {
    size_t n = i < (int)len ? (size_t)i : len;
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n)
      memcpy(copy, p, n);
    for (int k = 0; n && i >= (int)len && k < 3; k++)
      copy[clip_random(seed) % n] = (uint8_t)clip_random(seed);
    struct media_track t = {0};
    parser(&t, copy, n);
    assert_true(memchr(t.codec_string, 0, sizeof(t.codec_string)) != NULL);
    assert_true(t.reorder_depth <= MEDIA_REORDER_MAX);
    media_track_destroy(&t);
    free(copy);
  }
}

static void damaged_records(void **state)
{
  static const uint8_t esds[] = {0,    0,    0,    0,    3, 0x80, 0x80, 0x80, 0x22, 0,    2,    0, 4, 0x80, 0x80,
                                 0x80, 0x14, 0x40, 0x15, 0, 0,    0,    0,    0,    0x7d, 0,    0, 0, 0x7d, 0,
                                 5,    0x80, 0x80, 0x80, 2, 0x12, 0x10, 6,    0x80, 0x80, 0x80, 1, 2};
  uint64_t seed = 0x452821e638d01377;
  struct media_track t = {0};
  assert_int_equal(media_config_esds(&t, esds, sizeof(esds)), 0);
  assert_int_equal(t.bitrate, 32000);
  assert_string_equal(t.codec_string, "mp4a.40.2");
  media_track_destroy(&t);
  hurt(media_config_esds, esds, sizeof(esds), &seed);

  struct media_buf in = clip_load("h264-aac.mp4");
  struct clip_samples s;
  clip_read(in.data, in.len, NULL, NULL, NULL, &s);
  hurt(parse_avcc, s.tracks[0].config, s.tracks[0].config_len, &seed);
  hurt(media_config_asc, s.tracks[1].config, s.tracks[1].config_len, &seed);
  clip_samples_destroy(&s);
  media_buf_destroy(&in);
  in = clip_load("hevc.mp4");
  clip_read(in.data, in.len, NULL, NULL, NULL, &s);
  hurt(parse_hvcc, s.tracks[0].config, s.tracks[0].config_len, &seed);
  clip_samples_destroy(&s);
  media_buf_destroy(&in);

  static const uint8_t stream[] = {0,    0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5,
                                   0xc0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0,    0,    1,    0x65, 1};
  assert_int_equal(annexb_h264_config(&t, stream, sizeof(stream)), 0);
  assert_string_equal(t.codec_string, "avc1.42c01e");
  assert_int_equal(t.reorder_depth, 0);
  media_track_destroy(&t);
  hurt(parse_annexb, stream, sizeof(stream), &seed);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rescale),
      cmocka_unit_test(framerates),
      cmocka_unit_test(decoding_times),
      cmocka_unit_test(decoding_times_grow),
      cmocka_unit_test(vp9_and_av1_strings),
      cmocka_unit_test(audio_records),
      cmocka_unit_test(damaged_records),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
