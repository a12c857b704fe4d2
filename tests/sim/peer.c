/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "alloc.h"
#include "run.h"
#include <stdlib.h>

#define QUEUE_MAX ((size_t)64 << 20)

/* -- what comes in -- */

static void take_type(struct peer_stream *s)
{
  size_t n;
  if (s->typed || lite_stream_open(s->peer->version, !s->st->bidi, buf_slice(&s->in), &s->type, &n) == 0)
    return;
  if (s->type == LITE_STREAM_UNKNOWN)
    broken(s->peer->run, &s->peer->who, "the relay keeps to the protocol", "a stream of an unknown type");
  s->typed = true;
  buf_consume(&s->in, n);
  lite_reader_init(&s->reader, s->peer->version, s->type, LITE_OPENER, LITE_MESSAGE_MAX);
  if (s->type != LITE_STREAM_SETUP)
    s->peer->ops->opened(s);
}

static void setup_done(struct peer *p)
{
  if (p->ready)
    return;
  p->ready = true;
  tell(p->run, &p->who, EV_READY);
  p->ops->ready(p);
}

static void hand_out(struct peer_stream *s, const struct lite_raw *raw)
{
  union lite_body body;
  struct peer *p = s->peer;
  if (raw->msg == LITE_UNKNOWN || lite_decode(p->version, raw->msg, raw->body, &body) < 0)
    broken(p->run, &p->who, "the relay keeps to the protocol", "a malformed message on a %s stream",
           lite_stream_name(s->type));
  if (raw->msg == LITE_SERVER_SETUP)
    setup_done(p);
  else if (s->type != LITE_STREAM_SETUP)
    p->ops->message(s, raw->msg, &body);
}

static void take_messages(struct peer_stream *s)
{
  struct lite_raw raw;
  take_type(s);
  while (s->typed && s->in.n > 0) {
    if (lite_reader_frames(&s->reader)) {
      s->peer->ops->frames(s, buf_slice(&s->in));
      buf_consume(&s->in, s->in.n);
      return;
    }
    int rc = lite_reader_next(&s->reader, buf_slice(&s->in), &raw);
    if (rc < 0)
      broken(s->peer->run, &s->peer->who, "the relay keeps to the protocol", "bytes that may not come on a %s stream",
             lite_stream_name(s->type));
    if (rc == 0)
      return;
    hand_out(s, &raw);
    buf_consume(&s->in, raw.n);
  }
}

static void end(struct peer_stream *s, bool reset, uint64_t code)
{
  if (s->over)
    return;
  s->over = true;
  if (s->typed && s->type != LITE_STREAM_SETUP && s->type != LITE_STREAM_LEGACY)
    s->peer->ops->over(s, reset, code);
}

static void on_data(struct stream *st, struct slice data, bool fin)
{
  struct peer_stream *s = st->user;
  struct peer *p = s->peer;
  if (p->stalled)
    s->owed += data.n;
  else
    stream_extend(st, data.n);
  if (p->closing)
    return;
  alloc_spare++;
  buf_bytes(&s->in, data);
  alloc_spare--;
  take_messages(s);
  if (fin && s->in.n > 0)
    broken(p->run, &p->who, "the relay keeps to the protocol", "a clean end inside a message on a %s stream",
           lite_stream_name(s->type));
  if (fin)
    end(s, false, 0);
}

static void on_reset(struct stream *st, uint64_t code)
{
  struct peer_stream *s = st->user;
  if (!s->peer->closing)
    end(s, true, code);
}

static void on_stopped(struct stream *st, uint64_t code)
{
  struct peer_stream *s = st->user;
  if (!s->peer->closing && s->typed && s->type != LITE_STREAM_SETUP && s->type != LITE_STREAM_LEGACY)
    s->peer->ops->stopped(s, code);
}

/* -- what goes out -- */

static size_t on_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct peer_stream *s = st->user;
  return sendq_pull(&s->out, iov, max, ret_fin);
}

static void on_sent(struct stream *st, size_t n, bool fin)
{
  struct peer_stream *s = st->user;
  sendq_sent(&s->out, n, fin);
}

static void on_acked(struct stream *st, size_t n)
{
  struct peer_stream *s = st->user;
  sendq_acked(&s->out, n);
}

static void on_gone(struct stream *st)
{
  struct peer_stream *s = st->user;
  if (s->typed && s->type != LITE_STREAM_SETUP && s->type != LITE_STREAM_LEGACY)
    s->peer->ops->gone(s);
  list_remove(&s->link);
  sendq_destroy(&s->out);
  buf_destroy(&s->in);
  free(s);
}

static const struct stream_events stream_events = {on_data, on_reset, on_stopped, on_pull, on_sent, on_acked, on_gone};

static struct peer_stream *stream_new(struct peer *p, bool local)
{
  struct peer_stream *s = calloc(1, sizeof *s);
  if (!s)
    abort();
  s->peer = p;
  s->local = local;
  sendq_init(&s->out, QUEUE_MAX);
  list_append(&p->streams, &s->link);
  return s;
}

struct peer_stream *peer_open(struct peer *p, enum lite_stream type, void *user)
{
  bool uni = type == LITE_STREAM_GROUP || type == LITE_STREAM_SETUP;
  if (!p->t || p->closing)
    return NULL;
  struct peer_stream *s = stream_new(p, true);
  s->user = user;
  s->type = type;
  s->typed = true;
  if (transport_open(p->t, !uni, &stream_events, s, ORDER_CONTROL, &s->st) < 0) {
    list_remove(&s->link);
    sendq_destroy(&s->out);
    free(s);
    return NULL;
  }
  lite_reader_init(&s->reader, p->version, type, LITE_ACCEPTOR, LITE_MESSAGE_MAX);
  struct buf b = {0};
  alloc_spare++;
  int rc = lite_stream_begin(p->version, type, &b);
  alloc_spare--;
  if (rc < 0)
    broken(p->run, &p->who, "the simulation makes sense", "no %s stream in this version", lite_stream_name(type));
  peer_write(s, b.p, b.n);
  buf_destroy(&b);
  return s;
}

void peer_write(struct peer_stream *s, const void *p, size_t n)
{
  if (!s)
    return;
  alloc_spare++;
  if (n > 0 && sendq_put(&s->out, slice_of(p, n)) < 0)
    abort();
  alloc_spare--;
  stream_wake(s->st);
}

void peer_say(struct peer_stream *s, enum lite_msg m, const union lite_body *body)
{
  struct buf b = {0};
  if (!s)
    return;
  alloc_spare++;
  int rc = lite_encode(s->peer->version, m, body, &b);
  alloc_spare--;
  if (rc < 0)
    broken(s->peer->run, &s->peer->who, "the simulation makes sense", "no %s in this version", lite_msg_name(m));
  peer_write(s, b.p, b.n);
  buf_destroy(&b);
}

void peer_fin(struct peer_stream *s)
{
  if (!s)
    return;
  sendq_fin(&s->out);
  stream_wake(s->st);
}

void peer_reset(struct peer_stream *s, uint64_t code)
{
  if (s)
    stream_reset(s->st, code);
}

void peer_stop(struct peer_stream *s, uint64_t code)
{
  if (s)
    stream_stop(s->st, code);
}

/* -- the connection -- */

static void on_stream(struct transport *t, struct stream *st)
{
  struct peer_stream *s = stream_new(t->user, false);
  s->st = st;
  st->events = &stream_events;
  st->user = s;
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct peer *p = t->user;
  struct lite_datagram d;
  if (lite_datagram_decode(p->version, data, &d) < 0)
    broken(p->run, &p->who, "the relay keeps to the protocol", "a malformed datagram");
  p->ops->datagram(p, &d);
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct peer *p = t->user;
  p->t = NULL;
  p->wire = NULL;
  p->ready = false;
  tell(p->run, &p->who, EV_CLOSED, code, by_peer);
  p->ops->closed(p, code, by_peer);
}

static const struct transport_events transport_events = {on_stream, on_datagram, NULL, on_closed};

static void say_client_setup(struct peer *p)
{
  struct buf versions = {0};
  alloc_spare++;
  buf_varint(&versions, lite_info(p->version)->code);
  alloc_spare--;
  union lite_body body = {.client_setup = {.version_count = 1, .versions = buf_slice(&versions)}};
  peer_say(peer_open(p, LITE_STREAM_LEGACY, NULL), LITE_CLIENT_SETUP, &body);
  buf_destroy(&versions);
}

static void say_setup(struct peer *p)
{
  struct lite_setup setup = LITE_SETUP_INIT;
  setup.hop = p->hop;
  struct peer_stream *s = peer_open(p, LITE_STREAM_SETUP, NULL);
  peer_say(s, LITE_SETUP, &(union lite_body){.setup = setup});
  peer_fin(s);
}

void peer_join(struct peer *p, struct relay *relay, enum lite_version v, uint64_t hop)
{
  const struct lite_version_info *info = lite_info(v);
  p->version = v;
  p->who.version = (int)v;
  p->relay = relay;
  p->hop = hop;
  p->stalled = p->closing = p->ready = false;
  list_init(&p->streams);
  p->wire = wire_new(p->run, &p->who, p->good);
  p->t = mem_client(p->wire->mem);
  p->t->events = &transport_events;
  p->t->user = p;
  tell(p->run, &p->who, EV_JOIN, relay->who.index, p->wire->delay, p->wire->rate, p->good);
  relay_accept(relay, mem_server(p->wire->mem), v);
  if (info->setup_stream)
    say_setup(p);
  if (info->legacy_setup)
    say_client_setup(p);
  else
    setup_done(p);
}

void peer_close(struct peer *p, uint64_t code)
{
  if (!p->t || p->closing)
    return;
  tell(p->run, &p->who, EV_CLOSE, code);
  p->closing = true;
  transport_close(p->t, code, "");
}

void peer_stall(struct peer *p, bool stalled)
{
  p->stalled = stalled;
  tell(p->run, &p->who, stalled ? EV_STALL : EV_GO_ON);
  list_for_each (it, &p->streams) {
    struct peer_stream *s = container_of(it, struct peer_stream, link);
    size_t owed = s->owed;
    s->owed = 0;
    if (owed > 0)
      stream_extend(s->st, owed);
  }
}
