/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/cache.h"
#include "model/private.h"
#include <assert.h>

void cache_init(struct cache *c, size_t capacity)
{
  *c = (struct cache){.capacity = capacity};
  list_init(&c->old);
  list_init(&c->newest);
  list_init(&c->small);
  list_init(&c->shares);
}

void cache_destroy(struct cache *c)
{
  assert(c->used == 0 && list_empty(&c->old) && list_empty(&c->newest) && list_empty(&c->small));
  assert(c->holders == 0 && list_empty(&c->shares));
}

static struct group *next_victim(struct cache *c)
{
  const struct list *from = !list_empty(&c->old) ? &c->old : &c->newest;
  struct share *largest = list_empty(from) ? share_largest(c) : NULL;
  if (largest)
    from = &largest->edges;
  else if (list_empty(from))
    from = &c->small;
  return list_empty(from) ? NULL : container_of(from->next, struct group, age);
}

static void evict(struct group *g)
{
  struct track *t = g->track;
  group_ref(g);
  if (t && g->sequence >= t->evicted_below)
    t->evicted_below = g->sequence + 1;
  track_forget(g);
  group_evict(g);
  group_unref(g);
}

void cache_trim(struct cache *c)
{
  while (c->capacity > 0 && c->used - c->leaving > c->capacity) {
    struct group *g = next_victim(c);
    if (!g)
      return;
    evict(g);
  }
}

void cache_resize(struct cache *c, size_t capacity)
{
  c->capacity = capacity;
  cache_trim(c);
}

static size_t payload_of(const struct list *groups)
{
  size_t n = 0;
  list_for_each (it, groups) {
    list_for_each (sub, &container_of(it, struct group, age)->subgroups)
      n += container_of(sub, struct subgroup, link)->received;
  }
  return n;
}

size_t cache_payload(const struct cache *c)
{
  size_t n = payload_of(&c->old) + payload_of(&c->newest) + payload_of(&c->small);
  list_for_each (it, &c->shares)
    n += payload_of(&container_of(it, struct share, link)->edges);
  return n;
}

void cache_touch(struct cache *c, struct group *g)
{
  list_remove(&g->age);
  if (g->bytes > CACHE_SMALL && g->share)
    share_edge(g->share, &g->age);
  else
    list_append(g->bytes > CACHE_SMALL ? &c->newest : &c->small, &g->age);
}

bool cache_pressed(const struct cache *c)
{
  if (c->capacity == 0 || !list_empty(&c->old))
    return false;
  return c->used - c->leaving > c->capacity - c->capacity / CACHE_HEADROOM;
}

void cache_relieve(struct cache *c)
{
  struct group *g;
  while (cache_pressed(c) && (g = next_victim(c)) != NULL)
    evict(g);
}
