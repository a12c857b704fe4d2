/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A model in virtual time with a fake publisher and fake viewers, for the tests of src/model. */
#pragma once
#include "base/varint.h"
#include "model/private.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* As moq-lite 05 and later frame objects: zigzag delta of the timestamp, length. */
extern const struct framing world_framing;
/* Length only. */
extern const struct framing world_plain;

struct world {
  struct timers timers;
  uint64_t now, seed;
  unsigned deferred;
  struct model model;
  struct origin *origin;
};

void world_init(struct world *w, size_t cache);
void world_destroy(struct world *w); /* checks that every gauge is at zero */
/* A turn of the loop: what was deferred. */
void world_turn(struct world *w);
/* Lets time pass, timer by timer. */
void world_pass(struct world *w, uint64_t ms);

/* -- publisher -- */

struct publisher {
  struct world *world;
  struct route *route;
  struct track *track; /* the one asked for last */
  unsigned infos, subscribes, updates, unsubscribes, fetches;
  struct sub_params wanted;
  uint64_t fetched;
  bool silent; /* does not answer info */
  bool no_fetch;
  bool parts;
  struct track_info info;
  uint64_t refuse;                      /* not 0: tracks are closed with this code */
  bool watched;                         /* between subscribe and unsubscribe */
  void (*stopped)(struct publisher *p); /* unsubscribe, may be NULL */
};

extern const struct source_ops world_source;
struct route_info world_local(void);
void publisher_start(struct publisher *p, struct world *w, const char *path);
/* After a clean publisher_stop this one goes on with the tracks that are watched (source_ops.parts). */
void publisher_start_parting(struct publisher *p, struct world *w, const char *path);
void publisher_stop(struct publisher *p, bool clean);

/* Begins a group, puts a whole frame in, begins a frame. */
struct group *begin(struct publisher *p, uint64_t sequence);
void frame(struct group *g, const char *text);
void finish(struct group *g); /* and gives the reference back */
void whole(struct publisher *p, uint64_t sequence, const char *text);

/* -- viewer -- */

#define VIEWER_GROUPS 64

struct seen {
  uint64_t sequence, code;
  bool fin, cut, dropped;
  char text[512]; /* the payloads of all frames, each followed by a space */
};

struct viewer {
  struct sub sub;
  struct world *world;
  struct track *track;
  bool stalled, holding; /* takes nothing; takes all but is not done */
  bool close_on_group, close_on_drop;
  struct seen seen[VIEWER_GROUPS];
  unsigned groups, drops, wakes, ends, datagrams;
  uint64_t drop_code, end_code, final, datagram;
  bool finished;
};

struct sub_params world_params(void); /* from the newest, max age 0, no end */
void viewer_join(struct viewer *v, struct world *w, const char *path, const char *track, struct sub_params params);
void viewer_leave(struct viewer *v);
void viewer_go_on(struct viewer *v); /* after stalled or holding */
/* "0:a b |1:c " - the groups in the order they came; fin is shown as '|' and missing otherwise. */
const char *viewer_text(const struct viewer *v);

struct track *world_track(struct world *w, const char *path, const char *name);
