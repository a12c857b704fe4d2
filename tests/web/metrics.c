/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The internal listener: its text, and that it has nothing else. */
#include "web/metrics.h"
#include "world.h"

static size_t some(void *ctx, struct gauge *ret_rows, size_t max)
{
  static const struct gauge rows[] = {
      {"moq_relay_sessions", "Sessions.", NULL, NULL, 7},
      {"moq_relay_memory_bytes", "Memory.", "class", "cache", 1},
      {"moq_relay_memory_bytes", "Memory.", "class", "queues", UINT64_MAX},
  };
  assert_true(max >= 3);
  memcpy(ret_rows, rows, sizeof rows);
  return *(size_t *)ctx;
}

static void families(void **state)
{
  static const char gauges[] = "# HELP moq_relay_sessions Sessions.\n# TYPE moq_relay_sessions gauge\n"
                               "moq_relay_sessions 7\n"
                               "# HELP moq_relay_memory_bytes Memory.\n# TYPE moq_relay_memory_bytes gauge\n"
                               "moq_relay_memory_bytes{class=\"cache\"} 1\n"
                               "moq_relay_memory_bytes{class=\"queues\"} 18446744073709551615\n";
  size_t n = 3;
  struct metrics_source source = {.gauges = some, .ctx = &n};
  struct buf b = {0};
  metrics_write(&source, &b);
  assert_true(slice_eq(buf_slice(&b), slice_str(gauges)));
  buf_destroy(&b);
  n = 0;
  metrics_write(&source, &b);
  assert_int_equal(b.n, 0);
}

static void counters(void **state)
{
  struct limits counts = {.hits[LIMIT_ANNOUNCES] = 3};
  struct metrics_source source = {.counts = &counts};
  struct buf b = {0};
  metrics_write(&source, &b);
  buf_u8(&b, '\0');
  const char *text = (const char *)b.p, *line = text;
  assert_int_equal(strncmp(text, "# HELP moq_relay_limit_hits_total ", 34), 0);
  assert_non_null(strstr(text, "\nmoq_relay_limit_hits_total{limit=\"limits.announces\"} 3\n"));
  unsigned lines = 0;
  for (; (line = strchr(line, '\n')) != NULL; line++)
    lines++;
  assert_int_equal(lines, LIMITS + 2);
  buf_destroy(&b);
}

static void nothing_but_that(void **state)
{
  struct world w;
  struct limits counts = {0};
  struct metrics_source source = {.counts = &counts};
  struct client c;
  struct answer a;
  world_init(&w, NULL);
  w.config.metrics = &source;
  world_start(&w);
  expect(&w, "GET /health", 200, "ok\n");
  expect(&w, "GET /metrics", 200, NULL);
  expect(&w, "GET /metrics/more", 404, NULL);
  expect(&w, "GET /", 404, NULL);
  expect(&w, "GET /announced", 404, NULL);
  expect(&w, "GET /certificate.sha256", 404, NULL);
  expect(&w, "OPTIONS /metrics", 405, NULL);
  expect(&w, "POST /metrics", 405, NULL);
  request(&w, &c, &a, "GET /metrics", "origin: https://a.example\r\n");
  assert_string_equal(header(&a, "content-type"), "text/plain; version=0.0.4");
  assert_null(header(&a, "access-control-allow-origin"));
  client_close(&c);
  world_destroy(&w);
}

static void the_public_has_none_of_it(void **state)
{
  struct world w;
  world_init(&w, NULL);
  world_start(&w);
  expect(&w, "GET /metrics", 404, NULL);
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(families),
      cmocka_unit_test(counters),
      cmocka_unit_test(nothing_but_that),
      cmocka_unit_test(the_public_has_none_of_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
