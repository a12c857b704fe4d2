/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes that are no request, requests that are too much, clients that are too many. The server
 * lives on. */
#include "world.h"
#include "web/exchange.h"
#include <stdlib.h>

static void answered(struct world *w, const char *text, unsigned status)
{
  struct client c;
  struct answer a;
  client_open(&c, w);
  client_send(&c, text);
  world_until(w, client_turn(&c) || strstr(c.data, "\r\n\r\n"));
  answer_parse(&c, &a);
  if (a.status != status)
    fail_msg("%.60s...: status %u, expected %u", text, a.status, status);
  client_close(&c);
}

static char *repeat(const char *before, char c, size_t n, const char *after)
{
  char *text = malloc(strlen(before) + n + strlen(after) + 1);
  assert_non_null(text);
  strcpy(text, before);
  memset(text + strlen(before), c, n);
  strcpy(text + strlen(before) + n, after);
  return text;
}

static void too_long(void **state)
{
  struct world w;
  (void)state;
  struct limits counts = {0};
  world_init(&w, NULL);
  w.config.counts = &counts;
  world_start(&w);
  char *text = repeat("GET /announced/", 'a', HTTP_REQUEST_BYTES, " HTTP/1.1\r\nhost: a\r\n\r\n");
  answered(&w, text, 414);
  free(text);
  text = repeat("GET /announced/", 'a', 2 * HTTP_CLIENT_MEMORY, " HTTP/1.1\r\nhost: a\r\n\r\n");
  answered(&w, text, 414);
  free(text);
  text = repeat("GET /health HTTP/1.1\r\nhost: a\r\nx: ", 'a', 2 * HTTP_CLIENT_MEMORY, "\r\n\r\n");
  answered(&w, text, 431);
  free(text);
  text = repeat("GET /health HTTP/1.1\r\nhost: a\r\nx: ", 'a', HTTP_REQUEST_BYTES, "\r\n\r\n");
  answered(&w, text, 431);
  free(text);
  assert_int_equal(counts.hits[LIMIT_HTTP_REQUEST_BYTES], 4);
  text = repeat("GET /announced/", 'a', 2000, " HTTP/1.1\r\nhost: a\r\n\r\n");
  answered(&w, text, 400); /* no broadcast can have such a path */
  free(text);
  text = repeat("GET /fetch/b/", 'a', TRACK_NAME_MAX + 1, " HTTP/1.1\r\nhost: a\r\n\r\n");
  answered(&w, text, 400);
  free(text);
  world_destroy(&w);
}

static void bodies(void **state)
{
  struct world w;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  answered(&w, "GET /health HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 413);
  answered(&w, "GET /health HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n", 413);
  answered(&w,
           "GET /health HTTP/1.1\r\nhost: a\r\ntransfer-encoding: "
           "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
           413);
  answered(&w, "OPTIONS /health HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 413);
  answered(&w, "GET /health HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", 200);
  answered(&w, "POST /health HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\nhello", 405);
  answered(&w, "PUT /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n", 404);
  answered(&w, "GET /fetch/a/b HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx", 413);
  world_destroy(&w);
}

/* Whatever comes is answered with an error or the connection closes; nothing hangs, and the next
 * client is served. */
static void garbage(void **state)
{
  static const char *const texts[] = {
      "\r\n\r\n\r\n\r\n",
      "GET\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET x HTTP/1.1\r\nhost: a\r\n\r\n",
      "GET ?x HTTP/1.1\r\nhost: a\r\n\r\n",
      "GET  HTTP/1.1\r\nhost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999\r\n\r\n",
      "GET / HTTP/1.1\r\n: empty\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
      "CONNECT host:443 HTTP/1.1\r\nhost: a\r\n\r\n",
  };
  struct world w;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct client c;
    client_open(&c, &w);
    client_send(&c, texts[i]);
    for (int k = 0; k < 20 && !client_turn(&c); k++)
      world_turn(&w);
    world_skip(&w, HTTP_HEADER_NS + 1);
    world_until(&w, client_turn(&c));
    client_close(&c);
    expect(&w, "GET /health", 200, "ok\n");
  }
  world_destroy(&w);
}

static void random_bytes(void **state)
{
  uint64_t seed = 7;
  struct rng rng = rng_seeded(&seed);
  struct world w;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  for (int i = 0; i < 200; i++) {
    char text[64] = "GET /fetch/a/b HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n";
    struct client c;
    for (uint64_t k = rng_below(&rng, 6) + 1; k > 0; k--)
      text[rng_below(&rng, 40)] = (char)(1 + rng_below(&rng, 255));
    client_open(&c, &w);
    client_send(&c, text);
    for (int k = 0; k < 5; k++)
      world_turn(&w);
    if (i & 1)
      client_close(&c);
    else
      client_abort(&c);
  }
  expect(&w, "GET /health", 200, "ok\n");
  world_destroy(&w);
}

/* A client that sends a byte now and then does not keep its place for ever. */
static void a_dripping_header(void **state)
{
  static const char text[] = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
  struct world w;
  struct client c;
  size_t n = 0;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  client_open(&c, &w);
  for (; n + 1 < sizeof text && !client_turn(&c); n++) {
    client_send(&c, (char[]){text[n], '\0'});
    world_skip(&w, HTTP_HEADER_NS / 10);
    world_turn(&w);
  }
  assert_true(n < 15);
  client_close(&c);
  world_destroy(&w);
}

/* Every prefix of a request, then the client leaves. */
static void unfinished_requests(void **state)
{
  static const char text[] = "GET /announced HTTP/1.1\r\nhost: a\r\n\r\n";
  struct world w;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  for (size_t n = 0; n < sizeof text; n++) {
    char part[sizeof text] = "";
    struct client c;
    memcpy(part, text, n);
    client_open(&c, &w);
    client_send(&c, part);
    for (int k = 0; k < 3; k++)
      world_turn(&w);
    client_close(&c);
  }
  expect(&w, "GET /health", 200, "ok\n");
  world_destroy(&w);
}

/* Those above the limit wait in the listener's queue until somebody leaves. */
static void too_many_clients(void **state)
{
  enum { LIMIT = 4, N = 10 };
  static const char text[] = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
  struct world w;
  struct client c[N];
  (void)state;
  world_init(&w, NULL);
  w.config.clients = LIMIT;
  world_start(&w);
  for (int i = 0; i < N; i++) {
    client_open(&c[i], &w);
    client_send(&c[i], text);
  }
  for (int i = 0; i < N; i++) {
    if (i < LIMIT)
      world_until(&w, client_turn(&c[i]) || strstr(c[i].data, "ok\n"));
    else
      assert_false(client_turn(&c[i]));
  }
  size_t served = 0;
  for (int i = 0; i < N; i++)
    served += c[i].n > 0;
  assert_int_equal(served, LIMIT);
  for (int i = 0; i < N; i++) {
    world_until(&w, client_turn(&c[i]) || strstr(c[i].data, "ok\n"));
    client_close(&c[i]);
  }
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(too_long),
      cmocka_unit_test(bodies),
      cmocka_unit_test(garbage),
      cmocka_unit_test(random_bytes),
      cmocka_unit_test(unfinished_requests),
      cmocka_unit_test(a_dripping_header),
      cmocka_unit_test(too_many_clients),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
