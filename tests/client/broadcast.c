/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A publisher and viewers on one origin, without network, in virtual time. */
#include "client/publisher.h"
#include "client/viewer.h"
#include "support/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <cmocka.h>

#define MS NS_PER_MS

struct world {
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct deferred work;
  uint64_t seed;
};

static void defer(void *ctx)
{
  struct world *w = ctx;
  worker_defer(&w->worker, &w->work);
}

static void run_model(struct deferred *d, uint64_t now)
{
  struct world *w = container_of(d, struct world, work);
  model_run(&w->model, now);
}

static int setup(void **state)
{
  static struct world w;
  w = (struct world){.seed = 1};
  sim_init(&w.worker);
  deferred_init(&w.work, run_model);
  model_init(&w.model, &w.worker.timers, rng_seeded(&w.seed), 64 << 20, defer, &w);
  w.model.hop_id = 7;
  w.origin = origin_new(&w.model);
  *state = &w;
  return w.origin ? 0 : -1;
}

static int teardown(void **state)
{
  struct world *w = *state;
  worker_defer_cancel(&w->work);
  origin_free(w->origin);
  assert_int_equal(w->model.tracks_now, 0);
  assert_int_equal(w->model.subs_now, 0);
  assert_int_equal(w->model.cache.used, 0);
  model_destroy(&w->model);
  return 0;
}

static const struct track_info info = {.priority = 1, .max_age_ms = 30000, .timescale = 1000};

/* ---- a viewer that writes down what it gets ---- */

struct log_viewer {
  struct viewer *viewer;
  char text[512]; /* "group.index:payload " for each frame */
  bool done, paused;
  uint64_t code;
  unsigned found, lost;
};

static void ready(void *ctx, struct viewer *v)
{
  struct log_viewer *l = ctx;
  struct viewer_frame f;
  while (!l->paused && viewer_peek(v, &f)) {
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%d.%d:%.*s ", (int)f.group, (int)f.index, SLICE_FMT(f.payload));
    viewer_take(v);
  }
  l->done = viewer_done(v, &l->code);
}

static void found(void *ctx, struct viewer *v)
{
  ((struct log_viewer *)ctx)->found++;
}

static void lost(void *ctx, struct viewer *v, uint64_t code)
{
  ((struct log_viewer *)ctx)->lost++;
}

static const struct viewer_events events = {ready, found, lost};

static void watch(struct world *w, struct log_viewer *l, uint64_t max_age_ms)
{
  struct viewer_config config = {.worker = &w->worker,
                                 .origin = w->origin,
                                 .path = slice_str("room/a"),
                                 .track = slice_str("t"),
                                 .max_age_ms = max_age_ms,
                                 .events = &events,
                                 .ctx = l};
  *l = (struct log_viewer){0};
  assert_int_equal(viewer_new(&config, &l->viewer), 0);
}

static struct publisher_track *publish(struct world *w, struct publisher **ret_p)
{
  struct publisher_track *t;
  assert_int_equal(publisher_new(w->origin, slice_str("room/a"), w->worker.now, ret_p), 0);
  assert_int_equal(publisher_track(*ret_p, "t", &info, w->worker.now, &t), 0);
  return t;
}

static void frame(struct publisher_track *t, const char *text)
{
  struct slice parts[] = {slice_of(text, 1), slice_str(text + 1)};
  assert_int_equal(publisher_frame(t, 5, parts, 2), 0);
}

static void group(struct world *w, struct publisher_track *t, const char *a, const char *b)
{
  assert_int_equal(publisher_group(t, w->worker.now), 0);
  frame(t, a);
  if (b)
    frame(t, b);
}

/* ---- tests ---- */

static void frames_come_in_order(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  struct publisher *p;
  watch(w, &l, 10000);
  sim_run(&w->worker, 10 * MS);
  struct publisher_track *t = publish(w, &p);
  group(w, t, "ab", "cd");
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "0.0:ab 0.1:cd ");
  frame(t, "ef"); /* also into a group that is being read */
  group(w, t, "gh", NULL);
  publisher_end_group(t);
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "0.0:ab 0.1:cd 0.2:ef 1.0:gh ");
  publisher_finish(p, w->worker.now);
  sim_run(&w->worker, 10 * MS);
  assert_true(l.done);
  assert_int_equal(l.code, 0);
  assert_true(publisher_watched(p));
  struct viewer_stats s;
  viewer_stats(l.viewer, &s);
  assert_int_equal(s.frames, 4);
  assert_int_equal(s.groups, 2);
  assert_int_equal(s.dropped, 0);
  viewer_free(l.viewer);
  publisher_free(p, w->worker.now);
}

/* Nobody watched: the newest group is there from its first frame, older ones for who wants them. */
static void latecomers(void **state)
{
  struct world *w = *state;
  struct log_viewer newest, all;
  struct publisher *p;
  struct publisher_track *t = publish(w, &p);
  group(w, t, "a0", NULL);
  sim_run(&w->worker, 5000 * MS);
  group(w, t, "b0", NULL);
  frame(t, "b1");
  sim_run(&w->worker, 5000 * MS);
  assert_false(publisher_watched(p));
  watch(w, &newest, 0);
  watch(w, &all, 60000);
  sim_run(&w->worker, 1000 * MS);
  assert_string_equal(newest.text, "1.0:b0 1.1:b1 ");
  assert_string_equal(all.text, "0.0:a0 1.0:b0 1.1:b1 ");
  viewer_free(newest.viewer);
  viewer_free(all.viewer);
  publisher_free(p, w->worker.now);
}

/* One track watched and the other not yet: whoever has the catalog is about to ask for the rest. */
static void watched_when_each_track_is(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  struct publisher *p;
  struct publisher_track *second;
  publish(w, &p);
  assert_int_equal(publisher_track(p, "second", &info, w->worker.now, &second), 0);
  watch(w, &l, 0);
  sim_run(&w->worker, 10 * MS);
  assert_false(publisher_watched(p));
  struct viewer *other;
  struct viewer_config config = {.worker = &w->worker,
                                 .origin = w->origin,
                                 .path = slice_str("room/a"),
                                 .track = slice_str("second"),
                                 .events = &events,
                                 .ctx = &(struct log_viewer){0}};
  assert_int_equal(viewer_new(&config, &other), 0);
  sim_run(&w->worker, 10 * MS);
  assert_true(publisher_watched(p));
  viewer_free(l.viewer);
  viewer_free(other);
  assert_true(publisher_watched(p)); /* who has left has what it wanted */
  publisher_free(p, w->worker.now);
}

/* The publisher goes without finishing and comes back: the viewer waits for it. */
static void publisher_comes_back(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  struct publisher *p;
  watch(w, &l, 10000);
  struct publisher_track *t = publish(w, &p);
  group(w, t, "a", NULL);
  sim_run(&w->worker, 10 * MS);
  publisher_free(p, w->worker.now);
  sim_run(&w->worker, 60000 * MS);
  assert_false(l.done);
  assert_int_equal(l.lost, 1);
  t = publish(w, &p);
  group(w, t, "b", NULL);
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "0.0:a 0.0:b ");
  assert_int_equal(l.found, 2);
  viewer_free(l.viewer);
  publisher_free(p, w->worker.now);
}

static void unknown_track_is_the_end(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  struct publisher *p;
  struct publisher_track *t;
  watch(w, &l, 0);
  assert_int_equal(publisher_new(w->origin, slice_str("room/a"), w->worker.now, &p), 0);
  assert_int_equal(publisher_track(p, "other", &info, w->worker.now, &t), 0);
  assert_int_equal(publisher_track(p, "other", &info, w->worker.now, &t), -EEXIST);
  sim_run(&w->worker, 1000 * MS);
  assert_true(l.done);
  assert_int_equal(l.code, CODE_NOT_FOUND);
  viewer_free(l.viewer);
  publisher_free(p, w->worker.now);
}

/* What is not taken counts as behind, and the publisher sees it. */
static void slow_viewer(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  struct publisher *p;
  struct publisher_track *t = publish(w, &p);
  watch(w, &l, 10000);
  l.paused = true;
  sim_run(&w->worker, 10 * MS);
  group(w, t, "abcd", "efgh");
  sim_run(&w->worker, 10 * MS);
  assert_int_equal(publisher_behind(p), 8);
  assert_false(publisher_delivered(p));
  l.paused = false;
  ready(&l, l.viewer);
  publisher_end_group(t);
  sim_run(&w->worker, 10 * MS);
  assert_int_equal(publisher_behind(p), 0);
  assert_true(publisher_delivered(p));
  viewer_free(l.viewer);
  publisher_free(p, w->worker.now);
}

/* A group over the limits is cut once, its rest dropped, the next one is fine. */
static void too_large_a_group(void **state)
{
  struct world *w = *state;
  struct publisher *p;
  struct publisher_stats s;
  w->model.limits.objects_per_group = 2;
  struct publisher_track *t = publish(w, &p);
  struct slice part = slice_str("x");
  assert_int_equal(publisher_frame(t, 0, &part, 1), -EMSGSIZE); /* no group yet */
  group(w, t, "a", "b");
  assert_int_equal(publisher_frame(t, 0, &part, 1), -EMSGSIZE);
  assert_int_equal(publisher_frame(t, 0, &part, 1), -EMSGSIZE);
  group(w, t, "c", NULL);
  publisher_stats(p, &s);
  assert_int_equal(s.dropped, 3);
  assert_int_equal(s.frames, 3);
  assert_int_equal(s.groups, 2);
  publisher_finish(p, w->worker.now);
  assert_int_equal(publisher_group(t, w->worker.now), -EPIPE);
  publisher_free(p, w->worker.now);
}

/* ---- a source whose groups come in any order ---- */

static struct track *asked;

static void give_info(void *source, struct track *t)
{
  track_set_info(t, &info, t->model->now);
}

static void note(void *source, struct track *t, const struct sub_params *wanted)
{
  asked = t;
}

static void forget(void *source, struct track *t)
{
  asked = NULL;
}

static const struct source_ops source = {.info = give_info, .subscribe = note, .unsubscribe = forget};

static struct route *announce(struct world *w)
{
  struct route_info route = {.local = true, .hops = {9}, .hop_count = 1};
  struct route *r;
  assert_int_equal(route_add(w->origin, slice_str("room/a"), &route, &source, &route, w->worker.now, &r), 0);
  return r;
}

static void deliver(struct world *w, uint64_t sequence)
{
  struct group *g;
  char text[8];
  int n = snprintf(text, sizeof text, "x%d", (int)sequence);
  assert_non_null(asked);
  assert_int_equal(track_group(asked, sequence, w->worker.now, &g), 0);
  assert_int_equal(group_object(g, 0, 0, 0, (uint64_t)n, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(text, 1)), 0);
  assert_int_equal(group_append(g, 0, slice_of(text + 1, (size_t)n - 1)), 0);
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
}

static void overtaking_groups(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  watch(w, &l, 10000);
  struct route *r = announce(w);
  sim_run(&w->worker, 10 * MS);
  deliver(w, 7); /* the first: older ones may follow */
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "");
  deliver(w, 5);
  deliver(w, 6);
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "");
  sim_run(&w->worker, VIEWER_START_WAIT);
  assert_string_equal(l.text, "5.0:x5 6.0:x6 7.0:x7 ");
  deliver(w, 9);
  sim_run(&w->worker, 1000 * MS);
  deliver(w, 8);
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "5.0:x5 6.0:x6 7.0:x7 8.0:x8 9.0:x9 ");
  viewer_free(l.viewer);
  route_remove(r, true, w->worker.now);
}

/* A group that never comes is waited for, then counted; one that comes too late is not for us. */
static void missing_group(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  struct viewer_stats s;
  watch(w, &l, 10000);
  struct route *r = announce(w);
  sim_run(&w->worker, 10 * MS);
  deliver(w, 0);
  deliver(w, 3);
  sim_run(&w->worker, VIEWER_GAP_WAIT - 20 * MS);
  assert_string_equal(l.text, "0.0:x0 ");
  sim_run(&w->worker, 40 * MS);
  assert_string_equal(l.text, "0.0:x0 3.0:x3 ");
  deliver(w, 2);
  deliver(w, 4);
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "0.0:x0 3.0:x3 4.0:x4 ");
  viewer_stats(l.viewer, &s);
  assert_int_equal(s.dropped, 2);
  viewer_free(l.viewer);
  route_remove(r, true, w->worker.now);
}

static void datagrams(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  watch(w, &l, 10000);
  struct route *r = announce(w);
  sim_run(&w->worker, 10 * MS);
  deliver(w, 0);
  assert_int_equal(track_datagram(asked, 2, 0, slice_str("two"), w->worker.now), 0);
  assert_int_equal(track_datagram(asked, 1, 0, slice_str("one"), w->worker.now), 0);
  sim_run(&w->worker, 10 * MS);
  assert_string_equal(l.text, "0.0:x0 1.0:one 2.0:two ");
  viewer_free(l.viewer);
  route_remove(r, true, w->worker.now);
}

/* The end does not wait for gaps. */
static void end_with_a_gap(void **state)
{
  struct world *w = *state;
  struct log_viewer l;
  watch(w, &l, 10000);
  struct route *r = announce(w);
  sim_run(&w->worker, 10 * MS);
  deliver(w, 0);
  deliver(w, 2);
  track_finish(asked, 3, w->worker.now);
  sim_run(&w->worker, w->model.limits.handover_ns + 10 * MS);
  assert_string_equal(l.text, "0.0:x0 2.0:x2 ");
  assert_true(l.done);
  assert_int_equal(l.code, 0);
  viewer_free(l.viewer);
  route_remove(r, true, w->worker.now);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(frames_come_in_order),
      TEST(latecomers),
      TEST(watched_when_each_track_is),
      TEST(publisher_comes_back),
      TEST(unknown_track_is_the_end),
      TEST(slow_viewer),
      TEST(too_large_a_group),
      TEST(overtaking_groups),
      TEST(missing_group),
      TEST(datagrams),
      TEST(end_with_a_gap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
