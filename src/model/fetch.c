/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Those who wait for one thing of a track: its info, or one group. Each has a deadline of its own
 * and holds a reference to the track. */
#include "model/private.h"

/* -- info -- */

static void waiter_leave(struct info_waiter *w)
{
  list_remove(&w->link);
  timers_cancel(w->track->model->timers, &w->timer);
}

static void waiter_done(struct info_waiter *w, const struct track_info *info, uint64_t code)
{
  struct track *t = w->track;
  waiter_leave(w);
  w->track = NULL;
  w->done(w, info, code);
  track_unref(t);
}

static void waiter_late(struct timer *timer, uint64_t now)
{
  struct info_waiter *w = container_of(timer, struct info_waiter, timer);
  struct track *t = w->track;
  model_saw(t->model, now);
  track_ref(t);
  waiter_done(w, NULL, CODE_CONTROL_TIMEOUT);
  if (list_empty(&t->waiters) && !t->subscribed) {
    t->info_asked = false; /* the next one asks again, and somebody else when there is one */
    track_try_next(t, false, now);
  }
  track_unref(t);
}

void track_wait_info(struct track *t, struct info_waiter *w, uint64_t now)
{
  model_saw(t->model, now);
  list_init(&w->link);
  w->track = NULL;
  if (t->has_info || t->state == TRACK_CLOSED) {
    w->done(w, t->has_info ? &t->info : NULL, t->code);
    return;
  }
  w->track = track_ref(t);
  timer_init(&w->timer, waiter_late);
  timers_set(t->model->timers, &w->timer, add_sat(now, t->model->limits.info_timeout_ns));
  list_append(&t->waiters, &w->link);
  track_ask_info(t);
}

void info_wait_cancel(struct info_waiter *w)
{
  if (list_empty(&w->link))
    return;
  struct track *t = w->track;
  waiter_leave(w);
  w->track = NULL;
  track_unref(t);
}

void waiters_answer(struct track *t, const struct track_info *info, uint64_t code)
{
  struct list todo;
  list_init(&todo);
  list_move_all(&t->waiters, &todo);
  while (!list_empty(&todo))
    waiter_done(container_of(todo.next, struct info_waiter, link), info, code);
}

/* -- fetch -- */

static void fetch_leave(struct fetch *f)
{
  struct track *t = f->track;
  list_remove(&f->link);
  timers_cancel(t->model->timers, &f->timer);
  if (f->latest)
    t->latest_n--;
  f->latest = false;
}

static void fetch_done(struct fetch *f, struct group *g, uint64_t code)
{
  struct track *t = f->track;
  fetch_leave(f);
  f->track = NULL;
  f->done(f, g ? group_ref(g) : NULL, code);
  track_settle(t, t->model->now);
  track_unref(t);
}

static void fetch_late(struct timer *timer, uint64_t now)
{
  struct fetch *f = container_of(timer, struct fetch, timer);
  model_saw(f->track->model, now);
  fetch_done(f, NULL, CODE_CONTROL_TIMEOUT);
}

/* Never from inside the call that asked. */
static void fail_later(struct fetch *f, uint64_t code)
{
  struct model *m = f->track->model;
  f->code = code;
  list_remove(&f->link);
  list_append(&m->failed, &f->link);
  if (m->defer)
    m->defer(m->ctx);
}

void fetch_run_failed(struct model *m)
{
  struct list todo;
  list_init(&todo);
  list_move_all(&m->failed, &todo);
  while (!list_empty(&todo)) {
    struct fetch *f = container_of(todo.next, struct fetch, link);
    fetch_done(f, NULL, f->code);
  }
}

bool fetch_pending(const struct track *t, uint64_t sequence)
{
  list_for_each (it, &t->fetches) {
    const struct fetch *f = container_of(it, struct fetch, link);
    if (!f->latest && f->sequence == sequence)
      return true;
  }
  return false;
}

/* Why a group is not here, as far as is known. */
static uint64_t absent(const struct track *t, uint64_t sequence)
{
  if (sequence < t->evicted_below)
    return CODE_EVICTED;
  return sequence < t->gone_below || sequence < t->base ? CODE_OLD : CODE_NOT_FOUND;
}

static void fetch_upstream(struct track *t, struct fetch *f)
{
  struct route *r = track_route(t);
  bool asked = fetch_pending(t, f->sequence);
  if (t->state == TRACK_CLOSED || !r) {
    fail_later(f, t->state == TRACK_CLOSED && t->code ? t->code : CODE_UNROUTABLE);
    return;
  }
  bool other_numbers = f->sequence < t->base || (t->fresh && t->highest > 0);
  if (!r->ops->fetch || other_numbers || f->sequence >= t->final) {
    fail_later(f, absent(t, f->sequence));
    return;
  }
  list_append(&t->fetches, &f->link);
  if (!asked && r->ops->fetch(r->source, t, f->sequence - t->base) < 0)
    fail_later(f, absent(t, f->sequence));
}

void track_fetch(struct track *t, struct fetch *f, bool latest, uint64_t now)
{
  struct model *m = t->model;
  model_saw(m, now);
  list_init(&f->link);
  f->track = NULL;
  f->latest = false;
  struct group *g = latest ? t->newest : track_find(t, f->sequence);
  if (g) {
    f->done(f, group_ref(g), 0);
    return;
  }
  f->track = track_ref(t);
  timer_init(&f->timer, fetch_late);
  timers_set(m->timers, &f->timer, add_sat(now, m->limits.fetch_timeout_ns));
  if (!latest) {
    fetch_upstream(t, f);
  } else if (t->state == TRACK_CLOSED || t->over) {
    fail_later(f, t->code ? t->code : CODE_NOT_FOUND);
  } else {
    f->latest = true;
    t->latest_n++;
    list_append(&t->fetches, &f->link);
    track_settle(t, now);
  }
}

void fetch_cancel(struct fetch *f, uint64_t now)
{
  if (list_empty(&f->link))
    return;
  struct track *t = f->track;
  model_saw(t->model, now);
  fetch_leave(f);
  f->track = NULL;
  track_settle(t, now);
  track_unref(t);
}

/* Who is meant: those who ask for the newest group, and those who ask for one by its number. */
struct whom {
  bool latest, any;  /* the former; the latter whatever the number */
  uint64_t sequence; /* UINT64_MAX = none */
};

static void answer(struct track *t, struct whom whom, struct group *g, uint64_t code)
{
  struct list todo;
  list_init(&todo);
  list_move_all(&t->fetches, &todo);
  while (!list_empty(&todo)) {
    struct fetch *f = container_of(todo.next, struct fetch, link);
    bool hit = f->latest ? whom.latest : whom.any || f->sequence == whom.sequence;
    list_remove(&f->link);
    list_append(&t->fetches, &f->link);
    if (hit)
      fetch_done(f, g, code);
  }
}

void fetches_answer(struct track *t, struct group *g)
{
  if (!list_empty(&t->fetches))
    answer(t, (struct whom){.latest = !g->fetched, .sequence = g->sequence}, g, 0);
}

void fetches_fail(struct track *t, bool latest_too, uint64_t code)
{
  answer(t, (struct whom){.latest = latest_too, .any = true}, NULL, code);
}

void track_fetch_failed(struct track *t, uint64_t sequence, uint64_t code, uint64_t now)
{
  model_saw(t->model, now);
  if (sequence > UINT64_MAX - t->base)
    return;
  track_ref(t);
  answer(t, (struct whom){.sequence = t->base + sequence}, NULL, code);
  track_unref(t);
}
