/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* memory.max: what the whole process may take. Looked at in short intervals, and when somebody new comes; nothing is
 * counted up and down for it. When it is reached, in this order,
 *
 *   1. the cache gets what the rest leaves of it: the oldest groups go (cache.h says which);
 *   2. when that is no more than its least share, the sessions for whom most is held are closed;
 *   3. when those do not hold enough either, new sessions are refused, until there is room again.
 *
 *     0            fixed                 target       max
 *     |--------------|===== cache =========|---room----|
 *
 * `fixed` is all but what the cache could evict. The room is for what the allocator keeps beside what it has given out, and
 * for what is added between two looks. Policy alone: what it needs to know and do are ops. Worker's thread. */
#pragma once
#include "base/limits.h"
#include "base/timers.h"
#include "model/cache.h"

#define MEMORY_ROOM 8        /* 1 / this of max stays free */
#define MEMORY_CACHE_LEAST 8 /* 1 / this of the target is the cache's, whatever the rest takes */
#define MEMORY_SPARE 32      /* when sessions are closed, 1 / this of the target more than is missing */
#define MEMORY_EASE 8        /* new sessions are let in again when 1 / this of the target is free */
#define MEMORY_HELD_LEAST                                                                                              \
  ((uint64_t)128 << 10) /* who holds less is not slow; closed only where the room is taken, too */
#define MEMORY_LOOK_NS (100 * NS_PER_MS)
#define MEMORY_REST_NS NS_PER_S          /* between looks when less than half is used */
#define MEMORY_AGAIN_NS (10 * NS_PER_MS) /* between looks that newcomers cause */
#define MEMORY_TRIM_NS (2 * NS_PER_S)    /* between two times that free memory is given back, which takes long */
#define MEMORY_NEWCOMER                                                                                                \
  ((uint64_t)96 << 10) /* bytes that a connection takes until the next look; most is its handshake */

/* What holds memory, in bytes, each computed when it is asked for. */
struct memory_gauges {
  uint64_t max;            /* memory.max; 0 = no bound */
  uint64_t resident;       /* of the process, by the kernel */
  uint64_t allocated;      /* by all of it together, by the allocator; 0 = unknown */
  uint64_t cache_capacity; /* what the cache may take now; 0 = no bound */
  uint64_t cache_payload, cache_metadata;
  uint64_t cache_leaving; /* evicted groups that somebody still reads */
  uint64_t model;         /* paths, broadcasts, routes, tracks */
  uint64_t sessions;      /* sessions, requests, queues, incomplete messages, announcements */
  uint64_t quic;          /* connections, streams, packets that are not acknowledged, bytes out of order */
  uint64_t http;
  uint64_t refusing; /* 1: new sessions are refused */
};

struct memory_ops {
  uint64_t (*resident)(void *ctx);
  uint64_t (*allocated)(void *ctx); /* 0 = unknown */
  /* Closes sessions, those for whom most is held first and none for whom less than `least` is held, until about `bytes`
   * will come back. How many will. */
  uint64_t (*close_slowest)(void *ctx, uint64_t bytes, uint64_t least);
  uint64_t (*spare)(void *ctx); /* resident, free, and given back by `release` */
  void (*release)(void *ctx);   /* gives some of it back */
  void (*trim)(void *ctx);      /* gives back what the allocator keeps, which takes long */
};

struct memory_config {
  uint64_t max;          /* 0 = no bound: then nothing here does anything */
  size_t cache_capacity; /* of the options; 0 = no bound */
  struct cache *cache;
  struct timers *timers;
  const struct log *log;
  struct limits *counts;
  const struct memory_ops *ops;
  void *ctx;
};

struct memory {
  struct memory_config config;
  struct timer timer;
  uint64_t base;   /* what is resident and not the allocator's: program, libraries, stacks */
  uint64_t fixed;  /* at the last look */
  uint64_t begun;  /* estimate of what newcomers have taken since */
  uint64_t looked; /* ns */
  uint64_t trimmed;
  bool refusing;
};

/* Everything in config outlives it. The first look is at once. */
void memory_init(struct memory *m, const struct memory_config *config, uint64_t now);
void memory_destroy(struct memory *m);

/* Somebody new is here: whether it has to be refused. */
bool memory_full(struct memory *m, uint64_t now);
