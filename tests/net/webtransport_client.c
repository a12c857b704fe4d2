/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The client binding: against the server binding, and against raw servers. */
#include "webtransport_peers.h"
#include <stdio.h>

static struct pair p;
static struct mem_config config;
static const char *const protocols[] = {"moq-lite-06", "moq-lite-05", NULL};
static const char *const no_protocols[] = {NULL};

static int setup(void **state)
{
  p.accept = "moq-lite-06";
  p.reject = 0;
  config = mem_config_default();
  return 0;
}

#define BYTES(s) slice_of(s, sizeof s - 1)

static void settle(void)
{
  sim_run(&p.w, 100 * NS_PER_MS);
}

static void a_session(void **state)
{
  pair_dial(&p, &config, protocols);
  settle();
  assert_true(p.up && p.requests == 1);
  assert_string_equal(p.path, "/room?jwt=abc");
  assert_string_equal(p.authority, "localhost:4443");
  assert_string_equal(p.origin, "");
  assert_string_equal(p.protocols, "moq-lite-06 moq-lite-05");
  assert_string_equal(p.client.t->protocol, "moq-lite-06");
  assert_string_equal(p.client.t->path, "/room?jwt=abc");
  assert_string_equal(p.client.t->host, "localhost:4443");
  assert_string_equal(p.client.t->kind, "webtransport");
  pair_down(&p);
}

static void no_version_named(void **state)
{
  p.accept = "";
  pair_dial(&p, &config, no_protocols);
  settle();
  assert_true(p.up);
  assert_string_equal(p.client.t->protocol, "");
  pair_down(&p);
}

/* Streams of both kinds from both ends, with losses of order but not of bytes. */
static void streams_both_ways(uint64_t seed)
{
  static uint8_t bytes[20000];
  config.seed = seed;
  config.jitter_ns = 4 * NS_PER_MS;
  config.segment = seed % 3 ? 1200 : 5;
  config.stream_window = 3000;
  config.streams_uni = 20;
  pair_dial(&p, &config, protocols);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 13);
  sim_run(&p.w, NS_PER_S);
  assert_true(p.up);
  struct slice all = slice_of(bytes, seed % 3 ? sizeof bytes : 500);
  for (int i = 0; i < 16; i++)
    flow_open(i % 2 ? &p.client : &p.server, i % 4 >= 2, all, true);
  sim_run(&p.w, 5 * NS_PER_S);
  for (int e = 0; e < 2; e++) {
    struct ep *ep = e ? &p.client : &p.server;
    assert_int_equal(ep->flow_count, 16);
    for (size_t i = 0; i < 16; i++) {
      struct flow *f = ep->flows[i];
      if (!f->local)
        assert_true(f->fin && slice_eq(buf_slice(&f->in), all));
      if (!f->local && f->bidi)
        flow_send(f, slice_str("answer"), true);
    }
  }
  sim_run(&p.w, NS_PER_S);
  assert_int_equal(p.server.open + p.client.open, 0);
  pair_down(&p);
}

static void streams_in_any_order(void **state)
{
  for (uint64_t seed = 1; seed <= 30; seed++)
    streams_both_ways(seed);
}

static void codes_of_streams(void **state)
{
  pair_dial(&p, &config, protocols);
  settle();
  struct flow *a = flow_open(&p.client, true, slice_str("x"), false);
  settle();
  struct flow *b = flow_of(&p.server, a->id);
  stream_reset(a->s, 30);
  stream_stop(a->s, UINT32_MAX);
  settle();
  assert_true(b->was_reset && b->reset_code == 30 && b->was_stopped && b->stop_code == UINT32_MAX);
  assert_true(a->closed && b->closed);
  pair_down(&p);
}

static void stream_limits(void **state)
{
  config.streams_uni = 3; /* one is the control stream */
  pair_dial(&p, &config, protocols);
  settle();
  flow_open(&p.client, false, slice_str("x"), true);
  flow_open(&p.client, false, slice_str("x"), true);
  struct stream *s;
  assert_true(transport_open(p.client.t, false, NULL, NULL, ORDER_CONTROL, &s) < 0);
  settle();
  assert_int_equal(p.client.on_streams, 2);
  flow_open(&p.client, false, slice_str("x"), true);
  settle();
  assert_int_equal(p.server.flow_count, 3);
  pair_down(&p);
}

static void closing(void **state)
{
  for (int who = 0; who < 2; who++) {
    pair_dial(&p, &config, protocols);
    settle();
    flow_open(&p.client, true, slice_str("x"), false);
    flow_open(&p.server, true, slice_str("x"), false);
    settle();
    struct ep *a = who ? &p.client : &p.server, *b = who ? &p.server : &p.client;
    transport_close(a->t, 31, "done");
    sim_run(&p.w, NS_PER_S);
    assert_true(a->closed && !a->by_peer && a->code == 31);
    assert_true(b->closed && b->by_peer && b->code == 31);
    assert_string_equal(b->reason, "done");
    assert_null(mem_client(p.mem));
    assert_null(mem_server(p.mem));
    pair_down(&p);
  }
}

static void refused_with_a_status(void **state)
{
  p.reject = 401;
  pair_dial(&p, &config, protocols);
  settle();
  assert_true(p.failed && !p.up);
  assert_int_equal(p.failed_status, 401);
  assert_null(mem_client(p.mem)); /* it does not stay around */
  pair_down(&p);
}

static void no_stream_for_the_request_yet(void **state)
{
  config.streams_bidi = 0;
  pair_dial(&p, &config, protocols);
  sim_run(&p.w, WT_CONNECT_NS + NS_PER_S);
  assert_true(p.failed && p.failed_status == 0);
  pair_down(&p);
}

static void lost_on_the_way(void **state)
{
  p.accept = NULL;
  pair_dial(&p, &config, protocols);
  settle();
  mem_kill(p.mem);
  sim_run(&p.w, 11 * NS_PER_S);
  assert_true(p.failed && p.failed_status == 0 && p.gone == 1);
  pair_down(&p);
}

/* ---- raw servers ---- */

#define RAW_SERVER_SETTINGS "\x00\x04\x09\x08\x01\x33\x01\xab\x60\x37\x42\x01"

static struct flow *raw_server(const char *const *offer)
{
  pair_raw_server(&p, &config, offer);
  flow_open(&p.server, false, slice_str(""), false);
  flow_send(p.server.flows[0], BYTES(RAW_SERVER_SETTINGS), false);
  settle();
  struct flow *f = flow_of(&p.server, 0);
  assert_non_null(f);
  return f;
}

static void answer(struct flow *f, int status, const char *protocol)
{
  struct buf out = {0};
  h3_response_write(&p.qpack, 0, status, protocol, &out);
  flow_send(f, buf_slice(&out), false);
  buf_destroy(&out);
}

static void interim_and_other_2xx(void **state)
{
  struct flow *f = raw_server(protocols);
  flow_open(&p.server, false,
            BYTES("\x40\x54\x00"
                  "early"),
            true);
  answer(f, 103, "");
  settle();
  assert_false(p.up || p.failed);
  answer(f, 204, "moq-lite-05");
  settle();
  assert_true(p.up);
  assert_string_equal(p.client.t->protocol, "moq-lite-05");
  assert_int_equal(p.client.flow_count, 1);
  assert_true(p.client.flows[0]->fin && p.client.flows[0]->in.n == 5);
  pair_down(&p);
}

static void servers_that_are_no_use(void **state)
{
  raw_server(protocols);
  answer(flow_of(&p.server, 0), 200, "moq-lite-99");
  settle();
  assert_true(p.failed && p.failed_status == 0 && p.server.code == WT_ALPN_ERROR);
  pair_down(&p);

  pair_raw_server(&p, &config, protocols);
  flow_open(&p.server, false, BYTES("\x00\x04\x04\x08\x01\x33\x01"), false);
  settle();
  assert_true(p.failed && p.server.code == WT_REQUIREMENTS_NOT_MET);
  pair_down(&p);

  raw_server(protocols);
  flow_send(flow_of(&p.server, 0), BYTES("\x01\x03\x00\x00\xd1"), false); /* :method GET */
  settle();
  assert_true(p.failed && p.server.code == H3_MESSAGE_ERROR);
  pair_down(&p);

  raw_server(protocols);
  flow_send(flow_of(&p.server, 0), BYTES(""), true);
  settle();
  assert_true(p.failed && p.failed_status == 0);
  pair_down(&p);

  raw_server(protocols);
  mem_stream_reset_raw(flow_of(&p.server, 0)->s, H3_REQUEST_REJECTED);
  settle();
  assert_true(p.failed && p.failed_status == 0);
  pair_down(&p);

  raw_server(protocols);
  flow_open(&p.server, true, BYTES("\x01\x00"), false); /* a request of a server */
  settle();
  assert_true(p.failed && p.server.code == H3_STREAM_CREATION_ERROR);
  pair_down(&p);

  pair_raw_server(&p, &config, protocols); /* silence */
  sim_run(&p.w, WT_CONNECT_NS + NS_PER_S);
  assert_true(p.failed && p.server.closed);
  pair_down(&p);
}

/* An owner that has no use for its session closes it without ever listening: streams and datagrams of the peer come all the
 * same, and nobody is told of the end. */
static void closed_before_anybody_listens(void **state)
{
  raw_server(protocols);
  p.refuse = true;
  answer(flow_of(&p.server, 0), 200, "moq-lite-06");
  flow_open(&p.server, false, BYTES("\x40\x54\x00group"), false);
  sim_run(&p.w, 20 * NS_PER_S);
  assert_true(p.up && !p.failed && p.server.closed);
  pair_down(&p);

  pair_dial(&p, &config, protocols);
  p.refuse = true;
  settle();
  assert_true(p.up && !p.client.t && !p.server.t);
  sim_run(&p.w, 20 * NS_PER_S);
  pair_down(&p);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_session),
      T(no_version_named),
      T(streams_in_any_order),
      T(codes_of_streams),
      T(stream_limits),
      T(closing),
      T(refused_with_a_status),
      T(no_stream_for_the_request_yet),
      T(lost_on_the_way),
      T(interim_and_other_2xx),
      T(servers_that_are_no_use),
      T(closed_before_anybody_listens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
