/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/timeline.h"

/* Between the last frame of a beginning and the first of the next, for a track of which no frame's
 * length is known. */
#define STEP_DEFAULT 20000

void timeline_init(struct timeline *tl, int64_t tolerance)
{
  *tl = (struct timeline){.tolerance = tolerance};
}

static void begin(struct timeline *tl, struct timeline_track *track, int64_t t)
{
  if (track->started && track->epoch == tl->epoch) {
    tl->epoch++;
    tl->offset = tl->end + (track->step > 0 ? track->step : STEP_DEFAULT) - t;
  }
  track->epoch = tl->epoch;
  track->offset = tl->offset;
  track->newest = t;
  track->started = true;
}

int64_t timeline_offset(struct timeline *tl, struct timeline_track *track, int64_t t)
{
  if (!track->started || t < track->newest - tl->tolerance) {
    begin(tl, track, t);
  } else if (t > track->newest) {
    track->step = t - track->newest;
    track->newest = t;
  }
  if (t + track->offset > tl->end)
    tl->end = t + track->offset;
  return track->offset;
}
