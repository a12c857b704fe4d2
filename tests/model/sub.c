/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Viewers: where they begin, what they get, what they skip. */
#include "world.h"
#include <errno.h>
#include <stdlib.h>

struct stage {
  struct world w;
  struct publisher p;
  struct viewer first; /* keeps the track live */
};

static int setup(void **state)
{
  struct stage *s = calloc(1, sizeof *s);
  world_init(&s->w, 0);
  publisher_start(&s->p, &s->w, "demo");
  viewer_join(&s->first, &s->w, "demo", "video", world_params());
  world_turn(&s->w);
  *state = s;
  return 0;
}

static int teardown(void **state)
{
  struct stage *s = *state;
  if (s->first.track)
    viewer_leave(&s->first);
  if (s->p.route)
    publisher_stop(&s->p, true);
  world_destroy(&s->w);
  free(s);
  return 0;
}

static void join(struct stage *s, struct viewer *v, struct sub_params params)
{
  viewer_join(v, &s->w, "demo", "video", params);
  world_turn(&s->w);
}

static void turn(struct stage *s)
{
  world_turn(&s->w);
}

/* -- where a viewer begins -- */

static void a_late_joiner_gets_the_newest_group_from_its_first_byte(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  whole(&s->p, 3, "old");
  struct group *g = begin(&s->p, 4);
  frame(g, "a");
  frame(g, "b");
  join(s, &v, world_params());
  assert_string_equal(viewer_text(&v), "4:a b ");
  frame(g, "c");
  finish(g);
  assert_string_equal(viewer_text(&v), "4:a b c |");
  assert_int_equal(s->p.subscribes, 1);
  viewer_leave(&v);
}

static void nothing_comes_from_inside_sub_open(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  whole(&s->p, 0, "a");
  viewer_join(&v, &s->w, "demo", "video", world_params());
  assert_int_equal(v.groups, 0);
  turn(s);
  assert_int_equal(v.groups, 1);
  viewer_leave(&v);
}

static void max_age_decides_how_far_back_a_viewer_begins(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  for (uint64_t i = 0; i < 4; i++) {
    whole(&s->p, i, "x");
    world_pass(&s->w, 1000);
  }
  params.from_latest = false;
  params.max_age_ms = 2000; /* group 3 is the newest, 1 came two seconds before it */
  join(s, &v, params);
  assert_string_equal(viewer_text(&v), "1:x |2:x |3:x |");
  viewer_leave(&v);
  params.max_age_ms = 0;
  join(s, &v, params);
  assert_string_equal(viewer_text(&v), "3:x |");
  viewer_leave(&v);
}

static void group_start_is_a_floor(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  for (uint64_t i = 0; i < 4; i++)
    whole(&s->p, i, "x");
  params.from_latest = false;
  params.max_age_ms = UINT64_MAX;
  params.group_start = 2;
  join(s, &v, params);
  assert_string_equal(viewer_text(&v), "2:x |3:x |");
  viewer_leave(&v);
  params.group_start = 6;
  join(s, &v, params);
  whole(&s->p, 4, "x");
  whole(&s->p, 6, "x");
  turn(s);
  assert_string_equal(viewer_text(&v), "6:x |");
  viewer_leave(&v);
}

static void frame_start_and_end_qualify_the_groups_they_name(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  params.from_latest = false;
  params.max_age_ms = UINT64_MAX;
  params.group_start = 1;
  params.frame_start = 1;
  params.group_end = 2;
  params.frame_end = 0;
  join(s, &v, params);
  for (uint64_t i = 0; i < 4; i++) {
    struct group *g = begin(&s->p, i);
    turn(s);
    frame(g, "a");
    frame(g, "b");
    finish(g);
  }
  turn(s);
  assert_string_equal(viewer_text(&v), "1:b |2:a |");
  viewer_leave(&v);
}

static void a_raised_group_end_brings_what_was_held_back(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  params.group_end = 1;
  join(s, &v, params);
  for (uint64_t i = 0; i < 4; i++) {
    whole(&s->p, i, "x");
    turn(s);
  }
  assert_string_equal(viewer_text(&v), "0:x |1:x |");
  assert_int_equal(v.ends, 0);
  params.group_end = 2;
  sub_update(&v.sub, &params, s->w.now);
  turn(s);
  assert_string_equal(viewer_text(&v), "0:x |1:x |2:x |");
  viewer_leave(&v);
}

static void what_was_held_back_comes_once(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  params.group_end = 5;
  join(s, &v, params);
  static const uint64_t order[] = {3, 7, 4, 6, 5};
  for (size_t i = 0; i < 5; i++)
    whole(&s->p, order[i], "x");
  turn(s);
  assert_string_equal(viewer_text(&v), "3:x |4:x |5:x |");
  params.group_end = UINT64_MAX;
  sub_update(&v.sub, &params, s->w.now);
  turn(s);
  assert_string_equal(viewer_text(&v), "3:x |4:x |5:x |7:x |6:x |");
  viewer_leave(&v);
}

/* -- what it gets -- */

static void groups_that_arrive_out_of_order_come_once_each(void **state)
{
  struct stage *s = *state;
  static const uint64_t order[] = {2, 4, 3, 7, 5, 6};
  for (size_t i = 0; i < 6; i++) {
    whole(&s->p, order[i], "x");
    turn(s);
  }
  assert_string_equal(viewer_text(&s->first), "2:x |4:x |3:x |7:x |5:x |6:x |");
}

static void groups_before_the_start_are_not_for_the_viewer(void **state)
{
  struct stage *s = *state;
  whole(&s->p, 5, "x");
  turn(s);
  whole(&s->p, 4, "late");
  turn(s);
  assert_string_equal(viewer_text(&s->first), "5:x |");
}

static void older_groups_may_follow_the_newest(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  params.from_latest = false;
  params.max_age_ms = 1000;
  join(s, &v, params);
  whole(&s->p, 5, "x");
  turn(s);
  whole(&s->p, 4, "x");
  turn(s);
  assert_string_equal(viewer_text(&v), "5:x |4:x |");
  viewer_leave(&v);
}

static void a_group_arrives_whole_although_the_next_has_begun(void **state)
{
  struct stage *s = *state; /* max age 0 */
  struct group *a = begin(&s->p, 0);
  frame(a, "a");
  turn(s);
  struct group *b = begin(&s->p, 1);
  turn(s);
  world_pass(&s->w, 500);
  frame(a, "tail");
  finish(a);
  frame(b, "b");
  finish(b);
  turn(s);
  assert_string_equal(viewer_text(&s->first), "0:a tail |1:b |");
  assert_int_equal(s->first.drops, 0);
}

static void many_groups_in_one_turn_all_come_at_max_age_0(void **state)
{
  struct stage *s = *state;
  for (uint64_t i = 0; i < 50; i++)
    whole(&s->p, i, "x");
  turn(s);
  assert_int_equal(s->first.groups, 50);
}

static void a_cut_group_is_seen_as_cut(void **state)
{
  struct stage *s = *state;
  struct group *g = begin(&s->p, 0);
  frame(g, "a");
  turn(s);
  group_cut(g, CODE_SESSION);
  group_unref(g);
  assert_true(s->first.seen[0].cut);
  assert_false(s->first.seen[0].fin);
  assert_int_equal(s->first.seen[0].code, CODE_SESSION);
  struct viewer v = {0};
  join(s, &v, world_params());
  assert_int_equal(v.groups, 0); /* not for new ones */
  viewer_leave(&v);
}

static void datagrams_are_forwarded_once(void **state)
{
  struct stage *s = *state;
  struct track *t = s->p.track;
  struct group *g = NULL;
  assert_int_equal(track_datagram(t, 9, 0, slice_str("x"), s->w.now), 0);
  assert_int_equal(track_datagram(t, 9, 0, slice_str("x"), s->w.now), -EEXIST);
  assert_int_equal(track_group(t, 9, s->w.now, &g), -EEXIST);
  assert_int_equal(s->first.datagrams, 1);
  assert_int_equal(s->first.datagram, 9);
  whole(&s->p, 10, "x");
  assert_int_equal(track_datagram(t, 10, 0, slice_str("x"), s->w.now), -EEXIST);
  for (uint64_t i = 100; i < 100 + 2 * TRACK_RECENT; i++)
    assert_int_equal(track_datagram(t, i, 0, slice_str("x"), s->w.now), 0);
  assert_int_equal(s->first.datagrams, 1 + 2 * TRACK_RECENT);
}

/* -- what it skips -- */

static void a_slow_viewer_skips_old_groups_and_lives_on(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  join(s, &slow, world_params());
  whole(&s->p, 0, "a");
  turn(s);
  whole(&s->p, 1, "b");
  turn(s);
  world_pass(&s->w, 900);
  assert_int_equal(slow.drops, 0);
  world_pass(&s->w, 200);
  assert_int_equal(slow.drops, 1);
  assert_int_equal(slow.drop_code, CODE_TIMEOUT);
  assert_true(slow.seen[0].dropped);
  world_pass(&s->w, 60000);
  assert_int_equal(slow.drops, 1); /* the newest is never too old */
  viewer_go_on(&slow);
  assert_string_equal(viewer_text(&slow), "0:1:b |");
  assert_string_equal(viewer_text(&s->first), "0:a |1:b |");
  viewer_leave(&slow);
}

static void max_age_is_counted_from_the_next_group(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  struct sub_params params = world_params();
  params.max_age_ms = 3000;
  join(s, &slow, params);
  whole(&s->p, 0, "a");
  turn(s);
  world_pass(&s->w, 10000);
  whole(&s->p, 1, "b");
  turn(s);
  world_pass(&s->w, 3900);
  assert_int_equal(slow.drops, 0);
  world_pass(&s->w, 200);
  assert_int_equal(slow.drops, 1);
  viewer_leave(&slow);
}

static void a_cut_group_is_not_held_for_long(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  join(s, &slow, world_params());
  struct group *g = begin(&s->p, 0);
  frame(g, "a");
  turn(s);
  group_cut(g, CODE_SESSION);
  group_unref(g);
  whole(&s->p, 1, "b");
  turn(s);
  world_pass(&s->w, 1100);
  assert_int_equal(slow.drops, 1);
  assert_true(slow.seen[0].dropped);
  viewer_leave(&slow);
}

static void no_max_age_means_no_skipping(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  struct sub_params params = world_params();
  params.max_age_ms = UINT64_MAX;
  join(s, &slow, params);
  for (uint64_t i = 0; i < 10; i++) {
    whole(&s->p, i, "x");
    world_pass(&s->w, 60000);
  }
  assert_int_equal(slow.drops, 0);
  viewer_go_on(&slow);
  assert_int_equal(slow.groups, 10);
  assert_true(slow.seen[0].fin);
  viewer_leave(&slow);
}

static void a_viewer_too_far_behind_skips_the_oldest(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  struct sub_params params = world_params();
  s->w.model.limits.sub_behind_bytes = 100;
  params.max_age_ms = UINT64_MAX;
  join(s, &slow, params);
  for (uint64_t i = 0; i < 4; i++) {
    whole(&s->p, i, "0123456789012345678901234567890123456789");
    turn(s);
  }
  assert_int_equal(slow.drops, 2);
  assert_int_equal(slow.drop_code, CODE_TOO_FAR_BEHIND);
  assert_true(slow.seen[0].dropped && slow.seen[1].dropped);
  assert_int_equal(s->first.drops, 0);
  viewer_go_on(&slow);
  assert_true(slow.seen[2].fin && slow.seen[3].fin);
  viewer_leave(&slow);
}

static void a_large_newest_group_is_not_skipped(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  s->w.model.limits.sub_behind_bytes = 10;
  join(s, &slow, world_params());
  struct group *g = begin(&s->p, 0);
  turn(s);
  frame(g, "0123456789012345678901234567890123456789");
  finish(g);
  turn(s);
  assert_int_equal(slow.drops, 0);
  viewer_leave(&slow);
}

static void a_viewer_too_many_groups_behind_skips_the_oldest(void **state)
{
  struct stage *s = *state;
  struct viewer slow = {.stalled = true};
  struct sub_params params = world_params();
  s->w.model.limits.deliveries_per_sub = 5;
  params.max_age_ms = UINT64_MAX;
  join(s, &slow, params);
  for (uint64_t i = 0; i < 20; i++)
    whole(&s->p, i, "");
  turn(s);
  assert_int_equal(slow.drops, 15);
  assert_int_equal(slow.drop_code, CODE_TOO_FAR_BEHIND);
  assert_false(slow.seen[15].dropped);
  viewer_leave(&slow);
}

static void behind_counts_what_is_not_taken(void **state)
{
  struct stage *s = *state;
  struct viewer v = {.holding = true}; /* takes all, is done with nothing */
  s->w.model.limits.sub_behind_bytes = 100;
  struct sub_params params = world_params();
  params.max_age_ms = UINT64_MAX;
  join(s, &v, params);
  for (uint64_t i = 0; i < 20; i++) {
    whole(&s->p, i, "0123456789012345678901234567890123456789");
    turn(s);
  }
  assert_int_equal(v.drops, 0);
  viewer_leave(&v);
}

/* -- callbacks that leave -- */

static void a_viewer_may_leave_inside_on_group(void **state)
{
  struct stage *s = *state;
  struct viewer v = {.close_on_group = true}, other = {0};
  join(s, &v, world_params());
  join(s, &other, world_params());
  whole(&s->p, 0, "a");
  whole(&s->p, 1, "b");
  turn(s);
  assert_int_equal(v.groups, 1);
  assert_int_equal(other.groups, 2);
  assert_int_equal(s->w.model.subs_now, 2);
  viewer_leave(&other);
}

static void a_viewer_may_leave_inside_on_drop(void **state)
{
  struct stage *s = *state;
  struct viewer v = {.stalled = true, .close_on_drop = true};
  join(s, &v, world_params());
  for (uint64_t i = 0; i < 5; i++) {
    whole(&s->p, i, "x");
    turn(s);
  }
  world_pass(&s->w, 5000);
  assert_int_equal(v.drops, 1);
  assert_null(v.track);
}

/* Bytes that were handed out live as long as somebody holds the group. */
static void bytes_outlive_the_delivery(void **state)
{
  struct stage *s = *state;
  struct viewer v = {.stalled = true};
  join(s, &v, world_params());
  whole(&s->p, 0, "keep me");
  turn(s);
  struct delivery *d = container_of(v.sub.deliveries.next, struct delivery, link);
  struct iovec iov[2];
  size_t n;
  bool fin;
  assert_int_equal(reader_pull(&d->reader, iov, 2, &n, &fin), 0);
  struct group *held = group_ref(d->reader.group);
  viewer_leave(&v);
  viewer_leave(&s->first);
  world_pass(&s->w, 10000);
  assert_memory_equal(iov[1].iov_base, "keep me", 7);
  assert_true(s->w.model.cache.used > 0);
  group_unref(held);
  assert_int_equal(s->w.model.cache.used, 0);
}

static void the_limit_of_viewers_holds(void **state)
{
  struct stage *s = *state;
  struct sub sub = {0};
  struct sub_params params = world_params();
  s->w.model.limits.subs_per_track = 1;
  assert_int_equal(sub_open(&sub, s->p.track, &params, &world_framing, s->first.sub.ops, NULL, s->w.now), -EUSERS);
  sub_close(&sub, s->w.now);
}

static void fifty_viewers_cost_one_subscription_and_one_copy(void **state)
{
  struct stage *s = *state;
  static struct viewer v[50];
  memset(v, 0, sizeof v);
  for (int i = 0; i < 50; i++)
    join(s, &v[i], world_params());
  for (uint64_t i = 0; i < 20; i++) {
    struct group *g = begin(&s->p, i);
    turn(s);
    size_t before = s->w.model.cache.used;
    for (int k = 0; k < 10; k++)
      frame(g, "0123456789");
    assert_true(s->w.model.cache.used - before < 4096); /* not 50 times */
    finish(g);
    world_pass(&s->w, 100);
  }
  for (int i = 0; i < 50; i++) {
    assert_int_equal(v[i].groups, 20);
    assert_int_equal(v[i].drops, 0);
    for (int k = 0; k < 20; k++)
      assert_true(v[i].seen[k].fin && v[i].seen[k].sequence == (uint64_t)k);
    viewer_leave(&v[i]);
  }
  assert_int_equal(s->p.subscribes, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_late_joiner_gets_the_newest_group_from_its_first_byte),
      T(nothing_comes_from_inside_sub_open),
      T(max_age_decides_how_far_back_a_viewer_begins),
      T(group_start_is_a_floor),
      T(frame_start_and_end_qualify_the_groups_they_name),
      T(a_raised_group_end_brings_what_was_held_back),
      T(what_was_held_back_comes_once),
      T(groups_that_arrive_out_of_order_come_once_each),
      T(groups_before_the_start_are_not_for_the_viewer),
      T(older_groups_may_follow_the_newest),
      T(a_group_arrives_whole_although_the_next_has_begun),
      T(many_groups_in_one_turn_all_come_at_max_age_0),
      T(a_cut_group_is_seen_as_cut),
      T(datagrams_are_forwarded_once),
      T(a_slow_viewer_skips_old_groups_and_lives_on),
      T(max_age_is_counted_from_the_next_group),
      T(a_cut_group_is_not_held_for_long),
      T(no_max_age_means_no_skipping),
      T(a_viewer_too_far_behind_skips_the_oldest),
      T(a_large_newest_group_is_not_skipped),
      T(a_viewer_too_many_groups_behind_skips_the_oldest),
      T(behind_counts_what_is_not_taken),
      T(a_viewer_may_leave_inside_on_group),
      T(a_viewer_may_leave_inside_on_drop),
      T(bytes_outlive_the_delivery),
      T(the_limit_of_viewers_holds),
      T(fifty_viewers_cost_one_subscription_and_one_copy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
