/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct media_buf clip_load(const char *name)
{
  char path[1024];
  uint8_t chunk[4096];
  struct media_buf b = {0};
  size_t n;
  snprintf(path, sizeof(path), "%s/%s", MEDIA_DATA_DIR, name);
  FILE *f = fopen(path, "rb");
  if (!f)
    fail_msg("cannot open %s", path);
  while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
    media_buf_put(&b, chunk, n);
  fclose(f);
  assert_int_equal(media_buf_error(&b), 0);
  assert_true(b.len > 0);
  return b;
}

void clip_samples_destroy(struct clip_samples *s)
{
  for (size_t i = 0; i < s->track_count; i++)
    media_track_destroy(&s->tracks[i]);
  free(s->items);
  media_buf_destroy(&s->bytes);
  *s = (struct clip_samples){0};
}

static int on_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  struct clip_samples *s = arg;
  s->tracks_calls++;
  assert_int_equal(s->count, 0);
  assert_true(count > 0 && count <= sizeof(s->tracks) / sizeof(s->tracks[0]));
  for (size_t i = 0; i < count; i++)
    assert_int_equal(media_track_copy(&tracks[i], &s->tracks[i]), 0);
  s->track_count = count;
  return 0;
}

static int on_sample(void *arg, const struct fmp4_sample *sample)
{
  struct clip_samples *s = arg;
  assert_int_equal(s->tracks_calls, 1);
  assert_true(sample->track < s->track_count);
  assert_true(sample->len > 0);
  s->items = realloc(s->items, (s->count + 1) * sizeof(*s->items));
  assert_non_null(s->items);
  s->items[s->count++] = (struct clip_sample){.track = sample->track,
                                              .dts = sample->dts,
                                              .pts = sample->pts,
                                              .duration = sample->duration,
                                              .keyframe = sample->keyframe,
                                              .at = s->bytes.len,
                                              .len = sample->len};
  media_buf_put(&s->bytes, sample->data, sample->len);
  return 0;
}

void clip_read(const uint8_t *data, size_t len, const struct fmp4_limits *limits, clip_cut cut, void *arg,
               struct clip_samples *ret_samples)
{
  static const struct fmp4_reader_events events = {.tracks = on_tracks, .sample = on_sample};
  struct clip_samples s = {0};
  struct fmp4_reader *r = fmp4_reader_new(limits, &events, ret_samples);
  assert_non_null(r);
  *ret_samples = s;
  size_t at = 0;
  while (at < len && ret_samples->result == 0) {
    size_t n = cut ? cut(arg) : len;
    n = n < len - at ? n : len - at;
    /* A copy of exactly that size, so that the sanitizer sees any read beyond it. */
    uint8_t *piece = malloc(n);
    assert_non_null(piece);
    memcpy(piece, data + at, n);
    ret_samples->result = fmp4_reader_feed(r, piece, n);
    free(piece);
    at += n;
  }
  int rv = fmp4_reader_finish(r);
  if (ret_samples->result == 0)
    ret_samples->result = rv;
  assert_int_equal(rv, ret_samples->result);
  ret_samples->lead_us = fmp4_reader_lead_us(r);
  snprintf(ret_samples->error, sizeof(ret_samples->error), "%s", fmp4_reader_error(r));
  assert_true((ret_samples->result == 0) == (ret_samples->error[0] == '\0'));
  fmp4_reader_free(r);
}

void clip_assert_same(const struct clip_samples *a, const struct clip_samples *b, size_t count)
{
  assert_true(a->count >= count && b->count >= count);
  for (size_t i = 0; i < count; i++) {
    const struct clip_sample *x = &a->items[i], *y = &b->items[i];
    assert_int_equal(x->track, y->track);
    assert_int_equal(x->dts, y->dts);
    assert_int_equal(x->pts, y->pts);
    assert_int_equal(x->duration, y->duration);
    assert_int_equal(x->keyframe, y->keyframe);
    assert_int_equal(x->len, y->len);
    assert_memory_equal(a->bytes.data + x->at, b->bytes.data + y->at, x->len);
  }
}

uint64_t clip_random(uint64_t *state)
{
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}
