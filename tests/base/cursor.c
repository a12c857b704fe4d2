/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/cursor.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static struct cursor over(const char *s, size_t n)
{
  return cursor_of(slice_of(s, n));
}

static void reads(void **state)
{
  struct cursor c = over("\1\2\3\4\5\6\7\x40\x41\2ab\3caf!!", 17);
  assert_int_equal(cursor_u8(&c), 1);
  assert_int_equal(cursor_u16(&c), 0x0203);
  assert_int_equal(cursor_u32(&c), 0x04050607);
  assert_int_equal(cursor_varint(&c), 0x41);
  assert_true(slice_eq(cursor_prefixed(&c), slice_str("ab")));
  assert_true(slice_eq(cursor_string(&c), slice_str("caf")));
  assert_int_equal(cursor_left(&c), 1);
  assert_false(cursor_done(&c));
  assert_true(slice_eq(cursor_rest(&c), slice_str("!")));
  assert_true(cursor_done(&c));
}

/* After a failure everything is zero, and it stays failed. */
static void sticks(void **state)
{
  struct cursor c = over("\1\2", 2);
  assert_int_equal(cursor_u32(&c), 0);
  assert_true(c.failed);
  assert_int_equal(cursor_left(&c), 0);
  assert_int_equal(cursor_u8(&c), 0);
  assert_int_equal(cursor_varint(&c), 0);
  assert_int_equal(cursor_bytes(&c, 0).n, 0);
  assert_int_equal(cursor_rest(&c).n, 0);
  assert_false(cursor_done(&c));
}

static void too_short(void **state)
{
  struct cursor c = over("\x80\0\0", 3); /* varint of four */
  assert_int_equal(cursor_varint(&c), 0);
  assert_false(cursor_done(&c));
  c = over("\3ab", 3);
  assert_int_equal(cursor_prefixed(&c).n, 0);
  assert_false(cursor_done(&c));
  c = over("\xff\xff\xff\xff\xff\xff\xff\xff", 8); /* a length that would wrap a pointer */
  assert_int_equal(cursor_prefixed(&c).n, 0);
  assert_false(cursor_done(&c));
  c = over("ab", 2);
  cursor_bytes(&c, UINT64_MAX);
  assert_false(cursor_done(&c));
}

static void strings(void **state)
{
  struct cursor c = over("\2\xc3\xa9", 3);
  assert_int_equal(cursor_string(&c).n, 2);
  assert_true(cursor_done(&c));
  c = over("\1\xc3", 2);
  assert_int_equal(cursor_string(&c).n, 0);
  assert_true(c.failed);
}

static void empty(void **state)
{
  struct cursor c = cursor_of(slice_of(NULL, 0));
  assert_true(cursor_done(&c));
  assert_int_equal(cursor_rest(&c).n, 0);
  assert_true(cursor_done(&c));
  cursor_fail(&c);
  assert_false(cursor_done(&c));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads),   cmocka_unit_test(sticks), cmocka_unit_test(too_short),
      cmocka_unit_test(strings), cmocka_unit_test(empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
