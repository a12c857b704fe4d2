/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What befalls a client's link: one thing after the other, as the seed says, until the world's faults are over. */
#include "udp_world.h"

static const char *const names[FAULTS] = {
    "healed",   "lossy",  "slow", "in the dark for a moment", "in the dark long", "behind another port",
    "vanished", "leaving"};

static void set_link(struct client *c, const struct sim_link *link)
{
  if (c->ep)
    sim_udp_set_link(c->udp, link);
}

static void lossy(struct client *c)
{
  struct world *w = c->w;
  struct sim_link l = c->link;
  l.loss = (unsigned)between(w, 5, 150);
  l.twice = (unsigned)below(w, 50);
  l.jitter_ns = below(w, 2) ? 0 : between(w, 1, 30) * NS_PER_MS;
  set_link(c, &l);
}

static void slow(struct client *c)
{
  struct world *w = c->w;
  struct sim_link l = c->link;
  l.rate = between(w, 8000, 80000);
  l.queue_ns = between(w, 50, 400) * NS_PER_MS;
  set_link(c, &l);
}

static void dark(struct client *c)
{
  struct sim_link l = {.dark = true};
  set_link(c, &l);
}

/* How long it lasts. */
static uint64_t length(struct client *c)
{
  struct world *w = c->w;
  uint64_t idle = w->limits.idle_timeout_ns / NS_PER_MS;
  switch (c->fault) {
  case FAULT_BLACKOUT_SHORT: /* probes back off to twice the time that was dark */
    return between(w, 20, idle * 2 / 5) * NS_PER_MS;
  case FAULT_BLACKOUT_LONG:
    return w->limits.idle_timeout_ns + SESSION_GRACE_NS + below(w, 3000) * NS_PER_MS;
  case FAULT_MOVE:
    return 1;
  default:
    return between(w, 100, 5000) * NS_PER_MS;
  }
}

static void begin(struct client *c)
{
  uint64_t now = c->w->worker.now;
  story(c->w, c->name, "%s", names[c->fault]);
  c->ends_before = c->ends;
  c->since = now;
  c->was_up = c->session && c->up_since + c->w->limits.idle_timeout_ns / 2 < now &&
              c->healed + c->w->limits.idle_timeout_ns / 2 < now;
  switch (c->fault) {
  case FAULT_LOSSY:
    lossy(c);
    return;
  case FAULT_SLOW:
    slow(c);
    return;
  case FAULT_BLACKOUT_SHORT:
  case FAULT_BLACKOUT_LONG:
    dark(c);
    return;
  case FAULT_MOVE:
    sim_udp_move(c->udp, ++c->port);
    return;
  case FAULT_VANISH:
    client_vanish(c);
    return;
  default:
    client_leave(c);
  }
}

static void check_survived(struct client *c)
{
  bool broken = c->survivor && c->ends != c->ends_before;
  c->survivor = false;
  if (broken)
    sim_fail(c->w, c->name, "its session ended after %llu ms in the dark, the idle timeout is %llu ms",
             (unsigned long long)((c->healed - c->since) / NS_PER_MS),
             (unsigned long long)(c->w->limits.idle_timeout_ns / NS_PER_MS));
}

static void check_over(struct client *c)
{
  if (c->was_up && c->ends == c->ends_before)
    sim_fail(c->w, c->name, "its session has outlived its idle timeout");
  if (relay_knows(c->to, c->address))
    sim_fail(c->w, "relay", "%s's connection has outlived its idle timeout", c->name);
}

static void end(struct client *c, bool in_full)
{
  enum fault f = c->fault;
  c->fault = FAULT_NONE;
  c->healed = c->w->worker.now;
  if (f == FAULT_NONE)
    return;
  if (f == FAULT_BLACKOUT_LONG && in_full)
    check_over(c);
  c->survivor = f == FAULT_BLACKOUT_SHORT && c->was_up;
  set_link(c, &c->link);
  if (f == FAULT_VANISH || f == FAULT_LEAVE)
    client_return(c);
  story(c->w, c->name, "%s", f == FAULT_BLACKOUT_SHORT ? "light again" : f == FAULT_MOVE ? "moved" : "healed");
}

static void on_time(struct timer *t, uint64_t now)
{
  struct client *c = container_of(t, struct client, next_fault);
  struct world *w = c->w;
  if (c->fault != FAULT_NONE) {
    end(c, true);
    timers_set(&w->worker.timers, t, now + between(w, 0, 8000) * NS_PER_MS);
    return;
  }
  check_survived(c);
  if (w->faults_over)
    return;
  c->fault = FAULT_LOSSY + (enum fault)below(w, c->publish ? FAULT_LEAVE - FAULT_LOSSY : FAULTS - FAULT_LOSSY);
  uint64_t until = now + length(c);
  begin(c);
  timers_set(&w->worker.timers, t, until);
}

void faults_start(struct client *c, bool perfect)
{
  struct world *w = c->w;
  c->perfect = perfect;
  c->link.delay_ns = between(w, 0, 60) * NS_PER_MS;
  timer_init(&c->next_fault, on_time);
  set_link(c, &c->link);
  if (!perfect)
    timers_set(&w->worker.timers, &c->next_fault, w->worker.now + between(w, 0, 5000) * NS_PER_MS);
}

void faults_heal(struct client *c)
{
  if (c->perfect)
    return;
  timers_cancel(&c->w->worker.timers, &c->next_fault);
  end(c, false);
}

void faults_check(struct client *c)
{
  check_survived(c);
}
