/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/publisher.h"
#include "client/payload.h"
#include <errno.h>
#include <stdlib.h>

struct publisher_track {
  struct list link;
  struct publisher *publisher;
  char *name;
  struct track_info info;
  struct track *track;
  struct sub keeper; /* our own subscription */
  struct group *group;
  uint64_t next; /* sequence of the group to come */
  bool finished, skipping;
};

struct publisher {
  struct model *model;
  struct route *route;
  struct broadcast *broadcast;
  struct list tracks;
  struct publisher_stats stats;
};

/* ---- the keeper: takes nothing, holds the track ---- */

static void keep_group(struct sub *s, struct delivery *d)
{
  delivery_done(d);
}

static void keep_wake(struct delivery *d) {}

static void keep_drop(struct delivery *d, uint64_t code) {}

static void keep_datagram(struct sub *s, uint64_t sequence, uint64_t timestamp, struct slice payload) {}

static void keep_end(struct sub *s, bool finished, uint64_t final, uint64_t code) {}

static const struct sub_ops keeper_ops = {keep_group, keep_wake, keep_drop, keep_datagram, keep_end};

/* ---- the source ---- */

static struct publisher_track *find(const struct publisher *p, struct slice name)
{
  list_for_each (it, &p->tracks) {
    struct publisher_track *t = container_of(it, struct publisher_track, link);
    if (slice_eq(slice_str(t->name), name))
      return t;
  }
  return NULL;
}

static void source_info(void *source, struct track *track)
{
  struct publisher *p = source;
  struct publisher_track *t = find(p, track->name);
  if (t)
    track_set_info(track, &t->info, p->model->now);
  else
    track_close(track, CODE_NOT_FOUND, p->model->now);
}

static void source_subscribe(void *source, struct track *track, const struct sub_params *wanted) {}

static void source_unsubscribe(void *source, struct track *track) {}

static const struct source_ops source_ops = {
    .info = source_info, .subscribe = source_subscribe, .unsubscribe = source_unsubscribe};

int publisher_new(struct origin *o, struct slice path, uint64_t now, struct publisher **ret_p)
{
  static const struct route_info info = {.local = true};
  struct path normal;
  int rc = path_parse(&normal, path);
  if (rc < 0)
    return rc;
  struct publisher *p = calloc(1, sizeof *p);
  if (!p)
    return -ENOMEM;
  list_init(&p->tracks);
  rc = route_add(o, path_slice(&normal), &info, &source_ops, p, now, &p->route);
  if (rc < 0) {
    free(p);
    return rc;
  }
  p->broadcast = origin_find(o, path_slice(&normal));
  p->model = p->broadcast->model;
  *ret_p = p;
  return 0;
}

/* ---- tracks ---- */

static void track_leave(struct publisher_track *t, uint64_t now)
{
  if (t->group)
    group_cut(t->group, CODE_CANCELLED);
  group_unref(t->group);
  sub_close(&t->keeper, now);
  track_unref(t->track);
  list_remove(&t->link);
  free(t->name);
  free(t);
}

static int hold(struct publisher_track *t, uint64_t now)
{
  struct sub_params params = {.from_latest = true, .group_end = UINT64_MAX, .frame_end = UINT64_MAX};
  t->track = broadcast_track(t->publisher->broadcast, slice_str(t->name));
  if (!t->track)
    return -errno;
  return sub_open(&t->keeper, t->track, &params, &payload_framing, &keeper_ops, t, now);
}

int publisher_track(struct publisher *p, const char *name, const struct track_info *info, uint64_t now,
                    struct publisher_track **ret_t)
{
  if (find(p, slice_str(name)))
    return -EEXIST;
  struct publisher_track *t = calloc(1, sizeof *t);
  char *copy = strdup(name);
  if (!t || !copy) {
    free(t);
    free(copy);
    return -ENOMEM;
  }
  *t = (struct publisher_track){.publisher = p, .name = copy, .info = *info};
  list_append(&p->tracks, &t->link);
  int rc = hold(t, now);
  if (rc < 0) {
    track_leave(t, now);
    return rc;
  }
  *ret_t = t;
  return 0;
}

/* ---- groups and frames ---- */

void publisher_end_group(struct publisher_track *t)
{
  if (!t->group)
    return;
  if (group_finish(t->group) < 0)
    group_cut(t->group, CODE_INTERNAL);
  group_unref(t->group);
  t->group = NULL;
}

int publisher_group(struct publisher_track *t, uint64_t now)
{
  publisher_end_group(t);
  t->skipping = false;
  if (t->finished)
    return -EPIPE;
  int rc = track_group(t->track, t->next, now, &t->group);
  t->next++;
  if (rc == 0)
    t->publisher->stats.groups++;
  return rc;
}

static int give_up_group(struct publisher_track *t)
{
  if (t->group)
    group_cut(t->group, CODE_GROUP_TOO_LARGE);
  group_unref(t->group);
  t->group = NULL;
  t->skipping = true;
  t->publisher->stats.dropped++;
  return -EMSGSIZE;
}

static int append(struct group *g, const struct slice *parts, size_t n, uint64_t timestamp, uint64_t size)
{
  int rc = group_object(g, 0, group_objects(g, 0), timestamp, size, 0, slice_of(NULL, 0));
  for (size_t i = 0; i < n && rc == 0; i++)
    rc = parts[i].n > 0 ? group_append(g, 0, parts[i]) : 0;
  return rc;
}

int publisher_frame(struct publisher_track *t, uint64_t timestamp, const struct slice *parts, size_t n)
{
  struct publisher_stats *stats = &t->publisher->stats;
  uint64_t size = 0;
  for (size_t i = 0; i < n; i++)
    size += parts[i].n;
  if (!t->group || t->skipping)
    return give_up_group(t);
  int rc = append(t->group, parts, n, timestamp, size);
  if (rc == -ENOMEM)
    return rc;
  if (rc < 0)
    return give_up_group(t);
  stats->frames++;
  stats->bytes += size;
  return 0;
}

void publisher_finish(struct publisher *p, uint64_t now)
{
  list_for_each (it, &p->tracks) {
    struct publisher_track *t = container_of(it, struct publisher_track, link);
    if (t->finished)
      continue;
    publisher_end_group(t);
    t->finished = true;
    track_finish(t->track, t->next, now);
  }
}

/* ---- viewers ---- */

static bool track_delivered(const struct publisher_track *t)
{
  list_for_each (it, &t->track->subs) {
    const struct sub *s = container_of(it, struct sub, link);
    if (s != &t->keeper && (!list_empty(&s->deliveries) || !list_empty(&s->pending) || (t->finished && !s->ended)))
      return false;
  }
  return true;
}

bool publisher_delivered(const struct publisher *p)
{
  list_for_each (it, &p->tracks) {
    if (!track_delivered(container_of(it, struct publisher_track, link)))
      return false;
  }
  return true;
}

bool publisher_watched(const struct publisher *p)
{
  list_for_each (it, &p->tracks) {
    const struct publisher_track *t = container_of(it, struct publisher_track, link);
    if (t->track->joined <= 1) /* one is the keeper */
      return false;
  }
  return true;
}

size_t publisher_behind(const struct publisher *p)
{
  size_t most = 0;
  list_for_each (it, &p->tracks) {
    const struct publisher_track *t = container_of(it, struct publisher_track, link);
    list_for_each (sub, &t->track->subs) {
      const struct sub *s = container_of(sub, struct sub, link);
      most = s->behind > most ? s->behind : most;
    }
  }
  return most;
}

void publisher_stats(const struct publisher *p, struct publisher_stats *ret_stats)
{
  *ret_stats = p->stats;
}

void publisher_free(struct publisher *p, uint64_t now)
{
  if (!p)
    return;
  while (!list_empty(&p->tracks))
    track_leave(container_of(p->tracks.next, struct publisher_track, link), now);
  route_remove(p->route, true, now);
  free(p);
}
