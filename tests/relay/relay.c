/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A relay that runs: every option that reaches a part is read back from that part. */
#include "relay/relay.h"
#include "auth/privacypass.h"
#include "auth/server.h"
#include "model/origin.h"
#include "net/quic.h"
#include "relay/settings.h"
#include "session/lite/session.h"
#include "web/http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 16384

struct running {
  uv_loop_t loop;
  struct relay_config config;
  struct relay *relay;
  struct relay_view view;
  struct log log;
  char lines[LINES_MAX];
  bool ended;
};

static void keep(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct running *r = ctx;
  size_t have = strlen(r->lines);
  (void)level;
  snprintf(r->lines + have, sizeof r->lines - have, "%.*s\n", (int)n, line);
}

/* Flags that a test has set, so that none is forgotten. */
#define FLAGS_MAX 256
static char tried[FLAGS_MAX][64];
static size_t tried_n;

static void note_tried(const char *arg)
{
  assert_true(tried_n < FLAGS_MAX);
  snprintf(tried[tried_n++], sizeof tried[0], "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
}

static bool was_tried(const char *flag)
{
  for (size_t i = 0; i < tried_n; i++) {
    if (strcmp(tried[i], flag) == 0)
      return true;
  }
  return false;
}

static int launch(struct running *r, const char *const *args, struct err *ret_err)
{
  static char *const no_env[] = {NULL};
  char *argv[24] = {(char *)(uintptr_t) "moq-relay", (char *)(uintptr_t) "--listen=127.0.0.1:0",
                    (char *)(uintptr_t) "--tls-generate=localhost", (char *)(uintptr_t) "--auth-public="};
  int argc = args[0] && strncmp(args[0], "--auth-url=", 11) == 0 ? 3 : 4; /* then it decides alone */
  enum relay_command command;
  memset(r, 0, sizeof *r);
  for (; *args; args++) {
    argv[argc++] = (char *)(uintptr_t)*args;
    note_tried(*args);
  }
  r->log = (struct log){.level = LOG_INFO, .clock = clock_system(), .sink = keep, .ctx = r};
  if (relay_config_load(&r->config, argc, argv, no_env, &r->log, &command, ret_err) < 0)
    fail_msg("%s", ret_err->text);
  assert_int_equal(uv_loop_init(&r->loop), 0);
  int rc = relay_new(&r->config, &r->loop, &r->log, rng_system(), &r->relay, ret_err);
  if (rc == 0)
    relay_inspect(r->relay, &r->view);
  return rc;
}

static void start(struct running *r, const char *const *args)
{
  struct err err;
  if (launch(r, args, &err) < 0)
    fail_msg("%s", err.text);
}

static void stop(struct running *r)
{
  relay_free(r->relay);
  uv_run(&r->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&r->loop), 0);
  relay_config_free(&r->config);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void defaults(void **state)
{
  static struct running r;
  struct quic_limits quic;
  struct model_limits model;
  struct lite_limits lite;
  start(&r, ARGS());
  quic_limits_default(&quic);
  model_limits_default(&model);
  lite_limits_default(&lite);
  assert_int_equal(r.view.quic->idle_timeout_ns, quic.idle_timeout_ns);
  assert_int_equal(r.view.quic->keep_alive_ns, quic.keep_alive_ns);
  assert_int_equal(r.view.quic->streams_bidi, quic.streams_bidi);
  assert_int_equal(r.view.quic->window, quic.window);
  assert_int_equal(r.view.quic->window_max, 64 << 20);
  assert_int_equal(r.view.quic->congestion, QUIC_CUBIC);
  assert_true(r.view.quic->gso && r.view.quic->mtu_discovery);
  assert_int_equal(r.view.model->linger_ns, 5 * NS_PER_S);
  assert_int_equal(r.view.lite->message_bytes, lite.message_bytes);
  assert_int_equal(r.view.cache_capacity, 1 << 30);
  assert_true(r.view.memory_max > 0);
  assert_true(r.view.hop_id > 0);
  /* HTTP on loopback, with the number of the UDP port. */
  const struct sockaddr_in *udp = (const void *)r.view.quic_address, *tcp = (const void *)r.view.http_address;
  assert_int_equal(udp->sin_port, tcp->sin_port);
  assert_int_equal(tcp->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  assert_null(r.view.https);
  stop(&r);
}

static void quic_options(void **state)
{
  static struct running r;
  start(&r, ARGS("--quic-max-streams=77", "--quic-idle-timeout=21s", "--quic-keep-alive=7s",
                 "--quic-congestion-control=reno", "--quic-receive-window=1MiB", "--quic-stream-receive-window=128KiB",
                 "--quic-send-window=3MiB", "--quic-gso=false", "--quic-mtu-discovery=false", "--listen-timeout=3s",
                 "--limits-connections=11", "--limits-connections-per-address=5", "--limits-handshakes=9",
                 "--limits-handshakes-retry=2", "--limits-connection-bytes=3MiB"));
  const struct quic_limits *q = r.view.quic;
  assert_int_equal(q->streams_bidi, 77);
  assert_int_equal(q->streams_uni, 77);
  assert_int_equal(q->idle_timeout_ns, 21 * NS_PER_S);
  assert_int_equal(q->keep_alive_ns, 7 * NS_PER_S);
  assert_int_equal(q->congestion, QUIC_RENO);
  assert_int_equal(q->window_max, 1 << 20);
  assert_int_equal(q->window, 1 << 20); /* it may not begin with more than it may grow to */
  assert_int_equal(q->stream_window_max, 128 << 10);
  assert_int_equal(q->stream_window, 128 << 10);
  assert_int_equal(q->send_window, 3 << 20);
  assert_false(q->gso || q->mtu_discovery);
  assert_int_equal(q->handshake_timeout_ns, 3 * NS_PER_S);
  assert_int_equal(r.view.lite->setup_timeout_ns, 3 * NS_PER_S);
  assert_int_equal(q->connections, 11);
  assert_int_equal(q->connections_per_ip, 5);
  assert_int_equal(q->handshakes, 9);
  assert_int_equal(q->handshakes_retry, 2);
  assert_int_equal(q->connection_bytes, 3 << 20);
  stop(&r);
  start(&r, ARGS("--quic-congestion-control=delay"));
  assert_int_equal(r.view.quic->congestion, QUIC_BBR);
  stop(&r);
}

static void model_options(void **state)
{
  static struct running r;
  start(&r, ARGS("--cache-capacity=5MB", "--cache-duration=4s", "--cluster-id=12", "--limits-announces=21",
                 "--limits-subscriptions=22", "--limits-broadcasts=23", "--limits-tracks=24", "--limits-subscribers=25",
                 "--limits-group-bytes=26MiB", "--limits-frame-bytes=25MiB", "--limits-group-frames=28",
                 "--limits-behind-bytes=29MiB", "--publish-linger=31s", "--publish-track-linger=32s",
                 "--publish-takeover=never", "--memory-max=300MiB"));
  const struct model_limits *m = r.view.model;
  assert_int_equal(r.view.cache_capacity, 5000000);
  assert_int_equal(r.view.memory_max, 300 << 20);
  assert_int_equal(m->max_age_ns, 4 * NS_PER_S);
  assert_int_equal(r.view.hop_id, 12);
  assert_int_equal(r.view.lite->announces, 21);
  assert_int_equal(r.view.lite->requests, 22);
  assert_int_equal(m->broadcasts, 23);
  assert_int_equal(m->tracks_per_broadcast, 24);
  assert_int_equal(m->subs_per_track, 25);
  assert_int_equal(m->bytes_per_group, 26 << 20);
  assert_int_equal(m->bytes_per_object, 25 << 20);
  assert_int_equal(m->objects_per_group, 28);
  assert_int_equal(m->sub_behind_bytes, 29 << 20);
  assert_int_equal(m->linger_ns, 31 * NS_PER_S);
  assert_int_equal(m->track_linger_ns, 32 * NS_PER_S);
  assert_int_equal(m->takeover, TAKEOVER_NEVER);
  stop(&r);
}

static void session_options(void **state)
{
  static struct running r;
  start(&r, ARGS("--limits-groups=41", "--limits-message-bytes=42KiB", "--limits-message-timeout=43s",
                 "--limits-queue-bytes=44KiB", "--limits-session-queue-bytes=45KiB"));
  const struct lite_limits *l = r.view.lite;
  assert_int_equal(l->groups, 41);
  assert_int_equal(l->message_bytes, 42 << 10);
  assert_int_equal(l->message_timeout_ns, 43 * NS_PER_S);
  assert_int_equal(l->queue_bytes, 44 << 10);
  assert_int_equal(l->session_queue_bytes, 45 << 10);
  stop(&r);
}

static void web_options(void **state)
{
  static struct running r;
  start(&r, ARGS("--web-http-listen=127.0.0.1:0", "--web-root=/tmp", "--web-fetch-timeout=9s",
                 "--limits-http-clients=3", "--web-allow-origin=https://a.example,https://b.example"));
  assert_string_equal(r.view.http->web_root, "/tmp");
  assert_int_equal(r.view.http->wait_ns, 9 * NS_PER_S);
  assert_int_equal(r.view.http->clients, 3);
  assert_int_equal(r.view.http->allow_origin_count, 2);
  assert_string_equal(r.view.http->allow_origin[1], "https://b.example");
  stop(&r);
  start(&r, ARGS("--web-http-listen="));
  assert_null(r.view.http);
  stop(&r);
}

static void auth_options(void **state)
{
  static struct running r;
  start(&r,
        ARGS("--auth-url=https://127.0.0.1:1/x?y", "--auth-node=me", "--auth-timeout=3s", "--limits-auth-requests=7",
             "--auth-tls-root=/dev/null", "--auth-tls-cert=/dev/zero", "--auth-tls-key=/dev/full"));
  assert_string_equal(r.view.auth->http.url, "https://127.0.0.1:1/x?y");
  assert_string_equal(r.view.auth->node, "me");
  assert_int_equal(r.view.auth->http.timeout_ns, 3 * NS_PER_S);
  assert_int_equal(r.view.auth->http.requests, 7);
  assert_string_equal(r.view.auth->http.tls_root, "/dev/null");
  assert_string_equal(r.view.auth->http.tls_cert, "/dev/zero");
  assert_string_equal(r.view.auth->http.tls_key, "/dev/full");
  assert_false(r.view.auth->http.tls_insecure);
  stop(&r);
  start(&r, ARGS("--auth-url=unix:/nowhere", "--auth-tls-disable-verify"));
  assert_true(r.view.auth->http.tls_insecure);
  assert_int_equal(r.view.auth->http.timeout_ns, 8 * NS_PER_S);
  stop(&r);
  start(&r, ARGS("--auth-url=unix:/nowhere", "--listen-timeout=1s"));
  assert_int_equal(r.view.auth->http.timeout_ns, 800 * NS_PER_MS); /* within what a client has */
  stop(&r);
  start(&r, ARGS());
  assert_null(r.view.auth);
  stop(&r);
}

static void privacypass_options(void **state)
{
  static struct running r;
  char file[] = "/tmp/relay-spent-XXXXXX", flag[64];
  int fd = mkstemp(file);
  assert_true(fd >= 0);
  close(fd);
  unlink(file);
  snprintf(flag, sizeof flag, "--pp-spent-file=%s", file);
  start(&r, ARGS("--pp-enabled", "--pp-issuer=a.example,127.0.0.1:1", "--pp-issuer-key=" VECTORS_DIR "/issuer.key",
                 "--pp-grant=subscribe:a/**", "--pp-context=90s", "--pp-wide", flag, "--pp-spent-max=51",
                 "--pp-checks=52", "--pp-tls-root=/dev/null"));
  const struct privacypass_config *pp = r.view.privacypass;
  assert_int_equal(pp->issuer_count, 2);
  assert_string_equal(pp->issuers[1], "127.0.0.1:1");
  assert_int_equal(pp->key_count, 1);
  assert_int_equal(pp->grant_count, 1);
  assert_string_equal(pp->grants[0], "subscribe:a/**");
  assert_int_equal(pp->offer.window_s, 90);
  assert_true(pp->offer.wide);
  assert_string_equal(pp->spent_file, file);
  assert_int_equal(pp->spent_max, 51);
  assert_int_equal(pp->checks_per_second, 52);
  assert_string_equal(pp->http.tls_root, "/dev/null");
  stop(&r);
  unlink(file);
  start(&r, ARGS());
  assert_null(r.view.privacypass);
  stop(&r);
}

static void an_issuer_key_that_is_none(void **state)
{
  static struct running r;
  struct err err = {""};
  assert_true(launch(&r, ARGS("--pp-enabled", "--pp-issuer-key=/dev/null"), &err) < 0);
  assert_non_null(strstr(err.text, "privacypass.issuer_key: /dev/null: not a usable key"));
  assert_int_equal(uv_loop_close(&r.loop), 0);
  relay_config_free(&r.config);
}

static void an_auth_server_that_cannot_be(void **state)
{
  static struct running r;
  struct err err = {""};
  assert_int_equal(launch(&r, ARGS("--auth-url=http://192.0.2.1/"), &err), -EINVAL);
  assert_non_null(strstr(err.text, "write https://"));
  assert_int_equal(uv_loop_close(&r.loop), 0);
  relay_config_free(&r.config);
}

/* ---- the table of limits ---- */

#define LIMIT_ROW(limit_, value_, part, member)                                                                        \
  {                                                                                                                    \
    .limit = (limit_), .value = (value_), .from = offsetof(struct relay_view, part),                                   \
    .at = offsetof(typeof(*((struct relay_view *)0)->part), member),                                                   \
    .size = sizeof((*((struct relay_view *)0)->part).member)                                                           \
  }

/* Where each limit is enforced. */
static const struct limit_row {
  enum limit limit;
  uint64_t value;  /* to be set, in the option's unit: bytes, seconds, a number */
  size_t from, at; /* pointer in relay_view; member of what it points to */
  size_t size;
} limit_rows[] = {
    LIMIT_ROW(LIMIT_CONNECTIONS, 11, quic, connections),
    LIMIT_ROW(LIMIT_CONNECTIONS_PER_ADDRESS, 12, quic, connections_per_ip),
    LIMIT_ROW(LIMIT_HANDSHAKES, 13, quic, handshakes),
    LIMIT_ROW(LIMIT_HANDSHAKES_RETRY, 14, quic, handshakes_retry),
    LIMIT_ROW(LIMIT_EGRESS, 70000, quic, egress),
    LIMIT_ROW(LIMIT_CONNECTION_BYTES, 80000, quic, connection_bytes),
    LIMIT_ROW(LIMIT_ANNOUNCES, 15, lite, announces),
    LIMIT_ROW(LIMIT_SUBSCRIPTIONS, 16, lite, requests),
    LIMIT_ROW(LIMIT_SESSION_TRACKS, 17, lite, tracks),
    LIMIT_ROW(LIMIT_SESSION_FETCHES, 18, lite, fetches),
    LIMIT_ROW(LIMIT_FETCHES_TOTAL, 19, lite, fetches_total),
    LIMIT_ROW(LIMIT_REQUESTS_PER_SECOND, 20, lite, requests_per_second),
    LIMIT_ROW(LIMIT_MESSAGE_BYTES, 2100, lite, message_bytes),
    LIMIT_ROW(LIMIT_MESSAGE_TIMEOUT, 22, lite, message_timeout_ns),
    LIMIT_ROW(LIMIT_PARTIAL_BYTES, 23000, lite, partial_bytes),
    LIMIT_ROW(LIMIT_GROUPS, 24, lite, groups),
    LIMIT_ROW(LIMIT_QUEUE_BYTES, 5000, lite, queue_bytes),
    LIMIT_ROW(LIMIT_SESSION_QUEUE_BYTES, 5100, lite, session_queue_bytes),
    LIMIT_ROW(LIMIT_ANNOUNCE_STREAMS, 27, lite, announce_streams),
    LIMIT_ROW(LIMIT_ANNOUNCE_ENTRIES, 28, lite, announce_entries),
    LIMIT_ROW(LIMIT_PATH_PARTS, 29, lite, path_parts),
    LIMIT_ROW(LIMIT_PATH_BYTES, 30, lite, path_bytes),
    LIMIT_ROW(LIMIT_BROADCASTS, 31, model, broadcasts),
    LIMIT_ROW(LIMIT_TRACKS, 32, model, tracks_per_broadcast),
    LIMIT_ROW(LIMIT_TRACKS_TOTAL, 33, model, tracks),
    LIMIT_ROW(LIMIT_SUBSCRIBERS, 34, model, subs_per_track),
    LIMIT_ROW(LIMIT_SUBSCRIPTIONS_TOTAL, 35, model, subs),
    LIMIT_ROW(LIMIT_GROUP_BYTES, 33554433, model, bytes_per_group),
    LIMIT_ROW(LIMIT_FRAME_BYTES, 3700, model, bytes_per_object),
    LIMIT_ROW(LIMIT_GROUP_FRAMES, 38, model, objects_per_group),
    LIMIT_ROW(LIMIT_BEHIND_BYTES, 3900, model, sub_behind_bytes),
    LIMIT_ROW(LIMIT_HTTP_CLIENTS, 40, http, clients),
    LIMIT_ROW(LIMIT_HTTP_REQUEST_BYTES, 4100, http, request_bytes),
};

static const struct option *option_of(const char *key)
{
  for (size_t i = 0; i < relay_options.count; i++) {
    if (relay_options.rows[i].key && strcmp(relay_options.rows[i].key, key) == 0)
      return &relay_options.rows[i];
  }
  return NULL;
}

static const struct limit_row *row_of(enum limit limit)
{
  for (size_t i = 0; i < sizeof limit_rows / sizeof *limit_rows; i++) {
    if (limit_rows[i].limit == limit)
      return &limit_rows[i];
  }
  return NULL;
}

static uint64_t in_force(const struct relay_view *view, const struct limit_row *row)
{
  const char *part;
  uint32_t small;
  uint64_t large;
  memcpy(&part, (const char *)view + row->from, sizeof part);
  memcpy(&small, part + row->at, sizeof small);
  if (row->size == sizeof small)
    return small;
  memcpy(&large, part + row->at, sizeof large);
  return large;
}

static void check_limit(enum limit limit)
{
  static struct running r;
  char arg[96];
  const struct option *option = option_of(limit_name(limit));
  if (!option || option->type >= OPT_LATER)
    fail_msg("%s is no option", limit_name(limit));
  /* An egress cap that fits every relay there is not. */
  if (limit != LIMIT_EGRESS && (!option->value || strtoull(option->value, NULL, 10) == 0))
    fail_msg("%s is off unless it is set", limit_name(limit));
  const struct limit_row *row = row_of(limit);
  if (limit == LIMIT_CONNECTION_SESSIONS || limit == LIMIT_MEMORY || limit == LIMIT_AUTH_REQUESTS)
    return; /* see below, and the tests of memory.max and of the auth server */
  if (!row)
    fail_msg("%s: nobody says where it is enforced", limit_name(limit));
  bool seconds = option->type == OPT_DURATION;
  snprintf(arg, sizeof arg, "--%s=%llu%s", option->flag, (unsigned long long)row->value, seconds ? "s" : "");
  start(&r, ARGS(arg));
  uint64_t got = in_force(&r.view, row);
  stop(&r);
  if (got != row->value * (seconds ? NS_PER_S : 1))
    fail_msg("%s is in force as %llu", arg, (unsigned long long)got);
}

/* Every limit is an option of its name, on by default, and what is set is what is in force. */
static void every_limit(void **state)
{
  static struct running r;
  for (unsigned i = 0; i < LIMITS; i++) {
    if (i != LIMIT_MEMORY || option_of(limit_name(LIMIT_MEMORY)))
      check_limit((enum limit)i);
  }
  start(&r, ARGS("--limits-connection-sessions=42"));
  assert_int_equal(r.view.connection_sessions, 42);
  stop(&r);
}

/* The other way round: an option among the limits has a counter. */
static void every_option_of_limits(void **state)
{
  for (size_t i = 0; i < relay_options.count; i++) {
    const char *key = relay_options.rows[i].key;
    bool found = !key || strncmp(key, "limits.", 7) != 0;
    for (unsigned k = 0; !found && k < LIMITS; k++)
      found = strcmp(limit_name((enum limit)k), key) == 0;
    if (!found)
      fail_msg("%s has no counter", key);
  }
}

static void internal_options(void **state)
{
  static struct running r;
  start(&r, ARGS("--internal-listen=127.0.0.1:0"));
  assert_non_null(r.view.internal_address);
  assert_non_null(r.view.internal->metrics);
  assert_null(r.view.http->metrics);
  stop(&r);
  start(&r, ARGS());
  assert_null(r.view.internal);
  stop(&r);
}

static void ended(void *ctx)
{
  struct running *r = ctx;
  r->ended = true;
  uv_stop(&r->loop);
}

/* With nobody there the drain ends at once. */
static void an_empty_relay_drains(void **state)
{
  static struct running r;
  start(&r, ARGS());
  relay_drain(r.relay, ended, &r);
  for (int i = 0; i < 100 && !r.ended; i++)
    uv_run(&r.loop, UV_RUN_ONCE);
  assert_true(r.ended);
  assert_non_null(strstr(r.lines, "drain complete"));
  stop(&r);
}

/* Who is closed hears of it within drain_timeout. */
static void last_words_are_part_of_the_drain(void **state)
{
  struct relay_config c = {.drain_timeout = 10 * NS_PER_S};
  assert_int_equal(settings_last_words(&c), NS_PER_S);
  c.drain_timeout = NS_PER_S;
  assert_int_equal(settings_last_words(&c), NS_PER_S / 4);
  c.drain_timeout = 0;
  assert_int_equal(settings_last_words(&c), 0);
}

static void a_port_in_use_is_named(void **state)
{
  static struct running a, b;
  struct err err = {""};
  char listen[64];
  start(&a, ARGS());
  unsigned port = ntohs(((const struct sockaddr_in *)(const void *)a.view.quic_address)->sin_port);
  snprintf(listen, sizeof listen, "--listen=127.0.0.1:%u", port);
  assert_int_equal(launch(&b, ARGS(listen), &err), -EADDRINUSE);
  assert_non_null(strstr(err.text, "the UDP port is in use by another program"));
  assert_int_equal(uv_loop_close(&b.loop), 0);
  relay_config_free(&b.config);
  stop(&a);
}

/* A kernel that gives less than was asked for. */
static int given; /* 0 = as much as it really gives */

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
  int rc = __real_getsockopt(fd, level, name, value, len);
  if (given && level == SOL_SOCKET && name == SO_RCVBUF)
    memcpy(value, &given, sizeof given);
  return rc;
}

static void small_buffers_are_told_once(void **state)
{
  static struct running r;
  given = 2 * 212992;
  start(&r, ARGS("--listen=127.0.0.1:0"));
  given = 0;
  const char *line = strstr(r.lines, "receive 212992");
  assert_non_null(line);
  assert_non_null(strstr(line, "sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304"));
  assert_null(strstr(line + 1, "receive 212992"));
  stop(&r);
}

static void certificates_that_cannot_be_loaded(void **state)
{
  static struct running r;
  struct err err = {""};
  assert_true(launch(&r,
                     ARGS("--web-https-listen=127.0.0.1:0", "--web-https-cert=/nonexistent.pem", "--web-https-key=/k"),
                     &err) < 0);
  assert_non_null(strstr(err.text, "/nonexistent.pem"));
  assert_int_equal(uv_loop_close(&r.loop), 0);
  relay_config_free(&r.config);
}

/* What the tests above have not set is read back elsewhere. */
static const struct {
  const char *flag, *where;
} elsewhere[] = {
    {"file", "config/relay_config: the_file_by_flag_or_variable"},
    {"check-config", "config/examples, e2e/test_life: test_examples_of_both_generations"},
    {"drain-timeout", "e2e/test_life: test_drain_asks_closes_and_ends"},
    {"state-dir", "e2e/test_life: test_clients_of_a_crashed_relay_are_told"},
    {"listen", "every test"},
    {"listen-version", "e2e/test_versions"},
    {"listen-tls-cert", "e2e/test_life: test_reload"},
    {"listen-tls-key", "e2e/test_life: test_reload"},
    {"listen-tls-generate", "e2e/test_http: test_certificate_suits_browsers"},
    {"log-level", "config/rust_log, base/log"},
    {"log-format", "e2e/test_life: test_log_lines_of_a_session"},
    {"auth-public", "e2e/test_access"},
    {"auth-public-subscribe", "e2e/test_client_tools: test_publisher_that_is_not_asked"},
    {"auth-public-publish", "auth/public"},
    {"auth-key", "e2e/test_tokens"},
    {"auth-key-dir", "e2e/test_tokens"},
    {"auth-leeway", "auth/token"},
    {"web-https-listen", "e2e/test_life: test_https"},
    {"web-https-cert", "e2e/test_life: test_https"},
    {"web-https-key", "e2e/test_life: test_https"},
};

static bool is_elsewhere(const char *flag)
{
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
    if (strcmp(elsewhere[i].flag, flag) == 0)
      return true;
  }
  return false;
}

static void none_is_forgotten(void **state)
{
  for (size_t i = 0; i < relay_options.count; i++) {
    const struct option *row = &relay_options.rows[i];
    if (row->type < OPT_LATER && !was_tried(row->flag) && !is_elsewhere(row->flag))
      fail_msg("--%s is read back by no test", row->flag);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults),
      cmocka_unit_test(quic_options),
      cmocka_unit_test(model_options),
      cmocka_unit_test(session_options),
      cmocka_unit_test(web_options),
      cmocka_unit_test(auth_options),
      cmocka_unit_test(an_auth_server_that_cannot_be),
      cmocka_unit_test(privacypass_options),
      cmocka_unit_test(an_issuer_key_that_is_none),
      cmocka_unit_test(every_limit),
      cmocka_unit_test(every_option_of_limits),
      cmocka_unit_test(internal_options),
      cmocka_unit_test(none_is_forgotten),
      cmocka_unit_test(an_empty_relay_drains),
      cmocka_unit_test(last_words_are_part_of_the_drain),
      cmocka_unit_test(a_port_in_use_is_named),
      cmocka_unit_test(small_buffers_are_told_once),
      cmocka_unit_test(certificates_that_cannot_be_loaded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
