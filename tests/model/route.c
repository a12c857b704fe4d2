/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several publishers of one path, and what viewers notice of their coming and going. */
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

static void join(struct world *w, struct viewer *v)
{
  viewer_join(v, w, "demo", "video", world_params());
  world_turn(w);
}

static void *active(struct world *w)
{
  struct broadcast *b = origin_find(w->origin, slice_str("demo"));
  return b ? broadcast_source(b) : NULL;
}

/* -- the comparator -- */

#define LOCAL(w, c)                                                                                                    \
  {                                                                                                                    \
    .local = true, .warm = w, .cold = c                                                                                \
  }
#define REMOTE(w, c, ...)                                                                                              \
  {                                                                                                                    \
    .warm = w, .cold = c, .hops = {__VA_ARGS__}, .hop_count = sizeof((uint64_t[]){__VA_ARGS__}) / 8                    \
  }

static void routes_have_one_order(void **state)
{
  (void)state;
  /* Best first; equal ones by arrival, the newest first. */
  static const struct route order[] = {
      {.info = LOCAL(1, 1), .serial = 9},         {.info = LOCAL(1, 1), .serial = 2},
      {.info = REMOTE(1, 1, 5), .serial = 1},     {.info = REMOTE(1, 1, 6), .serial = 8},
      {.info = REMOTE(1, 1, 6), .serial = 7},     {.info = REMOTE(1, 1, 5, 5), .serial = 10},
      {.info = REMOTE(1, 1, 5, 6), .serial = 11}, {.info = REMOTE(1, 2, 1), .serial = 12},
      {.info = LOCAL(2, 1), .serial = 13},
  };
  size_t n = sizeof order / sizeof *order;
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < n; k++)
      assert_int_equal(route_before(&order[i], &order[k], TAKEOVER_NEWEST), i < k);
  }
}

static void hops_do_not_count_among_local_publishers(void **state)
{
  (void)state;
  struct route near = {.info = LOCAL(1, 1), .serial = 1}, far = {.info = LOCAL(1, 1), .serial = 2};
  near.info.hop_count = 1;
  far.info.hop_count = 2; /* by a version that tells no hops */
  assert_true(route_before(&far, &near, TAKEOVER_NEWEST));
  assert_true(route_before(&near, &far, TAKEOVER_NEVER));
  assert_false(route_before(&far, &near, TAKEOVER_NEVER));
}

static void a_loop_and_too_many_routes_are_refused(void **state)
{
  struct world *w = *state;
  struct route_info info = world_local();
  struct route *r = NULL, *second = NULL;
  info.hops[0] = 5;
  info.hops[1] = w->model.hop_id;
  info.hop_count = 2;
  assert_int_equal(route_add(w->origin, slice_str("demo"), &info, &world_source, NULL, w->now, &r), -ELOOP);
  info.hop_count = 1;
  w->model.limits.routes_per_path = 1;
  assert_int_equal(route_add(w->origin, slice_str("demo"), &info, &world_source, NULL, w->now, &r), 0);
  assert_int_equal(route_add(w->origin, slice_str("demo"), &info, &world_source, NULL, w->now, &second), -EUSERS);
  w->model.limits.broadcasts = 1;
  assert_int_equal(route_add(w->origin, slice_str("other"), &info, &world_source, NULL, w->now, &second), -EUSERS);
  info.hop_count = 2;
  assert_int_equal(route_update(r, &info, w->now), -ELOOP);
  assert_int_equal(broadcast_route(origin_find(w->origin, slice_str("demo")))->hop_count, 1);
  route_remove(r, true, w->now);
}

/* -- taking over -- */

static void the_newest_publisher_takes_over_and_the_next_resumes(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0};
  publisher_start(&a, w, "demo");
  join(w, &v);
  whole(&a, 10, "a");
  world_turn(w);
  publisher_start(&b, w, "demo");
  world_turn(w);
  assert_ptr_equal(active(w), &b);
  assert_int_equal(a.unsubscribes, 1);
  assert_int_equal(b.subscribes, 1);
  whole(&b, 0, "b"); /* counts from 0 again */
  whole(&b, 1, "b");
  world_turn(w);
  publisher_stop(&b, false);
  assert_ptr_equal(active(w), &a);
  assert_int_equal(a.subscribes, 2);
  whole(&a, 11, "A");
  world_turn(w);
  assert_int_equal(v.ends, 0);
  assert_string_equal(viewer_text(&v), "10:a |11:b |12:b |24:A |");
  viewer_leave(&v);
  publisher_stop(&a, true);
}

/* A publisher that passes by must not be able to use up the numbers of those who stay. */
static void numbers_that_were_used_up_begin_anew(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0}, again = {0};
  struct group *g = NULL;
  publisher_start(&a, w, "demo");
  join(w, &v);
  whole(&a, 10, "a");
  world_turn(w);
  publisher_start(&b, w, "demo");
  world_turn(w);
  whole(&b, TRACK_SEQUENCE_MAX, "b");
  world_turn(w);
  publisher_stop(&b, true);
  world_turn(w);
  assert_int_equal(track_group(a.track, 11, w->now, &g), -ESTALE);
  world_turn(w);
  assert_int_equal(v.ends, 1);
  assert_int_equal(v.end_code, CODE_CANCELLED);
  viewer_leave(&v);
  join(w, &again);
  whole(&a, 12, "A");
  world_turn(w);
  assert_string_equal(viewer_text(&again), "12:A |");
  viewer_leave(&again);
  publisher_stop(&a, true);
}

static void without_takeover_the_first_publisher_stays(void **state)
{
  struct world *w = *state;
  struct publisher a, b, c;
  struct viewer v = {0};
  w->model.limits.takeover = TAKEOVER_NEVER;
  publisher_start(&a, w, "demo");
  join(w, &v);
  publisher_start(&b, w, "demo");
  publisher_start(&c, w, "demo");
  assert_ptr_equal(active(w), &a);
  assert_true(a.watched);
  assert_int_equal(b.subscribes + c.subscribes, 0);
  publisher_stop(&a, false); /* those who waited come in their order, at once */
  assert_ptr_equal(active(w), &b);
  assert_true(b.watched);
  publisher_start(&a, w, "demo");
  publisher_stop(&b, true);
  assert_ptr_equal(active(w), &c);
  assert_int_equal(v.ends, 0);
  viewer_leave(&v);
  publisher_stop(&c, true);
  publisher_stop(&a, true);
}

static void a_publisher_that_is_not_active_leaves_unnoticed(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0};
  publisher_start(&a, w, "demo");
  publisher_start(&b, w, "demo");
  join(w, &v);
  publisher_stop(&a, true);
  assert_int_equal(b.subscribes, 1);
  assert_int_equal(b.unsubscribes, 0);
  viewer_leave(&v);
  publisher_stop(&b, true);
}

static void costs_move_the_tracks(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0};
  struct route_info cheap = world_local();
  publisher_start(&a, w, "demo");
  publisher_start(&b, w, "demo");
  join(w, &v);
  assert_true(b.watched);
  cheap.warm = 0;
  assert_int_equal(route_update(a.route, &cheap, w->now), 0);
  assert_ptr_equal(active(w), &a);
  assert_false(b.watched);
  assert_true(a.watched);
  viewer_leave(&v);
  publisher_stop(&a, true);
  publisher_stop(&b, true);
}

static void the_same_publisher_by_another_way_keeps_its_numbers(void **state)
{
  struct world *w = *state;
  struct publisher a = {.world = w, .info = {.timescale = 1000}}, b = a;
  struct route_info near = REMOTE(1, 1, 77), far = REMOTE(1, 1, 77, 88);
  struct viewer v = {0};
  assert_int_equal(route_add(w->origin, slice_str("demo"), &near, &world_source, &a, w->now, &a.route), 0);
  assert_int_equal(route_add(w->origin, slice_str("demo"), &far, &world_source, &b, w->now, &b.route), 0);
  join(w, &v);
  whole(&a, 5, "x");
  whole(&a, 6, "x");
  world_turn(w);
  publisher_stop(&a, false);
  struct group *g = NULL;
  assert_int_equal(track_group(b.track, 6, w->now, &g), -EEXIST);
  whole(&b, 7, "x");
  world_turn(w);
  assert_string_equal(viewer_text(&v), "5:x |6:x |7:x |");
  viewer_leave(&v);
  publisher_stop(&b, true);
}

/* The hops say so, but they are of before: the relay in between has gone on to another publisher. */
static void another_publisher_by_the_same_hops_has_its_numbers_raised(void **state)
{
  struct world *w = *state;
  struct publisher a = {.world = w, .info = {.timescale = 1000}}, b = a;
  struct route_info near = REMOTE(1, 1, 77), far = REMOTE(1, 1, 77, 88);
  struct viewer v = {0};
  assert_int_equal(route_add(w->origin, slice_str("demo"), &near, &world_source, &a, w->now, &a.route), 0);
  assert_int_equal(route_add(w->origin, slice_str("demo"), &far, &world_source, &b, w->now, &b.route), 0);
  join(w, &v);
  whole(&a, 378, "x");
  world_turn(w);
  publisher_stop(&a, false);
  whole(&b, 198, "y");
  whole(&b, 199, "y");
  world_turn(w);
  assert_string_equal(viewer_text(&v), "378:x |577:y |578:y |");
  viewer_leave(&v);
  publisher_stop(&b, true);
}

/* -- leaving -- */

static void a_lost_publisher_may_come_back_unnoticed(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0};
  publisher_start(&p, w, "demo");
  join(w, &v);
  whole(&p, 0, "a");
  struct group *g = begin(&p, 1);
  frame(g, "half");
  world_turn(w);
  group_cut(g, CODE_SESSION);
  group_unref(g);
  publisher_stop(&p, false);
  world_pass(w, 4000);
  assert_int_equal(v.ends, 0);
  assert_non_null(origin_find(w->origin, slice_str("demo")));
  assert_null(broadcast_route(origin_find(w->origin, slice_str("demo"))));
  publisher_start(&p, w, "demo");
  assert_int_equal(p.subscribes, 1);
  whole(&p, 0, "again");
  world_pass(w, 20000);
  assert_int_equal(v.ends, 0);
  assert_string_equal(viewer_text(&v), "0:a |1:half 2:again |");
  assert_int_equal(p.track->state, TRACK_LIVE);
  viewer_leave(&v);
  publisher_stop(&p, true);
}

static void a_lost_publisher_is_not_waited_for_forever(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0};
  publisher_start(&p, w, "demo");
  join(w, &v);
  publisher_stop(&p, false);
  world_pass(w, 5100);
  assert_int_equal(v.ends, 1);
  assert_false(v.finished);
  assert_int_equal(v.end_code, CODE_UNROUTABLE);
  assert_null(origin_find(w->origin, slice_str("demo")));
  viewer_leave(&v);
}

static void who_joins_while_it_lingers_waits_for_the_publisher(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0};
  publisher_start(&p, w, "demo");
  publisher_stop(&p, false);
  join(w, &v);
  world_pass(w, 3000);
  publisher_start(&p, w, "demo");
  assert_int_equal(p.subscribes, 1);
  whole(&p, 0, "a");
  world_turn(w);
  assert_string_equal(viewer_text(&v), "0:a |");
  viewer_leave(&v);
  publisher_stop(&p, true);
}

static void an_unannounced_path_is_gone_at_once(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0};
  publisher_start(&p, w, "demo");
  join(w, &v);
  whole(&p, 0, "a");
  publisher_stop(&p, true);
  world_turn(w);
  assert_string_equal(viewer_text(&v), "0:a |");
  assert_int_equal(v.ends, 1);
  assert_int_equal(v.end_code, CODE_UNROUTABLE);
  assert_null(origin_find(w->origin, slice_str("demo")));
  viewer_leave(&v);
}

/* -- what is unannounced may be finished first -- */

struct parting {
  struct publisher p;
  struct viewer v;
  struct group *g;
};

/* A watched track with a group under way, whose broadcast has just been unannounced. */
static void part(struct parting *x, struct world *w)
{
  *x = (struct parting){0};
  publisher_start_parting(&x->p, w, "demo");
  join(w, &x->v);
  x->g = begin(&x->p, 0);
  frame(x->g, "a");
  world_turn(w);
  publisher_stop(&x->p, true);
  world_turn(w);
  assert_null(origin_find(w->origin, slice_str("demo")));
  assert_true(x->p.watched && x->v.ends == 0);
}

static void an_unannounced_track_may_be_finished(void **state)
{
  struct world *w = *state;
  struct parting x;
  part(&x, w);
  track_finish(x.p.track, 2, w->now);
  frame(x.g, "b");
  finish(x.g);
  whole(&x.p, 1, "c");
  world_turn(w);
  assert_string_equal(viewer_text(&x.v), "0:a b |1:c |");
  assert_true(x.v.ends == 1 && x.v.finished && x.v.final == 2);
  viewer_leave(&x.v);
  assert_false(x.p.watched);
}

static void an_unannounced_track_is_not_waited_for_forever(void **state)
{
  struct world *w = *state;
  struct parting x;
  part(&x, w);
  world_pass(w, w->model.limits.parting_ns / NS_PER_MS - 1);
  assert_int_equal(x.v.ends, 0);
  world_pass(w, 2);
  assert_int_equal(x.v.ends, 1);
  assert_int_equal(x.v.end_code, CODE_UNROUTABLE);
  assert_int_equal(x.p.unsubscribes, 1);
  group_unref(x.g);
  viewer_leave(&x.v);
}

static void an_unannounced_track_ends_with_its_last_viewer_or_its_source(void **state)
{
  struct world *w = *state;
  struct parting x;
  part(&x, w);
  viewer_leave(&x.v);
  assert_int_equal(x.p.unsubscribes, 1);
  group_unref(x.g);
  part(&x, w);
  track_close(x.p.track, CODE_CANCELLED, w->now);
  x.p.watched = false;
  world_turn(w);
  assert_int_equal(x.v.ends, 1);
  assert_int_equal(x.v.end_code, CODE_CANCELLED);
  group_unref(x.g);
  viewer_leave(&x.v);
}

/* Whoever comes meanwhile gets the next publisher's. */
static void the_next_publisher_has_tracks_of_its_own(void **state)
{
  struct world *w = *state;
  struct parting x;
  struct publisher next;
  struct viewer v = {0};
  part(&x, w);
  publisher_start(&next, w, "demo");
  join(w, &v);
  assert_true(next.watched);
  whole(&next, 0, "n");
  frame(x.g, "b");
  finish(x.g);
  track_finish(x.p.track, 1, w->now);
  world_turn(w);
  assert_string_equal(viewer_text(&v), "0:n |");
  assert_string_equal(viewer_text(&x.v), "0:a b |");
  assert_true(x.v.finished && v.ends == 0);
  viewer_leave(&x.v);
  viewer_leave(&v);
  publisher_stop(&next, true);
}

static void a_lost_publisher_finishes_nothing(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0};
  w->model.limits.linger_ns = 0;
  publisher_start_parting(&p, w, "demo");
  join(w, &v);
  whole(&p, 0, "a");
  publisher_stop(&p, false);
  world_turn(w);
  assert_true(v.ends == 1 && v.end_code == CODE_UNROUTABLE);
  viewer_leave(&v);
}

static void a_finished_track_stays_finished_when_its_publisher_leaves(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0};
  publisher_start(&p, w, "demo");
  join(w, &v);
  whole(&p, 0, "a");
  track_finish(p.track, 1, w->now);
  publisher_stop(&p, false);
  world_turn(w);
  assert_int_equal(v.ends, 1);
  assert_true(v.finished);
  viewer_leave(&v);
}

static void another_timescale_is_another_track(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct viewer v = {0}, again = {0};
  publisher_start(&p, w, "demo");
  join(w, &v);
  publisher_stop(&p, false);
  struct route_info info = world_local();
  p = (struct publisher){.world = w, .info = {.timescale = 90000}};
  assert_int_equal(route_add(w->origin, slice_str("demo"), &info, &world_source, &p, w->now, &p.route), 0);
  world_turn(w);
  assert_int_equal(v.ends, 1);
  assert_false(v.finished);
  assert_int_equal(p.subscribes, 0);
  join(w, &again);
  assert_int_equal(p.subscribes, 1);
  assert_int_equal(again.ends, 0);
  viewer_leave(&v);
  viewer_leave(&again);
  publisher_stop(&p, true);
}

static void a_new_source_must_answer_in_time(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct viewer v = {0};
  publisher_start(&a, w, "demo");
  join(w, &v);
  struct route_info info = world_local();
  b = (struct publisher){.world = w, .silent = true};
  assert_int_equal(route_add(w->origin, slice_str("demo"), &info, &world_source, &b, w->now, &b.route), 0);
  assert_int_equal(b.infos, 1);
  world_pass(w, 9900);
  assert_false(a.watched);
  world_pass(w, 200); /* the one before it serves on */
  assert_true(a.watched);
  assert_int_equal(v.ends, 0);
  whole(&a, 0, "a");
  world_turn(w);
  assert_string_equal(viewer_text(&v), "0:a |");
  publisher_stop(&a, false); /* the silent one is not asked again */
  world_turn(w);
  assert_int_equal(b.infos, 1);
  assert_int_equal(v.end_code, CODE_UNROUTABLE);
  viewer_leave(&v);
  publisher_stop(&b, true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(routes_have_one_order),
      cmocka_unit_test(hops_do_not_count_among_local_publishers),
      T(without_takeover_the_first_publisher_stays),
      T(a_loop_and_too_many_routes_are_refused),
      T(the_newest_publisher_takes_over_and_the_next_resumes),
      T(numbers_that_were_used_up_begin_anew),
      T(a_publisher_that_is_not_active_leaves_unnoticed),
      T(costs_move_the_tracks),
      T(the_same_publisher_by_another_way_keeps_its_numbers),
      T(another_publisher_by_the_same_hops_has_its_numbers_raised),
      T(a_lost_publisher_may_come_back_unnoticed),
      T(a_lost_publisher_is_not_waited_for_forever),
      T(who_joins_while_it_lingers_waits_for_the_publisher),
      T(an_unannounced_path_is_gone_at_once),
      T(an_unannounced_track_may_be_finished),
      T(an_unannounced_track_is_not_waited_for_forever),
      T(an_unannounced_track_ends_with_its_last_viewer_or_its_source),
      T(the_next_publisher_has_tracks_of_its_own),
      T(a_lost_publisher_finishes_nothing),
      T(a_finished_track_stays_finished_when_its_publisher_leaves),
      T(another_timescale_is_another_track),
      T(a_new_source_must_answer_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
