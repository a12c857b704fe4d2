/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Serves ANNOUNCE_REQUEST: tells the peer what is announced under a prefix that it may watch. */
#include "session/lite/internal.h"
#include <stdlib.h>

/* Announce streams of a peer, each of which keeps an entry for every broadcast. Deployed peers open one a prefix. */
#define ANNOUNCE_STREAMS_MAX 32

/* A broadcast that the peer has been told of on this stream. */
struct told {
  UT_hash_handle hh;
  const struct broadcast *broadcast; /* key; not looked into after it is removed */
  uint64_t id;                       /* Announce ID */
  uint64_t version;                  /* of the route it was told by */
};

struct publish_announce {
  struct control control;
  struct watch *watch;
  struct path prefix;     /* relative to the session's root */
  uint64_t exclude;       /* Hop ID of the asker, 0 = none */
  struct told *told;
  uint64_t next_id;
  struct buf *initial;    /* while the initial set is gathered */
  uint64_t initial_count;
};

static struct publish_announce *announce_of(struct control *c)
{
  return container_of(c, struct publish_announce, control);
}

static const struct lite_version_info *version_of(const struct publish_announce *a)
{
  return a->control.session->version;
}

/* Into the initial set, else onto the stream. */
static void emit(struct publish_announce *a, enum lite_msg m, const union lite_body *body)
{
  if (a->initial)
    lite_encode(version_of(a)->version, m, body, a->initial);
  else if (!a->control.deaf)
    control_send(&a->control, m, body);
}

/* The way here as this version tells it (wire-lite, "Hop lists"). */
static void fill_hops(const struct publish_announce *a, const struct route_info *r, struct lite_hops *out)
{
  enum lite_hop_form form = version_of(a)->hops;
  bool with_us = form == LITE_HOPS_COUNT || form == LITE_HOPS_WITH_SENDER;
  memset(out, 0, sizeof *out);
  if (form == LITE_HOPS_NONE)
    return;
  out->n = r->hop_count;
  if (form != LITE_HOPS_COUNT)
    memcpy(out->id, r->hops, r->hop_count * sizeof *r->hops);
  if (with_us && out->n < LITE_HOPS_MAX)
    out->id[out->n++] = form == LITE_HOPS_COUNT ? 0 : a->control.session->env->model->hop_id;
}

/* The route that the peer should hear of: the best one that did not come through the peer itself. NULL: none, or it may not
 * know. */
static const struct route_info *offer(struct publish_announce *a, struct broadcast *b, uint64_t *ret_version)
{
  struct slice relative;
  struct lite_session *s = a->control.session;
  const struct route_info *r = broadcast_route_around(b, a->exclude ? a->exclude : s->peer.hop, ret_version);
  if (!r || !scope_relative(&s->scope, path_slice(&b->path), &relative) || !scope_may_subscribe(&s->scope, relative))
    return NULL;
  if (version_of(a)->hops == LITE_HOPS_WITH_SENDER && r->hop_count == LITE_HOPS_MAX)
    return NULL; /* no room for us */
  return r;
}

static struct told *find_told(struct publish_announce *a, const struct broadcast *b)
{
  struct told *t;
  HASH_FIND_PTR(a->told, &b, t);
  return t;
}

static void tell(struct publish_announce *a, const struct broadcast *b, struct slice suffix, const struct route_info *r,
                 uint64_t version)
{
  union lite_body body;
  struct told *t = calloc(1, sizeof *t);
  if (!t) {
    control_abort(&a->control, LITE_RESET_INTERNAL);
    return;
  }
  t->broadcast = b;
  t->id = a->next_id++;
  t->version = version;
  HASH_ADD_PTR(a->told, broadcast, t);
  a->initial_count++;
  if (a->initial && version_of(a)->announce_init) {
    buf_prefixed(a->initial, suffix);
  } else if (version_of(a)->typed_announces) {
    body.announce_start = (struct lite_announce_start){.suffix = suffix, .warm_cost = r->warm, .cold_cost = r->cold};
    fill_hops(a, r, &body.announce_start.hops);
    emit(a, LITE_ANNOUNCE_START, &body);
  } else {
    body.announce = (struct lite_announce){.status = LITE_ACTIVE, .suffix = suffix};
    fill_hops(a, r, &body.announce.hops);
    emit(a, LITE_ANNOUNCE, &body);
  }
}

static void retell(struct publish_announce *a, struct told *t, struct slice suffix, const struct route_info *r,
                   uint64_t version)
{
  union lite_body body;
  if (t->version == version)
    return;
  t->version = version;
  if (version_of(a)->typed_announces) {
    body.announce_update = (struct lite_announce_update){.id = t->id, .warm_cost = r->warm, .cold_cost = r->cold};
    fill_hops(a, r, &body.announce_update.hops);
    emit(a, LITE_ANNOUNCE_UPDATE, &body);
  } else if (version_of(a)->announce_again) {
    body.announce = (struct lite_announce){.status = LITE_ACTIVE, .suffix = suffix};
    fill_hops(a, r, &body.announce.hops);
    emit(a, LITE_ANNOUNCE, &body);
  }
}

static void untell(struct publish_announce *a, struct told *t, struct slice suffix)
{
  union lite_body body;
  if (version_of(a)->typed_announces) {
    body.announce_end = (struct lite_announce_end){t->id};
    emit(a, LITE_ANNOUNCE_END, &body);
  } else {
    body.announce = (struct lite_announce){.status = LITE_ENDED, .suffix = suffix};
    emit(a, LITE_ANNOUNCE, &body);
  }
  HASH_DEL(a->told, t);
  free(t);
}

static void on_change(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct publish_announce *a = ctx;
  struct told *t = find_told(a, b);
  if (a->control.session->closing || (!broadcast_route(b) && t))
    return; /* lingering: as it was */
  uint64_t version = 0;
  const struct route_info *r = offer(a, b, &version);
  if (r && !t)
    tell(a, b, suffix, r, version);
  else if (r)
    retell(a, t, suffix, r, version);
  else if (t)
    untell(a, t, suffix);
}

static void on_removed(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct publish_announce *a = ctx;
  struct told *t = find_told(a, b);
  if (t)
    untell(a, t, suffix);
}

static const struct watch_ops watch_ops = {on_change, on_change, on_removed};

/* All that is announced already, in the version's form: after its count, inside one message, or just so. */
static void send_initial(struct publish_announce *a, struct slice initial)
{
  struct lite_session *s = a->control.session;
  union lite_body ok = {.announce_ok = {s->env->model->hop_id, a->initial_count}};
  union lite_body init = {.announce_init = {a->initial_count, initial}};
  if (s->version->announce_init) {
    control_send(&a->control, LITE_ANNOUNCE_INIT, &init);
    return;
  }
  if (s->version->announce_ok)
    control_send(&a->control, LITE_ANNOUNCE_OK, &ok);
  control_send_bytes(&a->control, initial);
}

/* The whole initial set first, so that its count can go before it. */
static void start(struct publish_announce *a)
{
  struct lite_session *s = a->control.session;
  struct buf initial = {0};
  struct path absolute;
  if (scope_absolute(&s->scope, path_slice(&a->prefix), &absolute) < 0) {
    control_abort(&a->control, LITE_RESET_MALFORMED);
    return;
  }
  a->initial = &initial;
  int rc = watch_new(s->env->origin, path_slice(&absolute), &watch_ops, a, &a->watch);
  a->initial = NULL;
  if (rc < 0 || initial.failed) {
    control_abort(&a->control, LITE_RESET_INTERNAL);
  } else {
    send_initial(a, buf_slice(&initial));
  }
  buf_destroy(&initial);
}

static void announce_message(struct control *c, const struct lite_raw *raw)
{
  struct publish_announce *a = announce_of(c);
  union lite_body body;
  if (lite_decode(c->session->version->version, LITE_ANNOUNCE_REQUEST, raw->body, &body) < 0 ||
      path_parse(&a->prefix, body.announce_request.prefix) < 0) {
    control_abort(c, LITE_RESET_MALFORMED);
    return;
  }
  a->exclude = body.announce_request.exclude_hop;
  if (c->session->peer.hop == 0) /* a version without SETUP tells it here alone */
    c->session->peer.hop = a->exclude;
  start(a);
}

static void stop_watching(struct publish_announce *a)
{
  watch_free(a->watch);
  a->watch = NULL;
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
  HASH_ITER(hh, a->told, t, tmp)
  {
    HASH_DEL(a->told, t);
    free(t);
  }
  a->control.session->announce_count--;
  free(a);
}

static const struct control_ops announce_ops = {.name = "announce",
                                                .message = announce_message,
                                                .fin = announce_fin,
                                                .reset = announce_reset,
                                                .stopped = announce_reset,
                                                .gone = announce_gone};

void publish_announce_accept(struct lite_session *s, struct stream *stream)
{
  struct publish_announce *a = s->announce_count < ANNOUNCE_STREAMS_MAX ? calloc(1, sizeof *a) : NULL;
  if (!a) {
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  s->announce_count++;
  control_accept(&a->control, s, stream, LITE_STREAM_ANNOUNCE, &announce_ops);
}
