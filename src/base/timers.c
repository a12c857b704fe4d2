/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/timers.h"

void timers_set(struct timers *ts, struct timer *t, uint64_t at)
{
  timers_cancel(ts, t);
  if (at == TIMERS_NONE)
    return;
  if (at <= ts->running)
    at = ts->running + 1;
  t->node.major = at;
  heap_insert(&ts->heap, &t->node);
}

void timers_cancel(struct timers *ts, struct timer *t)
{
  if (timer_armed(t))
    heap_remove(&ts->heap, &t->node);
}

uint64_t timers_lazy(uint64_t now, uint64_t at)
{
  if (at == TIMERS_NONE || at < now || at - now < TIMERS_LAZY_NS)
    return at;
  /* Powers of two: the points of a coarse grid are on all finer ones. */
  uint64_t grid = 1ULL << (63 - __builtin_clzll((at - now) / 8));
  return at <= TIMERS_NONE - grid ? (at + grid - 1) & ~(grid - 1) : at;
}

uint64_t timers_next(const struct timers *ts)
{
  return ts->heap.top ? ts->heap.top->major : TIMERS_NONE;
}

void timers_run(struct timers *ts, uint64_t now)
{
  ts->running = now;
  while (timers_next(ts) <= now) {
    struct timer *t = container_of(ts->heap.top, struct timer, node);
    heap_remove(&ts->heap, &t->node);
    t->fire(t, now);
  }
  ts->running = 0;
}
