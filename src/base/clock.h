/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Time as an interface, so that tests run in virtual time. Protocol code takes `now` as an argument; only loops read a
 * clock. */
#pragma once
#include <stdint.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

struct clock {
  uint64_t (*now)(void *ctx);     /* monotonic, ns; never 0 */
  uint64_t (*wall_us)(void *ctx); /* UNIX time, microseconds */
  void *ctx;
};

static inline uint64_t clock_now(const struct clock *c)
{
  return c->now(c->ctx);
}

static inline uint64_t clock_wall_us(const struct clock *c)
{
  return c->wall_us(c->ctx);
}

/* The machine's clocks. */
struct clock clock_system(void);
