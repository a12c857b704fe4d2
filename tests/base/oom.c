/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Containers without memory remember it, and keep what they had. */
#include "base/buf.h"
#include "base/chunk.h"
#include "support/oom.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void write_all(struct buf *b)
{
  static const uint8_t bytes[1000];
  buf_u8(b, 1);
  buf_u16(b, 2);
  buf_u32(b, 3);
  buf_varint(b, 1 << 20);
  buf_printf(b, "%d and %s", 4, "a text that does not fit into what a small buffer holds, whatever that is");
  buf_prefixed(b, slice_of(bytes, sizeof bytes));
  buf_bytes(b, slice_of(bytes, sizeof bytes));
}

static void a_buffer_remembers(void **state)
{
  struct buf whole = {0};
  bool failed = true;
  long n = 0;
  (void)state;
  write_all(&whole);
  assert_false(whole.failed);
  for (; failed; n++) {
    struct buf b = {0};
    assert_true(n < 100);
    oom_after(n, 1);
    write_all(&b);
    failed = oom_end();
    assert_int_equal(b.failed, failed);
    assert_true(failed || slice_eq(buf_slice(&b), buf_slice(&whole)));
    buf_clear(&b);
    write_all(&b);
    assert_true(slice_eq(buf_slice(&b), buf_slice(&whole)));
    buf_destroy(&b);
  }
  assert_true(n > 2);
  buf_destroy(&whole);
}

static void no_chunk(void **state)
{
  (void)state;
  oom_after(0, 1);
  assert_null(chunk_new(NULL, 100));
  assert_true(oom_end());
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_buffer_remembers), cmocka_unit_test(no_chunk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
