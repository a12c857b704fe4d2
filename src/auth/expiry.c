/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/expiry.h"

static uint64_t left_s(const struct expiry *e)
{
  uint64_t wall = clock_wall_us(e->clock) / 1000000;
  return e->at > wall ? e->at - wall : 0;
}

static void arm(struct expiry *e, uint64_t left, uint64_t now)
{
  timers_set(e->timers, &e->timer, now + (left < EXPIRY_LOOK_S ? left : EXPIRY_LOOK_S) * NS_PER_S);
}

static void look(struct timer *t, uint64_t now)
{
  struct expiry *e = container_of(t, struct expiry, timer);
  uint64_t left = left_s(e);
  if (left > 0)
    arm(e, left, now);
  else
    e->over(e);
}

void expiry_init(struct expiry *e, void (*over)(struct expiry *e))
{
  *e = (struct expiry){.over = over};
  timer_init(&e->timer, look);
}

void expiry_start(struct expiry *e, uint64_t at, struct timers *timers, const struct clock *clock, uint64_t now)
{
  if (at == 0)
    return;
  e->at = at;
  e->timers = timers;
  e->clock = clock;
  arm(e, left_s(e), now);
}

void expiry_cancel(struct expiry *e)
{
  if (e->timers)
    timers_cancel(e->timers, &e->timer);
}
