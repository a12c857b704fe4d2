/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/worker.h"
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Deferred work may ask for more; after this many passes the rest waits for the next turn, so that
 * I/O gets its share. */
#define DEFERRED_PASSES 8

static void run_deferred(struct worker *w)
{
  for (int pass = 0; pass < DEFERRED_PASSES && !list_empty(&w->deferred); pass++) {
    struct list batch;
    list_init(&batch);
    list_insert_before(&w->deferred, &batch); /* batch takes the place of the head in the ring */
    list_remove(&w->deferred);
    while (!list_empty(&batch)) {
      struct deferred *d = container_of(batch.next, struct deferred, link);
      list_remove(&d->link);
      d->run(d, w->now);
    }
  }
}

static void arm(struct worker *w)
{
  uint64_t next = list_empty(&w->deferred) ? timers_next(&w->timers) : 1;
  if (next == w->armed_for)
    return;
  struct itimerspec spec = {0};
  if (next != TIMERS_NONE) {
    uint64_t now = clock_now(&w->clock), wait = next > now ? next - now : 1;
    spec.it_value.tv_sec = (time_t)(wait / NS_PER_S);
    spec.it_value.tv_nsec = (long)(wait % NS_PER_S);
  }
  if (timerfd_settime(w->timer_fd, 0, &spec, NULL) == 0)
    w->armed_for = next;
}

static void on_prepare(uv_prepare_t *h)
{
  struct worker *w = h->data;
  worker_enter(w);
  run_deferred(w);
  arm(w);
  w->entered = false;
}

static void on_check(uv_check_t *h)
{
  struct worker *w = h->data;
  worker_enter(w);
  timers_run(&w->timers, w->now);
}

static void on_timer(uv_poll_t *h, int status, int events)
{
  struct worker *w = h->data;
  (void)status, (void)events;
  uint64_t count;
  ssize_t n = read(w->timer_fd, &count, sizeof count);
  (void)n;
  w->armed_for = TIMERS_NONE; /* expired: on_check runs what is due, on_prepare arms anew */
}

static void on_timer_closed(uv_handle_t *h)
{
  struct worker *w = h->data;
  close(w->timer_fd);
  w->timer_fd = -1;
}

int worker_init(struct worker *w, uv_loop_t *loop, struct clock clock)
{
  *w = (struct worker){.loop = loop, .clock = clock, .armed_for = TIMERS_NONE};
  list_init(&w->deferred);
  w->now = clock_now(&clock);
  w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (w->timer_fd < 0)
    return -errno;
  int rc = uv_poll_init(loop, &w->timer_poll, w->timer_fd);
  if (rc < 0) {
    close(w->timer_fd);
    return rc;
  }
  uv_prepare_init(loop, &w->prepare);
  uv_check_init(loop, &w->check);
  w->prepare.data = w->check.data = w->timer_poll.data = w;
  uv_prepare_start(&w->prepare, on_prepare);
  uv_check_start(&w->check, on_check);
  rc = uv_poll_start(&w->timer_poll, UV_READABLE, on_timer);
  if (rc < 0)
    worker_destroy(w);
  return rc;
}

void worker_destroy(struct worker *w)
{
  uv_close((uv_handle_t *)&w->prepare, NULL);
  uv_close((uv_handle_t *)&w->check, NULL);
  uv_close((uv_handle_t *)&w->timer_poll, on_timer_closed);
}

void deferred_init(struct deferred *d, void (*run)(struct deferred *, uint64_t))
{
  list_init(&d->link);
  d->run = run;
}

void worker_defer(struct worker *w, struct deferred *d)
{
  if (list_empty(&d->link))
    list_append(&w->deferred, &d->link);
}

void worker_defer_cancel(struct deferred *d)
{
  list_remove(&d->link);
}

void worker_enter(struct worker *w)
{
  if (w->entered)
    return;
  w->entered = true;
  w->now = clock_now(&w->clock);
}
