/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What one publisher has in the cache: the bytes of its groups that have not been evicted, and its live edges. When memory
 * is short, who has most gives way first. There is one for each source of local routes, however many broadcasts it
 * announces; another relay stands for many publishers, so each of its routes has one of its own. */
#pragma once
#include "model/cache.h"
#include "model/names.h"

struct share {
  struct name name; /* in origin.shares while a route has it; parent: the source or route */
  struct names *names;
  struct cache *cache;
  struct list link;        /* cache.shares, since it last had edges */
  struct list edges;       /* struct group.age: the newest of each track, if not small; least recently written first */
  size_t used;             /* bytes of its groups */
  uint32_t routes, groups; /* that have it */
};

/* The one of that key, for a route more; made when it is not there. NULL without memory. */
struct share *share_take(struct names *names, struct cache *c, const void *key);
void share_release(struct share *s); /* a route less */

/* A group of n bytes more, or less; NULL is nobody's. */
void share_join(struct share *s, size_t n);
void share_leave(struct share *s, size_t n);
void share_charge(struct share *s, size_t n);
void share_uncharge(struct share *s, size_t n);

/* `age` is that of a large live edge of its. */
void share_edge(struct share *s, struct list *age);
/* Who has most, of those that have a large live edge; NULL = nobody. O(those), and once those that had one: there may be many
 * more that have none. */
struct share *share_largest(struct cache *c);
/* Whether it has more than it would if all had the same. False for nobody's. */
bool share_is_large(const struct share *s);
