/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every session may end at any moment, in any way: nothing is used afterwards, nothing is left. */
#include "scenario.h"

static unsigned long length_of(struct scenario *s, enum lite_version v)
{
  scenario_run(s, v, 0);
  return s->lab.turns;
}

static void each_step(enum lite_version v, bool tight)
{
  struct scenario s = {.tight = tight};
  unsigned long n = length_of(&s, v);
  assert_in_range(n, 50, 5000);
  for (int victim = RAW_PUBLISHER; victim < VICTIMS; victim++) {
    for (int death = CUT; death < DEATHS; death++) {
      /* the deaths take turns, so that each step sees all of them in some version */
      for (unsigned long k = 1 + (unsigned long)(death + (int)v) % 3; k <= n; k += 3) {
        s = (struct scenario){.victim = (enum victim)victim, .death = (enum death)death, .tight = tight};
        scenario_run(&s, v, k);
      }
    }
  }
}

static void death_at_each_step_05(void **state)
{
  each_step(LITE_05, false);
}

static void death_at_each_step_06(void **state)
{
  each_step(LITE_06, false);
}

static void death_at_each_step_07(void **state)
{
  each_step(LITE_07, false);
}

static void death_at_each_step_without_room(void **state)
{
  each_step(LITE_06, true);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(death_at_each_step_05),
      cmocka_unit_test(death_at_each_step_06),
      cmocka_unit_test(death_at_each_step_07),
      cmocka_unit_test(death_at_each_step_without_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
