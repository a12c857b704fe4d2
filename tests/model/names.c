/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "world.h"
#include <stdio.h>
#include <stdlib.h>

struct thing {
  struct name name;
  char text[24];
};

static void names_are_found_by_parent_and_name(void **state)
{
  (void)state;
  static struct thing things[1000];
  uint64_t seed = 7;
  struct rng rng = rng_seeded(&seed);
  struct names t;
  int parents[2];
  assert_int_equal(names_init(&t, &rng), 0);
  for (int i = 0; i < 1000; i++) {
    struct thing *x = &things[i];
    int n = snprintf(x->text, sizeof x->text, "part-%d", i / 2);
    x->name = (struct name){.parent = &parents[i % 2], .s = slice_of(x->text, (size_t)n)};
    names_add(&t, &x->name);
  }
  for (int i = 0; i < 1000; i++) {
    assert_ptr_equal(names_find(&t, &parents[i % 2], things[i].name.s), &things[i].name);
    assert_null(names_find(&t, NULL, things[i].name.s));
  }
  assert_null(names_find(&t, &parents[0], slice_str("part-1000")));
  assert_null(names_find(&t, &parents[0], slice_of(NULL, 0)));
  assert_true(t.cap >= 1000);
  for (int i = 0; i < 1000; i++) {
    names_remove(&t, &things[i].name);
    assert_null(names_find(&t, &parents[i % 2], things[i].name.s));
  }
  names_destroy(&t);
}

/* SipHash-1-3 spreads short, similar names: no bucket is crowded. */
static void names_spread(void **state)
{
  (void)state;
  static struct thing things[4096];
  uint64_t seed = 3;
  struct rng rng = rng_seeded(&seed);
  struct names t;
  assert_int_equal(names_init(&t, &rng), 0);
  for (int i = 0; i < 4096; i++) {
    int n = snprintf(things[i].text, sizeof things[i].text, "%d", i);
    things[i].name = (struct name){.s = slice_of(things[i].text, (size_t)n)};
    names_add(&t, &things[i].name);
  }
  for (size_t i = 0; i < t.cap; i++) {
    int n = 0;
    for (struct name *e = t.buckets[i]; e; e = e->next)
      n++;
    assert_true(n < 12);
  }
  for (int i = 0; i < 4096; i++)
    names_remove(&t, &things[i].name);
  names_destroy(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_found_by_parent_and_name),
      cmocka_unit_test(names_spread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
