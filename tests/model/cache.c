/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The byte budget: what goes, in which order, and who pays. */
#include "world.h"
#include <errno.h>
#include <stdlib.h>

#define BUDGET 100000
#define PAYLOAD 10000 /* of a group in these tests */

struct stage {
  struct world w;
  struct publisher p[3];
  struct viewer v[3];
};

static int setup(void **state)
{
  struct stage *s = calloc(1, sizeof *s);
  static const char *const paths[] = {"a", "b", "c"};
  world_init(&s->w, BUDGET);
  for (int i = 0; i < 3; i++) {
    s->v[i].stalled = true; /* reads nothing: each test says what it wants */
    publisher_start(&s->p[i], &s->w, paths[i]);
    viewer_join(&s->v[i], &s->w, paths[i], "video", world_params());
  }
  world_turn(&s->w);
  *state = s;
  return 0;
}

static int teardown(void **state)
{
  struct stage *s = *state;
  for (int i = 0; i < 3; i++) {
    if (s->v[i].track)
      viewer_leave(&s->v[i]);
    publisher_stop(&s->p[i], true);
  }
  world_destroy(&s->w);
  free(s);
  return 0;
}

static void put(struct publisher *p, uint64_t sequence, size_t bytes)
{
  static char payload[BUDGET * 2];
  struct group *g = begin(p, sequence);
  assert_int_equal(group_object(g, 0, 0, 0, bytes, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(payload, bytes)), 0);
  group_finish(g);
  group_unref(g);
}

static bool has(struct publisher *p, uint64_t sequence)
{
  return track_find(p->track, sequence) != NULL;
}

static void the_budget_holds_at_every_step(void **state)
{
  struct stage *s = *state;
  for (uint64_t i = 0; i < 180; i++) {
    put(&s->p[i % 3], i / 3, PAYLOAD);
    assert_true(s->w.model.cache.used - s->w.model.cache.leaving <= BUDGET);
    world_turn(&s->w);
  }
  assert_true(s->w.model.cache.evicted > 100);
}

static void the_oldest_goes_first_whatever_its_track(void **state)
{
  struct stage *s = *state;
  put(&s->p[0], 0, PAYLOAD);
  put(&s->p[1], 0, PAYLOAD);
  put(&s->p[1], 1, PAYLOAD);
  put(&s->p[0], 1, PAYLOAD);
  for (uint64_t i = 2; has(&s->p[1], 0); i++)
    put(&s->p[2], i, PAYLOAD);
  assert_false(has(&s->p[1], 0)); /* superseded first */
  assert_true(has(&s->p[0], 0));
  assert_true(has(&s->p[0], 1));
}

static void the_newest_of_a_track_outlasts_all_older_ones(void **state)
{
  struct stage *s = *state;
  put(&s->p[0], 0, PAYLOAD);
  for (uint64_t i = 0; i < 100; i++)
    put(&s->p[1], i, PAYLOAD);
  assert_true(has(&s->p[0], 0));
  assert_true(has(&s->p[1], 99));
  assert_false(has(&s->p[1], 50));
}

/* As if one session had announced all paths. */
static void make_them_one_publisher(struct stage *s)
{
  for (int i = 1; i < 3; i++) {
    struct route *r = s->p[i].route;
    share_release(r->share);
    r->share = share_take(&s->w.origin->shares, &s->w.model.cache, &s->p[0]);
  }
  assert_ptr_equal(s->p[0].route->share, s->p[2].route->share);
}

static void among_the_newest_who_has_most_goes_first(void **state)
{
  struct stage *s = *state;
  put(&s->p[0], 0, 30000);
  put(&s->p[1], 0, 25000);
  put(&s->p[2], 0, 60000);
  assert_true(has(&s->p[0], 0));
  assert_true(has(&s->p[1], 0));
  assert_false(has(&s->p[2], 0));
  put(&s->p[2], 1, 26000);
  put(&s->p[1], 1, 29000);
  assert_true(has(&s->p[1], 1));
  assert_true(has(&s->p[0], 0) && has(&s->p[2], 1));
}

static void among_the_newest_of_one_the_idlest_goes_first(void **state)
{
  struct stage *s = *state;
  make_them_one_publisher(s);
  put(&s->p[0], 0, 30000);
  put(&s->p[1], 0, 30000);
  put(&s->p[2], 0, 60000);
  assert_false(has(&s->p[0], 0));
  assert_true(has(&s->p[1], 0));
  assert_true(has(&s->p[2], 0));
}

static void a_write_makes_a_group_less_idle(void **state)
{
  struct stage *s = *state;
  make_them_one_publisher(s);
  struct group *g = begin(&s->p[0], 0);
  assert_int_equal(group_object(g, 0, 0, 0, 30001, 0, slice_of(NULL, 0)), 0);
  static char payload[30000];
  assert_int_equal(group_append(g, 0, slice_of(payload, sizeof payload)), 0);
  put(&s->p[1], 0, 30000);
  assert_int_equal(group_append(g, 0, slice_str("x")), 0);
  put(&s->p[2], 0, 60000);
  assert_false(has(&s->p[1], 0));
  assert_true(has(&s->p[0], 0));
  finish(g);
}

static void an_evicted_group_frees_its_memory_although_it_is_read(void **state)
{
  struct stage *s = *state;
  put(&s->p[0], 0, PAYLOAD);
  put(&s->p[0], 1, PAYLOAD);
  world_turn(&s->w);
  assert_int_equal(s->v[0].groups, 2);
  for (uint64_t i = 0; i < 20; i++)
    put(&s->p[1], i, PAYLOAD);
  assert_int_equal(s->v[0].drops, 1);
  assert_int_equal(s->v[0].drop_code, CODE_EVICTED);
  assert_true(s->w.model.cache.used <= BUDGET);
  assert_int_equal(s->w.model.cache.leaving, 0);
}

/* A publisher that never ends its stream references the group for as long as it likes: of the empty one. */
static void what_is_still_held_is_empty(void **state)
{
  struct stage *s = *state;
  put(&s->p[0], 0, 60000);
  struct group *held = group_ref(track_find(s->p[0].track, 0));
  put(&s->p[0], 1, PAYLOAD);
  put(&s->p[1], 0, PAYLOAD);
  put(&s->p[1], 1, PAYLOAD);
  put(&s->p[2], 0, 40000); /* 0 of the first goes, nothing else has to */
  assert_true(held->evicted);
  assert_int_equal(group_objects(held, 0), 0);
  assert_true(s->w.model.cache.used <= BUDGET);
  assert_true(s->w.model.cache.leaving < 1000);
  assert_int_equal(group_append(held, 0, slice_str("x")), -EPIPE);
  assert_true(has(&s->p[1], 0) && has(&s->p[0], 1));
  group_unref(held);
  assert_int_equal(s->w.model.cache.leaving, 0);
}

static void a_group_larger_than_the_budget_ends(void **state)
{
  struct stage *s = *state;
  static char payload[BUDGET];
  struct group *g = begin(&s->p[0], 0);
  world_turn(&s->w);
  assert_int_equal(group_object(g, 0, 0, 0, sizeof payload * 2, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(payload, sizeof payload)), 0);
  assert_int_equal(group_append(g, 0, slice_of(payload, 1)), -EPIPE);
  assert_int_equal(g->code, CODE_EVICTED);
  assert_int_equal(s->v[0].drops, 1);
  group_unref(g);
  put(&s->p[0], 1, PAYLOAD);
  world_turn(&s->w);
  assert_int_equal(s->v[0].groups, 2);
}

static void a_plain_reader_sees_an_eviction_as_a_cut(void **state)
{
  struct stage *s = *state;
  put(&s->p[0], 0, PAYLOAD);
  struct viewer *v = &s->v[0];
  world_turn(&s->w);
  struct delivery *d = container_of(v->sub.deliveries.next, struct delivery, link);
  struct reader r = {0};
  assert_int_equal(reader_begin(&r, d->reader.group, 0, &world_plain, 0, UINT64_MAX, d->reader.wake), 0);
  list_remove(&r.link); /* is asked, not woken, here */
  put(&s->p[0], 1, PAYLOAD);
  for (uint64_t i = 0; i < 20; i++)
    put(&s->p[1], i, PAYLOAD);
  struct iovec iov[2];
  size_t n = 9;
  bool fin = true;
  assert_int_equal(reader_pull(&r, iov, 2, &n, &fin), 0);
  assert_int_equal(n, 0);
  assert_false(fin);
  assert_true(reader_cut(&r));
  reader_end(&r);
}

static void without_a_budget_nothing_is_evicted(void **state)
{
  struct stage *s = *state;
  s->w.model.cache.capacity = 0;
  for (uint64_t i = 0; i < 100; i++)
    put(&s->p[0], i, PAYLOAD);
  assert_true(has(&s->p[0], 0));
  assert_int_equal(s->w.model.cache.evicted, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(the_budget_holds_at_every_step),
      T(the_oldest_goes_first_whatever_its_track),
      T(the_newest_of_a_track_outlasts_all_older_ones),
      T(among_the_newest_who_has_most_goes_first),
      T(among_the_newest_of_one_the_idlest_goes_first),
      T(a_write_makes_a_group_less_idle),
      T(an_evicted_group_frees_its_memory_although_it_is_read),
      T(what_is_still_held_is_empty),
      T(a_group_larger_than_the_budget_ends),
      T(a_plain_reader_sees_an_eviction_as_a_cut),
      T(without_a_budget_nothing_is_evicted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
