/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/jitter.h"
#include <stdlib.h>
#include <string.h>

/* The first frame of n waits until the last has passed: n frames long. */
static int64_t span_of(const struct jitter *j)
{
  return j->frames > 1 ? (j->last - j->first) / (j->frames - 1) * j->frames : 0;
}

static void end_burst(struct jitter *j)
{
  int64_t span = span_of(j);
  if (span < 0 || span > JITTER_MAX_US)
    return;
  j->bursts++;
  if (j->bursts > 1) /* the first may have piled up before we read */
    j->spans[j->bursts % JITTER_BURSTS] = span;
}

void jitter_frame(struct jitter *j, int64_t dts, uint64_t now)
{
  if (j->frames > 0 && now - j->at > JITTER_GAP_NS) {
    end_burst(j);
    j->frames = 0;
  }
  if (j->frames++ == 0)
    j->first = dts;
  j->last = dts;
  j->at = now;
}

static int compare(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

uint32_t jitter_ms(const struct jitter *j)
{
  int64_t spans[JITTER_BURSTS];
  if (j->bursts <= JITTER_BURSTS)
    return 0;
  memcpy(spans, j->spans, sizeof spans);
  qsort(spans, JITTER_BURSTS, sizeof *spans, compare);
  return (uint32_t)((spans[JITTER_BURSTS / 2] + 999) / 1000);
}
