/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "quic_pair.h"
#include <errno.h>
#include <string.h>

static const char *const lite06[] = {"moq-lite-06", NULL};

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
  assert_int_equal(quic_endpoint_connections(p.server.ep), 1);
  pair_destroy(&p);
}

static void echo(void **state)
{
  struct pair p;
  struct flow f = {.pull_max = 5000, .hold = 100000};
  (void)state;
  pair_init(&p);
  p.server.echo = true;
  p.server.hold = 300000;
  pair_connect(&p);
  flow_open(&f, &p.client, true, 20 << 20, true);
  RUN_UNTIL(&p, f.closed && p.server.flows[0].closed);
  assert_int_equal(f.received, 20 << 20);
  assert_int_equal(f.acked, 20 << 20);
  assert_true(f.fin_received);
  assert_false(f.was_reset || f.was_stopped);
  pair_destroy(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(handshake),
      cmocka_unit_test(echo),
  };
  (void)lite06;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
