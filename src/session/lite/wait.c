/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "session/lite/internal.h"

static struct wait *first(const struct lite_session *s)
{
  return list_empty(&s->waits) ? NULL : container_of(s->waits.next, struct wait, link);
}

static uint64_t due(const struct lite_session *s, const struct wait *w)
{
  return w->since + s->env->limits.message_timeout_ns;
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct lite_session *s = container_of(t, struct lite_session, wait_timer);
  struct wait *w;
  while ((w = first(s)) != NULL && due(s, w) <= now) {
    list_remove(&w->link);
    w->expired(w);
  }
  if (w)
    timers_set(s->env->timers, t, due(s, w));
}

void waits_init(struct lite_session *s)
{
  list_init(&s->waits);
  timer_init(&s->wait_timer, on_timer);
}

void waits_destroy(struct lite_session *s)
{
  timers_cancel(s->env->timers, &s->wait_timer);
}

void wait_begin(struct lite_session *s, struct wait *w)
{
  if (!list_empty(&w->link))
    return;
  w->since = session_now(s);
  list_append(&s->waits, &w->link);
  if (!timer_armed(&s->wait_timer)) /* else it runs for an earlier one */
    timers_set(s->env->timers, &s->wait_timer, due(s, w));
}

void wait_end(struct wait *w)
{
  list_remove(&w->link);
}
