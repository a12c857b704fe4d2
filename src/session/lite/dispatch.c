/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which stream is what: reads the type off the first bytes of a stream that the peer opened and hands it to whoever serves
 * that type. Until the session is started streams wait here. */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

#define HELD_STREAMS_MAX 128u /* that wait for the session to be admitted, or for the pace of requests */
#define HELD_BYTES_MAX 16384u /* of each */

/* One row per kind of request stream that a peer may open. */
static const struct {
  enum lite_stream type;
  void (*accept)(struct lite_session *s, struct stream *st);
} acceptors[] = {
    {LITE_STREAM_ANNOUNCE, publish_announce_accept},
    {LITE_STREAM_SUBSCRIBE, publish_subscribe_accept},
    {LITE_STREAM_TRACK, publish_track_accept},
    {LITE_STREAM_FETCH, publish_fetch_accept},
    {LITE_STREAM_PROBE, probe_accept},
    {LITE_STREAM_GOAWAY, goaway_accept},
};

static void dispatch_request(struct lite_session *s, struct stream *st, enum lite_stream type)
{
  session_requested(s, 1);
  if (!session_has_room(s, type)) {
    session_refuse(st, LITE_RESET_OVER_LIMIT);
    return;
  }
  for (size_t i = 0; i < sizeof acceptors / sizeof *acceptors; i++) {
    if (acceptors[i].type == type) {
      acceptors[i].accept(s, st);
      return;
    }
  }
  session_refuse(st, LITE_RESET_CANCELLED);
}

/* A stream that came before the session was admitted (SETUP travels on a stream of its own and may be overtaken), or a
 * request that came too soon after others: a client in use is better served late than refused. Its bytes wait, without
 * credit being given back. */
struct held {
  struct list link;
  struct lite_session *session;
  struct stream *stream;
  enum lite_stream type;
  struct buf bytes;
  size_t kept; /* of `bytes`, as counted by session_keep */
  bool fin;
};

static void held_free(struct held *h)
{
  list_remove(&h->link);
  h->session->held_count--;
  (void)session_keep(h->session, &h->kept, 0);
  buf_destroy(&h->bytes);
  free(h);
}

static void held_data(struct stream *st, struct slice data, bool fin)
{
  struct held *h = st->user;
  buf_bytes(&h->bytes, data);
  h->fin |= fin;
  if (!h->bytes.failed && h->bytes.n <= HELD_BYTES_MAX && session_keep(h->session, &h->kept, h->bytes.n))
    return;
  held_free(h);
  session_refuse(st, LITE_RESET_OVER_LIMIT);
}

static void held_code(struct stream *st, uint64_t code)
{
  held_free(st->user);
  session_refuse(st, LITE_RESET_CANCELLED);
}

static void held_closed(struct stream *st)
{
  held_free(st->user);
}

static const struct stream_events held_events = {.data = held_data,
                                                 .reset = held_code,
                                                 .stopped = held_code,
                                                 .pull = quiet_pull,
                                                 .sent = quiet_sent,
                                                 .closed = held_closed};

static void hold(struct lite_session *s, struct stream *st, enum lite_stream type, struct slice rest, bool fin)
{
  struct held *h = s->held_count < HELD_STREAMS_MAX ? calloc(1, sizeof *h) : NULL;
  if (!h) {
    session_refuse(st, LITE_RESET_OVER_LIMIT);
    return;
  }
  *h = (struct held){.session = s, .stream = st, .type = type};
  list_append(&s->held, &h->link);
  s->held_count++;
  st->events = &held_events;
  st->user = h;
  held_data(st, rest, fin);
}

/* Whether a stream has to wait because of requests before it; when so, the session looks again in time. */
static bool too_soon(struct lite_session *s, const struct stream *st, enum lite_stream type)
{
  uint64_t at = session_request_at(s);
  if (!st->bidi || !s->started || type == LITE_STREAM_GOAWAY || at <= session_now(s))
    return false;
  if (!timer_armed(&s->pace_timer))
    timers_set(s->env->timers, &s->pace_timer, at);
  return true;
}

/* Hands the rest of the first bytes to whoever took the stream over. */
static void dispatch(struct lite_session *s, struct stream *st, enum lite_stream type, struct slice rest, bool fin)
{
  bool legacy = type == LITE_STREAM_LEGACY || type == LITE_STREAM_LEGACY_OLDER || type == LITE_STREAM_LEGACY_OLDEST;
  if (!s->started && type != LITE_STREAM_SETUP && !legacy) {
    hold(s, st, type, rest, fin);
    return;
  }
  if (!legacy && too_soon(s, st, type)) {
    session_limit(s, LIMIT_REQUESTS_PER_SECOND);
    hold(s, st, type, rest, fin);
    return;
  }
  if (type == LITE_STREAM_GROUP) {
    subscribe_group_accept(s, st, rest, fin);
    return;
  }
  if (type == LITE_STREAM_SETUP)
    setup_accept(s, st);
  else if (legacy)
    setup_legacy_accept(s, st, type);
  else if (st->bidi)
    dispatch_request(s, st, type);
  else
    session_refuse(st, LITE_RESET_CANCELLED);
  if (rest.n > 0 || fin)
    st->events->data(st, rest, fin);
}

void dispatch_held(struct lite_session *s)
{
  list_for_each_safe (it, tmp, &s->held) {
    struct held *h = container_of(it, struct held, link);
    if (s->closing)
      return; /* the transport lets go of the rest: their `closed` comes */
    struct stream *st = h->stream;
    enum lite_stream type = h->type;
    if (too_soon(s, st, type))
      continue;
    struct buf bytes = h->bytes;
    bool fin = h->fin;
    h->bytes = (struct buf){0};
    held_free(h);
    dispatch(s, st, type, buf_slice(&bytes), fin);
    buf_destroy(&bytes);
  }
}

void dispatch_on_pace(struct timer *timer, uint64_t now)
{
  (void)now;
  dispatch_held(container_of(timer, struct lite_session, pace_timer));
}

/* A stream whose type has not come whole. Credit for its bytes is given back once it is known whose they are: a type may
 * be part of the first message. */
struct opening {
  struct lite_session *session;
  struct stream *stream;
  struct wait wait;
  uint8_t n;
  uint8_t bytes[VARINT_ONES_MAX_BYTES];
};

static void opening_free(struct opening *o)
{
  wait_end(&o->wait);
  free(o);
}

static void opening_expired(struct wait *w)
{
  struct opening *o = container_of(w, struct opening, wait);
  struct stream *st = o->stream;
  if (o->session->closing)
    return; /* its `closed` comes */
  session_limit(o->session, LIMIT_MESSAGE_TIMEOUT);
  opening_free(o);
  session_refuse(st, LITE_RESET_CONTROL_TIMEOUT);
}

static void opening_data(struct stream *st, struct slice data, bool fin)
{
  struct opening *o = st->user;
  struct lite_session *s = o->session;
  size_t have = o->n, used = sizeof o->bytes - have < data.n ? sizeof o->bytes - have : data.n;
  enum lite_stream type;
  size_t n;
  if (used > 0)
    memcpy(o->bytes + have, data.p, used);
  if (lite_stream_open(s->version->version, !st->bidi, slice_of(o->bytes, have + used), &type, &n) == 0) {
    o->n = (uint8_t)(have + used);
    if (fin) {
      opening_free(o);
      session_refuse(st, LITE_RESET_MALFORMED);
    }
    return;
  }
  uint8_t early[sizeof o->bytes];
  memcpy(early, o->bytes, have);
  opening_free(o);
  stream_extend(st, n);
  if (type == LITE_STREAM_UNKNOWN) {
    session_refuse(st, LITE_RESET_CANCELLED);
  } else if (n >= have) {
    dispatch(s, st, type, slice_from(data, n - have), fin);
  } else {
    dispatch(s, st, type, slice_of(early + n, have - n), false);
    st->events->data(st, data, fin);
  }
}

static void opening_reset(struct stream *st, uint64_t code)
{
  opening_free(st->user);
  session_refuse(st, LITE_RESET_CANCELLED);
}

static void opening_closed(struct stream *st)
{
  opening_free(st->user);
}

static const struct stream_events opening_events = {.data = opening_data,
                                                    .reset = opening_reset,
                                                    .stopped = quiet_code,
                                                    .pull = quiet_pull,
                                                    .sent = quiet_sent,
                                                    .closed = opening_closed};

void dispatch_accept(struct lite_session *s, struct stream *st)
{
  struct opening *o = calloc(1, sizeof *o);
  if (!o) {
    session_refuse(st, LITE_RESET_INTERNAL);
    return;
  }
  *o = (struct opening){.session = s, .stream = st, .wait = {.expired = opening_expired}};
  list_init(&o->wait.link);
  wait_begin(s, &o->wait);
  st->events = &opening_events;
  st->user = o;
}
