/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/decode_times.h"

void decode_times_init(struct decode_times *d, uint32_t depth, int64_t frame)
{
  *d = (struct decode_times){
      .depth = depth < MEDIA_REORDER_MAX ? depth : MEDIA_REORDER_MAX,
      .frame = frame > 0 ? frame : 1,
  };
}

static void insert(struct decode_times *d, int64_t pts)
{
  uint32_t i = d->count++;
  for (; i > 0 && d->held[i - 1] > pts; i--)
    d->held[i] = d->held[i - 1];
  d->held[i] = pts;
}

static int64_t take_earliest(struct decode_times *d)
{
  int64_t earliest = d->held[0];
  d->count--;
  for (uint32_t i = 0; i < d->count; i++)
    d->held[i] = d->held[i + 1];
  return earliest;
}

int64_t decode_times_next(struct decode_times *d, int64_t pts)
{
  int64_t dts;
  if (!d->started)
    d->first = pts;
  insert(d, pts);
  if (d->count > d->depth)
    dts = take_earliest(d);
  else
    dts = d->first - (int64_t)(d->depth - d->taken++) * d->frame;
  if (dts < 0)
    dts = 0;
  bool same_time = d->depth == 0 && dts == d->last;
  if (d->started && dts <= d->last && !same_time)
    dts = d->last + 1;
  d->started = true;
  d->last = dts;
  return dts;
}
