/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/viewer.h"
#include "base/buf.h"
#include "client/payload.h"
#include <errno.h>
#include <stdlib.h>

#define RETRY_WAIT (1 * NS_PER_S) /* a track that broke while its broadcast is still announced */
#define PIECES 64

/* A group on its way, or a datagram that is a group by itself. */
struct view_group {
  struct list link; /* in viewer.groups, by rising sequence */
  uint64_t sequence;
  uint64_t since;            /* ns, when it came */
  struct group *group;       /* a reference; NULL for a datagram */
  struct delivery *delivery; /* NULL once it is complete or given up */
  uint64_t taken;            /* frames */
  bool broken;               /* nothing more will come */
  uint64_t timestamp;        /* datagrams */
  struct buf datagram;
};

struct viewer {
  struct viewer_config config;
  struct path path;
  char *track_name;
  struct watch *watch;
  struct broadcast *broadcast; /* announced now; NULL = waiting for it */
  struct sub sub;
  bool subscribed;
  struct list groups;
  uint64_t next; /* sequence of the group that is due, once started */
  bool started;
  bool ended, finished, done;
  uint64_t code;
  struct buf scratch; /* a frame that lies in several pieces */
  struct timer timer; /* a gap is given up, a subscription tried again */
  struct deferred work;
  struct viewer_stats stats;
};

static uint64_t now_of(const struct viewer *v)
{
  return v->config.worker->now;
}

static void wake(struct viewer *v)
{
  worker_defer(v->config.worker, &v->work);
}

static void alarm_at(struct viewer *v, uint64_t at)
{
  timers_set(&v->config.worker->timers, &v->timer, at);
}

static void on_timer(struct timer *t, uint64_t now)
{
  wake(container_of(t, struct viewer, timer));
}

/* ---- groups ---- */

static struct view_group *first_group(const struct viewer *v)
{
  return list_empty(&v->groups) ? NULL : container_of(v->groups.next, struct view_group, link);
}

static void group_gone(struct view_group *g)
{
  if (g->delivery)
    delivery_done(g->delivery);
  group_unref(g->group);
  buf_destroy(&g->datagram);
  list_remove(&g->link);
  free(g);
}

static struct view_group *group_add(struct viewer *v, uint64_t sequence)
{
  struct view_group *g = calloc(1, sizeof *g);
  struct list *at = &v->groups;
  if (!g)
    return NULL;
  g->sequence = sequence;
  g->since = now_of(v);
  while (at->prev != &v->groups && container_of(at->prev, struct view_group, link)->sequence > sequence)
    at = at->prev;
  list_insert_before(at, &g->link);
  return g;
}

/* Whether it is too late for it: its turn was given up. */
static bool passed(struct viewer *v, uint64_t sequence)
{
  return v->started && sequence < v->next;
}

static void on_group(struct sub *s, struct delivery *d)
{
  struct viewer *v = s->user;
  struct view_group *g = NULL;
  if (!passed(v, d->reader.group->sequence))
    g = group_add(v, d->reader.group->sequence);
  if (!g) {
    delivery_done(d);
    return;
  }
  g->delivery = d;
  g->group = group_ref(d->reader.group);
  d->user = g;
  wake(v);
}

static void on_wake(struct delivery *d)
{
  wake(d->sub->user);
}

/* What is there of a late one is still good; one that was too much is let go at once. */
static void on_drop(struct delivery *d, uint64_t code)
{
  struct viewer *v = d->sub->user;
  struct view_group *g = d->user;
  if (!g)
    return;
  g->delivery = NULL;
  g->broken = true;
  if (code != CODE_TIMEOUT) {
    group_unref(g->group);
    g->group = NULL;
  }
  wake(v);
}

static void on_datagram(struct sub *s, uint64_t sequence, uint64_t timestamp, struct slice payload)
{
  struct viewer *v = s->user;
  struct view_group *g = passed(v, sequence) ? NULL : group_add(v, sequence);
  if (!g)
    return;
  g->timestamp = timestamp;
  buf_bytes(&g->datagram, payload);
  wake(v);
}

static void on_end(struct sub *s, bool finished, uint64_t final, uint64_t code)
{
  struct viewer *v = s->user;
  v->ended = true;
  v->finished = finished;
  v->code = finished ? 0 : code;
  wake(v);
}

static const struct sub_ops sub_ops = {on_group, on_wake, on_drop, on_datagram, on_end};

/* ---- the broadcast ---- */

static void on_added(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct viewer *v = ctx;
  if (suffix.n > 0)
    return;
  v->broadcast = b;
  wake(v);
}

static void on_changed(void *ctx, struct broadcast *b, struct slice suffix) {}

static void on_removed(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct viewer *v = ctx;
  if (suffix.n == 0)
    v->broadcast = NULL;
}

static const struct watch_ops watch_ops = {on_added, on_changed, on_removed};

static void end_with(struct viewer *v, uint64_t code)
{
  v->done = true;
  v->code = code;
}

static void subscribe(struct viewer *v)
{
  struct sub_params params = {.priority = v->config.priority,
                              .oldest_first = true,
                              .max_age_ms = v->config.max_age_ms,
                              .group_end = UINT64_MAX,
                              .frame_end = UINT64_MAX};
  struct track *t = broadcast_track(v->broadcast, slice_str(v->track_name));
  v->ended = v->finished = v->started = false;
  int rc = t ? sub_open(&v->sub, t, &params, &payload_framing, &sub_ops, v, now_of(v)) : -errno;
  track_unref(t);
  v->subscribed = rc == 0;
  if (rc < 0)
    end_with(v, CODE_INTERNAL);
  else if (v->config.events->found)
    v->config.events->found(v->config.ctx, v);
}

/* The track is over and everything of it was taken. */
static void finish_track(struct viewer *v)
{
  sub_close(&v->sub, now_of(v));
  v->subscribed = false;
  if (v->finished || v->config.once || (v->code == CODE_NOT_FOUND && !v->stats.frames)) {
    end_with(v, v->code);
    return;
  }
  if (v->config.events->lost)
    v->config.events->lost(v->config.ctx, v, v->code);
  alarm_at(v, now_of(v) + RETRY_WAIT);
}

static void work(struct deferred *d, uint64_t now)
{
  struct viewer *v = container_of(d, struct viewer, work);
  if (v->done)
    return;
  if (v->subscribed && v->ended && list_empty(&v->groups))
    finish_track(v);
  else if (!v->subscribed && v->broadcast && !timer_armed(&v->timer))
    subscribe(v);
  v->config.events->ready(v->config.ctx, v);
}

/* ---- frames ---- */

/* Whether the wait for what is missing before `g` is over; else the timer is set to its end. */
static bool waited(struct viewer *v, const struct view_group *g, uint64_t wait)
{
  uint64_t max_age = v->config.max_age_ms < wait / NS_PER_MS ? v->config.max_age_ms * NS_PER_MS : wait;
  uint64_t until = g->since + max_age;
  if (v->ended || now_of(v) >= until)
    return true;
  alarm_at(v, until);
  return false;
}

/* Whether it is the first group's turn. */
static bool due(struct viewer *v, const struct view_group *g)
{
  if (!v->started) {
    if (g->sequence > 0 && !waited(v, g, VIEWER_START_WAIT))
      return false;
    v->started = true;
    v->next = g->sequence;
  }
  if (g->sequence <= v->next)
    return true;
  if (!waited(v, g, VIEWER_GAP_WAIT))
    return false;
  v->stats.dropped += g->sequence - v->next;
  v->next = g->sequence;
  return true;
}

static bool peek_group(struct viewer *v, const struct view_group *g, struct viewer_frame *f)
{
  *f = (struct viewer_frame){.group = g->sequence, .index = g->taken};
  if (!g->group && g->datagram.n > 0 && g->taken == 0) {
    f->timestamp = g->timestamp;
    f->payload = buf_slice(&g->datagram);
    return true;
  }
  if (!g->group || !payload_frame(g->group, g->taken, &v->scratch, &f->payload))
    return false;
  f->timestamp = group_object_at(g->group, 0, g->taken)->timestamp;
  return true;
}

/* Whether no frame will follow what was taken. */
static bool exhausted(const struct view_group *g)
{
  return !g->group || g->broken || g->group->state != GROUP_OPEN;
}

static void next_group(struct viewer *v, struct view_group *g)
{
  bool clean = g->group ? g->group->state == GROUP_WHOLE && !g->broken : g->taken > 0;
  v->stats.groups++;
  v->stats.dropped += !clean;
  v->next = g->sequence + 1;
  group_gone(g);
}

bool viewer_peek(struct viewer *v, struct viewer_frame *ret_frame)
{
  struct view_group *g;
  while ((g = first_group(v)) != NULL && due(v, g)) {
    if (g->sequence < v->next) {
      group_gone(g); /* a second copy */
      continue;
    }
    if (peek_group(v, g, ret_frame))
      return true;
    if (!exhausted(g))
      return false;
    next_group(v, g);
  }
  if (v->subscribed && v->ended && !g)
    wake(v);
  return false;
}

/* What was taken does not count as behind any more. */
static void advance(struct view_group *g, size_t n)
{
  struct iovec iov[PIECES];
  size_t count;
  bool fin;
  while (n > 0 && reader_pull(&g->delivery->reader, iov, PIECES, &count, &fin) == 0 && count > 0) {
    size_t some = 0;
    for (size_t i = 0; i < count; i++)
      some += iov[i].iov_len;
    some = some < n ? some : n;
    reader_take(&g->delivery->reader, some);
    n -= some;
  }
}

void viewer_take(struct viewer *v)
{
  struct view_group *g = first_group(v);
  const struct object *o = g->group ? group_object_at(g->group, 0, g->taken) : NULL;
  size_t n = o ? o->size : g->datagram.n;
  if (g->delivery)
    advance(g, n);
  g->taken++;
  v->stats.frames++;
  v->stats.bytes += n;
}

bool viewer_done(const struct viewer *v, uint64_t *ret_code)
{
  if (v->done)
    *ret_code = v->code;
  return v->done;
}

void viewer_stats(const struct viewer *v, struct viewer_stats *ret_stats)
{
  *ret_stats = v->stats;
}

/* ---- life ---- */

int viewer_new(const struct viewer_config *config, struct viewer **ret_v)
{
  struct viewer *v = calloc(1, sizeof *v);
  if (!v)
    return -ENOMEM;
  v->config = *config;
  list_init(&v->groups);
  timer_init(&v->timer, on_timer);
  deferred_init(&v->work, work);
  v->track_name = strndup((const char *)config->track.p, config->track.n);
  int rc = v->track_name ? path_parse(&v->path, config->path) : -ENOMEM;
  if (rc == 0)
    rc = watch_new(config->origin, path_slice(&v->path), &watch_ops, v, &v->watch);
  if (rc < 0) {
    viewer_free(v);
    return rc;
  }
  *ret_v = v;
  return 0;
}

void viewer_free(struct viewer *v)
{
  if (!v)
    return;
  while (!list_empty(&v->groups))
    group_gone(first_group(v));
  sub_close(&v->sub, now_of(v));
  watch_free(v->watch);
  timers_cancel(&v->config.worker->timers, &v->timer);
  worker_defer_cancel(&v->work);
  buf_destroy(&v->scratch);
  free(v->track_name);
  free(v);
}
