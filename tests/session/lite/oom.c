/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails each allocation of the code under test in turn, in the life of everything at once: nothing may crash or leak. The
 * allocator is wrapped by the linker; the bench and the simulated network use the real one (see meson.build). */
#include "scenario.h"
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);

static long left = -1; /* allocations until the one that fails; negative: none does */
static long burst;     /* that fail from there on */

static bool fails(void)
{
  if (left < 0 || lab_unlimited > 0)
    return false;
  if (left > 0) {
    left--;
    return false;
  }
  if (burst > 0)
    burst--;
  else
    left = -1;
  return left == 0;
}

void *__wrap_malloc(size_t n)
{
  return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
  return fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
  return fails() ? NULL : __real_realloc(p, n);
}

/* Until a run ends before its failure is due. */
static void sweep(enum lite_version v, long failures, long stride)
{
  bool all = false;
  for (long n = 0; !all && n < 20000; n += stride) {
    struct scenario s = {0};
    left = n;
    burst = failures;
    scenario_run(&s, v, 0);
    all = left > 0;
    left = -1;
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
