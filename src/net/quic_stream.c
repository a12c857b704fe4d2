/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_impl.h"
#include "base/varint.h"
#include "wire/h3/codes.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static const struct stream_ops stream_ops;

static struct quic_conn *conn_of(const struct quic_stream *s)
{
  return s->conn;
}

static size_t least(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* ---- codes ---- */

static uint64_t code_to_wire(uint64_t code)
{
  return wt_code_to_h3(code <= UINT32_MAX ? (uint32_t)code : 0);
}

/* On raw QUIC both forms are met; under HTTP/3 plain numbers are HTTP/3's own. */
static uint64_t code_from_wire(const struct quic_conn *c, uint64_t wire)
{
  uint32_t code;
  if (h3_code_to_wt(wire, &code))
    return code;
  return wire <= UINT32_MAX && strcmp(c->alpn, "h3") != 0 ? wire : TRANSPORT_NO_CODE;
}

/* ---- life ---- */

/* For a stream whose session gave it no events: nobody listens. */
static void ignore_data(struct stream *s, struct slice data, bool fin)
{
  (void)fin;
  stream_extend(s, data.n);
}

static void ignore_code(struct stream *s, uint64_t code)
{
  (void)s, (void)code;
}

static size_t pull_nothing(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  (void)s, (void)iov, (void)max, (void)ret_fin;
  return 0;
}

static void ignore_sent(struct stream *s, size_t n, bool fin)
{
  (void)s, (void)n, (void)fin;
}

static void ignore_closed(struct stream *s)
{
  (void)s;
}

static const struct stream_events no_events = {ignore_data, ignore_code, ignore_code,  pull_nothing,
                                               ignore_sent, NULL,        ignore_closed};

static struct quic_stream *stream_new(struct quic_conn *c, int64_t id, bool local)
{
  struct quic_stream *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  bool bidi = ngtcp2_is_bidi_stream(id);
  s->s = (struct stream){
      .ops = &stream_ops, .events = &no_events, .transport = &c->t, .id = (uint64_t)id, .bidi = bidi, .local = local};
  s->conn = c;
  s->tx_open = bidi || local;
  s->rx_open = bidi || !local;
  list_init(&s->in_packet);
  list_init(&s->watched);
  list_init(&s->stopping);
  list_append(&c->streams, &s->link);
  c->stream_count++;
  return s;
}

/* Bytes that the session did not give credit for count against the whole connection, and must not
 * once they are nobody's. */
static void return_credit(struct quic_stream *s)
{
  if (s->rx_unextended > 0)
    ngtcp2_conn_extend_max_offset(conn_of(s)->ng, s->rx_unextended);
  s->rx_unextended = 0;
}

static void forget_unacked(struct quic_stream *s)
{
  conn_of(s)->unacked -= s->tx_unacked;
  s->tx_unacked = 0;
}

static void leave_line(struct quic_stream *s)
{
  if (heap_has(&s->ready))
    heap_remove(&conn_of(s)->ready, &s->ready);
  list_remove(&s->watched);
}

void quic_stream_end(struct quic_stream *s)
{
  s->s.events->closed(&s->s);
  return_credit(s);
  forget_unacked(s);
  leave_line(s);
  list_remove(&s->in_packet);
  list_remove(&s->stopping);
  list_remove(&s->link);
  s->conn->stream_count--;
  free(s);
}

/* ---- sending ---- */

/* True when it was not there and may be. One that was served goes behind its equals; one whose turn
 * came to nothing keeps its place. */
static bool join_line(struct quic_stream *s, bool served)
{
  struct quic_conn *c = conn_of(s);
  if (c->state != QUIC_OPEN || !s->tx_open || s->blocked || heap_has(&s->ready) || !list_empty(&s->in_packet))
    return false;
  if (served)
    s->ready.tie = ++c->ready_tie;
  heap_insert(&c->ready, &s->ready);
  return true;
}

void quic_stream_ready(struct quic_stream *s)
{
  if (join_line(s, true))
    quic_conn_dirty(conn_of(s));
}

size_t quic_stream_pull(struct quic_stream *s, struct iovec *iov, bool *ret_fin)
{
  size_t n = 0;
  if (s->prefix_sent < s->prefix_n)
    iov[n++] = (struct iovec){s->prefix + s->prefix_sent, (size_t)(s->prefix_n - s->prefix_sent)};
  *ret_fin = false;
  return n + s->s.events->pull(&s->s, iov + n, QUIC_IOV_MAX - n, ret_fin);
}

void quic_stream_packet_done(struct quic_stream *s)
{
  struct quic_conn *c = conn_of(s);
  size_t prefix = least(s->packet_n, (size_t)(s->prefix_n - s->prefix_sent)), n = s->packet_n - prefix;
  bool fin = s->packet_fin;
  list_remove(&s->in_packet);
  s->packet_n = 0;
  s->packet_fin = false;
  s->prefix_sent = (uint8_t)(s->prefix_sent + prefix);
  s->tx_unacked += n;
  c->unacked += n;
  if (fin) {
    s->fin_sent = true;
    s->tx_open = false;
    list_remove(&s->watched);
  } else if (s->s.bidi && (n > 0 || prefix > 0) && list_empty(&s->watched)) {
    list_append(&c->watched, &s->watched);
  }
  if (n > 0 || fin)
    s->s.events->sent(&s->s, n, fin);
  if (s->stop_pending)
    quic_stream_stopped(s, TRANSPORT_NO_CODE);
  /* The flush that called goes on; what keeps it from that (acks, pacing) will start the next. */
  join_line(s, n > 0 || prefix > 0);
}

/* Our direction is not over as long as the peer may still want it repeated. */
static bool tx_alive(const struct quic_stream *s)
{
  return !s->tx_reset && (s->tx_open || (s->fin_sent && s->tx_unacked > 0));
}

void quic_stream_stopped(struct quic_stream *s, uint64_t wire_code)
{
  struct quic_conn *c = conn_of(s);
  s->stop_pending = false;
  if (!tx_alive(s))
    return;
  s->tx_open = false;
  s->tx_reset = true;
  leave_line(s);
  forget_unacked(s);
  if (!c->close_asked)
    s->s.events->stopped(&s->s, wire_code == TRANSPORT_NO_CODE ? wire_code : code_from_wire(c, wire_code));
}

/* ---- ops ---- */

static void op_wake(struct stream *base)
{
  quic_stream_ready(QUIC_STREAM(base));
}

void quic_stream_reset_raw(struct stream *base, uint64_t wire_code)
{
  struct quic_stream *s = QUIC_STREAM(base);
  struct quic_conn *c = conn_of(s);
  if (c->state != QUIC_OPEN || !tx_alive(s))
    return;
  s->tx_open = false;
  s->tx_reset = true;
  leave_line(s);
  forget_unacked(s);
  ngtcp2_conn_shutdown_stream_write(c->ng, 0, (int64_t)base->id, wire_code <= VARINT_MAX ? wire_code : 0);
  quic_conn_dirty(c);
}

void quic_stream_stop_raw(struct stream *base, uint64_t wire_code)
{
  struct quic_stream *s = QUIC_STREAM(base);
  struct quic_conn *c = conn_of(s);
  if (c->state != QUIC_OPEN || !s->rx_open)
    return;
  s->rx_open = false;
  s->stop_code = wire_code <= VARINT_MAX ? wire_code : 0;
  return_credit(s);
  list_append(&c->stopping, &s->stopping);
  quic_conn_dirty(c);
}

/* Sessions stop a stream when they see its data, and then ngtcp2 may hold more of it, which came early and is in order
 * by now. Told from inside its callback, it neither hands that out nor gives the connection's credit for it back. */
void quic_streams_stop(struct quic_conn *c)
{
  while (!list_empty(&c->stopping)) {
    struct quic_stream *s = container_of(c->stopping.next, struct quic_stream, stopping);
    list_remove(&s->stopping);
    ngtcp2_conn_shutdown_stream_read(c->ng, 0, (int64_t)s->s.id, s->stop_code);
  }
}

static void op_reset(struct stream *base, uint64_t code)
{
  quic_stream_reset_raw(base, code_to_wire(code));
}

static void op_stop(struct stream *base, uint64_t code)
{
  quic_stream_stop_raw(base, code_to_wire(code));
}

static void op_extend(struct stream *base, size_t n)
{
  struct quic_stream *s = QUIC_STREAM(base);
  struct quic_conn *c = conn_of(s);
  n = least(n, s->rx_unextended);
  if (c->state != QUIC_OPEN || n == 0)
    return;
  s->rx_unextended -= n;
  ngtcp2_conn_extend_max_offset(c->ng, n);
  if (s->rx_open)
    ngtcp2_conn_extend_max_stream_offset(c->ng, (int64_t)base->id, n);
  quic_conn_dirty(c);
}

static void op_set_order(struct stream *base, struct send_order order)
{
  struct quic_stream *s = QUIC_STREAM(base);
  struct quic_conn *c = conn_of(s);
  bool in_line = heap_has(&s->ready);
  if (in_line)
    heap_remove(&c->ready, &s->ready);
  s->ready.major = order.major;
  s->ready.minor = order.minor;
  if (in_line)
    quic_stream_ready(s);
}

static const struct stream_ops stream_ops = {op_wake, op_reset, op_stop, op_extend, op_set_order};

void quic_stream_set_prefix(struct stream *base, struct slice prefix)
{
  struct quic_stream *s = QUIC_STREAM(base);
  assert(prefix.n <= QUIC_PREFIX_MAX);
  memcpy(s->prefix, prefix.p, prefix.n);
  s->prefix_n = (uint8_t)prefix.n;
  quic_stream_ready(s);
}

void quic_each_stream(struct transport *t, void (*fn)(struct stream *s, void *ctx), void *ctx)
{
  list_for_each_safe (it, tmp, &QUIC_CONN(t)->streams)
    fn(&container_of(it, struct quic_stream, link)->s, ctx);
}

static int op_open(struct transport *t, bool bidi, const struct stream_events *events, void *user,
                   struct send_order order, struct stream **ret_stream)
{
  struct quic_conn *c = QUIC_CONN(t);
  if (c->state != QUIC_OPEN || c->close_asked)
    return -ENOTCONN;
  int64_t id;
  int rc = bidi ? ngtcp2_conn_open_bidi_stream(c->ng, &id, NULL) : ngtcp2_conn_open_uni_stream(c->ng, &id, NULL);
  if (rc != 0)
    return rc == NGTCP2_ERR_STREAM_ID_BLOCKED ? -EAGAIN : -ENOMEM;
  struct quic_stream *s = stream_new(c, id, true);
  if (!s) {
    ngtcp2_conn_shutdown_stream(c->ng, 0, id, code_to_wire(0));
    quic_conn_dirty(c);
    return -ENOMEM;
  }
  ngtcp2_conn_set_stream_user_data(c->ng, id, s);
  s->s.events = events;
  s->s.user = user;
  s->ready.major = order.major;
  s->ready.minor = order.minor;
  *ret_stream = &s->s;
  return 0;
}

static int op_send_datagram(struct transport *t, const struct iovec *iov, size_t n)
{
  struct quic_conn *c = QUIC_CONN(t);
  if (c->state != QUIC_OPEN || c->close_asked)
    return -ENOTCONN;
  size_t max = quic_datagram_max(c), size = 0;
  for (size_t i = 0; i < n; i++)
    size += iov[i].iov_len;
  if (max == 0)
    return -ENOTSUP;
  if (size == 0 || size > max) /* ngtcp2 knows no empty ones */
    return -EMSGSIZE;
  uint32_t limit = c->ep->config.limits.datagrams_queued;
  struct quic_datagram *d = limit > 0 ? malloc(sizeof *d + size) : NULL;
  if (!d)
    return 0; /* as good as lost */
  d->n = 0;
  for (size_t i = 0; i < n; i++) {
    memcpy(d->data + d->n, iov[i].iov_base, iov[i].iov_len);
    d->n += iov[i].iov_len;
  }
  if (c->datagram_count >= limit)
    quic_datagram_drop(c); /* the oldest is the least wanted */
  c->datagram_count++;
  list_append(&c->datagrams, &d->link);
  quic_conn_dirty(c);
  return 0;
}

static size_t op_max_datagram(struct transport *t)
{
  struct quic_conn *c = QUIC_CONN(t);
  return c->state == QUIC_OPEN ? quic_datagram_max(c) : 0;
}

static void op_close(struct transport *t, uint64_t code, const char *reason)
{
  quic_conn_close(QUIC_CONN(t), code, reason);
}

void quic_close_raw(struct transport *t, uint64_t wire_code, const char *reason)
{
  quic_conn_close(QUIC_CONN(t), wire_code, reason);
}

static void op_stats(struct transport *t, struct transport_stats *ret_stats)
{
  struct quic_conn *c = QUIC_CONN(t);
  *ret_stats = (struct transport_stats){
      .bytes_sent = c->bytes_sent, .bytes_received = c->bytes_received, .memory = quic_conn_memory(c)};
  if (c->state != QUIC_OPEN)
    return;
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(c->ng, &info);
  ret_stats->rtt_ns = info.smoothed_rtt;
  if (info.smoothed_rtt > 0)
    ret_stats->bitrate = (uint64_t)((double)info.cwnd * 8 * NS_PER_S / (double)info.smoothed_rtt);
}

const struct transport_ops quic_transport_ops = {op_open, op_send_datagram, op_max_datagram, op_close, op_stats};

/* ---- what ngtcp2 reports ---- */

static void allow_another(struct quic_conn *c, int64_t id)
{
  if (ngtcp2_conn_is_local_stream(c->ng, id))
    return;
  if (ngtcp2_is_bidi_stream(id))
    ngtcp2_conn_extend_max_streams_bidi(c->ng, 1);
  else
    ngtcp2_conn_extend_max_streams_uni(c->ng, 1);
}

int quic_on_stream_open(ngtcp2_conn *ng, int64_t id, void *user)
{
  struct quic_conn *c = user;
  struct quic_stream *s = c->state == QUIC_OPEN && !c->close_asked ? stream_new(c, id, false) : NULL;
  if (!s) {
    ngtcp2_conn_shutdown_stream(ng, 0, id, code_to_wire(0));
    return 0;
  }
  ngtcp2_conn_set_stream_user_data(ng, id, s);
  c->t.events->on_stream(&c->t, &s->s);
  return 0;
}

int quic_on_stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data, size_t n,
                        void *user, void *stream_user)
{
  struct quic_conn *c = user;
  struct quic_stream *s = stream_user;
  bool fin = flags & NGTCP2_STREAM_DATA_FLAG_FIN;
  (void)id, (void)offset;
  if (!s || !s->rx_open || c->close_asked) {
    ngtcp2_conn_extend_max_offset(ng, n);
    return 0;
  }
  s->rx_unextended += n;
  if (fin)
    s->rx_open = false;
  s->s.events->data(&s->s, slice_of(data, n), fin);
  return 0;
}

int quic_on_stream_acked(ngtcp2_conn *ng, int64_t id, uint64_t offset, uint64_t n, void *user, void *stream_user)
{
  struct quic_conn *c = user;
  struct quic_stream *s = stream_user;
  (void)ng, (void)id, (void)offset;
  if (!s)
    return 0;
  size_t prefix = least((size_t)n, (size_t)(s->prefix_n - s->prefix_acked));
  s->prefix_acked = (uint8_t)(s->prefix_acked + prefix);
  n = least((size_t)n - prefix, s->tx_unacked);
  s->tx_unacked -= n;
  c->unacked -= n;
  if (n > 0 && s->s.events->acked && !c->close_asked)
    s->s.events->acked(&s->s, (size_t)n);
  return 0;
}

int quic_on_stream_reset(ngtcp2_conn *ng, int64_t id, uint64_t final_size, uint64_t code, void *user, void *stream_user)
{
  struct quic_conn *c = user;
  struct quic_stream *s = stream_user;
  (void)ng, (void)id, (void)final_size;
  if (!s || !s->rx_open)
    return 0;
  s->rx_open = false;
  return_credit(s);
  if (!c->close_asked)
    s->s.events->reset(&s->s, code_from_wire(c, code));
  return 0;
}

int quic_on_stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream_user)
{
  struct quic_conn *c = user;
  struct quic_stream *s = stream_user;
  (void)ng;
  allow_another(c, id);
  if (!s)
    return 0;
  if (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET)
    quic_stream_stopped(s, code); /* if our direction was not over it was stopped */
  quic_stream_end(s);
  return 0;
}

int quic_on_stream_credit(ngtcp2_conn *ng, int64_t id, uint64_t max, void *user, void *stream_user)
{
  struct quic_stream *s = stream_user;
  (void)ng, (void)id, (void)max, (void)user;
  if (!s || !s->blocked)
    return 0;
  s->blocked = false;
  quic_stream_ready(s);
  return 0;
}
