/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The origin: a tree of announced broadcasts by path. Publishers add routes, viewers watch prefixes and find tracks.
 *
 * Several routes may serve a path; one comparator (route_before) orders them and the first is active: lower cost, local
 * before remote; among remote ones fewer hops, deterministic tie-break (origin hop id); among local ones, however old
 * their protocol makes their hops look, the newest, or the oldest with limits.takeover = TAKEOVER_NEVER. When the active
 * one leaves, the next resumes; tracks move to it without their viewers noticing, except that group numbers are kept
 * rising (track.base). An abrupt loss of the last route lingers (limits.linger_ns) before the path is withdrawn.
 *
 * Many sessions share one origin; each sees it through a scope (model/scope.h), which adds and strips the session's root. */
#pragma once
#include "base/limits.h"
#include "base/path.h"
#include "base/rng.h"
#include "model/track.h"

#define HOPS_MAX 32

/* What a further local publisher of a path means. */
enum takeover {
  TAKEOVER_NEWEST, /* it serves from now on */
  TAKEOVER_NEVER,  /* it waits until those before it have left */
};

/* Every bound of the model. */
struct model_limits {
  uint32_t broadcasts;           /* paths in all, 100000 */
  uint32_t routes_per_path;      /* 16 */
  uint32_t tracks_per_broadcast; /* 1024 */
  uint32_t tracks;               /* in all, 100000 */
  uint32_t subs_per_track;       /* 100000 */
  uint32_t subs;                 /* in all, 200000 */
  uint32_t objects_per_group;    /* 8192 */
  uint64_t bytes_per_group;      /* 32 MiB */
  uint64_t bytes_per_object;     /* 32 MiB */
  uint32_t groups_per_track;     /* cached, 1024 */
  uint64_t max_age_ns;           /* cap on a track's own cache window, 30 s */
  uint64_t sub_behind_bytes;     /* a viewer further behind skips ahead, 64 MiB */
  uint32_t look_back;            /* groups fetched upstream for a viewer that begins before the cache, 64 */
  uint32_t deliveries_per_sub;   /* groups under way to one viewer; above it skips ahead, 1024 */
  uint64_t info_timeout_ns;      /* 10 s: TRACK_INFO or first answer from upstream */
  uint64_t fetch_timeout_ns;     /* 10 s */
  uint64_t track_linger_ns;      /* upstream subscription after the last viewer, 2 s */
  enum takeover takeover;
  uint64_t linger_ns;   /* a path after an abrupt loss, 5 s */
  uint64_t pressure_ns; /* how long publishers are held up before a live edge is evicted, 1 s */
  uint64_t parting_ns;  /* what has been unannounced may still be finished, 5 s */
  uint64_t handover_ns; /* added to every max age: time to finish a group after the next has begun, 1 s */
};
void model_limits_default(struct model_limits *ret_limits);

/* Services the model runs on; owned by the caller, outlives every origin. */
struct model {
  struct timers *timers;
  struct rng rng;
  struct model_limits limits;
  struct cache cache;
  struct chunk_pool chunks; /* payload of groups */
  struct limits *counts; /* hears of limits that are reached; may be NULL */
  uint64_t hop_id;   /* ours, 1 .. 2^53 - 1 */
  bool asks_history; /* upstream subscriptions begin where viewers want to, not with the newest group: for a
                                   client, which has no cache that others filled */
  /* Asks that model_run be called at the end of this turn (once is enough). */
  void (*defer)(void *ctx);
  void *ctx;
  struct list pending; /* subs with work for model_run */
  struct list failed;  /* fetches to be answered by model_run */
  struct list pressed; /* struct pressure_wait.link */
  struct timer pressure_timer;
  struct sub *running;                           /* the sub that is being called; NULL once it has closed */
  uint64_t now;                                  /* of the latest call that knew */
  uint64_t broadcasts_now, tracks_now, subs_now; /* gauges */
};
void model_init(struct model *m, struct timers *timers, struct rng rng, size_t cache_capacity, void (*defer)(void *),
                void *ctx);
void model_destroy(struct model *m);
/* Bytes of paths, broadcasts, routes and tracks, at what they cost typically: one route a broadcast, names of some length. */
size_t model_memory(const struct model *m);

/* Delivers what sub_open and new groups left pending. */
void model_run(struct model *m, uint64_t now);

/* -- pressure: those who write are slowed down before live edges are evicted -- */

/* Somebody who writes groups and has stopped taking more in. Embedded; link initialised with list_init. */
struct pressure_wait {
  struct list link;
  void (*over)(struct pressure_wait *w); /* once: go on */
};
/* Whether the cache is nearly full and holds nothing but live edges. */
bool model_pressed(const struct model *m);
/* Whether who writes g should wait: so it is, and that publisher has more of it than if all had the same. */
bool group_pressed(const struct group *g);
/* Waits until it is not, for at most limits.pressure_ns: then live edges are evicted, the least recently written first. No
 * effect when it waits already. `over` comes from model_run or timers_run. */
void model_wait_pressure(struct model *m, struct pressure_wait *w, uint64_t now);
static inline void pressure_wait_cancel(struct pressure_wait *w)
{
  list_remove(&w->link);
}

struct origin;
struct origin *origin_new(struct model *m);
void origin_free(struct origin *o); /* all routes, watches and subs have gone */

/* -- publishing -- */

struct route_info {
  uint64_t hops[HOPS_MAX]; /* origin publisher first, without ours; 0 = unknown */
  uint8_t hop_count;
  uint64_t warm, cold; /* cost, the link's included */
  bool local;          /* a publisher, not another relay */
};

struct route; /* one publisher of one path */

/* The order of routes; struct route is in model/private.h. Exposed for tests and status pages. */
bool route_before(const struct route *a, const struct route *b, enum takeover takeover);

/* Adds a route; watchers hear of it at once. Errors: -EUSERS (limits), -ENOMEM, -ELOOP (hops hold our own hop_id). */
int route_add(struct origin *o, struct slice path, const struct route_info *info, const struct source_ops *ops,
              void *source, uint64_t now, struct route **ret_route);
int route_update(struct route *r, const struct route_info *info, uint64_t now);
/* clean: unannounced, immediate; else the source was lost and the path lingers if this was the last route. Tracks that
 * this route served move to the next route or end. The route is freed; its source is not called any more. */
void route_remove(struct route *r, bool clean, uint64_t now);

/* -- watching -- */

struct broadcast { /* read-only outside the model */
  struct model *model;
  struct origin *origin;
  struct path path;
  struct list routes; /* struct route, best first; the first is active */
  struct list tracks;
  uint64_t id; /* rises with each announcement, unique per origin */
  /* the model's own */
  uint32_t route_n, track_n;
  struct timer linger;
  struct node *node;
};
/* The active route's info; NULL while lingering without one. */
const struct route_info *broadcast_route(const struct broadcast *b);
/* The best route's info that did not come through `hop` (0 = whatever): what may be told to that hop, and what serves it.
 * NULL when there is none. *ret_version (may be NULL) differs whenever the route or its info does. */
const struct route_info *broadcast_route_around(const struct broadcast *b, uint64_t hop, uint64_t *ret_version);
/* The source pointer of the active route, to keep a publisher from being offered its own; NULL while lingering. */
void *broadcast_source(const struct broadcast *b);

struct watch_ops {
  /* A broadcast under the prefix is there. suffix: its path below the prefix, borrowed. */
  void (*added)(void *ctx, struct broadcast *b, struct slice suffix);
  /* Its routes changed: the active one, or one that may be active for a watcher that asks around a hop. */
  void (*changed)(void *ctx, struct broadcast *b, struct slice suffix);
  void (*removed)(void *ctx, struct broadcast *b, struct slice suffix);
};
struct watch;
/* Calls `added` for everything that is there, in path order, before it returns; later changes as they happen (from inside
 * route_add and so on: only note and schedule). Callbacks may not add or remove watches or routes. */
int watch_new(struct origin *o, struct slice prefix, const struct watch_ops *ops, void *ctx, struct watch **ret_watch);
void watch_free(struct watch *w); /* NULL is fine */

/* -- finding -- */

/* The broadcast at exactly `path`, announced or lingering; NULL if none. Borrowed until it is removed. */
struct broadcast *origin_find(struct origin *o, struct slice path);
/* The track, made when it is not there (IDLE); a reference goes to the caller. NULL: limits or no memory (errno). */
struct track *broadcast_track(struct broadcast *b, struct slice name);
/* The same for somebody who is reached through `hop` (0 = unknown): when the active route came through it, a track of its
 * own that is never served from there. ENOENT when every route came through it. */
struct track *broadcast_track_around(struct broadcast *b, struct slice name, uint64_t hop);
