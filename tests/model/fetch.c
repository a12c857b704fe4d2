/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Groups by number, and the newest one. */
#include "world.h"
#include <stdlib.h>

struct stage {
  struct world w;
  struct publisher p;
  struct track *track;
};

struct fetcher {
  struct fetch fetch;
  unsigned calls;
  struct group *group;
  uint64_t code;
};

static int setup(void **state)
{
  struct stage *s = calloc(1, sizeof *s);
  world_init(&s->w, 0);
  publisher_start(&s->p, &s->w, "demo");
  s->track = world_track(&s->w, "demo", "video");
  *state = s;
  return 0;
}

static int teardown(void **state)
{
  struct stage *s = *state;
  track_unref(s->track);
  if (s->p.route)
    publisher_stop(&s->p, true);
  world_destroy(&s->w);
  free(s);
  return 0;
}

static void on_done(struct fetch *fetch, struct group *g, uint64_t code)
{
  struct fetcher *f = container_of(fetch, struct fetcher, fetch);
  f->calls++;
  f->group = g;
  f->code = code;
}

static void fetch(struct stage *s, struct fetcher *f, uint64_t sequence)
{
  *f = (struct fetcher){.fetch = {.sequence = sequence, .done = on_done}};
  track_fetch(s->track, &f->fetch, false, s->w.now);
}

static void fetch_latest(struct stage *s, struct fetcher *f)
{
  *f = (struct fetcher){.fetch = {.sequence = 99, .done = on_done}};
  track_fetch(s->track, &f->fetch, true, s->w.now);
}

static void a_cached_group_is_there_at_once(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct fetcher f;
  viewer_join(&v, &s->w, "demo", "video", world_params());
  whole(&s->p, 0, "a");
  whole(&s->p, 1, "b");
  fetch(s, &f, 0);
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.group->sequence, 0);
  group_unref(f.group);
  fetch_latest(s, &f);
  assert_int_equal(f.group->sequence, 1);
  group_unref(f.group);
  assert_int_equal(s->p.fetches, 0);
  viewer_leave(&v);
}

static void an_older_group_is_asked_for_once(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct fetcher a, b;
  struct sub_params params = world_params();
  params.from_latest = false;
  params.max_age_ms = 5000;
  viewer_join(&v, &s->w, "demo", "video", params);
  whole(&s->p, 10, "x");
  fetch(s, &a, 3);
  fetch(s, &b, 3);
  assert_int_equal(s->p.fetches, 1);
  assert_int_equal(s->p.fetched, 3);
  whole(&s->p, 3, "old");
  assert_int_equal(a.calls + b.calls, 2);
  assert_ptr_equal(a.group, b.group);
  world_turn(&s->w);
  assert_string_equal(viewer_text(&v), "10:x |"); /* not for viewers */
  group_unref(a.group);
  group_unref(b.group);
  struct viewer late = {0};
  viewer_join(&late, &s->w, "demo", "video", params);
  world_turn(&s->w);
  assert_string_equal(viewer_text(&late), "10:x |"); /* not for later ones either */
  viewer_leave(&late);
  fetch(s, &a, 3); /* it is in the cache now */
  assert_int_equal(s->p.fetches, 1);
  group_unref(a.group);
  viewer_leave(&v);
}

static void fetching_needs_no_subscription(void **state)
{
  struct stage *s = *state;
  struct fetcher f;
  fetch(s, &f, 5);
  whole(&s->p, 5, "x");
  assert_int_equal(f.calls, 1);
  assert_int_equal(s->p.subscribes, 0);
  group_unref(f.group);
}

static void a_failed_fetch_says_why(void **state)
{
  struct stage *s = *state;
  struct fetcher f;
  fetch(s, &f, 5);
  track_fetch_failed(s->track, 5, CODE_OLD, s->w.now);
  assert_int_equal(f.calls, 1);
  assert_null(f.group);
  assert_int_equal(f.code, CODE_OLD);
}

static void a_fetch_has_a_deadline(void **state)
{
  struct stage *s = *state;
  struct fetcher f, gone;
  fetch(s, &f, 5);
  fetch(s, &gone, 6);
  fetch_cancel(&gone.fetch, s->w.now);
  world_pass(&s->w, 10100);
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.code, CODE_CONTROL_TIMEOUT);
  assert_int_equal(gone.calls, 0);
  fetch_cancel(&f.fetch, s->w.now); /* fine when done */
}

static void a_fetch_that_cannot_be_is_refused_but_not_from_inside(void **state)
{
  struct stage *s = *state;
  struct fetcher f, gone;
  publisher_stop(&s->p, false);
  fetch(s, &f, 5);
  fetch(s, &gone, 5);
  fetch_cancel(&gone.fetch, s->w.now);
  assert_int_equal(f.calls, 0);
  world_turn(&s->w);
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.code, CODE_UNROUTABLE);
  assert_int_equal(gone.calls, 0);
}

static void ignore(struct reader *r)
{
  (void)r;
}

static void the_newest_is_waited_for_with_a_subscription(void **state)
{
  struct stage *s = *state;
  struct fetcher f;
  fetch_latest(s, &f);
  assert_int_equal(s->p.subscribes, 1);
  struct group *g = begin(&s->p, 4);
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.group->sequence, 4);
  /* It is read as it arrives: upstream goes on although there is no viewer. */
  struct reader r = {0};
  assert_int_equal(reader_begin(&r, f.group, 0, &world_framing, 0, UINT64_MAX, ignore), 0);
  world_pass(&s->w, 30000);
  assert_int_equal(s->p.unsubscribes, 0);
  reader_end(&r);
  group_unref(f.group);
  world_pass(&s->w, 3000);
  assert_int_equal(s->p.unsubscribes, 1);
  finish(g);
}

static void the_newest_has_a_deadline_too(void **state)
{
  struct stage *s = *state;
  struct fetcher f;
  fetch_latest(s, &f);
  world_pass(&s->w, 10100);
  assert_int_equal(f.calls, 1);
  assert_null(f.group);
  world_pass(&s->w, 3000);
  assert_int_equal(s->p.unsubscribes, 1);
}

static void a_closed_track_fails_its_fetches(void **state)
{
  struct stage *s = *state;
  struct fetcher a, b;
  fetch(s, &a, 5);
  fetch_latest(s, &b);
  track_close(s->track, CODE_NOT_FOUND, s->w.now);
  s->p.watched = false;
  assert_int_equal(a.code, CODE_NOT_FOUND);
  assert_int_equal(b.code, CODE_NOT_FOUND);
  assert_int_equal(a.calls + b.calls, 2);
}

static void a_lost_source_fails_fetches_but_the_newest_is_waited_for(void **state)
{
  struct stage *s = *state;
  struct fetcher a, b;
  fetch(s, &a, 5);
  fetch_latest(s, &b);
  publisher_stop(&s->p, false);
  assert_int_equal(a.calls, 1);
  assert_int_equal(a.code, CODE_UNROUTABLE);
  assert_int_equal(b.calls, 0);
  world_pass(&s->w, 5100);
  assert_int_equal(b.calls, 1);
  assert_int_equal(b.code, CODE_UNROUTABLE);
}

/* -- distinct answers when upstream cannot be asked -- */

static uint64_t answer(struct stage *s, uint64_t sequence)
{
  struct fetcher f;
  fetch(s, &f, sequence);
  world_turn(&s->w);
  assert_int_equal(f.calls, 1);
  group_unref(f.group);
  return f.group ? UINT64_MAX : f.code;
}

static void why_a_group_is_not_here_is_told(void **state)
{
  struct stage *s = *state;
  struct viewer v = {.holding = false};
  s->p.no_fetch = true;
  viewer_join(&v, &s->w, "demo", "video", world_params());
  whole(&s->p, 5, "a");
  world_turn(&s->w);
  whole(&s->p, 6, "b");
  world_turn(&s->w);
  assert_int_equal(answer(s, 5), UINT64_MAX);
  assert_int_equal(answer(s, 4), CODE_NOT_FOUND); /* never was */
  assert_int_equal(answer(s, 7), CODE_NOT_FOUND); /* not yet */
  world_pass(&s->w, 10000);
  assert_int_equal(answer(s, 5), CODE_OLD); /* it has left the window */
  assert_int_equal(answer(s, 6), UINT64_MAX);
  s->w.model.cache.capacity = 1; /* the budget takes it */
  cache_trim(&s->w.model.cache);
  s->w.model.cache.capacity = 0;
  assert_int_equal(answer(s, 6), CODE_EVICTED);
  assert_int_equal(answer(s, 7), CODE_NOT_FOUND);
  struct group *g = begin(&s->p, 8);
  frame(g, "half");
  group_cut(g, CODE_MALFORMED);
  group_unref(g);
  assert_int_equal(answer(s, 8), CODE_NOT_FOUND); /* damaged: never served */
  track_finish(s->track, 9, s->w.now);
  s->p.no_fetch = false;
  unsigned fetches = s->p.fetches;
  assert_int_equal(answer(s, 9), CODE_NOT_FOUND); /* never will be: nobody is asked */
  assert_int_equal(s->p.fetches, fetches);
  viewer_leave(&v);
}

static void an_earlier_publishers_groups_are_old(void **state)
{
  struct stage *s = *state;
  struct viewer v = {0};
  struct publisher next;
  viewer_join(&v, &s->w, "demo", "video", world_params());
  whole(&s->p, 5, "a");
  world_turn(&s->w);
  publisher_start(&next, &s->w, "demo");
  assert_int_equal(answer(s, 4), CODE_NOT_FOUND); /* its numbers are not known yet */
  whole(&next, 0, "b");                           /* as 6 */
  world_pass(&s->w, 10000);
  assert_int_equal(answer(s, 4), CODE_OLD);
  assert_int_equal(next.fetches, 0);
  viewer_leave(&v);
  publisher_stop(&next, true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_cached_group_is_there_at_once),
      T(an_older_group_is_asked_for_once),
      T(fetching_needs_no_subscription),
      T(a_failed_fetch_says_why),
      T(a_fetch_has_a_deadline),
      T(why_a_group_is_not_here_is_told),
      T(an_earlier_publishers_groups_are_old),
      T(a_fetch_that_cannot_be_is_refused_but_not_from_inside),
      T(the_newest_is_waited_for_with_a_subscription),
      T(the_newest_has_a_deadline_too),
      T(a_closed_track_fails_its_fetches),
      T(a_lost_source_fails_fetches_but_the_newest_is_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
