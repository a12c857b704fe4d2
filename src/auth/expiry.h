/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The end of a grant, by the wall clock: that may be set while one waits, so it is looked at again now and then. Worker's
 * thread. */
#pragma once
#include "base/clock.h"
#include "base/timers.h"

#define EXPIRY_LOOK_S 60

struct expiry {
  struct timer timer;
  struct timers *timers; /* NULL: not started */
  const struct clock *clock;
  uint64_t at; /* Unix time in seconds */
  void (*over)(struct expiry *e);
};

void expiry_init(struct expiry *e, void (*over)(struct expiry *e));
/* Calls `over` once, later, when `at` has come, at most EXPIRY_LOOK_S after a clock that was set ahead. `at` 0: never. Timers
 * and clock are borrowed. */
void expiry_start(struct expiry *e, uint64_t at, struct timers *timers, const struct clock *clock, uint64_t now);
void expiry_cancel(struct expiry *e);
