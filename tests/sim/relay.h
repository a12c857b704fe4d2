/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Relays: the real model and real sessions, and joints between them, over which each subscribes to what the other has. */
#pragma once
#include "model/origin.h"
#include "net/worker.h"
#include "session/lite/session.h"
#include "story.h"
#include "wire.h"

struct relay {
  struct actor who;
  struct run *run;
  struct model model;
  struct origin *origin;
  struct deferred work;
  struct lite_env env, env_joint; /* for clients; for other relays */
  uint64_t seed;
  struct list ends; /* struct relay_end.link */
};

void relay_init(struct relay *r, struct run *run, unsigned index);
/* All sessions have ended. */
void relay_destroy(struct relay *r);
/* A client's session at the relay. */
void relay_accept(struct relay *r, struct transport *t, enum lite_version v);
/* Asks the index-th session to leave, where there is one and its version can; peers pay no heed. */
void relay_goaway(struct relay *r, unsigned index);
/* Checks that every gauge is at zero; `what` says when. */
void relay_check_empty(const struct relay *r);

/* Two relays that are joined: a dials b. */
struct joint {
  struct actor who;
  struct run *run;
  struct relay *a, *b;
  struct wire *wire; /* NULL while down */
  enum lite_version version;
  bool good;
  unsigned ends; /* of its session that are up */
};

void joint_init(struct joint *j, struct run *run, unsigned index, struct relay *a, struct relay *b, enum lite_version v,
                bool good);
bool joint_up(const struct joint *j);
/* When it is down. */
void joint_dial(struct joint *j);
void joint_close(struct joint *j);
