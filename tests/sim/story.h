/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What happens in a run, as events: each goes into the run's hash, by which two runs of a seed are compared, and with
 * --trace becomes a line. And the end of a run that breaks an invariant. */
#pragma once
#include <stdint.h>

struct run;

enum actor_kind { ACTOR_SIM, ACTOR_RELAY, ACTOR_JOINT, ACTOR_PUBLISHER, ACTOR_VIEWER };

struct actor {
  enum actor_kind kind;
  unsigned index;
  int version; /* enum lite_version, -1 = none */
};

/* One row each in story.c: the word and what its arguments are. */
enum event {
  EV_PLAN,
  EV_JOIN,
  EV_READY,
  EV_CLOSE,
  EV_KILL,
  EV_CUT,
  EV_CLOSED,
  EV_GOAWAY,
  EV_ANNOUNCE,
  EV_UNANNOUNCE,
  EV_BREAK,
  EV_MUTE,
  EV_SPEAK,
  EV_ASKED,
  EV_UNASKED,
  EV_BEGIN,
  EV_FRAME,
  EV_WHOLE,
  EV_RESET,
  EV_DAMAGE,
  EV_DATAGRAM,
  EV_FINISH,
  EV_ANSWER,
  EV_REFUSE,
  EV_LIST,
  EV_UNLIST,
  EV_ADDED,
  EV_REMOVED,
  EV_SUBSCRIBE,
  EV_UPDATE,
  EV_UNSUBSCRIBE,
  EV_SUB_OK,
  EV_SUB_END,
  EV_SUB_RESET,
  EV_TRACK,
  EV_TRACK_INFO,
  EV_TRACK_RESET,
  EV_FETCH,
  EV_FETCHED,
  EV_FETCH_RESET,
  EV_GROUP,
  EV_GOT,
  EV_LOST,
  EV_GOT_DATAGRAM,
  EV_STALL,
  EV_GO_ON,
  EV_STOP,
  EV_HALF,
  EV_BLACKOUT,
  EV_LIGHT,
  EV_LEAP,
  EV_CALM,
  EV_VERIFY,
  EV_LEAVE_ALL,
  EV_END,
  EVENTS
};

#define TELL_MAX 4
#define tell(run, who, event, ...) story_tell(run, who, event, (const uint64_t[TELL_MAX]){__VA_ARGS__})
void story_tell(struct run *r, const struct actor *who, enum event e, const uint64_t arg[TELL_MAX]);

/* An invariant does not hold: says which, where, and how to replay it; ends the process with status 1. */
_Noreturn void broken(const struct run *r, const struct actor *who, const char *invariant, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A crash or an abort says its seed as well: from here on it is this run's, NULL = none. */
void story_guard(const struct run *r);
