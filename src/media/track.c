/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/track.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAMERATE_MAX 1000
/* ffmpeg doubles the frame rate until it has at least this many ticks per second. */
#define TIMESCALE_MIN 10000

void media_track_destroy(struct media_track *t)
{
  free(t->config);
  *t = (struct media_track){0};
}

int media_track_copy(const struct media_track *t, struct media_track *ret_t)
{
  struct media_track copy = *t;
  copy.config = NULL;
  copy.config_len = 0;
  if (t->config && media_track_set_config(&copy, t->config, t->config_len) < 0)
    return -ENOMEM;
  *ret_t = copy;
  return 0;
}

int media_track_set_config(struct media_track *t, const uint8_t *config, size_t len)
{
  uint8_t *copy = malloc(len ? len : 1);
  if (!copy)
    return -ENOMEM;
  if (len)
    memcpy(copy, config, len);
  free(t->config);
  t->config = copy;
  t->config_len = len;
  return 0;
}

uint32_t media_track_pick_timescale(const struct media_track *t)
{
  if (t->kind == MEDIA_AUDIO && t->sample_rate)
    return t->sample_rate;
  if (!t->framerate_num)
    return MEDIA_US;
  uint32_t ticks = t->framerate_num;
  while (ticks < TIMESCALE_MIN)
    ticks *= 2;
  return ticks;
}

static bool near(double a, double b, double slack)
{
  return a - b < slack && b - a < slack;
}

void media_track_set_framerate(struct media_track *t, double fps)
{
  if (!(fps > 0 && fps <= FRAMERATE_MAX))
    return;
  uint32_t whole = (uint32_t)(fps + 0.5);
  uint32_t ntsc = (uint32_t)(fps * 1.001 + 0.5);
  if (whole > 0 && near(fps, whole, 1e-4)) {
    t->framerate_num = whole;
    t->framerate_den = 1;
  } else if (ntsc > 0 && near(fps, ntsc / 1.001, 5e-3)) {
    t->framerate_num = ntsc * 1000;
    t->framerate_den = 1001;
  } else {
    t->framerate_num = (uint32_t)(fps * 1000 + 0.5);
    t->framerate_den = 1000;
  }
}

int64_t media_rescale(int64_t ticks, uint32_t from, uint32_t to)
{
  assert(from && to);
  if (from == to)
    return ticks;
  bool negative = ticks < 0;
  uint64_t v = negative ? 0 - (uint64_t)ticks : (uint64_t)ticks;
  uint64_t whole = v / from;
  uint64_t part = ((v % from) * to + from / 2) / from;
  if (whole > (INT64_MAX - (uint64_t)to) / to)
    return negative ? -INT64_MAX : INT64_MAX;
  int64_t out = (int64_t)(whole * to + part);
  return negative ? -out : out;
}
