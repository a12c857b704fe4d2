/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The text of the progress line: time, bitrate, groups, dropped. */
#pragma once
#include "base/buf.h"
#include <stddef.h>
#include <stdint.h>

struct progress {
  uint64_t seconds;
  double bitrate; /* bit/s */
  uint64_t groups, dropped;
};

void progress_text(const struct progress *p, char *out, size_t cap);
/* The same as members of a JSON object. */
void progress_json(const struct progress *p, struct buf *b);

/* A rate from a byte counter, smoothed over about a second. Zero-initialise. */
struct progress_rate {
  uint64_t bytes, at;
  double bitrate;
};
double progress_rate(struct progress_rate *r, uint64_t bytes, uint64_t now);
