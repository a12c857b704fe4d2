/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The memory that payload and its metadata may take. Groups that are not the newest of their track are evictable,
 * oldest first; the newest ones (the live edges) go last, those of the publisher that has most first (share.h), of them the
 * least recently written, but those of a few bytes, whose eviction would gain nothing (a catalog), after all others. Before a
 * live edge goes those who write, and have much, are slowed down: the cache is pressed when it is nearly full and holds
 * nothing but live edges (group_pressed). Eviction takes a group out of its
 * track and ends it for everybody (deliveries are dropped, readers see a cut, its producer gets -EPIPE), in O(1) and O(1) a
 * reader, so what the oldest group costs is not paid by others. Its contents are freed as soon as no reader is left, also
 * when a stream still references the group; until then they stay counted in `used`, and in `leaving` as well. */
#pragma once
#include "base/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_SMALL 16384 /* bytes: a live edge of no more than this goes last */
#define CACHE_HEADROOM 8  /* pressed when less than 1 / this of the capacity is free */

struct group;

struct cache {
  size_t capacity;    /* bytes; 0 = no limit */
  size_t used;        /* bytes of all groups that live, by the groups' own accounting */
  size_t leaving;     /* of these, bytes of evicted groups that somebody still references */
  uint64_t evicted;   /* groups taken out by the budget, counter */
  struct list old;    /* struct group.age, oldest first: groups that have a newer one in their track */
  struct list newest; /* struct group.age: the newest of each track, if nobody has it any more */
  struct list small;  /* the newest of each track that are small, whoever has them, least recently written first */
  struct list shares; /* struct share.link: those with large live edges, and some that had some */
  uint32_t holders;   /* of these, those that have groups */
};

void cache_init(struct cache *c, size_t capacity);
void cache_destroy(struct cache *c); /* all groups have gone */

/* Another capacity: evicts what is over. */
void cache_resize(struct cache *c, size_t capacity);

/* Payload bytes of the groups that can be had; the rest of used - leaving is metadata. O(groups). */
size_t cache_payload(const struct cache *c);

/* Evicts until used - leaving <= capacity or nothing is left to evict. Called after every write. */
void cache_trim(struct cache *c);

/* Notes that a live edge was written to. */
void cache_touch(struct cache *c, struct group *g);
/* Nearly full of live edges alone. Never without a capacity. */
bool cache_pressed(const struct cache *c);
/* Evicts live edges until it is not pressed. */
void cache_relieve(struct cache *c);
