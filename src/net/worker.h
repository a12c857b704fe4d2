/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A worker: one thread's libuv loop, its deadlines and its end-of-turn work. All connections, sessions and model state of
 * a worker are touched by its thread alone. Time is read once per wake-up and passed down. */
#pragma once
#include "base/clock.h"
#include "base/list.h"
#include "base/timers.h"
#include <uv.h>

/* Work that runs once at the end of the loop's turn in which it was asked for (flush a connection, free a thing). */
struct deferred {
  struct list link;
  void (*run)(struct deferred *d, uint64_t now);
};

struct worker {
  uv_loop_t *loop;
  struct clock clock;
  uint64_t now; /* ns, of this turn */
  struct timers timers;
  struct list deferred;
  uv_prepare_t prepare; /* before the loop sleeps: run deferred work, arm the timer */
  uv_check_t check;     /* after it woke: read the clock, run timers */
  uv_poll_t timer_poll; /* one timerfd for all deadlines: libuv's own timers count milliseconds */
  int timer_fd;
  uint64_t armed_for;
  bool entered; /* the clock has been read in this turn */
};

/* Uses `loop`, which outlives it. 0 or negative errno. */
int worker_init(struct worker *w, uv_loop_t *loop, struct clock clock);

/* Stops its handles; run the loop once more (or uv_run until it ends) to let libuv finish, then the struct may go. */
void worker_destroy(struct worker *w);

void deferred_init(struct deferred *d, void (*run)(struct deferred *, uint64_t));

/* Asks for d->run at the end of this turn; more asks before it runs are one. */
void worker_defer(struct worker *w, struct deferred *d);
void worker_defer_cancel(struct deferred *d);

/* Must be called by any libuv callback that is an entry into our code before it uses w->now. */
void worker_enter(struct worker *w);
