/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A viewer: lists announcements, subscribes, fetches, and checks every byte that it gets. */
#pragma once
#include "ledger.h"
#include "names.h"
#include "peer.h"

/* A subscription, kept for the viewer's session: late groups are checked against it. */
struct watching {
  struct list link;
  struct viewer *viewer;
  struct peer_stream *request; /* NULL once gone */
  uint64_t id;
  uint8_t path, track;
  bool left;     /* by us */
  bool over;     /* no more groups begin */
  bool resolved; /* it was answered in any way */
  bool bounded;  /* it has asked for an end at least once */
  uint64_t since;
  uint64_t newest; /* ns, when the newest sending that came whole was begun */
  const struct sending *last;
  struct seen {
    uint64_t sequence;
    uint32_t sending; /* UINT32_MAX = not known */
  } * seen;
  uint32_t seen_n, seen_cap;
};

/* An announce stream. */
struct listing {
  struct list link;
  struct viewer *viewer;
  struct peer_stream *request;
  unsigned prefix;
  bool open;
  unsigned active; /* paths, a bit each */
  uint8_t *ids;    /* Announce IDs: their paths */
  uint32_t id_n, id_cap;
};

/* TRACK or FETCH. */
struct asking {
  struct list link;
  struct viewer *viewer;
  struct peer_stream *request;
  uint8_t path, track;
  bool fetch, answered;
  uint64_t group, since;
  struct frame_check frames;
};

struct viewer {
  struct peer peer;
  uint64_t next_id;
  struct list watching, listings, asking;
  unsigned watching_n;
};

enum watch_kind { WATCH_LATEST, WATCH_BACK, WATCH_BOUNDED, WATCH_KINDS };

void viewer_init(struct viewer *v, struct run *r, unsigned index);
void viewer_join(struct viewer *v, struct relay *relay, enum lite_version version);
void viewer_list(struct viewer *v, unsigned prefix);
void viewer_watch(struct viewer *v, unsigned path, unsigned track, enum watch_kind kind);
void viewer_ask(struct viewer *v, unsigned path, unsigned track, bool fetch);

/* Something done to one of its open streams at random; no effect where there is none. */
void viewer_unlist(struct viewer *v);
void viewer_leave(struct viewer *v);
void viewer_update(struct viewer *v);
void viewer_stop(struct viewer *v);
/* Begins a request and does not go on. */
void viewer_half(struct viewer *v);

/* Of the paths in `live`, those that this stream should tell of. */
unsigned listing_expected(const struct listing *l, unsigned live);

/* An open subscription; NULL when there is none. */
struct watching *viewer_watching(struct viewer *v, unsigned path, unsigned track);
/* Waits of its requests have not gone on for too long. */
void viewer_check_waits(struct viewer *v);
