/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the WebTransport server: the input is a script of what a raw peer does, on
 * the in-memory transport. A step is a byte that says what, and its arguments; see steps below. */
#include "base/cursor.h"
#include "net/webtransport.h"
#include "support/mem_transport.h"
#include "support/sim.h"
#include "support/fuzz.h"

#define STREAMS_MAX 64
#define STEPS_MAX 200
#define OUT_MAX 4096

struct peer {
  struct worker w;
  struct mem_pair *mem;
  struct transport *raw, *session;
  struct wt_session *request;
  struct out {
    struct stream *s;
    size_t n, sent;
    bool fin;
    uint8_t bytes[OUT_MAX];
  } outs[STREAMS_MAX];
  size_t count;
};

/* ---- streams, of both ends: read all, and send what `user` has ---- */

static void on_data(struct stream *s, struct slice in, bool fin)
{
  stream_extend(s, in.n);
}

static void on_code(struct stream *s, uint64_t code) {}

static size_t on_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct out *o = s->user;
  if (!o)
    return 0;
  *ret_fin = o->fin;
  iov[0] = (struct iovec){o->bytes + o->sent, o->n - o->sent};
  return o->n > o->sent;
}

static void on_sent(struct stream *s, size_t n, bool fin)
{
  struct out *o = s->user;
  if (o)
    o->sent += n;
}

static void on_stream_closed(struct stream *s)
{
  struct out *o = s->user;
  if (o)
    o->s = NULL;
}

static const struct stream_events stream_events = {
    .data = on_data,
    .reset = on_code,
    .stopped = on_code,
    .pull = on_pull,
    .sent = on_sent,
    .closed = on_stream_closed,
};

static void on_stream(struct transport *t, struct stream *s)
{
  s->events = &stream_events;
  s->user = NULL;
  if (s->id % 32 == 8)
    stream_stop(s, 1);
}

static void on_datagram(struct transport *t, struct slice data) {}

static void on_streams(struct transport *t, bool bidi) {}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct peer *p = t->user;
  if (t == p->raw)
    p->raw = NULL;
  else
    p->session = NULL;
}

static const struct transport_events transport_events = {on_stream, on_datagram, on_streams, on_closed};

static void take(struct peer *p, struct transport **slot, struct transport *t)
{
  *slot = t;
  t->events = &transport_events;
  t->user = p;
}

static void on_request(void *ctx, struct wt_session *s, const struct wt_request *r)
{
  struct peer *p = ctx;
  p->request = s;
}

static void on_gone(void *ctx, struct wt_session *s)
{
  struct peer *p = ctx;
  p->request = NULL;
}

static const struct wt_server_events server_events = {on_request, on_gone};

/* ---- steps ---- */

static struct out *pick(struct peer *p, struct cursor *c)
{
  struct out *o = p->count > 0 ? &p->outs[cursor_u8(c) % p->count] : NULL;
  return o && o->s ? o : NULL;
}

static void queue(struct out *o, struct cursor *c, bool fin)
{
  struct slice bytes = cursor_bytes(c, cursor_u8(c));
  if (!o || o->fin || bytes.n > OUT_MAX - o->n)
    return;
  if (bytes.n > 0)
    memcpy(o->bytes + o->n, bytes.p, bytes.n);
  o->n += bytes.n;
  o->fin = fin;
  stream_wake(o->s);
}

static void step_open(struct peer *p, struct cursor *c)
{
  if (p->count == STREAMS_MAX || !p->raw)
    return;
  struct out *o = &p->outs[p->count];
  uint8_t flags = cursor_u8(c);
  if (transport_open(p->raw, flags & 1, &stream_events, o, ORDER_CONTROL, &o->s) < 0)
    return;
  p->count++;
  queue(o, c, flags & 2);
}

static void step_send(struct peer *p, struct cursor *c)
{
  struct out *o = pick(p, c);
  queue(o, c, false);
}

static void step_fin(struct peer *p, struct cursor *c)
{
  struct out *o = pick(p, c);
  queue(o, c, true);
}

static void step_reset(struct peer *p, struct cursor *c)
{
  struct out *o = pick(p, c);
  if (o)
    mem_stream_reset_raw(o->s, cursor_varint(c));
}

static void step_stop(struct peer *p, struct cursor *c)
{
  struct out *o = pick(p, c);
  if (o)
    mem_stream_stop_raw(o->s, cursor_varint(c));
}

static void step_datagram(struct peer *p, struct cursor *c)
{
  struct slice bytes = cursor_bytes(c, cursor_u8(c));
  struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
  if (p->raw && bytes.n > 0)
    p->raw->ops->send_datagram(p->raw, &iov, 1);
}

static void step_time(struct peer *p, struct cursor *c)
{
  sim_run(&p->w, (uint64_t)cursor_u8(c) * cursor_u8(c) * NS_PER_MS);
}

/* The server's side answers, opens a stream or closes. */
static void step_server(struct peer *p, struct cursor *c)
{
  struct stream *s;
  uint8_t what = cursor_u8(c);
  if (p->request && what % 4 == 0)
    wt_reject(p->request, 400 + what % 100);
  else if (p->request)
    take(p, &p->session, wt_accept(p->request, ""));
  else if (p->session && what % 4 == 0)
    transport_close(p->session, what, "closed");
  else if (p->session && what % 4 == 1)
    wt_drain(p->session);
  else if (p->session && transport_open(p->session, what & 1, &stream_events, NULL, ORDER_CONTROL, &s) == 0)
    stream_wake(s);
  p->request = NULL;
}

static void run(struct peer *p, struct cursor *c)
{
  static void (*const steps[])(struct peer *, struct cursor *) = {step_open, step_send,     step_fin,  step_reset,
                                                                  step_stop, step_datagram, step_time, step_server};
  for (int i = 0; i < STEPS_MAX && cursor_left(c) > 0; i++)
    steps[cursor_u8(c) % 8](p, c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct peer p;
  struct cursor c = cursor_of(slice_of(data, size));
  struct mem_config config = mem_config_default();
  uint8_t net = cursor_u8(&c);
  p = (struct peer){0};
  config.segment = net & 15 ? net & 15 : 1200;
  config.jitter_ns = net & 16 ? 3 * NS_PER_MS : 0;
  sim_init(&p.w);
  p.mem = mem_pair_new(&p.w.timers, &p.w.now, &config);
  take(&p, &p.raw, mem_client(p.mem));
  bool served = wt_serve(mem_server(p.mem), &p.w, NULL, &server_events, &p) == 0;
  check(served);
  if (served) {
    run(&p, &c);
    sim_run(&p.w, 30 * NS_PER_S);
  }
  mem_pair_free(p.mem);
  check(!p.session && !p.request && !p.raw);
  return 0;
}
