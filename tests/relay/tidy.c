/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/tidy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static void sessions_leave(void **state)
{
  struct tidy t = {0};
  assert_false(tidy_due(&t, 1000, 0));
  assert_false(tidy_due(&t, 501, 0));
  assert_true(tidy_due(&t, 500, 0));
  assert_false(tidy_due(&t, 500, 0)); /* it was done */
  assert_false(tidy_due(&t, 251, 0));
  assert_true(tidy_due(&t, 250, 0));
  assert_true(tidy_due(&t, 125, 0));
}

static void few_are_not_worth_it(void **state)
{
  struct tidy t = {0};
  assert_false(tidy_due(&t, TIDY_SESSIONS_MIN - 1, TIDY_BYTES_MIN - 1));
  assert_false(tidy_due(&t, 0, 0));
  assert_false(tidy_due(&t, TIDY_SESSIONS_MIN, 0));
  assert_true(tidy_due(&t, 0, 0));
}

static void cache_empties(void **state)
{
  struct tidy t = {0};
  assert_false(tidy_due(&t, 3, 100 * MIB));
  assert_false(tidy_due(&t, 4, 60 * MIB));
  assert_true(tidy_due(&t, 5, 40 * MIB));
  assert_false(tidy_due(&t, 5, 30 * MIB));
  assert_false(tidy_due(&t, 5, 90 * MIB)); /* it fills again */
  assert_true(tidy_due(&t, 5, 0));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sessions_leave),
      cmocka_unit_test(few_are_not_worth_it),
      cmocka_unit_test(cache_empties),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
