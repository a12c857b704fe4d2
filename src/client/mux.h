/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames of several tracks of a broadcast into one fragmented MP4, in order of time. No I/O: frames
 * in, bytes out, time is passed in. A track that runs dry holds the others up for MUX_WAIT, then no
 * more until it has something again. */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"
#include "media/catalog.h"
#include "media/media_buf.h"

#define MUX_WAIT (500 * NS_PER_MS)
/* A broadcast that has been on for longer than this is recorded as if it began at the first frame:
 * many players cannot begin a file an hour in. Earlier ones keep their times. */
#define MUX_KEEP_US (INT64_C(5) * 1000000)

struct mux;

/* Whether the rendition can be written: its container is known, its codec fits into an MP4. */
bool mux_can(const struct catalog_entry *entry);

/* Copies what it needs of the entries, all of which mux_can; tracks are numbered by them. 0,
 * -EINVAL, -EPROTO, -ENOMEM. */
int mux_new(const struct catalog_entry *const *entries, size_t count, struct mux **ret_m);
void mux_free(struct mux *m); /* NULL is fine */

/* Whether it needs the track's next frame now. */
bool mux_hungry(const struct mux *m, size_t track);

/* The track's next frame (copied); first: it begins a group. A frame that is malformed is dropped
 * and counted. 0, -ENOMEM. */
int mux_frame(struct mux *m, size_t track, struct slice frame, bool first);

/* The track has no more frames. */
void mux_end(struct mux *m, size_t track);

/* Appends what is due. 1: give hungry tracks what there is, and call again; 0: nothing more now,
 * *ret_at is when to call again although no frame came, UINT64_MAX = not at all; -ENOMEM. */
int mux_write(struct mux *m, uint64_t now, struct media_buf *out, uint64_t *ret_at);

/* Appends all that is left, in order. */
int mux_finish(struct mux *m, struct media_buf *out);

uint64_t mux_dropped(const struct mux *m);
int64_t mux_time_us(const struct mux *m); /* of the latest frame written, since the first */
