/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Intrusive circular lists. A head is a node that belongs to no object; an initialised node that is in no list points at
 * itself, so list_remove may be called twice. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
  struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Walks over a list whose current node may be removed by the body. */
#define list_for_each_safe(it, tmp, head)                                                                              \
  for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

static inline void list_init(struct list *l)
{
  l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
  return l->next == l;
}

/* Inserts n before `at`; with the head as `at` that is the end of the list. */
static inline void list_insert_before(struct list *at, struct list *n)
{
  n->prev = at->prev;
  n->next = at;
  at->prev->next = n;
  at->prev = n;
}

static inline void list_append(struct list *head, struct list *n)
{
  list_insert_before(head, n);
}

static inline void list_prepend(struct list *head, struct list *n)
{
  list_insert_before(head->next, n);
}

static inline void list_remove(struct list *n)
{
  n->prev->next = n->next;
  n->next->prev = n->prev;
  list_init(n);
}
