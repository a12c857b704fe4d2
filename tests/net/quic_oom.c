/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every allocation of ours fails once. Whatever can no longer work must end in an error that somebody is told, not in a
 * crash or a leak. */
#include "net/quic_impl.h"
#include "quic_pair.h"
#include "support/oom.h"
#include <string.h>

#define LIFE_NS (5 * NS_PER_S)
#define POINTS_MAX 500

static const char *const lite06[] = {"moq-lite-06", NULL};

static void datagram(struct pair *p)
{
  uint8_t byte = pattern(0);
  struct iovec iov = {&byte, 1};
  if (p->client.t)
    p->client.t->ops->send_datagram(p->client.t, &iov, 1);
}

/* A whole life: dial, stream, datagram, close. Ends early when a part of it fails. */
static void life(struct pair *p)
{
  struct flow f = {.side = &p->client};
  struct stream *s = NULL;
  bool opened = false, closing = false;
  uint64_t until = clock_now(&p->worker.clock) + LIFE_NS;
  while (!p->client.failed && !p->client.closed && clock_now(&p->worker.clock) < until) {
    if (p->client.t && p->server.t && !opened) {
      opened = true;
      if (transport_open(p->client.t, true, &flow_events, &f, ORDER_CONTROL, &s) == 0) {
        f.to_send = 3000;
        f.fin = true;
        stream_wake(s);
      }
      datagram(p);
    }
    if (p->client.t && opened && (f.closed || !s) && !closing) {
      closing = true;
      transport_close(p->client.t, 1, "done");
    }
    uv_run(&p->loop, UV_RUN_ONCE);
  }
  quic_endpoint_free(p->client.ep); /* while f is there */
  p->client.ep = NULL;
}

static bool try_once(size_t point)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct tls_client *tls;
  struct err err;
  pair_init(&p);
  limits.connections_per_ip = 10;
  limits.handshakes_retry = 0;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  pair_client(&p, &limits);
  p.server.echo = true;
  assert_int_equal(tls_client_new(&(struct tls_client_config){.insecure = true}, &tls, &err), 0);
  oom_after((long)point, 1);
  struct transport *t;
  struct quic_dial dial = {.peer = (const struct sockaddr *)quic_endpoint_address(p.server.ep),
                           .peer_len = sizeof(struct sockaddr_storage),
                           .host = "localhost",
                           .alpn = lite06,
                           .tls = tls,
                           .on_failed = pair_on_failed,
                           .ctx = &p.client};
  if (quic_dial(p.client.ep, &dial, &t, &err) == 0)
    life(&p);
  bool hit = oom_end();
  assert_true(hit || (p.client.closed && p.server.bytes == 3000 && p.server.datagrams == 1));
  tls_client_free(tls);
  pair_destroy(&p);
  return hit;
}

static void connections(void **state)
{
  size_t point = 0;
  (void)state;
  while (point < POINTS_MAX && try_once(point))
    point++;
  assert_true(point > 10 && point < POINTS_MAX);
  print_message("%zu allocations failed in turn\n", point);
}

static void endpoints(void **state)
{
  (void)state;
  for (size_t point = 0; point < POINTS_MAX; point++) {
    struct pair p;
    struct err err;
    pair_init(&p);
    struct quic_endpoint_config config = {.worker = &p.worker, .rng = rng_system(), .limits = pair_limits()};
    oom_after((long)point, 1);
    int rc = quic_endpoint_new(&config, "127.0.0.1:0", &p.client.ep, &err);
    bool hit = oom_end();
    assert_true(rc == 0 || hit);
    pair_destroy(&p);
    if (!hit)
      return;
  }
  fail();
}

static void certificates(void **state)
{
  static const char *const hosts[] = {"a", "b"},
                           *const pins[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  struct tls_server_config server = {.generate = hosts, .generate_count = 2};
  struct tls_client_config client = {.fingerprints = pins, .fingerprint_count = 1};
  (void)state;
  for (size_t point = 0; point < POINTS_MAX; point++) {
    struct tls_server *s = NULL;
    struct tls_client *c = NULL;
    struct err err;
    oom_after((long)point, 1);
    int rc = tls_server_new(&server, 1800000000, &s, &err);
    if (rc == 0)
      rc = tls_server_reload(s, 1800000001, &err);
    if (rc == 0)
      rc = tls_client_new(&client, &c, &err);
    bool hit = oom_end();
    assert_true(rc == 0 || hit);
    tls_server_free(s);
    tls_client_free(c);
    if (!hit)
      return;
  }
  fail();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(connections),
      cmocka_unit_test(endpoints),
      cmocka_unit_test(certificates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
