/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/sim.h"
#include <stdio.h>
#include <stdlib.h>

#define WALL_AT_START_US 1767225600000000ULL /* 2026-01-01 */

static uint64_t sim_now(void *ctx)
{
  struct worker *w = ctx;
  return w->now;
}

static uint64_t sim_wall_us(void *ctx)
{
  return WALL_AT_START_US + sim_now(ctx) / 1000;
}

void sim_init(struct worker *w)
{
  *w = (struct worker){.now = SIM_START, .timer_fd = -1, .clock = {sim_now, sim_wall_us, w}};
  list_init(&w->deferred);
}

/* Work that is deferred meanwhile waits for the next step, as it would for the next turn. */
static bool run_deferred(struct worker *w)
{
  if (list_empty(&w->deferred))
    return false;
  struct list batch = w->deferred;
  batch.next->prev = batch.prev->next = &batch;
  list_init(&w->deferred);
  while (!list_empty(&batch)) {
    struct deferred *d = container_of(batch.next, struct deferred, link);
    list_remove(&d->link);
    d->run(d, w->now);
  }
  return true;
}

bool sim_step(struct worker *w)
{
  if (run_deferred(w))
    return true;
  uint64_t at = timers_next(&w->timers);
  if (at == TIMERS_NONE)
    return false;
  if (at > w->now)
    w->now = at;
  timers_run(&w->timers, w->now);
  return true;
}

void sim_run(struct worker *w, uint64_t ns)
{
  uint64_t until = w->now + ns;
  for (int i = 0; i < SIM_STEPS_MAX; i++) {
    if (list_empty(&w->deferred) && timers_next(&w->timers) > until) {
      w->now = until;
      return;
    }
    sim_step(w);
  }
  fprintf(stderr, "sim_run: no end in sight\n");
  abort();
}
