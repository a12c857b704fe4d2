/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Viewers. Whatever happens to a track only marks its viewers; sub_run then does what is due for
 * one of them. A callback may close and free the viewer that is being served: model->running tells.
 */
#include "model/private.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void sub_schedule(struct sub *s)
{
  struct model *m = s->track->model;
  if (!list_empty(&s->pending))
    return;
  bool first = list_empty(&m->pending);
  list_append(&m->pending, &s->pending);
  if (first && m->defer)
    m->defer(m->ctx);
}

static void start(struct sub *s);

void track_schedule_subs(struct track *t)
{
  list_for_each (it, &t->subs) {
    struct sub *s = container_of(it, struct sub, link);
    start(s);
    sub_schedule(s);
  }
}

static bool alive(const struct track *t, const struct sub *s)
{
  return t->model->running == s;
}

/* -- deliveries -- */

static struct delivery *first_delivery(const struct sub *s)
{
  return list_empty(&s->deliveries) ? NULL : container_of(s->deliveries.next, struct delivery, link);
}

static void delivery_detach(struct delivery *d)
{
  list_remove(&d->link);
  look_back_moved(d->sub, d->reader.group);
  d->sub->delivery_n--;
  d->sub->behind -= d->counted;
  d->counted = 0;
}

static void delivery_free(struct delivery *d)
{
  reader_end(&d->reader);
  free(d);
}

void delivery_done(struct delivery *d)
{
  if (d->dropped)
    return; /* from inside on_drop, which frees it */
  delivery_detach(d);
  delivery_free(d);
}

/* The viewer may close its sub meanwhile: d is not in there any more. */
static void delivery_drop(struct delivery *d, uint64_t code)
{
  delivery_detach(d);
  d->dropped = true;
  d->sub->ops->on_drop(d, code);
  delivery_free(d);
}

static void delivery_count(struct delivery *d)
{
  size_t left = reader_left(&d->reader);
  d->sub->behind = d->sub->behind - d->counted + left;
  d->counted = left;
}

static void delivery_wake(struct reader *r)
{
  struct delivery *d = container_of(r, struct delivery, reader);
  struct sub *s = d->sub;
  if (r->group->evicted) {
    delivery_drop(d, CODE_EVICTED);
    return;
  }
  delivery_count(d);
  if (s->behind > s->track->model->limits.sub_behind_bytes)
    sub_schedule(s);
  if (r->group->state != GROUP_OPEN)
    look_back_moved(s, r->group);
  s->ops->on_wake(d);
}

static void insert(struct sub *s, struct delivery *d)
{
  struct list *at = &s->deliveries;
  uint64_t sequence = d->reader.group->sequence;
  while (at->prev != &s->deliveries && container_of(at->prev, struct delivery, link)->reader.group->sequence > sequence)
    at = at->prev;
  list_insert_before(at, &d->link);
  s->delivery_n++;
}

/* Without memory the viewer misses this group. */
static void deliver(struct sub *s, struct group *g, uint64_t now)
{
  const struct sub_params *p = &s->params;
  struct delivery *d = calloc(1, sizeof *d);
  if (!d)
    return;
  *d = (struct delivery){.sub = s, .begun = now};
  d->first_object = !p->from_latest && g->sequence == p->group_start ? p->frame_start : 0;
  uint64_t last = g->sequence == p->group_end ? p->frame_end : UINT64_MAX;
  if (reader_begin(&d->reader, g, 0, s->framing, d->first_object, last, delivery_wake) < 0) {
    free(d);
    return;
  }
  insert(s, d);
  delivery_count(d);
  s->ops->on_group(s, d);
}

void sub_deliver(struct sub *s, struct group *g, uint64_t now)
{
  deliver(s, g, now);
}

/* -- which groups -- */

/* Where a viewer begins: the newest group there is when it joins (else the first that comes), or
 * the oldest one that its floor and max age allow. */
static void start(struct sub *s)
{
  const struct track *t = s->track;
  const struct sub_params *p = &s->params;
  const struct group *newest = t->newest;
  if (s->started || !newest)
    return;
  uint64_t max_age = ms_to_ns(p->max_age_ms);
  s->started = true;
  s->start_serial = t->serial;
  s->start = newest->sequence > p->group_start ? newest->sequence : p->group_start;
  for (struct list *it = newest->link.prev; !p->from_latest && it != &t->groups; it = it->prev) {
    const struct group *g = container_of(it, struct group, link);
    uint64_t age = newest->arrived > g->arrived ? newest->arrived - g->arrived : 0;
    if (g->fetched)
      continue;
    if (g->sequence < p->group_start || age > max_age)
      break;
    s->start = g->sequence;
  }
  look_back_begin(s);
}

/* Groups below the start that come after it are older ones that upstream sends newest first. */
static bool below(const struct sub *s, const struct group *g)
{
  const struct sub_params *p = &s->params;
  if (!p->from_latest && g->sequence < p->group_start)
    return true;
  bool history = !p->from_latest && p->max_age_ms > 0 && g->serial > s->start_serial;
  return g->sequence < s->start && !history;
}

static bool wants(struct sub *s, const struct group *g)
{
  const struct sub_params *p = &s->params;
  if (g->fetched || below(s, g) || look_back_has(s, g->sequence))
    return false;
  if (g->serial <= s->again && g->sequence < s->again_from)
    return false;
  if (g->sequence <= p->group_end)
    return true;
  if (s->held == UINT64_MAX)
    s->held_serial = g->serial;
  if (g->sequence < s->held)
    s->held = g->sequence;
  return false;
}

static struct group *next_unseen(const struct track *t, uint64_t seen)
{
  struct group *g = NULL;
  for (struct list *it = t->order.prev; it != &t->order; it = it->prev) {
    struct group *h = container_of(it, struct group, order);
    if (h->serial <= seen)
      break;
    g = h;
  }
  return g;
}

static struct group *next_in_order(const struct track *t, const struct group *g)
{
  if (list_empty(&g->order)) /* it left meanwhile */
    return next_unseen(t, g->serial);
  return g->order.next == &t->order ? NULL : container_of(g->order.next, struct group, order);
}

static void give_new_groups(struct track *t, struct sub *s, uint64_t now)
{
  struct group *g = s->started && !s->ended ? next_unseen(t, s->seen) : NULL;
  while (g && alive(t, s)) {
    group_ref(g);
    s->seen = g->serial;
    if (wants(s, g))
      deliver(s, g, now);
    struct group *next = next_in_order(t, g);
    group_unref(g);
    g = next;
  }
}

/* -- skipping -- */

static bool far_behind(const struct sub *s)
{
  const struct model_limits *l = &s->track->model->limits;
  return s->delivery_n > 1 && (s->behind > l->sub_behind_bytes || s->delivery_n > l->deliveries_per_sub);
}

/* The oldest go first; the newest group never goes, however large. */
static void skip_far_behind(struct track *t, struct sub *s)
{
  if (!alive(t, s) || !far_behind(s))
    return;
  list_for_each (it, &s->deliveries)
    delivery_count(container_of(it, struct delivery, link));
  if (far_behind(s) && s->behind > t->model->limits.sub_behind_bytes)
    limit_hit(t->model->counts, LIMIT_BEHIND_BYTES, t->model->now, "track=%.*s", SLICE_FMT(t->name));
  while (alive(t, s) && far_behind(s))
    delivery_drop(first_delivery(s), CODE_TOO_FAR_BEHIND);
}

static uint64_t deadline(const struct delivery *d)
{
  const struct group *g = d->reader.group;
  if (!g->superseded)
    return TIMERS_NONE;
  uint64_t from = g->superseded > d->begun ? g->superseded : d->begun;
  uint64_t allowed = add_sat(ms_to_ns(d->sub->params.max_age_ms), g->model->limits.handover_ns);
  return add_sat(from, allowed);
}

static struct delivery *most_urgent(const struct sub *s, uint64_t *ret_deadline)
{
  struct delivery *found = NULL;
  *ret_deadline = TIMERS_NONE;
  list_for_each (it, &s->deliveries) {
    struct delivery *d = container_of(it, struct delivery, link);
    uint64_t at = deadline(d);
    if (at == TIMERS_NONE)
      break; /* the newest; those after it are newer still */
    if (at < *ret_deadline) {
      *ret_deadline = at;
      found = d;
    }
  }
  return found;
}

/* One timer a viewer; it is left to run when the delivery it was for is done. */
static void watch_age(struct track *t, struct sub *s)
{
  uint64_t at;
  if (alive(t, s) && !timer_armed(&s->timer) && most_urgent(s, &at))
    timers_set(t->model->timers, &s->timer, at);
}

static void skip_old(struct timer *timer, uint64_t now)
{
  struct sub *s = container_of(timer, struct sub, timer);
  struct track *t = track_ref(s->track);
  uint64_t at;
  model_saw(t->model, now);
  t->model->running = s;
  for (struct delivery *d = most_urgent(s, &at); d && at <= now; d = alive(t, s) ? most_urgent(s, &at) : NULL)
    delivery_drop(d, CODE_TIMEOUT);
  watch_age(t, s);
  t->model->running = NULL;
  track_unref(t);
}

/* -- the end -- */

static void tell_end(struct track *t, struct sub *s)
{
  bool over = t->over || t->state == TRACK_CLOSED;
  if (!alive(t, s) || s->ended || !(s->circling || (over && !look_back_busy(s))))
    return;
  s->ended = true;
  t->unended_n--;
  if (over)
    s->ops->on_end(s, t->over, t->final, t->code);
  else
    s->ops->on_end(s, false, 0, CODE_UNROUTABLE);
}

void sub_run(struct sub *s, uint64_t now)
{
  struct track *t = track_ref(s->track);
  t->model->running = s;
  give_new_groups(t, s, now);
  if (alive(t, s) && s->circling)
    look_back_stop(s, now);
  if (alive(t, s))
    look_back_run(s, now);
  skip_far_behind(t, s);
  tell_end(t, s);
  watch_age(t, s);
  t->model->running = NULL;
  if (t->state == TRACK_CLOSED && t->unended_n == 0)
    track_purge(t);
  track_unref(t);
}

/* -- joining and leaving -- */

static bool has_room(const struct track *t)
{
  struct model *m = t->model;
  bool many = t->sub_n >= m->limits.subs_per_track;
  if (!many && m->subs_now < m->limits.subs)
    return true;
  limit_hit(m->counts, many ? LIMIT_SUBSCRIBERS : LIMIT_SUBSCRIPTIONS_TOTAL, m->now, "track=%.*s", SLICE_FMT(t->name));
  return false;
}

int sub_open(struct sub *s, struct track *t, const struct sub_params *params, const struct framing *framing,
             const struct sub_ops *ops, void *user, uint64_t now)
{
  struct model *m = t->model;
  model_saw(m, now);
  if (!has_room(t))
    return -EUSERS;
  *s = (struct sub){
      .track = track_ref(t), .ops = ops, .user = user, .framing = framing, .params = *params, .held = UINT64_MAX};
  list_init(&s->deliveries);
  list_init(&s->pending);
  timer_init(&s->timer, skip_old);
  list_append(&t->subs, &s->link);
  t->sub_n++;
  t->joined++;
  t->unended_n++;
  m->subs_now++;
  start(s);
  sub_schedule(s);
  track_wants_changed(t, now);
  track_settle(t, now);
  return 0;
}

static void end_circle(struct sub *s)
{
  const struct route *r = track_route(s->track);
  if (!r || !route_through(&r->info, s->hop))
    return;
  s->circling = true;
  sub_schedule(s);
}

void sub_reached_through(struct sub *s, uint64_t hop)
{
  s->hop = hop;
  end_circle(s);
}

void track_end_circles(struct track *t)
{
  list_for_each (it, &t->subs)
    end_circle(container_of(it, struct sub, link));
}

void sub_update(struct sub *s, const struct sub_params *params, uint64_t now)
{
  struct track *t = s->track;
  model_saw(t->model, now);
  s->params = *params;
  if (s->held <= params->group_end && s->held != UINT64_MAX) {
    s->again = s->seen;
    s->again_from = s->held;
    s->seen = s->held_serial - 1;
    s->held = UINT64_MAX;
  }
  timers_cancel(t->model->timers, &s->timer);
  sub_schedule(s);
  track_wants_changed(t, now);
}

void sub_close(struct sub *s, uint64_t now)
{
  struct track *t = s->track;
  if (!t)
    return;
  struct model *m = t->model;
  model_saw(m, now);
  look_back_stop(s, now);
  while (!list_empty(&s->deliveries))
    delivery_done(first_delivery(s));
  if (m->running == s)
    m->running = NULL;
  timers_cancel(m->timers, &s->timer);
  list_remove(&s->pending);
  list_remove(&s->link);
  s->track = NULL;
  t->sub_n--;
  t->unended_n -= !s->ended;
  m->subs_now--;
  if (t->state == TRACK_CLOSED && t->unended_n == 0)
    track_purge(t);
  track_wants_changed(t, now);
  track_settle(t, now);
  track_unref(t);
}

void track_union(const struct track *t, struct sub_params *ret_wanted)
{
  struct sub_params u = {
      .from_latest = true, .group_end = UINT64_MAX, .frame_end = UINT64_MAX, .oldest_first = t->sub_n > 0};
  list_for_each (it, &t->subs) {
    const struct sub_params *p = &container_of(it, struct sub, link)->params;
    u.priority = p->priority > u.priority ? p->priority : u.priority;
    u.max_age_ms = p->max_age_ms > u.max_age_ms ? p->max_age_ms : u.max_age_ms;
    u.oldest_first = u.oldest_first && p->oldest_first;
    if (t->model->asks_history && !p->from_latest && p->max_age_ms > 0)
      u.from_latest = false;
  }
  *ret_wanted = u;
}
