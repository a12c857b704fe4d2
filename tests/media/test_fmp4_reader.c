/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"

#define FLIPS_PER_CLIP 300
#define CUT_ROUNDS 5

struct expected {
  const char *name;
  const char *video, *audio;
  size_t frames, packets, keyframes;
  uint32_t timescale, fps_num, fps_den, reorder;
  uint32_t sample_rate, channels;
  int64_t first_video_dts, first_video_pts, first_audio_pts;
};

static const struct expected clips[] = {
    {"h264-aac.mp4", "avc1.64000b", "mp4a.40.2", 30, 53, 3, 12800, 25, 1, 2, 44100, 2, 0, 1024, 0},
    {"h264-aac-every.mp4", "avc1.64000b", "mp4a.40.2", 30, 53, 3, 12800, 25, 1, 2, 44100, 2, 0, 1024, 0},
    {"h264-aac-edit.mp4", "avc1.64000b", "mp4a.40.2", 30, 53, 3, 12800, 25, 1, 2, 44100, 2, -1024, 0, -1024},
    {"h264-aac-base.mp4", "avc1.64000b", "mp4a.40.2", 30, 53, 3, 30000, 30000, 1001, 2, 44100, 2, 0, 2002, 0},
    {"vp9-opus.mp4", "vp09.00.10.08", "opus", 30, 61, 3, 12800, 25, 1, 0, 48000, 1, 0, 0, 0},
    {"av1-opus.mp4", "av01.0.00M.08", "opus", 15, 31, 2, 12800, 25, 1, 0, 48000, 1, 0, 0, -312},
    {"av1-bare.mp4", "av01.0.00M.08", NULL, 5, 0, 1, 12800, 25, 1, 0, 0, 0, 0, 0, 0},
    {"hevc.mp4", "hvc1.1.6.L30.90", NULL, 15, 0, 2, 12800, 25, 1, 2, 0, 0, 0, 1024, 0},
};
#define CLIPS (sizeof(clips) / sizeof(clips[0]))

static size_t cut_one(void *arg)
{
  return 1;
}

static size_t cut_random(void *arg)
{
  uint64_t r = clip_random(arg);
  return 1 + (r & 1 ? r >> 8 & 15 : r >> 8 & 4095);
}

static void check_tracks(const struct expected *e, const struct clip_samples *s)
{
  const struct media_track *v = &s->tracks[0];
  assert_int_equal(s->track_count, e->audio ? 2 : 1);
  assert_string_equal(v->codec_string, e->video);
  assert_int_equal(v->kind, MEDIA_VIDEO);
  assert_int_equal(v->width, 160);
  assert_int_equal(v->height, 90);
  assert_int_equal(v->timescale, e->timescale);
  assert_int_equal(v->framerate_num, e->fps_num);
  assert_int_equal(v->framerate_den, e->fps_den);
  assert_int_equal(v->reorder_depth, e->reorder);
  assert_true(v->reorder_known);
  if (!e->audio)
    return;
  const struct media_track *a = &s->tracks[1];
  assert_string_equal(a->codec_string, e->audio);
  assert_int_equal(a->kind, MEDIA_AUDIO);
  assert_int_equal(a->sample_rate, e->sample_rate);
  assert_int_equal(a->channels, e->channels);
  assert_non_null(a->config);
}

static void check_samples(const struct expected *e, const struct clip_samples *s)
{
  size_t frames = 0, packets = 0, keyframes = 0;
  int64_t last[2] = {INT64_MIN, INT64_MIN};
  for (size_t i = 0; i < s->count; i++) {
    const struct clip_sample *p = &s->items[i];
    if (p->track == 0 && frames++ == 0) {
      assert_int_equal(p->dts, e->first_video_dts);
      assert_int_equal(p->pts, e->first_video_pts);
      assert_true(p->keyframe);
    }
    if (p->track == 1 && packets++ == 0)
      assert_int_equal(p->pts, e->first_audio_pts);
    if (p->track == 1)
      assert_true(p->keyframe);
    keyframes += p->track == 0 && p->keyframe;
    assert_true(p->dts >= last[p->track]);
    assert_true(p->pts >= p->dts);
    last[p->track] = p->dts;
  }
  assert_int_equal(frames, e->frames);
  assert_int_equal(packets, e->packets);
  assert_int_equal(keyframes, e->keyframes);
}

static void whole_clips(void **state)
{
  for (size_t i = 0; i < CLIPS; i++) {
    struct media_buf b = clip_load(clips[i].name);
    struct clip_samples s;
    clip_read(b.data, b.len, NULL, NULL, NULL, &s);
    if (s.result != 0)
      fail_msg("%s: %s", clips[i].name, s.error);
    assert_int_equal(s.tracks_calls, 1);
    check_tracks(&clips[i], &s);
    check_samples(&clips[i], &s);
    clip_samples_destroy(&s);
    media_buf_destroy(&b);
  }
}

static void any_cuts_give_the_same(void **state)
{
  uint64_t seed = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < CLIPS; i++) {
    struct media_buf b = clip_load(clips[i].name);
    struct clip_samples whole, s;
    clip_read(b.data, b.len, NULL, NULL, NULL, &whole);
    for (int round = 0; round <= CUT_ROUNDS; round++) {
      clip_read(b.data, b.len, NULL, round ? cut_random : cut_one, &seed, &s);
      assert_int_equal(s.result, 0);
      assert_int_equal(s.count, whole.count);
      clip_assert_same(&whole, &s, whole.count);
      clip_samples_destroy(&s);
    }
    clip_samples_destroy(&whole);
    media_buf_destroy(&b);
  }
}

/* Every prefix gives the samples that are whole in it, and never anything else. */
static void every_prefix(void **state)
{
  for (size_t i = 0; i < CLIPS; i++) {
    struct media_buf b = clip_load(clips[i].name);
    struct clip_samples whole, s;
    clip_read(b.data, b.len, NULL, NULL, NULL, &whole);
    size_t step = b.len > 8192 ? 7 : 1;
    size_t before = 0;
    for (size_t len = 0; len < b.len; len += step) {
      clip_read(b.data, len, NULL, NULL, NULL, &s);
      assert_true(s.result == 0 || s.result == -ENODATA);
      assert_true(s.count >= before);
      clip_assert_same(&whole, &s, s.count);
      before = s.count;
      clip_samples_destroy(&s);
    }
    assert_true(before > whole.count / 2);
    clip_samples_destroy(&whole);
    media_buf_destroy(&b);
  }
}

/* Damaged bytes may give errors or other samples, but nothing that a sanitizer objects to. */
static void flipped_bits(void **state)
{
  uint64_t seed = 0x243f6a8885a308d3;
  size_t failed = 0;
  for (size_t i = 0; i < CLIPS; i++) {
    struct media_buf b = clip_load(clips[i].name);
    for (int flip = 0; flip < FLIPS_PER_CLIP; flip++) {
      uint64_t r = clip_random(&seed);
      /* Half of them hit the header, where the damage is worst. */
      size_t at = (r >> 8) % (r & 8 ? b.len : (b.len < 1600 ? b.len : 1600));
      uint8_t saved = b.data[at];
      b.data[at] = r & 16 ? (uint8_t)(saved ^ 1u << (r & 7)) : (uint8_t)(r >> 40);
      struct clip_samples s;
      clip_read(b.data, b.len, NULL, r & 32 ? cut_random : NULL, &seed, &s);
      failed += s.result != 0;
      clip_samples_destroy(&s);
      b.data[at] = saved;
    }
    media_buf_destroy(&b);
  }
  assert_true(failed > 0);
}

static void other_kinds_are_refused(void **state)
{
  static const char *const names[] = {"progressive.mp4", "faststart.mp4"};
  for (size_t i = 0; i < 2; i++) {
    struct media_buf b = clip_load(names[i]);
    struct clip_samples s;
    clip_read(b.data, b.len, NULL, NULL, NULL, &s);
    assert_int_equal(s.result, -ENOTSUP);
    assert_non_null(strstr(s.error, " at byte "));
    assert_non_null(strstr(s.error, "ffmpeg"));
    assert_non_null(strstr(s.error, "+frag_keyframe+empty_moov+default_base_moof"));
    clip_samples_destroy(&s);
    media_buf_destroy(&b);
  }
  struct clip_samples s;
  const char ts[] = "G@\x11\x10 this is some transport stream, not MP4 at all";
  clip_read((const uint8_t *)ts, sizeof(ts), NULL, NULL, NULL, &s);
  assert_int_equal(s.result, -ENOTSUP);
  assert_non_null(strstr(s.error, "no MP4"));
  clip_samples_destroy(&s);
  clip_read((const uint8_t *)ts, 0, NULL, NULL, NULL, &s);
  assert_int_equal(s.result, -ENODATA);
  clip_samples_destroy(&s);
}

static void limits_hold(void **state)
{
  static const struct {
    struct fmp4_limits limits;
    const char *word;
  } rows[] = {
      {{.max_header = 500}, "over the limit of 500"},
      {{.max_sample = 200}, "the limit is 200"},
      {{.max_tracks = 1}, "more than 1 tracks"},
      {{.max_pending = 5}, "5"},
  };
  struct media_buf b = clip_load("h264-aac.mp4");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct clip_samples s;
    clip_read(b.data, b.len, &rows[i].limits, NULL, NULL, &s);
    assert_int_equal(s.result, -EPROTO);
    if (!strstr(s.error, rows[i].word))
      fail_msg("\"%s\" lacks \"%s\"", s.error, rows[i].word);
    clip_samples_destroy(&s);
  }
  media_buf_destroy(&b);
}

static int refuse(void *arg, const struct fmp4_sample *s)
{
  return -ECANCELED;
}

static void a_callback_can_stop(void **state)
{
  struct fmp4_reader_events events = {.sample = refuse};
  struct media_buf b = clip_load("h264-aac.mp4");
  struct fmp4_reader *r = fmp4_reader_new(NULL, &events, NULL);
  assert_int_equal(fmp4_reader_feed(r, b.data, b.len), -ECANCELED);
  assert_int_equal(fmp4_reader_feed(r, b.data, 1), -ECANCELED);
  assert_int_equal(fmp4_reader_finish(r), -ECANCELED);
  fmp4_reader_free(r);
  media_buf_destroy(&b);
}

/* Samples come out before the rest of their mdat is there. */
static void samples_do_not_wait(void **state)
{
  struct media_buf b = clip_load("h264-aac-base.mp4");
  struct clip_samples whole, s;
  clip_read(b.data, b.len, NULL, NULL, NULL, &whole);
  for (size_t i = 0; i + 8 < b.len; i++) {
    if (memcmp(b.data + i, "mdat", 4) != 0)
      continue;
    size_t first = whole.items[0].len;
    clip_read(b.data, i + 4 + first - 1, NULL, NULL, NULL, &s);
    assert_int_equal(s.count, 0);
    clip_samples_destroy(&s);
    clip_read(b.data, i + 4 + first, NULL, NULL, NULL, &s);
    assert_int_equal(s.count, 1);
    clip_samples_destroy(&s);
    break;
  }
  clip_samples_destroy(&whole);
  media_buf_destroy(&b);
}

static void edit_lists_give_a_lead(void **state)
{
  struct media_buf b = clip_load("h264-aac-edit.mp4");
  struct clip_samples s;
  clip_read(b.data, b.len, NULL, NULL, NULL, &s);
  /* 1024 ticks of 12800 for the video's decoding times, 1024 of 44100 for the audio. */
  assert_int_equal(s.lead_us, 80000);
  for (size_t i = 0; i < s.count; i++)
    assert_true(media_rescale(s.items[i].pts, s.tracks[s.items[i].track].timescale, MEDIA_US) + s.lead_us >= 0);
  clip_samples_destroy(&s);
  media_buf_destroy(&b);
  b = clip_load("h264-aac.mp4");
  clip_read(b.data, b.len, NULL, NULL, NULL, &s);
  assert_int_equal(s.lead_us, 0);
  clip_samples_destroy(&s);
  media_buf_destroy(&b);
}

/* As a player gets CMAF over the wire: the head from the catalog, fragments with some missing. */
static void fragments_may_be_missing(void **state)
{
  struct media_buf b = clip_load("h264-aac-every.mp4"), some = {0};
  struct clip_samples whole, s;
  clip_read(b.data, b.len, NULL, NULL, NULL, &whole);
  unsigned n = 0;
  bool keep = true;
  for (size_t at = 0; at + 8 <= b.len;) {
    const uint8_t *p = b.data + at;
    size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (memcmp(p + 4, "moof", 4) == 0)
      keep = ++n % 5 != 2;
    if (keep)
      media_buf_put(&some, p, size);
    at += size;
  }
  clip_read(some.data, some.len, NULL, NULL, NULL, &s);
  assert_int_equal(s.result, 0);
  assert_true(s.count < whole.count && s.count > whole.count / 2);
  size_t k = 0;
  for (size_t i = 0; i < s.count; i++, k++) {
    while (k < whole.count && (whole.items[k].track != s.items[i].track || whole.items[k].dts != s.items[i].dts ||
                               whole.items[k].len != s.items[i].len))
      k++;
    assert_true(k < whole.count);
    assert_int_equal(whole.items[k].pts, s.items[i].pts);
    assert_memory_equal(whole.bytes.data + whole.items[k].at, s.bytes.data + s.items[i].at, s.items[i].len);
  }
  clip_samples_destroy(&whole);
  clip_samples_destroy(&s);
  media_buf_destroy(&some);
  media_buf_destroy(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_clips),
      cmocka_unit_test(any_cuts_give_the_same),
      cmocka_unit_test(every_prefix),
      cmocka_unit_test(flipped_bits),
      cmocka_unit_test(other_kinds_are_refused),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(a_callback_can_stop),
      cmocka_unit_test(samples_do_not_wait),
      cmocka_unit_test(edit_lists_give_a_lead),
      cmocka_unit_test(fragments_may_be_missing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
