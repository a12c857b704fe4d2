/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/udp.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define TURNS_MAX 1000
#define SEEN_MAX 256

struct end {
  struct udp *udp;
  size_t packets, bytes;
  size_t sizes[SEEN_MAX];
  uint8_t ecn;
  union udp_addr local, peer;
};

struct fixture {
  uv_loop_t loop;
  struct worker w;
  struct end a, b;
};

static void on_packet(void *ctx, const struct udp_packet *p)
{
  struct end *e = ctx;
  assert_true(e->packets < SEEN_MAX);
  e->sizes[e->packets++] = p->data.n;
  for (size_t i = 0; i < p->data.n; i++)
    assert_int_equal(p->data.p[i], (uint8_t)(e->bytes + i));
  e->bytes += p->data.n;
  e->ecn = p->ecn;
  e->local = p->local;
  e->peer = p->peer;
}

static void on_writable(void *ctx)
{
  (void)ctx;
}

static const struct udp_events events = {on_packet, on_writable, NULL};

static void open_end(struct fixture *f, struct end *e, const char *bind, bool gso)
{
  struct err err;
  *e = (struct end){0};
  if (udp_socket_new(&f->w, bind, gso, &e->udp, &err) != 0)
    fail_msg("%s", err.text);
  e->udp->events = &events;
  e->udp->ctx = e;
}

static void setup(struct fixture *f, const char *a, const char *b, bool gso)
{
  assert_int_equal(uv_loop_init(&f->loop), 0);
  assert_int_equal(worker_init(&f->w, &f->loop, clock_system()), 0);
  open_end(f, &f->a, a, gso);
  open_end(f, &f->b, b, gso);
}

static void teardown(struct fixture *f)
{
  f->a.udp->ops->free(f->a.udp);
  f->b.udp->ops->free(f->b.udp);
  worker_destroy(&f->w);
  assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void run_until_bytes(struct fixture *f, const struct end *e, size_t bytes)
{
  for (int i = 0; i < TURNS_MAX && e->bytes < bytes; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  assert_int_equal(e->bytes, bytes);
}

/* Sends a train of 10 full packets and a short one from a to b. */
static void send_train(struct fixture *f, const union udp_addr *to, uint8_t ecn)
{
  enum { SEGMENT = 1200, TOTAL = 10 * SEGMENT + 100 };
  static uint8_t bytes[TOTAL];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)i;
  struct udp_train t = {.p = bytes, .n = TOTAL, .segment = SEGMENT, .peer = *to, .ecn = ecn};
  t.local = f->a.udp->address;
  assert_int_equal(f->a.udp->ops->send(f->a.udp, &t), TOTAL);
  run_until_bytes(f, &f->b, TOTAL);
  assert_int_equal(f->b.packets, 11);
  for (size_t i = 0; i < 10; i++)
    assert_int_equal(f->b.sizes[i], SEGMENT);
  assert_int_equal(f->b.sizes[10], 100);
  assert_int_equal(f->b.ecn, ecn);
}

static void train(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f, "127.0.0.1:0", "127.0.0.1:0", true);
  send_train(&f, &f.b.udp->address, 2);
  assert_int_equal(f.a.udp->stats.sent_packets, 11);
  teardown(&f);
}

static void train_without_gso(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f, "127.0.0.1:0", "127.0.0.1:0", false);
  send_train(&f, &f.b.udp->address, 1);
  assert_int_equal(f.a.udp->stats.sends, 11);
  teardown(&f);
}

static void train_over_ipv6(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f, "[::1]:0", "[::1]:0", true);
  send_train(&f, &f.b.udp->address, 2);
  teardown(&f);
}

/* A wildcard socket says which of its addresses was meant, answers from there, and shows IPv4 as
 * mapped. */
static void dual_stack(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f, "127.0.0.1:0", "[::]:0", true);
  union udp_addr to = {.v4 = {.sin_family = AF_INET, .sin_port = f.b.udp->address.v6.sin6_port}};
  inet_pton(AF_INET, "127.0.0.7", &to.v4.sin_addr);
  send_train(&f, &to, 2);
  union udp_addr local = udp_addr_plain(&f.b.local), peer = udp_addr_plain(&f.b.peer);
  assert_int_equal(f.b.local.sa.sa_family, AF_INET6);
  assert_int_equal(local.v4.sin_addr.s_addr, to.v4.sin_addr.s_addr);
  assert_int_equal(peer.v4.sin_port, f.a.udp->address.v4.sin_port);
  static const uint8_t answer[] = {0, 1, 2};
  struct udp_train t = {.p = answer, .n = 3, .segment = 3, .local = f.b.local, .peer = f.b.peer, .ecn = 3};
  assert_int_equal(f.b.udp->ops->send(f.b.udp, &t), 3);
  run_until_bytes(&f, &f.a, 3);
  assert_int_equal(f.a.peer.v4.sin_addr.s_addr, to.v4.sin_addr.s_addr);
  assert_int_equal(f.a.ecn, 3);
  teardown(&f);
}

/* What the network does not take is lost, not stuck. */
static void too_large_a_packet(void **state)
{
  struct fixture f;
  static uint8_t bytes[65535];
  (void)state;
  setup(&f, "127.0.0.1:0", "127.0.0.1:0", true);
  struct udp_train t = {.p = bytes, .n = sizeof bytes, .segment = sizeof bytes};
  t.local = f.a.udp->address;
  t.peer = f.b.udp->address;
  assert_int_equal(f.a.udp->ops->send(f.a.udp, &t), sizeof bytes);
  assert_int_equal(f.b.packets, 0);
  send_train(&f, &f.b.udp->address, 0);
  teardown(&f);
}

/* More segments than any kernel takes at once: refused as a train, sent one by one. */
static void gso_refused(void **state)
{
  enum { PACKETS = 200, SEGMENT = 10 };
  struct fixture f;
  static uint8_t bytes[PACKETS * SEGMENT];
  (void)state;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)i;
  setup(&f, "127.0.0.1:0", "127.0.0.1:0", true);
  struct udp_train t = {.p = bytes, .n = sizeof bytes, .segment = SEGMENT};
  t.local = f.a.udp->address;
  t.peer = f.b.udp->address;
  assert_int_equal(f.a.udp->ops->send(f.a.udp, &t), sizeof bytes);
  run_until_bytes(&f, &f.b, sizeof bytes);
  assert_int_equal(f.b.packets, PACKETS);
  assert_true(f.a.udp->stats.sends >= PACKETS);
  teardown(&f);
}

static void bad_addresses(void **state)
{
  static const char *const bad[] = {"", "4443", "[::1", "::1:4443", "127.0.0.1:port", "no.such.host.invalid:1"};
  struct fixture f;
  struct udp *udp;
  struct err err;
  (void)state;
  setup(&f, "127.0.0.1:0", "127.0.0.1:0", true);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    err.text[0] = '\0';
    assert_true(udp_socket_new(&f.w, bad[i], true, &udp, &err) < 0);
    assert_non_null(strstr(err.text, bad[i]));
  }
  char taken[64];
  snprintf(taken, sizeof taken, "127.0.0.1:%u", ntohs(f.a.udp->address.v4.sin_port));
  assert_int_equal(udp_socket_new(&f.w, taken, true, &udp, &err), -EADDRINUSE);
  assert_non_null(strstr(err.text, taken));
  teardown(&f);
}

static void addresses(void **state)
{
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(7)};
  union udp_addr a, plain;
  (void)state;
  inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
  assert_int_equal(udp_addr_for(AF_INET, (struct sockaddr *)&v4, sizeof v4, &a), 0);
  assert_int_equal(a.sa.sa_family, AF_INET);
  assert_int_equal(udp_addr_for(AF_INET6, (struct sockaddr *)&v4, sizeof v4, &a), 0);
  assert_int_equal(a.sa.sa_family, AF_INET6);
  plain = udp_addr_plain(&a);
  assert_memory_equal(&plain.v4, &v4, sizeof v4);
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  assert_int_equal(udp_addr_for(AF_INET, (struct sockaddr *)&v6, sizeof v6, &a), -EAFNOSUPPORT);
  assert_int_equal(udp_addr_for(AF_INET6, (struct sockaddr *)&v6, sizeof v6, &a), 0);
  assert_false(udp_addr_any(&a));
  a.v6.sin6_addr = in6addr_any;
  assert_true(udp_addr_any(&a));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(train),         cmocka_unit_test(train_without_gso),  cmocka_unit_test(train_over_ipv6),
      cmocka_unit_test(dual_stack),    cmocka_unit_test(too_large_a_packet), cmocka_unit_test(gso_refused),
      cmocka_unit_test(bad_addresses), cmocka_unit_test(addresses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
