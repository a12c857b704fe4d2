/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Inside of groups.
 *
 *     subgroup   objects  [o0][o1][o2]...            sizes, times, ids; offset in the payload log
 *                pieces   [chunk][chunk]...          the payload log
 *     view       segments [h0][p0..][h1][p1][p1']... pointers into header blocks (of the view) and
 * chunks (of the log), in wire order, each with the offset at which it starts
 *
 * A view is brought up to date when somebody pulls from it, by all that came since, for all readers
 * in that format. Segments that touch in memory are one. */
#pragma once
#include "model/group.h"
#include "model/share.h"

struct segment {
  const uint8_t *p;
  uint64_t start; /* offset in the view of its first byte */
};

struct header_block {
  struct header_block *next;
  size_t used, cap;
  uint8_t data[];
};

/* The header of an object as the first on a stream, where that is not the first of the group. */
struct lead {
  uint64_t index;
  struct slice bytes;
};

struct view {
  const struct framing *framing;
  struct segment *segments;
  size_t segment_n, segment_cap;
  uint64_t *headers; /* header bytes of objects 0 to i */
  size_t header_cap;
  struct header_block *blocks; /* the one in use first */
  struct lead *leads;
  size_t lead_n, lead_cap;
  size_t objects;        /* whose headers are in */
  uint64_t header_bytes; /* of them */
  uint64_t payload;      /* bytes of the log that are in */
  size_t piece;          /* where the log goes on */
};

struct piece {
  struct chunk *chunk;
  uint64_t start; /* offset in the log of its first byte */
};

struct subgroup {
  struct list link;
  uint64_t id;
  struct object *objects;
  size_t n, cap;
  struct piece *pieces;
  size_t piece_n, piece_cap;
  uint64_t received; /* payload bytes in the log */
  struct view *views[FRAMINGS_MAX];
};

/* A group that belongs to no track yet; one reference. NULL without memory. */
struct group *group_new(struct model *m, uint64_t sequence, uint64_t now);

/* Ends the group for everybody because of the budget. The caller has taken it out of its track. */
void group_evict(struct group *g);

/* Frees the contents of an evicted group that nobody reads any more; no effect on others. */
void group_strip(struct group *g);

/* Makes *cap at least n elements of `size` bytes, charged to the group. The new address, or NULL (p
 * stays valid). */
void *group_grow(struct group *g, void *p, size_t *cap, size_t n, size_t size);
void group_charge(struct group *g, size_t n);
void group_uncharge(struct group *g, size_t n);

struct subgroup *group_subgroup(const struct group *g, uint64_t id);

/* The view in this format, made when it is not there. NULL without memory. */
struct view *view_get(struct group *g, struct subgroup *sg, const struct framing *framing);
void view_free(struct view *v); /* NULL is fine */
/* Takes in what came since. 0 or -ENOMEM, then what was taken in is consistent. */
int view_sync(struct group *g, struct subgroup *sg, struct view *v);
uint64_t view_total(const struct view *v);
/* The header of object i as the first on a stream; lives as long as the group. 0 or -ENOMEM. */
int view_lead(struct group *g, struct subgroup *sg, struct view *v, size_t i, struct slice *ret_bytes);

/* Bytes that the reader has not taken, headers that no view has made yet aside. */
size_t reader_left(const struct reader *r);

/* The cache has room again, perhaps: those who wait for it go on at the end of the turn. */
void model_relieved(struct model *m);

/* Where the model's tracks hear of what happens to their groups. */
void track_forget(struct group *g); /* out of its track; drops the track's reference */
