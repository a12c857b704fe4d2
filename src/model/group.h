/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A group: the unit of joining, caching and skipping. It has subgroups (moq-lite: one, id 0), each an append-only log of
 * objects (moq-lite: frames). Payload is copied once into chunks; readers are cursors over a *view*: the object log in one
 * wire format, made at most once, whose segments point at header bytes of its own and at the payload chunks. Nothing here
 * knows a protocol: a format is a struct framing given by a session. One worker's thread. */
#pragma once
#include "base/chunk.h"
#include "base/list.h"
#include "model/cache.h"
#include <sys/uio.h>

struct model;
struct track;

struct object {
  uint64_t id;             /* in the group; ids may have gaps (moqt), moq-lite counts from 0 */
  uint64_t timestamp;      /* in the track's timescale */
  uint64_t size;           /* payload bytes, known when the object begins */
  uint64_t offset;         /* of its payload in the subgroup's log */
  uint64_t status;         /* moqt object status, 0 = normal */
  struct slice properties; /* opaque, forwarded untouched; owned by the group */
};

/* How objects look on the wire. Static data of a session module; id < FRAMINGS_MAX is unique among the formats in use. */
#define FRAMINGS_MAX 8
#define FRAMING_HEADER_MAX 64
struct framing {
  unsigned id;
  /* Writes what precedes the payload of `o`; prev is the object before it in the subgroup, NULL for the first on a
   * stream. out holds FRAMING_HEADER_MAX bytes plus properties.n. Returns the length. */
  size_t (*header)(const struct object *o, const struct object *prev, uint8_t *out);
};

enum group_state {
  GROUP_OPEN,
  GROUP_WHOLE, /* all objects are there (FIN on an object boundary) */
  GROUP_CUT    /* it will never be whole: reset, source lost, too large; group->code says why */
};

struct subgroup;

struct group {
  uint32_t refs;
  enum group_state state;
  uint64_t code;     /* application code of the cut */
  uint64_t sequence; /* as viewers see it */
  uint64_t arrived;  /* ns, first byte */
  uint64_t newest_timestamp;
  size_t bytes;        /* memory held: chunks, object tables, views; what the budget counts */
  struct track *track; /* NULL once it has left its track; the bytes live on while referenced */
  struct list subgroups;
  struct list readers; /* struct reader.link */
  struct list link;    /* in its track's sequence order */
  struct list age;     /* in the cache's eviction order */
  struct cache *cache;
  struct share *share; /* of its publisher; NULL once evicted, or when nobody served its track */
  /* the model's own */
  struct model *model;
  struct list order;   /* in its track's order of arrival */
  uint64_t serial;     /* rises with arrival in the track */
  uint64_t superseded; /* ns, when a newer group was there; 0 = it has been the newest so far */
  uint64_t declared;   /* payload and property bytes of all objects begun */
  uint32_t object_count;
  uint32_t waking; /* readers are being woken: some are in no list, and need the bytes until they have heard */
  bool evicted; /* taken away by the budget: not readable any more */
  bool fetched; /* answers a fetch only: not for viewers */
};

struct group *group_ref(struct group *g);
void group_unref(struct group *g);

/* -- producing; the caller holds a reference -- */

/* Begins an object: afterwards exactly `size` payload bytes are to be appended. 0, -ENOMEM, -EMSGSIZE (group limits of
 * struct model_limits: objects_per_group, bytes_per_group), -EFBIG (bytes_per_object), -EPROTO (the one before is not
 * complete, ids not rising), -EPIPE (the group has ended, also by eviction). */
int group_object(struct group *g, uint64_t subgroup, uint64_t id, uint64_t timestamp, uint64_t size, uint64_t status,
                 struct slice properties);
/* Payload of the object that was begun; copied; wakes the readers. -EPROTO for more than its size, -ENOMEM (then cut the
 * group: some of the payload may be in), -EPIPE. */
int group_append(struct group *g, uint64_t subgroup, struct slice payload);
/* The group is whole. -EPROTO inside an object (then the caller cuts it). */
int group_finish(struct group *g);
/* The group will not be whole. It stays readable up to here for those who read it, but is not served to new readers or by
 * fetch, and leaves the cache. No effect on a group that has ended. */
void group_cut(struct group *g, uint64_t code);

/* -- reading -- */

struct view;

/* A cursor over one subgroup in one format. Embedded by its owner. It holds a reference to the group: the bytes it has
 * handed out live as long as the group, so whoever needs them beyond reader_end takes a reference of its own. */
struct reader {
  struct group *group;
  struct view *view;
  struct list link;
  size_t segment, offset; /* next byte to hand out */
  struct slice head;      /* what is left of the first object's header when the stream begins inside the group */
  uint64_t first, last;   /* object index range, last inclusive (UINT64_MAX = no end) */
  uint64_t subgroup;
  bool placed; /* segment, offset and head are set: object `first` has begun */
  /* New bytes, the end, or a cut. Called from inside the producer's call: only mark and schedule. */
  void (*wake)(struct reader *r);
};

/* Starts at object index `first`, which may be still to come. 0, -ENOMEM, -ENOENT (subgroup or first object will never
 * exist, the group was evicted). */
int reader_begin(struct reader *r, struct group *g, uint64_t subgroup, const struct framing *framing, uint64_t first,
                 uint64_t last, void (*wake)(struct reader *));
/* What follows the bytes taken so far: iovecs that point into the group; *ret_fin when nothing will follow them. A cut group
 * never fins: see reader_cut. -ENOMEM when the view could not be built. */
int reader_pull(struct reader *r, struct iovec *iov, size_t max, size_t *ret_n, bool *ret_fin);
/* n bytes of what reader_pull showed are taken. */
void reader_take(struct reader *r, size_t n);
/* Whether nothing more will come and there is no clean end: the group was cut and everything it has was taken, or it was
 * evicted. group->code says why. */
bool reader_cut(const struct reader *r);
void reader_end(struct reader *r); /* a zeroed or ended reader is fine */

/* Objects of a subgroup as data, for consumers that want frames, not wire bytes (clients, HTTP): number begun so far, and
 * the i-th one. Payload of object i that has arrived so far from `from`: up to max iovecs; returns their number. */
size_t group_objects(const struct group *g, uint64_t subgroup);
const struct object *group_object_at(const struct group *g, uint64_t subgroup, size_t i);
size_t group_payload(const struct group *g, uint64_t subgroup, size_t i, uint64_t from, struct iovec *iov, size_t max);
