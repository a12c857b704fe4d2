/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* web.allow_origin: whose pages may read the answers. */
#include "world.h"

static const char *const listed[] = {"https://a.example", "http://localhost:8080"};

static void begin(struct world *w, const char *const *origins, size_t n)
{
  world_init(w, NULL);
  w->config.allow_origin = origins;
  w->config.allow_origin_count = n;
  world_start(w);
}

/* What access-control-allow-origin says to a page of `origin`. */
static void expect_origin(struct world *w, const char *line, const char *origin, const char *want, const char *vary)
{
  struct client c;
  struct answer a;
  request(w, &c, &a, line, origin);
  assert_int_equal(a.status, 200);
  const char *got = header(&a, "access-control-allow-origin");
  if (want)
    assert_string_equal(got, want);
  else
    assert_null(got);
  got = header(&a, "vary");
  if (vary)
    assert_string_equal(got, vary);
  else
    assert_null(got);
  client_close(&c);
}

#define A "origin: https://a.example\r\n"
#define ASKED "origin, access-control-request-method, access-control-request-headers"

static void everybody(void **state)
{
  static const char *const all[] = {"https://a.example", "*"};
  struct world w;
  begin(&w, all, 2);
  expect_origin(&w, "GET /health", A, "*", NULL);
  expect_origin(&w, "GET /health", "", "*", NULL);
  expect_origin(&w, "HEAD /health", A, NULL, NULL);
  world_destroy(&w);
}

static void those_listed(void **state)
{
  struct world w;
  begin(&w, listed, 2);
  expect_origin(&w, "GET /health", A, "https://a.example", "origin");
  expect_origin(&w, "GET /announced", "origin: http://localhost:8080\r\n", "http://localhost:8080", "origin");
  expect_origin(&w, "GET /health", "origin: https://b.example\r\n", NULL, "origin");
  expect_origin(&w, "GET /health", "origin: https://a.example.evil\r\n", NULL, "origin");
  expect_origin(&w, "GET /health", "origin: null\r\n", NULL, "origin");
  expect_origin(&w, "GET /health", "", NULL, "origin");
  expect_origin(&w, "OPTIONS /fetch/a/b", A, "https://a.example", ASKED);
  expect_origin(&w, "OPTIONS /fetch/a/b", "origin: https://b.example\r\n", NULL, ASKED);
  world_destroy(&w);
}

static void nobody(void **state)
{
  struct world w;
  begin(&w, NULL, 0);
  expect_origin(&w, "GET /health", A, NULL, "origin");
  expect_origin(&w, "OPTIONS /health", A, NULL, ASKED);
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(everybody), cmocka_unit_test(those_listed),
                                     cmocka_unit_test(nobody)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
