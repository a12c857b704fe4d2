/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Serves TRACK (the track's fixed facts) and FETCH (one group). */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

uint64_t publish_hop(const struct lite_session *s)
{
  return s->peer.hop || s->env->local_publishers ? s->peer.hop : s->stamp;
}

struct track *publish_find(struct lite_session *s, struct slice broadcast, struct slice track, uint64_t *ret_code)
{
  struct path relative, absolute;
  *ret_code = LITE_RESET_UNROUTABLE;
  if (session_path(s, &relative, broadcast) < 0 || !scope_may_subscribe(&s->scope, path_slice(&relative)) ||
      scope_absolute(&s->scope, path_slice(&relative), &absolute) < 0)
    return NULL;
  struct broadcast *b = origin_find(s->env->origin, path_slice(&absolute));
  struct track *t = b ? broadcast_track_around(b, track, publish_hop(s)) : NULL;
  if (b && !t && errno != ENOENT)
    *ret_code = errno == ENAMETOOLONG ? LITE_RESET_NOT_FOUND
                : errno == EUSERS     ? LITE_RESET_OVER_LIMIT
                                      : LITE_RESET_INTERNAL;
  return t;
}

static const struct lite_raw *expect(struct control *c, const struct lite_raw *raw, enum lite_msg m,
                                     union lite_body *ret_body)
{
  if (raw->msg == m && lite_decode(c->session->version->version, m, raw->body, ret_body) == 0)
    return raw;
  control_abort(c, LITE_RESET_MALFORMED);
  return NULL;
}

/* ---- TRACK ---- */

struct publish_track {
  struct control control;
  struct track *track;
  struct info_waiter waiter;
};

static struct publish_track *track_of(struct control *c)
{
  return container_of(c, struct publish_track, control);
}

static void track_done(struct info_waiter *w, const struct track_info *info, uint64_t code)
{
  struct publish_track *p = container_of(w, struct publish_track, waiter);
  if (!info) {
    control_abort(&p->control, code);
    return;
  }
  union lite_body body = {
      .track_info = {.priority = info->priority, .max_age = info->max_age_ms, .timescale = info->timescale}};
  control_send(&p->control, LITE_TRACK_INFO, &body);
  control_fin(&p->control);
}

static void track_message(struct control *c, const struct lite_raw *raw)
{
  struct publish_track *p = track_of(c);
  union lite_body body;
  uint64_t code;
  if (!expect(c, raw, LITE_TRACK, &body))
    return;
  p->track = publish_find(c->session, body.track.broadcast, body.track.track, &code);
  if (p->track)
    track_wait_info(p->track, &p->waiter, session_now(c->session));
  else
    control_abort(c, code);
}

static void track_fin(struct control *c)
{
  /* The request is whole; the answer still comes. */
}

static void track_reset(struct control *c, uint64_t code)
{
  info_wait_cancel(&track_of(c)->waiter);
  control_abort(c, LITE_RESET_CANCELLED);
}

static void track_gone(struct control *c)
{
  struct publish_track *p = track_of(c);
  info_wait_cancel(&p->waiter);
  track_unref(p->track);
  free(p);
}

static const struct control_ops track_ops = {.name = "track",
                                             .message = track_message,
                                             .fin = track_fin,
                                             .reset = track_reset,
                                             .stopped = track_reset,
                                             .gone = track_gone};

void publish_track_accept(struct lite_session *s, struct stream *stream)
{
  struct publish_track *p = calloc(1, sizeof *p);
  if (!p) {
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  list_init(&p->waiter.link);
  p->waiter.done = track_done;
  control_accept(&p->control, s, stream, LITE_STREAM_TRACK, &track_ops);
}

/* ---- FETCH ---- */

struct publish_fetch {
  struct control control;
  struct track *track;
  struct fetch fetch;
  struct reader reader;
  uint64_t frame_start, frame_end;
};

static struct publish_fetch *fetch_of(struct control *c)
{
  return container_of(c, struct publish_fetch, control);
}

/* Gives the answer up. The group is let go of at once: a peer that never ends its half keeps the stream, not the bytes. */
static void fetch_abort(struct publish_fetch *p, uint64_t code)
{
  control_abort(&p->control, code);
  p->control.body = NULL;
  reader_end(&p->reader);
}

static void fetch_wake(struct reader *r)
{
  struct publish_fetch *p = container_of(r, struct publish_fetch, reader);
  if (reader_cut(r))
    fetch_abort(p, lite_reset_relayed(r->group->code));
  else if (p->control.stream && !p->control.deaf)
    stream_wake(p->control.stream);
}

static void fetch_done(struct fetch *f, struct group *g, uint64_t code)
{
  struct publish_fetch *p = container_of(f, struct publish_fetch, fetch);
  struct control *c = &p->control;
  if (!g) {
    control_abort(c, code);
    return;
  }
  int rc = reader_begin(&p->reader, g, 0, lite_framing(c->session->version), p->frame_start, p->frame_end, fetch_wake);
  group_unref(g);
  if (rc < 0) {
    control_abort(c, LITE_RESET_TOO_FAR_BEHIND);
    return;
  }
  c->body = &p->reader;
  if (c->stream)
    stream_wake(c->stream);
}

static void fetch_message(struct control *c, const struct lite_raw *raw)
{
  struct publish_fetch *p = fetch_of(c);
  union lite_body body;
  uint64_t code;
  if (!expect(c, raw, LITE_FETCH, &body))
    return;
  p->track = publish_find(c->session, body.fetch.broadcast, body.fetch.track, &code);
  if (!p->track) {
    control_abort(c, code);
    return;
  }
  c->order = (struct send_order){(uint64_t)(256 - body.fetch.priority) << 48 | ((1ULL << 48) - 1), 0};
  stream_set_order(c->stream, c->order);
  p->fetch.sequence = body.fetch.group;
  p->frame_start = body.fetch.frame_start;
  p->frame_end = body.fetch.frame_end;
  track_fetch(p->track, &p->fetch, false, session_now(c->session));
}

static void fetch_fin(struct control *c) {}

static void fetch_reset(struct control *c, uint64_t code)
{
  fetch_abort(fetch_of(c), LITE_RESET_CANCELLED);
}

static void fetch_gone(struct control *c)
{
  struct publish_fetch *p = fetch_of(c);
  fetch_cancel(&p->fetch, session_now(c->session));
  reader_end(&p->reader);
  track_unref(p->track);
  free(p);
}

static const struct control_ops fetch_ops = {.name = "fetch",
                                             .message = fetch_message,
                                             .fin = fetch_fin,
                                             .reset = fetch_reset,
                                             .stopped = fetch_reset,
                                             .gone = fetch_gone};

void publish_fetch_accept(struct lite_session *s, struct stream *stream)
{
  struct publish_fetch *p = calloc(1, sizeof *p);
  if (!p) {
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  list_init(&p->fetch.link);
  p->fetch.done = fetch_done;
  p->frame_end = LITE_NONE;
  control_accept(&p->control, s, stream, LITE_STREAM_FETCH, &fetch_ops);
}
