/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Helpers of the media tests: the clips, the samples that a reader finds, a seeded random. */
#ifndef MOQ_TESTS_MEDIA_CLIP_H
#define MOQ_TESTS_MEDIA_CLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/fmp4_reader.h"
#include "media/media_buf.h"

/* A file of the data directory, whole. Ends the test when it cannot be read. */
struct media_buf clip_load(const char *name);

struct clip_sample {
  size_t track;
  int64_t dts, pts;
  uint32_t duration;
  bool keyframe;
  size_t at, len; /* in clip_samples.bytes */
};

/* Everything that came out of a reader. */
struct clip_samples {
  struct media_track tracks[8];
  size_t track_count;
  int tracks_calls;
  int64_t lead_us;
  struct clip_sample *items;
  size_t count;
  struct media_buf bytes;
  int result; /* of feed or finish */
  char error[400];
};

void clip_samples_destroy(struct clip_samples *s);

/* The next cut of the input, at least 1; `arg` is the caller's. */
typedef size_t (*clip_cut)(void *arg);

/* Reads all of `data` in cuts (NULL: in one), then finishes. */
void clip_read(const uint8_t *data, size_t len, const struct fmp4_limits *limits, clip_cut cut, void *arg,
               struct clip_samples *ret_samples);

/* Fails the test unless the first `count` samples are the same. */
void clip_assert_same(const struct clip_samples *a, const struct clip_samples *b, size_t count);

/* xorshift; the state must not be 0. */
uint64_t clip_random(uint64_t *state);

#endif
