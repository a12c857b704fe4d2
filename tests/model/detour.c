/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which route serves a track when the best one may not: it refused, or it came through the one who asks. */
#include "world.h"
#include <errno.h>
#include <stdlib.h>

static int setup(void **state)
{
  struct world *w = calloc(1, sizeof *w);
  world_init(w, 0);
  *state = w;
  return 0;
}

static int teardown(void **state)
{
  world_destroy(*state);
  free(*state);
  return 0;
}

/* A relay that is `cost` away and lies behind `hop`. */
static void relay_start(struct publisher *p, struct world *w, uint64_t hop, uint64_t cost)
{
  struct route_info info = {.warm = cost, .cold = cost, .hops = {1, hop}, .hop_count = 2};
  *p = (struct publisher){.world = w, .info = {.timescale = 1000, .max_age_ms = 5000}};
  assert_int_equal(route_add(w->origin, slice_str("demo"), &info, &world_source, p, w->now, &p->route), 0);
}

static void join(struct world *w, struct viewer *v)
{
  viewer_join(v, w, "demo", "video", world_params());
  world_turn(w);
}

/* -- refusals -- */

static void a_refused_track_is_asked_of_the_next(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0};
  publisher_start(&a, w, "demo");
  publisher_start(&b, w, "demo");
  b.refuse = CODE_NOT_FOUND;
  join(w, &v);
  assert_int_equal(b.subscribes, 1);
  assert_true(a.watched && !b.watched);
  whole(&a, 4, "a");
  world_turn(w);
  assert_string_equal(viewer_text(&v), "4:a |");
  assert_int_equal(v.ends, 0);
  publisher_stop(&b, true); /* nothing to it */
  assert_true(a.watched);
  assert_int_equal(a.unsubscribes, 0);
  viewer_leave(&v);
  publisher_stop(&a, true);
}

static void a_track_that_all_refuse_ends_with_the_last_ones_code(void **state)
{
  struct world *w = *state;
  struct publisher p[3];
  struct viewer v = {0};
  for (int i = 0; i < 3; i++) {
    publisher_start(&p[i], w, "demo");
    p[i].refuse = CODE_INTERNAL + 0x40 + (uint64_t)i;
  }
  join(w, &v);
  assert_int_equal(v.ends, 1);
  assert_int_equal(v.end_code, 0x40);
  for (int i = 0; i < 3; i++)
    assert_int_equal(p[i].subscribes, 1);
  viewer_leave(&v);
  p[2].refuse = 0; /* the next request begins anew */
  join(w, &v);
  assert_true(p[2].watched);
  viewer_leave(&v);
  for (int i = 0; i < 3; i++)
    publisher_stop(&p[i], true);
}

static void not_more_than_a_few_are_asked(void **state)
{
  struct world *w = *state;
  struct publisher p[TRACK_REFUSED_MAX + 2];
  struct viewer v = {0};
  for (int i = 0; i < TRACK_REFUSED_MAX + 2; i++) {
    publisher_start(&p[i], w, "demo");
    p[i].refuse = CODE_NOT_FOUND;
  }
  join(w, &v);
  assert_int_equal(v.end_code, CODE_NOT_FOUND);
  assert_int_equal(p[1].subscribes, 1);
  assert_int_equal(p[0].subscribes, 0);
  viewer_leave(&v);
  for (int i = 0; i < TRACK_REFUSED_MAX + 2; i++)
    publisher_stop(&p[i], true);
}

static void a_track_that_broke_after_its_first_group_ends(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0};
  publisher_start(&a, w, "demo");
  publisher_start(&b, w, "demo");
  join(w, &v);
  whole(&b, 0, "b");
  b.watched = false;
  track_close(b.track, CODE_MALFORMED, w->now);
  world_turn(w);
  assert_int_equal(v.end_code, CODE_MALFORMED);
  assert_int_equal(a.subscribes, 0);
  viewer_leave(&v);
  publisher_stop(&a, true);
  publisher_stop(&b, true);
}

struct asker {
  struct info_waiter w;
  unsigned answers;
  uint64_t code, timescale;
};

static void answered(struct info_waiter *w, const struct track_info *info, uint64_t code)
{
  struct asker *a = container_of(w, struct asker, w);
  a->answers++;
  a->code = code;
  a->timescale = info ? info->timescale : 0;
}

static void refused_info_is_asked_of_the_next(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct asker asker = {.w = {.done = answered}};
  publisher_start(&a, w, "demo");
  a.info.timescale = 90000;
  publisher_start(&b, w, "demo");
  b.silent = true;
  struct track *t = world_track(w, "demo", "video");
  track_wait_info(t, &asker.w, w->now);
  assert_int_equal(asker.answers, 0);
  assert_ptr_equal(track_source(t), &b);
  track_close(t, CODE_NOT_FOUND, w->now);
  assert_int_equal(asker.answers, 1);
  assert_int_equal(asker.timescale, 90000);
  assert_ptr_equal(track_source(t), &a);
  track_unref(t);
  publisher_stop(&a, true);
  publisher_stop(&b, true);
}

static void who_asks_after_a_silent_one_is_answered_by_the_next(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct asker first = {.w = {.done = answered}}, second = first;
  publisher_start(&a, w, "demo");
  publisher_start(&b, w, "demo");
  b.silent = true;
  struct track *t = world_track(w, "demo", "video");
  track_wait_info(t, &first.w, w->now);
  world_pass(w, 10100);
  assert_int_equal(first.code, CODE_CONTROL_TIMEOUT);
  track_wait_info(t, &second.w, w->now);
  assert_int_equal(second.timescale, 1000);
  track_unref(t);
  publisher_stop(&a, true);
  publisher_stop(&b, true);
}

/* -- around the one who asks -- */

static void who_a_route_came_through_is_offered_the_next(void **state)
{
  struct world *w = *state;
  struct publisher near, far;
  uint64_t version = 0, other = 0;
  relay_start(&near, w, 10, 1);
  struct broadcast *b = origin_find(w->origin, slice_str("demo"));
  assert_non_null(broadcast_route_around(b, 0, NULL));
  assert_null(broadcast_route_around(b, 10, NULL));
  relay_start(&far, w, 20, 5);
  assert_int_equal(broadcast_route_around(b, 10, &version)->hops[1], 20);
  assert_int_equal(broadcast_route_around(b, 20, &other)->hops[1], 10);
  assert_int_not_equal(version, other);
  assert_null(broadcast_route_around(b, 1, NULL)); /* the publisher itself */
  struct route_info info = *broadcast_route_around(b, 10, NULL);
  info.warm = 6;
  assert_int_equal(route_update(far.route, &info, w->now), 0);
  (void)broadcast_route_around(b, 10, &other);
  assert_int_not_equal(version, other);
  publisher_stop(&near, true);
  publisher_stop(&far, true);
}

static struct sub_ops quiet_ops;

static void nothing_is_served_back(void **state)
{
  struct world *w = *state;
  struct publisher near, far;
  struct viewer v = {0};
  struct sub s;
  struct sub_params params = world_params();
  relay_start(&near, w, 10, 1);
  struct broadcast *b = origin_find(w->origin, slice_str("demo"));
  assert_null(broadcast_track_around(b, slice_str("video"), 10));
  assert_int_equal(errno, ENOENT);
  relay_start(&far, w, 20, 5);
  join(w, &v);
  assert_true(near.watched);
  struct track *t = broadcast_track_around(b, slice_str("video"), 10);
  assert_ptr_not_equal(t, v.track);
  assert_int_equal(sub_open(&s, t, &params, &world_framing, &quiet_ops, NULL, w->now), 0);
  assert_true(near.watched && far.watched);
  assert_int_equal(near.subscribes, 1);
  struct track *same = broadcast_track_around(b, slice_str("video"), 10);
  assert_ptr_equal(same, t);
  track_unref(same);
  same = broadcast_track_around(b, slice_str("video"), 20); /* the best one did not come that way */
  assert_ptr_equal(same, v.track);
  track_unref(same);
  sub_close(&s, w->now);
  track_unref(t);
  viewer_leave(&v);
  publisher_stop(&near, true);
  publisher_stop(&far, true);
}

static unsigned ends;

static void on_end(struct sub *s, bool finished, uint64_t final, uint64_t code)
{
  (void)s, (void) final;
  assert_false(finished);
  assert_int_equal(code, CODE_UNROUTABLE);
  ends++;
}

static void a_detour_without_a_way_ends(void **state)
{
  struct world *w = *state;
  struct publisher near, far;
  struct sub s;
  struct sub_params params = world_params();
  relay_start(&near, w, 10, 1);
  relay_start(&far, w, 20, 5);
  quiet_ops.on_end = on_end;
  ends = 0;
  struct track *t = broadcast_track_around(origin_find(w->origin, slice_str("demo")), slice_str("video"), 10);
  assert_int_equal(sub_open(&s, t, &params, &world_framing, &quiet_ops, NULL, w->now), 0);
  world_turn(w);
  publisher_stop(&near, true); /* no matter */
  assert_true(far.watched);
  relay_start(&near, w, 10, 1);
  publisher_stop(&far, true);
  world_turn(w);
  assert_int_equal(ends, 1);
  assert_int_equal(near.subscribes, 0);
  sub_close(&s, w->now);
  track_unref(t);
  publisher_stop(&near, true);
}

/* The best route did not come through the asker, but it refused, so the track that is there comes by the asker. */
static void a_track_that_comes_by_the_asker_is_not_served_back(void **state)
{
  struct world *w = *state;
  struct publisher near, far;
  struct viewer v = {0};
  publisher_start(&near, w, "demo");
  relay_start(&far, w, 10, 1);
  near.refuse = CODE_NOT_FOUND;
  join(w, &v);
  assert_true(far.watched);
  struct broadcast *b = origin_find(w->origin, slice_str("demo"));
  struct track *shared = broadcast_track_around(b, slice_str("video"), 11);
  struct track *t = broadcast_track_around(b, slice_str("video"), 10);
  assert_ptr_equal(shared, v.sub.track);
  assert_ptr_not_equal(t, shared);
  assert_ptr_equal(track_source(t), &near);
  track_unref(t);
  track_unref(shared);
  viewer_leave(&v);
  publisher_stop(&near, true);
  publisher_stop(&far, true);
}

/* A relay views a track that its source refuses late: the next route is by that relay, which ends, alone. */
static void a_viewer_that_the_next_route_came_through_ends(void **state)
{
  struct world *w = *state;
  struct publisher near, far;
  struct viewer v = {0};
  struct sub s;
  struct sub_params params = world_params();
  publisher_start(&near, w, "demo");
  relay_start(&far, w, 10, 1);
  quiet_ops.on_end = on_end;
  ends = 0;
  join(w, &v);
  struct track *t = broadcast_track_around(origin_find(w->origin, slice_str("demo")), slice_str("video"), 10);
  assert_ptr_equal(t, v.sub.track);
  assert_int_equal(sub_open(&s, t, &params, &world_framing, &quiet_ops, NULL, w->now), 0);
  sub_reached_through(&s, 10);
  world_turn(w);
  assert_int_equal(ends, 0);
  near.watched = false;
  track_close(t, CODE_CONTROL_TIMEOUT, w->now);
  world_turn(w);
  assert_int_equal(ends, 1);
  sub_close(&s, w->now);
  assert_true(far.watched);
  whole(&far, 3, "far");
  world_turn(w);
  assert_string_equal(viewer_text(&v), "3:far |");
  assert_int_equal(v.ends, 0);
  track_unref(t);
  viewer_leave(&v);
  publisher_stop(&near, true);
  publisher_stop(&far, true);
}

/* When the source leaves, the relay hears of it and goes another way by itself. */
static void a_viewer_that_will_hear_of_it_stays(void **state)
{
  struct world *w = *state;
  struct publisher near, far;
  struct sub s;
  struct sub_params params = world_params();
  publisher_start(&near, w, "demo");
  relay_start(&far, w, 10, 1);
  quiet_ops.on_end = on_end;
  ends = 0;
  struct track *t = broadcast_track_around(origin_find(w->origin, slice_str("demo")), slice_str("video"), 10);
  assert_int_equal(sub_open(&s, t, &params, &world_framing, &quiet_ops, NULL, w->now), 0);
  sub_reached_through(&s, 10);
  publisher_stop(&near, true);
  world_turn(w);
  assert_true(far.watched);
  assert_int_equal(ends, 0);
  sub_close(&s, w->now);
  track_unref(t);
  publisher_stop(&far, true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_refused_track_is_asked_of_the_next),
      T(a_track_that_all_refuse_ends_with_the_last_ones_code),
      T(not_more_than_a_few_are_asked),
      T(a_track_that_broke_after_its_first_group_ends),
      T(refused_info_is_asked_of_the_next),
      T(who_asks_after_a_silent_one_is_answered_by_the_next),
      T(who_a_route_came_through_is_offered_the_next),
      T(nothing_is_served_back),
      T(a_detour_without_a_way_ends),
      T(a_track_that_comes_by_the_asker_is_not_served_back),
      T(a_viewer_that_the_next_route_came_through_ends),
      T(a_viewer_that_will_hear_of_it_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
