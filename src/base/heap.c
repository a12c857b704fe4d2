/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/heap.h"
#include <assert.h>

static bool before(const struct heap_node *a, const struct heap_node *b)
{
  if (a->major != b->major)
    return a->major < b->major;
  return a->minor != b->minor ? a->minor < b->minor : a->tie < b->tie;
}

/* Makes the larger of two roots the first child of the smaller; returns the smaller, detached. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
  if (before(b, a)) {
    struct heap_node *t = a;
    a = b;
    b = t;
  }
  b->next = a->child;
  if (b->next)
    b->next->link = &b->next;
  a->child = b;
  b->link = &a->child;
  a->next = NULL;
  return a;
}

/* Two passes over a list of siblings: pair them up from the left, then meld the pairs from the right. */
static struct heap_node *merge_pairs(struct heap_node *first)
{
  struct heap_node *stack = NULL, *root = NULL;
  while (first) {
    struct heap_node *a = first, *b = a->next;
    first = b ? b->next : NULL;
    a->next = NULL;
    if (b) {
      b->next = NULL;
      a = meld(a, b);
    }
    a->next = stack;
    stack = a;
  }
  while (stack) {
    struct heap_node *a = stack;
    stack = a->next;
    a->next = NULL;
    root = root ? meld(root, a) : a;
  }
  return root;
}

static void set_top(struct heap *h, struct heap_node *n)
{
  h->top = n;
  if (n) {
    n->next = NULL;
    n->link = &h->top;
  }
}

void heap_insert(struct heap *h, struct heap_node *n)
{
  assert(!heap_has(n));
  n->child = n->next = NULL;
  set_top(h, h->top ? meld(h->top, n) : n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
  assert(heap_has(n));
  bool was_top = h->top == n;
  *n->link = n->next;
  if (n->next)
    n->next->link = n->link;
  struct heap_node *rest = merge_pairs(n->child);
  n->child = n->next = NULL;
  n->link = NULL;
  if (was_top)
    set_top(h, rest);
  else if (rest)
    set_top(h, meld(h->top, rest));
}
