/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/clock.h"
#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void a_seed_replays(void **state)
{
  (void)state;
  uint64_t a = 42, b = 42, c = 43;
  struct rng x = rng_seeded(&a), y = rng_seeded(&b), z = rng_seeded(&c);
  uint8_t one[37], two[37], three[37];
  rng_fill(&x, one, sizeof one);
  rng_fill(&y, two, sizeof two);
  rng_fill(&z, three, sizeof three);
  assert_memory_equal(one, two, sizeof one);
  assert_memory_not_equal(one, three, sizeof one);
  assert_true(rng_u64(&x) == rng_u64(&y));
}

/* The first values of splitmix64 with seed 1234567, as published with the algorithm. */
static void the_seeded_one_is_splitmix64(void **state)
{
  (void)state;
  uint64_t s = 1234567;
  struct rng r = rng_seeded(&s);
  assert_true(rng_u64(&r) == 6457827717110365317ULL);
  assert_true(rng_u64(&r) == 3203168211198807973ULL);
  assert_true(rng_u64(&r) == 9817491932198370423ULL);
}

static void below_stays_below(void **state)
{
  (void)state;
  uint64_t s = 1;
  struct rng r = rng_seeded(&s);
  bool seen[7] = {false};
  for (int i = 0; i < 1000; i++) {
    uint64_t v = rng_below(&r, 7);
    assert_true(v < 7);
    seen[v] = true;
  }
  for (int i = 0; i < 7; i++)
    assert_true(seen[i]);
}

static void the_kernel_fills_all_of_it(void **state)
{
  (void)state;
  struct rng r = rng_system();
  static uint8_t a[4096], b[4096];
  rng_fill(&r, a, sizeof a);
  rng_fill(&r, b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  assert_memory_not_equal(a + sizeof a - 32, b + sizeof b - 32, 32);
}

static void the_clock_goes_on(void **state)
{
  (void)state;
  struct clock c = clock_system();
  uint64_t a = clock_now(&c), b = clock_now(&c);
  assert_true(a > 0 && b >= a);
  assert_true(clock_wall_us(&c) > 1600000000ULL * 1000000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_seed_replays),    cmocka_unit_test(the_seeded_one_is_splitmix64),
      cmocka_unit_test(below_stays_below), cmocka_unit_test(the_kernel_fills_all_of_it),
      cmocka_unit_test(the_clock_goes_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
