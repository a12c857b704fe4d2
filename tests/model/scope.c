/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/scope.h"
#include "world.h"
#include <errno.h>

static void paths_are_relative_to_the_root(void **state)
{
  (void)state;
  struct scope s;
  struct path p;
  struct slice rest;
  struct slice all = slice_str("**");
  assert_int_equal(scope_init(&s, slice_str("/room/1/"), &all, 1, &all, 1), 0);
  assert_int_equal(scope_absolute(&s, slice_str("cam//front"), &p), 0);
  assert_string_equal(p.s, "room/1/cam/front");
  assert_true(scope_relative(&s, path_slice(&p), &rest));
  assert_true(slice_eq(rest, slice_str("cam/front")));
  assert_true(scope_relative(&s, slice_str("room/1"), &rest));
  assert_int_equal(rest.n, 0);
  assert_false(scope_relative(&s, slice_str("room/12"), &rest));
  assert_false(scope_relative(&s, slice_str("room"), &rest));
  assert_int_equal(scope_absolute(&s, slice_of("a\0", 2), &p), -EINVAL);
  scope_destroy(&s);
}

static void patterns_say_what_is_allowed(void **state)
{
  (void)state;
  struct scope s;
  struct slice publish[] = {slice_str("me/**"), slice_str("/shared/*/y/")};
  assert_int_equal(scope_init(&s, slice_str(""), publish, 2, NULL, 0), 0);
  assert_true(scope_may_publish(&s, slice_str("me")));
  assert_true(scope_may_publish(&s, slice_str("shared/x/y")));
  assert_false(scope_may_publish(&s, slice_str("shared/x/z")));
  assert_false(scope_may_publish(&s, slice_str("mean")));
  assert_false(scope_may_publish(&s, slice_str("shared")));
  assert_false(scope_may_publish(&s, slice_str("")));
  assert_false(scope_may_subscribe(&s, slice_str("me")));
  scope_destroy(&s);
}

static void what_is_wrong_leaves_nothing_behind(void **state)
{
  (void)state;
  struct scope s;
  struct slice many[SCOPE_PATTERNS_MAX + 1] = {{0}};
  struct slice bad[] = {slice_str("fine"), slice_of("a\0", 2)};
  assert_int_equal(scope_init(&s, slice_str("r"), many, SCOPE_PATTERNS_MAX + 1, NULL, 0), -E2BIG);
  assert_int_equal(scope_init(&s, slice_str("r"), NULL, 0, bad, 2), -EINVAL);
  assert_int_equal(scope_init(&s, bad[1], NULL, 0, NULL, 0), -EINVAL);
  bad[1] = slice_str("a**");
  assert_int_equal(scope_init(&s, slice_str("r"), bad, 2, NULL, 0), -EINVAL);
  scope_destroy(&s);
  scope_destroy(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths_are_relative_to_the_root),
      cmocka_unit_test(patterns_say_what_is_allowed),
      cmocka_unit_test(what_is_wrong_leaves_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
