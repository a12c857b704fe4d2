/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The in-memory transport keeps the rules of transport.h: a session that works on it may rely on
 * them elsewhere. */
#include "support/mem_transport.h"
#include "support/sim.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define BIG 100000
#define STREAMS_MAX 32

/* What the sender of a test offers, and what the receiver saw, per stream. */
struct ep {
  struct transport *t;
  size_t on_streams, datagrams, open;
  bool closed, by_peer, hold;
  uint64_t code;
  char reason[32];
  struct flow *flows[STREAMS_MAX];
  size_t flow_count;
};

struct flow {
  struct ep *ep;
  uint8_t *out;
  size_t out_n, sent, acked;
  bool fin_sent;
  size_t received;
  bool fin, reset, stopped, closed;
  uint64_t code;
  uint64_t hash;
};

static uint8_t pattern[BIG];
static bool in_op; /* events must not come while it is set */

static void on_data(struct stream *s, struct slice data, bool fin)
{
  struct flow *f = s->user;
  assert_false(in_op);
  assert_false(f->fin);
  for (size_t i = 0; i < data.n; i++)
    assert_int_equal(data.p[i], pattern[f->received + i]);
  f->received += data.n;
  f->fin = fin;
  if (!f->ep->hold)
    stream_extend(s, data.n);
}

static void on_reset(struct stream *s, uint64_t code)
{
  struct flow *f = s->user;
  assert_false(in_op);
  f->reset = true;
  f->code = code;
}

static void on_stopped(struct stream *s, uint64_t code)
{
  struct flow *f = s->user;
  assert_false(in_op);
  f->stopped = true;
  f->code = code;
}

/* Two iovecs, so that a segment may end inside either. */
static size_t on_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct flow *f = s->user;
  size_t left = f->out_n - f->sent, first = left / 2;
  *ret_fin = true;
  if (left == 0)
    return 0;
  iov[0] = (struct iovec){f->out + f->sent, first};
  iov[1] = (struct iovec){f->out + f->sent + first, left - first};
  return 2;
}

static void on_sent(struct stream *s, size_t n, bool fin)
{
  struct flow *f = s->user;
  f->sent += n;
  f->fin_sent = fin;
}

static void on_acked(struct stream *s, size_t n)
{
  struct flow *f = s->user;
  f->acked += n;
  assert_true(f->acked <= f->sent);
}

static void on_stream_closed(struct stream *s)
{
  struct flow *f = s->user;
  assert_false(in_op);
  assert_false(f->closed);
  f->closed = true;
  f->ep->open--;
}

static const struct stream_events stream_events = {on_data, on_reset, on_stopped,      on_pull,
                                                   on_sent, on_acked, on_stream_closed};

static struct flow *flow_new(struct ep *ep, size_t n)
{
  struct flow *f = calloc(1, sizeof *f);
  assert_true(ep->flow_count < STREAMS_MAX);
  f->ep = ep;
  f->out = pattern;
  f->out_n = n;
  ep->flows[ep->flow_count++] = f;
  ep->open++;
  return f;
}

static void on_stream(struct transport *t, struct stream *s)
{
  struct ep *ep = t->user;
  assert_false(in_op);
  s->events = &stream_events;
  s->user = flow_new(ep, 0);
  if (s->bidi)
    stream_wake(s); /* an empty answer: FIN */
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct ep *ep = t->user;
  assert_int_equal(data.n, 5);
  ep->datagrams++;
}

static void on_streams(struct transport *t, bool bidi)
{
  struct ep *ep = t->user;
  ep->on_streams++;
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct ep *ep = t->user;
  assert_false(in_op);
  assert_false(ep->closed);
  assert_int_equal(ep->open, 0);
  ep->closed = true;
  ep->by_peer = by_peer;
  ep->code = code;
  snprintf(ep->reason, sizeof ep->reason, "%.*s", SLICE_FMT(reason));
}

static const struct transport_events transport_events = {on_stream, on_datagram, on_streams, on_closed};

struct fixture {
  struct worker w;
  struct mem_pair *pair;
  struct ep c, s;
};

static void up(struct fixture *f, const struct mem_config *config)
{
  *f = (struct fixture){0};
  for (size_t i = 0; i < BIG; i++)
    pattern[i] = (uint8_t)(i * 7 + i / 256);
  sim_init(&f->w);
  f->pair = mem_pair_new(&f->w.timers, &f->w.now, config);
  f->c.t = mem_client(f->pair);
  f->s.t = mem_server(f->pair);
  f->c.t->events = f->s.t->events = &transport_events;
  f->c.t->user = &f->c;
  f->s.t->user = &f->s;
}

static void down(struct fixture *f)
{
  mem_pair_free(f->pair);
  assert_true(f->c.closed && f->s.closed);
  for (size_t i = 0; i < STREAMS_MAX; i++) {
    free(f->c.flows[i]);
    free(f->s.flows[i]);
  }
}

static struct flow *open_flow(struct ep *ep, bool bidi, size_t n, uint64_t order, struct stream **ret_s)
{
  struct flow *f = flow_new(ep, n);
  struct stream *s;
  in_op = true;
  assert_int_equal(transport_open(ep->t, bidi, &stream_events, f, (struct send_order){order, 0}, &s), 0);
  stream_wake(s);
  in_op = false;
  if (ret_s)
    *ret_s = s;
  return f;
}

static void every_byte_arrives(void **state)
{
  for (uint64_t seed = 1; seed <= 50; seed++) {
    struct mem_config c = mem_config_default();
    c.seed = seed;
    c.jitter_ns = seed % 2 ? 3 * NS_PER_MS : 0;
    c.stream_window = 5000;
    c.window = 12000;
    c.send_window = seed % 3 ? 20000 : 0;
    c.rate = seed % 5 ? 0 : 1000000;
    struct fixture f;
    up(&f, &c);
    for (int i = 0; i < 8; i++)
      open_flow(i % 2 ? &f.c : &f.s, i % 3 == 0, (size_t)(i * 10007) % BIG, (uint64_t)i, NULL);
    sim_run(&f.w, 60 * NS_PER_S);
    assert_int_equal(f.c.open + f.s.open, 0);
    assert_int_equal(f.c.flow_count + f.s.flow_count, 16);
    for (size_t i = 0; i < f.c.flow_count; i++)
      assert_true(f.c.flows[i]->closed && f.c.flows[i]->acked == f.c.flows[i]->out_n);
    down(&f);
  }
}

static void a_window_holds_the_sender(void **state)
{
  struct mem_config c = mem_config_default();
  c.stream_window = 3000;
  struct fixture f;
  up(&f, &c);
  f.s.hold = true;
  struct flow *out = open_flow(&f.c, false, BIG, 1, NULL);
  sim_run(&f.w, NS_PER_S);
  assert_int_equal(out->sent, 3000);
  assert_int_equal(out->acked, 3000);
  assert_false(out->closed);
  down(&f);
}

static void the_connection_window_is_shared(void **state)
{
  struct mem_config c = mem_config_default();
  c.window = 3000;
  struct fixture f;
  up(&f, &c);
  f.s.hold = true;
  struct flow *a = open_flow(&f.c, false, 2000, 1, NULL);
  struct flow *b = open_flow(&f.c, false, 2000, 2, NULL);
  sim_run(&f.w, NS_PER_S);
  assert_int_equal(a->sent, 2000);
  assert_int_equal(b->sent, 2000); /* a is closed, its window came back */
  assert_true(a->closed);
  down(&f);
}

static void lower_order_goes_first(void **state)
{
  struct mem_config c = mem_config_default();
  c.rate = 100000;
  struct fixture f;
  up(&f, &c);
  struct flow *late = open_flow(&f.c, false, 50000, 9, NULL);
  struct flow *early = open_flow(&f.c, false, 50000, 1, NULL);
  sim_run(&f.w, 400 * NS_PER_MS);
  assert_true(early->sent > 30000);
  assert_int_equal(late->sent, 0);
  down(&f);
}

static void stream_limit(void **state)
{
  struct mem_config c = mem_config_default();
  c.streams_uni = 2;
  struct fixture f;
  up(&f, &c);
  struct flow *a = open_flow(&f.c, false, 10, 1, NULL);
  open_flow(&f.c, false, 10, 1, NULL);
  struct stream *s = NULL;
  assert_int_equal(transport_open(f.c.t, false, &stream_events, a, ORDER_CONTROL, &s), -EAGAIN);
  assert_null(s);
  sim_run(&f.w, NS_PER_S);
  assert_int_equal(f.c.on_streams, 2);
  open_flow(&f.c, false, 10, 1, NULL);
  down(&f);
}

static void reset_and_stop(void **state)
{
  struct mem_config c = mem_config_default();
  c.rate = 1000000;
  struct fixture f;
  up(&f, &c);
  struct stream *a, *b;
  struct flow *fa = open_flow(&f.c, false, BIG, 1, &a);
  sim_run(&f.w, 10 * NS_PER_MS);
  in_op = true;
  stream_reset(a, 54);
  stream_reset(a, 55);
  in_op = false;
  sim_run(&f.w, 10 * NS_PER_MS);
  assert_true(f.s.flows[0]->reset && f.s.flows[0]->closed && fa->closed);
  assert_int_equal(f.s.flows[0]->code, 54);
  assert_false(f.s.flows[0]->fin);

  struct flow *fb = open_flow(&f.c, true, BIG, 1, &b);
  stream_stop(b, 51);
  sim_run(&f.w, 10 * NS_PER_MS);
  assert_false(fb->fin || fb->closed);
  assert_true(f.s.flows[1]->stopped || f.s.flows[1]->fin_sent);
  sim_run(&f.w, NS_PER_S);
  assert_true(fb->closed && f.s.flows[1]->closed && f.s.flows[1]->fin);
  down(&f);
}

/* A receiver that stops after the first bytes. */
static void stop_at_once(struct stream *s, struct slice data, bool fin)
{
  struct flow *f = s->user;
  assert_false(f->received > 0); /* no data after a stop */
  f->received += data.n;
  in_op = true;
  stream_stop(s, 51);
  in_op = false;
}

static void on_stream_stopping(struct transport *t, struct stream *s)
{
  static const struct stream_events events = {stop_at_once, on_reset, on_stopped,      on_pull,
                                              on_sent,      on_acked, on_stream_closed};
  on_stream(t, s);
  s->events = &events;
}

static void a_stop_makes_the_sender_reset(void **state)
{
  static const struct transport_events stopping = {on_stream_stopping, on_datagram, on_streams, on_closed};
  struct mem_config c = mem_config_default();
  c.rate = 1000000;
  struct fixture f;
  up(&f, &c);
  f.s.t->events = &stopping;
  struct flow *a = open_flow(&f.c, false, BIG, 1, NULL);
  sim_run(&f.w, NS_PER_S);
  assert_true(a->stopped && a->closed && !a->fin_sent);
  assert_int_equal(a->code, 51);
  assert_true(f.s.flows[0]->closed && !f.s.flows[0]->reset);
  down(&f);
}

static void death_is_noticed_late(void **state)
{
  struct mem_config c = mem_config_default();
  c.rate = 1000000;
  struct fixture f;
  up(&f, &c);
  struct flow *fa = open_flow(&f.s, true, BIG, 1, NULL);
  sim_run(&f.w, 10 * NS_PER_MS);
  assert_int_equal(f.c.flow_count, 1);
  assert_int_equal(mem_streams(f.c.t), 1);
  mem_kill(f.pair);
  sim_run(&f.w, 9 * NS_PER_S);
  assert_false(f.c.closed || f.s.closed);
  sim_run(&f.w, 2 * NS_PER_S);
  assert_true(f.c.closed && f.s.closed && fa->closed);
  assert_true(f.c.code == TRANSPORT_NO_CODE && !f.c.by_peer);
  assert_null(mem_client(f.pair));
  down(&f);
}

static void close_reaches_both(void **state)
{
  struct mem_config c = mem_config_default();
  struct fixture f;
  up(&f, &c);
  struct flow *a = open_flow(&f.c, true, 10, 1, NULL);
  sim_run(&f.w, NS_PER_MS / 2);
  in_op = true;
  transport_close(f.c.t, 9, "bye");
  transport_close(f.c.t, 10, "again");
  struct stream *s;
  assert_int_equal(transport_open(f.c.t, false, &stream_events, a, ORDER_CONTROL, &s), -ENOTCONN);
  in_op = false;
  sim_run(&f.w, NS_PER_S);
  assert_true(f.c.closed && !f.c.by_peer && f.c.code == 9);
  assert_true(f.s.closed && f.s.by_peer && f.s.code == 9);
  assert_string_equal(f.s.reason, "bye");
  assert_int_equal(f.s.flow_count, 1); /* what was in flight arrived before it */
  down(&f);
}

static void datagrams_get_lost(void **state)
{
  struct mem_config c = mem_config_default();
  c.datagram_loss = 300;
  struct fixture f;
  up(&f, &c);
  struct iovec iov[2] = {{pattern, 2}, {pattern + 2, 3}};
  for (int i = 0; i < 1000; i++)
    assert_int_equal(f.c.t->ops->send_datagram(f.c.t, iov, 2), 0);
  iov[0].iov_len = 1200;
  assert_int_equal(f.c.t->ops->send_datagram(f.c.t, iov, 2), -EMSGSIZE);
  sim_run(&f.w, NS_PER_S);
  assert_in_range(f.s.datagrams, 600, 800);
  down(&f);
}

static void a_pause_loses_nothing(void **state)
{
  struct mem_config c = mem_config_default();
  struct fixture f;
  up(&f, &c);
  struct flow *a = open_flow(&f.c, false, BIG, 1, NULL);
  sim_run(&f.w, NS_PER_MS);
  mem_pause(f.pair, true);
  sim_run(&f.w, 5 * NS_PER_S);
  assert_false(a->closed);
  mem_pause(f.pair, false);
  sim_run(&f.w, NS_PER_S);
  assert_true(a->closed && f.s.flows[0]->fin && f.s.flows[0]->received == BIG);
  down(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_byte_arrives),
      cmocka_unit_test(a_window_holds_the_sender),
      cmocka_unit_test(the_connection_window_is_shared),
      cmocka_unit_test(lower_order_goes_first),
      cmocka_unit_test(stream_limit),
      cmocka_unit_test(reset_and_stop),
      cmocka_unit_test(a_stop_makes_the_sender_reset),
      cmocka_unit_test(death_is_noticed_late),
      cmocka_unit_test(close_reaches_both),
      cmocka_unit_test(datagrams_get_lost),
      cmocka_unit_test(a_pause_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
