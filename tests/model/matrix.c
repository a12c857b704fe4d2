/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rules of the model against each other, in virtual time: who serves, under which numbers, for how long it stays, what
 * goes upstream. Each rule by itself is tested where it lives. */
#include "world.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void join(struct world *w, struct viewer *v)
{
  viewer_join(v, w, "demo", "video", world_params());
  world_turn(w);
}

/* -- takeover x leaving x numbering -- */

enum leaving { LEAVES_CLEANLY, IS_LOST };

struct takeover_case {
  enum takeover takeover;
  enum leaving leaving;
  uint64_t first; /* number of the second publisher's first group */
};

/* The first publisher sends 10 and 11, the second arrives, both send one, the one that serves leaves, the other sends one. */
static void takeover_case(const struct takeover_case *c)
{
  struct world w;
  struct publisher a, b;
  struct viewer v = {0};
  world_init(&w, 0);
  w.model.limits.takeover = c->takeover;
  publisher_start(&a, &w, "demo");
  join(&w, &v);
  whole(&a, 10, "a");
  whole(&a, 11, "a");
  world_turn(&w);
  publisher_start(&b, &w, "demo");
  struct publisher *serves = c->takeover == TAKEOVER_NEWEST ? &b : &a, *waits = serves == &a ? &b : &a;
  assert_true(serves->watched && !waits->watched);
  whole(serves, serves == &b ? c->first : 12, serves == &b ? "b" : "a");
  world_turn(&w);
  publisher_stop(serves, c->leaving == LEAVES_CLEANLY);
  assert_true(waits->watched);
  whole(waits, waits == &b ? c->first : 13, waits == &b ? "b" : "a");
  world_turn(&w);
  assert_int_equal(v.ends, 0);
  assert_int_equal(v.groups, 4);
  for (unsigned i = 1; i < v.groups; i++)
    assert_true(v.seen[i].sequence > v.seen[i - 1].sequence);
  assert_string_equal(v.seen[2].text, serves == &b ? "b " : "a ");
  assert_string_equal(v.seen[3].text, waits == &b ? "b " : "a ");
  /* numbers that go on are kept, others are raised */
  if (serves == &b)
    assert_int_equal(v.seen[2].sequence, c->first >= 12 ? c->first : 12 + c->first);
  viewer_leave(&v);
  publisher_stop(waits, true);
  world_destroy(&w);
}

static void takeover_leaving_and_numbering(void **state)
{
  static const uint64_t firsts[] = {0, 5, 12, 1000};
  (void)state;
  for (int t = TAKEOVER_NEWEST; t <= TAKEOVER_NEVER; t++) {
    for (int l = LEAVES_CLEANLY; l <= IS_LOST; l++) {
      for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        takeover_case(&(struct takeover_case){(enum takeover)t, (enum leaving)l, firsts[i]});
    }
  }
}

/* -- linger x numbering -- */

struct linger_case {
  enum leaving leaving;
  uint64_t linger_ms, away_ms, first;
  bool noticed;
};

static void linger_case(const struct linger_case *c)
{
  struct world w;
  struct publisher p;
  struct viewer v = {0};
  world_init(&w, 0);
  w.model.limits.linger_ns = c->linger_ms * NS_PER_MS;
  publisher_start(&p, &w, "demo");
  join(&w, &v);
  whole(&p, 7, "before");
  world_turn(&w);
  publisher_stop(&p, c->leaving == LEAVES_CLEANLY);
  world_pass(&w, c->away_ms);
  publisher_start(&p, &w, "demo");
  world_turn(&w);
  assert_int_equal(v.ends, c->noticed);
  if (c->noticed) {
    assert_int_equal(v.end_code, CODE_UNROUTABLE);
    assert_false(p.watched);
  } else {
    whole(&p, c->first, "after");
    world_turn(&w);
    assert_int_equal(v.groups, 2);
    assert_int_equal(v.seen[1].sequence, c->first > 7 ? c->first : 8 + c->first);
  }
  viewer_leave(&v);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void linger_and_numbering(void **state)
{
  static const struct linger_case cases[] = {
      {IS_LOST, 5000, 0, 0, false},     {IS_LOST, 5000, 0, 8, false},       {IS_LOST, 5000, 4999, 0, false},
      {IS_LOST, 5000, 4999, 50, false}, {IS_LOST, 5000, 5001, 0, true},     {IS_LOST, 60000, 59000, 0, false},
      {IS_LOST, 0, 0, 0, true},         {LEAVES_CLEANLY, 5000, 0, 0, true}, {LEAVES_CLEANLY, 60000, 1000, 8, true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    linger_case(&cases[i]);
}

/* -- retention x fetch -- */

struct retention_case {
  uint64_t window_ms, cap_ms, handover_ms, age_ms;
  bool upstream; /* which can be asked */
  uint64_t code; /* UINT64_MAX = it is here */
};

struct fetcher {
  struct fetch fetch;
  unsigned calls;
  struct group *group;
  uint64_t code;
};

static void fetched(struct fetch *f, struct group *g, uint64_t code)
{
  struct fetcher *x = container_of(f, struct fetcher, fetch);
  x->calls++;
  x->group = g;
  x->code = code;
}

static void retention_case(const struct retention_case *c)
{
  struct world w;
  struct publisher p;
  struct viewer v = {0};
  struct fetcher f = {.fetch = {.sequence = 1, .done = fetched}};
  world_init(&w, 0);
  w.model.limits.max_age_ns = c->cap_ms * NS_PER_MS;
  w.model.limits.handover_ns = c->handover_ms * NS_PER_MS;
  publisher_start(&p, &w, "demo");
  p.info.max_age_ms = c->window_ms;
  p.no_fetch = !c->upstream;
  join(&w, &v);
  whole(&p, 1, "old");
  whole(&p, 2, "new");
  world_pass(&w, c->age_ms);
  track_fetch(v.track, &f.fetch, false, w.now);
  if (c->upstream && f.calls == 0) {
    assert_int_equal(p.fetched, 1);
    whole(&p, 1, "again");
  }
  world_turn(&w);
  assert_int_equal(f.calls, 1);
  if (c->code == UINT64_MAX)
    assert_non_null(f.group);
  else
    assert_int_equal(f.code, c->code);
  assert_int_equal(p.fetches, c->upstream && c->age_ms > 0 ? 1 : f.group ? 0 : 1);
  assert_non_null(track_find(v.track, 2)); /* the newest stays */
  group_unref(f.group);
  viewer_leave(&v);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void retention_and_fetch(void **state)
{
  static const struct retention_case cases[] = {
      {0, 30000, 1000, 999, false, UINT64_MAX},     {0, 30000, 1000, 1000, false, CODE_OLD},
      {2000, 30000, 1000, 2999, false, UINT64_MAX}, {2000, 30000, 1000, 3000, false, CODE_OLD},
      {60000, 3000, 1000, 3999, false, UINT64_MAX}, {60000, 3000, 1000, 4000, false, CODE_OLD},
      {2000, 30000, 0, 1999, false, UINT64_MAX},    {2000, 30000, 0, 2000, false, CODE_OLD},
      {2000, 30000, 1000, 5000, true, UINT64_MAX},  {0, 0, 0, 10, true, UINT64_MAX},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    retention_case(&cases[i]);
}

/* -- the merge of what viewers want -- */

struct merge_case {
  struct {
    uint8_t priority;
    uint64_t max_age_ms;
    bool oldest_first, leaves;
  } v[3];
  uint8_t priority;
  uint64_t max_age_ms;
  bool oldest_first;
};

static void merge_case(const struct merge_case *c)
{
  struct world w;
  struct publisher p;
  struct viewer v[3] = {0};
  world_init(&w, 0);
  publisher_start(&p, &w, "demo");
  for (int i = 0; i < 3; i++) {
    struct sub_params params = world_params();
    params.priority = c->v[i].priority;
    params.max_age_ms = c->v[i].max_age_ms;
    params.oldest_first = c->v[i].oldest_first;
    params.group_end = 5; /* a viewer's own bounds stay here */
    viewer_join(&v[i], &w, "demo", "video", params);
  }
  world_pass(&w, 200);
  for (int i = 0; i < 3; i++) {
    if (c->v[i].leaves)
      viewer_leave(&v[i]);
  }
  world_pass(&w, 200);
  assert_int_equal(p.subscribes, 1);
  assert_true(p.updates <= 2);
  assert_int_equal(p.wanted.priority, c->priority);
  assert_int_equal(p.wanted.max_age_ms, c->max_age_ms);
  assert_int_equal(p.wanted.oldest_first, c->oldest_first);
  assert_true(p.wanted.from_latest && p.wanted.group_end == UINT64_MAX);
  for (int i = 0; i < 3; i++) {
    if (v[i].track)
      viewer_leave(&v[i]);
  }
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void the_merge_of_limits(void **state)
{
  static const struct merge_case cases[] = {
      {{{1, 0, false, false}, {2, 0, false, false}, {3, 0, false, false}}, 3, 0, false},
      {{{1, 500, true, false}, {9, 100, true, false}, {3, 200, true, false}}, 9, 500, true},
      {{{1, 500, true, false}, {9, 100, false, false}, {3, 200, true, false}}, 9, 500, false},
      {{{1, 500, true, false}, {9, 100, false, true}, {3, 200, true, false}}, 3, 500, true},
      {{{1, 500, true, true}, {9, 100, true, true}, {3, 200, false, false}}, 3, 200, false},
      {{{0, UINT64_MAX, false, false}, {0, 0, false, false}, {0, 0, false, false}}, 0, UINT64_MAX, false},
      {{{0, UINT64_MAX, false, true}, {0, 7, false, false}, {0, 0, false, false}}, 0, 7, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    merge_case(&cases[i]);
}

/* -- where viewers begin and end: theirs alone -- */

struct range_case {
  uint64_t start, end; /* UINT64_MAX = the newest, none */
  const char *at_once; /* groups that are here: 10 to 12 */
  unsigned fetches;    /* for those before: 8 and 9 */
  const char *then;    /* all that has come when 13 and 14 have been sent */
};

/* Answers what is asked for, group by group. */
static unsigned answer_fetches(struct world *w, struct publisher *p)
{
  unsigned answered = 0;
  while (p->fetches > answered) {
    answered = p->fetches;
    whole(p, p->fetched, "x");
    world_turn(w);
  }
  return answered;
}

static void range_case(const struct range_case *c)
{
  struct world w;
  struct publisher p;
  struct viewer live = {0}, v = {0};
  world_init(&w, 0);
  publisher_start(&p, &w, "demo");
  p.info.max_age_ms = 30000;
  join(&w, &live);
  for (uint64_t i = 10; i <= 12; i++)
    whole(&p, i, "x");
  world_turn(&w);
  struct sub_params params = world_params();
  params.from_latest = c->start == UINT64_MAX;
  params.look_back = !params.from_latest;
  params.group_start = params.from_latest ? 0 : c->start;
  params.group_end = c->end;
  params.max_age_ms = 30000;
  viewer_join(&v, &w, "demo", "video", params);
  world_turn(&w);
  assert_string_equal(viewer_text(&v), c->at_once);
  assert_int_equal(answer_fetches(&w, &p), c->fetches);
  for (uint64_t i = 13; i <= 14; i++)
    whole(&p, i, "x");
  world_pass(&w, 1000);
  assert_string_equal(viewer_text(&v), c->then);
  assert_string_equal(viewer_text(&live), "10:x |11:x |12:x |13:x |14:x |");
  /* One subscription from the newest group on, without an end, whatever the viewer names. */
  assert_int_equal(p.subscribes, 1);
  assert_true(p.watched && p.wanted.from_latest && p.wanted.group_end == UINT64_MAX);
  viewer_leave(&v);
  viewer_leave(&live);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void a_viewers_own_range(void **state)
{
  static const uint64_t none = UINT64_MAX;
  const struct range_case cases[] = {
      {none, none, "12:x |", 0, "12:x |13:x |14:x |"},
      {11, none, "11:x |12:x |", 0, "11:x |12:x |13:x |14:x |"},
      {8, none, "10:x |11:x |12:x |", 2, "10:x |11:x |12:x |9:x |8:x |13:x |14:x |"},
      {8, 11, "10:x |11:x |", 2, "10:x |11:x |9:x |8:x |"},
      {8, 8, "", 1, "8:x |"},
      {13, 13, "", 0, "13:x |"},
      {none, 13, "12:x |", 0, "12:x |13:x |"},
      {none, 3, "", 0, ""},
      {14, none, "", 0, "14:x |"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    range_case(&cases[i]);
}

/* A viewer that has all it named may name more, so it is told of no end before the track has one; it is still a viewer. */
static void viewers_that_have_all_they_named(void **state)
{
  struct world w;
  struct publisher p;
  struct viewer v[2] = {0};
  struct sub_params params = world_params();
  (void)state;
  world_init(&w, 0);
  publisher_start(&p, &w, "demo");
  for (unsigned i = 0; i < 2; i++) {
    params.group_end = 1 + i;
    viewer_join(&v[i], &w, "demo", "video", params);
  }
  for (uint64_t i = 0; i < 6; i++)
    whole(&p, i, "x");
  world_pass(&w, 10000);
  assert_string_equal(viewer_text(&v[1]), "0:x |1:x |2:x |");
  assert_true(p.watched && v[0].ends == 0 && v[1].ends == 0);
  viewer_leave(&v[0]);
  world_pass(&w, 10000);
  assert_true(p.watched);
  viewer_leave(&v[1]);
  world_pass(&w, w.model.limits.track_linger_ns / NS_PER_MS + 1);
  assert_false(p.watched);
  /* The track's own end reaches those that wait behind their range. */
  params.group_end = 8;
  viewer_join(&v[0], &w, "demo", "video", params);
  world_turn(&w);
  for (uint64_t i = 6; i < 10; i++)
    whole(&p, i, "x");
  track_finish(p.track, 10, w.now);
  world_turn(&w);
  assert_string_equal(viewer_text(&v[0]), "6:x |7:x |8:x |");
  assert_true(v[0].ends == 1 && v[0].finished && v[0].final == 10);
  viewer_leave(&v[0]);
  publisher_stop(&p, true);
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takeover_leaving_and_numbering),
      cmocka_unit_test(linger_and_numbering),
      cmocka_unit_test(retention_and_fetch),
      cmocka_unit_test(the_merge_of_limits),
      cmocka_unit_test(a_viewers_own_range),
      cmocka_unit_test(viewers_that_have_all_they_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
