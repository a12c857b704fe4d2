/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How long the frames of a live input sit before we get them: they come in bursts as long as the
 * fragments of the MP4. The median of the latest bursts, so that a stall of the machine does not
 * count. A file, which comes all at once, is one burst, too long to mean anything. */
#pragma once
#include <stdint.h>

#define JITTER_BURSTS 5
#define JITTER_GAP_NS 5000000ULL /* apart by more: another burst */
#define JITTER_MAX_US 5000000    /* longer bursts are not counted */

/* Zero-initialise. */
struct jitter {
  int64_t first, last;
  uint32_t frames;
  uint64_t at; /* ns, of the latest frame */
  int64_t spans[JITTER_BURSTS];
  uint32_t bursts; /* counted so far, the first one not */
};

/* A frame came; dts in microseconds, rising. */
void jitter_frame(struct jitter *j, int64_t dts, uint64_t now);

/* Milliseconds, rounded up; 0 = unknown, or frames come one by one. */
uint32_t jitter_ms(const struct jitter *j);
