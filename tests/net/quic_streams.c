/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams and datagrams on a connection that is up. */
#include "net/quic_impl.h"
#include "quic_pair.h"
#include <errno.h>

static const char *const lite06[] = {"moq-lite-06", NULL};

static void expect_echo(struct pair *p, uint64_t bytes)
{
  struct flow f = {.pull_max = 5000, .hold = 100000};
  p->server.echo = true;
  p->server.hold = 300000;
  pair_connect(p);
  flow_open(&f, &p->client, true, bytes, true);
  RUN_UNTIL(p, f.closed && p->server.flows[0].closed);
  assert_int_equal(f.received, bytes);
  assert_int_equal(f.acked, bytes);
  assert_true(f.fin_received);
  assert_false(f.was_reset || f.was_stopped);
}

static void echo_20_mb(void **state)
{
  struct pair p;
  (void)state;
  pair_init(&p);
  expect_echo(&p, 20 << 20);
  assert_true(p.client.ep->udp->stats.sends < p.client.ep->udp->stats.sent_packets / 2); /* trains */
  pair_destroy(&p);
}

static void echo_with(enum quic_congestion congestion, bool gso, bool mtu_discovery)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  pair_init(&p);
  limits.congestion = congestion;
  limits.gso = gso;
  limits.mtu_discovery = mtu_discovery;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  expect_echo(&p, 4 << 20);
  if (!gso)
    assert_int_equal(p.client.ep->udp->stats.sends, p.client.ep->udp->stats.sent_packets);
  pair_destroy(&p);
}

static void echo_otherwise(void **state)
{
  (void)state;
  echo_with(QUIC_BBR, true, true);
  echo_with(QUIC_RENO, true, true);
  echo_with(QUIC_CUBIC, false, true);
  echo_with(QUIC_CUBIC, true, false);
}

static void empty_stream(void **state)
{
  struct pair p;
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&f, &p.client, false, 0, true);
  RUN_UNTIL(&p, f.closed && p.server.flows[0].closed);
  assert_true(f.fin_sent && p.server.flows[0].fin_received);
  pair_destroy(&p);
}

static void count_closed(struct stream *s)
{
  size_t *closed = s->user;
  (*closed)++;
}

static size_t pull_word(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  static uint8_t word[4] = {0, 31, 62, 93};
  (void)s, (void)max;
  iov[0] = (struct iovec){word, sizeof word};
  *ret_fin = true;
  return 1;
}

static void sent_nothing(struct stream *s, size_t n, bool fin)
{
  (void)s, (void)n, (void)fin;
}

static void no_code(struct stream *s, uint64_t code)
{
  (void)s, (void)code;
}

static const struct stream_events word_events = {
    .pull = pull_word, .sent = sent_nothing, .closed = count_closed, .stopped = no_code};

static void many_short_streams(void **state)
{
  enum { STREAMS = 2000, AT_ONCE = 100 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  size_t opened = 0, closed = 0, blocked = 0;
  (void)state;
  pair_init(&p);
  limits.streams_uni = AT_ONCE;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_connect(&p);
  while (opened < STREAMS) {
    struct stream *s;
    int rc = transport_open(p.client.t, false, &word_events, &closed, (struct send_order){1, opened}, &s);
    if (rc == 0) {
      stream_wake(s);
      opened++;
      continue;
    }
    assert_int_equal(rc, -EAGAIN);
    assert_true(opened - p.server.streams_closed <= AT_ONCE);
    blocked++;
    size_t allowed = p.client.streams_allowed;
    RUN_UNTIL(&p, p.client.streams_allowed > allowed);
  }
  RUN_UNTIL(&p, closed == STREAMS && p.server.streams_closed == STREAMS);
  assert_true(blocked > 0);
  assert_int_equal(p.server.bytes, STREAMS * 4);
  assert_true(list_empty(&QUIC_CONN(p.client.t)->streams) && list_empty(&QUIC_CONN(p.server.t)->streams));
  pair_destroy(&p);
}

static void reset_and_stop(bool bidi)
{
  struct pair p;
  struct flow f = {0};
  pair_init(&p);
  p.server.stop_with = 0x33;
  p.server.reset_with = bidi ? 0x36 : 0;
  pair_connect(&p);
  flow_open(&f, &p.client, bidi, 5000, false);
  RUN_UNTIL(&p, f.was_stopped && (!bidi || f.was_reset) && f.closed);
  if (bidi)
    assert_int_equal(f.reset_code, 0x36);
  else
    assert_int_equal(f.stop_code, 0x33);
  RUN_UNTIL(&p, p.server.flows[0].closed);
  pair_destroy(&p);
}

static void stopped_by_the_peer(void **state)
{
  (void)state;
  reset_and_stop(false);
  reset_and_stop(true);
}

/* Nothing of ours is waiting to go, so only the watch over idle streams can tell. */
static void stopped_while_idle(void **state)
{
  struct pair p;
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&f, &p.client, true, 5000, false);
  RUN_UNTIL(&p, p.server.flows[0].received == 5000);
  stream_stop(p.server.flows[0].s, 5);
  RUN_UNTIL(&p, f.was_stopped);
  assert_false(f.closed); /* their direction is open */
  stream_reset(p.server.flows[0].s, 6);
  RUN_UNTIL(&p, f.closed && p.server.flows[0].closed);
  assert_int_equal(f.reset_code, 6);
  pair_destroy(&p);
}

static void reset_by_the_sender(void **state)
{
  struct pair p;
  struct flow f = {0}, g = {0};
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&f, &p.client, false, 5000, false);
  flow_open(&g, &p.client, false, 5000, false);
  RUN_UNTIL(&p, p.server.bytes == 10000);
  stream_reset(f.s, 0x35);
  quic_stream_reset_raw(g.s, 0x10c);
  RUN_UNTIL(&p, p.server.flows[0].was_reset && p.server.flows[1].was_reset && f.closed && g.closed);
  assert_int_equal(p.server.flows[0].reset_code, 0x35);
  assert_int_equal(p.server.flows[1].reset_code, 0x10c); /* plain codes are taken too */
  assert_true(p.server.flows[0].closed && !f.was_stopped);
  pair_destroy(&p);
}

/* A receiver that gives no credit stops its sender at the stream's window, and only that one; what
 * it never gave back returns to the connection with the stream. */
static void credit(void **state)
{
  enum { WINDOW = 50000 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  limits.window = limits.window_max = 4 * WINDOW;
  limits.stream_window = limits.stream_window_max = WINDOW;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  p.server.hold = SIZE_MAX;
  pair_connect(&p);
  for (int round = 0; round < 3; round++) {
    struct flow slow = {0}, quick = {0};
    size_t at = p.server.opened;
    flow_open(&slow, &p.client, false, 10 * WINDOW, true);
    RUN_UNTIL(&p, p.server.opened > at && p.server.flows[at].received == WINDOW);
    flow_open(&quick, &p.client, false, WINDOW / 2, true);
    RUN_UNTIL(&p, quick.closed);
    assert_int_equal(p.server.flows[at].received, WINDOW);
    stream_reset(slow.s, 1);
    RUN_UNTIL(&p, slow.closed && p.server.flows[at].closed);
  }
  pair_destroy(&p);
}

/* The same when the stream ends in good order. */
static void credit_of_whole_streams(void **state)
{
  enum { WINDOW = 50000, ROUNDS = 7 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  limits.window = limits.window_max = 2 * WINDOW;
  limits.stream_window = limits.stream_window_max = WINDOW;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  p.server.hold = SIZE_MAX;
  pair_connect(&p);
  for (int round = 0; round < ROUNDS; round++) {
    struct flow f = {0};
    flow_open(&f, &p.client, false, WINDOW, true);
    RUN_UNTIL(&p, f.closed && p.server.flows[round].closed);
    assert_int_equal(p.server.flows[round].received, WINDOW);
  }
  pair_destroy(&p);
}

/* A stream that its window has stopped goes on when there is credit, also when all of it comes at
 * once. */
static void credit_late(void **state)
{
  enum { WINDOW = 50000 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  limits.stream_window = limits.stream_window_max = WINDOW;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  p.server.hold = WINDOW;
  pair_connect(&p);
  flow_open(&f, &p.client, false, 20 * WINDOW, true);
  RUN_UNTIL(&p, f.closed);
  pair_destroy(&p);
}

/* The window that an operator sets on what may be unacknowledged. */
static void send_window(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  limits.send_window = 20000;
  pair_client(&p, &limits);
  pair_connect(&p);
  flow_open(&f, &p.client, false, 1 << 20, true);
  for (int i = 0; i < 100000 && !f.closed; i++) {
    assert_true(f.sent - f.acked <= limits.send_window + QUIC_PAYLOAD_MAX);
    pair_turn(&p);
  }
  assert_true(f.closed);
  assert_int_equal(QUIC_CONN(p.client.t)->unacked, 0);
  pair_destroy(&p);
}

static uint64_t spread(const struct flow *f, size_t n)
{
  uint64_t least = UINT64_MAX, most = 0;
  for (size_t i = 0; i < n; i++) {
    least = f[i].sent < least ? f[i].sent : least;
    most = f[i].sent > most ? f[i].sent : most;
  }
  return most - least;
}

static void order(void **state)
{
  enum { BYTES = 300000, EQUALS = 5 };
  struct pair p;
  struct flow late = {.order = 9}, early[EQUALS] = {0};
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&late, &p.client, false, BYTES, true);
  for (size_t i = 0; i < EQUALS; i++) {
    early[i].order = 1;
    flow_open(&early[i], &p.client, false, BYTES, true);
  }
  while (!early[0].fin_sent) {
    assert_int_equal(late.sent, 0);
    assert_true(spread(early, EQUALS) <= 2 * QUIC_PAYLOAD_MAX); /* equals take turns */
    pair_turn(&p);
  }
  stream_set_order(late.s, ORDER_CONTROL);
  RUN_UNTIL(&p, late.closed);
  for (size_t i = 0; i < EQUALS; i++)
    RUN_UNTIL(&p, early[i].closed);
  pair_destroy(&p);
}

/* limits.egress: a second's worth takes a second, what is urgent goes first, control streams do not wait. */
static void egress(void **state)
{
  enum { RATE = 100000 };
  struct pair p;
  struct limits counts = {0};
  struct quic_limits limits = pair_limits();
  struct flow bulk = {.order = 9}, urgent = {.order = 1}, control = {0};
  (void)state;
  pair_init_sim(&p, 7);
  limits.egress = RATE;
  pair_client(&p, &limits);
  p.client.ep->config.counts = &counts;
  pair_connect(&p);
  uint64_t begun = p.worker.now;
  flow_open(&bulk, &p.client, false, RATE, true);
  RUN_UNTIL(&p, bulk.sent > RATE / 4);
  assert_true(bulk.sent < RATE / 2);
  assert_true(counts.hits[LIMIT_EGRESS] > 0);
  flow_open(&urgent, &p.client, false, RATE / 2, true);
  uint64_t before = bulk.sent, asked = p.worker.now;
  flow_open(&control, &p.client, false, 100, true);
  stream_set_order(control.s, ORDER_CONTROL);
  RUN_UNTIL(&p, control.fin_sent);
  assert_int_equal(p.worker.now, asked);
  RUN_UNTIL(&p, urgent.fin_sent);
  assert_true(bulk.sent - before < 2 * QUIC_PAYLOAD_MAX);
  RUN_UNTIL(&p, bulk.fin_sent);
  assert_in_range(p.worker.now - begun, 14 * NS_PER_S / 10, 17 * NS_PER_S / 10);
  RUN_UNTIL(&p, bulk.closed && urgent.closed && control.closed);
  pair_destroy(&p);
}

/* limits.connection_bytes ends the connection, also when it is reached by what we ask for, not by what the peer sends. */
static void memory(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  size_t closed = 0;
  int rc = 0;
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  limits.connection_bytes = 200000;
  pair_client(&p, &limits);
  pair_connect(&p);
  for (int i = 0; i < 10000 && rc == 0; i++) {
    struct stream *s;
    rc = transport_open(p.client.t, false, &word_events, &closed, (struct send_order){1, 0}, &s);
  }
  assert_int_equal(rc, -ENOMEM);
  RUN_UNTIL(&p, p.client.closed && p.server.closed);
  assert_string_equal(p.client.text, "over limits.connection_bytes");
  pair_destroy(&p);
}

static void prefix(void **state)
{
  static const uint8_t bytes[] = {0, 31, 62};
  struct pair p;
  struct flow f = {0};
  struct stream *s;
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  f.side = &p.client;
  assert_int_equal(transport_open(p.client.t, false, &flow_events, &f, ORDER_CONTROL, &s), 0);
  f.s = s;
  quic_stream_set_prefix(s, slice_of(bytes, sizeof bytes));
  RUN_UNTIL(&p, p.server.flows[0].received == 3); /* goes without data too */
  assert_int_equal(f.sent, 0);
  p.server.flows[0].received = 0; /* the pattern begins again */
  f.to_send = 100;
  f.fin = true;
  stream_wake(s);
  RUN_UNTIL(&p, f.closed);
  assert_int_equal(f.sent, 100);
  assert_int_equal(f.acked, 100);
  assert_int_equal(p.server.flows[0].received, 100);
  pair_destroy(&p);
}

static void datagrams(void **state)
{
  struct pair p;
  uint8_t data[2000];
  (void)state;
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = pattern(i);
  pair_init(&p);
  pair_connect(&p);
  struct transport *t = p.client.t;
  size_t max = t->ops->max_datagram(t);
  assert_true(max > 1100 && max < 1452);
  struct iovec iov[2] = {{data, 10}, {data + 10, max - 10}};
  assert_int_equal(t->ops->send_datagram(t, iov, 2), 0);
  assert_int_equal(t->ops->send_datagram(t, iov, 1), 0);
  iov[1].iov_len++;
  assert_int_equal(t->ops->send_datagram(t, iov, 2), -EMSGSIZE);
  iov[0].iov_len = 0;
  assert_int_equal(t->ops->send_datagram(t, iov, 1), -EMSGSIZE);
  RUN_UNTIL(&p, p.server.datagrams == 2);
  assert_int_equal(p.server.datagram_bytes, max + 10);
  iov[0].iov_len = 100;
  for (int i = 0; i < 1000; i++) /* more than are kept: the rest is dropped */
    assert_int_equal(t->ops->send_datagram(t, iov, 1), 0);
  assert_int_equal(QUIC_CONN(t)->datagram_count, 64);
  RUN_UNTIL(&p, p.server.datagrams == 2 + 64);
  pair_destroy(&p);
}

static void stats(void **state)
{
  struct pair p;
  struct transport_stats st;
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&f, &p.client, false, 100000, true);
  RUN_UNTIL(&p, f.closed);
  p.client.t->ops->stats(p.client.t, &st);
  assert_true(st.rtt_ns > 0 && st.bitrate > 0 && st.bytes_sent > 100000 && st.bytes_received > 0);
  pair_destroy(&p);
}

/* Ops on what is already closing are quiet, and a freed endpoint tells everybody. */
static void closing_with_streams(void **state)
{
  struct pair p;
  struct flow f = {0}, g = {0};
  struct stream *s;
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&f, &p.client, true, 100000, false);
  RUN_UNTIL(&p, p.server.opened == 1);
  flow_open(&g, &p.server, false, 100, false);
  transport_close(p.client.t, 1, "bye");
  assert_int_equal(transport_open(p.client.t, true, &flow_events, &f, ORDER_CONTROL, &s), -ENOTCONN);
  stream_reset(f.s, 1);
  stream_wake(f.s);
  assert_false(f.closed);
  quic_endpoint_free(p.client.ep);
  p.client.ep = NULL;
  assert_true(f.closed && p.client.closed);
  RUN_UNTIL(&p, p.server.closed);
  assert_true(g.closed && p.server.flows[0].closed);
  assert_string_equal(p.server.text, "bye");
  pair_destroy(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(echo_20_mb),
      cmocka_unit_test(echo_otherwise),
      cmocka_unit_test(empty_stream),
      cmocka_unit_test(many_short_streams),
      cmocka_unit_test(stopped_by_the_peer),
      cmocka_unit_test(stopped_while_idle),
      cmocka_unit_test(reset_by_the_sender),
      cmocka_unit_test(credit),
      cmocka_unit_test(credit_of_whole_streams),
      cmocka_unit_test(credit_late),
      cmocka_unit_test(send_window),
      cmocka_unit_test(order),
      cmocka_unit_test(egress),
      cmocka_unit_test(memory),
      cmocka_unit_test(prefix),
      cmocka_unit_test(datagrams),
      cmocka_unit_test(stats),
      cmocka_unit_test(closing_with_streams),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
