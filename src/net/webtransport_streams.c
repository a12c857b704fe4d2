/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/webtransport_impl.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Of the frames on the control stream that hold one varint. */
#define CONTROL_PAYLOAD_MAX 8

static struct h3_stream *stream_new(struct wt_conn *c, struct stream *s, enum h3_kind kind)
{
  struct h3_stream *h = calloc(1, sizeof *h);
  if (!h)
    return NULL;
  h->conn = c;
  h->s = s;
  h->kind = kind;
  h->since = c->worker->now;
  c->counts[kind]++;
  list_append(&c->streams, &h->link);
  return h;
}

void h3_set_kind(struct h3_stream *h, enum h3_kind kind)
{
  struct wt_conn *c = h->conn;
  c->counts[h->kind]--;
  c->counts[kind]++;
  if (h->kind == H3_KIND_WAITING) {
    c->waiting_bytes -= h->in.n;
    buf_destroy(&h->in);
  }
  h->kind = kind;
}

/* Pointers to the stream from its connection and session. */
static void forget(struct h3_stream *h)
{
  struct wt_conn *c = h->conn;
  struct h3_stream **known[] = {&c->control_out, &c->control, &c->qpack_encoder, &c->qpack_decoder};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (*known[i] == h)
      *known[i] = NULL;
  if (c->session && c->session->connect == h)
    c->session->connect = NULL;
}

void h3_stream_free(struct h3_stream *h)
{
  forget(h);
  h3_set_kind(h, H3_KIND_DISCARD);
  h->conn->counts[H3_KIND_DISCARD]--;
  list_remove(&h->link);
  buf_destroy(&h->in);
  for (size_t i = 0; i < H3_PIECES; i++)
    buf_destroy(&h->out[i]);
  free(h);
}

/* ---- writing ---- */

int h3_open(struct wt_conn *c, bool bidi, enum h3_kind kind, struct h3_stream **ret_h)
{
  struct h3_stream *h = stream_new(c, NULL, kind);
  if (!h)
    return -ENOMEM;
  int rc = transport_open(c->quic, bidi, &h3_stream_events, h, ORDER_CONTROL, &h->s);
  if (rc < 0) {
    h3_stream_free(h);
    return rc;
  }
  *ret_h = h;
  return 0;
}

struct buf *h3_piece(struct h3_stream *h)
{
  return h->out_count < H3_PIECES && !h->out_fin ? &h->out[h->out_count] : NULL;
}

void h3_piece_done(struct h3_stream *h, bool fin)
{
  struct buf *piece = &h->out[h->out_count++];
  if (piece->failed) {
    wt_fail(h->conn, H3_INTERNAL_ERROR, "out of memory");
    return;
  }
  h->out_fin = fin;
  stream_wake(h->s);
}

void h3_answer(struct h3_stream *h, int status, const char *protocol, bool fin)
{
  struct buf *piece = h3_piece(h);
  if (!piece)
    return;
  h3_response_write(&h->conn->qpack, h->s->id, status, protocol, piece);
  h3_piece_done(h, fin);
}

void h3_answer_asking(struct h3_stream *h, int status, struct slice www_authenticate)
{
  struct buf *piece = h3_piece(h);
  if (!piece)
    return;
  h3_refusal_write(&h->conn->qpack, h->s->id, status, www_authenticate, piece);
  h3_piece_done(h, true);
}

void h3_refuse(struct h3_stream *h, uint64_t wire_code)
{
  if (h->is_ghost) {
    h3_stream_free(h);
    return;
  }
  quic_stream_reset_raw(h->s, wire_code);
  quic_stream_stop_raw(h->s, wire_code);
  h3_set_kind(h, H3_KIND_DISCARD);
}

static size_t on_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct h3_stream *h = s->user;
  size_t n = 0, skip = h->out_sent;
  for (size_t i = h->out_at; i < h->out_count && n < max; i++, skip = 0)
    if (h->out[i].n > skip)
      iov[n++] = (struct iovec){h->out[i].p + skip, h->out[i].n - skip};
  *ret_fin = h->out_fin;
  return n;
}

static void on_sent(struct stream *s, size_t n, bool fin)
{
  struct h3_stream *h = s->user;
  h->out_sent += n;
  while (h->out_at < h->out_count && h->out_sent >= h->out[h->out_at].n)
    h->out_sent -= h->out[h->out_at++].n;
}

/* ---- the control stream ---- */

static void got_settings(struct wt_conn *c, struct slice payload)
{
  switch (h3_settings_decode(payload, &c->settings)) {
  case 0:
    c->settings_seen = true;
    wt_session_unhold(c);
    return;
  case -EPROTO:
    wt_fail(c, H3_FRAME_ERROR, "SETTINGS cut short");
    return;
  case -E2BIG:
    wt_fail(c, H3_EXCESSIVE_LOAD, "too many settings");
    return;
  default:
    wt_fail(c, H3_SETTINGS_ERROR, "bad SETTINGS");
  }
}

static void control_begin(struct h3_stream *h, const struct h3_frame_part *part)
{
  struct wt_conn *c = h->conn;
  uint64_t max = part->type == H3_SETTINGS ? H3_SETTINGS_BYTES_MAX : CONTROL_PAYLOAD_MAX;
  if (!c->settings_seen && part->type != H3_SETTINGS)
    wt_fail(c, H3_MISSING_SETTINGS, "the first frame is not SETTINGS");
  else if (!h3_frame_allowed(part->type, H3_ON_CONTROL))
    wt_fail(c, H3_FRAME_UNEXPECTED, "unexpected frame on the control stream");
  else if (part->type == H3_SETTINGS && c->settings_seen)
    wt_fail(c, H3_FRAME_UNEXPECTED, "SETTINGS again");
  else if (h3_frame_known(part->type) && part->length > max)
    wt_fail(c, part->type == H3_SETTINGS ? H3_EXCESSIVE_LOAD : H3_FRAME_ERROR, "frame too long");
  buf_clear(&h->in);
}

/* GOAWAY and what is about pushes: nothing to do, since MoQ has its own GOAWAY and there are no
 * pushes. But it has to be one varint. */
static void control_varint(struct wt_conn *c, struct slice payload)
{
  uint64_t ignored;
  if (varint_read(payload.p, payload.n, &ignored) != payload.n || payload.n == 0)
    wt_fail(c, H3_FRAME_ERROR, "malformed frame");
}

static void control_part(struct h3_stream *h, const struct h3_frame_part *part)
{
  if (!h3_frame_known(part->type))
    return;
  buf_bytes(&h->in, part->data);
  if (h->in.failed)
    wt_fail(h->conn, H3_INTERNAL_ERROR, "out of memory");
  else if (part->end && part->type == H3_SETTINGS)
    got_settings(h->conn, buf_slice(&h->in));
  else if (part->end)
    control_varint(h->conn, buf_slice(&h->in));
}

static void feed_control(struct h3_stream *h, struct slice in)
{
  struct h3_frame_part part;
  while (!h->conn->failed) {
    enum h3_read read = h3_frame_read(&h->frames, &in, &part);
    if (read == H3_READ_MORE)
      return;
    if (read == H3_READ_BEGIN)
      control_begin(h, &part);
    else
      control_part(h, &part);
  }
}

static void feed_qpack(struct h3_stream *h, struct slice in)
{
  bool encoder = h->kind == H3_KIND_QPACK_ENCODER;
  struct h3_qpack *q = &h->conn->qpack;
  if (in.n > 0 && (encoder ? h3_qpack_read_encoder(q, in) : h3_qpack_read_decoder(q, in)) < 0)
    wt_fail(h->conn, encoder ? QPACK_ENCODER_STREAM_ERROR : QPACK_DECODER_STREAM_ERROR, "there is no dynamic table");
}

/* ---- requests ---- */

static void got_connect(struct h3_stream *h, const struct h3_request *r, const struct h3_fields *fields)
{
  if (!slice_eq(r->scheme, slice_str("https"))) {
    h3_answer(h, 400, "", true);
    h3_set_kind(h, H3_KIND_DISCARD);
  } else if (h->conn->session) {
    h3_refuse(h, H3_REQUEST_REJECTED);
  } else if (wt_session_request(h, r, fields) < 0) {
    h3_refuse(h, H3_INTERNAL_ERROR);
  }
}

static void got_request(struct h3_stream *h, const struct h3_fields *fields)
{
  static const int status[] = {[H3_REQUEST_PLAIN] = 404, [H3_REQUEST_CONNECT] = 405, [H3_REQUEST_EXTENDED] = 501};
  struct h3_request r;
  if (h3_request_check(fields, &r) < 0) {
    h3_refuse(h, H3_MESSAGE_ERROR);
    return;
  }
  if (r.kind == H3_REQUEST_WEBTRANSPORT) {
    got_connect(h, &r, fields);
    return;
  }
  h3_answer(h, status[r.kind], "", true);
  /* A body will not be read. RFC 9114 section 4.1 */
  quic_stream_stop_raw(h->s, H3_NO_ERROR);
  h3_set_kind(h, H3_KIND_DISCARD);
}

static void got_fields(struct h3_stream *h, const struct h3_fields *fields)
{
  if (h->conn->quic->client)
    wt_session_answered(h->conn->session, fields);
  else
    got_request(h, fields);
}

/* A server can do without one request, a client cannot. */
static void out_of_memory(struct h3_stream *h)
{
  if (h->conn->quic->client)
    wt_fail(h->conn, H3_INTERNAL_ERROR, "out of memory");
  else
    h3_refuse(h, H3_INTERNAL_ERROR);
}

static void too_large(struct h3_stream *h)
{
  if (h->conn->quic->client) {
    wt_fail(h->conn, H3_EXCESSIVE_LOAD, "header too large");
    return;
  }
  h3_answer(h, 431, "", true);
  quic_stream_stop_raw(h->s, H3_NO_ERROR);
  h3_set_kind(h, H3_KIND_DISCARD);
}

static void got_headers(struct h3_stream *h)
{
  struct h3_fields fields = {0};
  switch (h3_qpack_decode(h->s->id, buf_slice(&h->in), &fields)) {
  case 0:
    got_fields(h, &fields);
    break;
  case -EMSGSIZE:
    too_large(h);
    break;
  case -ENOMEM:
    h3_refuse(h, H3_INTERNAL_ERROR);
    break;
  default:
    wt_fail(h->conn, QPACK_DECOMPRESSION_FAILED, "malformed field section");
  }
  h3_fields_destroy(&fields);
}

static void request_begin(struct h3_stream *h, const struct h3_frame_part *part)
{
  bool headers = part->type == H3_HEADERS, data = part->type == H3_DATA;
  bool expected = h->kind == H3_KIND_REQUEST ? !data : !headers;
  buf_clear(&h->in);
  if (!h3_frame_allowed(part->type, H3_ON_REQUEST) || !expected)
    wt_fail(h->conn, H3_FRAME_UNEXPECTED, "unexpected frame on a request");
  else if (headers && part->length > WT_HEADERS_MAX)
    too_large(h);
}

static void request_part(struct h3_stream *h, const struct h3_frame_part *part)
{
  struct wt_session *session = h->conn->session;
  if (part->type == H3_DATA) {
    wt_session_capsules(session, part->data);
    return;
  }
  if (part->type != H3_HEADERS)
    return;
  buf_bytes(&h->in, part->data);
  if (h->in.failed)
    out_of_memory(h);
  else if (part->end)
    got_headers(h);
}

static bool is_request(const struct h3_stream *h)
{
  return (h->kind == H3_KIND_REQUEST || h->kind == H3_KIND_CONNECT) && !h->conn->failed;
}

static void feed_request(struct h3_stream *h, struct slice in)
{
  struct h3_frame_part part;
  while (is_request(h)) {
    enum h3_read read = h3_frame_read(&h->frames, &in, &part);
    if (read == H3_READ_MORE)
      return;
    if (read == H3_READ_BEGIN)
      request_begin(h, &part);
    else
      request_part(h, &part);
  }
}

/* ---- which stream is what ---- */

/* At most one of each, RFC 9114 section 6.2.1 and RFC 9204 section 4.2. */
static void critical(struct h3_stream *h, struct h3_stream **slot, enum h3_kind kind)
{
  if (*slot) {
    wt_fail(h->conn, H3_STREAM_CREATION_ERROR, "second critical stream");
    return;
  }
  *slot = h;
  h3_set_kind(h, kind);
}

static void typed_uni(struct h3_stream *h, uint64_t type)
{
  struct wt_conn *c = h->conn;
  switch (type) {
  case H3_STREAM_CONTROL:
    critical(h, &c->control, H3_KIND_CONTROL);
    break;
  case H3_STREAM_QPACK_ENCODER:
    critical(h, &c->qpack_encoder, H3_KIND_QPACK_ENCODER);
    break;
  case H3_STREAM_QPACK_DECODER:
    critical(h, &c->qpack_decoder, H3_KIND_QPACK_DECODER);
    break;
  case H3_STREAM_PUSH:
    /* A client must not push, and a server only with an id that we never gave. */
    wt_fail(c, c->quic->client ? H3_ID_ERROR : H3_STREAM_CREATION_ERROR, "push stream");
    break;
  case WT_STREAM_UNI:
    h3_set_kind(h, H3_KIND_WT_PREFIX);
    break;
  default:
    h3_refuse(h, H3_STREAM_CREATION_ERROR);
  }
}

static void typed_bidi(struct h3_stream *h, uint64_t type)
{
  struct wt_conn *c = h->conn;
  if (type == WT_STREAM_BIDI) {
    h3_set_kind(h, H3_KIND_WT_PREFIX);
    return;
  }
  if (c->quic->client) {
    wt_fail(c, H3_STREAM_CREATION_ERROR, "request from a server");
    return;
  }
  if (++c->requests > (c->server->requests ? c->server->requests : WT_REQUESTS_MAX)) {
    if (c->server->on_excess)
      c->server->on_excess(c->ctx, &c->quic->peer);
    wt_fail(c, H3_EXCESSIVE_LOAD, "too many requests");
    return;
  }
  if (c->counts[H3_KIND_REQUEST] >= WT_REQUESTS_OPEN_MAX) {
    h3_refuse(h, H3_REQUEST_REJECTED);
    return;
  }
  h3_set_kind(h, H3_KIND_REQUEST);
  h3_frame_reader_start(&h->frames, type);
}

static void read_type(struct h3_stream *h, struct slice *in)
{
  uint64_t type;
  if (!h3_varint_read(&h->varint, in, &type))
    return;
  if (h->s->bidi)
    typed_bidi(h, type);
  else
    typed_uni(h, type);
}

/* True when the prefix has been read and the rest is the session's. */
static bool read_session_id(struct h3_stream *h, struct slice *in)
{
  if (!h3_varint_read(&h->varint, in, &h->session_id))
    return false;
  if (wt_session_id_valid(h->session_id))
    return true;
  wt_fail(h->conn, H3_ID_ERROR, "a session id must be that of a request");
  return false;
}

static bool is_critical(const struct h3_stream *h)
{
  return h->kind == H3_KIND_CONTROL || h->kind == H3_KIND_QPACK_ENCODER || h->kind == H3_KIND_QPACK_DECODER;
}

/* The peer ends its direction: with FIN, or with a reset. */
static void peer_ended(struct h3_stream *h, bool reset)
{
  struct wt_session *session = h->conn->session;
  if (is_critical(h)) {
    wt_fail(h->conn, H3_CLOSED_CRITICAL_STREAM, "critical stream closed");
    return;
  }
  if (h->kind == H3_KIND_CONNECT || (h->kind == H3_KIND_REQUEST && h->conn->quic->client)) {
    bool clean = !reset && h3_frame_reader_idle(&h->frames) && wt_capsule_reader_idle(&session->capsules) &&
                 h->kind == H3_KIND_CONNECT;
    wt_session_peer_end(session, clean ? 0 : TRANSPORT_NO_CODE, slice_str(""));
    return;
  }
  if (h->kind == H3_KIND_REQUEST)
    h3_refuse(h, reset ? H3_REQUEST_CANCELLED : H3_REQUEST_INCOMPLETE);
  else if (h->kind != H3_KIND_DISCARD)
    h3_refuse(h, WT_BUFFERED_STREAM_REJECTED);
}

static void feed(struct h3_stream *h, struct slice in)
{
  switch (h->kind) {
  case H3_KIND_CONTROL:
    feed_control(h, in);
    break;
  case H3_KIND_QPACK_ENCODER:
  case H3_KIND_QPACK_DECODER:
    feed_qpack(h, in);
    break;
  case H3_KIND_REQUEST:
  case H3_KIND_CONNECT:
    feed_request(h, in);
    break;
  default:
    break;
  }
}

static void on_data(struct stream *s, struct slice in, bool fin)
{
  struct h3_stream *h = s->user;
  size_t before = in.n;
  if (h->kind == H3_KIND_WAITING) {
    wt_wait_data(h, in, fin);
    return;
  }
  if (h->kind == H3_KIND_UNTYPED)
    read_type(h, &in);
  if (h->kind == H3_KIND_WT_PREFIX && read_session_id(h, &in)) {
    stream_extend(s, before - in.n);
    wt_wait_stream(h, in, fin);
    return;
  }
  stream_extend(s, before);
  feed(h, in);
  if (fin && !h->conn->failed)
    peer_ended(h, false);
}

static void on_reset(struct stream *s, uint64_t code)
{
  struct h3_stream *h = s->user;
  if (!h->conn->failed)
    peer_ended(h, true);
}

static void on_stopped(struct stream *s, uint64_t code)
{
  struct h3_stream *h = s->user;
  if (h->kind == H3_KIND_CONTROL_OUT && !h->conn->failed) {
    wt_fail(h->conn, H3_CLOSED_CRITICAL_STREAM, "control stream stopped");
  } else if (h->kind == H3_KIND_CONNECT && !h->conn->failed) {
    wt_session_peer_end(h->conn->session, TRANSPORT_NO_CODE, slice_str(""));
  } else {
    h->stopped = true;
    h->stop_code = code;
  }
}

static void on_closed(struct stream *s)
{
  struct h3_stream *h = s->user;
  if (!wt_wait_closed(h))
    h3_stream_free(h);
}

const struct stream_events h3_stream_events = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_stopped,
    .pull = on_pull,
    .sent = on_sent,
    .closed = on_closed,
};

/* ---- streams that nobody listens to ---- */

void h3_ignore_data(struct stream *s, struct slice in, bool fin) {}

void h3_ignore_code(struct stream *s, uint64_t code) {}

size_t h3_pull_nothing(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  return 0;
}

void h3_ignore_sent(struct stream *s, size_t n, bool fin) {}

static void ignore_closed(struct stream *s) {}

const struct stream_events h3_ignored_events = {
    .data = h3_ignore_data,
    .reset = h3_ignore_code,
    .stopped = h3_ignore_code,
    .pull = h3_pull_nothing,
    .sent = h3_ignore_sent,
    .closed = ignore_closed,
};

/* That has not said what it is, or what it asks for. */
static bool is_nameless(const struct h3_stream *h)
{
  return h->kind == H3_KIND_UNTYPED || h->kind == H3_KIND_WT_PREFIX ||
         (h->kind == H3_KIND_REQUEST && !h->conn->quic->client);
}

/* One timer for all, which goes on as long as there are any. */
static void watch_types(struct wt_conn *c, uint64_t since)
{
  if (!timer_armed(&c->type_timer))
    timers_set(&c->worker->timers, &c->type_timer, since + WT_TYPE_NS);
}

void h3_on_type_timeout(struct timer *t, uint64_t now)
{
  struct wt_conn *c = container_of(t, struct wt_conn, type_timer);
  list_for_each_safe (it, tmp, &c->streams) {
    struct h3_stream *h = container_of(it, struct h3_stream, link);
    if (!is_nameless(h) || c->failed)
      continue;
    if (now - h->since < WT_TYPE_NS)
      watch_types(c, h->since); /* the oldest that is left */
    else
      h3_refuse(h, h->kind == H3_KIND_REQUEST ? H3_REQUEST_INCOMPLETE : WT_BUFFERED_STREAM_REJECTED);
  }
}

void h3_on_stream(struct transport *t, struct stream *s)
{
  struct wt_conn *c = t->user;
  bool room = c->counts[H3_KIND_UNTYPED] + c->counts[H3_KIND_WT_PREFIX] < WT_UNTYPED_STREAMS_MAX;
  struct h3_stream *h = room ? stream_new(c, s, H3_KIND_UNTYPED) : NULL;
  s->events = h ? &h3_stream_events : &h3_ignored_events;
  s->user = h;
  if (h) {
    watch_types(c, h->since);
    return;
  }
  quic_stream_reset_raw(s, WT_BUFFERED_STREAM_REJECTED);
  quic_stream_stop_raw(s, WT_BUFFERED_STREAM_REJECTED);
}
