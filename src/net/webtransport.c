/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/webtransport_impl.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the session's transport ---- */

static struct wt_session *session_of(struct transport *t)
{
  return (struct wt_session *)t;
}

static int op_open_stream(struct transport *t, bool bidi, const struct stream_events *events, void *user,
                          struct send_order order, struct stream **ret_stream)
{
  struct wt_session *session = session_of(t);
  uint8_t prefix[WT_PREFIX_MAX];
  struct stream *s;
  if (session->state != WT_OPEN || session->conn->failed)
    return -ENOTCONN;
  int rc = transport_open(session->conn->quic, bidi, events, user, order, &s);
  if (rc < 0)
    return rc;
  s->transport = t;
  quic_stream_set_prefix(s, slice_of(prefix, wt_prefix_write(prefix, bidi, session->id)));
  *ret_stream = s;
  return 0;
}

#define DATAGRAM_IOVECS 8

static int op_send_datagram(struct transport *t, const struct iovec *iov, size_t n)
{
  struct wt_session *session = session_of(t);
  struct transport *quic = session->conn->quic;
  uint8_t prefix[VARINT_MAX_BYTES];
  struct iovec all[1 + DATAGRAM_IOVECS];
  if (session->state != WT_OPEN || session->conn->failed)
    return -ENOTCONN;
  if (!session->conn->settings.datagrams)
    return -ENOTSUP;
  if (n > DATAGRAM_IOVECS)
    return -EMSGSIZE;
  all[0] = (struct iovec){prefix, wt_datagram_prefix(prefix, session->id)};
  for (size_t i = 0; i < n; i++)
    all[1 + i] = iov[i];
  return quic->ops->send_datagram(quic, all, 1 + n);
}

static size_t op_max_datagram(struct transport *t)
{
  struct wt_session *session = session_of(t);
  struct transport *quic = session->conn->quic;
  uint8_t prefix[VARINT_MAX_BYTES];
  size_t max = quic->ops->max_datagram(quic), head = wt_datagram_prefix(prefix, session->id);
  return session->conn->settings.datagrams && max > head ? max - head : 0;
}

static void op_stats(struct transport *t, struct transport_stats *ret_stats)
{
  struct transport *quic = session_of(t)->conn->quic;
  quic->ops->stats(quic, ret_stats);
}

const struct transport_ops wt_transport_ops = {op_open_stream, op_send_datagram, op_max_datagram, wt_session_close,
                                               op_stats};

void wt_session_set_user(struct wt_session *s, void *user)
{
  s->owner = user;
}

void *wt_session_user(struct wt_session *s)
{
  return s->owner;
}

/* ---- the connection under it ---- */

void wt_fail(struct wt_conn *c, uint64_t code, const char *reason)
{
  if (c->failed)
    return;
  c->failed = true;
  log_debug(c->log, "webtransport: closing connection code=0x%llx reason=%s", (unsigned long long)code, reason);
  quic_close_raw(c->quic, code, reason);
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct wt_conn *c = t->user;
  uint64_t session_id;
  struct slice payload;
  if (c->failed)
    return;
  if (wt_datagram_decode(data, &session_id, &payload) < 0)
    wt_fail(c, H3_DATAGRAM_ERROR, "datagram without a quarter stream id");
  else
    wt_wait_datagram(c, session_id, payload);
}

static void on_streams(struct transport *t, bool bidi)
{
  struct wt_conn *c = t->user;
  wt_session_unhold(c);
  struct wt_session *s = c->session;
  if (s && s->state == WT_OPEN && s->t.events && s->t.events->on_streams)
    s->t.events->on_streams(&s->t, bidi);
}

static void conn_free(struct wt_conn *c)
{
  struct timers *timers = &c->worker->timers;
  timers_cancel(timers, &c->connect_timer);
  timers_cancel(timers, &c->linger_timer);
  timers_cancel(timers, &c->type_timer);
  worker_defer_cancel(&c->handover);
  wt_wait_end(c, H3_NO_ERROR);
  h3_qpack_destroy(&c->qpack);
  free(c);
}

/* The session ends as its CLOSE said, else as the connection did. */
static void tell_session(struct wt_session *s, uint64_t wire_code, struct slice reason, bool by_peer)
{
  uint32_t code;
  if (!s->t.events)
    return; /* its owner closed it before it listened */
  if (s->end.known) {
    s->t.events->on_closed(&s->t, s->end.code, slice_str(s->end.reason), s->end.by_peer);
    return;
  }
  if (h3_code_to_wt(wire_code, &code))
    s->t.events->on_closed(&s->t, code, reason, by_peer);
  else
    s->t.events->on_closed(&s->t, wire_code == H3_NO_ERROR ? 0 : TRANSPORT_NO_CODE, reason, by_peer);
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct wt_conn *c = t->user;
  struct wt_session *s = c->session;
  char text[256];
  c->failed = true;
  wt_wait_end(c, H3_NO_ERROR); /* ghosts; QUIC has closed the others */
  assert(list_empty(&c->streams));
  snprintf(text, sizeof text, "connection closed: %.*s", SLICE_FMT(reason));
  wt_dial_failed(c, 0, text);
  if (s && s->state >= WT_OPEN)
    tell_session(s, code, reason, by_peer);
  else if (s && s->state == WT_REQUESTED && !c->quic->client)
    c->server->on_gone(c->ctx, s);
  wt_session_free(s);
  conn_free(c);
}

static const struct transport_events quic_events = {h3_on_stream, on_datagram, on_streams, on_closed};

static void run_handover(struct deferred *d, uint64_t now)
{
  struct wt_conn *c = container_of(d, struct wt_conn, handover);
  if (c->session && !c->failed)
    wt_hand_over(c);
}

/* ---- start ---- */

static struct wt_conn *conn_new(struct transport *quic, struct worker *worker, const struct log *log, void *ctx)
{
  struct wt_conn *c = calloc(1, sizeof *c);
  if (!c || h3_qpack_init(&c->qpack) < 0) {
    free(c);
    return NULL;
  }
  c->quic = quic;
  c->worker = worker;
  c->log = log;
  c->ctx = ctx;
  list_init(&c->streams);
  list_init(&c->datagrams);
  timer_init(&c->connect_timer, wt_session_on_connect_timeout);
  timer_init(&c->waiting_timer, wt_wait_on_timeout);
  timer_init(&c->type_timer, h3_on_type_timeout);
  timer_init(&c->linger_timer, wt_session_on_linger);
  deferred_init(&c->handover, run_handover);
  return c;
}

/* The control stream must be the first that we open: deployed peers take any other as an error. */
static int start(struct wt_conn *c)
{
  struct buf settings = {0};
  int rc = h3_open(c, false, H3_KIND_CONTROL_OUT, &c->control_out);
  if (rc < 0)
    return rc;
  struct buf *piece = h3_piece(c->control_out);
  h3_settings_encode(&settings);
  buf_varint(piece, H3_STREAM_CONTROL);
  h3_frame_write(piece, H3_SETTINGS, buf_slice(&settings));
  piece->failed |= settings.failed;
  buf_destroy(&settings);
  c->quic->events = &quic_events;
  c->quic->user = c;
  h3_piece_done(c->control_out, false);
  timers_set(&c->worker->timers, &c->connect_timer, c->worker->now + WT_CONNECT_NS);
  return 0;
}

int wt_serve(struct transport *quic, struct worker *worker, const struct log *log,
             const struct wt_server_events *events, void *ctx)
{
  struct wt_conn *c = conn_new(quic, worker, log, ctx);
  if (!c)
    return -ENOMEM;
  c->server = events;
  int rc = start(c);
  if (rc < 0)
    conn_free(c);
  return rc;
}

int wt_connect(struct transport *quic, struct worker *worker, const struct log *log, const char *authority,
               const char *path, const char *const *protocols, const struct wt_dial_events *events, void *ctx)
{
  struct wt_conn *c = conn_new(quic, worker, log, ctx);
  if (!c)
    return -ENOMEM;
  c->dial = events;
  int rc = wt_session_plan(c, authority, path, protocols);
  if (rc == 0)
    rc = start(c);
  if (rc < 0) {
    wt_session_free(c->session);
    conn_free(c);
  }
  return rc;
}
