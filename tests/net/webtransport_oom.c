/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A session from its CONNECT to its end, with each allocation failing in turn: nothing leaks,
 * nothing crashes, and both ends hear how it ended. */
#include "support/oom.h"
#include "webtransport_peers.h"
#include <stdio.h>

static const char *const protocols[] = {"moq-lite-06", NULL};

/* True when an allocation did fail. */
static bool session_with_failure(struct pair *p, long nth)
{
  struct mem_config config = mem_config_default();
  config.jitter_ns = 5 * NS_PER_MS;
  *p = (struct pair){.accept = "moq-lite-06"};
  pair_start(p, &config);
  oom_after(nth, 1);
  int rc = wt_serve(mem_server(p->mem), &p->w, NULL, pair_server_events, p);
  if (rc == 0 && mem_client(p->mem))
    rc = wt_connect(mem_client(p->mem), &p->w, NULL, "localhost", "/", protocols, pair_dial_events, p);
  sim_run(&p->w, rc == 0 ? NS_PER_S : 0);
  bool up = p->up && p->server.t;
  for (int i = 0; i < 4 && up && p->client.t && p->server.t; i++)
    flow_try(i % 2 ? &p->client : &p->server, i >= 2, slice_str("hello"), i == 0);
  sim_run(&p->w, rc == 0 ? NS_PER_S : 0);
  if (p->client.t && p->up)
    transport_close(p->client.t, 5, "done");
  sim_run(&p->w, rc == 0 ? 20 * NS_PER_S : 0);
  bool failed = oom_end();
  if (rc == 0) {
    assert_true(p->up || p->failed || p->gone || !failed);
    assert_true(!p->up || p->client.closed);
  }
  pair_down(p);
  return failed;
}

static void each_allocation_in_turn(void **state)
{
  static struct pair p;
  long n = 0;
  while (session_with_failure(&p, n))
    assert_true(++n < 2000);
  assert_true(n > 20);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_in_turn)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
