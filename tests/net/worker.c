/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/worker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define TURNS_MAX 1000

struct fixture {
  uv_loop_t loop;
  struct worker w;
};

static void setup(struct fixture *f)
{
  assert_int_equal(uv_loop_init(&f->loop), 0);
  assert_int_equal(worker_init(&f->w, &f->loop, clock_system()), 0);
}

static void teardown(struct fixture *f)
{
  worker_destroy(&f->w);
  assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&f->loop), 0);
}

struct job {
  struct deferred d;
  struct timer t;
  struct worker *w;
  struct job *other; /* deferred by run */
  int runs;
  bool again;
  uint64_t at;
};

static void run(struct deferred *d, uint64_t now)
{
  struct job *j = container_of(d, struct job, d);
  (void)now;
  j->runs++;
  if (j->other)
    worker_defer(j->w, &j->other->d);
  if (j->again)
    worker_defer(j->w, &j->d);
}

static void fire(struct timer *t, uint64_t now)
{
  struct job *j = container_of(t, struct job, t);
  j->runs++;
  assert_true(now >= j->at);
}

static void deferred_work(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f);
  struct job a = {.w = &f.w}, b = {.w = &f.w}, c = {.w = &f.w};
  deferred_init(&a.d, run);
  deferred_init(&b.d, run);
  deferred_init(&c.d, run);
  a.other = &b;
  worker_defer(&f.w, &a.d);
  worker_defer(&f.w, &a.d);
  worker_defer(&f.w, &c.d);
  worker_defer_cancel(&c.d);
  assert_int_equal(a.runs, 0);
  uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_int_equal(a.runs, 1); /* two asks are one */
  assert_int_equal(b.runs, 1); /* and what it asked for runs in the same turn */
  assert_int_equal(c.runs, 0);
  teardown(&f);
}

/* Work that always asks for more must not keep the loop from its I/O, nor let it sleep. */
static void endless_work(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f);
  struct job a = {.w = &f.w, .again = true};
  deferred_init(&a.d, run);
  worker_defer(&f.w, &a.d);
  for (int i = 0; i < 10; i++)
    uv_run(&f.loop, UV_RUN_ONCE);
  assert_true(a.runs >= 10 && a.runs < 1000);
  worker_defer_cancel(&a.d);
  teardown(&f);
}

static void deadlines(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f);
  struct job jobs[3] = {};
  static const uint64_t after[] = {3 * NS_PER_MS, 100000, 1};
  uint64_t now = clock_now(&f.w.clock);
  for (int i = 0; i < 3; i++) {
    timer_init(&jobs[i].t, fire);
    jobs[i].at = now + after[i];
    timers_set(&f.w.timers, &jobs[i].t, jobs[i].at);
  }
  for (int i = 0; i < TURNS_MAX && jobs[0].runs == 0; i++)
    uv_run(&f.loop, UV_RUN_ONCE); /* sleeps until the next deadline */
  for (int i = 0; i < 3; i++)
    assert_int_equal(jobs[i].runs, 1);
  teardown(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deferred_work),
      cmocka_unit_test(endless_work),
      cmocka_unit_test(deadlines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
