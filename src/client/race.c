/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/race.h"
#include "session/lite/session.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Lives until its dial has failed or won, also when the race is over: a transport that is being
 * closed still tells. */
struct attempt {
  struct list link;
  struct race *race; /* NULL = of no interest any more */
  struct transport *transport;
};

static void go_on(struct race *r);

/* ---- order ---- */

static const struct addrinfo *take(const struct addrinfo **left, size_t n, int family)
{
  for (size_t i = 0; i < n; i++) {
    const struct addrinfo *a = left[i];
    if (!a || (family != AF_UNSPEC && a->ai_family != family))
      continue;
    left[i] = NULL;
    return a;
  }
  return NULL;
}

/* The resolver's order says which family is preferred; within a family it stands. */
size_t race_order(const struct addrinfo *list, const struct addrinfo **ret_order)
{
  const struct addrinfo *left[RACE_ADDRESSES_MAX];
  size_t n = 0;
  for (; list && n < RACE_ADDRESSES_MAX; list = list->ai_next)
    left[n++] = list;
  for (size_t i = 0; i < n; i++) {
    const struct addrinfo *next = NULL;
    if (i > 0)
      next = take(left, n, ret_order[i - 1]->ai_family == AF_INET6 ? AF_INET : AF_INET6);
    ret_order[i] = next ? next : take(left, n, AF_UNSPEC);
  }
  return n;
}

/* ---- attempts ---- */

/* A server that answered, if only to refuse, tells more than an address that nobody is at; among
 * those the first, the preferred one, stands. */
static int weight(int rc)
{
  switch (rc) {
  case 0:
    return 0;
  case -ECANCELED:
  case -ETIMEDOUT:
  case -EAFNOSUPPORT:
  case -EINVAL:
    return 1;
  case -ECONNREFUSED:
  case -EHOSTUNREACH:
  case -ENETUNREACH:
    return 2;
  default:
    return 3;
  }
}

static void note(struct race *r, int rc, const char *text)
{
  if (weight(rc) <= weight(r->rc))
    return;
  r->rc = rc;
  snprintf(r->text, sizeof r->text, "%s", text);
}

static void failed(void *ctx, int rc, const char *text)
{
  struct attempt *a = ctx;
  struct race *r = a->race;
  list_remove(&a->link);
  free(a);
  if (!r)
    return;
  if (r->late)
    note(r, -ETIMEDOUT, "no answer in time");
  else
    note(r, rc, text);
  go_on(r);
}

static void attempt(struct race *r)
{
  const struct addrinfo *to = r->order[r->next++];
  struct attempt *a = calloc(1, sizeof *a);
  struct err err;
  if (!a) {
    note(r, -ENOMEM, "out of memory");
    return;
  }
  a->race = r;
  r->dial.peer = to->ai_addr;
  r->dial.peer_len = (socklen_t)to->ai_addrlen;
  r->dial.ctx = a;
  int rc = quic_dial(r->endpoint, &r->dial, &a->transport, &err);
  if (rc < 0) {
    note(r, rc, err.text);
    free(a);
    return;
  }
  list_append(&r->attempts, &a->link);
}

/* An attempt failed, or has had its time: the next one, or the end. */
static void go_on(struct race *r)
{
  size_t before = r->next;
  while (r->next < r->count && (r->next == before || list_empty(&r->attempts)) && !r->late)
    attempt(r);
  if (list_empty(&r->attempts)) {
    timers_cancel(&r->worker->timers, &r->timer);
    r->lost(r->ctx, r->rc, r->text);
    return;
  }
  uint64_t at = r->next < r->count ? r->worker->now + r->stagger_ns : r->give_up_at;
  if (!r->late)
    timers_set(&r->worker->timers, &r->timer, at < r->give_up_at ? at : r->give_up_at);
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct race *r = container_of(t, struct race, timer);
  if (now < r->give_up_at) {
    go_on(r);
    return;
  }
  r->late = true;
  list_for_each (it, &r->attempts) {
    struct attempt *a = container_of(it, struct attempt, link);
    transport_close(a->transport, LITE_CLOSE_CONTROL_TIMEOUT, "no answer in time");
  }
}

/* ---- life ---- */

void race_init(struct race *r)
{
  list_init(&r->attempts);
  timer_init(&r->timer, on_timer);
}

void race_start(struct race *r, const struct addrinfo *addresses, const struct quic_dial *dial)
{
  r->dial = *dial;
  r->dial.on_failed = failed;
  r->count = race_order(addresses, r->order);
  r->next = 0;
  r->late = false;
  r->rc = 0;
  r->text[0] = '\0';
  r->give_up_at = r->worker->now + r->timeout_ns;
  go_on(r);
}

void race_won(struct race *r, struct transport *t)
{
  struct attempt *a = t->user;
  list_remove(&a->link);
  free(a);
  race_cancel(r);
}

void race_cancel(struct race *r)
{
  if (timer_armed(&r->timer))
    timers_cancel(&r->worker->timers, &r->timer);
  list_for_each_safe (it, tmp, &r->attempts) {
    struct attempt *a = container_of(it, struct attempt, link);
    list_remove(&a->link);
    list_init(&a->link);
    a->race = NULL;
    transport_close(a->transport, LITE_CLOSE_DONE, "");
  }
}
