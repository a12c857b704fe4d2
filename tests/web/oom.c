/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails each allocation of a server's start and of some requests in turn: refused or closed, never
 * a crash, a leak or a hanging client. */
#include "support/oom.h"
#include "world.h"
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#define ROUNDS_MAX 500
#define TURNS 30 /* enough for a request to get as far as it can */

static void starting(void **state)
{
  long round = 0;
  (void)state;
  for (bool failed = true; failed; round++) {
    struct world w;
    struct err err = {""};
    assert_true(round < ROUNDS_MAX);
    world_init(&w, NULL);
    w.config.web_root = "/tmp";
    oom_after(round, 1);
    int rc = http_server_new(&w.config, &w.http, &err);
    failed = oom_end();
    assert_int_equal(rc < 0, failed);
    world_destroy(&w);
  }
  assert_true(round > 2);
}

static void ends_in(struct world *w, struct client *c)
{
  struct answer a;
  world_until(w, client_turn(c));
  if (c->n > 0) {
    answer_parse(c, &a);
    assert_true(a.status == 200 || a.status == 404 || a.status == 500 || a.status == 503);
  }
  client_close(c);
}

static bool requests_with_failure(long round)
{
  static const char *const targets[] = {"/announced/b", "/fetch/b/t", "/fetch/later/t", "/none.html"};
  enum { N = sizeof targets / sizeof *targets };
  struct world w;
  struct publisher p;
  struct client c[N];
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  for (size_t i = 0; i < N; i++) {
    char text[128];
    client_open(&c[i], &w);
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", targets[i]);
    client_send(&c[i], text);
  }
  oom_after(round, 1);
  for (int i = 0; i < TURNS; i++)
    world_turn(&w);
  bool failed = oom_end();
  if (p.track && p.track->latest_n > 0) {
    struct group *g = publisher_group(&p, 0);
    frame(g, "x");
    assert_int_equal(group_finish(g), 0);
    group_unref(g);
  }
  client_turn(&c[2]);
  client_close(&c[2]); /* it would wait */
  for (size_t i = 0; i < N; i++) {
    if (i != 2)
      ends_in(&w, &c[i]);
  }
  expect(&w, "GET /health", 200, "ok\n");
  publisher_stop(&p, true);
  world_destroy(&w);
  return failed;
}

static void requests(void **state)
{
  long round = 0;
  (void)state;
  while (requests_with_failure(round))
    assert_true(++round < ROUNDS_MAX);
  assert_true(round > 10);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(starting), cmocka_unit_test(requests)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
