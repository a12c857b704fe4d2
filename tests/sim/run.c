/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "run.h"
#include "alloc.h"
#include <stdio.h>
#include <stdlib.h>

#define TURNS_MAX 20000000UL      /* of one run */
#define SETTLE_NS (12 * NS_PER_S) /* longer than any deadline and lingering */
#define VERIFY_NS (6 * NS_PER_S)
#define DRAIN_NS (120 * NS_PER_S) /* for everything to end once all have gone */

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct run *r = ctx;
  if (r->trace && getenv("SIM_LOG"))
    printf("%.*s\n", (int)n, line);
}

static void turn(struct run *r)
{
  if (++r->turns > TURNS_MAX)
    broken(r, &r->who, "a run ends", "after %lu turns of the loop", r->turns);
  sim_step(&r->w);
  check_turn(r);
}

void run_pass(struct run *r, uint64_t ns)
{
  uint64_t until = r->w.now + ns;
  while (!list_empty(&r->w.deferred) || timers_next(&r->w.timers) <= until)
    turn(r);
  if (r->w.now < until)
    r->w.now = until;
  wires_sweep(r);
  check_step(r);
}

static void leave(struct run *r)
{
  r->over = true;
  tell(r, &r->who, EV_LEAVE_ALL);
  for (unsigned i = 0; !director_empty(r); i++) {
    if (i > 10000)
      broken(r, &r->who, "no wait is without a deadline", "somebody cannot leave");
    director_leave(r);
    run_pass(r, roll(r, 300 * NS_PER_MS));
  }
  uint64_t until = r->w.now + DRAIN_NS;
  while (!list_empty(&r->w.deferred) || timers_next(&r->w.timers) < until)
    turn(r);
  wires_sweep(r);
}

static void play(struct run *r)
{
  director_begin(r);
  for (r->step = 1; r->step <= r->steps; r->step++) {
    director_act(r);
    run_pass(r, roll(r, 2 * r->plan.tempo));
  }
  director_calm(r);
  run_pass(r, SETTLE_NS);
  director_complete(r);
  run_pass(r, VERIFY_NS);
  check_calm(r);
  leave(r);
  check_end(r);
}

struct result run_play(uint64_t seed, unsigned long steps, long fail_at, bool trace)
{
  long before = alloc_live;
  struct run *r = calloc(1, sizeof *r);
  if (!r)
    abort();
  r->seed = r->state = seed;
  r->rng = rng_seeded(&r->state);
  r->steps = steps;
  r->fail_at = fail_at;
  r->trace = trace;
  r->who = (struct actor){ACTOR_SIM, 0, -1};
  sim_init(&r->w);
  r->log = (struct log){.level = trace ? LOG_TRACE : LOG_ERROR, .clock = r->w.clock, .sink = sink, .ctx = r};
  list_init(&r->wires);
  ledger_init(&r->ledger, seed);
  plan_make(&r->plan, r);
  story_guard(r);
  alloc_left = fail_at;
  play(r);
  for (unsigned i = 0; i < r->plan.relays; i++)
    relay_destroy(&r->relays[i]);
  tell(r, &r->who, EV_END, r->events);
  struct result result = {r->hash, r->events, r->turns, r->got, r->ledger.n, alloc_left >= 0};
  alloc_left = -1;
  ledger_destroy(&r->ledger);
  if (alloc_live != before)
    broken(r, &r->who, "nothing is left when all have gone", "%ld allocations", alloc_live - before);
  story_guard(NULL);
  free(r);
  return result;
}
