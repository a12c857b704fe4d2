/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A publisher: announces broadcasts, is asked for tracks, and sends groups, some of which it cuts or damages. */
#pragma once
#include "names.h"
#include "peer.h"

struct publisher {
  struct peer peer;
  unsigned paths;               /* a bit each: what it announces */
  bool mute;                    /* answers no request; SUBSCRIBE when it speaks again */
  uint64_t since;               /* ns, of its session or when it was mute last */
  unsigned life;                /* counts its sessions */
  uint64_t announced[PATHS];    /* ns; 0 = is not announced */
  uint64_t next[PATHS][TRACKS]; /* sequence of the next group */
  struct list jobs;             /* struct job.link: subscriptions to it */
  struct list answers;          /* struct answer.link */
  struct peer_stream *announce; /* the relay's request */
  unsigned long announce_ids[PATHS], announces;
  uint64_t pace;    /* ns between two frames, about */
  uint64_t crowded; /* ns, since when the relay has had too many subscriptions to a track; 0 = it has not */
};

void publisher_init(struct publisher *p, struct run *r, unsigned index);
/* Where it is not there. Its groups begin with `first`. */
void publisher_join(struct publisher *p, struct relay *relay, enum lite_version v, unsigned paths, uint64_t first);
void publisher_announce(struct publisher *p, unsigned path, bool on);
void publisher_mute(struct publisher *p, bool mute);
/* Its announcements end with a reset, for good. */
void publisher_break(struct publisher *p);
/* A track that it is asked for is over, where there is one. */
void publisher_finish(struct publisher *p);
/* How many subscriptions the relay has to one track; the most of all tracks. */
unsigned publisher_asked(const struct publisher *p, unsigned *ret_path);
