/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The memory that payload and its metadata may take. Groups that are not the newest of their track are evictable,
 * oldest first; the newest ones go last. Eviction takes groups out of their tracks in O(1) each; bytes that a slow reader
 * still holds are counted until it lets go. */
#pragma once
#include "base/list.h"
#include <stddef.h>
#include <stdint.h>

struct group;

struct cache {
  size_t capacity;     /* bytes; 0 = no limit */
  size_t used;         /* computed by the groups' own accounting */
  uint64_t evicted;    /* groups taken out by the budget, counter */
  struct list old;     /* struct group.age, oldest first: groups that have a newer one in their track */
  struct list newest;  /* struct group.age: the newest of each track, least recently written first */
};

void cache_init(struct cache *c, size_t capacity);
void cache_destroy(struct cache *c); /* all groups have gone */

/* Evicts until used <= capacity or nothing is left to evict. Called after every write. */
void cache_trim(struct cache *c);
