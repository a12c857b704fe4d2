/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What each path answers, with all methods; CORS; who may list what. */
#include "world.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static void certificate(void **state)
{
  struct world w;
  struct err err;
  char hex[65];
  static const char *const hosts[] = {"localhost"};
  struct tls_server_config config = {.generate = hosts, .generate_count = 1};
  struct clock clock = clock_system();
  (void)state;
  world_init(&w, NULL);
  assert_int_equal(tls_server_new(&config, clock_wall_us(&clock) / 1000000, &w.tls, &err), 0);
  world_start(&w);
  tls_server_fingerprint(w.tls, hex);
  assert_int_equal(strlen(hex), 64);
  struct client c;
  struct answer a;
  request(&w, &c, &a, "GET /certificate.sha256", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(a.body, hex);
  assert_string_equal(header(&a, "content-type"), "text/plain; charset=utf-8");
  assert_string_equal(header(&a, "access-control-allow-origin"), "*");
  client_close(&c);
  world_destroy(&w);
}

static void fixed_answers(void **state)
{
  struct world w;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  expect(&w, "GET /health", 200, "ok\n");
  expect(&w, "GET /certificate.sha256", 404, "no certificate\n");
  expect(&w, "GET /announced", 200, "");
  expect(&w, "GET /health/", 404, NULL);
  expect(&w, "GET /healthy", 404, NULL);
  expect(&w, "GET /announced/", 404, NULL);
  expect(&w, "GET /challenge", 501, NULL);
  expect(&w, "POST /unknown", 404, NULL);
  expect(&w, "GET http://localhost/health", 200, "ok\n");
  expect(&w, "GET /fetch", 400, NULL);
  expect(&w, "GET /fetch/", 400, NULL);
  expect(&w, "GET /fetch/only", 400, NULL);
  expect(&w, "GET /fetch/a/", 400, NULL);
  expect(&w, "GET /fetch/a/b?group=x", 400, "group: neither a number nor \"latest\"\n");
  expect(&w, "GET /fetch/a/b?group=", 400, NULL);
  expect(&w, "GET /fetch/a/b?group=-1", 400, NULL);
  expect(&w, "GET /fetch/a%/b", 400, NULL);
  expect(&w, "GET /announced/a%0", 400, NULL);
  expect(&w, "GET /announced/a%00", 400, NULL);
  expect(&w, "GET /%zz", 400, NULL);
  world_destroy(&w);
}

static void plain_page(void **state)
{
  struct world w;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  request(&w, &c, &a, "GET /", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-type"), "text/html; charset=utf-8");
  assert_non_null(strstr(a.body, "<h1>moq-relay</h1>"));
  assert_non_null(strstr(a.body, MOQ_VERSION));
  assert_non_null(strstr(a.body, "/fetch/BROADCAST/TRACK"));
  client_close(&c);
  request(&w, &c, &a, "GET /nothing/here", "");
  assert_int_equal(a.status, 404);
  assert_string_equal(header(&a, "content-type"), "text/html; charset=utf-8");
  assert_non_null(strstr(a.body, "<h1>moq-relay</h1>"));
  client_close(&c);
  world_destroy(&w);
}

static void other_methods(void **state)
{
  struct world w;
  struct client c;
  struct answer a;
  static const char *const lines[] = {"POST /health", "DELETE /certificate.sha256", "PUT /announced",
                                      "PATCH /fetch/a/b", "POST /announced/x"};
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    request(&w, &c, &a, lines[i], "");
    assert_int_equal(a.status, 405);
    assert_string_equal(header(&a, "allow"), "GET,HEAD");
    client_close(&c);
    request(&w, &c, &a, lines[i], "content-length: 5\r\n\r\nhello");
    assert_int_equal(a.status, 405);
    client_close(&c);
  }
  world_destroy(&w);
}

static void head(void **state)
{
  struct world w;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  request(&w, &c, &a, "HEAD /health", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-length"), "3");
  assert_null(header(&a, "access-control-allow-origin"));
  assert_int_equal(a.body_n, 0);
  client_close(&c);
  world_destroy(&w);
}

static void preflight(void **state)
{
  struct world w;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  request(&w, &c, &a, "OPTIONS /announced",
          "origin: https://x\r\naccess-control-request-method: "
          "GET\r\naccess-control-request-headers: x-a, x-b\r\n");
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "access-control-allow-origin"), "*");
  assert_string_equal(header(&a, "access-control-allow-methods"), "GET");
  assert_string_equal(header(&a, "access-control-allow-headers"), "x-a, x-b");
  client_close(&c);
  request(&w, &c, &a, "OPTIONS /anything", "");
  assert_int_equal(a.status, 200);
  assert_null(header(&a, "access-control-allow-headers"));
  client_close(&c);
  request(&w, &c, &a, "OPTIONS *", "");
  assert_int_equal(a.status, 200);
  client_close(&c);
  world_destroy(&w);
}

static void websocket(void **state)
{
  struct world w;
  struct client c;
  struct answer a;
  static const char headers[] = "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: aGVsbG8=\r\n";
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  request(&w, &c, &a, "GET /", headers);
  assert_int_equal(a.status, 501);
  client_close(&c);
  request(&w, &c, &a, "GET /any/path?jwt=x", headers);
  assert_int_equal(a.status, 501);
  client_close(&c);
  world_destroy(&w);
}

static void keep_alive(void **state)
{
  struct world w;
  struct client c;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  client_open(&c, &w);
  client_send(&c, "GET /health HTTP/1.1\r\nhost: a\r\n\r\nGET /announced HTTP/1.1\r\nhost: a\r\n\r\n"
                  "GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  world_until(&w, client_turn(&c));
  size_t oks = 0;
  for (const char *at = c.data; (at = strstr(at, "HTTP/1.1 200")); at++)
    oks++;
  assert_int_equal(oks, 3);
  client_close(&c);
  world_destroy(&w);
}

/* ---- announced ---- */

static void listing(void **state)
{
  static const char *const paths[] = {"demo", "demo/a", "demo/b/c", ".stats/node/a", "demo/.secret/x", "demonstration"};
  enum { N = sizeof paths / sizeof *paths };
  struct world w;
  struct publisher p[N];
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  for (size_t i = 0; i < N; i++)
    publisher_start(&p[i], &w, paths[i]);
  expect(&w, "GET /announced", 200, "demo\ndemo/a\ndemo/b/c\ndemonstration");
  expect(&w, "GET /announced/demo", 200, "\na\nb/c");
  expect(&w, "GET /announced/demo/b", 200, "c");
  expect(&w, "GET /announced//demo//b/", 200, "c");
  expect(&w, "GET /announced/d%65mo/b", 200, "c");
  expect(&w, "GET /announced/.stats", 200, "node/a");
  expect(&w, "GET /announced/none", 200, "");
  expect(&w, "GET /announced?jwt=", 200, NULL);
  expect(&w, "GET /announced?jwt=x", 401, "");
  publisher_stop(&p[1], true);
  expect(&w, "GET /announced/demo", 200, "\nb/c");
  for (size_t i = 0; i < N; i++) {
    if (i != 1)
      publisher_stop(&p[i], true);
  }
  world_destroy(&w);
}

static void listing_what_is_public(void **state)
{
  static const char *const rules[] = {"open", "anon/x", "anon", "anon", NULL};
  static const char *const paths[] = {"open/1", "anon/x/2", "anon/3", "closed/4"};
  struct world w;
  struct publisher p[4];
  (void)state;
  world_init(&w, rules);
  w.config.wait_ns = NS_PER_MS;
  world_start(&w);
  for (size_t i = 0; i < 4; i++)
    publisher_start(&p[i], &w, paths[i]);
  expect(&w, "GET /announced", 200, "open/1\nanon/x/2\nanon/3");
  expect(&w, "GET /announced/anon", 200, "3\nx/2");
  expect(&w, "GET /announced/anon/x", 200, "2");
  expect(&w, "GET /announced/closed", 401, "");
  expect(&w, "GET /announced/anonymous", 401, "");
  expect(&w, "GET /fetch/closed/4/video", 401, "");
  expect(&w, "GET /fetch/open/video%3Fjwt", 504, NULL);
  for (size_t i = 0; i < 4; i++)
    publisher_stop(&p[i], true);
  world_destroy(&w);
}

static void long_listing(void **state)
{
  enum { N = 3000 };
  static struct publisher p[N];
  struct world w;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  for (size_t i = 0; i < N; i++) {
    char path[64];
    snprintf(path, sizeof path, "a-broadcast-with-a-longish-name/%05zu", i);
    publisher_start(&p[i], &w, path);
  }
  request(&w, &c, &a, "GET /announced/a-broadcast-with-a-longish-name", "");
  assert_int_equal(a.status, 200);
  assert_true(a.whole);
  assert_int_equal(a.body_n, N * 6 - 1);
  client_close(&c);
  for (size_t i = 0; i < N; i++)
    publisher_stop(&p[i], true);
  world_destroy(&w);
}

/* ---- starting ---- */

static bool short_of_memory(void *ctx)
{
  return *(bool *)ctx;
}

/* What would hold something for its client is refused then; what tells others how the relay does is not. */
static void memory_is_short(void **state)
{
  struct world w;
  bool is_short = true;
  (void)state;
  world_init(&w, NULL);
  w.config.full = short_of_memory;
  w.config.full_ctx = &is_short;
  world_start(&w);
  expect(&w, "GET /announced", 503, NULL);
  expect(&w, "GET /fetch/a/b", 503, NULL);
  expect(&w, "GET /health", 200, NULL);
  is_short = false;
  expect(&w, "GET /announced", 200, "");
  world_destroy(&w);
}

static void port_in_use(void **state)
{
  struct world w;
  struct http_server *second = NULL;
  struct err err = {""};
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  snprintf(w.listen, sizeof w.listen, "127.0.0.1:%u",
           ntohs(((const struct sockaddr_in *)http_server_address(w.http))->sin_port));
  assert_int_equal(http_server_new(&w.config, &second, &err), -EADDRINUSE);
  assert_non_null(strstr(err.text, w.listen));
  assert_non_null(strstr(err.text, "in use"));
  assert_null(second);
  world_destroy(&w);
}

static void no_folder_of_the_page(void **state)
{
  struct world w;
  (void)state;
  world_init(&w, NULL);
  w.config.web_root = "/nonexistent/page";
  world_start(&w);
  expect(&w, "GET /", 200, NULL);
  expect(&w, "GET /index.html", 404, NULL);
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(certificate),
      cmocka_unit_test(fixed_answers),
      cmocka_unit_test(plain_page),
      cmocka_unit_test(other_methods),
      cmocka_unit_test(head),
      cmocka_unit_test(preflight),
      cmocka_unit_test(websocket),
      cmocka_unit_test(keep_alive),
      cmocka_unit_test(listing),
      cmocka_unit_test(listing_what_is_public),
      cmocka_unit_test(long_listing),
      cmocka_unit_test(memory_is_short),
      cmocka_unit_test(port_in_use),
      cmocka_unit_test(no_folder_of_the_page),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
