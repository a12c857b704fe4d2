/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/private.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* -- state -- */

static void set_state(struct track *t, enum track_state next)
{
#define TO(s) (1u << TRACK_##s)
  static const unsigned legal[] = {
      [TRACK_IDLE] = TO(PENDING) | TO(CLOSED),
      [TRACK_PENDING] = TO(LIVE) | TO(LINGERING) | TO(CLOSED),
      [TRACK_LIVE] = TO(PENDING) | TO(LINGERING) | TO(CLOSED),
      [TRACK_LINGERING] = TO(PENDING) | TO(LIVE) | TO(IDLE) | TO(CLOSED),
      [TRACK_CLOSED] = 0,
  };
#undef TO
  assert(legal[t->state] & 1u << next);
  t->state = next;
  timers_cancel(t->model->timers, &t->timer);
}

static void set_timer(struct track *t, uint64_t now, uint64_t after)
{
  timers_set(t->model->timers, &t->timer, add_sat(now, after));
}

/* The source has shown that the track is there. */
static bool answered(const struct track *t)
{
  return t->subscribed && ((t->has_info && !t->confirm) || t->accepted > 0);
}

void track_check_live(struct track *t)
{
  if (t->state == TRACK_PENDING && answered(t))
    set_state(t, TRACK_LIVE);
}

/* -- life -- */

static void on_timer(struct timer *timer, uint64_t now);
static void on_update(struct timer *timer, uint64_t now);

static struct track *track_new(struct broadcast *b, struct slice name, uint64_t avoid)
{
  struct track *t = calloc(1, sizeof *t);
  uint8_t *copy = malloc(name.n + 1);
  if (!t || !copy) {
    free(t);
    free(copy);
    return NULL;
  }
  if (name.n > 0)
    memcpy(copy, name.p, name.n);
  *t = (struct track){.broadcast = b,
                      .model = b->model,
                      .name = slice_of(copy, name.n),
                      .avoid = avoid,
                      .final = UINT64_MAX,
                      .first = UINT64_MAX,
                      .fresh = true};
  list_init(&t->groups);
  list_init(&t->order);
  list_init(&t->subs);
  list_init(&t->waiters);
  list_init(&t->fetches);
  timer_init(&t->timer, on_timer);
  timer_init(&t->age_timer, track_on_age);
  timer_init(&t->update_timer, on_update);
  timer_init(&t->finish_timer, track_on_finish);
  t->route = track_best(t);
  list_append(&b->tracks, &t->link);
  b->track_n++;
  b->model->tracks_now++;
  return t;
}

static bool has_room(const struct broadcast *b)
{
  struct model *m = b->model;
  bool many = b->track_n >= m->limits.tracks_per_broadcast;
  if (!many && m->tracks_now < m->limits.tracks)
    return true;
  limit_hit(m->counts, many ? LIMIT_TRACKS : LIMIT_TRACKS_TOTAL, m->now, "broadcast=%.*s", (int)b->path.n, b->path.s);
  return false;
}

struct track *track_get(struct broadcast *b, struct slice name, uint64_t avoid)
{
  list_for_each (it, &b->tracks) {
    struct track *t = container_of(it, struct track, link);
    if (t->avoid == avoid && slice_eq(t->name, name)) {
      if (t->state == TRACK_IDLE)
        timers_cancel(b->model->timers, &t->timer);
      return track_ref(t);
    }
  }
  if (name.n > TRACK_NAME_MAX || !has_room(b)) {
    errno = name.n > TRACK_NAME_MAX ? ENAMETOOLONG : EUSERS;
    return NULL;
  }
  struct track *t = track_new(b, name, avoid);
  if (!t)
    errno = ENOMEM;
  return t ? track_ref(t) : NULL;
}

static void leave_broadcast(struct track *t)
{
  list_remove(&t->link);
  if (t->broadcast)
    t->broadcast->track_n--;
  t->broadcast = NULL;
}

static void stop_timers(struct track *t)
{
  struct timers *ts = t->model->timers;
  timers_cancel(ts, &t->timer);
  timers_cancel(ts, &t->age_timer);
  timers_cancel(ts, &t->update_timer);
  timers_cancel(ts, &t->finish_timer);
}

static void track_free(struct track *t)
{
  assert(list_empty(&t->subs) && list_empty(&t->waiters) && list_empty(&t->fetches));
  if (t->state != TRACK_CLOSED)
    set_state(t, TRACK_CLOSED);
  track_purge(t);
  stop_timers(t);
  leave_broadcast(t);
  t->model->tracks_now--;
  free((void *)(uintptr_t)t->name.p);
  free(t);
}

/* Nobody refers to it. What upstream told is kept for a while: the next request often follows the
 * one that asked for the info. */
static void unreferenced(struct track *t)
{
  if (t->state == TRACK_IDLE && t->has_info && !timer_armed(&t->timer))
    set_timer(t, t->model->now, t->model->limits.track_linger_ns);
  else if (t->state == TRACK_CLOSED || (t->state == TRACK_IDLE && !t->has_info))
    track_free(t);
}

struct track *track_ref(struct track *t)
{
  assert(t->refs < UINT32_MAX);
  t->refs++;
  return t;
}

void track_unref(struct track *t)
{
  if (!t)
    return;
  assert(t->refs > 0);
  if (--t->refs == 0)
    unreferenced(t);
}

/* -- upstream -- */

void track_ask_info(struct track *t)
{
  struct route *r = track_route(t);
  if (t->info_asked || (t->has_info && !t->confirm) || !r)
    return;
  t->info_asked = true;
  r->ops->info(r->source, t);
}

static void subscribe(struct track *t, struct route *r, uint64_t now)
{
  t->ops = r->ops;
  t->source = r->source;
  t->subscribed = true;
  t->upstream = NULL;
  t->first = UINT64_MAX;
  t->accepted = 0;
  t->sent_at = now;
  track_union(t, &t->sent);
  r->ops->subscribe(r->source, t, &t->sent);
  track_check_live(t);
}

static void unsubscribe(struct track *t, bool tell)
{
  if (t->subscribed && tell)
    t->ops->unsubscribe(t->source, t);
  t->subscribed = false;
  t->upstream = NULL;
  t->ops = NULL;
  t->source = NULL;
}

/* A track whose viewers came from another source waits for the info first: it may not be the same
 * track any more. */
static void pursue(struct track *t, uint64_t now)
{
  struct route *r = track_route(t);
  if (t->state == TRACK_PENDING && r && !timer_armed(&t->timer))
    set_timer(t, now, t->model->limits.info_timeout_ns);
  if (!r || t->subscribed)
    return;
  track_ask_info(t);
  r = track_route(t); /* it may have refused */
  if (t->state != TRACK_CLOSED && !t->subscribed && !t->confirm && r)
    subscribe(t, r, now);
}

void track_settle(struct track *t, uint64_t now)
{
  bool wanted = t->sub_n + t->latest_n > 0;
  track_ref(t);
  if (wanted && (t->state == TRACK_IDLE || t->state == TRACK_LINGERING))
    set_state(t, t->state == TRACK_LINGERING && answered(t) ? TRACK_LIVE : TRACK_PENDING);
  if (wanted && t->state != TRACK_CLOSED)
    pursue(t, now);
  if (!wanted && t->parting) {
    track_end(t, CODE_UNROUTABLE, true, now);
  } else if (!wanted && (t->state == TRACK_PENDING || t->state == TRACK_LIVE)) {
    set_state(t, TRACK_LINGERING);
    set_timer(t, now, t->model->limits.track_linger_ns);
  }
  track_unref(t);
}

static void go_idle(struct track *t, bool tell)
{
  unsubscribe(t, tell);
  track_purge(t);
  set_state(t, TRACK_IDLE);
}

/* Somebody who fetched reads a group that is still arriving. */
static bool read_while_open(const struct track *t)
{
  list_for_each (it, &t->groups) {
    const struct group *g = container_of(it, struct group, link);
    if (g->state == GROUP_OPEN && !list_empty(&g->readers))
      return true;
  }
  return false;
}

static void unanswered(struct track *t, uint64_t now)
{
  if (!track_try_next(t, true, now))
    track_end(t, CODE_CONTROL_TIMEOUT, true, now);
}

static void on_timer(struct timer *timer, uint64_t now)
{
  struct track *t = container_of(timer, struct track, timer);
  model_saw(t->model, now);
  track_ref(t);
  if (t->state == TRACK_PENDING)
    unanswered(t, now);
  else if (t->parting)
    track_end(t, CODE_UNROUTABLE, true, now);
  else if (t->state == TRACK_LINGERING && read_while_open(t))
    set_timer(t, now, t->model->limits.track_linger_ns);
  else if (t->state == TRACK_LINGERING && t->final != UINT64_MAX)
    track_end(t, 0, true, now);
  else if (t->state == TRACK_LINGERING)
    go_idle(t, true);
  else if (t->state == TRACK_IDLE && t->refs == 1)
    t->has_info = false;
  track_unref(t);
}

void track_rerouted(struct track *t, bool old_alive, uint64_t now)
{
  track_ref(t);
  unsubscribe(t, old_alive);
  t->info_asked = false;
  t->fresh = true;
  t->confirm = t->has_info;
  fetches_fail(t, false, CODE_UNROUTABLE);
  if (t->final != UINT64_MAX)
    track_end(t, 0, false, now);
  if (t->state == TRACK_LIVE)
    set_state(t, TRACK_PENDING);
  else if (t->state == TRACK_PENDING)
    timers_cancel(t->model->timers, &t->timer);
  else if (t->state == TRACK_LINGERING)
    go_idle(t, false);
  if (!list_empty(&t->waiters))
    track_ask_info(t);
  track_settle(t, now);
  track_unref(t);
}

void track_set_info(struct track *t, const struct track_info *info, uint64_t now)
{
  model_saw(t->model, now);
  if (t->state == TRACK_CLOSED || (t->has_info && !t->confirm))
    return;
  track_ref(t);
  t->info_asked = false;
  if (t->has_info && info->timescale != t->info.timescale) {
    track_end(t, CODE_CANCELLED, true, now);
    track_unref(t);
    return;
  }
  if (!t->has_info) {
    t->info = *info;
    t->has_info = true;
    if (timer_armed(&t->age_timer))
      timers_set(t->model->timers, &t->age_timer, now); /* the window is known now */
  }
  t->confirm = false;
  track_check_live(t);
  waiters_answer(t, &t->info, 0);
  track_settle(t, now);
  track_unref(t);
}

void track_end(struct track *t, uint64_t code, bool tell_source, uint64_t now)
{
  if (t->state == TRACK_CLOSED)
    return;
  model_saw(t->model, now);
  track_ref(t);
  set_state(t, TRACK_CLOSED);
  stop_timers(t);
  leave_broadcast(t);
  t->parting = false;
  t->over = t->final != UINT64_MAX;
  t->code = t->over ? 0 : code;
  unsubscribe(t, tell_source);
  waiters_answer(t, NULL, t->over ? CODE_NOT_FOUND : code);
  fetches_fail(t, true, t->over ? CODE_NOT_FOUND : code);
  track_schedule_subs(t);
  if (t->unended_n == 0)
    track_purge(t);
  track_unref(t);
}

bool track_part(struct track *t, uint64_t now)
{
  if (t->state != TRACK_LIVE || !t->upstream || !t->ops->parts)
    return false;
  t->parting = true;
  leave_broadcast(t);
  set_timer(t, now, t->model->limits.parting_ns);
  waiters_answer(t, NULL, CODE_UNROUTABLE);
  fetches_fail(t, true, CODE_UNROUTABLE);
  return true;
}

bool track_try_next(struct track *t, bool tell_source, uint64_t now)
{
  struct route *r = track_route(t);
  bool given = (t->subscribed && t->accepted > 0) || t->final != UINT64_MAX;
  if (t->state == TRACK_CLOSED || !r || given || t->refused_n == TRACK_REFUSED_MAX)
    return false;
  t->refused[t->refused_n++] = r->serial;
  struct route *next = track_best(t);
  if (!next)
    return false;
  t->route = next;
  track_end_circles(t);
  track_rerouted(t, tell_source, now);
  return true;
}

void track_close(struct track *t, uint64_t code, uint64_t now)
{
  model_saw(t->model, now);
  if (!track_try_next(t, false, now))
    track_end(t, code, false, now);
}

/* -- the union of what is wanted -- */

void track_wants_changed(struct track *t, uint64_t now)
{
  uint64_t at = t->sent_at + UPDATE_INTERVAL;
  if (t->subscribed && !timer_armed(&t->update_timer))
    timers_set(t->model->timers, &t->update_timer, at > now ? at : now);
}

static bool same_params(const struct sub_params *a, const struct sub_params *b)
{
  return a->priority == b->priority && a->oldest_first == b->oldest_first && a->max_age_ms == b->max_age_ms;
}

static void on_update(struct timer *timer, uint64_t now)
{
  struct track *t = container_of(timer, struct track, update_timer);
  struct sub_params wanted;
  model_saw(t->model, now);
  if (!t->subscribed || t->sub_n == 0)
    return;
  track_union(t, &wanted);
  if (same_params(&wanted, &t->sent))
    return;
  t->sent = wanted;
  t->sent_at = now;
  if (t->ops->update)
    t->ops->update(t->source, t, &t->sent);
}
