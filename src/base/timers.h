/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Deadlines, without I/O: the owner asks for the earliest one and calls timers_run when it has come. Times are
 * nanoseconds of the monotonic clock, passed in by the caller (see clock.h). One set belongs to one thread. */
#pragma once
#include "base/heap.h"
#include "base/list.h"

#define TIMERS_NONE UINT64_MAX

struct timer {
  struct heap_node node; /* major = deadline */
  void (*fire)(struct timer *t, uint64_t now);
};

struct timers {
  struct heap heap;
  uint64_t running; /* the `now` of the timers_run in progress, else 0 */
};

static inline void timer_init(struct timer *t, void (*fire)(struct timer *, uint64_t))
{
  *t = (struct timer){.fire = fire};
}

static inline bool timer_armed(const struct timer *t)
{
  return heap_has(&t->node);
}

/* Arms or moves. `at` = TIMERS_NONE disarms. */
void timers_set(struct timers *ts, struct timer *t, uint64_t at);
void timers_cancel(struct timers *ts, struct timer *t);

/* For a deadline that matters little and is far away: `at`, or up to an eighth of the wait later, on a grid that grows with
 * the wait, so that many such deadlines share a wake-up. Waits of less than TIMERS_LAZY_NS stay as they are. */
#define TIMERS_LAZY_NS 1000000000ULL
uint64_t timers_lazy(uint64_t now, uint64_t at);

/* Earliest deadline, or TIMERS_NONE. */
uint64_t timers_next(const struct timers *ts);

/* Fires what is due at `now`, each timer disarmed before its function runs. A timer re-armed at or before `now` by a
 * function fires at the next call, so one call ends. */
void timers_run(struct timers *ts, uint64_t now);
