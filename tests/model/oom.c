/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails each allocation of a small life of a model in turn: nothing may crash or leak, and what was
 * refused was refused by a return value. */
#include "support/oom.h"
#include "world.h"
#include <errno.h>
#include <stdlib.h>

/* A viewer without memory of its own. */
struct reader_of_all {
  struct sub sub;
  unsigned groups, done, ends;
};

static void pull(struct delivery *d)
{
  struct iovec iov[4];
  size_t n = 0, bytes;
  bool fin = false;
  do {
    if (reader_pull(&d->reader, iov, 4, &n, &fin) < 0)
      return; /* again at the next wake */
    bytes = 0;
    for (size_t i = 0; i < n; i++)
      bytes += iov[i].iov_len;
    reader_take(&d->reader, bytes);
  } while (n > 0);
  if (fin || reader_cut(&d->reader)) {
    ((struct reader_of_all *)d->sub->user)->done++;
    delivery_done(d);
  }
}

static void on_group(struct sub *s, struct delivery *d)
{
  ((struct reader_of_all *)s->user)->groups++;
  pull(d);
}

static void on_drop(struct delivery *d, uint64_t code)
{
  (void)d, (void)code;
}

static void on_datagram(struct sub *s, uint64_t sequence, uint64_t timestamp, struct slice payload)
{
  (void)s, (void)sequence, (void)timestamp, (void)payload;
}

static void on_end(struct sub *s, bool finished, uint64_t final, uint64_t code)
{
  (void)finished, (void) final, (void)code;
  ((struct reader_of_all *)s->user)->ends++;
}

static const struct sub_ops viewer_ops = {on_group, pull, on_drop, on_datagram, on_end};

static void heard(void *ctx, struct broadcast *b, struct slice suffix)
{
  (void)ctx, (void)b, (void)suffix;
}

static const struct watch_ops watch_ops = {heard, heard, heard};

static void publish(struct world *w, struct publisher *p)
{
  static char big[40000];
  for (uint64_t i = 0; p->track && p->watched && i < 3; i++) {
    struct group *g = NULL;
    if (track_group(p->track, i, w->now, &g) < 0)
      continue;
    world_turn(w);
    int rc = 0;
    for (uint64_t k = 0; rc == 0 && k < 12; k++) {
      size_t n = k == 11 ? sizeof big : 100;
      rc = group_object(g, 0, k, k, n, 0, slice_of("p", k & 1));
      if (rc == 0)
        rc = group_append(g, 0, slice_of(big, n));
    }
    if (rc < 0)
      group_cut(g, CODE_INTERNAL);
    else
      group_finish(g);
    group_unref(g);
  }
}

/* True when everything went as if memory had no end. */
static bool live(struct world *w)
{
  struct publisher p = {.world = w, .info = {.timescale = 1000}};
  struct reader_of_all a = {0}, b = {0};
  struct route_info info = world_local();
  struct sub_params params = world_params();
  struct watch *watch = NULL;
  struct track *t = NULL;
  params.from_latest = false;
  params.max_age_ms = 100000;
  params.frame_start = 3;
  int rc = watch_new(w->origin, slice_str("x"), &watch_ops, NULL, &watch);
  if (rc == 0)
    rc = route_add(w->origin, slice_str("x/y"), &info, &world_source, &p, w->now, &p.route);
  if (rc == 0) {
    t = broadcast_track(origin_find(w->origin, slice_str("x/y")), slice_str("video"));
    rc = t ? 0 : -errno;
  }
  if (rc == 0)
    rc = sub_open(&a.sub, t, &params, &world_framing, &viewer_ops, &a, w->now);
  if (rc == 0)
    rc = sub_open(&b.sub, t, &params, &world_plain, &viewer_ops, &b, w->now);
  assert_true(rc == 0 || rc == -ENOMEM);
  publish(w, &p);
  world_turn(w);
  bool all = rc == 0 && a.done == 3 && b.done == 3;
  sub_close(&a.sub, w->now);
  sub_close(&b.sub, w->now);
  track_unref(t);
  if (p.route)
    publisher_stop(&p, true);
  watch_free(watch);
  return all;
}

static void every_allocation_may_fail(void **state)
{
  (void)state;
  bool all = false;
  for (long n = 0; !all && n < 10000; n++) {
    struct world w;
    world_init(&w, 0);
    oom_after(n, 1);
    bool whole = live(&w);
    all = !oom_end() && whole;
    world_destroy(&w);
  }
  assert_true(all);
}

static void an_origin_without_memory_is_none(void **state)
{
  (void)state;
  for (long n = 0; n < 3; n++) {
    struct world w;
    world_init(&w, 0);
    oom_after(n, 1);
    assert_null(origin_new(&w.model));
    assert_true(oom_end());
    world_destroy(&w);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(an_origin_without_memory_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
