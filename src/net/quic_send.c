/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets out. A flush asks ngtcp2 for packets as long as it gives some and the pacing quantum
 * lasts: each is filled with control streams, datagrams and the other streams in send order;
 * packets of equal size follow each other in one train, which is one system call.
 *
 * ngtcp2 1.11 resets a stream by itself when the peer stops it and tells nobody; writing to such a
 * stream fails. A stream that has data is found so. Bidirectional ones may idle for long, so the
 * call that ends a packet names one of them in turn (with no data, which costs nothing) and finds
 * those. Unidirectional ones are soon closed, with the peer's code. */
#include "net/quic_impl.h"
#include <stdlib.h>

#define SHORT_HEADER_BYTES (1 + 4 + 16) /* first byte, longest packet number, tag; without the connection ID */
#define DATAGRAM_FRAME_BYTES 3          /* type and length */
#define TRAIN_NS NS_PER_MS              /* a flush sends at most what the path carries in this time... */
#define EGRESS_BURST_NS (20 * NS_PER_MS)
#define TRAIN_PACKETS_MIN 10            /* ...but this much at least, as RFC 9002 section 7.7 allows */

/* ---- limits ---- */

size_t quic_datagram_max(const struct quic_conn *c)
{
  const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(c->ng);
  if (!peer || peer->max_datagram_frame_size <= DATAGRAM_FRAME_BYTES)
    return 0;
  size_t payload = ngtcp2_conn_get_path_max_tx_udp_payload_size(c->ng);
  size_t overhead = SHORT_HEADER_BYTES + ngtcp2_conn_get_dcid(c->ng)->datalen + DATAGRAM_FRAME_BYTES;
  size_t fits = payload > overhead ? payload - overhead : 0,
         taken = peer->max_datagram_frame_size - DATAGRAM_FRAME_BYTES;
  return fits < taken ? fits : taken;
}

/* ngtcp2's quantum is a constant; on a slow path it would be a burst of many milliseconds. */
static size_t quantum(const struct quic_conn *c)
{
  ngtcp2_conn_info info;
  size_t q = ngtcp2_conn_get_send_quantum(c->ng), least = TRAIN_PACKETS_MIN * QUIC_PAYLOAD_MAX;
  ngtcp2_conn_get_conn_info(c->ng, &info);
  if (info.smoothed_rtt <= TRAIN_NS)
    return q;
  uint64_t paced = info.cwnd * (TRAIN_NS / 1000) / (info.smoothed_rtt / 1000);
  if (paced < least)
    paced = least;
  return paced < q ? (size_t)paced : q;
}

static bool streams_may_send(const struct quic_conn *c)
{
  uint64_t window = c->ep->config.limits.send_window;
  return (window == 0 || c->unacked < window) && ngtcp2_conn_get_max_data_left(c->ng) > 0;
}

/* A bucket of EGRESS_BURST_NS: what is sent beyond limits.egress has to be made up for by waiting. */
static uint64_t egress_open_at(const struct quic_conn *c)
{
  return c->egress_paid > EGRESS_BURST_NS ? c->egress_paid - EGRESS_BURST_NS : 0;
}

static bool egress_waits(const struct quic_conn *c, uint64_t now)
{
  return c->ep->config.limits.egress > 0 && egress_open_at(c) > now;
}

static void egress_take(struct quic_conn *c, size_t n, uint64_t now)
{
  uint64_t rate = c->ep->config.limits.egress;
  if (rate > 0)
    c->egress_paid = (c->egress_paid > now ? c->egress_paid : now) + n * NS_PER_S / rate;
}

/* ---- one packet ---- */

struct packet {
  struct quic_conn *c;
  ngtcp2_path_storage path;
  ngtcp2_pkt_info info;
  uint8_t *out;
  uint64_t now;
};

static struct quic_stream *first_ready(const struct quic_conn *c)
{
  return c->ready.top ? container_of(c->ready.top, struct quic_stream, ready) : NULL;
}

void quic_datagram_drop(struct quic_conn *c)
{
  struct list *first = c->datagrams.next;
  list_remove(first);
  c->datagram_count--;
  free(container_of(first, struct quic_datagram, link));
}

/* Those that do not fit any more, since the path or its MTU has changed. */
static void drop_large_datagrams(struct quic_conn *c)
{
  size_t max = list_empty(&c->datagrams) ? 0 : quic_datagram_max(c);
  while (!list_empty(&c->datagrams) && container_of(c->datagrams.next, struct quic_datagram, link)->n > max)
    quic_datagram_drop(c);
}

/* These return what ngtcp2 does: the bytes of a finished packet, 0 when nothing may go,
 * NGTCP2_ERR_WRITE_MORE when the packet has room left, or an error. */
static ngtcp2_ssize write_datagram(struct packet *p)
{
  struct quic_datagram *d = container_of(p->c->datagrams.next, struct quic_datagram, link);
  ngtcp2_vec vec = {d->data, d->n};
  int accepted = 0;
  ngtcp2_ssize n = ngtcp2_conn_writev_datagram(p->c->ng, &p->path.path, &p->info, p->out, QUIC_PAYLOAD_MAX, &accepted,
                                               NGTCP2_WRITE_DATAGRAM_FLAG_MORE, 0, &vec, 1, p->now);
  bool refused = n == NGTCP2_ERR_INVALID_STATE || n == NGTCP2_ERR_INVALID_ARGUMENT;
  if (accepted || refused)
    quic_datagram_drop(p->c);
  return refused ? NGTCP2_ERR_WRITE_MORE : n;
}

static void note_written(struct packet *p, struct quic_stream *s, ngtcp2_ssize n, bool fin)
{
  s->packet_n = (size_t)n;
  s->packet_fin = fin;
  list_append(&p->c->packet, &s->in_packet);
}

/* Whether something may follow in the packet of a stream that has left the line. When not, the call
 * that writes the stream closes the packet. */
static bool more_follows(const struct quic_conn *c, size_t iovecs)
{
  return iovecs == QUIC_IOV_MAX || c->ready.top || !list_empty(&c->datagrams);
}

/* The stream leaves the line; what it is due is decided when the packet is done. */
static ngtcp2_ssize write_stream(struct packet *p, struct quic_stream *s)
{
  struct iovec iov[QUIC_IOV_MAX];
  ngtcp2_vec vec[QUIC_IOV_MAX];
  bool fin;
  size_t count = quic_stream_pull(s, iov, &fin), total = 0;
  heap_remove(&p->c->ready, &s->ready);
  for (size_t i = 0; i < count; i++) {
    vec[i] = (ngtcp2_vec){iov[i].iov_base, iov[i].iov_len};
    total += iov[i].iov_len;
  }
  if (total == 0 && !fin)
    return NGTCP2_ERR_WRITE_MORE;
  uint32_t flags =
      (more_follows(p->c, count) ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0u) | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u);
  ngtcp2_ssize taken;
  ngtcp2_ssize n = ngtcp2_conn_writev_stream(p->c->ng, &p->path.path, &p->info, p->out, QUIC_PAYLOAD_MAX, &taken, flags,
                                             (int64_t)s->s.id, vec, count, p->now);
  if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
    s->blocked = true; /* until quic_on_stream_credit */
    return NGTCP2_ERR_WRITE_MORE;
  }
  if (n == NGTCP2_ERR_STREAM_SHUT_WR) {
    s->stop_pending = s->s.bidi;
    if (s->stop_pending)
      note_written(p, s, 0, false);
    return NGTCP2_ERR_WRITE_MORE;
  }
  if (n == NGTCP2_ERR_STREAM_NOT_FOUND)
    return NGTCP2_ERR_WRITE_MORE;
  note_written(p, s, taken > 0 ? taken : 0, fin && taken >= 0 && (size_t)taken == total);
  return n;
}

static ngtcp2_ssize finish_packet(struct packet *p)
{
  struct quic_conn *c = p->c;
  struct quic_stream *s = NULL;
  if (!list_empty(&c->watched)) {
    s = container_of(c->watched.next, struct quic_stream, watched);
    list_remove(&s->watched);
    list_append(&c->watched, &s->watched);
  }
  ngtcp2_ssize n = ngtcp2_conn_writev_stream(c->ng, &p->path.path, &p->info, p->out, QUIC_PAYLOAD_MAX, NULL,
                                             NGTCP2_WRITE_STREAM_FLAG_NONE, s ? (int64_t)s->s.id : -1, NULL, 0, p->now);
  if (!s || (n != NGTCP2_ERR_STREAM_SHUT_WR && n != NGTCP2_ERR_STREAM_NOT_FOUND))
    return n;
  list_remove(&s->watched);
  if (n == NGTCP2_ERR_STREAM_SHUT_WR && list_empty(&s->in_packet)) {
    s->stop_pending = true;
    if (heap_has(&s->ready))
      heap_remove(&c->ready, &s->ready);
    note_written(p, s, 0, false);
  }
  return NGTCP2_ERR_WRITE_MORE;
}

static ngtcp2_ssize write_next(struct packet *p)
{
  struct quic_conn *c = p->c;
  struct quic_stream *s = c->state == QUIC_OPEN && streams_may_send(c) ? first_ready(c) : NULL;
  bool control = s && s->ready.major == 0 && s->ready.minor == 0;
  if (!control && egress_waits(c, p->now))
    return finish_packet(p);
  if (!control && !list_empty(&c->datagrams) && c->state == QUIC_OPEN)
    return write_datagram(p);
  return s ? write_stream(p, s) : finish_packet(p);
}

/* Fills one packet. While it is open ngtcp2 allows few calls, so sessions hear of it afterwards. */
static ngtcp2_ssize write_packet(struct packet *p)
{
  ngtcp2_ssize n;
  do
    n = write_next(p);
  while (n == NGTCP2_ERR_WRITE_MORE);
  while (!list_empty(&p->c->packet))
    quic_stream_packet_done(container_of(p->c->packet.next, struct quic_stream, in_packet));
  return n;
}

/* ---- trains ---- */

/* Gives t to the socket, or keeps what that does not take. False when it is full. */
static bool depart(struct quic_endpoint *ep, struct udp_train *t)
{
  size_t taken = ep->tx_trains > 0 || t->n == 0 ? 0 : ep->udp->ops->send(ep->udp, t);
  t->p += taken;
  t->n -= taken;
  if (t->n > 0)
    ep->tx_pending[ep->tx_trains++] = *t;
  bool gone = t->n == 0;
  t->n = 0;
  return gone;
}

static struct udp_train train_of(const struct packet *p, size_t n)
{
  struct udp_train t = {.p = p->out, .n = n, .segment = n, .ecn = p->info.ecn};
  memcpy(&t.local, p->path.path.local.addr, p->path.path.local.addrlen);
  memcpy(&t.peer, p->path.path.remote.addr, p->path.path.remote.addrlen);
  return t;
}

static bool addr_eq(const union udp_addr *a, const union udp_addr *b)
{
  return memcmp(a, b, sizeof *a) == 0;
}

/* Whether `one`, which follows t in memory, may ride with it. The last packet of a train may be
 * shorter, so a train that ends with a short one is full. */
static bool couples(const struct udp_train *t, const struct udp_train *one)
{
  return t->n > 0 && t->n % t->segment == 0 && one->n <= t->segment && t->n + one->n <= UDP_TRAIN_BYTES &&
         t->n / t->segment < UDP_TRAIN_SEGMENTS && t->ecn == one->ecn && addr_eq(&t->peer, &one->peer) &&
         addr_eq(&t->local, &one->local);
}

/* A probe for a larger MTU is likely to be lost, and must not take others with it. */
static bool is_probe(const struct quic_conn *c, size_t n)
{
  return n > ngtcp2_conn_get_path_max_tx_udp_payload_size(c->ng);
}

/* Adds `one` to the train t, or sends t and begins the next with it. False when the socket is full.
 */
static bool board(struct quic_conn *c, struct udp_train *t, const struct udp_train *one)
{
  bool probe = is_probe(c, one->n), room = true;
  c->bytes_sent += one->n;
  if (!probe && couples(t, one)) {
    t->n += one->n;
    return true;
  }
  room = depart(c->ep, t);
  *t = *one;
  return probe ? depart(c->ep, t) && room : room;
}

/* Returns what ngtcp2 said last: 0 when there is no more to send now. */
static ngtcp2_ssize send_trains(struct quic_conn *c, struct packet *p)
{
  struct udp_train t = {0};
  size_t left = quantum(c), at = 0;
  ngtcp2_ssize n = 1;
  for (bool room = true; room && left > 0 && n > 0;) {
    if (at + QUIC_PAYLOAD_MAX > QUIC_TX_BYTES) {
      room = depart(c->ep, &t);
      at = 0;
      continue;
    }
    p->out = c->ep->tx + at;
    n = write_packet(p);
    if (n <= 0)
      break;
    struct udp_train one = train_of(p, (size_t)n);
    room = board(c, &t, &one);
    at += one.n;
    left -= left < one.n ? left : one.n;
    egress_take(c, one.n, p->now);
  }
  depart(c->ep, &t);
  return n;
}

int quic_send(struct quic_conn *c, uint64_t *ret_expiry)
{
  struct packet p = {.c = c, .now = quic_now(c->ep)};
  ngtcp2_path_storage_zero(&p.path);
  drop_large_datagrams(c);
  ngtcp2_ssize n = send_trains(c, &p);
  *ret_expiry = ngtcp2_conn_get_expiry(c->ng);
  ngtcp2_conn_update_pkt_tx_time(c->ng, p.now);
  if (n != 0) /* there may be more: when pacing lets it go. Else its end is no reason to wake up */
    *ret_expiry = ngtcp2_conn_get_expiry(c->ng);
  if (egress_waits(c, p.now) && (c->ready.top || !list_empty(&c->datagrams))) {
    quic_conn_over(c, LIMIT_EGRESS);
    if (egress_open_at(c) < *ret_expiry)
      *ret_expiry = egress_open_at(c);
  }
  return n < 0 ? (int)n : 0;
}

void quic_send_now(struct quic_endpoint *ep, const union udp_addr *local, const union udp_addr *peer, const uint8_t *p,
                   size_t n)
{
  struct udp_train t = {.p = p, .n = n, .segment = n, .local = *local, .peer = *peer};
  if (ep->tx_trains == 0)
    ep->udp->ops->send(ep->udp, &t);
}

void quic_send_resume(struct quic_endpoint *ep)
{
  while (ep->tx_trains > 0) {
    struct udp_train *t = &ep->tx_pending[0];
    size_t taken = ep->udp->ops->send(ep->udp, t);
    t->p += taken;
    t->n -= taken;
    if (t->n > 0)
      return;
    ep->tx_pending[0] = ep->tx_pending[1];
    ep->tx_trains--;
  }
  while (!list_empty(&ep->waiting)) {
    struct quic_conn *c = container_of(ep->waiting.next, struct quic_conn, waiting);
    list_remove(&c->waiting);
    quic_conn_dirty(c);
  }
}
