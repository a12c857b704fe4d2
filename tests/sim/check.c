/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The invariants that concern more than one stream; those of one are where its bytes are read (viewer.c). */
#include "run.h"

#define HEALTHY_BOUND NS_PER_S         /* for a whole group of the healthy publisher to arrive */
#define PROMPT_BOUND (250 * NS_PER_MS) /* for a frame of it */
#define NEWEST_BOUND (2 * NS_PER_S)    /* long after the last fault: for a group to arrive */
#define CROWD_BOUND (3 * NS_PER_S)     /* for an old subscription to end at the source when a new one is there */

/* -- the healthy pair -- */

void check_prompt(const struct run *r, const struct sending *s, uint32_t frames)
{
  if (frames == 0 || s->excused || !healthy_counts(r) || r->w.now - s->at[frames - 1] < PROMPT_BOUND)
    return;
  broken(r, &r->viewers[0].peer.who, "frames are passed on as they come",
         "frame %u of the healthy publisher's group %llu took %.3f s", frames - 1, (unsigned long long)s->sequence,
         (double)(r->w.now - s->at[frames - 1]) / 1e9);
}

bool healthy_counts(const struct run *r)
{
  return !r->over && r->fail_at < 0;
}

bool healthy_excuse(const struct run *r, const struct sending *s, uint64_t code)
{
  if (!healthy_counts(r))
    return true;
  if (r->plan.tiny && code == LITE_RESET_EVICTED)
    return true;
  return s ? s->excused : r->leapt > 0 && r->w.now - r->leapt < 2 * NS_PER_S;
}

static const struct sending *first_received(const struct run *r)
{
  for (uint32_t i = 0; i < r->ledger.n; i++) {
    if (r->ledger.sendings[i]->received)
      return r->ledger.sendings[i];
  }
  return NULL;
}

/* Every group of the healthy publisher from the first one on that the viewer got. */
static void check_healthy(struct run *r)
{
  struct ledger *l = &r->ledger;
  if (!healthy_counts(r))
    return;
  if (r->checked == 0) {
    const struct sending *first = first_received(r);
    r->checked = first ? first->id + 1 : 0;
    return;
  }
  for (; r->checked < l->n; r->checked++) {
    const struct sending *s = l->sendings[r->checked];
    bool due = s->publisher == 0 && s->track == 0 && !s->answer && !s->received && !s->excused;
    if (due && (!s->whole || r->w.now - s->ended < HEALTHY_BOUND))
      return;
    if (due && !r->plan.tiny)
      broken(r, &r->viewers[0].peer.who, "a fault of one costs no other",
             "group %llu of the healthy publisher (sending %u) has not come", (unsigned long long)s->sequence, s->id);
  }
}

void check_turn(struct run *r)
{
  check_healthy(r);
}

/* -- one upstream subscription -- */

static void check_crowd(struct run *r, struct publisher *p)
{
  unsigned path = 0, n = publisher_asked(p, &path);
  unsigned contested = (unsigned)__builtin_popcount(r->seen_at[path]);
  unsigned allowed = contested > 1 ? r->plan.relays : 1;
  if (n <= allowed || p->peer.wire->dark || r->w.now - p->peer.wire->disturbed < NS_PER_S) {
    p->crowded = 0;
    return;
  }
  if (p->crowded == 0)
    p->crowded = r->w.now;
  if (r->w.now - p->crowded > CROWD_BOUND && r->w.now - r->leapt > CROWD_BOUND)
    broken(r, &p->peer.who, "one upstream subscription per track", "%u subscriptions to a track of %s", n,
           path_names[path]);
}

static void note_publisher(struct run *r, struct publisher *p)
{
  for (unsigned i = 0; i < PATHS; i++) {
    if (p->announced[i] && !p->mute)
      r->spoke[i] = r->w.now;
    if (p->announced[i])
      r->seen_at[i] |= 1u << p->peer.relay->who.index;
  }
}

void check_step(struct run *r)
{
  for (unsigned i = 0; i < PUBLISHERS_MAX; i++) {
    if (r->publishers[i].peer.t) {
      note_publisher(r, &r->publishers[i]);
      check_crowd(r, &r->publishers[i]);
    }
  }
  for (unsigned i = 0; i < VIEWERS_MAX; i++)
    viewer_check_waits(&r->viewers[i]);
  for (unsigned i = 0; i < r->plan.relays; i++) {
    const struct cache *c = &r->relays[i].model.cache;
    if (c->capacity > 0 && c->used - c->leaving > c->capacity + c->capacity / 2 + 65536)
      broken(r, &r->relays[i].who, "the cache keeps to its budget", "%zu of %zu bytes", c->used - c->leaving,
             c->capacity);
  }
}

/* -- calm -- */

static unsigned live_paths(const struct run *r)
{
  unsigned live = 0;
  for (unsigned i = 0; i < PUBLISHERS_MAX; i++) {
    for (unsigned k = 0; k < PATHS; k++)
      live |= r->publishers[i].announced[k] ? 1u << k : 0;
  }
  return live;
}

static void check_listings(const struct run *r, const struct viewer *v, unsigned live)
{
  list_for_each (it, &v->listings) {
    const struct listing *l = container_of(it, struct listing, link);
    unsigned expected = listing_expected(l, live);
    if (l->open && l->active != expected)
      broken(r, &v->peer.who, "announcements are true", "under \"%s\" it knows of %#x, where %#x is there",
             prefix_names[l->prefix], l->active, expected);
  }
}

/* The newest sending of a publisher that has had time to arrive. */
static const struct sending *newest_of(const struct run *r, const struct publisher *p, const struct watching *w)
{
  for (uint32_t i = r->ledger.n; i-- > 0;) {
    const struct sending *s = r->ledger.sendings[i];
    bool its = s->publisher == p->peer.who.index && s->life == p->life && s->path == w->path && s->track == w->track;
    bool late = s->whole && r->w.now - s->ended > NEWEST_BOUND;
    if (its && late && s->marked && !s->answer && !s->datagram && s->sequence >= FLOOR_MAX)
      return s;
  }
  return NULL;
}

/* Somebody sends it, and what came is no older than what the slowest of those who send has sent long ago. */
static void check_newest(const struct run *r, const struct viewer *v, const struct watching *w)
{
  const struct sending *least = NULL;
  for (unsigned i = 0; i < PUBLISHERS_MAX; i++) {
    const struct publisher *p = &r->publishers[i];
    const struct sending *s = p->announced[w->path] ? newest_of(r, p, w) : NULL;
    if (s && r->w.now - s->ended < 2 * NEWEST_BOUND + NS_PER_S && (!least || s->begun < least->begun))
      least = s;
  }
  if (!least)
    broken(r, &v->peer.who, "the newest group arrives", "nobody sends %s %s, which id %llu watches",
           path_names[w->path], track_names[w->track], (unsigned long long)w->id);
  if (w->newest < least->begun)
    broken(r, &v->peer.who, "the newest group arrives", "id %llu has nothing as new as sending %u, whole for %.3f s",
           (unsigned long long)w->id, least->id, (double)(r->w.now - least->ended) / 1e9);
}

/* Who should serve a path at a relay; NULL = that is not clear. */
static const struct publisher *expected_source(const struct run *r, const struct relay *relay, unsigned path)
{
  const struct publisher *best = NULL;
  bool never = r->plan.model.takeover == TAKEOVER_NEVER;
  if (r->odd & 1u << path)
    return NULL;
  for (unsigned i = 0; i < PUBLISHERS_MAX; i++) {
    const struct publisher *p = &r->publishers[i];
    if (!p->announced[path] || p->peer.relay != relay)
      continue;
    if (p->peer.wire->rate > 0)
      return NULL; /* it may have been too slow to answer */
    uint64_t a = p->announced[path], b = best ? best->announced[path] : 0;
    if (best && (a > b ? a - b : b - a) < NS_PER_S * 10)
      return NULL;
    if (!best || (never ? a < b : a > b))
      best = p;
  }
  return best;
}

static void check_source(const struct run *r, const struct viewer *v, const struct watching *w)
{
  const struct publisher *p = expected_source(r, v->peer.relay, w->path);
  if (p && w->last && w->last->publisher != p->peer.who.index)
    broken(r, &v->peer.who, "the right publisher serves", "id %llu gets %s from publisher %u, not from %u",
           (unsigned long long)w->id, path_names[w->path], w->last->publisher, p->peer.who.index);
}

void check_calm(struct run *r)
{
  unsigned live = live_paths(r);
  tell(r, &r->who, EV_VERIFY);
  if (r->fail_at >= 0)
    return;
  for (unsigned i = 0; i < VIEWERS_MAX; i++) {
    struct viewer *v = &r->viewers[i];
    if (!v->peer.t || !v->peer.ready || v->peer.closing)
      continue;
    check_listings(r, v, live);
    list_for_each (it, &v->watching) {
      const struct watching *w = container_of(it, struct watching, link);
      if (!w->request || w->left || w->over || w->bounded || !(live & 1u << w->path) || r->plan.tiny)
        continue;
      check_newest(r, v, w);
      check_source(r, v, w);
    }
  }
}

/* -- the end -- */

void check_end(struct run *r)
{
  for (unsigned i = 0; i < r->plan.relays; i++)
    relay_check_empty(&r->relays[i]);
  if (timers_next(&r->w.timers) != TIMERS_NONE || !list_empty(&r->w.deferred))
    broken(r, &r->who, "nothing is left when all have gone", "a timer or deferred work");
}
