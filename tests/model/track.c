/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tracks: the one upstream subscription and its states, the info, the end. */
#include "world.h"
#include <errno.h>
#include <stdlib.h>

struct stage {
  struct world w;
  struct publisher p;
};

static int setup(void **state)
{
  struct stage *s = calloc(1, sizeof *s);
  world_init(&s->w, 0);
  publisher_start(&s->p, &s->w, "demo");
  *state = s;
  return 0;
}

static int teardown(void **state)
{
  struct stage *s = *state;
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

/* -- the upstream subscription -- */

static void one_viewer_gets_every_frame(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  assert_int_equal(s->p.subscribes, 1);
  struct group *g = begin(&s->p, 7);
  world_turn(&s->w);
  frame(g, "a");
  frame(g, "bc");
  assert_string_equal(viewer_text(&v), "7:a bc ");
  finish(g);
  whole(&s->p, 8, "d");
  world_turn(&s->w);
  assert_string_equal(viewer_text(&v), "7:a bc |8:d |");
  viewer_leave(&v);
}

static void upstream_lingers_after_the_last_viewer(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 0, "a");
  world_turn(&s->w);
  viewer_leave(&v);
  assert_int_equal(s->p.track->state, TRACK_LINGERING);
  world_pass(&s->w, 1900);
  assert_int_equal(s->p.unsubscribes, 0);
  join(s, &v, world_params());
  assert_int_equal(s->p.subscribes, 1);
  assert_string_equal(viewer_text(&v), "0:a |");
  viewer_leave(&v);
  world_pass(&s->w, 2100);
  assert_int_equal(s->p.unsubscribes, 1);
}

static void a_new_subscription_forgets_what_is_stale(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 4, "stale");
  world_turn(&s->w);
  viewer_leave(&v);
  world_pass(&s->w, 3000);
  assert_int_equal(s->p.track->state, TRACK_IDLE);
  join(s, &v, world_params());
  assert_int_equal(s->p.subscribes, 2);
  assert_int_equal(v.groups, 0);
  whole(&s->p, 4, "again"); /* the publisher's newest, from its start */
  world_turn(&s->w);
  assert_string_equal(viewer_text(&v), "4:again |");
  viewer_leave(&v);
}

static void the_union_goes_upstream(void **state)
{
  struct stage *s = *state;
  struct viewer a = {0}, b = {0};
  struct sub_params params = world_params();
  params.priority = 3;
  params.max_age_ms = 500;
  params.group_end = 7;
  join(s, &a, params);
  assert_int_equal(s->p.wanted.priority, 3);
  assert_int_equal(s->p.wanted.max_age_ms, 500);
  assert_int_equal(s->p.wanted.group_end, UINT64_MAX);
  assert_true(s->p.wanted.from_latest);
  params.priority = 1;
  params.max_age_ms = 9000;
  world_pass(&s->w, 200);
  join(s, &b, params);
  world_pass(&s->w, 1);
  assert_int_equal(s->p.updates, 1);
  assert_int_equal(s->p.wanted.priority, 3);
  assert_int_equal(s->p.wanted.max_age_ms, 9000);
  viewer_leave(&b);
  world_pass(&s->w, 200);
  assert_int_equal(s->p.updates, 2);
  assert_int_equal(s->p.wanted.max_age_ms, 500);
  viewer_leave(&a);
}

static void updates_are_rare(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct sub_params params = world_params();
  join(s, &v, params);
  for (int i = 0; i < 1000; i++) {
    params.priority = (uint8_t)i;
    sub_update(&v.sub, &params, s->w.now);
    world_pass(&s->w, 1);
  }
  world_pass(&s->w, 100);
  assert_in_range(s->p.updates, 9, 11);
  assert_int_equal(s->p.wanted.priority, params.priority);
  unsigned before = s->p.updates;
  sub_update(&v.sub, &params, s->w.now); /* nothing new */
  world_pass(&s->w, 1000);
  assert_int_equal(s->p.updates, before);
  viewer_leave(&v);
}

static void a_silent_publisher_has_a_deadline(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  s->p.silent = true;
  join(s, &v, world_params());
  assert_int_equal(s->p.track->state, TRACK_PENDING);
  world_pass(&s->w, 9900);
  assert_int_equal(v.ends, 0);
  world_pass(&s->w, 200);
  assert_int_equal(v.ends, 1);
  assert_false(v.finished);
  assert_int_equal(v.end_code, CODE_CONTROL_TIMEOUT);
  assert_int_equal(s->p.unsubscribes, 1);
  viewer_leave(&v);
}

static void a_quiet_track_is_not_a_dead_one(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params()); /* info comes, groups do not */
  assert_int_equal(s->p.track->state, TRACK_LIVE);
  world_pass(&s->w, 3600 * 1000);
  assert_int_equal(v.ends, 0);
  viewer_leave(&v);
}

static void a_refusal_reaches_the_viewer(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  s->p.refuse = CODE_NOT_FOUND;
  join(s, &v, world_params());
  assert_int_equal(v.ends, 1);
  assert_int_equal(v.end_code, CODE_NOT_FOUND);
  assert_int_equal(s->p.unsubscribes, 0); /* it said so itself */
  struct viewer again = {0};
  s->p.refuse = 0;
  join(s, &again, world_params());
  assert_int_equal(s->p.subscribes, 2);
  assert_int_equal(again.ends, 0);
  viewer_leave(&v);
  viewer_leave(&again);
}

static void a_broken_track_gives_what_it_had(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 0, "a");
  whole(&s->p, 1, "b");
  track_close(s->p.track, CODE_GOING_AWAY, s->w.now);
  s->p.watched = false;
  world_turn(&s->w);
  assert_string_equal(viewer_text(&v), "0:a |1:b |");
  assert_int_equal(v.end_code, CODE_GOING_AWAY);
  viewer_leave(&v);
}

static void duplicates_and_stale_groups_are_refused(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct group *g = NULL;
  join(s, &v, world_params());
  whole(&s->p, 5, "x");
  assert_int_equal(track_group(s->p.track, 5, s->w.now, &g), -EEXIST);
  struct group *cut = begin(&s->p, 6);
  group_cut(cut, CODE_CANCELLED);
  group_unref(cut);
  assert_int_equal(track_group(s->p.track, 6, s->w.now, &g), -EEXIST);
  whole(&s->p, 7, "x");
  world_pass(&s->w, 60000); /* 5 is out of the window */
  assert_int_equal(track_group(s->p.track, 4, s->w.now, &g), -ESTALE);
  assert_int_equal(track_group(s->p.track, TRACK_SEQUENCE_MAX, s->w.now, &g), 0);
  group_cut(g, 0);
  group_unref(g);
  assert_int_equal(track_group(s->p.track, TRACK_SEQUENCE_MAX + 1, s->w.now, &g), -ESTALE);
  assert_int_equal(track_group(s->p.track, UINT64_MAX, s->w.now, &g), -ESTALE);
  viewer_leave(&v);
}

static void groups_nobody_asked_for_are_refused(void **state)
{
  struct stage *s = *state;
  struct track *t = world_track(&s->w, "demo", "video");
  struct group *g = NULL;
  assert_int_equal(track_group(t, 0, s->w.now, &g), -ESTALE);
  track_unref(t);
}

/* -- the cache window -- */

static void only_the_newest_group_outlives_the_window(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  for (uint64_t i = 0; i < 3; i++)
    whole(&s->p, i, "x");
  world_turn(&s->w);
  world_pass(&s->w, 5000);
  assert_int_equal(s->p.track->group_n, 3); /* max age 5 s and the handover */
  world_pass(&s->w, 1100);
  assert_int_equal(s->p.track->group_n, 1);
  world_pass(&s->w, 3600 * 1000);
  assert_int_equal(s->p.track->newest->sequence, 2);
  viewer_leave(&v);
}

static void the_window_is_capped_and_so_is_the_number(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  s->p.info.max_age_ms = UINT64_MAX;
  s->w.model.limits.groups_per_track = 10;
  join(s, &v, world_params());
  for (uint64_t i = 0; i < 30; i++) {
    whole(&s->p, i, "x");
    world_turn(&s->w);
  }
  assert_int_equal(s->p.track->group_n, 10);
  world_pass(&s->w, 32000);
  assert_int_equal(s->p.track->group_n, 1);
  assert_int_equal(v.groups, 30);
  viewer_leave(&v);
}

/* -- the info -- */

struct asker {
  struct info_waiter waiter;
  unsigned calls;
  bool got;
  struct track_info info;
  uint64_t code;
};

static void on_info(struct info_waiter *w, const struct track_info *info, uint64_t code)
{
  struct asker *a = container_of(w, struct asker, waiter);
  a->calls++;
  a->got = info != NULL;
  if (info)
    a->info = *info;
  a->code = code;
}

static void ask(struct stage *s, struct track *t, struct asker *a)
{
  *a = (struct asker){.waiter = {.done = on_info}};
  track_wait_info(t, &a->waiter, s->w.now);
}

static void many_askers_cost_one_question(void **state)
{
  struct stage *s = *state;
  struct asker a, b, c;
  struct track *t = world_track(&s->w, "demo", "video");
  s->p.silent = true;
  ask(s, t, &a);
  ask(s, t, &b);
  ask(s, t, &c);
  assert_int_equal(s->p.infos, 1);
  info_wait_cancel(&c.waiter);
  struct track_info info = {.timescale = 90000, .priority = 7};
  track_set_info(t, &info, s->w.now);
  assert_int_equal(a.calls + b.calls, 2);
  assert_int_equal(a.info.timescale, 90000);
  assert_int_equal(c.calls, 0);
  info.timescale = 1; /* fixed for life */
  track_set_info(t, &info, s->w.now);
  ask(s, t, &c);
  assert_int_equal(c.info.timescale, 90000);
  assert_int_equal(s->p.infos, 1);
  assert_int_equal(s->p.subscribes, 0);
  track_unref(t);
}

static void the_info_outlives_the_one_who_asked(void **state)
{
  struct stage *s = *state;
  struct asker a;
  struct viewer v = {0};
  struct track *t = world_track(&s->w, "demo", "video");
  ask(s, t, &a);
  track_unref(t);
  world_pass(&s->w, 500);
  join(s, &v, world_params());
  assert_int_equal(s->p.infos, 1);
  assert_int_equal(s->w.model.tracks_now, 1);
  viewer_leave(&v);
  world_pass(&s->w, 10000);
  assert_int_equal(s->w.model.tracks_now, 0);
}

static void an_asker_has_a_deadline(void **state)
{
  struct stage *s = *state;
  struct asker a, b;
  struct track *t = world_track(&s->w, "demo", "video");
  s->p.silent = true;
  ask(s, t, &a);
  world_pass(&s->w, 10100);
  assert_int_equal(a.calls, 1);
  assert_false(a.got);
  assert_int_equal(a.code, CODE_CONTROL_TIMEOUT);
  ask(s, t, &b);
  assert_int_equal(s->p.infos, 2);
  track_close(t, CODE_NOT_FOUND, s->w.now);
  assert_int_equal(b.code, CODE_NOT_FOUND);
  ask(s, t, &a);
  assert_int_equal(a.calls, 1);
  assert_int_equal(a.code, CODE_NOT_FOUND);
  track_unref(t);
}

static void an_asker_is_answered_by_the_next_source(void **state)
{
  struct stage *s = *state;
  struct asker a;
  struct publisher next;
  struct track *t = world_track(&s->w, "demo", "video");
  s->p.silent = true;
  ask(s, t, &a);
  publisher_start(&next, &s->w, "demo");
  assert_int_equal(next.infos, 1);
  assert_int_equal(a.calls, 1);
  assert_true(a.got);
  track_unref(t);
  publisher_stop(&next, true);
}

static void the_limit_of_tracks_holds(void **state)
{
  struct stage *s = *state;
  s->w.model.limits.tracks_per_broadcast = 1;
  struct track *t = world_track(&s->w, "demo", "video");
  struct broadcast *b = origin_find(s->w.origin, slice_str("demo"));
  assert_null(broadcast_track(b, slice_str("audio")));
  assert_int_equal(errno, EUSERS);
  assert_ptr_equal(broadcast_track(b, slice_str("video")), t);
  track_unref(t);
  track_unref(t);
  char name[TRACK_NAME_MAX + 1] = {0};
  assert_null(broadcast_track(b, slice_of(name, sizeof name)));
  assert_int_equal(errno, ENAMETOOLONG);
}

/* -- the end -- */

static void a_finished_track_ends_when_all_groups_are_given(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 3, "a");
  track_finish(s->p.track, 5, s->w.now);
  world_turn(&s->w);
  assert_int_equal(v.ends, 0);
  struct group *g = begin(&s->p, 4);
  world_turn(&s->w);
  assert_int_equal(v.ends, 1);
  assert_true(v.finished);
  assert_int_equal(v.final, 5);
  assert_int_equal(v.end_code, 0);
  frame(g, "b"); /* deliveries go on */
  finish(g);
  assert_string_equal(viewer_text(&v), "3:a |4:b |");
  assert_int_equal(s->p.unsubscribes, 0);
  assert_int_equal(track_group(s->p.track, 5, s->w.now, &g), -ESTALE);
  struct viewer late = {0};
  join(s, &late, world_params());
  assert_string_equal(viewer_text(&late), "4:b |");
  assert_int_equal(late.ends, 1);
  viewer_leave(&late);
  viewer_leave(&v);
  world_pass(&s->w, 3000);
  assert_int_equal(s->p.unsubscribes, 1);
}

static void a_gap_does_not_keep_a_finished_track_open(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 3, "a");
  whole(&s->p, 5, "c");
  track_finish(s->p.track, 6, s->w.now);
  world_pass(&s->w, 500);
  assert_int_equal(v.ends, 0);
  whole(&s->p, 4, "b"); /* was only late */
  world_turn(&s->w);
  assert_int_equal(v.ends, 1);
  assert_string_equal(viewer_text(&v), "3:a |5:c |4:b |");
  viewer_leave(&v);
}

static void a_group_that_never_comes_is_not_waited_for(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 3, "a");
  track_finish(s->p.track, 6, s->w.now);
  world_pass(&s->w, 1100);
  assert_int_equal(v.ends, 1);
  assert_true(v.finished);
  viewer_leave(&v);
}

static void a_track_without_groups_may_end(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  track_finish(s->p.track, 0, s->w.now);
  world_turn(&s->w);
  assert_int_equal(v.ends, 1);
  assert_true(v.finished);
  assert_int_equal(v.final, 0);
  viewer_leave(&v);
}

static void a_datagram_may_be_the_last(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 0, "a");
  track_finish(s->p.track, 2, s->w.now);
  assert_int_equal(track_datagram(s->p.track, 1, 0, slice_str("x"), s->w.now), 0);
  world_turn(&s->w);
  assert_int_equal(v.ends, 1);
  assert_int_equal(v.datagrams, 1);
  assert_int_equal(track_datagram(s->p.track, 2, 0, slice_str("x"), s->w.now), -ESTALE);
  viewer_leave(&v);
}

static void closing_after_the_finish_is_clean(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  join(s, &v, world_params());
  whole(&s->p, 0, "a");
  track_finish(s->p.track, 3, s->w.now);
  track_close(s->p.track, CODE_CANCELLED, s->w.now);
  s->p.watched = false;
  world_turn(&s->w);
  assert_true(v.finished);
  assert_int_equal(v.end_code, 0);
  viewer_leave(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(one_viewer_gets_every_frame),
      T(upstream_lingers_after_the_last_viewer),
      T(a_new_subscription_forgets_what_is_stale),
      T(the_union_goes_upstream),
      T(updates_are_rare),
      T(a_silent_publisher_has_a_deadline),
      T(a_quiet_track_is_not_a_dead_one),
      T(a_refusal_reaches_the_viewer),
      T(a_broken_track_gives_what_it_had),
      T(duplicates_and_stale_groups_are_refused),
      T(groups_nobody_asked_for_are_refused),
      T(only_the_newest_group_outlives_the_window),
      T(the_window_is_capped_and_so_is_the_number),
      T(many_askers_cost_one_question),
      T(the_info_outlives_the_one_who_asked),
      T(an_asker_has_a_deadline),
      T(an_asker_is_answered_by_the_next_source),
      T(the_limit_of_tracks_holds),
      T(a_finished_track_ends_when_all_groups_are_given),
      T(a_gap_does_not_keep_a_finished_track_open),
      T(a_group_that_never_comes_is_not_waited_for),
      T(a_track_without_groups_may_end),
      T(a_datagram_may_be_the_last),
      T(closing_after_the_finish_is_clean),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
