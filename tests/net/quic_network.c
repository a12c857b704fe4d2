/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What networks do to connections: loss, new addresses, restarted servers, full sockets, and
 * packets from nowhere. */
#include "net/quic_impl.h"
#include "quic_pair.h"
#include "quic_wire.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const lite06[] = {"moq-lite-06", NULL};

struct net {
  struct pair p;
  struct wire wire;
};

/* A pair that is connected through a wire. */
static void net_init(struct net *n, const struct quic_limits *limits, unsigned loss, unsigned swap)
{
  pair_init(&n->p);
  pair_server(&n->p, limits, lite06, "127.0.0.1:0");
  pair_client(&n->p, limits);
  wire_init(&n->wire, &n->p.loop, rng_seeded(&n->p.seed), quic_endpoint_address(n->p.server.ep));
  n->wire.loss = loss;
  n->wire.swap = swap;
  struct sockaddr_storage to = {0};
  memcpy(&to, &n->wire.address, sizeof n->wire.address);
  pair_dial(&n->p, (struct sockaddr *)&to, lite06, NULL);
  if (n->p.client.failed)
    fail_msg("dial: %s", n->p.client.text);
  RUN_UNTIL(&n->p, n->p.server.t);
}

static void net_destroy(struct net *n)
{
  wire_destroy(&n->wire);
  pair_destroy(&n->p);
}

static void loss_and_reordering(void **state)
{
  struct net n;
  struct quic_limits limits = pair_limits();
  struct flow f = {.pull_max = 9000};
  (void)state;
  net_init(&n, &limits, 20, 50);
  n.p.server.echo = true;
  flow_open(&f, &n.p.client, true, 2 << 20, true);
  RUN_UNTIL(&n.p, f.closed);
  assert_int_equal(f.received, 2 << 20);
  assert_int_equal(f.acked, 2 << 20);
  net_destroy(&n);
}

static void new_client_address(void **state)
{
  struct net n;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  (void)state;
  net_init(&n, &limits, 0, 0);
  n.p.server.echo = true;
  in_port_t before = ((struct sockaddr_in *)&n.p.server.t->peer)->sin_port;
  flow_open(&f, &n.p.client, true, 100000, false);
  RUN_UNTIL(&n.p, f.received == 100000);
  wire_rebind(&n.wire);
  f.to_send = 200000;
  stream_wake(f.s);
  RUN_UNTIL(&n.p, f.received == 200000);
  RUN_UNTIL(&n.p, ((struct sockaddr_in *)&n.p.server.t->peer)->sin_port != before);
  f.to_send = 300000;
  f.fin = true;
  stream_wake(f.s);
  RUN_UNTIL(&n.p, f.closed);
  assert_int_equal(f.received, 300000);
  assert_int_equal(n.p.server.connections, 1);
  net_destroy(&n);
}

/* Another process with the same secret takes the port over: it knows nothing of the connection, and
 * can say so. */
static void restarted_server(void **state)
{
  struct net n;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  struct err err;
  (void)state;
  net_init(&n, &limits, 0, 0);
  RUN_UNTIL(&n.p, n.p.client.ep->names.count > 2); /* reset tokens are known when the handshake is */
  struct quic_endpoint *old = n.p.server.ep;
  assert_int_equal(quic_endpoint_new(&old->config, "127.0.0.1:0", &n.p.server.ep, &err), 0);
  wire_redirect(&n.wire, quic_endpoint_address(n.p.server.ep));
  flow_open(&f, &n.p.client, true, 1000, true);
  RUN_UNTIL(&n.p, n.p.client.closed);
  assert_true(n.p.client.close_code == TRANSPORT_NO_CODE);
  assert_string_equal(n.p.client.text, "stateless reset");
  assert_true(f.closed);
  quic_endpoint_free(old);
  net_destroy(&n);
}

/* The peer's CONNECTION_CLOSE was lost: whoever asks again is told again. */
static void lost_close(void **state)
{
  struct net n;
  struct quic_limits limits = pair_limits();
  struct flow f = {0};
  (void)state;
  net_init(&n, &limits, 0, 0);
  transport_close(n.p.server.t, 9, "gone");
  n.wire.cut_down = true;
  RUN_UNTIL(&n.p, n.p.server.closed);
  assert_int_equal(quic_endpoint_connections(n.p.server.ep), 0);
  pair_turn(&n.p);
  n.wire.cut_down = false;
  flow_open(&f, &n.p.client, false, 100, true);
  RUN_UNTIL(&n.p, n.p.client.closed);
  assert_int_equal(n.p.client.close_code, 9);
  assert_string_equal(n.p.client.text, "gone");
  RUN_UNTIL(&n.p, n.p.server.ep->closing_count == 0 && n.p.client.ep->closing_count == 0);
  assert_int_equal(n.p.server.ep->names.count, 0);
  assert_int_equal(n.p.client.ep->names.count, 0);
  net_destroy(&n);
}

/* ---- packets from nowhere ---- */

static int raw_socket(const struct sockaddr_storage *to)
{
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)to, sizeof(struct sockaddr_in)), 0);
  return fd;
}

static ssize_t raw_answer(struct pair *p, int fd, uint8_t *buf, size_t cap)
{
  ssize_t n = -1;
  RUN_UNTIL(p, (n = recv(fd, buf, cap, 0)) >= 0);
  return n;
}

static void version_negotiation(void **state)
{
  struct pair p;
  struct quic_limits limits = pair_limits();
  uint8_t packet[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 3, 9, 9, 9}, out[1500];
  static const uint8_t ids[] = {3, 9, 9, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  int fd = raw_socket(quic_endpoint_address(p.server.ep));
  assert_int_equal(send(fd, packet, 600, 0), 600); /* too small to be answered */
  assert_int_equal(send(fd, packet, sizeof packet, 0), sizeof packet);
  ssize_t n = raw_answer(&p, fd, out, sizeof out);
  assert_true(n == 5 + (ssize_t)sizeof ids + 8);
  assert_true(out[0] & 0x80);
  assert_memory_equal(out + 1, "\0\0\0\0", 4);
  assert_memory_equal(out + 5, ids, sizeof ids);
  assert_memory_equal(out + 5 + sizeof ids, "\0\0\0\1", 4);
  assert_int_equal(recv(fd, out, sizeof out, 0), -1);
  close(fd);
  pair_destroy(&p);
}

static void resets_are_limited(void **state)
{
  enum { STRAYS = 1000 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  uint8_t packet[100] = {0x40}, out[1500];
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  int fd = raw_socket(quic_endpoint_address(p.server.ep));
  assert_int_equal(send(fd, packet, 21, 0), 21); /* an answer could not be shorter */
  for (int i = 0; i < STRAYS; i++) {
    packet[1] = (uint8_t)i;
    assert_int_equal(send(fd, packet, sizeof packet, 0), sizeof packet);
  }
  RUN_UNTIL(&p, p.server.ep->udp->stats.received_packets == STRAYS + 1);
  ssize_t answers = 0, n;
  while ((n = recv(fd, out, sizeof out, 0)) >= 0) {
    assert_true(n < (ssize_t)sizeof packet);
    answers++;
  }
  struct quic_stats stats;
  quic_endpoint_stats(p.server.ep, &stats);
  assert_true(answers > 0);
  assert_true(stats.resets <= 2 * QUIC_RESETS_PER_S); /* the second may have changed meanwhile */
  close(fd);
  pair_destroy(&p);
}

/* Handshakes that never end are dropped in the end, Retry or not, and do not keep others out. */
static void garbage(void **state)
{
  enum { ROUNDS = 300 };
  struct pair p;
  struct quic_limits limits = pair_limits();
  uint8_t packet[1400];
  uint64_t seed = 7;
  struct rng rng = rng_seeded(&seed);
  (void)state;
  pair_init(&p);
  limits.handshakes_retry = 5;
  limits.handshake_timeout_ns = NS_PER_S;
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  int fd = raw_socket(quic_endpoint_address(p.server.ep));
  for (int i = 0; i < ROUNDS; i++) {
    rng_fill(&rng, packet, sizeof packet);
    size_t n = 1 + rng_below(&rng, sizeof packet);
    if (i % 2) { /* looks like an Initial */
      static const uint8_t head[] = {0xc3, 0, 0, 0, 1, 8};
      memcpy(packet, head, sizeof head);
      packet[14] = 4;
      packet[19] = 0;    /* no token */
      packet[20] = 0x45; /* length 1375 */
      packet[21] = 0x5f;
      n = sizeof packet;
    }
    ssize_t sent = send(fd, packet, n, 0);
    (void)sent;
    if (i % 16 == 0)
      pair_turn(&p);
  }
  close(fd);
  pair_connect(&p);
  RUN_UNTIL(&p, p.server.ep->handshakes == 0);
  pair_destroy(&p);
}

/* A valid first packet, with one byte wrong. */
static void damaged_initials(void **state)
{
  struct net n;
  struct quic_limits limits = pair_limits();
  uint8_t packet[2000];
  (void)state;
  pair_init(&n.p);
  pair_client(&n.p, &limits);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_storage at = {0};
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
  getsockname(fd, (struct sockaddr *)&at, &len);
  struct transport *t = pair_start(&n.p, (struct sockaddr *)&at, lite06, NULL);
  ssize_t size = raw_answer(&n.p, fd, packet, sizeof packet);
  transport_close(t, 0, "");
  RUN_UNTIL(&n.p, n.p.client.failed);
  limits.handshake_timeout_ns = NS_PER_S;
  pair_server(&n.p, &limits, lite06, "127.0.0.1:0");
  for (ssize_t i = 0; i < size && i < 1300; i += 3) {
    packet[i] ^= 0x55;
    sendto(fd, packet, (size_t)size, 0, (const struct sockaddr *)quic_endpoint_address(n.p.server.ep),
           sizeof(struct sockaddr_in));
    packet[i] ^= 0x55;
    pair_turn(&n.p);
  }
  close(fd);
  n.p.client.failed = false;
  pair_connect(&n.p);
  pair_destroy(&n.p);
}

/* ---- a socket that is often full ---- */

struct narrow {
  struct udp base;
  struct udp *inner;
  struct deferred open;
  struct worker *worker;
  uint64_t seed;
  size_t refusals;
};

static void narrow_open(struct deferred *d, uint64_t now)
{
  struct narrow *u = container_of(d, struct narrow, open);
  (void)now;
  u->base.events->writable(u->base.ctx);
}

static size_t narrow_send(struct udp *base, const struct udp_train *t)
{
  struct narrow *u = (struct narrow *)base;
  struct rng rng = rng_seeded(&u->seed);
  struct udp_train part = *t;
  size_t packets = (t->n + t->segment - 1) / t->segment, take = rng_below(&rng, packets + 1);
  if (take < packets)
    part.n = take * t->segment;
  if (part.n > 0)
    u->inner->ops->send(u->inner, &part);
  if (take < packets) {
    u->refusals++;
    worker_defer(u->worker, &u->open);
  }
  return part.n;
}

static void narrow_watch(struct udp *base)
{
  (void)base;
}

static void narrow_free(struct udp *base)
{
  struct narrow *u = (struct narrow *)base;
  worker_defer_cancel(&u->open);
  u->inner->ops->free(u->inner);
}

static void narrow_packet(void *ctx, const struct udp_packet *p)
{
  struct narrow *u = ctx;
  u->base.events->packet(u->base.ctx, p);
}

static void full_socket(void **state)
{
  static const struct udp_ops ops = {narrow_send, narrow_watch, narrow_free};
  static const struct udp_events events = {.packet = narrow_packet};
  struct pair p;
  struct quic_limits limits = pair_limits();
  struct narrow narrow = {.base.ops = &ops, .seed = 3};
  struct flow f = {0};
  struct err err;
  (void)state;
  pair_init(&p);
  pair_server(&p, &limits, lite06, "127.0.0.1:0");
  narrow.worker = &p.worker;
  deferred_init(&narrow.open, narrow_open);
  assert_int_equal(udp_socket_new(&p.worker, "127.0.0.1:0", true, &narrow.inner, &err), 0);
  narrow.inner->events = &events;
  narrow.inner->ctx = &narrow;
  narrow.base.address = narrow.inner->address;
  struct quic_endpoint_config config = p.server.ep->config;
  config.tls = NULL;
  config.ctx = &p.client;
  assert_int_equal(quic_endpoint_new_on(&config, &narrow.base, &p.client.ep, &err), 0);
  p.server.echo = true;
  pair_dial(&p, NULL, lite06, NULL);
  flow_open(&f, &p.client, true, 4 << 20, true);
  RUN_UNTIL(&p, f.closed);
  assert_int_equal(f.received, 4 << 20);
  assert_true(narrow.refusals > 10);
  pair_destroy(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loss_and_reordering),
      cmocka_unit_test(new_client_address),
      cmocka_unit_test(restarted_server),
      cmocka_unit_test(lost_close),
      cmocka_unit_test(version_negotiation),
      cmocka_unit_test(resets_are_limited),
      cmocka_unit_test(garbage),
      cmocka_unit_test(damaged_initials),
      cmocka_unit_test(full_socket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
