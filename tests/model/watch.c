/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tree of paths and those who watch it. */
#include "world.h"
#include <errno.h>
#include <stdio.h>
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

/* What a watcher heard: "+a +b ~a -b ". */
struct heard {
  char text[1024];
  size_t n;
};

static void note(void *ctx, char event, struct slice suffix)
{
  struct heard *h = ctx;
  h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%c%.*s ", event, SLICE_FMT(suffix));
  assert_true(h->n < sizeof h->text);
}

static void added(void *ctx, struct broadcast *b, struct slice suffix)
{
  assert_non_null(broadcast_route(b));
  note(ctx, '+', suffix);
}

static void changed(void *ctx, struct broadcast *b, struct slice suffix)
{
  assert_non_null(broadcast_route(b));
  note(ctx, '~', suffix);
}

static void removed(void *ctx, struct broadcast *b, struct slice suffix)
{
  (void)b;
  note(ctx, '-', suffix);
}

static const struct watch_ops ops = {added, changed, removed};

static struct watch *watch(struct world *w, const char *prefix, struct heard *h)
{
  struct watch *watch = NULL;
  *h = (struct heard){0};
  assert_int_equal(watch_new(w->origin, slice_str(prefix), &ops, h, &watch), 0);
  return watch;
}

static void the_initial_set_comes_in_path_order(void **state)
{
  struct world *w = *state;
  struct publisher p[4];
  struct heard h;
  publisher_start(&p[0], w, "b");
  publisher_start(&p[1], w, "a/z");
  publisher_start(&p[2], w, "a");
  publisher_start(&p[3], w, "a/b/c");
  struct watch *all = watch(w, "", &h);
  assert_string_equal(h.text, "+a +a/b/c +a/z +b ");
  watch_free(all);
  struct watch *some = watch(w, "/a/", &h);
  assert_string_equal(h.text, "+ +b/c +z ");
  for (int i = 0; i < 4; i++)
    publisher_stop(&p[i], true);
  assert_string_equal(h.text, "+ +b/c +z -z - -b/c ");
  watch_free(some);
}

static void prefixes_match_whole_parts(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct heard foo, foobar, all, root;
  struct watch *a = watch(w, "foo", &foo), *b = watch(w, "foobar", &foobar);
  struct watch *c = watch(w, "", &all), *d = watch(w, "foobar/x/y", &root);
  publisher_start(&p, w, "foobar/x");
  assert_string_equal(foo.text, "");
  assert_string_equal(foobar.text, "+x ");
  assert_string_equal(all.text, "+foobar/x ");
  assert_string_equal(root.text, "");
  publisher_stop(&p, true);
  watch_free(a);
  watch_free(b);
  watch_free(c);
  watch_free(d);
  watch_free(NULL);
}

static void the_root_may_be_a_broadcast(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct heard h;
  struct watch *all = watch(w, "", &h);
  publisher_start(&p, w, "");
  assert_non_null(origin_find(w->origin, slice_str("")));
  publisher_stop(&p, true);
  assert_string_equal(h.text, "+ - ");
  watch_free(all);
}

static void watchers_hear_of_routes_that_change(void **state)
{
  struct world *w = *state;
  struct publisher a, b;
  struct heard h;
  struct watch *all = watch(w, "", &h);
  publisher_start(&a, w, "x");
  publisher_start(&b, w, "x");
  assert_string_equal(h.text, "+x ~x ");
  struct route_info info = world_local();
  assert_int_equal(route_update(b.route, &info, w->now), 0); /* the same */
  info.warm = 5;
  assert_int_equal(route_update(b.route, &info, w->now), 0); /* a is better now */
  assert_string_equal(h.text, "+x ~x ~x ");
  info.warm = 6;
  assert_int_equal(route_update(b.route, &info, w->now), 0); /* for who is not to be served by a */
  assert_string_equal(h.text, "+x ~x ~x ~x ");
  publisher_stop(&a, true);
  publisher_stop(&b, true);
  assert_string_equal(h.text, "+x ~x ~x ~x ~x -x ");
  watch_free(all);
}

static void a_lost_path_stays_announced_for_a_while(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct heard h;
  struct watch *all = watch(w, "", &h);
  publisher_start(&p, w, "x");
  uint64_t id = origin_find(w->origin, slice_str("x"))->id;
  publisher_stop(&p, false);
  world_pass(w, 4900);
  assert_string_equal(h.text, "+x ");
  publisher_start(&p, w, "x");
  assert_string_equal(h.text, "+x ~x ");
  assert_int_equal(origin_find(w->origin, slice_str("x"))->id, id);
  world_pass(w, 60000);
  publisher_stop(&p, false);
  world_pass(w, 5100);
  assert_string_equal(h.text, "+x ~x -x ");
  publisher_start(&p, w, "x");
  assert_true(origin_find(w->origin, slice_str("x"))->id > id);
  publisher_stop(&p, true);
  watch_free(all);
}

/* Whoever ends an origin need not wait for what lingers. */
static void an_origin_may_go_while_a_path_lingers(void **state)
{
  struct world *w = *state;
  struct publisher p[2];
  struct origin *o = origin_new(&w->model);
  struct route_info info = world_local();
  static const char *const paths[] = {"x", "x/y"};
  for (int i = 0; i < 2; i++) {
    p[i] = (struct publisher){.world = w};
    assert_int_equal(route_add(o, slice_str(paths[i]), &info, &world_source, &p[i], w->now, &p[i].route), 0);
    publisher_stop(&p[i], false);
  }
  assert_int_equal(w->model.broadcasts_now, 2);
  origin_free(o);
  assert_int_equal(w->model.broadcasts_now, 0);
  origin_free(NULL);
}

static void paths_are_normalised_and_bounded(void **state)
{
  struct world *w = *state;
  struct publisher p;
  struct route *r = NULL;
  struct watch *watch = NULL;
  struct route_info info = world_local();
  static char deep[2 * PATH_PARTS_MAX + 3];
  publisher_start(&p, w, "/a//b/");
  assert_non_null(origin_find(w->origin, slice_str("a/b")));
  assert_null(origin_find(w->origin, slice_str("a")));
  assert_null(origin_find(w->origin, slice_str("a/b/c")));
  for (size_t i = 0; i + 1 < sizeof deep; i++)
    deep[i] = i % 2 ? '/' : 'x';
  assert_int_equal(route_add(w->origin, slice_str(deep), &info, &world_source, NULL, w->now, &r), -ENAMETOOLONG);
  assert_int_equal(watch_new(w->origin, slice_str(deep), &ops, NULL, &watch), -ENAMETOOLONG);
  assert_int_equal(route_add(w->origin, slice_of("a\0b", 3), &info, &world_source, NULL, w->now, &r), -EINVAL);
  publisher_stop(&p, true);
}

static void thousands_of_paths_come_and_go(void **state)
{
  struct world *w = *state;
  static struct publisher p[3000];
  struct heard h;
  char path[64];
  struct watch *some = watch(w, "room7", &h);
  for (int i = 0; i < 3000; i++) {
    snprintf(path, sizeof path, "room%d/user%d", i % 100, i);
    publisher_start(&p[i], w, path);
  }
  assert_int_equal(w->model.broadcasts_now, 3000);
  for (int i = 0; i < 3000; i++) {
    snprintf(path, sizeof path, "room%d/user%d", i % 100, i);
    assert_ptr_equal(broadcast_source(origin_find(w->origin, slice_str(path))), &p[i]);
    publisher_stop(&p[i], true);
  }
  unsigned events = 0;
  for (size_t i = 0; i < h.n; i++)
    events += h.text[i] == '+' || h.text[i] == '-';
  assert_int_equal(events, 60); /* of one room in a hundred */
  watch_free(some);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(the_initial_set_comes_in_path_order),
      T(prefixes_match_whole_parts),
      T(the_root_may_be_a_broadcast),
      T(watchers_hear_of_routes_that_change),
      T(a_lost_path_stays_announced_for_a_while),
      T(an_origin_may_go_while_a_path_lingers),
      T(paths_are_normalised_and_bounded),
      T(thousands_of_paths_come_and_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
