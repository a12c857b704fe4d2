/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/cache.h"
#include "model/group_private.h"
#include <assert.h>

void cache_init(struct cache *c, size_t capacity)
{
  *c = (struct cache){.capacity = capacity};
  list_init(&c->old);
  list_init(&c->newest);
}

void cache_destroy(struct cache *c)
{
  assert(c->used == 0 && list_empty(&c->old) && list_empty(&c->newest));
}

static struct group *next_victim(struct cache *c)
{
  struct list *from = list_empty(&c->old) ? &c->newest : &c->old;
  return list_empty(from) ? NULL : container_of(from->next, struct group, age);
}

void cache_trim(struct cache *c)
{
  while (c->capacity > 0 && c->used - c->leaving > c->capacity) {
    struct group *g = next_victim(c);
    if (!g)
      return;
    group_ref(g);
    track_forget(g);
    group_evict(g);
    group_unref(g);
  }
}
