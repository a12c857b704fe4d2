/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/buf.h"
#include "base/path.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

static void check(const char *in, const char *want)
{
  struct path p;
  assert_int_equal(path_parse(&p, slice_str(in)), 0);
  assert_string_equal(p.s, want);
  assert_int_equal(p.n, strlen(want));
}

static void normalises(void **state)
{
  check("", "");
  check("/", "");
  check("////", "");
  check("a", "a");
  check("/a//b/", "a/b");
  check("a/b/c", "a/b/c");
  check("caf\xc3\xa9/ x ", "caf\xc3\xa9/ x ");
}

static int parse_parts(size_t parts)
{
  struct buf b = {0};
  struct path p;
  for (size_t i = 0; i < parts; i++)
    buf_bytes(&b, slice_str("x/"));
  int rc = path_parse(&p, buf_slice(&b));
  buf_destroy(&b);
  return rc;
}

static int parse_bytes(size_t n)
{
  struct buf b = {0};
  struct path p;
  for (size_t i = 0; i < n; i++)
    buf_u8(&b, 'x');
  int rc = path_parse(&p, buf_slice(&b));
  if (rc == 0)
    assert_int_equal(p.n, n);
  buf_destroy(&b);
  return rc;
}

static void bounds(void **state)
{
  struct path p = {.n = 1, .s = "k"};
  assert_int_equal(parse_parts(PATH_PARTS_MAX), 0);
  assert_int_equal(parse_parts(PATH_PARTS_MAX + 1), -ENAMETOOLONG);
  assert_int_equal(parse_bytes(PATH_BYTES_MAX), 0);
  assert_int_equal(parse_bytes(PATH_BYTES_MAX + 1), -ENAMETOOLONG);
  assert_int_equal(path_parse(&p, slice_of("a\0b", 3)), -EINVAL);
  assert_string_equal(p.s, "k"); /* untouched */
}

static void joins(void **state)
{
  struct path p;
  assert_int_equal(path_join(&p, slice_str("a/b"), slice_str("c")), 0);
  assert_string_equal(p.s, "a/b/c");
  assert_int_equal(path_join(&p, slice_str(""), slice_str("c")), 0);
  assert_string_equal(p.s, "c");
  assert_int_equal(path_join(&p, slice_str("a"), slice_str("")), 0);
  assert_string_equal(p.s, "a");
  assert_int_equal(path_join(&p, slice_str("a/"), slice_str("/b")), 0);
  assert_string_equal(p.s, "a/b");
  assert_int_equal(path_join(&p, path_slice(&p), slice_str("c")), 0); /* in place */
  assert_string_equal(p.s, "a/b/c");
}

static void check_under(const char *path, const char *prefix, const char *want)
{
  struct slice suffix = {0};
  assert_int_equal(path_under(slice_str(path), slice_str(prefix), &suffix), want != NULL);
  if (want)
    assert_true(slice_eq(suffix, slice_str(want)));
}

static void prefixes(void **state)
{
  check_under("foo", "foo", "");
  check_under("foo/bar", "foo", "bar");
  check_under("foo/bar/baz", "foo", "bar/baz");
  check_under("foobar", "foo", NULL);
  check_under("foo", "foo/bar", NULL);
  check_under("foo", "bar", NULL);
  check_under("foo/bar", "", "foo/bar");
  check_under("", "", "");
  check_under("", "foo", NULL);
  assert_true(path_under(slice_str("a/b"), slice_str("a"), NULL));
  assert_true(path_under(slice_of(NULL, 0), slice_of(NULL, 0), NULL));
}

static void parts(void **state)
{
  struct slice rest = slice_str("a/bc/d"), part;
  assert_true(path_part(&rest, &part) && slice_eq(part, slice_str("a")));
  assert_true(path_part(&rest, &part) && slice_eq(part, slice_str("bc")));
  assert_true(path_part(&rest, &part) && slice_eq(part, slice_str("d")));
  assert_false(path_part(&rest, &part));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normalises), cmocka_unit_test(bounds), cmocka_unit_test(joins),
      cmocka_unit_test(prefixes),   cmocka_unit_test(parts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
