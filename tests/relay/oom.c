/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A relay and a client of it in one loop, over loopback: each allocation of either fails once, from the relay's start to
 * the end of a session in which a frame went from the client to the relay's origin. What cannot work any more ends in an
 * error that somebody is told; a relay that is up stays up. */
#include "client/connect.h"
#include "client/publisher.h"
#include "client/viewer.h"
#include "relay/relay.h"
#include "support/oom.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define POINTS_MAX 2000
#define WAIT_NS (20 * NS_PER_S)
#define BROKEN_NS (500 * NS_PER_MS) /* for what an allocation that failed may have broken */

struct stage {
  uv_loop_t loop;
  struct log log;
  struct relay_config config;
  struct relay *relay;
};

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  (void)ctx, (void)level;
  if (getenv("LAB_LOG"))
    fprintf(stderr, "%.*s\n", (int)n, line);
}

static int relay_up(struct stage *s, struct err *ret_err)
{
  return relay_new(&s->config, &s->loop, &s->log, rng_system(), &s->relay, ret_err);
}

static void stage_begin(struct stage *s)
{
  static char *const argv[] = {(char *)(uintptr_t) "moq-relay",
                               (char *)(uintptr_t) "--listen=127.0.0.1:0",
                               (char *)(uintptr_t) "--tls-generate=localhost",
                               (char *)(uintptr_t) "--auth-public=",
                               (char *)(uintptr_t) "--publish-linger=0",
                               (char *)(uintptr_t) "--web-root=/tmp",
                               NULL};
  static char *const env[] = {NULL};
  enum relay_command command;
  struct err err;
  *s = (struct stage){.log = {.level = LOG_TRACE, .clock = clock_system(), .sink = sink}};
  if (relay_config_load(&s->config, 6, argv, env, NULL, &command, &err) < 0)
    fail_msg("%s", err.text);
  assert_int_equal(uv_loop_init(&s->loop), 0);
}

static void stage_end(struct stage *s)
{
  if (s->relay)
    relay_free(s->relay);
  uv_run(&s->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&s->loop), 0);
  relay_config_free(&s->config);
}

static void starting(void **state)
{
  bool failed = true;
  long point = 0;
  (void)state;
  for (; failed; point++) {
    struct stage s;
    struct err err = {""};
    assert_true(point < POINTS_MAX);
    stage_begin(&s);
    oom_after(point, 1);
    int rc = relay_up(&s, &err);
    failed = oom_end();
    assert_true(rc == 0 || failed);
    assert_true(rc == 0 || err.text[0] != '\0');
    stage_end(&s);
  }
  assert_true(point > 20);
}

/* ---- a client ---- */

struct client {
  struct stage *stage;
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct deferred work;
  struct connection *connection;
  struct publisher *publisher;
  bool up, down, closed;
};

static void on_defer(void *ctx)
{
  struct client *c = ctx;
  worker_defer(&c->worker, &c->work);
}

static void run_model(struct deferred *d, uint64_t now)
{
  struct client *c = container_of(d, struct client, work);
  model_run(&c->model, now);
}

static void on_up(void *ctx, enum lite_version version)
{
  struct client *c = ctx;
  (void)version;
  c->up = true;
}

static void on_down(void *ctx, enum connection_end end, const char *why, uint64_t retry_ns)
{
  struct client *c = ctx;
  (void)end;
  assert_true(why[0] != '\0');
  assert_int_equal(retry_ns, UINT64_MAX);
  c->down = true;
}

static void on_closed(void *ctx)
{
  ((struct client *)ctx)->closed = true;
}

/* pin: of a certificate, NULL = any is fine. */
static int client_open(struct client *c, const char *scheme, const char *pin)
{
  static const struct connection_events events = {.up = on_up, .down = on_down};
  struct relay_view view;
  struct err err = {""};
  char url[64];
  relay_inspect(c->stage->relay, &view);
  snprintf(url, sizeof url, "%s://127.0.0.1:%u/room", scheme,
           ntohs(((const struct sockaddr_in *)(const void *)view.quic_address)->sin_port));
  struct connection_config config = {.worker = &c->worker,
                                     .log = &c->stage->log,
                                     .rng = rng_system(),
                                     .url = url,
                                     .insecure = !pin,
                                     .fingerprints = &pin,
                                     .fingerprint_count = pin ? 1 : 0,
                                     .once = true,
                                     .versions = lite_default_versions(),
                                     .race_ns = 250 * NS_PER_MS,
                                     .timeout_ns = WAIT_NS,
                                     .watch = true,
                                     .serve = true,
                                     .model = &c->model,
                                     .origin = c->origin,
                                     .events = &events,
                                     .ctx = c};
  int rc = connection_new(&config, &c->connection, &err);
  assert_true(rc == 0 || err.text[0] != '\0');
  return rc;
}

static void client_begin(struct client *c, struct stage *s)
{
  *c = (struct client){.stage = s};
  assert_int_equal(worker_init(&c->worker, &s->loop, clock_system()), 0);
  deferred_init(&c->work, run_model);
  model_init(&c->model, &c->worker.timers, rng_system(), 64 << 20, on_defer, c);
  c->origin = origin_new(&c->model);
  assert_non_null(c->origin);
}

static void client_end(struct client *c)
{
  connection_free(c->connection);
  publisher_free(c->publisher, c->worker.now);
  origin_free(c->origin);
  worker_defer_cancel(&c->work);
  model_destroy(&c->model);
  worker_destroy(&c->worker);
}

/* Turns the loop until the flag is set, or something has gone wrong and time is up. */
static void turn_until(struct client *c, const bool *flag)
{
  struct clock clock = clock_system();
  uint64_t began = clock_now(&clock);
  while (!*flag && !c->down && clock_now(&clock) - began < (oom_failed() ? BROKEN_NS : WAIT_NS))
    uv_run(&c->stage->loop, UV_RUN_ONCE);
}

/* A broadcast of ours that the relay has asked for once it is announced. */
static void publish(struct client *c)
{
  static const struct track_info info = {.priority = 1, .max_age_ms = 30000, .timescale = 1000};
  struct publisher_track *t;
  worker_enter(&c->worker);
  struct slice frame = slice_str("frame");
  if (publisher_new(c->origin, slice_str("b"), c->worker.now, &c->publisher) < 0 ||
      publisher_track(c->publisher, "t", &info, c->worker.now, &t) < 0 || publisher_group(t, c->worker.now) < 0)
    return;
  publisher_frame(t, 1, &frame, 1);
  publisher_end_group(t);
  for (int i = 0; i < 3; i++)
    uv_run(&c->stage->loop, UV_RUN_NOWAIT);
}

/* True when an allocation failed. */
static bool life(const char *scheme, long point)
{
  struct stage s;
  struct client c;
  struct err err;
  stage_begin(&s);
  assert_int_equal(relay_up(&s, &err), 0);
  client_begin(&c, &s);
  oom_after(point, 1);
  if (client_open(&c, scheme, NULL) == 0) {
    turn_until(&c, &c.up);
    if (c.up && !c.down)
      publish(&c);
    connection_close(c.connection, on_closed, &c);
    turn_until(&c, &c.closed);
  }
  bool failed = oom_end();
  assert_true(failed || (c.up && c.publisher));
  client_end(&c);
  stage_end(&s);
  return failed;
}

static bool beginning(long point)
{
  static const char pin[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  struct stage s;
  struct client c;
  struct err err;
  stage_begin(&s);
  assert_int_equal(relay_up(&s, &err), 0);
  client_begin(&c, &s);
  oom_after(point, 1);
  int rc = client_open(&c, "https", pin);
  bool failed = oom_end();
  assert_true(rc == 0 || failed);
  client_end(&c);
  stage_end(&s);
  return failed;
}

static void connections(void **state)
{
  long point = 0;
  (void)state;
  while (beginning(point))
    assert_true(++point < POINTS_MAX);
  assert_true(point > 5);
}

static void all_of_a_life(const char *scheme)
{
  long point = 0;
  while (life(scheme, point))
    assert_true(++point < POINTS_MAX);
  assert_true(point > 20);
  print_message("%ld allocations failed in turn\n", point);
}

static void raw_quic(void **state)
{
  (void)state;
  all_of_a_life("moqt");
}

static void webtransport(void **state)
{
  (void)state;
  all_of_a_life("https");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(starting),
      cmocka_unit_test(connections),
      cmocka_unit_test(raw_quic),
      cmocka_unit_test(webtransport),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
