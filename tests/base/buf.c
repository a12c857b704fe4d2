/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/buf.h"
#include "base/varint.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void appends(void **state)
{
  static const char want[] = "\1\2\3\4\5\6\7\x40\x41\2abxyn=7";
  struct buf b = {0};
  buf_u8(&b, 1);
  buf_u16(&b, 0x0203);
  buf_u32(&b, 0x04050607);
  buf_varint(&b, 0x41);
  buf_prefixed(&b, slice_str("ab"));
  buf_bytes(&b, slice_str("xy"));
  buf_bytes(&b, slice_of(NULL, 0));
  buf_printf(&b, "n=%d", 7);
  assert_false(b.failed);
  assert_true(slice_eq(buf_slice(&b), slice_of(want, sizeof want - 1)));
  buf_destroy(&b);
  assert_null(b.p);
}

/* Grows over many sizes and keeps what is in it. */
static void grows(void **state)
{
  struct buf b = {0};
  for (unsigned i = 0; i < 5000; i++)
    buf_u32(&b, i);
  assert_int_equal(b.n, 20000);
  for (unsigned i = 0; i < 5000; i++)
    assert_int_equal(b.p[4 * i + 2] << 8 | b.p[4 * i + 3], i);
  assert_true(b.cap >= b.n && b.cap < 4 * b.n);
  buf_destroy(&b);
}

static void reserves(void **state)
{
  struct buf b = {0};
  uint8_t *p = buf_reserve(&b, 1000);
  assert_non_null(p);
  assert_int_equal(b.n, 0);
  memset(p, 'x', 1000);
  b.n += 1000;
  assert_true(b.cap >= 1000);
  assert_non_null(buf_reserve(&b, 0));
  buf_destroy(&b);
}

static void fails(void **state)
{
  struct buf b = {0};
  buf_u8(&b, 1);
  assert_null(buf_reserve(&b, SIZE_MAX));
  assert_true(b.failed);
  buf_u8(&b, 2);
  buf_printf(&b, "x");
  assert_int_equal(b.n, 1); /* nothing after the failure */
  buf_clear(&b);
  assert_false(b.failed);
  buf_varint(&b, VARINT_MAX);
  assert_false(b.failed);
  buf_varint(&b, VARINT_MAX + 1);
  assert_true(b.failed);
  buf_destroy(&b);
}

static void consumes(void **state)
{
  struct buf b = {0};
  buf_bytes(&b, slice_str("abcdef"));
  buf_consume(&b, 0);
  buf_consume(&b, 2);
  assert_true(slice_eq(buf_slice(&b), slice_str("cdef")));
  buf_consume(&b, 4);
  assert_int_equal(b.n, 0);
  buf_bytes(&b, slice_str("g"));
  assert_true(slice_eq(buf_slice(&b), slice_str("g")));
  buf_destroy(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appends), cmocka_unit_test(grows),    cmocka_unit_test(reserves),
      cmocka_unit_test(fails),   cmocka_unit_test(consumes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
