/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One run of one seed: relays and clients in virtual time, and who directs them. */
#pragma once
#include "base/log.h"
#include "base/rng.h"
#include "ledger.h"
#include "publisher.h"
#include "relay.h"
#include "story.h"
#include "support/sim.h"
#include "viewer.h"
#include "wire.h"

#define RELAYS_MAX 3
#define JOINTS_MAX 3
#define PUBLISHERS_MAX 6 /* the first is the healthy one */
#define VIEWERS_MAX 8    /* the first is the healthy one's */
#define FLOOR_MAX 3      /* of a subscription's first group */

/* What a seed chose once for all. */
struct plan {
  unsigned relays, joints;
  unsigned from, to; /* relays of the healthy pair */
  size_t cache;      /* bytes */
  bool tiny;         /* the cache cannot hold even the live edges */
  bool hops_tell;    /* relays can tell publishers of other relays apart */
  struct model_limits model;
  struct lite_limits lite;
  uint64_t max_age_ms;              /* of all tracks */
  uint64_t answer_ns, subscribe_ns; /* longer than requests may wait */
  uint32_t frame_max;
  uint64_t tempo; /* of what happens: average ns between two actions */
};

struct run {
  struct worker w;
  uint64_t seed, state;
  struct rng rng;
  unsigned long step, steps; /* of the director: now, in all */
  unsigned long turns;       /* of the loop */
  uint64_t hash, events;
  bool trace;
  bool calm;    /* nothing befalls anybody any more */
  bool over;    /* everybody leaves */
  long fail_at; /* the allocation that fails, -1 = none: then anything may be lost, but not leaked or broken */
  struct log log;
  struct actor who; /* the simulation itself */
  struct plan plan;
  struct ledger ledger;
  struct list wires;
  uint64_t sessions, leapt;
  struct relay relays[RELAYS_MAX];
  struct joint joints[JOINTS_MAX];
  struct publisher publishers[PUBLISHERS_MAX];
  struct viewer viewers[VIEWERS_MAX];
  uint64_t spoke[PATHS];   /* ns, when somebody who answers was last there */
  unsigned odd;            /* paths on which somebody has refused, not answered (in time) or ended a track */
  unsigned seen_at[PATHS]; /* relays at which it has been announced, a bit each */
  unsigned lives[PATHS];   /* how many publishers have announced it so far */
  uint64_t got;            /* whole groups, by all viewers */
  uint32_t checked;        /* sendings up to here have reached the healthy viewer */
};

/* Uniform in [0, n); n > 0. */
static inline uint64_t roll(struct run *r, uint64_t n)
{
  return rng_below(&r->rng, n);
}

struct result {
  uint64_t hash, events;
  unsigned long turns;
  uint64_t got;      /* whole groups, by all viewers */
  uint32_t sendings; /* by all publishers */
  bool spared;       /* it ended before the allocation that was to fail */
};

/* Plays a seed. fail_at: the allocation of the product that fails, -1 = none. Returns only when every invariant held. */
struct result run_play(uint64_t seed, unsigned long steps, long fail_at, bool trace);

/* Lets time pass, and checks. */
void run_pass(struct run *r, uint64_t ns);

/* -- director.c -- */
void plan_make(struct plan *p, struct run *r);
void director_begin(struct run *r);
void director_act(struct run *r);
void director_calm(struct run *r);     /* all faults end */
void director_complete(struct run *r); /* every viewer watches something that is there */
void director_leave(struct run *r);    /* somebody leaves; called until nobody is left */
bool director_empty(const struct run *r);

/* -- check.c -- */
void check_turn(struct run *r); /* after every turn of the loop */
void check_step(struct run *r); /* after every step */
void check_calm(struct run *r); /* long after the last fault */
void check_end(struct run *r);  /* everybody has gone */
/* The healthy viewer has got frames of s up to `frames`. */
void check_prompt(const struct run *r, const struct sending *s, uint32_t frames);
/* Whether the healthy pair may miss nothing now. */
bool healthy_counts(const struct run *r);
/* The healthy viewer may lose s (NULL = unknown) by this code. */
bool healthy_excuse(const struct run *r, const struct sending *s, uint64_t code);
