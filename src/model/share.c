/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/share.h"
#include <assert.h>
#include <stdlib.h>

static struct share *share_new(struct names *names, struct cache *c, const void *key)
{
  struct share *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  s->names = names;
  s->cache = c;
  s->name.parent = key;
  list_init(&s->edges);
  list_init(&s->link);
  names_add(names, &s->name);
  return s;
}

static void free_unused(struct share *s)
{
  if (s->routes > 0 || s->groups > 0)
    return;
  assert(s->used == 0 && list_empty(&s->edges));
  list_remove(&s->link);
  free(s);
}

struct share *share_take(struct names *names, struct cache *c, const void *key)
{
  struct name *n = names_find(names, key, slice_of(NULL, 0));
  struct share *s = n ? container_of(n, struct share, name) : share_new(names, c, key);
  if (s)
    s->routes++;
  return s;
}

void share_release(struct share *s)
{
  assert(s->routes > 0);
  if (--s->routes > 0)
    return;
  names_remove(s->names, &s->name); /* its groups may outlive it; somebody else may get its key */
  free_unused(s);
}

void share_charge(struct share *s, size_t n)
{
  if (!s || n == 0)
    return;
  if (s->used == 0)
    s->cache->holders++;
  s->used += n;
}

void share_uncharge(struct share *s, size_t n)
{
  if (!s || n == 0)
    return;
  assert(s->used >= n);
  s->used -= n;
  if (s->used == 0)
    s->cache->holders--;
}

void share_join(struct share *s, size_t n)
{
  if (!s)
    return;
  s->groups++;
  share_charge(s, n);
}

void share_leave(struct share *s, size_t n)
{
  if (!s)
    return;
  share_uncharge(s, n);
  s->groups--;
  free_unused(s);
}

void share_edge(struct share *s, struct list *age)
{
  list_append(&s->edges, age);
  if (list_empty(&s->link))
    list_append(&s->cache->shares, &s->link);
}

struct share *share_largest(struct cache *c)
{
  struct share *found = NULL;
  list_for_each_safe (it, tmp, &c->shares) {
    struct share *s = container_of(it, struct share, link);
    if (list_empty(&s->edges))
      list_remove(&s->link);
    else if (!found || s->used > found->used)
      found = s;
  }
  return found;
}

bool share_is_large(const struct share *s)
{
  return s && s->cache->holders > 0 &&
         s->used > (s->cache->capacity - s->cache->capacity / CACHE_HEADROOM) / s->cache->holders;
}
