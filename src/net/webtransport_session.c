/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/webtransport_impl.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LINGER_RTTS 3

/* ---- states ---- */

static void set_state(struct wt_session *s, enum wt_state state)
{
  static const bool legal[4][4] = {
      [WT_HELD] = {[WT_REQUESTED] = true},
      [WT_REQUESTED] = {[WT_OPEN] = true},
      [WT_OPEN] = {[WT_CLOSING] = true},
  };
  static const char *const names[] = {"held", "requested", "open", "closing"};
  assert(legal[s->state][state]);
  log_debug(s->conn->log, "webtransport: session %llu %s -> %s", (unsigned long long)s->id, names[s->state],
            names[state]);
  s->state = state;
}

void wt_session_free(struct wt_session *s)
{
  if (!s)
    return;
  wt_protocols_destroy(&s->protocols);
  buf_destroy(&s->text);
  free(s);
}

/* ---- making ---- */

static struct wt_session *session_new(struct wt_conn *c, struct slice authority, struct slice path, struct slice origin,
                                      struct slice authorization)
{
  struct wt_session *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  const struct slice texts[] = {authority, path, origin, authorization};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    buf_bytes(&s->text, texts[i]);
    buf_u8(&s->text, '\0');
  }
  if (s->text.failed) {
    wt_session_free(s);
    return NULL;
  }
  s->conn = c;
  s->authority = (const char *)s->text.p;
  s->path = s->authority + authority.n + 1;
  s->origin = s->path + path.n + 1;
  s->authorization = s->origin + origin.n + 1;
  s->t = (struct transport){.ops = &wt_transport_ops,
                            .kind = "webtransport",
                            .protocol = "",
                            .path = s->path,
                            .host = s->authority,
                            .peer = c->quic->peer,
                            .local = c->quic->local,
                            .client = c->quic->client};
  return s;
}

int wt_session_request(struct h3_stream *h, const struct h3_request *request, const struct h3_fields *fields)
{
  struct wt_conn *c = h->conn;
  struct wt_session *s = session_new(c, request->authority, request->path, request->origin, request->authorization);
  if (!s || wt_protocols_from(fields, &s->protocols) < 0) {
    wt_session_free(s);
    return -ENOMEM;
  }
  s->connect = h;
  s->id = h->s->id;
  c->session = s;
  h3_set_kind(h, H3_KIND_CONNECT);
  if (c->settings_seen)
    wt_session_unhold(c);
  return 0;
}

/* Copies the caller's list into one block. */
static int copy_protocols(struct wt_protocols *p, const char *const *protocols)
{
  size_t n = 0, bytes = 1;
  for (; protocols[n]; n++)
    bytes += strlen(protocols[n]) + 1;
  if (n > WT_PROTOCOLS_MAX)
    return -EINVAL;
  char *text = p->text = malloc(bytes);
  if (!text)
    return -ENOMEM;
  for (size_t i = 0; i < n; i++) {
    p->items[i] = strcpy(text, protocols[i]);
    text += strlen(text) + 1;
  }
  return 0;
}

int wt_session_plan(struct wt_conn *c, const char *authority, const char *path, const char *const *protocols)
{
  struct wt_session *s = session_new(c, slice_str(authority), slice_str(path), slice_str(""), slice_str(""));
  if (!s)
    return -ENOMEM;
  int rc = copy_protocols(&s->protocols, protocols);
  if (rc < 0) {
    wt_session_free(s);
    return rc;
  }
  c->session = s;
  return 0;
}

/* ---- a server's answer ---- */

static void offer(struct wt_conn *c)
{
  struct wt_session *s = c->session;
  const struct wt_request request = {.authority = s->authority,
                                     .path = s->path,
                                     .origin = s->origin,
                                     .authorization = s->authorization,
                                     .protocols = s->protocols.items,
                                     .connection = c->quic};
  timers_cancel(&c->worker->timers, &c->connect_timer);
  set_state(s, WT_REQUESTED);
  c->server->on_request(c->ctx, s, &request);
}

static const char *offered(const struct wt_session *s, const char *protocol)
{
  for (size_t i = 0; s->protocols.items[i]; i++)
    if (strcmp(s->protocols.items[i], protocol) == 0)
      return s->protocols.items[i];
  return NULL;
}

struct transport *wt_accept(struct wt_session *s, const char *protocol)
{
  if (protocol[0])
    s->t.protocol = offered(s, protocol);
  assert(s->t.protocol);
  set_state(s, WT_OPEN);
  h3_answer(s->connect, 200, protocol, false);
  /* The caller has yet to set the transport's events. */
  worker_defer(s->conn->worker, &s->conn->handover);
  return &s->t;
}

/* The connection is free for another CONNECT. */
static void drop_request(struct wt_session *s)
{
  struct wt_conn *c = s->conn;
  if (s->connect)
    h3_set_kind(s->connect, H3_KIND_DISCARD);
  c->session = NULL;
  wt_session_free(s);
  wt_wait_end(c, WT_SESSION_GONE);
  timers_set(&c->worker->timers, &c->connect_timer, c->worker->now + WT_CONNECT_NS);
}

void wt_reject_asking(struct wt_session *s, int status, struct slice www_authenticate)
{
  assert(s->state == WT_REQUESTED && status >= 400 && status < 600);
  h3_answer_asking(s->connect, status, www_authenticate);
  drop_request(s);
}

void wt_reject(struct wt_session *s, int status)
{
  wt_reject_asking(s, status, slice_str(""));
}

/* ---- a client's request ---- */

void wt_dial_failed(struct wt_conn *c, int status, const char *text)
{
  const struct wt_dial_events *dial = c->dial;
  c->dial = NULL;
  if (dial)
    dial->on_failed(c->ctx, status, text);
}

static void give_up(struct wt_conn *c, int status, const char *text, uint64_t wire_code)
{
  wt_fail(c, wire_code, text);
  wt_dial_failed(c, status, text);
}

static void request(struct wt_conn *c)
{
  struct wt_session *s = c->session;
  int rc = h3_open(c, true, H3_KIND_REQUEST, &s->connect);
  if (rc == -EAGAIN)
    return; /* on_streams will tell */
  if (rc < 0) {
    give_up(c, 0, "the request cannot be sent", H3_INTERNAL_ERROR);
    return;
  }
  s->id = s->connect->s->id;
  set_state(s, WT_REQUESTED);
  struct buf *piece = h3_piece(s->connect);
  wt_request_write(&c->qpack, s->id, s->authority, s->path, s->protocols.items, piece);
  h3_piece_done(s->connect, false);
}

void wt_session_unhold(struct wt_conn *c)
{
  if (!c->session || c->session->state != WT_HELD || !c->settings_seen || c->failed)
    return;
  if (!c->quic->client)
    offer(c);
  else if (c->settings.webtransport && c->settings.connect_protocol)
    request(c);
  else
    give_up(c, 0, "the server does not offer WebTransport", WT_REQUIREMENTS_NOT_MET);
}

static void open_session(struct wt_session *s, const char *protocol)
{
  struct wt_conn *c = s->conn;
  if (protocol[0] && !offered(s, protocol)) {
    give_up(c, 0, "the server chose a protocol that was not offered", WT_ALPN_ERROR);
    return;
  }
  if (protocol[0])
    s->t.protocol = offered(s, protocol);
  timers_cancel(&c->worker->timers, &c->connect_timer);
  set_state(s, WT_OPEN);
  const struct wt_dial_events *dial = c->dial;
  c->dial = NULL;
  dial->on_session(c->ctx, &s->t);
  wt_hand_over(c);
}

void wt_session_answered(struct wt_session *s, const struct h3_fields *fields)
{
  struct wt_conn *c = s->conn;
  char protocol[WT_PROTOCOL_MAX], text[64];
  int status;
  if (h3_response_check(fields, &status, protocol) < 0) {
    give_up(c, 0, "malformed response", H3_MESSAGE_ERROR);
    return;
  }
  if (status < 200)
    return; /* an interim response: another follows */
  h3_set_kind(s->connect, H3_KIND_CONNECT);
  if (status < 300) {
    open_session(s, protocol);
    return;
  }
  snprintf(text, sizeof text, "refused with status %d", status);
  give_up(c, status, text, H3_NO_ERROR);
}

void wt_session_on_connect_timeout(struct timer *t, uint64_t now)
{
  struct wt_conn *c = container_of(t, struct wt_conn, connect_timer);
  if (c->quic->client)
    give_up(c, 0, "no answer to CONNECT in time", H3_REQUEST_CANCELLED);
  else
    wt_fail(c, H3_NO_ERROR, "no session");
}

/* ---- the end ---- */

static void set_end(struct wt_session *s, uint64_t code, struct slice reason, bool by_peer)
{
  if (s->end.known)
    return;
  s->end.known = true;
  s->end.code = code;
  s->end.by_peer = by_peer;
  size_t n = reason.n < WT_REASON_MAX ? reason.n : WT_REASON_MAX;
  if (n > 0)
    memcpy(s->end.reason, reason.p, n);
  s->end.reason[n] = '\0';
}

static uint64_t end_on_wire(const struct wt_end *end)
{
  return end->code <= UINT32_MAX ? wt_code_to_h3((uint32_t)end->code) : H3_NO_ERROR;
}

/* The QUIC connection ends with the session; on_closed comes when it has. */
static void end_connection(struct wt_session *s)
{
  wt_fail(s->conn, end_on_wire(&s->end), s->end.reason);
}

void wt_session_peer_end(struct wt_session *s, uint64_t code, struct slice reason)
{
  struct wt_conn *c = s->conn;
  switch (s->state) {
  case WT_OPEN:
    set_end(s, code, reason, true);
    set_state(s, WT_CLOSING);
    end_connection(s);
    break;
  case WT_CLOSING: /* the answer to our CLOSE */
    end_connection(s);
    break;
  default:
    if (c->quic->client) {
      give_up(c, 0, "the server ended the request", H3_REQUEST_CANCELLED);
      break;
    }
    h3_refuse(s->connect, H3_REQUEST_CANCELLED);
    if (s->state == WT_REQUESTED)
      c->server->on_gone(c->ctx, s);
    drop_request(s);
  }
}

void wt_session_capsules(struct wt_session *s, struct slice in)
{
  struct wt_capsule capsule;
  for (;;) {
    int rc = wt_capsule_read(&s->capsules, &in, &capsule);
    if (rc < 0)
      wt_fail(s->conn, H3_MESSAGE_ERROR, "malformed capsule");
    if (rc <= 0)
      return;
    if (capsule.type == WT_CAPSULE_CLOSE) {
      wt_session_peer_end(s, capsule.code, capsule.reason);
      return;
    }
    log_debug(s->conn->log, "webtransport: the peer drains");
  }
}

/* ---- streams of a session that we closed ---- */

struct orphan {
  const struct stream_events *events;
  void *user;
};

static void orphan_closed(struct stream *s)
{
  struct orphan *o = s->user;
  s->events = o->events;
  s->user = o->user;
  free(o);
  s->events->closed(s);
}

static const struct stream_events orphan_events = {
    .data = h3_ignore_data,
    .reset = h3_ignore_code,
    .stopped = h3_ignore_code,
    .pull = h3_pull_nothing,
    .sent = h3_ignore_sent,
    .closed = orphan_closed,
};

void wt_session_orphan(struct wt_session *s, struct stream *stream)
{
  struct orphan *o = stream->events == &orphan_events ? NULL : malloc(sizeof *o);
  if (o) {
    *o = (struct orphan){stream->events, stream->user};
    stream->events = &orphan_events;
    stream->user = o;
  } else if (stream->events != &orphan_events) {
    end_connection(s); /* which ends the stream as well */
  }
  quic_stream_reset_raw(stream, WT_SESSION_GONE);
  quic_stream_stop_raw(stream, WT_SESSION_GONE);
}

/* A stream whose on_stream is running may have no events yet; hand_over looks at it afterwards. */
static void orphan_each(struct stream *stream, void *ctx)
{
  struct wt_session *s = ctx;
  struct h3_stream *handing = s->conn->handing;
  if (stream->transport == &s->t && !(handing && handing->s == stream))
    wt_session_orphan(s, stream);
}

/* ---- our close ---- */

static uint64_t linger(struct wt_conn *c)
{
  struct transport_stats stats = {0};
  c->quic->ops->stats(c->quic, &stats);
  uint64_t ns = LINGER_RTTS * stats.rtt_ns;
  if (ns < WT_LINGER_MIN_NS)
    return WT_LINGER_MIN_NS;
  return ns < WT_LINGER_MAX_NS ? ns : WT_LINGER_MAX_NS;
}

/* Deployed peers read the reason from the capsule, and lose it when CONNECTION_CLOSE comes too
 * early. */
void wt_session_close(struct transport *t, uint64_t code, const char *reason)
{
  struct wt_session *s = (struct wt_session *)t;
  struct wt_conn *c = s->conn;
  if (s->state != WT_OPEN)
    return;
  set_end(s, code, slice_str(reason), false);
  set_state(s, WT_CLOSING);
  if (s->at_once) {
    end_connection(s);
    return;
  }
  struct buf *piece = s->connect ? h3_piece(s->connect) : NULL;
  if (piece) {
    wt_close_write(piece, code <= UINT32_MAX ? (uint32_t)code : 0, reason);
    h3_piece_done(s->connect, true);
  }
  quic_each_stream(c->quic, orphan_each, s);
  timers_set(&c->worker->timers, &c->linger_timer, c->worker->now + linger(c));
}

void wt_close_at_once(struct transport *t)
{
  ((struct wt_session *)t)->at_once = true;
}

void wt_session_on_linger(struct timer *t, uint64_t now)
{
  struct wt_conn *c = container_of(t, struct wt_conn, linger_timer);
  end_connection(c->session);
}

void wt_drain(struct transport *t)
{
  struct wt_session *s = (struct wt_session *)t;
  /* The last piece is kept for CLOSE. */
  if (s->state != WT_OPEN || !s->connect || s->connect->out_count + 1 >= H3_PIECES)
    return;
  wt_drain_write(h3_piece(s->connect));
  h3_piece_done(s->connect, false);
}
