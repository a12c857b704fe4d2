/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Viewers that begin before the cache does. */
#include "world.h"
#include <stdlib.h>

struct stage {
  struct world w;
  struct publisher p;
  struct viewer live, v;
};

/* A track of which only 20 to 22 were seen here. Groups are 100 ms long. */
static void stamped(struct publisher *p, uint64_t sequence, const char *text)
{
  struct group *g = begin(p, sequence);
  assert_int_equal(group_object(g, 0, 0, 100 * sequence, strlen(text), 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_str(text)), 0);
  finish(g);
}

static int setup(void **state)
{
  struct stage *s = calloc(1, sizeof *s);
  world_init(&s->w, 0);
  publisher_start(&s->p, &s->w, "demo");
  s->p.info.max_age_ms = 30000;
  viewer_join(&s->live, &s->w, "demo", "video", world_params());
  for (uint64_t i = 20; i <= 22; i++)
    stamped(&s->p, i, "x");
  world_turn(&s->w);
  *state = s;
  return 0;
}

static int teardown(void **state)
{
  struct stage *s = *state;
  if (s->v.track)
    viewer_leave(&s->v);
  viewer_leave(&s->live);
  publisher_stop(&s->p, true);
  world_destroy(&s->w);
  free(s);
  return 0;
}

static void join(struct stage *s, uint64_t start, uint64_t max_age_ms)
{
  struct sub_params p = world_params();
  p.from_latest = false;
  p.look_back = true;
  p.group_start = start;
  p.max_age_ms = max_age_ms;
  viewer_join(&s->v, &s->w, "demo", "video", p);
  world_turn(&s->w);
}

/* Answers the fetch that is due. */
static void answer(struct stage *s, uint64_t sequence)
{
  assert_int_equal(s->p.fetched, sequence);
  stamped(&s->p, sequence, "old");
  world_turn(&s->w);
}

static void older_groups_come_one_after_the_other(void **state)
{
  struct stage *s = *state;
  join(s, 17, 60000);
  assert_string_equal(viewer_text(&s->v), "20:x |21:x |22:x |"); /* at once */
  assert_int_equal(s->p.fetches, 1);
  answer(s, 19);
  answer(s, 18);
  assert_int_equal(s->p.fetches, 3);
  answer(s, 17);
  assert_string_equal(viewer_text(&s->v), "20:x |21:x |22:x |19:old |18:old |17:old |");
  world_pass(&s->w, 1000);
  assert_int_equal(s->p.fetches, 3);
  assert_int_equal(s->live.groups, 3); /* not for those who did not ask */
  stamped(&s->p, 23, "y");
  world_turn(&s->w);
  assert_int_equal(s->v.groups, 7);
}

static void the_next_waits_for_the_end_of_the_one_before(void **state)
{
  struct stage *s = *state;
  join(s, 10, 60000);
  struct group *g = begin(&s->p, 19);
  frame(g, "half");
  world_turn(&s->w);
  assert_int_equal(s->p.fetches, 1);
  assert_string_equal(viewer_text(&s->v), "20:x |21:x |22:x |19:half ");
  finish(g);
  world_turn(&s->w);
  assert_int_equal(s->p.fetches, 2);
}

static void max_age_ends_it_by_timestamps(void **state)
{
  struct stage *s = *state;
  join(s, 0, 450);
  answer(s, 19);
  answer(s, 18); /* 400 ms before the newest */
  answer(s, 17);
  assert_int_equal(s->p.fetches, 3);
  assert_int_equal(s->v.groups, 5);
}

static void the_number_is_bounded(void **state)
{
  struct stage *s = *state;
  s->w.model.limits.look_back = 2;
  join(s, 0, 60000);
  answer(s, 19);
  answer(s, 18);
  world_turn(&s->w);
  assert_int_equal(s->p.fetches, 2);
}

static void a_refusal_ends_it(void **state)
{
  struct stage *s = *state;
  join(s, 0, 60000);
  track_fetch_failed(s->p.track, 19, CODE_NOT_FOUND, s->w.now);
  world_pass(&s->w, 100);
  assert_int_equal(s->p.fetches, 1);
  assert_int_equal(s->v.ends, 0);
}

static void silence_ends_it(void **state)
{
  struct stage *s = *state;
  join(s, 0, 60000);
  world_pass(&s->w, 11000);
  assert_int_equal(s->p.fetches, 1);
  assert_int_equal(s->v.ends, 0);
}

static void a_damaged_group_ends_it(void **state)
{
  struct stage *s = *state;
  join(s, 0, 60000);
  struct group *g = begin(&s->p, 19);
  frame(g, "half");
  world_turn(&s->w);
  group_cut(g, CODE_CANCELLED);
  group_unref(g);
  world_turn(&s->w);
  assert_int_equal(s->p.fetches, 1);
  assert_true(s->v.seen[3].cut);
}

static void nobody_is_asked_without_need(void **state)
{
  struct stage *s = *state;
  join(s, 20, 60000); /* it is here */
  viewer_leave(&s->v);
  join(s, 5, 0); /* the newest alone */
  viewer_leave(&s->v);
  struct sub_params p = world_params();
  p.from_latest = false; /* a floor of 0 names no group */
  p.max_age_ms = 60000;
  viewer_join(&s->v, &s->w, "demo", "video", p);
  world_turn(&s->w);
  assert_int_equal(s->v.groups, 3);
  assert_int_equal(s->p.fetches, 0);
}

static void a_range_in_the_past_is_served(void **state)
{
  struct stage *s = *state;
  struct sub_params p = world_params();
  p.from_latest = false;
  p.look_back = true;
  p.group_start = 7;
  p.group_end = 8;
  p.max_age_ms = 60000;
  viewer_join(&s->v, &s->w, "demo", "video", p);
  world_turn(&s->w);
  answer(s, 8);
  answer(s, 7);
  assert_string_equal(viewer_text(&s->v), "8:old |7:old |");
  assert_int_equal(s->p.fetches, 2);
}

static void what_was_fetched_serves_the_next_viewer(void **state)
{
  struct stage *s = *state;
  join(s, 18, 60000);
  answer(s, 19);
  answer(s, 18);
  viewer_leave(&s->v);
  join(s, 18, 60000);
  assert_string_equal(viewer_text(&s->v), "20:x |21:x |22:x |19:old |18:old |");
  assert_int_equal(s->p.fetches, 2);
}

static void a_finished_track_ends_after_it(void **state)
{
  struct stage *s = *state;
  join(s, 19, 60000);
  track_finish(s->p.track, 23, s->w.now);
  world_turn(&s->w);
  assert_int_equal(s->live.ends, 1);
  assert_int_equal(s->v.ends, 0);
  answer(s, 19);
  assert_int_equal(s->v.ends, 1);
  assert_true(s->v.finished);
}

static void a_viewer_may_leave_meanwhile(void **state)
{
  struct stage *s = *state;
  join(s, 0, 60000);
  viewer_leave(&s->v); /* asked */
  struct group *g = begin(&s->p, 19);
  finish(g);
  s->v.close_on_group = true;
  join(s, 0, 60000);
  assert_null(s->v.track);
  s->v.close_on_group = false;
  join(s, 0, 60000);
  g = begin(&s->p, 18);
  world_turn(&s->w);
  viewer_leave(&s->v); /* reading */
  finish(g);
}

static void a_delivery_that_is_dropped_ends_it(void **state)
{
  struct stage *s = *state;
  join(s, 10, 500);
  struct group *g = begin(&s->p, 19);
  world_turn(&s->w);
  world_pass(&s->w, 3000);
  assert_int_equal(s->v.drops, 1);
  finish(g);
  track_finish(s->p.track, 23, s->w.now);
  world_turn(&s->w);
  assert_int_equal(s->v.ends, 1);
}

/* A group that was fetched is evicted, then upstream sends it by itself. */
static void an_evicted_group_does_not_come_again(void **state)
{
  struct stage *s = *state;
  struct cache *c = &s->w.model.cache;
  viewer_leave(&s->live);
  world_pass(&s->w, 3000); /* the cache is empty */
  join(s, 49, 60000);
  stamped(&s->p, 50, "x");
  world_turn(&s->w);
  answer(s, 49);
  assert_string_equal(viewer_text(&s->v), "50:x |49:old |");
  cache_resize(c, c->used - c->leaving - 1);
  assert_null(track_find(s->p.track, 49));
  assert_non_null(track_find(s->p.track, 50));
  cache_resize(c, 0);
  stamped(&s->p, 49, "again");
  world_turn(&s->w);
  assert_int_equal(s->v.groups, 2);
  viewer_join(&s->live, &s->w, "demo", "video", world_params());
}

/* Late groups below the start that come while another is waited for have their turn, once, whatever the budget takes then. */
static void late_groups_have_their_turn_once(void **state)
{
  struct stage *s = *state;
  join(s, 17, 60000);
  struct group *g = begin(&s->p, 19);
  frame(g, "slow");
  world_turn(&s->w);
  stamped(&s->p, 18, "late");
  world_turn(&s->w);
  assert_int_equal(s->v.groups, 4);
  finish(g);
  world_turn(&s->w);
  assert_string_equal(viewer_text(&s->v), "20:x |21:x |22:x |19:slow |18:late |");
  assert_int_equal(s->p.fetches, 2);
  assert_int_equal(s->p.fetched, 17);
}

/* A request is refused: what has come by itself meanwhile, and what comes later, is given all the same. */
static void a_refusal_leaves_what_came_by_itself(void **state)
{
  struct stage *s = *state;
  join(s, 16, 60000);
  stamped(&s->p, 18, "late");
  world_turn(&s->w);
  assert_int_equal(s->v.groups, 3);
  track_fetch_failed(s->p.track, 19, CODE_NOT_FOUND, s->w.now);
  world_turn(&s->w);
  stamped(&s->p, 17, "later");
  world_turn(&s->w);
  assert_string_equal(viewer_text(&s->v), "20:x |21:x |22:x |18:late |17:later |");
  assert_int_equal(s->p.fetches, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(older_groups_come_one_after_the_other),
      T(the_next_waits_for_the_end_of_the_one_before),
      T(max_age_ends_it_by_timestamps),
      T(the_number_is_bounded),
      T(a_refusal_ends_it),
      T(silence_ends_it),
      T(a_damaged_group_ends_it),
      T(nobody_is_asked_without_need),
      T(a_range_in_the_past_is_served),
      T(what_was_fetched_serves_the_next_viewer),
      T(a_finished_track_ends_after_it),
      T(a_viewer_may_leave_meanwhile),
      T(a_delivery_that_is_dropped_ends_it),
      T(an_evicted_group_does_not_come_again),
      T(late_groups_have_their_turn_once),
      T(a_refusal_leaves_what_came_by_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
