/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Everything that happens is a message with a time, in one heap; one timer of the test's set stands
 * for the earliest. Ops only queue messages, so events come from message handlers alone. */
#include "support/mem_transport.h"
#include "base/clock.h"
#include "base/rng.h"
#include "wire/h3/codes.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX_MAX 16
#define IOVECS_PER_PULL 8

enum msg_type {
  /* to the end itself */
  MSG_FLUSH,
  MSG_END,
  /* over the network */
  MSG_DATA,
  MSG_RESET,
  MSG_STOP,
  MSG_ACK,
  MSG_RESET_ACK,
  MSG_MAX_STREAM_DATA,
  MSG_MAX_DATA,
  MSG_MAX_STREAMS,
  MSG_DATAGRAM,
  MSG_CLOSE,
};

/* Both sides of a stream, alive as long as a side or a message needs it. A side is made by its
 * opener, or at the other end by the first message that arrives. */
struct pipe {
  uint32_t refs;
  uint64_t id;
  bool bidi;
  bool seen[2];
  struct side *side[2];
  uint64_t last_arrival[2]; /* of what goes to that end: data stays in order */
};

struct msg {
  struct heap_node node;
  struct list held;
  enum msg_type type;
  int to;
  struct pipe *pipe;
  uint64_t value; /* offset, limit or code */
  bool flag;      /* fin, bidi, by_peer */
  size_t n;
  uint8_t bytes[];
};

/* Bytes that were sent and may be read again, with a copy to see that they stay as they are. */
struct piece {
  struct list link;
  const uint8_t *p;
  size_t n;
  uint8_t copy[];
};

struct side {
  struct stream s;
  struct mem_end *end;
  struct pipe *pipe;
  struct list link;
  struct heap_node ready;
  struct send_order order;
  uint8_t prefix[PREFIX_MAX];
  size_t prefix_n, prefix_sent;
  /* our direction, offsets include the prefix */
  uint64_t sent, acked, send_max;
  bool blocked, fin_sent, reset_sent, send_done;
  struct list pieces;
  /* the peer's direction */
  uint64_t received, extended, recv_max;
  bool stopped, recv_done;
};

struct mem_end {
  struct transport t;
  struct mem_pair *pair;
  int index;
  struct list sides;
  struct heap ready;
  uint64_t sent, send_max, acked; /* all streams together */
  uint64_t granted;               /* what the peer may send in all */
  uint64_t opened[2], may_open[2], peer_may_open[2];
  uint64_t next_send;
  bool flush_queued, closing;
  struct transport_stats stats;
};

struct mem_pair {
  struct timers *timers;
  const uint64_t *now;
  struct mem_config config;
  struct mem_end *end[2];
  struct heap heap;
  struct timer timer;
  struct list held;
  uint64_t sequence, rng_state;
  struct rng rng;
  bool dead, paused;
};

static void fail(const char *what)
{
  fprintf(stderr, "mem_transport: %s\n", what);
  abort();
}

/* Tests that fail an allocation mean the code on the transport, not the transport: hence the second
 * try. */
static void *zalloc(size_t n)
{
  void *p = calloc(1, n);
  if (!p)
    p = calloc(1, n);
  if (!p)
    fail("no memory");
  return p;
}

/* ---- messages ---- */

static void rearm(struct mem_pair *p)
{
  timers_set(p->timers, &p->timer, p->heap.top ? p->heap.top->major : TIMERS_NONE);
}

static void pipe_unref(struct pipe *pipe)
{
  if (pipe && --pipe->refs == 0)
    free(pipe);
}

static struct msg *msg_new(enum msg_type type, int to, struct pipe *pipe, size_t n)
{
  struct msg *m = zalloc(sizeof *m + n);
  *m = (struct msg){.type = type, .to = to, .pipe = pipe, .n = n};
  list_init(&m->held);
  if (pipe)
    pipe->refs++;
  return m;
}

static void msg_free(struct msg *m)
{
  pipe_unref(m->pipe);
  free(m);
}

static void queue_at(struct mem_pair *p, struct msg *m, uint64_t at)
{
  m->node.major = at;
  m->node.minor = p->sequence++;
  heap_insert(&p->heap, &m->node);
  rearm(p);
}

static void send_msg(struct mem_pair *p, struct msg *m)
{
  uint64_t at = *p->now + p->config.delay_ns;
  if (p->config.jitter_ns)
    at += rng_below(&p->rng, p->config.jitter_ns + 1);
  if (m->type == MSG_DATA) {
    uint64_t *last = &m->pipe->last_arrival[m->to];
    *last = at = at > *last ? at : *last;
  }
  queue_at(p, m, at);
}

static void send_value(struct side *side, enum msg_type type, uint64_t value)
{
  struct msg *m = msg_new(type, !side->end->index, side->pipe, 0);
  m->value = value;
  send_msg(side->end->pair, m);
}

static void queue_flush(struct mem_end *e, uint64_t at)
{
  if (e->flush_queued)
    return;
  e->flush_queued = true;
  queue_at(e->pair, msg_new(MSG_FLUSH, e->index, NULL, 0), at);
}

/* ---- streams ---- */

static struct side *side_of(struct stream *s)
{
  return (struct side *)s;
}

static bool sending(const struct side *side)
{
  return !side->send_done && !side->reset_sent && !side->fin_sent;
}

static void make_ready(struct side *side)
{
  side->blocked = false;
  if (!sending(side) || heap_has(&side->ready))
    return;
  side->ready.major = side->order.major;
  side->ready.minor = side->order.minor;
  heap_insert(&side->end->ready, &side->ready);
  queue_flush(side->end, *side->end->pair->now);
}

static void not_ready(struct side *side)
{
  if (heap_has(&side->ready))
    heap_remove(&side->end->ready, &side->ready);
}

static void piece_check(const struct piece *piece)
{
  if (piece->p && memcmp(piece->p, piece->copy, piece->n) != 0)
    fail("bytes changed before they were acked");
}

static void piece_free(struct piece *piece)
{
  piece_check(piece);
  list_remove(&piece->link);
  free(piece);
}

/* A stream that was reset reads nothing again: its owner may let go of the bytes. */
static void forget_bytes(struct side *side)
{
  list_for_each (it, &side->pieces) {
    struct piece *piece = container_of(it, struct piece, link);
    piece_check(piece);
    piece->p = NULL;
  }
}

static void grant_window(struct mem_end *e, uint64_t n)
{
  if (n == 0 || e->closing)
    return;
  e->granted += n;
  struct msg *m = msg_new(MSG_MAX_DATA, !e->index, NULL, 0);
  m->value = e->granted;
  send_msg(e->pair, m);
}

static void op_wake(struct stream *s)
{
  make_ready(side_of(s));
}

static void reset_side(struct side *side, uint64_t wire)
{
  forget_bytes(side);
  if (side->send_done || side->reset_sent || side->end->closing)
    return;
  side->reset_sent = true;
  not_ready(side);
  send_value(side, MSG_RESET, wire);
}

static void stop_side(struct side *side, uint64_t wire)
{
  if (side->recv_done || side->stopped || side->end->closing)
    return;
  side->stopped = true;
  grant_window(side->end, side->received - side->extended);
  side->extended = side->received;
  send_value(side, MSG_STOP, wire);
}

static uint64_t to_wire(uint64_t code)
{
  return code <= UINT32_MAX ? wt_code_to_h3((uint32_t)code) : code;
}

static uint64_t from_wire(uint64_t wire)
{
  uint32_t code;
  return h3_code_to_wt(wire, &code) ? code : wire;
}

static void op_reset(struct stream *s, uint64_t code)
{
  reset_side(side_of(s), to_wire(code));
}

static void op_stop(struct stream *s, uint64_t code)
{
  stop_side(side_of(s), to_wire(code));
}

static void op_extend(struct stream *s, size_t n)
{
  struct side *side = side_of(s);
  if (side->stopped)
    return;
  if (side->extended + n > side->received)
    fail("more credit given back than was received");
  side->extended += n;
  side->recv_max += n;
  grant_window(side->end, n);
  if (!side->recv_done && n > 0 && !side->end->closing)
    send_value(side, MSG_MAX_STREAM_DATA, side->recv_max);
}

static void op_set_order(struct stream *s, struct send_order order)
{
  struct side *side = side_of(s);
  bool ready = heap_has(&side->ready);
  not_ready(side);
  side->order = order;
  if (ready)
    make_ready(side);
}

static const struct stream_ops stream_ops = {op_wake, op_reset, op_stop, op_extend, op_set_order};

void mem_stream_reset_raw(struct stream *s, uint64_t wire_code)
{
  reset_side(side_of(s), wire_code);
}

void mem_stream_stop_raw(struct stream *s, uint64_t wire_code)
{
  stop_side(side_of(s), wire_code);
}

void mem_stream_set_prefix(struct stream *s, struct slice prefix)
{
  struct side *side = side_of(s);
  if (prefix.n > PREFIX_MAX || side->sent > 0)
    fail("prefix too long or too late");
  memcpy(side->prefix, prefix.p, prefix.n);
  side->prefix_n = prefix.n;
}

static struct side *side_new(struct mem_end *e, struct pipe *pipe, bool local)
{
  struct side *side = zalloc(sizeof *side);
  side->s = (struct stream){.ops = &stream_ops, .transport = &e->t, .id = pipe->id, .bidi = pipe->bidi, .local = local};
  side->end = e;
  side->pipe = pipe;
  side->send_max = side->recv_max = e->pair->config.stream_window;
  side->send_done = !pipe->bidi && !local;
  side->recv_done = !pipe->bidi && local;
  list_init(&side->pieces);
  list_append(&e->sides, &side->link);
  pipe->side[e->index] = side;
  pipe->seen[e->index] = true;
  pipe->refs++;
  return side;
}

static void side_free(struct side *side)
{
  struct mem_end *e = side->end;
  not_ready(side);
  list_for_each_safe (it, tmp, &side->pieces)
    piece_free(container_of(it, struct piece, link));
  list_remove(&side->link);
  if (side->s.events)
    side->s.events->closed(&side->s);
  side->pipe->side[e->index] = NULL;
  pipe_unref(side->pipe);
  free(side);
}

static void allow_streams(struct mem_end *e, bool bidi, uint64_t n)
{
  struct msg *m = msg_new(MSG_MAX_STREAMS, !e->index, NULL, 0);
  e->peer_may_open[bidi] += n;
  m->value = e->peer_may_open[bidi];
  m->flag = bidi;
  send_msg(e->pair, m);
}

void mem_allow_streams(struct transport *t, bool bidi, uint64_t n)
{
  allow_streams((struct mem_end *)t, bidi, n);
}

static void close_if_done(struct side *side)
{
  if (!side->send_done || !side->recv_done)
    return;
  struct mem_end *e = side->end;
  bool bidi = side->s.bidi, local = side->s.local;
  grant_window(e, side->received - side->extended);
  side_free(side);
  if (!local && !e->closing)
    allow_streams(e, bidi, 1);
}

/* ---- sending ---- */

static void keep_piece(struct side *side, const struct iovec *iov, size_t n)
{
  struct piece *piece = zalloc(sizeof *piece + n);
  piece->p = iov->iov_base;
  piece->n = n;
  memcpy(piece->copy, piece->p, n);
  list_append(&side->pieces, &piece->link);
}

/* The most that may leave the side now, prefix included; *ret_stop when the whole connection has to
 * wait. */
static size_t allowance(struct side *side, bool *ret_stop)
{
  struct mem_end *e = side->end;
  uint64_t n = e->pair->config.segment, left = side->send_max - side->sent;
  n = n < left ? n : left;
  left = e->send_max - e->sent;
  n = n < left ? n : left;
  if (e->pair->config.send_window) {
    uint64_t flying = e->sent - e->acked;
    left = flying < e->pair->config.send_window ? e->pair->config.send_window - flying : 0;
    *ret_stop = left == 0;
    n = n < left ? n : left;
  }
  return (size_t)n;
}

/* Fills m->bytes from `at` up to `room` with pulled bytes. */
static void take(struct side *side, struct msg *m, size_t at, size_t room, const struct iovec *iov, size_t count)
{
  for (size_t i = 0; i < count && at < room; i++) {
    size_t n = iov[i].iov_len < room - at ? iov[i].iov_len : room - at;
    if (n == 0)
      continue;
    memcpy(m->bytes + at, iov[i].iov_base, n);
    keep_piece(side, &iov[i], n);
    at += n;
  }
}

static size_t iov_total(const struct iovec *iov, size_t n)
{
  size_t total = 0;
  for (size_t i = 0; i < n; i++)
    total += iov[i].iov_len;
  return total;
}

static void account(struct side *side, size_t n)
{
  struct mem_end *e = side->end;
  side->sent += n;
  e->sent += n;
  e->stats.bytes_sent += n;
  uint64_t rate = e->pair->config.rate, now = *e->pair->now;
  if (rate)
    e->next_send = (e->next_send > now ? e->next_send : now) + n * NS_PER_S / rate;
}

/* Sends one segment of the side. True when the connection can go on. */
static bool send_segment(struct side *side)
{
  struct mem_end *e = side->end;
  bool stop = false, fin = false;
  size_t room = allowance(side, &stop);
  if (stop)
    return false;
  struct iovec iov[IOVECS_PER_PULL];
  size_t count = side->s.events->pull(&side->s, iov, IOVECS_PER_PULL, &fin);
  size_t head = side->prefix_n - side->prefix_sent, want = head + iov_total(iov, count);
  size_t n = want < room ? want : room;
  fin = fin && n == want;
  not_ready(side);
  side->blocked = want > n && room < e->pair->config.segment;
  if (n == 0 && !fin)
    return true;
  struct msg *m = msg_new(MSG_DATA, !e->index, side->pipe, n);
  head = head < n ? head : n;
  memcpy(m->bytes, side->prefix + side->prefix_sent, head);
  take(side, m, head, n, iov, count);
  side->prefix_sent += head;
  account(side, n);
  m->value = side->sent;
  m->flag = side->fin_sent = fin;
  send_msg(e->pair, m);
  if (!fin && !side->blocked)
    make_ready(side);
  side->s.events->sent(&side->s, n - head, fin);
  return true;
}

static void flush(struct mem_end *e)
{
  while (e->ready.top && !e->closing) {
    if (e->next_send > *e->pair->now) {
      queue_flush(e, e->next_send);
      return;
    }
    if (!send_segment(container_of(e->ready.top, struct side, ready)))
      return;
  }
}

static void unblock(struct mem_end *e)
{
  list_for_each (it, &e->sides) {
    struct side *side = container_of(it, struct side, link);
    if (side->blocked)
      make_ready(side);
  }
  if (e->ready.top)
    queue_flush(e, *e->pair->now);
}

/* ---- receiving ---- */

/* The side that a message is for, made and announced when this is the first of its stream. NULL
 * when it is gone. */
static struct side *side_for(struct mem_end *e, struct pipe *pipe)
{
  if (pipe->seen[e->index])
    return pipe->side[e->index];
  struct side *side = side_new(e, pipe, false);
  e->t.events->on_stream(&e->t, &side->s);
  if (!side->s.events)
    fail("on_stream set no events");
  return side;
}

static void got_data(struct mem_end *e, struct msg *m)
{
  struct msg *ack = msg_new(MSG_ACK, !e->index, m->pipe, 0);
  ack->value = m->value;
  ack->flag = m->flag;
  send_msg(e->pair, ack);
  struct side *side = side_for(e, m->pipe);
  e->stats.bytes_received += m->n;
  if (!side || side->recv_done) {
    grant_window(e, m->n);
    return;
  }
  side->received += m->n;
  side->recv_done = m->flag;
  if (side->stopped) {
    side->extended += m->n;
    grant_window(e, m->n);
  } else {
    side->s.events->data(&side->s, slice_of(m->bytes, m->n), m->flag);
  }
  close_if_done(side);
}

static void got_ack(struct mem_end *e, struct msg *m)
{
  struct side *side = m->pipe->side[e->index];
  if (!side || m->value < side->acked)
    return;
  uint64_t before = side->acked, n = m->value - before;
  side->acked = m->value;
  e->acked += n;
  uint64_t skip = before < side->prefix_n ? side->prefix_n - before : 0;
  n -= skip < n ? skip : n;
  for (uint64_t left = n; left > 0;) {
    struct piece *piece = container_of(side->pieces.next, struct piece, link);
    left -= piece->n;
    piece_free(piece);
  }
  if (!side->reset_sent && n > 0 && side->s.events->acked)
    side->s.events->acked(&side->s, (size_t)n);
  if (side->fin_sent && side->acked == side->sent && m->flag)
    side->send_done = true;
  unblock(e);
  close_if_done(side);
}

static void got_reset(struct mem_end *e, struct msg *m)
{
  struct msg *ack = msg_new(MSG_RESET_ACK, !e->index, m->pipe, 0);
  send_msg(e->pair, ack);
  struct side *side = side_for(e, m->pipe);
  if (!side || side->recv_done)
    return;
  side->recv_done = true;
  if (!side->stopped)
    side->s.events->reset(&side->s, from_wire(m->value));
  close_if_done(side);
}

static void got_reset_ack(struct mem_end *e, struct msg *m)
{
  struct side *side = m->pipe->side[e->index];
  if (!side)
    return;
  e->acked += side->sent - side->acked;
  side->acked = side->sent;
  side->send_done = true;
  unblock(e);
  close_if_done(side);
}

static void got_stop(struct mem_end *e, struct msg *m)
{
  struct side *side = side_for(e, m->pipe);
  if (!side || side->send_done || side->reset_sent)
    return;
  reset_side(side, m->value);
  side->s.events->stopped(&side->s, from_wire(m->value));
}

static void got_max_stream_data(struct mem_end *e, struct msg *m)
{
  struct side *side = m->pipe->side[e->index];
  if (!side || m->value <= side->send_max)
    return;
  side->send_max = m->value;
  if (side->blocked)
    make_ready(side);
}

static void got_max_data(struct mem_end *e, struct msg *m)
{
  if (m->value <= e->send_max)
    return;
  e->send_max = m->value;
  unblock(e);
}

static void got_max_streams(struct mem_end *e, struct msg *m)
{
  if (m->value <= e->may_open[m->flag])
    return;
  e->may_open[m->flag] = m->value;
  if (e->t.events->on_streams)
    e->t.events->on_streams(&e->t, m->flag);
}

static void got_datagram(struct mem_end *e, struct msg *m)
{
  if (e->t.events->on_datagram)
    e->t.events->on_datagram(&e->t, slice_of(m->bytes, m->n));
}

static void end_up(struct mem_end *e, uint64_t code, struct slice reason, bool by_peer)
{
  e->closing = true;
  while (!list_empty(&e->sides))
    side_free(container_of(e->sides.next, struct side, link));
  e->pair->end[e->index] = NULL;
  if (e->t.events)
    e->t.events->on_closed(&e->t, code, reason, by_peer);
  free(e);
}

static void handle(struct mem_end *e, struct msg *m)
{
  switch (m->type) {
  case MSG_FLUSH:
    e->flush_queued = false;
    flush(e);
    break;
  case MSG_END:
  case MSG_CLOSE:
    end_up(e, m->value, slice_of(m->bytes, m->n), m->flag);
    break;
  case MSG_DATA:
    got_data(e, m);
    break;
  case MSG_RESET:
    got_reset(e, m);
    break;
  case MSG_STOP:
    got_stop(e, m);
    break;
  case MSG_ACK:
    got_ack(e, m);
    break;
  case MSG_RESET_ACK:
    got_reset_ack(e, m);
    break;
  case MSG_MAX_STREAM_DATA:
    got_max_stream_data(e, m);
    break;
  case MSG_MAX_DATA:
    got_max_data(e, m);
    break;
  case MSG_MAX_STREAMS:
    got_max_streams(e, m);
    break;
  case MSG_DATAGRAM:
    got_datagram(e, m);
    break;
  }
}

static bool over_network(const struct msg *m)
{
  return m->type != MSG_FLUSH && m->type != MSG_END;
}

static void deliver(struct mem_pair *p, struct msg *m)
{
  struct mem_end *e = p->end[m->to];
  bool usable = e && (!e->closing || m->type == MSG_END);
  if (usable && over_network(m) && p->paused) {
    list_append(&p->held, &m->held);
    return;
  }
  if (usable && !(over_network(m) && p->dead))
    handle(e, m);
  msg_free(m);
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct mem_pair *p = container_of(t, struct mem_pair, timer);
  while (p->heap.top && p->heap.top->major <= now) {
    struct msg *m = container_of(p->heap.top, struct msg, node);
    heap_remove(&p->heap, &m->node);
    deliver(p, m);
  }
  rearm(p);
}

/* ---- transports ---- */

static struct mem_end *end_of(struct transport *t)
{
  return (struct mem_end *)t;
}

static int op_open(struct transport *t, bool bidi, const struct stream_events *events, void *user,
                   struct send_order order, struct stream **ret_stream)
{
  struct mem_end *e = end_of(t);
  if (e->closing)
    return -ENOTCONN;
  if (e->opened[bidi] >= e->may_open[bidi])
    return -EAGAIN;
  struct pipe *pipe = zalloc(sizeof *pipe);
  pipe->id = e->opened[bidi]++ << 2 | (bidi ? 0 : 2) | (uint64_t)e->index;
  pipe->bidi = bidi;
  struct side *side = side_new(e, pipe, true);
  side->s.events = events;
  side->s.user = user;
  side->order = order;
  *ret_stream = &side->s;
  return 0;
}

static int op_send_datagram(struct transport *t, const struct iovec *iov, size_t n)
{
  struct mem_end *e = end_of(t);
  struct mem_pair *p = e->pair;
  size_t total = iov_total(iov, n), at = 0;
  if (e->closing)
    return -ENOTCONN;
  if (p->config.max_datagram == 0)
    return -ENOTSUP;
  if (total > p->config.max_datagram)
    return -EMSGSIZE;
  struct msg *m = msg_new(MSG_DATAGRAM, !e->index, NULL, total);
  for (size_t i = 0; i < n; at += iov[i].iov_len, i++)
    memcpy(m->bytes + at, iov[i].iov_base, iov[i].iov_len);
  if (rng_below(&p->rng, 1000) < p->config.datagram_loss)
    msg_free(m);
  else
    send_msg(p, m);
  return 0;
}

static size_t op_max_datagram(struct transport *t)
{
  return end_of(t)->pair->config.max_datagram;
}

static void queue_end(struct mem_end *e, enum msg_type type, uint64_t code, const char *reason, uint64_t at)
{
  size_t n = strlen(reason);
  struct msg *m = msg_new(type, type == MSG_CLOSE ? !e->index : e->index, NULL, n);
  memcpy(m->bytes, reason, n);
  m->value = code;
  m->flag = type == MSG_CLOSE;
  queue_at(e->pair, m, at);
}

static void op_close(struct transport *t, uint64_t code, const char *reason)
{
  struct mem_end *e = end_of(t);
  if (e->closing)
    return;
  e->closing = true;
  uint64_t now = *e->pair->now;
  queue_end(e, MSG_CLOSE, code, reason, now + e->pair->config.delay_ns + e->pair->config.jitter_ns);
  queue_end(e, MSG_END, code, reason, now);
}

static void op_stats(struct transport *t, struct transport_stats *ret_stats)
{
  struct mem_end *e = end_of(t);
  *ret_stats = e->stats;
  ret_stats->rtt_ns = 2 * e->pair->config.delay_ns;
  ret_stats->bitrate = e->pair->config.rate * 8;
}

static const struct transport_ops transport_ops = {op_open, op_send_datagram, op_max_datagram, op_close, op_stats};

static struct mem_end *end_new(struct mem_pair *p, int index)
{
  const struct mem_config *c = &p->config;
  struct mem_end *e = zalloc(sizeof *e);
  e->t = (struct transport){.ops = &transport_ops,
                            .kind = c->kind,
                            .protocol = c->protocol,
                            .path = c->path,
                            .host = c->host,
                            .client = index == 0};
  e->pair = p;
  e->index = index;
  e->send_max = e->granted = c->window;
  e->may_open[0] = e->peer_may_open[0] = c->streams_uni;
  e->may_open[1] = e->peer_may_open[1] = c->streams_bidi;
  list_init(&e->sides);
  return e;
}

struct mem_config mem_config_default(void)
{
  return (struct mem_config){.delay_ns = NS_PER_MS,
                             .segment = 1200,
                             .stream_window = 1 << 20,
                             .window = 8 << 20,
                             .streams_bidi = 100,
                             .streams_uni = 100,
                             .max_datagram = 1200,
                             .idle_timeout_ns = 10 * NS_PER_S,
                             .seed = 1,
                             .kind = "memory",
                             .protocol = "moq-lite-06",
                             .path = "",
                             .host = ""};
}

struct mem_pair *mem_pair_new(struct timers *timers, const uint64_t *now, const struct mem_config *config)
{
  struct mem_pair *p = zalloc(sizeof *p);
  p->timers = timers;
  p->now = now;
  p->config = *config;
  p->rng_state = config->seed;
  p->rng = rng_seeded(&p->rng_state);
  list_init(&p->held);
  timer_init(&p->timer, on_timer);
  p->end[0] = end_new(p, 0);
  p->end[1] = end_new(p, 1);
  return p;
}

struct transport *mem_client(struct mem_pair *p)
{
  return p->end[0] ? &p->end[0]->t : NULL;
}

struct transport *mem_server(struct mem_pair *p)
{
  return p->end[1] ? &p->end[1]->t : NULL;
}

void mem_kill(struct mem_pair *p)
{
  p->dead = true;
  for (int i = 0; i < 2; i++)
    if (p->end[i] && !p->end[i]->closing)
      queue_end(p->end[i], MSG_END, TRANSPORT_NO_CODE, "", *p->now + p->config.idle_timeout_ns);
}

void mem_pause(struct mem_pair *p, bool paused)
{
  p->paused = paused;
  while (!paused && !list_empty(&p->held)) {
    struct msg *m = container_of(p->held.next, struct msg, held);
    list_remove(&m->held);
    heap_insert(&p->heap, &m->node); /* at its own time: before what was sent after it and has not arrived either */
  }
  rearm(p);
}

void mem_set_link(struct mem_pair *p, uint64_t delay_ns, uint64_t jitter_ns, uint64_t rate)
{
  p->config.delay_ns = delay_ns;
  p->config.jitter_ns = jitter_ns;
  p->config.rate = rate;
}

size_t mem_streams(const struct transport *t)
{
  const struct mem_end *e = (const struct mem_end *)t;
  size_t n = 0;
  list_for_each (it, &e->sides)
    n++;
  return n;
}

void mem_each_stream(struct transport *t, void (*fn)(struct stream *s, void *ctx), void *ctx)
{
  list_for_each_safe (it, tmp, &end_of(t)->sides)
    fn(&container_of(it, struct side, link)->s, ctx);
}

void mem_pair_free(struct mem_pair *p)
{
  if (!p)
    return;
  for (int i = 0; i < 2; i++)
    if (p->end[i])
      end_up(p->end[i], TRANSPORT_NO_CODE, slice_str(""), false);
  mem_pause(p, false);
  while (p->heap.top) {
    struct msg *m = container_of(p->heap.top, struct msg, node);
    heap_remove(&p->heap, &m->node);
    msg_free(m);
  }
  timers_cancel(p->timers, &p->timer);
  free(p);
}
