/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Follows one track of a broadcast as a sequence of whole frames in order: waits for the broadcast
 * to be announced, subscribes, puts groups that overtook each other back in order, and subscribes
 * anew when the broadcast comes back after it was lost. Frames are pulled: what is not taken stays
 * where it is, within the model's bounds. One worker's thread. */
#pragma once
#include "model/origin.h"
#include "net/worker.h"

struct viewer;

/* How long frames wait for groups that are missing before them. */
#define VIEWER_START_WAIT (300 * NS_PER_MS) /* at the beginning: older ones may be on their way */
#define VIEWER_GAP_WAIT (3 * NS_PER_S)      /* later, or max_age if that is less */

struct viewer_frame {
  uint64_t group, index; /* sequence; of the frame in it, 0 begins a group */
  uint64_t timestamp;    /* of the MoQ frame, in the track's timescale */
  struct slice payload;  /* borrowed until viewer_take or the next turn */
};

struct viewer_events {
  /* There may be something to take, or the end was reached. From the end of a turn, never from
   * inside another call. */
  void (*ready)(void *ctx, struct viewer *v);
  /* It is subscribed; the broadcast has gone and is waited for; for the user's information. May be
   * NULL. */
  void (*found)(void *ctx, struct viewer *v);
  void (*lost)(void *ctx, struct viewer *v, uint64_t code);
};

struct viewer_config {
  struct worker *worker;
  struct origin *origin;
  struct slice path;  /* of the broadcast */
  struct slice track; /* its name */
  uint8_t priority;
  uint64_t max_age_ms; /* how far back to begin, and how late a group may be */
  bool once;           /* the end of the broadcast is the end; so is always a track that never was there */
  const struct viewer_events *events;
  void *ctx;
};

struct viewer_stats {
  uint64_t groups, frames, bytes;
  uint64_t dropped; /* groups that are missing, or ended before they were whole */
};

/* Copies path and name. 0, -EINVAL, -ENAMETOOLONG, -ENOMEM. */
int viewer_new(const struct viewer_config *config, struct viewer **ret_v);

/* The next frame, when it is there whole. */
bool viewer_peek(struct viewer *v, struct viewer_frame *ret_frame);
/* Takes the frame that viewer_peek showed. */
void viewer_take(struct viewer *v);

/* Whether the track is over and everything was taken. *ret_code: 0 = the publisher finished it,
 * else why it broke. */
bool viewer_done(const struct viewer *v, uint64_t *ret_code);

void viewer_stats(const struct viewer *v, struct viewer_stats *ret_stats);
void viewer_free(struct viewer *v); /* NULL is fine */
