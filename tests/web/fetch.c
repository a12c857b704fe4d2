/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GET /fetch: frames as they arrive, waits and their ends, watchers that leave. */
#include "world.h"
#include <stdlib.h>
#include <sys/socket.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"

static void a_whole_group(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "demo/cam");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/demo/cam/video"));
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 7);
  frame(g, "one ");
  frame(g, "two ");
  frame(g, "three");
  assert_int_equal(group_finish(g), 0);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "transfer-encoding"), "chunked");
  assert_null(header(&a, "content-type"));
  assert_string_equal(header(&a, "access-control-allow-origin"), "*");
  assert_true(a.whole);
  assert_string_equal(a.body, "one two three");
  client_close(&c);
  expect(&w, "GET /fetch/demo/cam/video", 200, "one two three"); /* from the cache */
  expect(&w, "GET /fetch/demo/cam/video?group=latest", 200, "one two three");
  expect(&w, "GET /fetch/demo/cam/video?group=7", 200, "one two three");
  assert_int_equal(p.subscribed, 1);
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void as_it_arrives(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  world_until(&w, !client_turn(&c) && strstr(c.data, "200 OK")); /* before any frame */
  frame_begin(g, 8);
  frame_more(g, "AAAA", 4);
  world_until(&w, !client_turn(&c) && strstr(c.data, "AAAA")); /* before the frame is whole */
  frame_more(g, "BBBB", 4);
  world_until(&w, !client_turn(&c) && strstr(c.data, "BBBB"));
  frame(g, "CC");
  assert_int_equal(group_finish(g), 0);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_true(a.whole);
  assert_string_equal(a.body, "AAAABBBBCC");
  client_close(&c);
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void waits_for_the_broadcast(void **state)
{
  struct world w;
  struct publisher p, other;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  client_open(&c, &w);
  client_send(&c, GET("/fetch/later/on/t"));
  for (int i = 0; i < 50; i++)
    world_turn(&w);
  publisher_start(&other, &w, "later/on/below"); /* another one under the watch */
  for (int i = 0; i < 50; i++)
    world_turn(&w);
  assert_int_equal(client_turn(&c), false);
  assert_int_equal(c.n, 0);
  publisher_start(&p, &w, "later/on");
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  frame(g, "x");
  assert_int_equal(group_finish(g), 0);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(a.body, "x");
  client_close(&c);
  group_unref(g);
  publisher_stop(&p, true);
  publisher_stop(&other, true);
  world_destroy(&w);
}

static void gives_up_waiting(void **state)
{
  struct world w;
  struct publisher p;
  (void)state;
  world_init(&w, NULL);
  w.config.wait_ns = 50 * NS_PER_MS;
  world_start(&w);
  expect(&w, "GET /fetch/never/t", 504, "");
  expect(&w, "HEAD /fetch/never/t", 504, NULL);
  publisher_start(&p, &w, "silent");
  expect(&w, "GET /fetch/silent/t", 504, ""); /* an info, and never a group */
  p.mute = true;
  expect(&w, "GET /fetch/silent/u", 504, "");
  expect(&w, "GET /fetch/silent/t?group=3", 504, "");
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void no_such_track_or_group(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  p.refuse = true;
  expect(&w, "GET /fetch/b/none", 404, "");
  p.refuse = false;
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t?group=5"));
  world_until(&w, p.fetched == 1);
  assert_int_equal(p.fetch_sequence, 5);
  track_fetch_failed(p.track, 5, CODE_NOT_FOUND, w.worker.now);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 404);
  client_close(&c);
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t?group=6"));
  world_until(&w, p.fetched == 2);
  track_fetch_failed(p.track, 6, CODE_INTERNAL, w.worker.now);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 500);
  client_close(&c);
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t?group=7"));
  world_until(&w, p.fetched == 3);
  struct group *g = publisher_group(&p, 7);
  frame(g, "old");
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(a.body, "old");
  client_close(&c);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void the_publisher_leaves_while_waiting(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 1);
  publisher_stop(&p, true);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 404);
  client_close(&c);
  world_destroy(&w);
}

/* The client can tell: the connection ends without the last chunk. */
static void a_cut_group(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  frame_begin(g, 100);
  frame_more(g, "partial", 7);
  world_until(&w, !client_turn(&c) && strstr(c.data, "partial"));
  group_cut(g, CODE_CANCELLED);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_string_equal(a.body, "partial");
  assert_false(a.whole);
  client_close(&c);
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void an_empty_group(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_true(a.whole);
  assert_int_equal(a.body_n, 0);
  client_close(&c);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void head_of_a_group(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, "HEAD /fetch/b/t HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  frame(g, "never sent");
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_int_equal(a.body_n, 0);
  client_close(&c);
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void version_one_point_zero(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, "GET /fetch/b/t HTTP/1.0\r\n\r\n");
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  frame(g, "until the end");
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_int_equal(a.status, 200);
  assert_null(header(&a, "transfer-encoding"));
  assert_string_equal(a.body, "until the end");
  client_close(&c);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void escaped_names(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "a b/c?d");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/a%20b/c%3Fd/t%2Fu"));
  world_until(&w, p.subscribed == 1);
  assert_true(slice_eq(p.track->name, slice_str("t/u")));
  client_close(&c);
  world_until(&w, p.track->latest_n == 0);
  world_skip(&w, w.model.limits.track_linger_ns);
  world_until(&w, p.unsubscribed == 1); /* it left: nobody wants the track any more */
  publisher_stop(&p, true);
  world_destroy(&w);
}

/* A watcher that leaves, at each stage, lets go of all it held. */
static void leaving_while_waiting(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  (void)state;
  world_init(&w, NULL);
  w.model.limits.track_linger_ns = NS_PER_MS;
  world_start(&w);
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  for (int i = 0; i < 50; i++)
    world_turn(&w);
  client_close(&c);
  for (int i = 0; i < 50; i++)
    world_turn(&w);
  publisher_start(&p, &w, "b");
  for (int i = 0; i < 50; i++)
    world_turn(&w);
  assert_int_equal(p.subscribed, 0); /* nobody waits any more */
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 1);
  client_abort(&c);
  world_until(&w, p.unsubscribed == 1);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void leaving_in_the_middle(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  for (int round = 0; round < 2; round++) {
    client_open(&c, &w);
    client_send(&c, GET("/fetch/b/t"));
    if (round == 0)
      world_until(&w, p.subscribed == 1);
    struct group *g = publisher_group(&p, (uint64_t)round);
    frame(g, "some bytes");
    world_until(&w, !client_turn(&c) && strstr(c.data, "some bytes"));
    if (round == 0)
      client_close(&c);
    else
      client_abort(&c);
    world_until(&w, list_empty(&g->readers));
    frame(g, "nobody hears");
    assert_int_equal(group_finish(g), 0);
    group_unref(g);
  }
  publisher_stop(&p, true);
  world_destroy(&w);
}

/* Nobody else watches: the track stays subscribed while the group is read. */
static void a_group_that_takes_long(void **state)
{
  struct world w;
  struct publisher p;
  struct client c;
  struct answer a;
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  for (int i = 0; i < 5; i++) {
    frame(g, "x");
    world_skip(&w, w.model.limits.track_linger_ns + 1);
    world_turn(&w);
  }
  assert_int_equal(p.unsubscribed, 0);
  assert_int_equal(group_finish(g), 0);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_true(a.whole);
  assert_string_equal(a.body, "xxxxx");
  client_close(&c);
  world_skip(&w, w.model.limits.track_linger_ns + 1);
  world_until(&w, p.unsubscribed == 1);
  client_open(&c, &w);
  client_send(&c, GET("/fetch/b/t"));
  world_until(&w, p.subscribed == 2); /* not the old one, which may not be the newest any more */
  client_close(&c);
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

static void many_watchers_of_one_track(void **state)
{
  enum { N = 30 };
  struct world w;
  struct publisher p;
  static struct client c[N];
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  for (int i = 0; i < N; i++) {
    client_open(&c[i], &w);
    client_send(&c[i], GET("/fetch/b/t"));
  }
  world_until(&w, p.track && p.track->latest_n == N);
  assert_int_equal(p.subscribed, 1);
  struct group *g = publisher_group(&p, 0);
  frame(g, "for all");
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
  for (int i = 0; i < N; i++) {
    struct answer a;
    world_until(&w, client_turn(&c[i]));
    answer_parse(&c[i], &a);
    assert_true(a.whole);
    assert_string_equal(a.body, "for all");
    client_close(&c[i]);
  }
  publisher_stop(&p, true);
  world_destroy(&w);
}

/* One who does not read holds up nobody, and gets every byte when it reads at last. */
static void a_slow_client(void **state)
{
  enum { FRAME = 1 << 20, FRAMES = 16 };
  struct world w;
  struct publisher p;
  struct client slow, quick;
  struct answer a;
  char *bytes = malloc(FRAME);
  (void)state;
  assert_non_null(bytes);
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  client_open(&slow, &w);
  client_send(&slow, GET("/fetch/b/t"));
  client_open(&quick, &w);
  client_send(&quick, GET("/fetch/b/t"));
  world_until(&w, p.track && p.track->latest_n == 2);
  struct group *g = publisher_group(&p, 0);
  for (int i = 0; i < FRAMES; i++) {
    memset(bytes, 'a' + i, FRAME);
    frame_begin(g, FRAME);
    frame_more(g, bytes, FRAME);
    world_turn(&w);
  }
  assert_int_equal(group_finish(g), 0);
  world_until(&w, client_turn(&quick));
  answer_parse(&quick, &a);
  assert_true(a.whole);
  assert_int_equal(a.body_n, FRAME * FRAMES);
  assert_false(list_empty(&g->readers)); /* the slow one's cursor */
  world_until(&w, client_turn(&slow));
  answer_parse(&slow, &a);
  assert_true(a.whole);
  assert_int_equal(a.body_n, FRAME * FRAMES);
  for (int i = 0; i < FRAMES; i++) {
    memset(bytes, 'a' + i, FRAME);
    assert_memory_equal(a.body + (size_t)i * FRAME, bytes, FRAME);
  }
  client_close(&slow);
  client_close(&quick);
  free(bytes);
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

/* The server ends while requests wait and stream. */
static void shutting_down(void **state)
{
  struct world w;
  struct publisher p;
  struct client c[3];
  (void)state;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "b");
  static const char *const gets[] = {GET("/fetch/never/t"), GET("/fetch/b/t"), "GET /health HTTP/1.1\r\n"};
  for (int i = 0; i < 3; i++) {
    client_open(&c[i], &w);
    client_send(&c[i], gets[i]);
  }
  world_until(&w, p.subscribed == 1);
  struct group *g = publisher_group(&p, 0);
  frame(g, "begun");
  world_until(&w, !client_turn(&c[1]) && strstr(c[1].data, "begun"));
  http_server_free(w.http);
  w.http = NULL;
  for (int i = 0; i < 3; i++) {
    world_until(&w, client_turn(&c[i]));
    client_close(&c[i]);
  }
  assert_true(list_empty(&g->readers));
  group_unref(g);
  publisher_stop(&p, true);
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_whole_group),
      cmocka_unit_test(as_it_arrives),
      cmocka_unit_test(waits_for_the_broadcast),
      cmocka_unit_test(gives_up_waiting),
      cmocka_unit_test(no_such_track_or_group),
      cmocka_unit_test(the_publisher_leaves_while_waiting),
      cmocka_unit_test(a_cut_group),
      cmocka_unit_test(an_empty_group),
      cmocka_unit_test(head_of_a_group),
      cmocka_unit_test(version_one_point_zero),
      cmocka_unit_test(escaped_names),
      cmocka_unit_test(leaving_while_waiting),
      cmocka_unit_test(leaving_in_the_middle),
      cmocka_unit_test(a_group_that_takes_long),
      cmocka_unit_test(many_watchers_of_one_track),
      cmocka_unit_test(a_slow_client),
      cmocka_unit_test(shutting_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
