/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A relay that accepts a WebTransport session and names no version, as for the SETUP exchange, which the client does not
 * offer. */
#include "client/connect.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>

#define WAIT_NS (20 * NS_PER_S)

struct stage {
  uv_loop_t loop;
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct tls_server *tls;
  struct quic_endpoint *relay;
  struct connection *connection;
  bool up, down, closed;
  enum connection_end end;
};

static struct stage st;

static void turn_until(const bool *flag)
{
  struct clock clock = clock_system();
  uint64_t end = clock_now(&clock) + WAIT_NS;
  while (!*flag && clock_now(&clock) < end)
    uv_run(&st.loop, UV_RUN_ONCE);
  assert_true(*flag);
}

/* ---- the relay ---- */

static void session_stream(struct transport *t, struct stream *s)
{
  fail_msg("the client has nothing to say");
}

static void session_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  st.closed = true;
}

static void on_request(void *ctx, struct wt_session *s, const struct wt_request *request)
{
  static const struct transport_events events = {.on_stream = session_stream, .on_closed = session_closed};
  wt_accept(s, "")->events = &events;
}

static void on_gone(void *ctx, struct wt_session *s) {}

static void on_connection(void *ctx, struct transport *t)
{
  static const struct wt_server_events events = {on_request, on_gone};
  assert_int_equal(wt_serve(t, &st.worker, NULL, &events, NULL), 0);
}

static void relay_begin(void)
{
  static const char *const alpn[] = {"h3", NULL}, *const host[] = {"127.0.0.1"};
  struct tls_server_config tls = {.generate = host, .generate_count = 1};
  struct clock clock = clock_system();
  struct err err;
  assert_int_equal(tls_server_new(&tls, clock_wall_us(&clock) / 1000000, &st.tls, &err), 0);
  struct quic_endpoint_config config = {
      .worker = &st.worker, .rng = rng_system(), .tls = st.tls, .alpn = alpn, .on_connection = on_connection};
  quic_limits_default(&config.limits);
  assert_int_equal(quic_endpoint_new(&config, "127.0.0.1:0", &st.relay, &err), 0);
}

/* ---- the client ---- */

static void on_up(void *ctx, enum lite_version version)
{
  st.up = true;
}

static void on_down(void *ctx, enum connection_end end, const char *why, uint64_t retry_ns)
{
  assert_int_equal(retry_ns, UINT64_MAX);
  st.end = end;
  st.down = true;
}

static void on_closed(void *ctx)
{
  *(bool *)ctx = true;
}

static void dial(unsigned versions)
{
  static const struct connection_events events = {.up = on_up, .down = on_down};
  const struct sockaddr_in *to = (const void *)quic_endpoint_address(st.relay);
  char url[64];
  struct err err;
  snprintf(url, sizeof url, "https://127.0.0.1:%u", ntohs(to->sin_port));
  struct connection_config config = {.worker = &st.worker,
                                     .rng = rng_system(),
                                     .url = url,
                                     .insecure = true,
                                     .once = true,
                                     .versions = versions,
                                     .race_ns = NS_PER_S,
                                     .timeout_ns = WAIT_NS,
                                     .model = &st.model,
                                     .origin = st.origin,
                                     .events = &events};
  assert_int_equal(connection_new(&config, &st.connection, &err), 0);
}

static void no_version(void **state)
{
  bool closed = false;
  st = (struct stage){0};
  assert_int_equal(uv_loop_init(&st.loop), 0);
  assert_int_equal(worker_init(&st.worker, &st.loop, clock_system()), 0);
  model_init(&st.model, &st.worker.timers, rng_system(), 0, NULL, NULL);
  st.origin = origin_new(&st.model);
  assert_non_null(st.origin);
  relay_begin();
  dial(1u << LITE_06);
  turn_until(&st.down);
  assert_false(st.up);
  assert_int_equal(st.end, CONNECTION_VERSION);
  turn_until(&st.closed);
  connection_close(st.connection, on_closed, &closed);
  turn_until(&closed);
  connection_free(st.connection);
  quic_endpoint_free(st.relay);
  tls_server_free(st.tls);
  origin_free(st.origin);
  model_destroy(&st.model);
  worker_destroy(&st.worker);
  uv_run(&st.loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&st.loop), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(no_version)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
