/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths and hop lists of 07 that take a part from a live announcement. */
#include "cmocka_all.h"
#include "vectors.h"
#include <errno.h>
#include <stdio.h>

static void joined(const char *base, uint64_t keep, const char *rest, const char *expected)
{
  struct path out;
  int rc = lite_join_path(slice_str(base), keep, slice_str(rest), &out);
  if (!expected) {
    assert_int_equal(rc, -EPROTO);
    return;
  }
  assert_int_equal(rc, 0);
  assert_string_equal(out.s, expected);
}

static void paths(void **state)
{
  joined("a/bb/c", 0, "x/y", "x/y");
  joined("a/bb/c", 1, "x", "a/x");
  joined("a/bb/c", 2, "x", "a/bb/x");
  joined("a/bb/c", 3, "x", "a/bb/c/x");
  joined("a/bb/c", 3, "", "a/bb/c");
  joined("a/bb/c", 4, "", NULL);
  joined("a/bb/c", UINT64_MAX, "", NULL);
  joined("", 0, "x", "x");
  joined("", 0, "", "");
  joined("", 1, "x", NULL);
  joined("a", 1, "/x//y/", "a/x/y");
}

static void paths_too_long(void **state)
{
  char deep[2 * PATH_PARTS_MAX], wide[PATH_BYTES_MAX + 1];
  struct path out;
  for (size_t i = 0; i < PATH_PARTS_MAX; i++)
    memcpy(deep + 2 * i, "p/", 2);
  struct slice base = slice_of(deep, sizeof deep - 1);
  assert_int_equal(lite_join_path(base, PATH_PARTS_MAX, slice_str(""), &out), 0);
  assert_int_equal(lite_join_path(base, PATH_PARTS_MAX - 1, slice_str("x"), &out), 0);
  assert_int_equal(lite_join_path(base, PATH_PARTS_MAX, slice_str("x"), &out), -EPROTO);
  memset(wide, 'w', sizeof wide);
  assert_int_equal(lite_join_path(slice_of(wide, PATH_BYTES_MAX), 1, slice_str(""), &out), 0);
  assert_int_equal(lite_join_path(slice_of(wide, PATH_BYTES_MAX), 1, slice_str("x"), &out), -EPROTO);
  assert_int_equal(lite_join_path(slice_str("a"), 1, slice_of("x\0y", 3), &out), -EPROTO);
}

static int join(size_t n, uint64_t keep, size_t head_n, uint64_t first, struct lite_hops *ret)
{
  uint64_t base[LITE_HOPS_MAX];
  struct lite_hops head = {.n = head_n};
  for (size_t i = 0; i < n; i++)
    base[i] = 100 + i;
  for (size_t i = 0; i < head_n; i++)
    head.id[i] = first + i;
  return lite_join_hops(base, n, keep, &head, ret);
}

static void hops(void **state)
{
  struct lite_hops h = {.n = 77};
  assert_int_equal(join(3, 4, 0, 0, &h), -EPROTO);
  assert_int_equal(join(3, UINT64_MAX, 0, 0, &h), -EPROTO);
  assert_int_equal(join(3, 2, 1, 102, &h), -EPROTO); /* an id twice */
  assert_int_equal(join(LITE_HOPS_MAX, LITE_HOPS_MAX, 1, 1, &h), -EPROTO);
  assert_int_equal(h.n, 77);
  assert_int_equal(join(3, 2, 2, 7, &h), 0);
  assert_int_equal(h.n, 4);
  assert_true(h.id[0] == 7 && h.id[1] == 8 && h.id[2] == 101 && h.id[3] == 102);
  assert_int_equal(join(3, 2, 1, 100, &h), 0); /* the first is not among those kept */
  assert_int_equal(join(LITE_HOPS_MAX, LITE_HOPS_MAX, 0, 0, &h), 0);
  assert_int_equal(h.n, LITE_HOPS_MAX);
  assert_int_equal(lite_join_hops(NULL, 0, 0, &(struct lite_hops){.n = 1, .id = {5}}, &h), 0);
  assert_int_equal(h.n, 1);
  /* unknown ones may repeat across the two */
  assert_int_equal(lite_join_hops((uint64_t[]){0}, 1, 1, &(struct lite_hops){.n = 1}, &h), 0);
  assert_int_equal(h.n, 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths),
      cmocka_unit_test(paths_too_long),
      cmocka_unit_test(hops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
