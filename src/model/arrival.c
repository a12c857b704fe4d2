/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What arrives on a track: groups and datagrams, under which number, how long they stay, and that
 * no more will come. */
#include "base/varint.h"
#include "model/private.h"
#include <errno.h>

#define BEHIND_MAX 64 /* groups that another way of the same publisher may be behind, whether they are here or not */

/* -- groups -- */

struct group *track_find(const struct track *t, uint64_t sequence)
{
  for (struct list *it = t->groups.prev; it != &t->groups; it = it->prev) {
    struct group *g = container_of(it, struct group, link);
    if (g->sequence <= sequence)
      return g->sequence == sequence ? g : NULL;
  }
  return NULL;
}

static void remember(struct track *t, uint64_t sequence)
{
  t->recent[t->recent_n++ % TRACK_RECENT] = sequence;
}

static bool was_here(const struct track *t, uint64_t sequence)
{
  uint32_t n = t->recent_n < TRACK_RECENT ? t->recent_n : TRACK_RECENT;
  for (uint32_t i = 0; i < n; i++) {
    if (t->recent[i] == sequence)
      return true;
  }
  return false;
}

static struct group *last_live(const struct track *t)
{
  for (struct list *it = t->groups.prev; it != &t->groups; it = it->prev) {
    struct group *g = container_of(it, struct group, link);
    if (!g->fetched)
      return g;
  }
  return NULL;
}

void track_forget(struct group *g)
{
  struct track *t = g->track;
  if (!t)
    return;
  bool was_cut = g->state == GROUP_CUT;
  list_remove(&g->link);
  list_remove(&g->order);
  g->track = NULL;
  t->group_n--;
  if (t->newest == g)
    t->newest = last_live(t);
  if (was_cut && !g->superseded)
    g->superseded = t->model->now;
  if (was_cut)
    remember(t, g->sequence);
  else if (!g->fetched && g->sequence >= t->floor)
    t->floor = g->sequence + 1;
  if (!was_cut && g->sequence >= t->gone_below)
    t->gone_below = g->sequence + 1;
  list_remove(&g->age);
  list_append(&g->cache->old, &g->age);
  group_unref(g);
}

void track_purge(struct track *t)
{
  while (!list_empty(&t->groups))
    track_forget(container_of(t->groups.next, struct group, link));
  timers_cancel(t->model->timers, &t->age_timer);
  t->floor = 0;
  t->recent_n = 0;
}

/* How long a group stays after a newer one has come. */
static uint64_t window(const struct track *t)
{
  const struct model_limits *l = &t->model->limits;
  uint64_t own = t->has_info ? ms_to_ns(t->info.max_age_ms) : UINT64_MAX;
  return add_sat(own < l->max_age_ns ? own : l->max_age_ns, l->handover_ns);
}

void track_on_age(struct timer *timer, uint64_t now)
{
  struct track *t = container_of(timer, struct track, age_timer);
  model_saw(t->model, now);
  list_for_each_safe (it, tmp, &t->groups) {
    struct group *g = container_of(it, struct group, link);
    uint64_t due = add_sat(g->superseded, window(t));
    if (g == t->newest)
      continue;
    if (due > now) {
      timers_set(t->model->timers, &t->age_timer, due);
      return;
    }
    track_forget(g);
  }
}

static void age_from_now(struct track *t, uint64_t now)
{
  if (!timer_armed(&t->age_timer))
    timers_set(t->model->timers, &t->age_timer, add_sat(now, window(t)));
}

/* Whether a number fits those that came last. A source said to be the same publisher by another way may be another one: not every
 * version can tell that a relay's own source has changed. */
static bool fits(const struct track *t, uint64_t sequence)
{
  if (t->base > TRACK_SEQUENCE_MAX - sequence)
    return true;
  sequence += t->base;
  return sequence + BEHIND_MAX >= t->highest || track_find(t, sequence) || was_here(t, sequence);
}

/* The first group of another source decides how its numbers go on: as they are when they are above
 * all of the old ones or come from the same publisher by another way, else raised above them. */
static int rebase(struct track *t, uint64_t sequence, uint64_t *ret_sequence)
{
  if (sequence > TRACK_SEQUENCE_MAX)
    return -ESTALE;
  if (t->fresh) {
    const struct route *r = track_route(t);
    uint64_t publisher = r && r->info.hop_count > 0 ? r->info.hops[0] : 0;
    if (publisher == 0 || publisher != t->publisher || !fits(t, sequence)) {
      t->base = sequence >= t->highest ? 0 : t->highest;
      t->floor = t->highest;
    }
    t->publisher = publisher;
    t->fresh = false;
  }
  if (t->base > TRACK_SEQUENCE_MAX - sequence) {
    /* A publisher before this one used the numbers up: viewers begin anew on a fresh track. */
    track_end(t, CODE_CANCELLED, true, t->model->now);
    return -ESTALE;
  }
  *ret_sequence = t->base + sequence;
  return 0;
}

/* Whether a group or datagram may come in under this number. */
static int admit(const struct track *t, uint64_t sequence)
{
  if (track_find(t, sequence) || was_here(t, sequence))
    return -EEXIST;
  if (!t->subscribed || t->over || sequence < t->floor || sequence >= t->final)
    return -ESTALE;
  return 0;
}

static void count_live(struct track *t, uint64_t sequence)
{
  if (sequence < t->first)
    t->first = sequence;
  if (sequence >= t->highest)
    t->highest = sequence + 1;
  t->accepted++;
  track_check_live(t);
}

static void insert(struct track *t, struct group *g)
{
  struct list *at = &t->groups;
  while (at->prev != &t->groups && container_of(at->prev, struct group, link)->sequence > g->sequence)
    at = at->prev;
  list_insert_before(at, &g->link);
  list_append(&t->order, &g->order);
  g->track = t;
  g->share = track_route(t) ? track_route(t)->share : NULL;
  share_join(g->share, g->bytes);
  g->serial = ++t->serial;
  t->group_n++;
}

static void set_newest(struct track *t, struct group *g, uint64_t now)
{
  struct group *old = t->newest;
  t->newest = g;
  cache_touch(g->cache, g);
  if (!old)
    return;
  old->superseded = now;
  list_remove(&old->age);
  list_append(&old->cache->old, &old->age);
  model_relieved(t->model);
  age_from_now(t, now);
}

static void place_group(struct track *t, struct group *g, uint64_t now)
{
  insert(t, g);
  if (!g->fetched && (!t->newest || g->sequence > t->newest->sequence)) {
    set_newest(t, g, now);
  } else {
    g->superseded = now;
    age_from_now(t, now);
  }
  while (t->group_n > t->model->limits.groups_per_track && t->group_n > 1)
    track_forget(container_of(t->groups.next, struct group, link));
}

/* Nothing is missing between the first group of this subscription and the end that the source told.
 */
static bool complete(const struct track *t)
{
  if (t->accepted == 0)
    return t->final == t->base;
  return t->highest == t->final && t->accepted == t->final - t->first;
}

static void over(struct track *t)
{
  t->over = true;
  timers_cancel(t->model->timers, &t->finish_timer);
  track_schedule_subs(t);
}

int track_group(struct track *t, uint64_t sequence, uint64_t now, struct group **ret_g)
{
  model_saw(t->model, now);
  if (t->state == TRACK_CLOSED || rebase(t, sequence, &sequence) < 0)
    return -ESTALE;
  bool asked = fetch_pending(t, sequence);
  int rc = admit(t, sequence);
  if (rc == -EEXIST || (rc < 0 && !asked))
    return rc;
  struct group *g = group_new(t->model, sequence, now);
  if (!g)
    return -ENOMEM;
  track_ref(t);
  *ret_g = group_ref(g);
  g->fetched = rc < 0 || (asked && sequence < t->highest);
  place_group(t, g, now);
  if (!g->fetched) {
    count_live(t, sequence);
    track_schedule_subs(t);
  }
  if (t->final != UINT64_MAX && !t->over && complete(t))
    over(t);
  fetches_answer(t, *ret_g);
  cache_trim(&t->model->cache);
  track_unref(t);
  return 0;
}

/* -- datagrams -- */

static void forward_datagram(struct track *t, uint64_t sequence, uint64_t timestamp, struct slice payload)
{
  struct list todo;
  list_init(&todo);
  list_move_all(&t->subs, &todo);
  while (!list_empty(&todo)) {
    struct sub *s = container_of(todo.next, struct sub, link);
    list_remove(&s->link);
    list_append(&t->subs, &s->link);
    uint64_t floor = s->started ? s->start : s->params.group_start;
    if (!s->ended && sequence >= floor && sequence <= s->params.group_end)
      s->ops->on_datagram(s, sequence, timestamp, payload);
  }
}

int track_datagram(struct track *t, uint64_t sequence, uint64_t timestamp, struct slice payload, uint64_t now)
{
  model_saw(t->model, now);
  if (t->state == TRACK_CLOSED || rebase(t, sequence, &sequence) < 0)
    return -ESTALE;
  int rc = admit(t, sequence);
  if (rc < 0)
    return rc;
  track_ref(t);
  remember(t, sequence);
  count_live(t, sequence);
  forward_datagram(t, sequence, timestamp, payload);
  if (t->final != UINT64_MAX && !t->over && complete(t))
    over(t);
  track_unref(t);
  return 0;
}

/* -- the end -- */

void track_on_finish(struct timer *timer, uint64_t now)
{
  struct track *t = container_of(timer, struct track, finish_timer);
  model_saw(t->model, now);
  over(t);
}

void track_finish(struct track *t, uint64_t final, uint64_t now)
{
  model_saw(t->model, now);
  if (t->state == TRACK_CLOSED || t->final != UINT64_MAX)
    return;
  if (final > TRACK_SEQUENCE_MAX || (!t->fresh && final > TRACK_SEQUENCE_MAX - t->base))
    final = TRACK_SEQUENCE_MAX; /* no end in sight */
  else if (rebase(t, final, &final) < 0)
    return;
  t->final = final;
  if (complete(t))
    over(t);
  else
    timers_set(t->model->timers, &t->finish_timer, add_sat(now, t->model->limits.handover_ns));
}

void track_all_begun(struct track *t)
{
  if (t->state != TRACK_CLOSED && t->final != UINT64_MAX && !t->over)
    over(t);
}
