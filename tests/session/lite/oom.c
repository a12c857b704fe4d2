/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails each allocation of the code under test in turn, in the life of everything at once: nothing may crash or leak. The
 * bench and the simulated network are spared. */
#include "scenario.h"
#include "support/oom.h"
#include <stdlib.h>

/* Until a run ends before its failure is due. */
static void sweep(enum lite_version v, long failures, long stride)
{
  bool all = false;
  oom_spared = &lab_unlimited;
  for (long n = 0; !all && n < 20000; n += stride) {
    struct scenario s = {0};
    oom_after(n, failures);
    scenario_run(&s, v, 0);
    all = !oom_end();
  }
  assert_true(all);
}

static void every_allocation_may_fail_05(void **state)
{
  sweep(LITE_05, 1, 1);
}

static void every_allocation_may_fail_06(void **state)
{
  sweep(LITE_06, 1, 1);
}

static void every_allocation_may_fail_07(void **state)
{
  sweep(LITE_07, 1, 1);
}

static void many_in_a_row_may_fail(void **state)
{
  sweep(LITE_06, 20, 5);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_may_fail_05),
      cmocka_unit_test(every_allocation_may_fail_06),
      cmocka_unit_test(every_allocation_may_fail_07),
      cmocka_unit_test(many_in_a_row_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
