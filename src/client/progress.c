/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/progress.h"
#include "base/clock.h"
#include "client/json_line.h"
#include <stdbool.h>
#include <stdio.h>

void progress_text(const struct progress *p, char *out, size_t cap)
{
  bool mega = p->bitrate >= 1e6;
  unsigned long long s = p->seconds;
  snprintf(out, cap, "%02llu:%02llu:%02llu  %.*f %s  %llu groups  %llu dropped", s / 3600, s / 60 % 60, s % 60, mega,
           p->bitrate / (mega ? 1e6 : 1e3), mega ? "Mbit/s" : "kbit/s", (unsigned long long)p->groups,
           (unsigned long long)p->dropped);
}

void progress_json(const struct progress *p, struct buf *b)
{
  json_number(b, "seconds", p->seconds);
  json_number(b, "bitrate", (uint64_t)p->bitrate);
  json_number(b, "groups", p->groups);
  json_number(b, "dropped", p->dropped);
}

double progress_rate(struct progress_rate *r, uint64_t bytes, uint64_t now)
{
  if (r->at && now > r->at) {
    double seconds = (double)(now - r->at) / NS_PER_S;
    double latest = (double)(bytes - r->bytes) * 8 / seconds;
    double weight = seconds > 1 ? 1 : seconds;
    r->bitrate += (latest - r->bitrate) * weight;
  }
  r->at = now;
  r->bytes = bytes;
  return r->bitrate;
}
