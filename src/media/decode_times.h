/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Decoding times for frames that come in decoding order with only a presentation time, as they
 * do on the wire.
 *
 * A decoder that holds back `depth` frames puts out, at each frame it takes, the earliest of the
 * depth + 1 it has. So the time at which the frame is taken can be the presentation time that
 * comes out: frame i is decoded at the (i - depth)th presentation time in ascending order. That
 * never exceeds the frame's own, it grows with every frame, and for a constant frame rate it is
 * exactly what encoders write. The first `depth` frames have no such time and are put one frame
 * duration apart before it. No frame has to wait for a later one.
 *
 *   taken      I0 P3 B1 B2 P6 ...        depth 1 (one frame is held back)
 *   decoded at -1  0  1  2  3 ...
 */
#ifndef MOQ_MEDIA_DECODE_TIMES_H
#define MOQ_MEDIA_DECODE_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/track.h"

struct decode_times {
  uint32_t depth;
  int64_t frame;                       /* ticks of one frame, at least 1 */
  int64_t held[MEDIA_REORDER_MAX + 1]; /* presentation times not yet out, ascending */
  uint32_t count;                      /* of them */
  uint32_t taken;                      /* frames so far, counted up to depth */
  int64_t first;                       /* presentation time of the first frame */
  bool started;
  int64_t last; /* decoding time given last */
};

/* `depth` over MEDIA_REORDER_MAX is cut to it; `frame` below 1 is taken as 1. */
void decode_times_init(struct decode_times *d, uint32_t depth, int64_t frame);

/*
 * The decoding time of the next frame, in the same ticks. Never negative (MP4 has no negative
 * decoding times) and always greater than the one before, even when that puts it behind the
 * frame's presentation time: with a depth that is too small, and for streams that begin at zero
 * with fewer than `depth` ticks to go. Only without reordering may two frames have the same time,
 * as they then have in the source (ffmpeg does this to audio in fragments of one frame).
 */
int64_t decode_times_next(struct decode_times *d, int64_t pts);

#endif
