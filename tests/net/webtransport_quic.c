/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WebTransport on the real QUIC endpoint, client and server on loopback in one process. */
#include "webtransport_peers.h"
#include "wt_echo.h"
#include <stdio.h>

#define RUN_SECONDS 30

static struct net {
  uv_loop_t loop;
  uv_timer_t tick;
  struct worker worker;
  struct wt_echo echo;
  struct quic_endpoint *client;
  struct tls_client *tls;
  struct ep ep;
  const char *path;
  bool up, failed;
  int status;
} n;

static const char *const protocols[] = {"moq-lite-06", "moq-lite-05", NULL};

static void on_session(void *ctx, struct transport *t)
{
  n.up = true;
  ep_take(&n.ep, t);
}

static void on_refused(void *ctx, int status, const char *text)
{
  n.failed = true;
  n.status = status;
}

static const struct wt_dial_events dial_events = {on_session, on_refused};

static void on_connection(void *ctx, struct transport *t)
{
  assert_int_equal(wt_connect(t, &n.worker, NULL, "localhost", n.path, protocols, &dial_events, NULL), 0);
}

static void on_dial_failed(void *ctx, int rc, const char *text)
{
  n.failed = true;
}

static void on_tick(uv_timer_t *t)
{
  worker_enter(&n.worker); /* a turn ends at least ten times a second */
}

static void net_up(void)
{
  struct err err;
  n = (struct net){0};
  assert_int_equal(uv_loop_init(&n.loop), 0);
  assert_int_equal(worker_init(&n.worker, &n.loop, clock_system()), 0);
  uv_timer_init(&n.loop, &n.tick);
  uv_timer_start(&n.tick, on_tick, 100, 100);
  if (wt_echo_init(&n.echo, &n.worker, NULL, "127.0.0.1:0", &err) < 0)
    fail_msg("%s", err.text);
  struct quic_endpoint_config config = {.worker = &n.worker, .rng = rng_system(), .on_connection = on_connection};
  quic_limits_default(&config.limits);
  assert_int_equal(quic_endpoint_new(&config, "127.0.0.1:0", &n.client, &err), 0);
  char hash[65];
  tls_server_fingerprint(n.echo.tls, hash);
  const char *const pins[] = {hash};
  struct tls_client_config tls = {.fingerprints = pins, .fingerprint_count = 1};
  assert_int_equal(tls_client_new(&tls, &n.tls, &err), 0);
}

static void dial(const char *path)
{
  static const char *const alpn[] = {"h3", NULL};
  struct quic_dial d = {.peer = (const struct sockaddr *)quic_endpoint_address(n.echo.ep),
                        .peer_len = sizeof(struct sockaddr_storage),
                        .host = "localhost",
                        .alpn = alpn,
                        .tls = n.tls,
                        .on_failed = on_dial_failed};
  struct transport *t;
  struct err err;
  n.path = path;
  if (quic_dial(n.client, &d, &t, &err) < 0)
    fail_msg("%s", err.text);
}

static void net_down(void)
{
  quic_endpoint_free(n.client);
  wt_echo_destroy(&n.echo);
  tls_client_free(n.tls);
  worker_destroy(&n.worker);
  uv_close((uv_handle_t *)&n.tick, NULL);
  assert_int_equal(uv_run(&n.loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&n.loop), 0);
  ep_free(&n.ep);
}

#define RUN_UNTIL(condition)                                                                                           \
  do {                                                                                                                 \
    uint64_t end = clock_now(&n.worker.clock) + RUN_SECONDS * NS_PER_S;                                                \
    while (!(condition)) {                                                                                             \
      if (clock_now(&n.worker.clock) > end)                                                                            \
        fail_msg("did not happen in time: %s", #condition);                                                            \
      uv_run(&n.loop, UV_RUN_ONCE);                                                                                    \
    }                                                                                                                  \
  } while (0)

static void echo_of_everything(void **state)
{
  static uint8_t bytes[60000];
  net_up();
  dial("/late");
  RUN_UNTIL(n.up || n.failed);
  assert_true(n.up);
  assert_string_equal(n.ep.t->protocol, "moq-lite-06");
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 7);
  for (int i = 0; i < 20; i++)
    flow_open(&n.ep, i % 2, slice_of(bytes, sizeof bytes / (size_t)(1 + i)), true);
  struct iovec datagram = {bytes, 100};
  assert_true(n.ep.t->ops->max_datagram(n.ep.t) > 1000);
  assert_int_equal(n.ep.t->ops->send_datagram(n.ep.t, &datagram, 1), 0);
  RUN_UNTIL(n.ep.open == 0 && n.ep.flow_count == 30 && n.ep.datagram_count == 1);
  assert_true(slice_eq(buf_slice(&n.ep.datagrams), slice_of(bytes, 100)));
  size_t total = 0;
  for (size_t i = 0; i < n.ep.flow_count; i++) {
    struct flow *f = n.ep.flows[i];
    total += f->in.n;
    assert_true(f->in.n == 0 || memcmp(f->in.p, bytes, f->in.n) == 0);
  }
  size_t want = 0;
  for (size_t i = 0; i < 20; i++)
    want += sizeof bytes / (1 + i);
  assert_int_equal(total, want);
  transport_close(n.ep.t, 33, "enough");
  RUN_UNTIL(n.ep.closed && n.echo.closed == 1);
  assert_true(n.echo.by_peer && n.echo.code == 33);
  assert_string_equal(n.echo.reason, "enough");
  assert_true(!n.ep.by_peer && n.ep.code == 33);
  net_down();
}

static void ends(void **state)
{
  net_up();
  dial("/");
  RUN_UNTIL(n.up);
  struct flow *r = flow_open(&n.ep, true, slice_str("reset me"), false);
  struct flow *s = flow_open(&n.ep, true, slice_str("stop"), false);
  RUN_UNTIL(r->was_reset && s->was_stopped);
  assert_int_equal(r->reset_code, 54);
  /* ngtcp2 1.11 does not tell a STOP_SENDING code. */
  assert_true(s->stop_code == 51 || s->stop_code == TRANSPORT_NO_CODE);
  stream_reset(r->s, 30);
  struct flow *both = flow_open(&n.ep, true, slice_str("hello"), false);
  RUN_UNTIL(both->in.n == 5);
  stream_reset(both->s, 30);
  RUN_UNTIL(r->closed && both->closed);
  assert_int_equal(both->reset_code, 30);
  flow_open(&n.ep, true, slice_str("close"), false);
  RUN_UNTIL(n.ep.closed && n.echo.closed == 1);
  assert_true(n.ep.by_peer && n.ep.code == 7);
  assert_string_equal(n.ep.reason, "bye");
  assert_true(!n.echo.by_peer && n.echo.code == 7);
  net_down();
}

static void refusals(void **state)
{
  net_up();
  dial("/deny");
  RUN_UNTIL(n.failed);
  assert_int_equal(n.status, 403);
  RUN_UNTIL(quic_endpoint_connections(n.client) == 0);
  net_down();
}

static void endpoints_that_go_away(void **state)
{
  net_up();
  dial("/late"); /* its request is open when the endpoint goes */
  RUN_UNTIL(quic_endpoint_connections(n.echo.ep) == 1);
  net_down();
  net_up();
  dial("/");
  RUN_UNTIL(n.up);
  flow_open(&n.ep, true, slice_str("hello"), false);
  net_down();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(echo_of_everything),
      cmocka_unit_test(ends),
      cmocka_unit_test(refusals),
      cmocka_unit_test(endpoints_that_go_away),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
