/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "media/codec_config.h"
#include "media/fmp4_writer.h"

/* Writes what a reader found, from presentation times alone; returns the file. */
static struct media_buf write_all(const struct clip_samples *s, size_t fragment_samples, bool with_dts)
{
  struct fmp4_writer_options options = {.fragment_samples = fragment_samples};
  struct fmp4_writer *w;
  struct media_buf out = {0};
  int64_t shift[8];
  assert_int_equal(fmp4_writer_new(s->tracks, s->track_count, &options, &w), 0);
  for (size_t i = 0; i < s->track_count; i++) {
    assert_int_equal(fmp4_writer_timescale(w, i), s->tracks[i].timescale);
    shift[i] = media_rescale(s->lead_us, MEDIA_US, s->tracks[i].timescale);
  }
  for (size_t i = 0; i < s->count; i++) {
    const struct clip_sample *p = &s->items[i];
    struct fmp4_writer_sample sample = {.track = p->track,
                                        .pts = p->pts + shift[p->track],
                                        .has_dts = with_dts,
                                        .dts = p->dts + shift[p->track],
                                        .keyframe = p->keyframe,
                                        .data = s->bytes.data + p->at,
                                        .len = p->len};
    assert_int_equal(fmp4_writer_add(w, &sample, &out), 0);
  }
  assert_int_equal(fmp4_writer_finish(w, &out), 0);
  assert_int_equal(fmp4_writer_dropped(w), 0);
  fmp4_writer_free(w);
  return out;
}

/* The next sample of a track at or after `from`. */
static const struct clip_sample *next_of(const struct clip_samples *s, size_t track, size_t *from)
{
  while (*from < s->count && s->items[*from].track != track)
    ++*from;
  return *from < s->count ? &s->items[(*from)++] : NULL;
}

/* Track by track: the same bytes, presentation times and decoding times, moved by the lead. */
static void assert_same_tracks(const struct clip_samples *a, const struct clip_samples *b)
{
  assert_int_equal(a->track_count, b->track_count);
  assert_int_equal(a->count, b->count);
  for (size_t t = 0; t < a->track_count; t++) {
    int64_t shift = media_rescale(a->lead_us, MEDIA_US, a->tracks[t].timescale);
    const struct clip_sample *x, *y;
    size_t i = 0, k = 0;
    assert_string_equal(a->tracks[t].codec_string, b->tracks[t].codec_string);
    assert_int_equal(a->tracks[t].config_len, b->tracks[t].config_len);
    assert_memory_equal(a->tracks[t].config, b->tracks[t].config, a->tracks[t].config_len);
    while ((x = next_of(a, t, &i)) && (y = next_of(b, t, &k))) {
      assert_int_equal(x->pts + shift, y->pts);
      assert_int_equal(x->dts + shift, y->dts);
      assert_int_equal(x->keyframe, y->keyframe);
      assert_int_equal(x->len, y->len);
      assert_memory_equal(a->bytes.data + x->at, b->bytes.data + y->at, x->len);
    }
    assert_null(next_of(b, t, &k));
  }
}

static void clips_survive(void **state)
{
  static const char *const names[] = {"h264-aac.mp4",      "h264-aac-every.mp4", "hevc.mp4",    "h264-aac-edit.mp4",
                                      "h264-aac-base.mp4", "vp9-opus.mp4",       "av1-opus.mp4"};
  static const size_t fragments[] = {1, 5, 1000};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    struct media_buf in = clip_load(names[i]);
    struct clip_samples before, after;
    clip_read(in.data, in.len, NULL, NULL, NULL, &before);
    for (size_t k = 0; k < 4; k++) {
      struct media_buf out = write_all(&before, fragments[k % 3], k == 3);
      clip_read(out.data, out.len, NULL, NULL, NULL, &after);
      if (after.result != 0)
        fail_msg("%s: %s", names[i], after.error);
      assert_same_tracks(&before, &after);
      clip_samples_destroy(&after);
      media_buf_destroy(&out);
    }
    clip_samples_destroy(&before);
    media_buf_destroy(&in);
  }
}

static const uint8_t vpcc[] = {1, 0, 0, 0, 0, 10, 0x82, 1, 1, 1, 0, 0};

static struct fmp4_writer *vp9_writer(void)
{
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 64, .height = 48};
  struct fmp4_writer *w;
  assert_int_equal(media_config_vpcc(&t, vpcc, sizeof(vpcc)), 0);
  assert_int_equal(fmp4_writer_new(&t, 1, NULL, &w), 0);
  assert_int_equal(fmp4_writer_timescale(w, 0), MEDIA_US);
  media_track_destroy(&t);
  return w;
}

static void odd_samples(void **state)
{
  struct fmp4_writer *w = vp9_writer();
  struct media_buf out = {0};
  uint8_t byte = 7;
  struct fmp4_writer_sample s = {.data = &byte, .len = 1, .keyframe = true};
  s.track = 1;
  assert_int_equal(fmp4_writer_add(w, &s, &out), -EINVAL);
  s.track = 0;
  s.pts = -1;
  assert_int_equal(fmp4_writer_add(w, &s, &out), -ERANGE);
  s.pts = 0;
  s.len = 0;
  assert_int_equal(fmp4_writer_add(w, &s, &out), -EINVAL);
  s.len = 1;
  assert_int_equal(fmp4_writer_add(w, &s, &out), 0);
  s.has_dts = true;
  s.dts = 1;
  s.pts = INT64_C(1) << 40;
  assert_int_equal(fmp4_writer_add(w, &s, &out), -ERANGE);
  s.pts = s.dts = 33333;
  assert_int_equal(fmp4_writer_add(w, &s, &out), 0);
  assert_int_equal(fmp4_writer_finish(w, &out), 0);
  struct clip_samples found;
  clip_read(out.data, out.len, NULL, NULL, NULL, &found);
  assert_int_equal(found.result, 0);
  assert_int_equal(found.count, 2);
  assert_int_equal(found.items[0].duration, 33333);
  assert_int_equal(found.items[1].duration, 33333);
  clip_samples_destroy(&found);
  media_buf_destroy(&out);
  fmp4_writer_free(w);
}

static void header_without_samples(void **state)
{
  struct fmp4_writer *w = vp9_writer();
  struct media_buf out = {0};
  struct clip_samples found;
  assert_int_equal(fmp4_writer_finish(w, &out), 0);
  clip_read(out.data, out.len, NULL, NULL, NULL, &found);
  assert_int_equal(found.result, 0);
  assert_int_equal(found.track_count, 1);
  assert_string_equal(found.tracks[0].codec_string, "vp09.00.10.08");
  clip_samples_destroy(&found);
  media_buf_destroy(&out);
  fmp4_writer_free(w);
}

static void impossible_tracks(void **state)
{
  struct media_track t = {.kind = MEDIA_VIDEO};
  struct fmp4_writer *w;
  assert_int_equal(fmp4_writer_new(&t, 0, NULL, &w), -EINVAL);
  assert_int_equal(fmp4_writer_new(&t, 1, NULL, &w), -EINVAL);
  assert_int_equal(media_codec_from_string(&t, "hvc1.1.6.L30.90"), 0);
  assert_int_equal(fmp4_writer_new(&t, 1, NULL, &w), -EINVAL);
}

/* Rewrites a length-prefixed access unit with start codes, parameter sets in front if asked. */
static void to_annexb(struct media_buf *b, const struct media_track *t, const uint8_t *p, size_t len,
                      bool parameter_sets)
{
  static const uint8_t code[] = {0, 0, 0, 1}, delimiter[] = {0, 0, 0, 1, 9, 0xf0};
  media_buf_put(b, delimiter, sizeof(delimiter));
  if (parameter_sets) {
    const uint8_t *c = t->config + 6;
    size_t sps = (size_t)c[0] << 8 | c[1];
    const uint8_t *d = c + 2 + sps + 1;
    size_t pps = (size_t)d[0] << 8 | d[1];
    media_buf_put(b, code, 4);
    media_buf_put(b, c + 2, sps);
    media_buf_put(b, code + 1, 3);
    media_buf_put(b, d + 2, pps);
  }
  for (size_t at = 0; at + 4 <= len;) {
    size_t n = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
    media_buf_put(b, code + (at ? 1 : 0), at ? 3 : 4);
    media_buf_put(b, p + at + 4, n);
    at += 4 + n;
  }
}

/* As a browser publishes: no configuration in the catalog, parameter sets in each keyframe. */
static void annexb_becomes_avcc(void **state)
{
  struct media_buf in = clip_load("h264-aac.mp4"), out = {0};
  struct clip_samples before, after;
  struct fmp4_writer *w;
  clip_read(in.data, in.len, NULL, NULL, NULL, &before);
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 160, .height = 90, .timescale = 12800};
  assert_int_equal(media_codec_from_string(&t, "avc1.64000b"), 0);
  assert_int_equal(fmp4_writer_new(&t, 1, NULL, &w), 0);
  bool first = true;
  size_t k = 0;
  const struct clip_sample *p;
  while ((p = next_of(&before, 0, &k))) {
    struct media_buf unit = {0};
    /* The first keyframe has no parameter sets and cannot be used. */
    to_annexb(&unit, &before.tracks[0], before.bytes.data + p->at, p->len, p->keyframe && !first);
    struct fmp4_writer_sample s = {.pts = p->pts, .keyframe = p->keyframe, .data = unit.data, .len = unit.len};
    assert_int_equal(fmp4_writer_add(w, &s, &out), 0);
    first = false;
    media_buf_destroy(&unit);
  }
  assert_int_equal(fmp4_writer_finish(w, &out), 0);
  assert_int_equal(fmp4_writer_dropped(w), 12);
  clip_read(out.data, out.len, NULL, NULL, NULL, &after);
  assert_int_equal(after.result, 0);
  assert_int_equal(after.count, 30 - 12);
  assert_string_equal(after.tracks[0].codec_string, "avc1.64000b");
  assert_int_equal(after.tracks[0].reorder_depth, 2);
  size_t i = 0;
  k = 0;
  for (int skip = 0; skip < 12; skip++)
    next_of(&before, 0, &k);
  const struct clip_sample *x = next_of(&before, 0, &k), *y = next_of(&after, 0, &i);
  for (; x && y; x = next_of(&before, 0, &k), y = next_of(&after, 0, &i)) {
    assert_int_equal(x->pts, y->pts);
    assert_int_equal(x->dts, y->dts);
    assert_int_equal(x->len, y->len);
    assert_memory_equal(before.bytes.data + x->at, after.bytes.data + y->at, x->len);
  }
  clip_samples_destroy(&before);
  clip_samples_destroy(&after);
  fmp4_writer_free(w);
  media_buf_destroy(&in);
  media_buf_destroy(&out);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clips_survive),          cmocka_unit_test(odd_samples),
      cmocka_unit_test(header_without_samples), cmocka_unit_test(impossible_tracks),
      cmocka_unit_test(annexb_becomes_avcc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
