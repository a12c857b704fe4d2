/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An intrusive pairing heap: no allocation, O(1) insert, amortised O(log n) removal of any node. Nodes are compared by
 * (major, minor, tie); the smallest is the top. Owners who need equals to take turns count `tie` up at each insertion,
 * others leave it 0 and get equals in any order. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
  uint64_t major, minor, tie;
  struct heap_node *child, *next, **link; /* link: the pointer that points here; NULL when in no heap */
};

struct heap {
  struct heap_node *top;
};

static inline bool heap_has(const struct heap_node *n)
{
  return n->link != NULL;
}

/* n must be in no heap. */
void heap_insert(struct heap *h, struct heap_node *n);

/* n must be in h. */
void heap_remove(struct heap *h, struct heap_node *n);
