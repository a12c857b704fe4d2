/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/jitter.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* n frames of `us` each at once, when the last of them has passed. */
static void burst(struct jitter *j, int64_t *dts, int n, int64_t us)
{
  uint64_t now = NS_PER_S + (uint64_t)(*dts + n * us) * 1000;
  for (int i = 0; i < n; i++, *dts += us)
    jitter_frame(j, *dts, now + (uint64_t)i * 1000);
}

static void fragments(void **state)
{
  struct jitter j = {0};
  int64_t dts = 0;
  for (int i = 0; i < 7; i++) {
    burst(&j, &dts, 25, 40000);
    if (i < 6)
      assert_int_equal(jitter_ms(&j), 0);
  }
  assert_int_equal(jitter_ms(&j), 1000);
}

static void frame_by_frame(void **state)
{
  struct jitter j = {0};
  int64_t dts = 0;
  for (int i = 0; i < 100; i++)
    burst(&j, &dts, 1, 33333);
  assert_int_equal(jitter_ms(&j), 0);
}

static void one_stall(void **state)
{
  struct jitter j = {0};
  int64_t dts = 0;
  for (int i = 0; i < 100; i++)
    burst(&j, &dts, i == 50 ? 60 : 2, 20000);
  assert_int_equal(jitter_ms(&j), 40);
}

static void file(void **state)
{
  struct jitter j = {0};
  int64_t dts = 0;
  burst(&j, &dts, 10000, 40000);
  for (int i = 0; i < 20; i++)
    jitter_frame(&j, dts += 40000, 1000 * NS_PER_S);
  assert_int_equal(jitter_ms(&j), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fragments),
      cmocka_unit_test(frame_by_frame),
      cmocka_unit_test(one_stall),
      cmocka_unit_test(file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
