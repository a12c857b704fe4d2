/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "web/uri.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void split_is(const char *target, const char *path, const char *query)
{
  char text[64], *p = NULL, *q = NULL;
  strcpy(text, target);
  int rc = uri_split(text, &p, &q);
  if (!path) {
    assert_int_equal(rc, -EINVAL);
    assert_null(p);
    return;
  }
  assert_int_equal(rc, 0);
  assert_string_equal(p, path);
  assert_string_equal(q, query);
}

static void splits(void **state)
{
  (void)state;
  split_is("/", "/", "");
  split_is("/a/b?c=d", "/a/b", "c=d");
  split_is("/a?", "/a", "");
  split_is("/a?b?c", "/a", "b?c");
  split_is("http://host:1/a?b", "/a", "b");
  split_is("HTTPS://host/", "/", "");
  split_is("http://host", NULL, NULL);
  split_is("http://host?x", NULL, NULL);
  split_is("", NULL, NULL);
  split_is("?x", NULL, NULL);
  split_is("*", NULL, NULL);
  split_is("a/b", NULL, NULL);
}

static void decoded_is(const char *in, const char *out)
{
  char text[64];
  strcpy(text, in);
  int rc = uri_decode(text);
  if (!out) {
    assert_int_equal(rc, -EINVAL);
    return;
  }
  assert_int_equal(rc, 0);
  assert_string_equal(text, out);
}

static void decodes(void **state)
{
  (void)state;
  decoded_is("", "");
  decoded_is("/plain", "/plain");
  decoded_is("a%20b%2Fc%2fd", "a b/c/d");
  decoded_is("%25", "%");
  decoded_is("a+b", "a+b");
  decoded_is("%C3%A9", "\xc3\xa9");
  decoded_is("%", NULL);
  decoded_is("%2", NULL);
  decoded_is("%zz", NULL);
  decoded_is("%2g", NULL);
  decoded_is("a%00b", NULL);
  decoded_is("%ff", NULL);
  decoded_is("%C3", NULL);
}

static void query_is(const char *query, const char *name, const char *value)
{
  struct slice v;
  bool found = uri_query_value(query, name, &v);
  assert_int_equal(found, value != NULL);
  if (value)
    assert_true(slice_eq(v, slice_str(value)));
}

static void queries(void **state)
{
  (void)state;
  query_is("group=1", "group", "1");
  query_is("a=b&group=1&group=2", "group", "1");
  query_is("group=", "group", "");
  query_is("group", "group", NULL);
  query_is("xgroup=1", "group", NULL);
  query_is("groups=1", "group", NULL);
  query_is("", "group", NULL);
  query_is("&&group=1&", "group", "1");
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(splits), cmocka_unit_test(decodes), cmocka_unit_test(queries)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
