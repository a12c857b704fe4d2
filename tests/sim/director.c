/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Chooses what happens: what a run is made of, who comes and goes, and which fault befalls whom. */
#include "run.h"
#include <limits.h>

/* -- the plan -- */

static uint64_t ms(struct run *r, uint64_t from, uint64_t to)
{
  return (from + roll(r, to - from + 1)) * NS_PER_MS;
}

static void plan_model(struct plan *p, struct run *r)
{
  struct model_limits *m = &p->model;
  model_limits_default(m);
  m->linger_ns = roll(r, 5) ? ms(r, 500, 3000) : 0;
  m->track_linger_ns = ms(r, 100, 1500);
  m->parting_ns = ms(r, 100, 2000);
  m->info_timeout_ns = ms(r, 1000, 2500);
  m->fetch_timeout_ns = ms(r, 1000, 2500);
  m->max_age_ns = ms(r, 500, 20000);
  m->takeover = roll(r, 3) ? TAKEOVER_NEWEST : TAKEOVER_NEVER;
  m->look_back = (uint32_t)roll(r, 20);
  if (roll(r, 3) == 0)
    m->groups_per_track = 4 + (uint32_t)roll(r, 20);
  if (roll(r, 3) == 0)
    m->sub_behind_bytes = 20000 + roll(r, 100000);
  lite_limits_default(&p->lite);
  p->lite.message_timeout_ns = ms(r, 1500, 3000);
  p->lite.setup_timeout_ns = ms(r, 3000, 10000);
  if (roll(r, 4) == 0)
    p->lite.groups = 16 + (uint32_t)roll(r, 50);
}

void plan_make(struct plan *p, struct run *r)
{
  static const unsigned relays[] = {1, 1, 2, 2, 2, 3};
  *p = (struct plan){.relays = relays[roll(r, 6)], .frame_max = roll(r, 3) ? 3000 : 30000};
  p->joints = p->relays == 3 ? 2 + (unsigned)roll(r, 2) : p->relays - 1;
  p->from = 0;
  p->to = p->relays > 1 && p->joints < 3 ? (unsigned)roll(r, 2) : 0; /* next to each other, no way around: joint 0 */
  p->tiny = roll(r, 8) == 0;
  p->cache = roll(r, 3) == 0 ? 0 : 600000 + roll(r, 2000000);
  if (p->tiny)
    p->cache = 5000 + roll(r, 40000);
  plan_model(p, r);
  p->max_age_ms = 200 + roll(r, 8000);
  p->answer_ns = 20 * NS_PER_S;
  p->subscribe_ns = 60 * NS_PER_S;
  p->tempo = ms(r, 30, 400);
}

/* -- who is there -- */

/* A free place, or somebody who is there; NULL when chance finds none. The healthy ones are never chosen. */
static struct publisher *some_publisher(struct run *r, bool there)
{
  struct publisher *p = &r->publishers[1 + roll(r, PUBLISHERS_MAX - 1)];
  bool is = p->peer.t && !p->peer.closing;
  return is == there && (is || !p->peer.t) ? p : NULL;
}

static struct viewer *some_viewer(struct run *r, bool there)
{
  struct viewer *v = &r->viewers[1 + roll(r, VIEWERS_MAX - 1)];
  bool is = v->peer.t && !v->peer.closing;
  if (there && !v->peer.ready)
    return NULL;
  return is == there && (is || !v->peer.t) ? v : NULL;
}

static struct peer *some_peer(struct run *r)
{
  struct publisher *p = roll(r, 2) ? some_publisher(r, true) : NULL;
  struct viewer *v = p ? NULL : some_viewer(r, true);
  return p ? &p->peer : v ? &v->peer : NULL;
}

static struct relay *some_relay(struct run *r)
{
  return &r->relays[roll(r, r->plan.relays)];
}

static unsigned some_path(struct run *r)
{
  return 1 + (unsigned)roll(r, PATHS - 1);
}

static unsigned some_live_path(struct run *r)
{
  const struct publisher *p = some_publisher(r, true);
  for (unsigned i = 1; p && i < PATHS; i++) {
    if (p->announced[i])
      return i;
  }
  return roll(r, 10) ? some_path(r) : (unsigned)roll(r, PATHS);
}

static unsigned some_track(struct run *r)
{
  return (unsigned)roll(r, TRACKS);
}

/* -- what they do -- */

static void publisher_comes(struct run *r)
{
  struct publisher *p = some_publisher(r, false);
  if (p)
    publisher_join(p, some_relay(r), (enum lite_version)roll(r, LITE_VERSIONS), 1u << some_path(r) | 1u << some_path(r),
                   roll(r, 2) * roll(r, 500));
}

static void publisher_returns(struct run *r)
{
  struct publisher *p = some_publisher(r, true);
  if (!p)
    return;
  struct relay *relay = p->peer.relay;
  enum lite_version v = p->peer.version;
  unsigned paths = p->paths;
  wire_cut(p->peer.wire);
  publisher_join(p, relay, v, paths, 0);
}

static void publisher_announces(struct run *r)
{
  struct publisher *p = some_publisher(r, true);
  unsigned path = some_path(r);
  if (p)
    publisher_announce(p, path, !(p->paths & 1u << path));
}

static void publisher_mutes(struct run *r)
{
  struct publisher *p = some_publisher(r, true);
  if (p)
    publisher_mute(p, !p->mute);
}

static void publisher_finishes(struct run *r)
{
  struct publisher *p = some_publisher(r, true);
  if (p)
    publisher_finish(p);
}

static void viewer_comes(struct run *r)
{
  struct viewer *v = some_viewer(r, false);
  if (v)
    viewer_join(v, some_relay(r), (enum lite_version)roll(r, LITE_VERSIONS));
}

static void viewer_lists(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v && roll(r, 3))
    viewer_list(v, (unsigned)roll(r, PREFIXES));
  else if (v)
    viewer_unlist(v);
}

static void viewer_watches(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v && v->watching_n < 40)
    viewer_watch(v, some_live_path(r), some_track(r), (enum watch_kind)roll(r, WATCH_KINDS));
}

static void viewer_leaves(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v)
    viewer_leave(v);
}

static void viewer_updates(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v)
    viewer_update(v);
}

static void viewer_asks(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v && lite_info(v->peer.version)->fetch)
    viewer_ask(v, some_live_path(r), some_track(r), roll(r, 3));
}

static void viewer_stalls(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v)
    peer_stall(&v->peer, !v->peer.stalled);
}

static void viewer_stops(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v)
    viewer_stop(v);
}

static void viewer_halves(struct run *r)
{
  struct viewer *v = some_viewer(r, true);
  if (v && lite_info(v->peer.version)->track)
    viewer_half(v);
}

/* -- what befalls them -- */

static void peer_leaves(struct run *r)
{
  struct peer *p = some_peer(r);
  if (p)
    peer_close(p, LITE_CLOSE_DONE);
}

static void peer_dies(struct run *r)
{
  struct peer *p = some_peer(r);
  if (p && roll(r, 2))
    wire_kill(p->wire);
  else if (p)
    wire_cut(p->wire);
}

static void blackout(struct run *r)
{
  struct peer *p = some_peer(r);
  if (!p || p->wire->dark)
    return;
  if (p->who.kind == ACTOR_PUBLISHER)
    r->odd |= container_of(p, struct publisher, peer)->paths;
  wire_blackout(p->wire, ms(r, 50, 5000));
}

/* The machine slept: timers are late. What was on its way to the healthy viewer may be too old now. */
static void leap(struct run *r)
{
  uint64_t ns = roll(r, 3) ? ms(r, 100, 3000) : ms(r, 3000, 40000);
  for (uint32_t i = 0; i < r->ledger.n; i++)
    r->ledger.sendings[i]->excused |= !r->ledger.sendings[i]->received;
  tell(r, &r->who, EV_LEAP, ns);
  r->odd = UINT_MAX;
  r->w.now += ns;
  r->leapt = r->w.now;
}

static void joint_fails(struct run *r)
{
  struct joint *j = &r->joints[roll(r, JOINTS_MAX)];
  if (j->who.index >= r->plan.joints || !j->a || j->good)
    return;
  if (!joint_up(j))
    joint_dial(j);
  else if (roll(r, 3) == 0)
    joint_close(j);
  else if (roll(r, 2))
    wire_cut(j->wire);
  else if (!j->wire->dark)
    wire_blackout(j->wire, ms(r, 50, 5000));
}

static void joint_returns(struct run *r)
{
  for (unsigned i = 0; i < r->plan.joints; i++) {
    if (!joint_up(&r->joints[i]))
      joint_dial(&r->joints[i]);
  }
}

/* Its announcements break off, the session goes on. */
static void announcements_break(struct run *r)
{
  struct publisher *p = some_publisher(r, true);
  if (p)
    publisher_break(p);
}

static void relay_goes_away(struct run *r)
{
  relay_goaway(some_relay(r), (unsigned)roll(r, 10));
}

static const struct {
  unsigned weight;
  void (*act)(struct run *r);
} actions[] = {
    {10, publisher_comes}, {4, publisher_returns},  {5, publisher_announces},
    {2, publisher_mutes},  {2, publisher_finishes}, {12, viewer_comes},
    {6, viewer_lists},     {20, viewer_watches},    {5, viewer_leaves},
    {5, viewer_updates},   {6, viewer_asks},        {5, viewer_stalls},
    {3, viewer_stops},     {2, viewer_halves},      {2, peer_leaves},
    {4, peer_dies},        {4, blackout},           {1, leap},
    {6, joint_fails},      {6, joint_returns},      {1, announcements_break},
    {1, relay_goes_away},
};

void director_act(struct run *r)
{
  unsigned total = 0, i = 0;
  for (size_t k = 0; k < sizeof actions / sizeof *actions; k++)
    total += actions[k].weight;
  uint64_t at = roll(r, total);
  while (at >= actions[i].weight)
    at -= actions[i++].weight;
  actions[i].act(r);
}

/* -- phases -- */

static void join_relays(struct run *r)
{
  static const unsigned pairs[JOINTS_MAX][2] = {{0, 1}, {1, 2}, {2, 0}};
  for (unsigned i = 0; i < r->plan.joints; i++) {
    bool good = i == 0 && r->plan.from != r->plan.to;
    /* where relays go in a circle, versions have to say who has passed a broadcast on */
    enum lite_version v = (enum lite_version)(
        r->plan.relays > 2 || roll(r, 3) ? LITE_04 + roll(r, LITE_VERSIONS - LITE_04) : roll(r, LITE_04));
    r->plan.hops_tell = (i == 0 || r->plan.hops_tell) && v >= LITE_04;
    joint_init(&r->joints[i], r, i, &r->relays[pairs[i][0]], &r->relays[pairs[i][1]], v, good);
    joint_dial(&r->joints[i]);
  }
}

void director_begin(struct run *r)
{
  tell(r, &r->who, EV_PLAN, r->plan.relays, r->plan.joints, r->plan.cache, r->plan.to);
  r->plan.hops_tell = true;
  for (unsigned i = 0; i < r->plan.relays; i++)
    relay_init(&r->relays[i], r, i);
  for (unsigned i = 0; i < PUBLISHERS_MAX; i++)
    publisher_init(&r->publishers[i], r, i);
  for (unsigned i = 0; i < VIEWERS_MAX; i++)
    viewer_init(&r->viewers[i], r, i);
  join_relays(r);
  r->publishers[0].peer.good = r->viewers[0].peer.good = true;
  publisher_join(&r->publishers[0], &r->relays[r->plan.from], (enum lite_version)roll(r, LITE_VERSIONS),
                 1u << PATH_HEALTHY, 0);
  run_pass(r, NS_PER_S);
  viewer_join(&r->viewers[0], &r->relays[r->plan.to], (enum lite_version)roll(r, LITE_VERSIONS));
  run_pass(r, 2 * NS_PER_S);
  if (r->checked == 0 && healthy_counts(r))
    broken(r, &r->viewers[0].peer.who, "a fault of one costs no other", "the healthy viewer got nothing at all");
}

void director_calm(struct run *r)
{
  r->calm = true;
  tell(r, &r->who, EV_CALM);
  list_for_each (it, &r->wires)
    wire_heal(container_of(it, struct wire, link));
  for (unsigned i = 1; i < PUBLISHERS_MAX; i++) {
    if (r->publishers[i].mute)
      publisher_mute(&r->publishers[i], false);
  }
  for (unsigned i = 1; i < VIEWERS_MAX; i++) {
    if (r->viewers[i].peer.t && r->viewers[i].peer.stalled)
      peer_stall(&r->viewers[i].peer, false);
  }
  run_pass(r, 5 * NS_PER_S); /* those that were killed are closed */
  for (unsigned i = 0; i < r->plan.joints; i++) {
    if (!joint_up(&r->joints[i]))
      joint_dial(&r->joints[i]);
  }
  list_for_each (it, &r->wires)
    wire_heal(container_of(it, struct wire, link));
}

#define BRISK (30 * NS_PER_MS) /* pace while it is verified that groups arrive */

void director_complete(struct run *r)
{
  for (unsigned i = 1; i < PUBLISHERS_MAX; i++)
    r->publishers[i].pace = BRISK;
  for (unsigned i = 1; i < VIEWERS_MAX; i++) {
    struct viewer *v = &r->viewers[i];
    if (!v->peer.t || !v->peer.ready)
      continue;
    if (v->watching_n < 40)
      viewer_watch(v, some_live_path(r), some_track(r), WATCH_LATEST);
    viewer_list(v, (unsigned)roll(r, PREFIXES));
  }
}

static void peer_goes(struct run *r, struct peer *p)
{
  if (!p->t || p->closing)
    return;
  if (roll(r, 2))
    peer_close(p, LITE_CLOSE_DONE);
  else if (roll(r, 2))
    wire_kill(p->wire);
  else
    wire_cut(p->wire);
}

void director_leave(struct run *r)
{
  for (unsigned i = 0; i < r->plan.joints; i++) {
    if (joint_up(&r->joints[i]) && roll(r, 4) == 0)
      joint_close(&r->joints[i]);
  }
  peer_goes(r, &r->publishers[roll(r, PUBLISHERS_MAX)].peer);
  peer_goes(r, &r->viewers[roll(r, VIEWERS_MAX)].peer);
}

bool director_empty(const struct run *r)
{
  for (unsigned i = 0; i < PUBLISHERS_MAX; i++) {
    if (r->publishers[i].peer.t)
      return false;
  }
  for (unsigned i = 0; i < VIEWERS_MAX; i++) {
    if (r->viewers[i].peer.t)
      return false;
  }
  for (unsigned i = 0; i < r->plan.joints; i++) {
    if (joint_up(&r->joints[i]))
      return false;
  }
  return true;
}
