/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "run.h"
#include <stdlib.h>

#define GOOD_DELAY (2 * NS_PER_MS)
#define IDLE_TIMEOUT (4 * NS_PER_S)

static void set_light(struct wire *w)
{
  w->dark = false;
  w->disturbed = w->run->w.now;
  mem_pause(w->mem, false);
  tell(w->run, w->who, EV_LIGHT);
}

static void on_light(struct timer *t, uint64_t now)
{
  set_light(container_of(t, struct wire, light));
}

static void make_bad(struct run *r, struct mem_config *c)
{
  static const size_t segments[] = {1200, 1200, 1200, 300, 61, 13};
  c->delay_ns = roll(r, 4) ? roll(r, 30) * NS_PER_MS : roll(r, 300) * NS_PER_MS;
  c->jitter_ns = roll(r, 2) ? roll(r, 20 * NS_PER_MS) : 0;
  c->rate = roll(r, 4) ? 0 : 3000 + roll(r, 60000);
  c->segment = segments[roll(r, 6)];
  c->send_window = roll(r, 4) ? 0 : 3000 + roll(r, 30000);
  c->datagram_loss = (uint32_t)roll(r, 200);
  if (roll(r, 3) == 0) {
    c->stream_window = 500 + roll(r, 20000);
    c->window = c->stream_window + roll(r, 60000);
  }
  if (roll(r, 4) == 0)
    c->streams_uni = 3 + roll(r, 20);
}

struct wire *wire_new(struct run *r, const struct actor *who, bool good)
{
  struct wire *w = calloc(1, sizeof *w);
  struct mem_config c = mem_config_default();
  if (!w)
    abort();
  c.delay_ns = GOOD_DELAY;
  c.idle_timeout_ns = IDLE_TIMEOUT;
  c.seed = roll(r, UINT64_MAX);
  c.streams_bidi = c.streams_uni = 1000;
  if (!good)
    make_bad(r, &c);
  *w = (struct wire){.run = r, .who = who, .good = good, .delay = c.delay_ns, .rate = c.rate};
  w->mem = mem_pair_new(&r->w.timers, &r->w.now, &c);
  timer_init(&w->light, on_light);
  list_append(&r->wires, &w->link);
  return w;
}

void wire_blackout(struct wire *w, uint64_t ns)
{
  w->dark = true;
  w->disturbed = w->run->w.now;
  mem_pause(w->mem, true);
  timers_set(&w->run->w.timers, &w->light, w->run->w.now + ns);
  tell(w->run, w->who, EV_BLACKOUT, ns);
}

void wire_kill(struct wire *w)
{
  w->disturbed = w->run->w.now;
  tell(w->run, w->who, EV_KILL);
  mem_kill(w->mem);
}

static void wire_free(struct wire *w)
{
  timers_cancel(&w->run->w.timers, &w->light);
  mem_pair_free(w->mem);
  list_remove(&w->link);
  free(w);
}

void wire_cut(struct wire *w)
{
  tell(w->run, w->who, EV_CUT);
  wire_free(w);
}

void wire_heal(struct wire *w)
{
  if (w->dark) {
    timers_cancel(&w->run->w.timers, &w->light);
    set_light(w);
  }
  mem_set_link(w->mem, GOOD_DELAY, 0, 0);
}

void wires_sweep(struct run *r)
{
  list_for_each_safe (it, tmp, &r->wires) {
    struct wire *w = container_of(it, struct wire, link);
    if (!mem_client(w->mem) && !mem_server(w->mem))
      wire_free(w);
  }
}
