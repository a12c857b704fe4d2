/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The model's source on the other side of a session: TRACK for the facts, SUBSCRIBE for the groups, FETCH for one group. */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

/* Path of a track's broadcast on this session's wire. False when the broadcast has gone. */
static bool wire_path(const struct lite_session *s, const struct track *t, struct slice *ret_path)
{
  return t->broadcast && scope_relative(&s->scope, path_slice(&t->broadcast->path), ret_path);
}

/* Whether this session is still what serves the track: an answer may come after it moved. */
static bool serves(const struct lite_session *s, const struct track *t)
{
  return !s->closing && track_source(t) == s;
}

static void unsubscribe(struct upstream *u);

/* A subscription of ours for the track goes as well: the model does not tell those who told it. */
static void close_track(struct lite_session *s, struct track *t, uint64_t code)
{
  struct upstream *u = serves(s, t) ? t->upstream : NULL;
  if (serves(s, t))
    track_close(t, code, session_now(s));
  if (u)
    unsubscribe(u);
}

/* ---- TRACK ---- */

struct info_request {
  struct control control;
  struct track *track; /* a reference */
  bool answered;
};

static struct info_request *info_of(struct control *c)
{
  return container_of(c, struct info_request, control);
}

static void info_message(struct control *c, const struct lite_raw *raw)
{
  struct info_request *r = info_of(c);
  union lite_body body;
  if (raw->msg != LITE_TRACK_INFO || lite_decode(c->session->version->version, raw->msg, raw->body, &body) < 0) {
    r->answered = true;
    close_track(c->session, r->track, LITE_RESET_MALFORMED);
    control_abort(c, LITE_RESET_MALFORMED);
    return;
  }
  r->answered = true;
  struct track_info info = {body.track_info.priority, body.track_info.max_age, body.track_info.timescale};
  if (serves(c->session, r->track))
    track_set_info(r->track, &info, session_now(c->session));
  control_fin(c);
}

static void info_reset(struct control *c, uint64_t code)
{
  struct info_request *r = info_of(c);
  if (!r->answered)
    close_track(c->session, r->track, code);
  r->answered = true;
  control_abort(c, LITE_RESET_CANCELLED);
}

static void info_fin(struct control *c)
{
  if (!info_of(c)->answered)
    info_reset(c, LITE_RESET_NOT_FOUND);
}

static void info_gone(struct control *c)
{
  struct info_request *r = info_of(c);
  track_unref(r->track);
  free(r);
}

static const struct control_ops info_ops = {.name = "track",
                                            .answered = true,
                                            .message = info_message,
                                            .fin = info_fin,
                                            .reset = info_reset,
                                            .gone = info_gone};

/* A version without TRACK has no facts: these are what deployed peers assume. The age counts: @moq/net drops groups that
 * are past it before the application has read them. */
static const struct track_info assumed_info = {.priority = 127, .max_age_ms = 5000, .timescale = 1000};

static void source_info(void *source, struct track *t)
{
  struct lite_session *s = source;
  struct slice path;
  if (!s->version->track) {
    track_set_info(t, &assumed_info, session_now(s));
    return;
  }
  struct info_request *r = wire_path(s, t, &path) ? calloc(1, sizeof *r) : NULL;
  if (!r || control_open(&r->control, s, LITE_STREAM_TRACK, &info_ops) < 0) {
    free(r);
    close_track(s, t, LITE_RESET_INTERNAL);
    return;
  }
  r->track = track_ref(t);
  control_send(&r->control, LITE_TRACK, &(union lite_body){.track = {path, t->name}});
  if (r->control.deaf) /* it could not be queued */
    info_reset(&r->control, LITE_RESET_INTERNAL);
}

/* ---- SUBSCRIBE ---- */

static struct upstream *upstream_of(struct control *c)
{
  return container_of(c, struct upstream, control);
}

struct upstream *subscribe_find(struct lite_session *s, uint64_t id)
{
  struct upstream *u;
  HASH_FIND(hh, s->upstreams, &id, sizeof id, u);
  return u;
}

/* The model is done with it, or the stream is gone: groups under way are cut, later ones are for an unknown id. A track that
 * has parted has nobody else who would finish it. */
static void let_go(struct upstream *u, uint64_t code)
{
  struct track *t = u->track;
  if (!t)
    return;
  bool mine = t->upstream == u;
  HASH_DEL(u->control.session->upstreams, u);
  subscribe_groups_cancel(u, code);
  u->track = NULL;
  if (mine)
    t->upstream = NULL;
  if (mine && t->parting) {
    bool lost = code == LITE_RESET_SESSION_CLOSED || u->control.session->closing;
    track_close(t, lost ? LITE_RESET_UNROUTABLE : code, session_now(u->control.session));
  }
  track_unref(t);
}

/* The peer ended it: the track breaks, unless the model let go before. */
static void broken(struct upstream *u, uint64_t code)
{
  struct track *t = u->track;
  if (!t)
    return;
  track_ref(t);
  bool mine = t->upstream == u;
  let_go(u, code);
  if (mine)
    close_track(u->control.session, t, code);
  track_unref(t);
}

static void all_begun(struct upstream *u)
{
  if (u->track && u->ended && u->streams >= u->expected && serves(u->control.session, u->track))
    track_all_begun(u->track);
}

void subscribe_counted(struct upstream *u)
{
  u->streams++;
  all_begun(u);
}

static void on_end(struct upstream *u, uint64_t final, uint64_t streams)
{
  struct lite_session *s = u->control.session;
  u->ended = true;
  u->expected = streams;
  if (serves(s, u->track))
    track_finish(u->track, final, session_now(s));
  all_begun(u);
}

static void upstream_message(struct control *c, const struct lite_raw *raw)
{
  struct upstream *u = upstream_of(c);
  union lite_body body;
  if (!u->track)
    return;
  if (lite_decode(c->session->version->version, raw->msg, raw->body, &body) < 0) {
    broken(u, LITE_RESET_MALFORMED);
    control_abort(c, LITE_RESET_MALFORMED);
    return;
  }
  if (raw->msg == LITE_SUBSCRIBE_END && !u->ended)
    on_end(u, body.subscribe_end.group, c->session->version->stream_count ? body.subscribe_end.streams : LITE_NONE);
}

static void upstream_fin(struct control *c)
{
  struct upstream *u = upstream_of(c);
  if (!u->ended && u->track && c->session->version->subscribe_ok)
    on_end(u, u->next_sequence, LITE_NONE); /* FIN is all there is: what has begun is all there will be */
  else if (!u->ended)
    broken(u, LITE_RESET_CANCELLED); /* deployed peers call an end without SUBSCRIBE_END a violation */
  control_fin(c);
}

static void upstream_reset(struct control *c, uint64_t code)
{
  struct upstream *u = upstream_of(c);
  broken(u, code);
  control_abort(c, LITE_RESET_CANCELLED);
}

static void upstream_gone(struct control *c)
{
  struct upstream *u = upstream_of(c);
  if (u->ended && u->track && !c->session->closing) {
    u->over = true; /* late groups may still come: it stays until the model lets go */
    return;
  }
  let_go(u, LITE_RESET_SESSION_CLOSED);
  free(u);
}

static const struct control_ops upstream_ops = {.name = "subscribe",
                                                .message = upstream_message,
                                                .fin = upstream_fin,
                                                .reset = upstream_reset,
                                                .gone = upstream_gone};
/* Where SUBSCRIBE_OK says that the track is there; elsewhere TRACK_INFO does, and SUBSCRIBE may stay unanswered. */
static const struct control_ops upstream_ok_ops = {.name = "subscribe",
                                                   .answered = true,
                                                   .message = upstream_message,
                                                   .fin = upstream_fin,
                                                   .reset = upstream_reset,
                                                   .gone = upstream_gone};

static struct lite_want want_of(const struct lite_session *s, const struct sub_params *p)
{
  return (struct lite_want){
      .priority = p->priority,
      .ordered = p->oldest_first,
      .max_age = p->max_age_ms < (1ULL << 53) ? p->max_age_ms : (1ULL << 53) - 1,
      .group_start = p->from_latest && s->version->group_start_latest ? LITE_NONE : p->group_start,
      .group_end = LITE_NONE,
      .frame_start = 0,
      .frame_end = LITE_NONE,
  };
}

static void source_subscribe(void *source, struct track *t, const struct sub_params *wanted)
{
  struct lite_session *s = source;
  struct slice path;
  const struct control_ops *ops = s->version->subscribe_ok ? &upstream_ok_ops : &upstream_ops;
  if (HASH_COUNT(s->upstreams) >= s->env->limits.tracks) {
    session_limit(s, LIMIT_SESSION_TRACKS);
    close_track(s, t, LITE_RESET_OVER_LIMIT);
    return;
  }
  struct upstream *u = wire_path(s, t, &path) ? calloc(1, sizeof *u) : NULL;
  if (!u || control_open(&u->control, s, LITE_STREAM_SUBSCRIBE, ops) < 0) {
    free(u);
    close_track(s, t, LITE_RESET_INTERNAL);
    return;
  }
  list_init(&u->groups);
  u->id = s->next_subscribe_id++;
  HASH_ADD(hh, s->upstreams, id, sizeof u->id, u);
  if (!u->hh.tbl) { /* its owner goes with the stream */
    control_abort(&u->control, LITE_RESET_INTERNAL);
    close_track(s, t, LITE_RESET_INTERNAL);
    return;
  }
  u->track = track_ref(t);
  t->upstream = u;
  log_debug(s->env->log, "subscribing upstream broadcast=%.*s track=%.*s session=%llu id=%llu", SLICE_FMT(path),
            SLICE_FMT(t->name), (unsigned long long)s->id, (unsigned long long)u->id);
  union lite_body body = {.subscribe = {u->id, path, t->name, want_of(s, wanted)}};
  control_send(&u->control, LITE_SUBSCRIBE, &body);
  if (u->control.deaf)
    broken(u, LITE_RESET_INTERNAL);
}

static void source_update(void *source, struct track *t, const struct sub_params *wanted)
{
  struct lite_session *s = source;
  struct upstream *u = t->upstream;
  /* In 01 and 02 there is nothing to tell but the priority, and deployed publishers end the subscription over it. */
  if (!u || u->ended || u->over || u->control.deaf || !s->version->max_age)
    return;
  control_send(&u->control, LITE_SUBSCRIBE_UPDATE, &(union lite_body){.subscribe_update = {want_of(s, wanted)}});
  if (u->control.deaf)
    broken(u, LITE_RESET_INTERNAL);
}

static void unsubscribe(struct upstream *u)
{
  bool over = u->over;
  if (u->track)
    log_debug(u->control.session->env->log, "unsubscribing upstream track=%.*s session=%llu id=%llu",
              SLICE_FMT(u->track->name), (unsigned long long)u->control.session->id, (unsigned long long)u->id);
  let_go(u, LITE_RESET_CANCELLED);
  if (over)
    free(u);
  else if (u->control.stream)
    control_fin(&u->control);
  else
    control_abort(&u->control, LITE_RESET_CANCELLED); /* it need not be asked for at all */
}

static void source_unsubscribe(void *source, struct track *t)
{
  struct upstream *u = t->upstream;
  if (u)
    unsubscribe(u);
}

void subscribe_prune(struct lite_session *s, bool all)
{
  struct upstream *u, *tmp;
  HASH_ITER (hh, s->upstreams, u, tmp) {
    if (all || u->track->upstream != u)
      unsubscribe(u);
  }
}

/* ---- FETCH ---- */

struct fetch_request {
  struct control control;
  struct track *track; /* a reference */
  struct group *group; /* a reference, once the first byte has come */
  uint64_t sequence;
  struct frame_parser parser;
  bool over;
};

static struct fetch_request *fetch_of(struct control *c)
{
  return container_of(c, struct fetch_request, control);
}

static void fetch_fail(struct fetch_request *r, uint64_t code)
{
  struct lite_session *s = r->control.session;
  if (r->over)
    return;
  r->over = true;
  if (r->group)
    group_cut(r->group, code);
  else if (serves(s, r->track))
    track_fetch_failed(r->track, r->sequence, code, session_now(s));
}

static void fetch_message(struct control *c, const struct lite_raw *raw) {}

static void fetch_frames(struct control *c, struct slice data, bool fin)
{
  struct fetch_request *r = fetch_of(c);
  struct lite_session *s = c->session;
  uint64_t code = LITE_RESET_OLD;
  int rc = 0;
  if (r->over)
    return;
  if (!r->group)
    rc = serves(s, r->track) ? track_group(r->track, r->sequence, session_now(s), &r->group) : -ESTALE;
  if (rc == 0)
    rc = frame_parser_feed(&r->parser, s, r->group, data, &code);
  if (rc == 0 && fin && !frame_parser_whole(&r->parser)) {
    rc = -EPROTO;
    code = LITE_RESET_MALFORMED;
  }
  if (rc < 0) {
    fetch_fail(r, code);
    control_abort(c, code);
  } else if (fin) {
    r->over = true;
    group_finish(r->group);
    control_fin(c);
  }
}

static void fetch_fin(struct control *c)
{
  fetch_frames(c, slice_of(NULL, 0), true);
}

static void fetch_reset(struct control *c, uint64_t code)
{
  fetch_fail(fetch_of(c), code);
  control_abort(c, LITE_RESET_CANCELLED);
}

static void fetch_gone(struct control *c)
{
  struct fetch_request *r = fetch_of(c);
  fetch_fail(r, LITE_RESET_SESSION_CLOSED);
  group_unref(r->group);
  track_unref(r->track);
  free(r);
}

static const struct control_ops fetch_ops = {.name = "fetch",
                                             .answered = true,
                                             .message = fetch_message,
                                             .frames = fetch_frames,
                                             .fin = fetch_fin,
                                             .reset = fetch_reset,
                                             .gone = fetch_gone};

static int source_fetch(void *source, struct track *t, uint64_t sequence)
{
  struct lite_session *s = source;
  struct slice path;
  struct fetch_request *r = s->version->fetch && wire_path(s, t, &path) ? calloc(1, sizeof *r) : NULL;
  if (!r || control_open(&r->control, s, LITE_STREAM_FETCH, &fetch_ops) < 0) {
    free(r);
    return -ENOTSUP;
  }
  r->track = track_ref(t);
  r->sequence = sequence;
  union lite_body body = {.fetch = {path, t->name, t->info.priority, sequence, 0, LITE_NONE}};
  control_send(&r->control, LITE_FETCH, &body);
  if (r->control.deaf)
    fetch_fail(r, LITE_RESET_INTERNAL);
  return 0;
}

const struct source_ops subscribe_source = {source_info,        source_subscribe, source_update,
                                            source_unsubscribe, source_fetch,     true};
