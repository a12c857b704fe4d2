/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What sessions cost in which nothing happens: packets, and the milliseconds in which the server has something to do, in
 * virtual time. There may be thousands of them. */
#include "net/quic_impl.h"
#include "quic_pair.h"
#include "support/sim.h"

#define SESSIONS 40
#define SPREAD_NS (137 * NS_PER_MS) /* between two that come */
#define SETTLE_NS (5 * NS_PER_S)    /* path MTU discovery */
#define MINUTE (60 * NS_PER_S)
#define PER_MINUTE 60 /* of a session, both ways: 22 PINGs, 22 ACKs, every other one asks for an ACK itself */
#define MOMENTS 800   /* of the server in a minute; 2000 when each session has its own */

static const char *const lite06[] = {"moq-lite-06", NULL};

struct crowd {
  struct pair p;
  uint64_t packets, moments;
};

static uint64_t packets(const struct pair *p)
{
  return p->server.ep->udp->stats.sent_packets + p->client.ep->udp->stats.sent_packets;
}

static uint64_t received(const struct pair *p)
{
  uint64_t n = 0;
  list_for_each (it, &p->server.ep->conns)
    n += container_of(it, struct quic_conn, link)->bytes_received;
  return n;
}

/* Counts packets, and the milliseconds in which the server sends or receives. */
static void count(struct crowd *c, uint64_t ns)
{
  struct pair *p = &c->p;
  uint64_t until = p->worker.now + ns, at = 0, before = packets(p);
  while (p->worker.now < until) {
    uint64_t work = p->server.ep->udp->stats.sends + received(p);
    pair_turn(p);
    uint64_t now = p->worker.now / NS_PER_MS;
    bool worked = p->server.ep->udp->stats.sends + received(p) != work;
    c->moments += worked && now != at;
    at = worked ? now : at;
  }
  c->packets = packets(p) - before;
}

static void come(struct crowd *c, uint64_t server_keep_alive, uint64_t client_keep_alive)
{
  struct pair *p = &c->p;
  struct quic_limits limits = pair_limits();
  *c = (struct crowd){0};
  pair_init_sim(p, 1);
  p->net.delay_ns = 10 * NS_PER_MS;
  limits.handshakes_retry = SESSIONS + 1;
  limits.keep_alive_ns = server_keep_alive;
  pair_server(p, &limits, lite06, NULL);
  limits.keep_alive_ns = client_keep_alive;
  pair_client(p, &limits);
  for (int i = 0; i < SESSIONS; i++) {
    p->client.t = NULL;
    pair_dial(p, NULL, lite06, NULL);
    assert_false(p->client.failed);
    sim_run(&p->worker, SPREAD_NS);
  }
  sim_run(&p->worker, SETTLE_NS);
}

static void expect_all(struct crowd *c)
{
  assert_int_equal(quic_endpoint_connections(c->p.server.ep), SESSIONS);
  assert_false(c->p.server.closed || c->p.client.closed);
}

static void minute_of_idling(uint64_t server_keep_alive, uint64_t client_keep_alive)
{
  struct crowd c;
  come(&c, server_keep_alive, client_keep_alive);
  count(&c, MINUTE);
  expect_all(&c);
  print_message("%.1f packets a session, %.1f moments a second\n", (double)c.packets / SESSIONS,
                (double)c.moments / 60);
  assert_in_range(c.packets, 1, PER_MINUTE * SESSIONS);
  assert_in_range(c.moments, 1, MOMENTS);
  pair_destroy(&c.p);
}

/* Both sides keep the connection alive: one of them is enough. */
static void both_keep_alive(void **state)
{
  (void)state;
  minute_of_idling(3 * NS_PER_S, 3 * NS_PER_S);
}

/* Who says nothing of its own is kept all the same. */
static void silent_clients(void **state)
{
  (void)state;
  minute_of_idling(3 * NS_PER_S, 0);
}

/* Nobody hears of a connection for longer than was asked for. */
static void no_later_than_asked(void **state)
{
  struct crowd c;
  (void)state;
  come(&c, 3 * NS_PER_S, 0);
  struct pair *p = &c.p;
  for (int i = 0; i < 10; i++) {
    uint64_t sent[SESSIONS];
    size_t n = 0;
    list_for_each (it, &p->server.ep->conns)
      sent[n++] = container_of(it, struct quic_conn, link)->bytes_sent;
    sim_run(&p->worker, 3 * NS_PER_S);
    n = 0;
    list_for_each (it, &p->server.ep->conns)
      assert_true(container_of(it, struct quic_conn, link)->bytes_sent > sent[n++]);
  }
  expect_all(&c);
  pair_destroy(p);
}

/* What the operator has turned off is off. */
static void off(void **state)
{
  struct crowd c;
  (void)state;
  come(&c, 0, 0);
  RUN_UNTIL(&c.p, c.p.server.closed);
  assert_string_equal(c.p.server.text, "idle timeout");
  pair_destroy(&c.p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_keep_alive),
      cmocka_unit_test(silent_clients),
      cmocka_unit_test(no_later_than_asked),
      cmocka_unit_test(off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
