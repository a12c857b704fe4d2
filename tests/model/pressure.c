/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What gives way when the live edges alone fill the cache. */
#include "world.h"
#include <stdlib.h>

#define BUDGET 800000
#define PRESSED_AT (BUDGET - BUDGET / CACHE_HEADROOM)

struct stage {
  struct world w;
  struct publisher p[3];
  struct viewer v[3];
  struct pressure_wait wait;
  unsigned over;
};

static void over(struct pressure_wait *w)
{
  container_of(w, struct stage, wait)->over++;
}

static int setup(void **state)
{
  struct stage *s = calloc(1, sizeof *s);
  static const char *const paths[] = {"a", "b", "c"};
  world_init(&s->w, BUDGET);
  for (int i = 0; i < 3; i++) {
    s->v[i].stalled = true;
    publisher_start(&s->p[i], &s->w, paths[i]);
    viewer_join(&s->v[i], &s->w, paths[i], "video", world_params());
  }
  world_turn(&s->w);
  list_init(&s->wait.link);
  s->wait.over = over;
  *state = s;
  return 0;
}

static int teardown(void **state)
{
  struct stage *s = *state;
  pressure_wait_cancel(&s->wait);
  for (int i = 0; i < 3; i++) {
    viewer_leave(&s->v[i]);
    publisher_stop(&s->p[i], true);
  }
  world_destroy(&s->w);
  free(s);
  return 0;
}

/* A group of that many bytes that goes on. */
static struct group *edge(struct publisher *p, uint64_t sequence, size_t bytes)
{
  static char payload[BUDGET];
  struct group *g = begin(p, sequence);
  assert_int_equal(group_object(g, 0, 0, 0, bytes + 1, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(payload, bytes)), 0);
  return g;
}

static bool has(struct publisher *p, uint64_t sequence)
{
  return track_find(p->track, sequence) != NULL;
}

static void live_edges_alone_make_pressure(void **state)
{
  struct stage *s = *state;
  struct group *a = edge(&s->p[0], 0, 300000), *b = edge(&s->p[1], 0, 300000);
  assert_false(model_pressed(&s->w.model));
  struct group *c = edge(&s->p[2], 0, 110000);
  assert_true(model_pressed(&s->w.model));
  assert_true(s->w.model.cache.used > PRESSED_AT && s->w.model.cache.used <= BUDGET);
  assert_int_equal(s->w.model.cache.evicted, 0);
  s->w.model.cache.capacity = 0;
  assert_false(model_pressed(&s->w.model));
  s->w.model.cache.capacity = BUDGET;
  group_unref(a), group_unref(b), group_unref(c);
}

static void what_can_be_evicted_makes_none(void **state)
{
  struct stage *s = *state;
  group_unref(edge(&s->p[0], 0, 300000));
  group_unref(edge(&s->p[0], 1, 430000));
  assert_true(s->w.model.cache.used > PRESSED_AT);
  assert_false(model_pressed(&s->w.model));
}

static void who_waits_goes_on_when_a_live_edge_moves_on(void **state)
{
  struct stage *s = *state;
  group_unref(edge(&s->p[0], 0, 720000));
  model_wait_pressure(&s->w.model, &s->wait, s->w.now);
  world_pass(&s->w, 500);
  assert_int_equal(s->over, 0);
  group_unref(edge(&s->p[0], 1, 10)); /* the one before may go now */
  assert_int_equal(s->over, 0);       /* not from inside */
  world_turn(&s->w);
  assert_int_equal(s->over, 1);
  assert_int_equal(s->w.model.cache.evicted, 0);
  world_pass(&s->w, 5000);
  assert_int_equal(s->over, 1);
}

static void who_waits_goes_on_when_a_publisher_gives_up(void **state)
{
  struct stage *s = *state;
  struct group *g = edge(&s->p[0], 0, 720000);
  model_wait_pressure(&s->w.model, &s->wait, s->w.now);
  group_cut(g, CODE_CANCELLED);
  group_unref(g);
  world_pass(&s->w, 10);
  assert_int_equal(s->over, 1);
}

static void after_a_while_the_idlest_live_edge_goes(void **state)
{
  struct stage *s = *state;
  struct group *a = edge(&s->p[0], 0, 300000), *b = edge(&s->p[1], 0, 410000);
  world_turn(&s->w);
  assert_int_equal(group_append(a, 0, slice_str("x")), 0);
  model_wait_pressure(&s->w.model, &s->wait, s->w.now);
  world_pass(&s->w, 999);
  assert_int_equal(s->over, 0);
  assert_true(has(&s->p[1], 0));
  world_pass(&s->w, 1);
  assert_int_equal(s->over, 1);
  assert_false(has(&s->p[1], 0));
  assert_true(has(&s->p[0], 0));
  assert_int_equal(s->v[1].drop_code, CODE_EVICTED);
  assert_int_equal(b->code, CODE_EVICTED);
  assert_int_equal(s->v[1].ends, 0); /* the subscription lives on */
  group_unref(edge(&s->p[1], 1, 100));
  world_turn(&s->w);
  assert_int_equal(s->v[1].groups, 2);
  group_unref(a), group_unref(b);
}

/* Who fills the cache waits and loses its edge, however busy it is; a neighbour with little notices nothing. */
static void who_has_most_gives_way(void **state)
{
  struct stage *s = *state;
  struct group *a = edge(&s->p[0], 0, 100000), *b = edge(&s->p[1], 0, 610000);
  assert_true(model_pressed(&s->w.model));
  assert_true(group_pressed(b));
  assert_false(group_pressed(a));
  assert_int_equal(group_append(b, 0, slice_str("x")), 0);
  model_wait_pressure(&s->w.model, &s->wait, s->w.now);
  world_pass(&s->w, 1000);
  assert_int_equal(s->over, 1);
  assert_true(has(&s->p[0], 0));
  assert_false(has(&s->p[1], 0));
  assert_int_equal(s->v[0].drops, 0);
  assert_false(group_pressed(b)); /* evicted: nobody's */
  group_unref(a), group_unref(b);
}

/* It counts together what one publisher has, whatever it announces. */
static void many_small_paths_are_one_publishers(void **state)
{
  struct stage *s = *state;
  struct share *one, *again, *other;
  struct names *names = &s->w.origin->shares;
  one = share_take(names, &s->w.model.cache, s);
  again = share_take(names, &s->w.model.cache, s);
  other = share_take(names, &s->w.model.cache, &s->over);
  assert_ptr_equal(one, again);
  assert_ptr_not_equal(one, other);
  share_join(one, 10);
  share_charge(one, 5);
  share_release(one);
  share_release(again);
  assert_int_equal(one->used, 15); /* its group is still there */
  struct share *new = share_take(names, &s->w.model.cache, s);
  assert_ptr_not_equal(new, one);
  share_leave(one, 15);
  share_release(new);
  share_release(other);
  assert_int_equal(s->w.model.cache.holders, 0);
}

/* However idle: nothing would be gained. */
static void a_small_live_edge_goes_last(void **state)
{
  struct stage *s = *state;
  whole(&s->p[0], 0, "a catalog");
  struct group *b = edge(&s->p[1], 0, 500000), *c = edge(&s->p[2], 0, 400000);
  assert_true(has(&s->p[0], 0));
  assert_false(has(&s->p[1], 0));
  assert_true(has(&s->p[2], 0));
  group_unref(b), group_unref(c);
  group_unref(edge(&s->p[1], 1, 700000));
  assert_true(has(&s->p[0], 0));
  assert_false(has(&s->p[1], 1)); /* it would have most */
}

/* Publishers without a large live edge, of which there may be many, are not walked over for each group that has to go. */
static void only_who_has_large_edges_is_looked_at(void **state)
{
  struct stage *s = *state;
  struct cache *c = &s->w.model.cache;
  whole(&s->p[0], 0, "small");
  whole(&s->p[1], 0, "small");
  assert_true(list_empty(&c->shares));
  group_unref(edge(&s->p[2], 0, 100000));
  assert_non_null(share_largest(c));
  group_unref(edge(&s->p[2], 1, 10));
  assert_null(share_largest(c));
  assert_true(list_empty(&c->shares));
  group_unref(edge(&s->p[2], 2, 100000));
  assert_ptr_equal(share_largest(c), s->p[2].route->share);
}

static void a_wait_may_be_called_off(void **state)
{
  struct stage *s = *state;
  group_unref(edge(&s->p[0], 0, 720000));
  model_wait_pressure(&s->w.model, &s->wait, s->w.now);
  pressure_wait_cancel(&s->wait);
  world_pass(&s->w, 2000);
  assert_int_equal(s->over, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(live_edges_alone_make_pressure),
      T(what_can_be_evicted_makes_none),
      T(who_waits_goes_on_when_a_live_edge_moves_on),
      T(who_waits_goes_on_when_a_publisher_gives_up),
      T(after_a_while_the_idlest_live_edge_goes),
      T(who_has_most_gives_way),
      T(many_small_paths_are_one_publishers),
      T(a_small_live_edge_goes_last),
      T(only_who_has_large_edges_is_looked_at),
      T(a_wait_may_be_called_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
