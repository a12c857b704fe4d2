/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connections: how they begin and how they end. */
#include "net/quic_impl.h"
#include "quic_pair.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const lite06[] = {"moq-lite-06", NULL};
static const char *const six_five[] = {"moq-lite-06", "moq-lite-05", NULL};
static const char *const five_six[] = {"moq-lite-05", "moq-lite-06", NULL};

static struct quic_stats counters(const struct pair *p)
{
  struct quic_stats stats;
  quic_endpoint_stats(p->server.ep, &stats);
  return stats;
}

static void handshake(void **state)
{
  struct pair p;
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  assert_string_equal(p.client.t->protocol, "moq-lite-06");
  assert_string_equal(p.server.t->protocol, "moq-lite-06");
  assert_string_equal(p.server.t->host, "localhost");
  assert_string_equal(p.server.t->kind, "quic");
  assert_string_equal(p.server.t->path, "");
  assert_true(p.client.t->client);
  assert_false(p.server.t->client);
  assert_int_equal(p.server.t->peer.ss_family, AF_INET);
  assert_int_equal(quic_endpoint_connections(p.server.ep), 1);
  pair_destroy(&p);
}

static void expect_alpn(const char *const *server, const char *const *client, const char *chosen)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  pair_init(&p);
  pair_server(&p, &limits, server, "127.0.0.1:0");
  pair_client(&p, &limits);
  pair_dial(&p, NULL, client, NULL);
  if (!chosen) {
    assert_true(p.client.failed);
    assert_int_equal(p.client.fail_rc, -EPROTONOSUPPORT);
    assert_non_null(strstr(p.client.text, "no_application_protocol"));
  } else {
    RUN_UNTIL(&p, p.server.t);
    assert_string_equal(p.client.t->protocol, chosen);
    assert_string_equal(p.server.t->protocol, chosen);
  }
  pair_destroy(&p);
}

static void the_servers_order_decides(void **state)
{
  static const char *const many[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "moq-lite-06", NULL};
  (void)state;
  expect_alpn(six_five, five_six, "moq-lite-06");
  expect_alpn(five_six, six_five, "moq-lite-05");
  expect_alpn(many, lite06, "moq-lite-06");
}

static void no_common_protocol(void **state)
{
  static const char *const other[] = {"h3", "hq", NULL};
  (void)state;
  expect_alpn(six_five, other, NULL);
}

static void dual_stack(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "[::]:0");
  pair_client(&p, &limits);
  const struct sockaddr_in6 *bound = (const struct sockaddr_in6 *)quic_endpoint_address(p.server.ep);
  struct sockaddr_storage to = {0};
  struct sockaddr_in v4 = {
      .sin_family = AF_INET, .sin_port = bound->sin6_port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  memcpy(&to, &v4, sizeof v4);
  pair_dial(&p, (struct sockaddr *)&to, lite06, NULL);
  RUN_UNTIL(&p, p.server.t);
  assert_int_equal(p.server.t->peer.ss_family, AF_INET); /* not the mapped form */
  pair_destroy(&p);
}

static void over_ipv6(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "[::1]:0");
  p.client.echo = p.server.echo = true;
  p.worker.now = clock_now(&p.worker.clock);
  struct quic_endpoint_config config = p.server.ep->config;
  config.tls = NULL;
  config.ctx = &p.client;
  struct err err;
  assert_int_equal(quic_endpoint_new(&config, "[::]:0", &p.client.ep, &err), 0);
  pair_dial(&p, NULL, lite06, NULL);
  RUN_UNTIL(&p, p.server.t);
  flow_open(&f, &p.client, true, 100000, true);
  RUN_UNTIL(&p, f.closed);
  assert_int_equal(f.received, 100000);
  pair_destroy(&p);
}

static void wrong_fingerprint(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  char wrong[65];
  (void)state;
  memset(wrong, 'a', 64);
  wrong[64] = '\0';
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  pair_dial(&p, NULL, lite06, wrong);
  assert_true(p.client.failed);
  assert_int_equal(p.client.fail_rc, -EACCES);
  assert_non_null(strstr(p.client.text, "fingerprint"));
  RUN_UNTIL(&p, quic_endpoint_connections(p.server.ep) == 0);
  assert_int_equal(p.server.connections, 0);
  assert_int_equal(counters(&p).handshakes_failed, 1);
  pair_destroy(&p);
}

/* The server's own certificate as the only root, under several names. */
static void verified_by_name(void **state)
{
  static const struct {
    const char *host;
    int rc;
  } cases[] = {{"localhost", 0}, {"127.0.0.1", 0}, {"relay.example", -EACCES}};
  struct pair p;
  struct quic_limits limits = pair_limits();
  char roots[64];
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  pair_write_root(&p, roots, sizeof roots);
  const char *const files[] = {roots};
  struct tls_client_config config = {.roots = files, .root_count = 1};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    p.client.failed = false;
    p.client.t = NULL;
    pair_start_as(&p, cases[i].host, lite06, &config);
    RUN_UNTIL(&p, p.client.t || p.client.failed);
    assert_int_equal(p.client.failed ? p.client.fail_rc : 0, cases[i].rc);
    if (p.client.failed)
      assert_non_null(strstr(p.client.text, cases[i].host));
  }
  unlink(roots);
  struct tls_client_config strangers = {0}; /* the system's roots do not know it */
  p.client.failed = false;
  pair_start_as(&p, "localhost", lite06, &strangers);
  RUN_UNTIL(&p, p.client.failed);
  assert_int_equal(p.client.fail_rc, -EACCES);
  pair_destroy(&p);
}

static void closed_port(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  struct sockaddr_storage gone = *quic_endpoint_address(p.server.ep);
  quic_endpoint_free(p.server.ep);
  p.server.ep = NULL;
  for (int i = 0; i < 3; i++) /* the socket goes with the loop */
    pair_turn(&p);
  pair_client(&p, &limits);
  pair_dial(&p, (struct sockaddr *)&gone, lite06, NULL);
  assert_true(p.client.failed);
  assert_int_equal(p.client.fail_rc, -ECONNREFUSED);
  pair_destroy(&p);
}

static void silent_server(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  p.server.ep->config.tls = NULL; /* listens, and answers nobody */
  limits.handshake_timeout_ns = 200 * NS_PER_MS;
  pair_client(&p, &limits);
  pair_dial(&p, NULL, lite06, NULL);
  assert_true(p.client.failed);
  assert_int_equal(p.client.fail_rc, -ETIMEDOUT);
  pair_destroy(&p);
}

static void given_up(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  transport_close(pair_start(&p, NULL, lite06, NULL), 0, "");
  assert_false(p.client.failed); /* never from inside an op */
  RUN_UNTIL(&p, p.client.failed);
  assert_int_equal(p.client.fail_rc, -ECANCELED);
  pair_destroy(&p);
}

static void close_with_reason(void **state)
{
  struct pair p;
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  flow_open(&f, &p.client, true, 10, false);
  RUN_UNTIL(&p, p.server.flows[0].received == 10);
  transport_close(p.server.t, 42, "enough");
  assert_false(p.server.closed);
  RUN_UNTIL(&p, p.server.closed && p.client.closed);
  assert_int_equal(p.server.close_code, 42);
  assert_false(p.server.closed_by_peer);
  assert_int_equal(p.client.close_code, 42);
  assert_string_equal(p.client.text, "enough");
  assert_true(p.client.closed_by_peer);
  assert_true(f.closed && p.server.flows[0].closed); /* streams first */
  pair_destroy(&p);
}

static void refused_by_the_application(void **state)
{
  struct pair p;
  (void)state;
  pair_init(&p);
  p.server.refuse_connections = true;
  struct quic_limits limits = pair_limits();
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  pair_dial(&p, NULL, lite06, NULL);
  RUN_UNTIL(&p, p.client.closed);
  assert_int_equal(p.client.close_code, 7);
  assert_string_equal(p.client.text, "not today");
  assert_int_equal(quic_endpoint_connections(p.server.ep), 0);
  pair_destroy(&p);
}

static void idle_timeout(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  limits.idle_timeout_ns = 200 * NS_PER_MS;
  limits.keep_alive_ns = 0;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  pair_connect(&p);
  RUN_UNTIL(&p, p.client.closed && p.server.closed);
  assert_true(p.client.close_code == TRANSPORT_NO_CODE && p.server.close_code == TRANSPORT_NO_CODE);
  assert_string_equal(p.server.text, "idle timeout");
  pair_destroy(&p);
}

static void keep_alive(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  limits.idle_timeout_ns = 1000 * NS_PER_MS;
  limits.keep_alive_ns = 50 * NS_PER_MS;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  limits.keep_alive_ns = 0;
  pair_client(&p, &limits);
  pair_connect(&p);
  uint64_t begin = clock_now(&p.worker.clock);
  RUN_UNTIL(&p, clock_now(&p.worker.clock) - begin > 2 * limits.idle_timeout_ns || p.client.closed);
  assert_false(p.client.closed);
  pair_destroy(&p);
}

static unsigned asked;

static bool count_asked(void *ctx, const union udp_addr *peer)
{
  (void)ctx, (void)peer;
  asked++;
  return false;
}

static void retry(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  limits.handshakes_retry = 0;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  asked = 0;
  p.server.ep->config.full = count_asked;
  pair_connect(&p);
  assert_int_equal(asked, 1); /* an address that may be a lie takes no place */
  assert_true(ngtcp2_conn_after_retry(QUIC_CONN(p.client.t)->ng));
  assert_true(counters(&p).retries > 0);
  assert_int_equal(counters(&p).accepted, 1);
  pair_destroy(&p);
}

/* Over the limit nothing is said; a client that asks again later may find room. */
static void limit_on_handshakes(void **state)
{
  struct pair p;
  struct limits counts = {0};
  struct quic_limits limits = pair_limits();
  (void)state;
  pair_init(&p);
  limits.handshakes = 0;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  p.server.ep->config.counts = &counts;
  pair_start(&p, NULL, lite06, NULL);
  RUN_UNTIL(&p, counters(&p).over_handshakes > 0);
  assert_true(counts.hits[LIMIT_HANDSHAKES] > 0);
  p.server.ep->config.limits.handshakes = 1;
  RUN_UNTIL(&p, p.client.t);
  pair_destroy(&p);
}

static void expect_refused(struct pair *p)
{
  pair_dial(p, NULL, lite06, NULL);
  assert_true(p->client.failed);
  assert_int_equal(p->client.fail_rc, -ECONNREFUSED);
  p->client.failed = false;
}

static void limits_on_connections(void **state)
{
  struct pair p;
  struct limits counts = {0};
  struct quic_limits limits = pair_limits();
  (void)state;
  for (int by_ip = 0; by_ip < 2; by_ip++) {
    pair_init(&p);
    limits.connections = by_ip ? 100 : 1;
    limits.connections_per_ip = by_ip ? 1 : 0;
    pair_server(&p, &limits, lite06, "127.0.0.1:0");
    pair_connect(&p);
    struct transport *first = p.client.t;
    p.client.t = NULL;
    p.server.ep->config.counts = &counts;
    expect_refused(&p);
    assert_true(counts.hits[by_ip ? LIMIT_CONNECTIONS_PER_ADDRESS : LIMIT_CONNECTIONS] > 0);
    assert_true((by_ip ? counters(&p).over_connections_ip : counters(&p).over_connections) > 0);
    transport_close(first, 0, "");
    RUN_UNTIL(&p, quic_endpoint_connections(p.server.ep) == 0);
    pair_dial(&p, NULL, lite06, NULL);
    assert_false(p.client.failed);
    pair_destroy(&p);
  }
}

static int take(struct pair *p, const char *host, struct quic_source **ret_source)
{
  union udp_addr a = {0};
  bool v6 = strchr(host, ':') != NULL;
  a.sa.sa_family = v6 ? AF_INET6 : AF_INET;
  assert_int_equal(inet_pton(a.sa.sa_family, host, v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr), 1);
  return quic_source_take(p->server.ep, &a, ret_source);
}

/* What counts as one address: all of IPv4, the first half of IPv6, and IPv4 however it is written. */
static void one_address(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct quic_source *s[4], *none;
  (void)state;
  pair_init(&p);
  limits.connections_per_ip = 1;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  assert_int_equal(take(&p, "192.0.2.1", &s[0]), 0);
  assert_int_equal(take(&p, "192.0.2.2", &s[1]), 0);
  assert_int_equal(take(&p, "::ffff:192.0.2.1", &none), -EUSERS);
  assert_int_equal(take(&p, "2001:db8:0:1::1", &s[2]), 0);
  assert_int_equal(take(&p, "2001:db8:0:1:ffff::2", &none), -EUSERS);
  assert_int_equal(take(&p, "2001:db8:0:2::1", &s[3]), 0);
  for (int i = 0; i < 4; i++)
    quic_source_release(p.server.ep, s[i]);
  assert_int_equal(take(&p, "2001:db8:0:1:ffff::2", &s[0]), 0);
  quic_source_release(p.server.ep, s[0]);
  pair_destroy(&p);
}

static void stopped_accepting(void **state)
{
  struct pair p;
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  p.server.echo = true;
  pair_connect(&p);
  struct transport *first = p.client.t;
  quic_endpoint_stop_accepting(p.server.ep);
  p.client.t = NULL;
  expect_refused(&p);
  assert_true(counters(&p).refused_stopped > 0);
  p.client.t = first;
  flow_open(&f, &p.client, true, 1000, true); /* what runs goes on */
  RUN_UNTIL(&p, f.closed);
  assert_int_equal(f.received, 1000);
  quic_endpoint_close_all(p.server.ep, 3, "shutdown");
  RUN_UNTIL(&p, p.client.closed);
  assert_int_equal(p.client.close_code, 3);
  pair_destroy(&p);
}

static void server_tls_is_given_back(void **state)
{
  struct pair p;
  (void)state;
  pair_init(&p);
  pair_connect(&p);
  RUN_UNTIL(&p, !QUIC_CONN(p.server.t)->tls);
  pair_destroy(&p);
}

static void key_update(void **state)
{
  struct pair p;
  struct flow f = {0};
  (void)state;
  pair_init(&p);
  p.server.echo = true;
  pair_connect(&p);
  flow_open(&f, &p.client, true, 100000, false);
  RUN_UNTIL(&p, f.received == 100000);
  struct quic_conn *c = QUIC_CONN(p.client.t);
  RUN_UNTIL(&p, ngtcp2_conn_initiate_key_update(c->ng, p.worker.now) == 0);
  f.to_send = 200000;
  f.fin = true;
  stream_wake(f.s);
  RUN_UNTIL(&p, f.closed);
  assert_int_equal(f.received, 200000);
  pair_destroy(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(handshake),
      cmocka_unit_test(the_servers_order_decides),
      cmocka_unit_test(no_common_protocol),
      cmocka_unit_test(dual_stack),
      cmocka_unit_test(over_ipv6),
      cmocka_unit_test(wrong_fingerprint),
      cmocka_unit_test(verified_by_name),
      cmocka_unit_test(closed_port),
      cmocka_unit_test(silent_server),
      cmocka_unit_test(given_up),
      cmocka_unit_test(close_with_reason),
      cmocka_unit_test(refused_by_the_application),
      cmocka_unit_test(idle_timeout),
      cmocka_unit_test(keep_alive),
      cmocka_unit_test(retry),
      cmocka_unit_test(limit_on_handshakes),
      cmocka_unit_test(limits_on_connections),
      cmocka_unit_test(one_address),
      cmocka_unit_test(stopped_accepting),
      cmocka_unit_test(server_tls_is_given_back),
      cmocka_unit_test(key_update),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
