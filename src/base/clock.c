/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/clock.h"
#include <stddef.h>
#include <time.h>

static uint64_t monotonic(void *ctx)
{
  (void)ctx;
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t wall(void *ctx)
{
  (void)ctx;
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct clock clock_system(void)
{
  return (struct clock){monotonic, wall, NULL};
}
