/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One clock for the tracks of a broadcast that never runs back, although their source may begin
 * anew (a looped input, a publisher that was restarted). When the first track jumps back a new
 * offset is chosen that puts it behind everything so far; the other tracks take the same offset
 * when they jump, so they stay in step. Microseconds. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct timeline {
  int64_t tolerance; /* a track may go back by so much without that being a new beginning: reordered
                        frames */
  int64_t offset;    /* of the newest beginning */
  int64_t end;       /* the latest time given out */
  uint32_t epoch;    /* beginnings so far */
};

/* Zero-initialise. */
struct timeline_track {
  int64_t offset, newest, step;
  uint32_t epoch;
  bool started;
};

void timeline_init(struct timeline *tl, int64_t tolerance);

/* What to add to this track's times from here on. `t` is the source's time of its next frame. */
int64_t timeline_offset(struct timeline *tl, struct timeline_track *track, int64_t t);
