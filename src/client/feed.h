/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What both ways of publishing share: stdin into a publisher once there is a relay, at the pace of
 * the slowest viewer where that lags far behind, and an orderly end: groups whole, tracks finished,
 * viewers served (bounded in time), broadcast unannounced, session closed. */
#pragma once
#include "client/input.h"
#include "client/program.h"
#include "client/progress.h"
#include "client/publisher.h"

#define FEED_BEHIND_MAX ((size_t)8 << 20) /* reading pauses while a viewer lags behind by more */
#define FEED_END_WAIT (2 * NS_PER_S)      /* at the end, for viewers to come; anew while they still take bytes, */
#define FEED_END_MAX (30 * NS_PER_S)      /* up to that */
#define FEED_STOP_WAIT (500 * NS_PER_MS)  /* after a signal, in all */

struct feed;

struct feed_ops {
  /* Adds tracks to feed->publisher, which has just been made. 0, or a negative errno after telling
   * why. */
  int (*begin)(struct feed *f);
  /* Bytes of stdin, in order. As begin. */
  int (*data)(struct feed *f, struct slice data);
  /* Their end. As begin. */
  int (*end)(struct feed *f);
};

/* Embedded by its owner; zero-initialise. */
struct feed {
  struct program program;
  const struct feed_ops *ops;
  struct publisher *publisher; /* NULL before feed_announce and at the very end */
  struct input input;
  struct timer timer; /* resumes reading, looks whether the end may come */
  const char *broadcast;
  uint64_t began;                    /* ns, the first byte; 0 = none yet */
  uint64_t give_up_at, give_up_last; /* ns, once ending; the former moves on with what viewers take, up to the latter */
  size_t left;                       /* what the slowest had to get at the last look */
  uint64_t quiet_since;
  bool reading, ending, leaving;
  struct progress_rate rate;
};

/* Announces the broadcast: sets f->publisher, whose tracks are to be added in the same turn, since
 * viewers of another publisher of that path may move to this one at once. 0, or a negative errno
 * after telling why. */
int feed_announce(struct feed *f);

/* Runs the whole of it. The exit code. */
int feed_run(struct feed *f, const struct feed_ops *ops, const struct connection_options *options, const char *url,
             const char *broadcast);
