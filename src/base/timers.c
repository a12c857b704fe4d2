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
