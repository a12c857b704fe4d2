/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Inside of tracks, routes and the tree of paths. */
#pragma once
#include "model/group_private.h"
#include "model/names.h"
#include "model/origin.h"

/* -- the tree: one node a path part, kept while something is at or below it -- */

struct node {
  struct name name; /* parent: the node above; s: the part */
  struct node *parent;
  struct list children, link;
  struct list watches; /* struct watch.link, of this prefix */
  struct broadcast *broadcast;
  uint8_t part[]; /* name.s */
};

struct origin {
  struct model *model;
  struct names nodes, shares;
  struct node *root;
  uint64_t next_id;
  bool notifying; /* watchers are being called: they may not change the tree */
};

struct watch {
  struct origin *origin;
  struct node *node;
  struct list link;
  struct path prefix;
  const struct watch_ops *ops;
  void *ctx;
};

struct route {
  struct broadcast *broadcast;
  struct list link;
  struct route_info info;
  const struct source_ops *ops;
  void *source;
  struct share *share; /* what it publishes is counted there */
  uint64_t serial;  /* rises with arrival */
  uint64_t version; /* of its info */
};

struct route *broadcast_active(const struct broadcast *b); /* NULL while lingering without one */
/* What is to serve the track; NULL = nothing now. */
struct route *track_best(const struct track *t);

/* -- tracks -- */

/* t->route is another one (or there is none). old_alive: the source so far may still be
 * called. */
void track_rerouted(struct track *t, bool old_alive, uint64_t now);
/* Its broadcast goes. False when there is nothing that its source could finish. */
bool track_part(struct track *t, uint64_t now);
/* Ends a track; tells its source when it did not say so itself. */
void track_end(struct track *t, uint64_t code, bool tell_source, uint64_t now);
/* Brings the upstream side in line with what is wanted: subscribes, lingers. */
void track_settle(struct track *t, uint64_t now);
/* The one that avoids `avoid`, see broadcast_track_around. */
struct track *track_get(struct broadcast *b, struct slice name, uint64_t avoid);
void track_ask_info(struct track *t);
/* The source has not answered, or said no. False when there is no other to ask. */
bool track_try_next(struct track *t, bool tell_source, uint64_t now);
/* Something that the source sent has shown that the track is there. */
void track_check_live(struct track *t);
void track_on_age(struct timer *timer, uint64_t now);
void track_on_finish(struct timer *timer, uint64_t now);
/* What viewers want has changed: tell upstream, not too often. */
void track_wants_changed(struct track *t, uint64_t now);
void track_purge(struct track *t); /* forgets all groups */
struct group *track_find(const struct track *t, uint64_t sequence);

static inline struct route *track_route(const struct track *t)
{
  return t->broadcast ? t->route : NULL;
}

bool route_through(const struct route_info *info, uint64_t hop); /* false for 0 */

/* -- viewers (sub.c) -- */

/* The track goes to another route, which did not ask around its viewers: those that it came through end. */
void track_end_circles(struct track *t);

void sub_schedule(struct sub *s);
void sub_run(struct sub *s, uint64_t now);
void track_schedule_subs(struct track *t);
/* The union of what the viewers want. */
void track_union(const struct track *t, struct sub_params *ret_wanted);

/* Gives g to the viewer. */
void sub_deliver(struct sub *s, struct group *g, uint64_t now);

/* -- what lies before the cache (look_back.c) -- */

/* Where the viewer starts is known. */
void look_back_begin(struct sub *s);
/* Whether a group with that number, here or to come, is for looking back and for nothing else. */
bool look_back_has(const struct sub *s, uint64_t sequence);
/* Goes on looking back as far as that is possible now. From sub_run; the viewer may close. */
void look_back_run(struct sub *s, uint64_t now);
/* Something was read of g, or a delivery of it has ended. */
void look_back_moved(struct sub *s, const struct group *g);
/* Whether older groups may still come. */
bool look_back_busy(const struct sub *s);
void look_back_stop(struct sub *s, uint64_t now);

/* -- waiting (fetch.c) -- */

void waiters_answer(struct track *t, const struct track_info *info, uint64_t code);
/* Gives g to whoever waits for it. */
void fetches_answer(struct track *t, struct group *g);
/* Those who asked for a number, and with latest_too also those who wait for a new group. */
void fetches_fail(struct track *t, bool latest_too, uint64_t code);
bool fetch_pending(const struct track *t, uint64_t sequence);
void fetch_run_failed(struct model *m);

/* -- small things -- */

static inline uint64_t add_sat(uint64_t a, uint64_t b)
{
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t ms_to_ns(uint64_t ms)
{
  return ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : ms * NS_PER_MS;
}

static inline void model_saw(struct model *m, uint64_t now)
{
  if (now > m->now)
    m->now = now;
}

/* Moves all of `from` to the empty, initialised list `to`. */
static inline void list_move_all(struct list *from, struct list *to)
{
  if (list_empty(from))
    return;
  list_insert_before(from->next, to);
  list_remove(from);
}
