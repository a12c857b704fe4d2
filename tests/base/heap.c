/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The heap against an array that is searched. */
#include "base/heap.h"
#include "base/rng.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define NODES 300
#define STEPS 30000

static const struct heap_node *smallest(const struct heap_node *nodes)
{
  const struct heap_node *best = NULL;
  for (size_t i = 0; i < NODES; i++) {
    const struct heap_node *n = &nodes[i];
    if (!heap_has(n))
      continue;
    if (!best || n->major < best->major || (n->major == best->major && n->minor < best->minor))
      best = n;
  }
  return best;
}

static void check_top(const struct heap *h, const struct heap_node *nodes)
{
  const struct heap_node *want = smallest(nodes);
  if (!want) {
    assert_null(h->top);
    return;
  }
  assert_non_null(h->top);
  assert_true(h->top->major == want->major && h->top->minor == want->minor);
  assert_true(heap_has(h->top));
}

/* Insertions and removals of any node, in a small range of keys, so that equal ones meet. */
static void random_steps(void **state)
{
  static struct heap_node nodes[NODES];
  uint64_t seed = 7;
  struct rng r = rng_seeded(&seed);
  struct heap h = {0};
  for (int i = 0; i < STEPS; i++) {
    struct heap_node *n = &nodes[rng_below(&r, NODES)];
    /* A phase in which it fills, one in which it drains. */
    bool fill = rng_below(&r, 10) < ((i / 3000) % 2 ? 3 : 7);
    if (heap_has(n) && !fill) {
      heap_remove(&h, n);
      assert_false(heap_has(n));
    } else if (!heap_has(n) && fill) {
      n->major = rng_below(&r, 50);
      n->minor = rng_below(&r, 50);
      heap_insert(&h, n);
    } else if (h.top && rng_below(&r, 8) == 0) {
      heap_remove(&h, h.top);
    }
    check_top(&h, nodes);
  }
}

static void sorts(void **state)
{
  static struct heap_node nodes[NODES];
  uint64_t seed = 8;
  struct rng r = rng_seeded(&seed);
  struct heap h = {0};
  for (size_t i = 0; i < NODES; i++) {
    nodes[i] = (struct heap_node){.major = rng_u64(&r) >> rng_below(&r, 64), .minor = rng_u64(&r)};
    heap_insert(&h, &nodes[i]);
  }
  uint64_t last = 0;
  size_t n = 0;
  for (; h.top && n <= NODES; n++) {
    assert_true(h.top->major >= last);
    last = h.top->major;
    heap_remove(&h, h.top);
  }
  assert_int_equal(n, NODES);
}

static void minor_breaks_ties(void **state)
{
  struct heap h = {0};
  struct heap_node a = {.major = 1, .minor = 9}, b = {.major = 1, .minor = 2};
  heap_insert(&h, &a);
  heap_insert(&h, &b);
  assert_ptr_equal(h.top, &b);
  heap_remove(&h, &b);
  assert_ptr_equal(h.top, &a);
  heap_remove(&h, &a);
  assert_null(h.top);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_steps),
      cmocka_unit_test(sorts),
      cmocka_unit_test(minor_breaks_ties),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
