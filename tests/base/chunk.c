/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/chunk.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void fills(void **state)
{
  struct chunk *c = chunk_new(5);
  assert_non_null(c);
  const uint8_t *at = c->data;
  assert_int_equal(chunk_append(c, slice_str("abc")), 3);
  assert_int_equal(chunk_append(c, slice_of(NULL, 0)), 0);
  assert_int_equal(chunk_append(c, slice_str("def")), 2);
  assert_int_equal(chunk_append(c, slice_str("g")), 0);
  assert_int_equal(c->len, 5);
  assert_memory_equal(c->data, "abcde", 5);
  assert_ptr_equal(c->data, at); /* readers may hold on to it */
  chunk_unref(c);
}

/* The sanitizer tells if it goes too early or never. */
static void counts(void **state)
{
  struct chunk *c = chunk_new(1);
  assert_non_null(c);
  assert_ptr_equal(chunk_ref(c), c);
  chunk_unref(c);
  assert_int_equal(chunk_append(c, slice_str("x")), 1);
  chunk_unref(c);
  chunk_unref(NULL);
}

static void empty(void **state)
{
  struct chunk *c = chunk_new(0);
  assert_non_null(c);
  assert_int_equal(chunk_append(c, slice_str("x")), 0);
  chunk_unref(c);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fills),
      cmocka_unit_test(counts),
      cmocka_unit_test(empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
