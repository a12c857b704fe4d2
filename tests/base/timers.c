/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/timers.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A timer that may do something to another one (or itself) when it fires. */
struct probe {
  struct timer timer;
  struct timers *set;
  int fired;
  uint64_t at; /* of the last firing */
  struct probe *arm, *cancel;
  uint64_t arm_at;
};

static void fire(struct timer *t, uint64_t now)
{
  struct probe *p = container_of(t, struct probe, timer);
  assert_false(timer_armed(t));
  assert_true(++p->fired < 100);
  p->at = now;
  if (p->arm)
    timers_set(p->set, &p->arm->timer, p->arm_at);
  if (p->cancel)
    timers_cancel(p->set, &p->cancel->timer);
}

static void probe_init(struct probe *p, struct timers *set)
{
  *p = (struct probe){.set = set};
  timer_init(&p->timer, fire);
}

static void fires_when_due(void **state)
{
  struct timers ts = {0};
  struct probe a, b;
  probe_init(&a, &ts);
  probe_init(&b, &ts);
  assert_true(timers_next(&ts) == TIMERS_NONE);
  timers_set(&ts, &a.timer, 100);
  timers_set(&ts, &b.timer, 50);
  assert_int_equal(timers_next(&ts), 50);
  timers_run(&ts, 49);
  assert_int_equal(a.fired + b.fired, 0);
  timers_run(&ts, 50);
  assert_int_equal(b.fired, 1);
  assert_int_equal(timers_next(&ts), 100);
  timers_run(&ts, 1000);
  assert_int_equal(a.fired, 1);
  assert_int_equal(a.at, 1000);
  assert_true(timers_next(&ts) == TIMERS_NONE);
}

static void moves_and_cancels(void **state)
{
  struct timers ts = {0};
  struct probe a;
  probe_init(&a, &ts);
  timers_cancel(&ts, &a.timer); /* not armed: nothing */
  timers_set(&ts, &a.timer, 100);
  timers_set(&ts, &a.timer, 200);
  timers_run(&ts, 150);
  assert_int_equal(a.fired, 0);
  timers_set(&ts, &a.timer, 120);
  timers_run(&ts, 150);
  assert_int_equal(a.fired, 1);
  timers_set(&ts, &a.timer, 300);
  timers_set(&ts, &a.timer, TIMERS_NONE);
  assert_false(timer_armed(&a.timer));
  timers_set(&ts, &a.timer, 300);
  timers_cancel(&ts, &a.timer);
  timers_run(&ts, 400);
  assert_int_equal(a.fired, 1);
}

/* One call ends, however a callback re-arms; what it re-armed in the past comes with the next turn
 * of time. */
static void rearms_itself(void **state)
{
  struct timers ts = {0};
  struct probe a;
  probe_init(&a, &ts);
  a.arm = &a;
  a.arm_at = 10; /* always in the past */
  timers_set(&ts, &a.timer, 10);
  timers_run(&ts, 100);
  assert_int_equal(a.fired, 1);
  assert_true(timer_armed(&a.timer));
  assert_true(timers_next(&ts) <= 101);
  timers_run(&ts, 101);
  assert_int_equal(a.fired, 2);
  a.arm_at = 500;
  timers_run(&ts, 102);
  assert_int_equal(a.fired, 3);
  assert_int_equal(timers_next(&ts), 500);
}

static void callbacks_touch_others(void **state)
{
  struct timers ts = {0};
  struct probe a, b, c;
  probe_init(&a, &ts);
  probe_init(&b, &ts);
  probe_init(&c, &ts);
  a.cancel = &b; /* due in the same call, but cancelled first */
  a.arm = &c;
  a.arm_at = 60;
  timers_set(&ts, &a.timer, 10);
  timers_set(&ts, &b.timer, 20);
  timers_run(&ts, 50);
  assert_int_equal(a.fired, 1);
  assert_int_equal(b.fired, 0);
  assert_int_equal(timers_next(&ts), 60);
  timers_run(&ts, 60);
  assert_int_equal(c.fired, 1);
}

/* Outside of a callback, a deadline that has passed fires at the next call. */
static void armed_in_the_past(void **state)
{
  struct timers ts = {0};
  struct probe a;
  probe_init(&a, &ts);
  timers_run(&ts, 1000);
  timers_set(&ts, &a.timer, 5);
  timers_run(&ts, 1000);
  assert_int_equal(a.fired, 1);
}

static void lazy_deadlines(void **state)
{
  uint64_t s = TIMERS_LAZY_NS, shared = 0;
  assert_true(timers_lazy(5, TIMERS_NONE) == TIMERS_NONE);
  assert_int_equal(timers_lazy(5, 3), 3);
  assert_int_equal(timers_lazy(0, s - 1), s - 1);
  for (uint64_t now = 0; now < 100 * s; now += s / 7) {
    uint64_t at = now + 3 * s + now % 1000, lazy = timers_lazy(now, at);
    assert_in_range(lazy, at, at + 3 * s / 8);
    shared += lazy == timers_lazy(now, at + s / 100);
  }
  assert_true(shared > 600); /* of 700 */
  assert_true(timers_lazy(0, TIMERS_NONE - 1) >= TIMERS_NONE - 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fires_when_due),         cmocka_unit_test(moves_and_cancels), cmocka_unit_test(rearms_itself),
      cmocka_unit_test(callbacks_touch_others), cmocka_unit_test(armed_in_the_past), cmocka_unit_test(lazy_deadlines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
