/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whole lives of connections in virtual time, on networks and with limits that a seed chooses.
 * Whatever happens on the way: bytes that arrive are right, streams that nobody breaks off arrive
 * whole, every stream and connection ends once, and nothing is left behind.
 *
 * test-quic_sim [first seed [count]] */
#include "net/quic_impl.h"
#include "quic_pair.h"
#include <stdio.h>

#define SEEDS 60
#define FLOWS_MAX STREAMS_KEPT
#define BYTES_MAX 300000
#define TURNS_PER_PACKET 10
#define TURNS_SPARE 10000

static uint64_t first_seed = 1, seeds = SEEDS;

static const char *const lite06[] = {"moq-lite-06", NULL};

struct world {
  struct pair p;
  uint64_t seed;
  struct rng rng;
  struct quic_limits limits;
  struct flow flows[FLOWS_MAX];
  bool cut[FLOWS_MAX]; /* broken off on purpose */
  size_t count;
  uint16_t port;
};

static uint64_t below(struct world *w, uint64_t n)
{
  return rng_below(&w->rng, n);
}

static void choose_network(struct world *w)
{
  struct sim_net *n = &w->p.net;
  n->delay_ns = below(w, 100) * NS_PER_MS;
  n->jitter_ns = below(w, 3) ? 0 : 1 + below(w, 20 * NS_PER_MS);
  n->loss = (unsigned)(below(w, 2) ? 0 : below(w, 50));
  n->twice = (unsigned)(below(w, 3) ? 0 : below(w, 20));
  n->rate = below(w, 2) ? 0 : 100000 + below(w, 5000000);
  n->queue_ns = 50 * NS_PER_MS + below(w, 200 * NS_PER_MS);
  n->mtu = below(w, 2) ? 0 : 1200 + below(w, 300);
}

static void choose_limits(struct world *w)
{
  struct quic_limits *l = &w->limits;
  *l = pair_limits();
  l->window = l->window_max = 20000 + below(w, 500000);
  l->stream_window = l->stream_window_max = 5000 + below(w, 200000);
  l->congestion = below(w, 4) ? QUIC_CUBIC : QUIC_RENO;
  l->handshakes_retry = below(w, 2) ? 0 : 100;
  l->mtu_discovery = below(w, 4) > 0;
  l->send_window = below(w, 3) ? 0 : 10000 + below(w, 100000);
  l->idle_timeout_ns = 60 * NS_PER_S; /* retransmission backs off far on the worst of these networks */
  l->handshake_timeout_ns = 60 * NS_PER_S;
}

/* Credit that is held back must leave every stream, and all of them together, something to go on
 * with. */
static size_t choose_hold(struct world *w)
{
  uint64_t stream = w->limits.stream_window / 2, all = w->limits.window / (2 * FLOWS_MAX);
  return below(w, stream < all ? stream : all);
}

static void open_flow(struct world *w, size_t i)
{
  struct flow *f = &w->flows[i];
  bool bidi = below(w, 2);
  *f = (struct flow){.order = below(w, 3), .pull_max = below(w, 2) ? 0 : 1 + below(w, 5000)};
  f->hold = choose_hold(w);
  flow_open(f, &w->p.client, bidi, below(w, BYTES_MAX), true);
}

static const struct flow *served(const struct world *w, const struct flow *f)
{
  for (size_t i = 0; i < w->p.server.opened && i < STREAMS_KEPT; i++) {
    if (w->p.server.flows[i].id == f->id)
      return &w->p.server.flows[i];
  }
  return NULL;
}

static void datagram(struct world *w)
{
  uint8_t data[1000];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = pattern(i);
  struct iovec iov = {data, 1 + below(w, sizeof data)};
  struct transport *t = w->p.client.t;
  t->ops->send_datagram(t, &iov, 1);
}

/* One thing out of the ordinary. */
static void disturb(struct world *w)
{
  size_t i = below(w, w->count);
  struct flow *f = &w->flows[i];
  const struct flow *s = served(w, f);
  switch (below(w, 7)) {
  case 0:
    if (f->s)
      stream_reset(f->s, below(w, 100));
    w->cut[i] = true;
    break;
  case 1:
    if (s && s->s) {
      stream_stop(s->s, below(w, 100));
      stream_reset(s->s, below(w, 100)); /* an echo of half a stream has no end of its own */
    }
    w->cut[i] = true;
    break;
  case 2:
    sim_udp_move(w->p.client.ep->udp, ++w->port);
    break;
  case 3:
    ngtcp2_conn_initiate_key_update(QUIC_CONN(w->p.client.t)->ng, w->p.worker.now);
    break;
  case 4:
    if (f->s)
      stream_set_order(f->s, (struct send_order){below(w, 2), below(w, 5)});
    break;
  default:
    datagram(w);
  }
}

static bool all_closed(const struct world *w)
{
  for (size_t i = 0; i < w->count; i++) {
    if (!w->flows[i].closed)
      return false;
  }
  return true;
}

static void check_flow(struct world *w, size_t i)
{
  const struct flow *f = &w->flows[i], *s = served(w, f);
  if (w->cut[i])
    return;
  assert_non_null(s);
  assert_true(s->fin_received && s->received == f->to_send && f->acked == f->to_send);
  assert_false(f->was_reset || f->was_stopped || s->was_reset || s->was_stopped);
  if ((f->id & 2) == 0) /* bidirectional: came back */
    assert_true(f->fin_received && f->received == f->to_send);
}

static void end(struct world *w)
{
  struct pair *p = &w->p;
  bool by_client = below(w, 2);
  uint64_t code = below(w, 1000);
  transport_close(by_client ? p->client.t : p->server.t, code, "that was it");
  RUN_UNTIL(p, p->client.closed && p->server.closed);
  struct side *told = by_client ? &p->server : &p->client;
  /* The word may be lost together with every repetition; then the timeout ends it. */
  assert_true(told->close_code == code || told->close_code == TRANSPORT_NO_CODE);
  RUN_UNTIL(p, p->client.ep->closing_count == 0 && p->server.ep->closing_count == 0);
  assert_int_equal(p->client.ep->names.count, 0);
  assert_int_equal(p->server.ep->names.count, 0);
  assert_int_equal(p->server.opened, p->server.streams_closed);
  assert_int_equal(quic_endpoint_connections(p->server.ep), 0);
}

static void describe(const struct world *w)
{
  const struct sim_net *n = &w->p.net;
  print_message("delay %llu ms, jitter %llu us, rate %llu, loss %u, mtu %zu, window %llu/%llu, send window "
                "%llu\n",
                (unsigned long long)(n->delay_ns / NS_PER_MS), (unsigned long long)(n->jitter_ns / 1000),
                (unsigned long long)n->rate, n->loss, n->mtu, (unsigned long long)w->limits.window,
                (unsigned long long)w->limits.stream_window, (unsigned long long)w->limits.send_window);
  print_message("client %s, server %s\n", w->p.client.closed ? w->p.client.text : "up",
                w->p.server.closed ? w->p.server.text : "up");
  for (size_t i = 0; i < w->count; i++) {
    const struct flow *f = &w->flows[i], *s = served(w, f);
    print_message("stream %llu%s: sent %llu of %llu, acked %llu, back %llu; server got %llu, sent %llu%s\n",
                  (unsigned long long)f->id, w->cut[i] ? " (cut)" : "", (unsigned long long)f->sent,
                  (unsigned long long)f->to_send, (unsigned long long)f->acked, (unsigned long long)f->received,
                  s ? (unsigned long long)s->received : 0, s ? (unsigned long long)s->sent : 0,
                  f->closed ? ", closed" : "");
  }
}

/* Turns are for packets and timers; many more of them mean that something asks for a turn and has
 * nothing to do in it. */
static bool idles(const struct pair *p)
{
  return p->turns > TURNS_PER_PACKET * (p->net.delivered + p->net.lost) + TURNS_SPARE;
}

static void run_flows(struct world *w, size_t disturbances)
{
  struct pair *p = &w->p;
  uint64_t next = p->worker.now, until = next + pair_bound(p);
  while (!all_closed(w)) {
    if (disturbances > 0 && p->worker.now >= next && p->client.t) {
      disturb(w);
      disturbances--;
      next += below(w, NS_PER_S);
    }
    if (p->worker.now > until || p->client.closed || idles(p)) {
      describe(w);
      fail_msg("the streams did not end");
    }
    pair_turn(p);
  }
}

static void live(struct world *w)
{
  struct pair *p = &w->p;
  p->server.echo = true;
  p->server.hold = choose_hold(w);
  pair_dial(p, NULL, lite06, NULL);
  if (p->client.failed)
    fail_msg("dial: %s", p->client.text);
  RUN_UNTIL(p, p->server.t);
  w->count = 1 + below(w, FLOWS_MAX);
  for (size_t i = 0; i < w->count; i++)
    open_flow(w, i);
  run_flows(w, below(w, 2) ? 0 : below(w, 10));
  if (p->client.closed)
    fail_msg("connection over: %s", p->client.text);
  for (size_t i = 0; i < w->count; i++)
    check_flow(w, i);
  end(w);
}

static void one_world(uint64_t seed)
{
  struct world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->seed = seed;
  w->rng = rng_seeded(&w->seed);
  w->port = 6000;
  pair_init_sim(&w->p, seed + 1000000);
  choose_network(w);
  choose_limits(w);
  pair_server(&w->p, &w->limits, lite06, NULL);
  pair_client(&w->p, &w->limits);
  live(w);
  pair_destroy(&w->p);
  free(w);
}

static void worlds(void **state)
{
  (void)state;
  for (uint64_t i = 0; i < seeds; i++) {
    print_message("seed %llu\n", (unsigned long long)(first_seed + i));
    one_world(first_seed + i);
  }
}

/* One stream at 200 Mbit/s over a path of 80 ms: flow control windows have to grow, pacing must not
 * hold back. */
static void fat_track(void **state)
{
  enum { BYTES = 100 << 20 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  (void)state;
  pair_init_sim(&p, 1);
  p.net.delay_ns = 40 * NS_PER_MS;
  p.net.rate = 35000000;
  p.net.queue_ns = 100 * NS_PER_MS;
  pair_server(&p, &limits, lite06, NULL);
  pair_connect(&p);
  flow_open(&f, &p.client, false, BYTES, true);
  RUN_UNTIL(&p, f.sent >= BYTES / 4); /* the start may be slow */
  uint64_t from = f.sent, begin = p.worker.now;
  RUN_UNTIL(&p, f.closed);
  uint64_t rate = (BYTES - from) * 8 * 1000 / ((p.worker.now - begin) / NS_PER_MS);
  print_message("%llu Mbit/s\n", (unsigned long long)rate / 1000000);
  assert_true(rate > 200000000);
  pair_destroy(&p);
}

/* Streams are stopped when their first bytes are seen, and on a lossy path more of them may be there already. None of it
 * may be missing from the connection's credit afterwards. */
static void stopped_streams_cost_no_credit(void **state)
{
  enum { STREAMS = 200, BYTES = 20000 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init_sim(&p, 1);
  p.net.delay_ns = 10 * NS_PER_MS;
  p.net.loss = 100;
  limits.window = limits.window_max = 5 * BYTES;
  pair_server(&p, &limits, lite06, NULL);
  pair_connect(&p);
  p.server.stop_data_with = 3;
  for (size_t i = 0; i < STREAMS; i++) {
    struct flow f = {0};
    flow_open(&f, &p.client, false, BYTES, true);
    RUN_UNTIL(&p, f.closed && p.server.streams_closed > i);
    p.server.opened = 0; /* the next one is kept as well */
    p.server.flows[0] = (struct flow){0};
  }
  p.server.stop_data_with = 0;
  struct flow last = {0};
  flow_open(&last, &p.client, false, 10 * BYTES, true);
  RUN_UNTIL(&p, last.closed);
  assert_int_equal(last.acked, 10 * BYTES);
  pair_destroy(&p);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(worlds), cmocka_unit_test(fat_track),
                                     cmocka_unit_test(stopped_streams_cost_no_credit)};
  if (argc > 1)
    first_seed = strtoull(argv[1], NULL, 10);
  if (argc > 2)
    seeds = strtoull(argv[2], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
