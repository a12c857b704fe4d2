/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* When a grant ends, with a wall clock that is set meanwhile. */
#include "auth/expiry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BEGIN_S 1700000000

struct stage {
  struct timers timers;
  struct clock clock;
  struct expiry expiry;
  uint64_t now, ahead_s; /* ahead: what the wall clock was set by */
  unsigned over;
};

static uint64_t now(void *ctx)
{
  return ((struct stage *)ctx)->now;
}

static uint64_t wall(void *ctx)
{
  const struct stage *s = ctx;
  return (BEGIN_S + s->ahead_s) * 1000000 + s->now / 1000;
}

static void over(struct expiry *e)
{
  container_of(e, struct stage, expiry)->over++;
}

static void begin(struct stage *s, uint64_t at)
{
  *s = (struct stage){.clock = {now, wall, s}, .now = NS_PER_S};
  expiry_init(&s->expiry, over);
  expiry_start(&s->expiry, at, &s->timers, &s->clock, s->now);
}

/* Seconds until it is over, at most `max`. */
static uint64_t until_over(struct stage *s, uint64_t max)
{
  uint64_t from = s->now;
  while (s->over == 0 && s->now - from < max * NS_PER_S) {
    s->now += NS_PER_S;
    timers_run(&s->timers, s->now);
  }
  return (s->now - from) / NS_PER_S;
}

static void end(struct stage *s)
{
  expiry_cancel(&s->expiry);
  assert_true(timers_next(&s->timers) == TIMERS_NONE);
}

static void in_its_time_and_once(void **state)
{
  static const uint64_t waits[] = {1, 59, 60, 61, 3600};
  struct stage s;
  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    begin(&s, BEGIN_S + 1 + waits[i]);
    assert_int_equal(until_over(&s, 2 * waits[i]), waits[i]);
    assert_int_equal(until_over(&s, 100), 0);
    timers_run(&s.timers, s.now + 1000 * NS_PER_S);
    assert_int_equal(s.over, 1);
    end(&s);
  }
}

static void what_is_past_ends_at_once(void **state)
{
  struct stage s;
  begin(&s, 1);
  assert_int_equal(s.over, 0); /* but not inside the call */
  timers_run(&s.timers, s.now);
  assert_int_equal(s.over, 1);
  end(&s);
}

static void never(void **state)
{
  struct stage s;
  begin(&s, 0);
  assert_int_equal(until_over(&s, 100000), 100000);
  end(&s);
  begin(&s, UINT64_MAX);
  assert_int_equal(until_over(&s, 100000), 100000);
  end(&s);
}

static void a_clock_that_is_set(void **state)
{
  struct stage s;
  begin(&s, BEGIN_S + 10000);
  until_over(&s, 100);
  s.ahead_s += 9900;
  assert_in_range(until_over(&s, 1000), 0, EXPIRY_LOOK_S);
  end(&s);
  begin(&s, BEGIN_S + 1001);
  until_over(&s, 100);
  s.ahead_s -= 500;
  assert_int_equal(until_over(&s, 5000), 900 + 500);
  end(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_its_time_and_once),
      cmocka_unit_test(what_is_past_ends_at_once),
      cmocka_unit_test(never),
      cmocka_unit_test(a_clock_that_is_set),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
