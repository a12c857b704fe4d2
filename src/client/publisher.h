/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A broadcast of our own: named tracks, groups and frames, put into the origin for the sessions on
 * it to announce and serve. Frames go in whether anybody watches or not: each track is subscribed
 * to by the publisher itself, so that the model keeps its groups (up to the track's max age and the
 * cache's bound) and whoever comes later begins with the newest group, or with older ones where
 * that is what they want. Sessions may come and go meanwhile. One worker's thread. */
#pragma once
#include "base/err.h"
#include "model/origin.h"

struct publisher;
struct publisher_track;

struct publisher_stats {
  uint64_t groups, frames, bytes;
  uint64_t dropped; /* frames that no group could take */
};

/* Announces the broadcast. 0, -EINVAL or -ENAMETOOLONG for its path, -ENOMEM, -EUSERS. */
int publisher_new(struct origin *o, struct slice path, uint64_t now, struct publisher **ret_p);

/* Adds a track, which lives as long as the publisher. 0, -EEXIST, -ENAMETOOLONG, -EUSERS, -ENOMEM.
 */
int publisher_track(struct publisher *p, const char *name, const struct track_info *info, uint64_t now,
                    struct publisher_track **ret_t);

/* Begins the next group; the one before, if any, is whole. 0, -ENOMEM, -EPIPE after
 * publisher_finish. */
int publisher_group(struct publisher_track *t, uint64_t now);

/* A frame of the group that was begun last, made of `n` parts; copied. A group that grows over the
 * model's limits, or that the cache had to give up, is cut: that frame and all until the next group
 * are dropped and counted, and the answer is -EMSGSIZE. 0, -ENOMEM. */
int publisher_frame(struct publisher_track *t, uint64_t timestamp, const struct slice *parts, size_t n);

/* The group that was begun last is whole. No effect when there is none. */
void publisher_end_group(struct publisher_track *t);

/* No more groups: tells the viewers. */
void publisher_finish(struct publisher *p, uint64_t now);

/* Whether every viewer has acknowledged all that it gets. After publisher_finish: whether nothing
 * is under way. */
bool publisher_delivered(const struct publisher *p);
/* Whether somebody else has subscribed to each of its tracks so far. A viewer that has got the catalog is about to
 * subscribe to what is in it. */
bool publisher_watched(const struct publisher *p);
/* The most bytes that any one viewer has not been sent yet. */
size_t publisher_behind(const struct publisher *p);
void publisher_stats(const struct publisher *p, struct publisher_stats *ret_stats);

/* Unannounces it, cleanly. NULL is fine. */
void publisher_free(struct publisher *p, uint64_t now);
