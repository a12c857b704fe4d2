/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Serves ANNOUNCE_REQUEST: tells the peer what is announced under a prefix that it may watch.
 *
 * What the peer is to hear is kept as a list of broadcasts whose news are due, one entry per broadcast however often it
 * changes, and becomes messages only as the stream drains. So a peer that reads slowly, or a set of announcements of any
 * size, costs an entry per broadcast and BACKLOG bytes of messages, and never fails for its size. */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

#define BACKLOG (32u << 10)    /* bytes of messages made ahead of the peer's acknowledgements */
#define NEWS_INTERVAL                                                                                                  \
  (20 * NS_PER_MS) /* after news the next wait for each other: what comes and goes meanwhile is nobody's business */
#define LOOKED_AT 100          /* broadcasts that are gathered for the price of one request */
#define INIT_BYTES (32u << 10) /* of suffixes in an ANNOUNCE_INIT; what does not fit follows as ANNOUNCE */

/* A broadcast that the peer knows of, or is to. */
struct told {
  UT_hash_handle hh;
  struct list due;             /* in publish_announce.due; alone when the peer is up to date */
  struct broadcast *broadcast; /* key; NULL once it is gone, then it is in `due` and no table */
  uint64_t id;                 /* Announce ID, once sent */
  uint64_t version;            /* of the route it was told by */
  bool sent;                   /* the peer knows of it */
  bool counted;                /* of the initial set, whose number the peer has been told: it is sent in any case */
  uint16_t suffix_n;           /* of a gone one: its suffix, which follows the struct */
  uint8_t suffix[];
};

struct publish_announce {
  struct control control;
  struct watch *watch;
  struct path prefix; /* relative to the session's root */
  uint64_t exclude;   /* Hop ID of the asker, 0 = none */
  bool no_hidden;     /* the asker does not want paths with a part that begins with "." */
  struct told *told;
  struct list due; /* struct told.due, in the order of their first change */
  struct timer news_timer;
  uint64_t told_at; /* ns, of the last news, 0 = none yet */
  uint64_t next_id;
  uint64_t initial_count;
  uint64_t looked_at; /* broadcasts, for the initial set */
  bool first; /* of its session: its entries are bounded by the number of broadcasts */
  bool live;  /* the initial set has been gathered */
};

static struct publish_announce *announce_of(struct control *c)
{
  return container_of(c, struct publish_announce, control);
}

static const struct lite_version_info *version_of(const struct publish_announce *a)
{
  return a->control.session->version;
}

/* The way here as this version tells it (wire-lite, "Hop lists"). */
static void fill_hops(const struct publish_announce *a, const struct route_info *r, struct lite_hops *out)
{
  enum lite_hop_form form = version_of(a)->hops;
  bool with_us = form == LITE_HOPS_COUNT || form == LITE_HOPS_WITH_SENDER;
  memset(out, 0, sizeof *out);
  if (form == LITE_HOPS_NONE || !r)
    return;
  out->n = r->hop_count;
  if (form != LITE_HOPS_COUNT)
    memcpy(out->id, r->hops, r->hop_count * sizeof *r->hops);
  if (with_us && out->n < LITE_HOPS_MAX)
    out->id[out->n++] = form == LITE_HOPS_COUNT ? 0 : a->control.session->env->model->hop_id;
}

/* A version that tells no hop ids: a relay could not see that its own broadcast came back, and would take it for a newer
 * publisher's. In the others it finds its id in the list. */
static bool echo(const struct publish_announce *a, const struct broadcast *b)
{
  enum lite_hop_form form = version_of(a)->hops;
  return (form == LITE_HOPS_NONE || form == LITE_HOPS_COUNT) && broadcast_source(b) == a->control.session;
}

/* Whether a part below the prefix that was asked for begins with ".". */
static bool is_hidden(const struct publish_announce *a, struct slice relative)
{
  struct slice suffix, part;
  if (!path_under(relative, path_slice(&a->prefix), &suffix))
    return false;
  while (path_part(&suffix, &part)) {
    if (part.n > 0 && part.p[0] == '.')
      return true;
  }
  return false;
}

/* The route that the peer should hear of: the best one that did not come through the peer itself. NULL: none, or it may not
 * know. *ret_version tells one state of a route from another. */
static const struct route_info *offer(const struct publish_announce *a, struct broadcast *b, uint64_t *ret_version)
{
  struct slice relative;
  struct lite_session *s = a->control.session;
  const struct route_info *r = broadcast_route_around(b, a->exclude ? a->exclude : s->peer.hop, ret_version);
  if (!r || !scope_relative(&s->scope, path_slice(&b->path), &relative) || !scope_may_subscribe(&s->scope, relative))
    return NULL;
  if (echo(a, b) || (a->no_hidden && is_hidden(a, relative)))
    return NULL;
  if (version_of(a)->hops == LITE_HOPS_WITH_SENDER && r->hop_count == LITE_HOPS_MAX)
    return NULL; /* no room for us */
  return r;
}

/* ---- messages ---- */

/* The broadcast's suffix on this stream's wire. */
static struct slice suffix_of(const struct publish_announce *a, const struct told *t)
{
  struct slice relative = slice_of(t->suffix, t->suffix_n), suffix = relative;
  if (t->broadcast && scope_relative(&a->control.session->scope, path_slice(&t->broadcast->path), &relative))
    path_under(relative, path_slice(&a->prefix), &suffix);
  return suffix;
}

/* r is NULL for one that was counted and went before it could be sent: the end follows. */
static void send_start(struct publish_announce *a, struct told *t, const struct route_info *r)
{
  union lite_body body;
  struct slice suffix = suffix_of(a, t);
  t->id = a->next_id++;
  t->sent = true;
  if (version_of(a)->typed_announces) {
    body.announce_start =
        (struct lite_announce_start){.suffix = suffix, .warm_cost = r ? r->warm : 0, .cold_cost = r ? r->cold : 0};
    fill_hops(a, r, &body.announce_start.hops);
    control_send(&a->control, LITE_ANNOUNCE_START, &body);
  } else {
    body.announce = (struct lite_announce){.status = LITE_ACTIVE, .suffix = suffix};
    fill_hops(a, r, &body.announce.hops);
    control_send(&a->control, LITE_ANNOUNCE, &body);
  }
}

static void send_update(struct publish_announce *a, const struct told *t, const struct route_info *r)
{
  union lite_body body;
  if (version_of(a)->typed_announces) {
    body.announce_update = (struct lite_announce_update){.id = t->id, .warm_cost = r->warm, .cold_cost = r->cold};
    fill_hops(a, r, &body.announce_update.hops);
    control_send(&a->control, LITE_ANNOUNCE_UPDATE, &body);
  } else if (version_of(a)->announce_again) {
    body.announce = (struct lite_announce){.status = LITE_ACTIVE, .suffix = suffix_of(a, t)};
    fill_hops(a, r, &body.announce.hops);
    control_send(&a->control, LITE_ANNOUNCE, &body);
  }
}

static void send_end(struct publish_announce *a, struct told *t)
{
  union lite_body body;
  t->sent = false;
  if (version_of(a)->typed_announces) {
    body.announce_end = (struct lite_announce_end){t->id};
    control_send(&a->control, LITE_ANNOUNCE_END, &body);
  } else {
    body.announce = (struct lite_announce){.status = LITE_ENDED, .suffix = suffix_of(a, t)};
    control_send(&a->control, LITE_ANNOUNCE, &body);
  }
}

/* ---- what is due ---- */

static void count_entry(struct publish_announce *a, int by)
{
  if (!a->first)
    a->control.session->announce_entries += (uint32_t)by;
}

static void told_free(struct publish_announce *a, struct told *t)
{
  if (t->broadcast)
    HASH_DEL(a->told, t);
  count_entry(a, -1);
  list_remove(&t->due);
  free(t);
}

/* Brings the peer up to date about one broadcast. */
static void settle(struct publish_announce *a, struct told *t)
{
  uint64_t version = 0;
  const struct route_info *r = t->broadcast ? offer(a, t->broadcast, &version) : NULL;
  bool lingers = t->broadcast && !broadcast_route(t->broadcast); /* as it was */
  list_remove(&t->due);
  if (!t->sent && (r || t->counted))
    send_start(a, t, r);
  else if (r && version != t->version)
    send_update(a, t, r);
  t->counted = false;
  t->version = version;
  if (r || lingers)
    return;
  if (t->sent)
    send_end(a, t);
  told_free(a, t);
}

/* Well within the bounds on queues: a peer that reads does not meet those, whatever is announced. */
static size_t backlog(const struct publish_announce *a, size_t most)
{
  const struct lite_limits *l = &a->control.session->env->limits;
  size_t n = most < l->queue_bytes / 2 ? most : l->queue_bytes / 2;
  return n < l->session_queue_bytes / 4 ? n : l->session_queue_bytes / 4;
}

static void pump(struct publish_announce *a)
{
  while (a->live && !list_empty(&a->due) && !a->control.deaf && a->control.out.held < backlog(a, BACKLOG))
    settle(a, container_of(a->due.next, struct told, due));
}

static void on_news_timer(struct timer *t, uint64_t now)
{
  struct publish_announce *a = container_of(t, struct publish_announce, news_timer);
  a->told_at = now;
  pump(a);
}

/* A publisher's path that comes and goes with every few bytes it sends would else cost that much of every watcher. */
static void pump_soon(struct publish_announce *a)
{
  struct lite_session *s = a->control.session;
  uint64_t now = session_now(s), at = a->told_at + NEWS_INTERVAL;
  if (!a->live || timer_armed(&a->news_timer))
    return;
  if (a->told_at == 0 || at <= now)
    on_news_timer(&a->news_timer, now);
  else
    timers_set(s->env->timers, &a->news_timer, at);
}

static void announce_drained(struct control *c)
{
  pump(announce_of(c));
}

/* ---- the origin's news ---- */

static struct told *find_told(struct publish_announce *a, struct broadcast *b)
{
  struct told *t;
  HASH_FIND_PTR(a->told, &b, t);
  return t;
}

static struct told *told_new(struct publish_announce *a, struct broadcast *b)
{
  struct told *t = calloc(1, sizeof *t);
  if (!t)
    return NULL;
  t->broadcast = b;
  list_init(&t->due);
  HASH_ADD_PTR(a->told, broadcast, t);
  if (t->hh.tbl) {
    count_entry(a, 1);
    return t;
  }
  free(t);
  return NULL;
}

static void make_due(struct publish_announce *a, struct told *t)
{
  if (list_empty(&t->due))
    list_append(&a->due, &t->due);
}

/* The first stream may tell of all there is; each further one could be a copy of it. */
static bool has_room(const struct publish_announce *a)
{
  const struct lite_session *s = a->control.session;
  if (a->first || s->announce_entries < s->env->limits.announce_entries)
    return true;
  session_limit(s, LIMIT_ANNOUNCE_ENTRIES);
  return false;
}

static void on_change(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct publish_announce *a = ctx;
  struct told *t = find_told(a, b);
  uint64_t version;
  a->looked_at += !a->live;
  if (a->control.session->closing || a->control.deaf || (!broadcast_route(b) && t) || (!t && !offer(a, b, &version)))
    return; /* one that lingers is as it was */
  if (!t && !has_room(a)) {
    control_abort(&a->control, LITE_RESET_OVER_LIMIT);
    return;
  }
  if (!t)
    t = told_new(a, b);
  if (!t) {
    control_abort(&a->control, LITE_RESET_INTERNAL);
    return;
  }
  if (!a->live) {
    t->counted = true;
    a->initial_count++;
  }
  make_due(a, t);
  pump_soon(a);
}

/* The broadcast is about to go: what is still to be told must not need it. */
static void on_removed(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct publish_announce *a = ctx;
  struct told *t = find_told(a, b);
  if (!t)
    return;
  bool silent = !t->sent && !t->counted;
  struct told *gone = silent ? NULL : malloc(sizeof *gone + suffix.n);
  if (gone) {
    *gone = (struct told){.id = t->id, .sent = t->sent, .counted = t->counted, .suffix_n = (uint16_t)suffix.n};
    if (suffix.n > 0)
      memcpy(gone->suffix, suffix.p, suffix.n);
    list_init(&gone->due);
    list_append(&a->due, &gone->due);
    count_entry(a, 1);
  } else if (!silent) {
    control_abort(&a->control, LITE_RESET_INTERNAL);
  }
  told_free(a, t);
  pump_soon(a);
}

static const struct watch_ops watch_ops = {on_change, on_change, on_removed};

/* ---- the request ---- */

/* The initial set of 01 and 02 is one message; of a set too large for it the rest follows one by one. */
static void send_init(struct publish_announce *a)
{
  union lite_body body = {0};
  struct buf suffixes = {0};
  while (!list_empty(&a->due) && suffixes.n < backlog(a, INIT_BYTES)) {
    struct told *t = container_of(a->due.next, struct told, due);
    list_remove(&t->due);
    t->sent = true;
    t->counted = false;
    t->id = a->next_id++;
    buf_prefixed(&suffixes, suffix_of(a, t));
    body.announce_init.count++;
  }
  body.announce_init.suffixes = buf_slice(&suffixes);
  if (suffixes.failed)
    control_abort(&a->control, LITE_RESET_INTERNAL);
  else
    control_send(&a->control, LITE_ANNOUNCE_INIT, &body);
  buf_destroy(&suffixes);
}

/* The initial set is gathered first, so that its number can go before it. */
static void start(struct publish_announce *a)
{
  struct lite_session *s = a->control.session;
  struct path absolute;
  if (scope_absolute(&s->scope, path_slice(&a->prefix), &absolute) < 0) {
    control_abort(&a->control, LITE_RESET_MALFORMED);
    return;
  }
  if (watch_new(s->env->origin, path_slice(&absolute), &watch_ops, a, &a->watch) < 0) {
    control_abort(&a->control, LITE_RESET_INTERNAL);
    return;
  }
  a->live = true;
  session_requested(s, a->looked_at / LOOKED_AT);
  if (s->version->announce_init)
    send_init(a);
  if (s->version->announce_ok)
    control_send(&a->control, LITE_ANNOUNCE_OK,
                 &(union lite_body){.announce_ok = {s->env->model->hop_id, a->initial_count}});
  pump(a);
}

static void announce_message(struct control *c, const struct lite_raw *raw)
{
  struct publish_announce *a = announce_of(c);
  union lite_body body;
  int rc = 0;
  if (lite_decode(c->session->version->version, LITE_ANNOUNCE_REQUEST, raw->body, &body) < 0 ||
      (rc = session_path(c->session, &a->prefix, body.announce_request.prefix)) < 0) {
    control_abort(c, rc == -ENAMETOOLONG ? LITE_RESET_OVER_LIMIT : LITE_RESET_MALFORMED);
    return;
  }
  a->exclude = body.announce_request.exclude_hop;
  if (c->session->peer.hop == 0)
    c->session->peer.hop = a->exclude; /* 04 says nowhere else who it is */
  a->no_hidden = c->session->version->hidden && !body.announce_request.hidden;
  if (c->session->events->on_asked)
    c->session->events->on_asked(c->session->ctx, c->session, path_slice(&a->prefix));
  start(a);
}

/* Nobody says any more when a broadcast goes, so nothing is told from here on. */
static void stop_watching(struct publish_announce *a)
{
  watch_free(a->watch);
  a->watch = NULL;
  a->live = false;
  timers_cancel(a->control.session->env->timers, &a->news_timer);
}

static void announce_fin(struct control *c)
{
  stop_watching(announce_of(c));
  control_fin(c);
}

static void announce_reset(struct control *c, uint64_t code)
{
  stop_watching(announce_of(c));
  control_abort(c, LITE_RESET_CANCELLED);
}

static void announce_gone(struct control *c)
{
  struct publish_announce *a = announce_of(c);
  struct told *t, *tmp;
  stop_watching(a);
  HASH_ITER (hh, a->told, t, tmp)
    told_free(a, t);
  list_for_each_safe (it, next, &a->due)
    told_free(a, container_of(it, struct told, due));
  if (a->first)
    a->control.session->announce_first = false;
  free(a);
}

static size_t announce_memory(const struct control *c)
{
  const struct publish_announce *a = container_of(c, struct publish_announce, control);
  return sizeof *a + HASH_COUNT(a->told) * sizeof(struct told) + HASH_OVERHEAD(hh, a->told);
}

static const struct control_ops announce_ops = {.name = "announce",
                                                .memory = announce_memory,
                                                .message = announce_message,
                                                .fin = announce_fin,
                                                .reset = announce_reset,
                                                .stopped = announce_reset,
                                                .drained = announce_drained,
                                                .gone = announce_gone};

void publish_announce_accept(struct lite_session *s, struct stream *stream)
{
  struct publish_announce *a = calloc(1, sizeof *a);
  if (!a) {
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  list_init(&a->due);
  a->first = !s->announce_first;
  s->announce_first = true;
  timer_init(&a->news_timer, on_news_timer);
  control_accept(&a->control, s, stream, LITE_STREAM_ANNOUNCE, &announce_ops);
}
