/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory.max in virtual time, on a process that is a few numbers: what is done, in which order, and when it ends. */
#include "relay/memory.h"
#include "support/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)
#define MEMORY (800 * MIB) /* target: 700 MiB; the cache's least: 87.5 MiB */
#define BASE (10 * MIB)
#define LOOKS_NS (2 * MEMORY_REST_NS) /* in which there is a look at least */

struct process {
  struct worker worker;
  struct cache cache;
  struct limits counts;
  struct memory memory;
  uint64_t rest;          /* allocated by all but the cache */
  uint64_t kept;          /* free, but the allocator's */
  uint64_t spare;         /* free, and easily given back: what the cache has evicted */
  uint64_t slow, healthy; /* of the rest: what may be had back by closing those who hold much, and the others */
  uint64_t asked_of_allocator, trims;
  char steps[64]; /* c: the cache gave way, s: slow sessions closed, h: healthy ones */
};

static struct process *the; /* for the wrapped function */

static void step(struct process *p, char what)
{
  size_t n = strlen(p->steps);
  if (n + 1 < sizeof p->steps && (n == 0 || p->steps[n - 1] != what))
    p->steps[n] = what;
}

/* The cache evicts what is over. */
void __wrap_cache_resize(struct cache *c, size_t capacity);
void __wrap_cache_resize(struct cache *c, size_t capacity)
{
  c->capacity = capacity;
  if (c->used <= capacity)
    return;
  the->spare += c->used - capacity;
  c->used = capacity;
  step(the, 'c');
}

static uint64_t allocated(void *ctx)
{
  struct process *p = ctx;
  p->asked_of_allocator++;
  return p->rest + p->cache.used;
}

static uint64_t resident(void *ctx)
{
  struct process *p = ctx;
  return BASE + p->rest + p->cache.used + p->kept + p->spare;
}

static uint64_t take(struct process *p, uint64_t *from, uint64_t bytes, char what)
{
  uint64_t n = *from < bytes ? *from : bytes;
  if (n == 0)
    return 0;
  step(p, what);
  *from -= n;
  p->rest -= n;
  return n;
}

static uint64_t close_slowest(void *ctx, uint64_t bytes, uint64_t least)
{
  struct process *p = ctx;
  uint64_t n = take(p, &p->slow, bytes, 's');
  return least > 0 ? n : n + take(p, &p->healthy, bytes - n, 'h');
}

static uint64_t spare(void *ctx)
{
  return ((struct process *)ctx)->spare;
}

static void release(void *ctx)
{
  struct process *p = ctx;
  p->spare -= p->spare < 8 * MIB ? p->spare : 8 * MIB;
}

static void trim(void *ctx)
{
  struct process *p = ctx;
  p->kept = 0;
  p->trims++;
}

static const struct memory_ops ops = {resident, allocated, close_slowest, spare, release, trim};

static void process_init(struct process *p, uint64_t max, size_t cache_capacity)
{
  *p = (struct process){.rest = MIB};
  the = p;
  sim_init(&p->worker);
  cache_init(&p->cache, cache_capacity);
  const struct memory_config config = {.max = max,
                                       .cache_capacity = cache_capacity,
                                       .cache = &p->cache,
                                       .timers = &p->worker.timers,
                                       .counts = &p->counts,
                                       .ops = &ops,
                                       .ctx = p};
  memory_init(&p->memory, &config, p->worker.now);
}

static void process_end(struct process *p)
{
  memory_destroy(&p->memory);
  assert_true(timers_next(&p->worker.timers) == TIMERS_NONE);
}

static void expect_bound(const struct process *p)
{
  assert_true(BASE + p->rest + p->cache.used <= MEMORY);
}

static void nothing_while_there_is_room(void **state)
{
  struct process p;
  process_init(&p, MEMORY, 100 * MIB);
  p.cache.used = 100 * MIB;
  p.rest = 100 * MIB;
  uint64_t asked = p.asked_of_allocator;
  sim_run(&p.worker, 60 * NS_PER_S);
  assert_string_equal(p.steps, "");
  assert_int_equal(p.cache.capacity, 100 * MIB);
  assert_int_equal(p.asked_of_allocator, asked); /* the kernel's figure is enough */
  assert_false(memory_full(&p.memory, p.worker.now));
  assert_int_equal(p.counts.hits[LIMIT_MEMORY], 0);
  process_end(&p);
}

/* The rest grows slowly over a full cache, first on behalf of slow sessions, then of others. */
static void the_order(void **state)
{
  struct process p;
  process_init(&p, MEMORY, 0);
  assert_true(p.cache.capacity > 0); /* without a bound of its own it has this one */
  p.cache.used = p.cache.capacity;
  for (p.rest = MIB; p.rest < 500 * MIB && !p.memory.refusing; p.rest += 10 * MIB) {
    sim_run(&p.worker, LOOKS_NS);
    expect_bound(&p);
  }
  assert_string_equal(p.steps, "c");
  for (int i = 0; i < 40; i++, p.rest += 10 * MIB, p.slow += 10 * MIB) {
    sim_run(&p.worker, LOOKS_NS);
    expect_bound(&p);
  }
  assert_string_equal(p.steps, "cs");
  assert_false(p.memory.refusing || memory_full(&p.memory, p.worker.now));
  assert_int_equal(p.cache.used, 700 * MIB / MEMORY_CACHE_LEAST); /* its share, whatever happens */
  p.rest -= p.slow;
  p.slow = 0;
  while (!p.memory.refusing) { /* sessions of a usual size */
    assert_string_equal(p.steps, "cs");
    p.rest += MIB;
    p.healthy += MIB;
    sim_run(&p.worker, LOOKS_NS);
    expect_bound(&p);
  }
  assert_true(memory_full(&p.memory, p.worker.now));
  assert_string_equal(p.steps, "cs");
  assert_true(p.counts.hits[LIMIT_MEMORY] > 0);
  process_end(&p);
}

/* Those who are there go only when the room is taken as well. */
static void the_last_resort(void **state)
{
  struct process p;
  process_init(&p, MEMORY, 0);
  p.rest = p.healthy = 640 * MIB;
  sim_run(&p.worker, LOOKS_NS);
  assert_true(p.memory.refusing);
  assert_string_equal(p.steps, "");
  p.rest = p.healthy = 690 * MIB;
  sim_run(&p.worker, LOOKS_NS);
  assert_string_equal(p.steps, "h");
  expect_bound(&p);
  process_end(&p);
}

static void new_ones_again_when_there_is_room(void **state)
{
  struct process p;
  process_init(&p, MEMORY, 0);
  p.rest = 620 * MIB;
  sim_run(&p.worker, LOOKS_NS);
  assert_true(memory_full(&p.memory, p.worker.now));
  p.rest = 590 * MIB; /* a little less is not enough, else it would flap */
  sim_run(&p.worker, LOOKS_NS);
  assert_true(memory_full(&p.memory, p.worker.now));
  p.rest = 500 * MIB;
  sim_run(&p.worker, LOOKS_NS);
  assert_false(memory_full(&p.memory, p.worker.now));
  process_end(&p);
}

/* More come between two looks than there is room for. */
static void a_rush(void **state)
{
  struct process p;
  uint64_t n = 0;
  process_init(&p, MEMORY, 0);
  p.rest = 500 * MIB;
  sim_run(&p.worker, LOOKS_NS);
  while (!memory_full(&p.memory, p.worker.now)) {
    assert_true(++n < 10000);
    p.rest += MEMORY_NEWCOMER;
  }
  assert_true(n > 100);
  expect_bound(&p);
  process_end(&p);
}

/* What the allocator keeps is given back, but not all the time, since that takes long. */
static void free_memory_is_given_back(void **state)
{
  struct process p;
  process_init(&p, MEMORY, 0);
  p.kept = 900 * MIB;
  sim_run(&p.worker, MEMORY_TRIM_NS + NS_PER_S);
  assert_int_equal(p.trims, 1);
  assert_true(resident(&p) <= MEMORY);
  for (int i = 0; i < 100; i++) {
    p.kept = 900 * MIB;
    sim_run(&p.worker, 100 * NS_PER_MS);
  }
  assert_in_range(p.trims, 4, 7); /* in ten seconds */
  process_end(&p);
}

/* The cache has no use for what the allocator keeps, so it goes on the cache's account until it is given back. */
static void the_cache_makes_up_for_what_is_kept(void **state)
{
  struct process p;
  process_init(&p, MEMORY, 0);
  p.memory.trimmed = p.worker.now; /* it was just done */
  p.kept = 300 * MIB;
  sim_run(&p.worker, MEMORY_TRIM_NS - NS_PER_S / 2);
  assert_int_equal(p.trims, 0);
  assert_in_range(p.cache.capacity, 300 * MIB, 400 * MIB);
  p.cache.used = p.cache.capacity;
  assert_true(resident(&p) <= MEMORY);
  process_end(&p);
}

static void off(void **state)
{
  struct process p;
  process_init(&p, 0, 100 * MIB);
  p.rest = 10000 * MIB;
  assert_true(timers_next(&p.worker.timers) == TIMERS_NONE);
  assert_false(memory_full(&p.memory, p.worker.now));
  assert_int_equal(p.cache.capacity, 100 * MIB);
  process_end(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_while_there_is_room),
      cmocka_unit_test(the_order),
      cmocka_unit_test(the_last_resort),
      cmocka_unit_test(new_ones_again_when_there_is_room),
      cmocka_unit_test(a_rush),
      cmocka_unit_test(free_memory_is_given_back),
      cmocka_unit_test(the_cache_makes_up_for_what_is_kept),
      cmocka_unit_test(off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
