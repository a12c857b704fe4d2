/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/relay.h"
#include "model/origin.h"
#include "net/quic.h"
#include "relay/guest.h"
#include "web/http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTENERS_MAX 16
#define VERSIONS_MAX 8

struct relay {
  const struct relay_config *config;
  const struct log *log;
  struct rng rng;
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct deferred model_work;
  struct admission *admission;
  struct tls_server *tls;
  struct timer renew, drain;
  struct quic_endpoint *endpoints[LISTENERS_MAX];
  size_t endpoint_count;
  struct http_server *http;
  struct guests guests;
  const char *versions[VERSIONS_MAX + 1]; /* spoken, our order; NULL-terminated */
  const char *alpn[VERSIONS_MAX + 2];     /* the same and "h3" */
  unsigned legacy; /* versions of the SETUP exchange, a bit each */
  uint8_t secret[32];
  bool draining;
  void (*ended)(void *ctx);
  void *ended_ctx;
};

/* Newest first: our order of preference on raw QUIC. */
static const enum lite_version served[] = {LITE_06, LITE_05, LITE_04, LITE_03, LITE_02, LITE_01};

/* ---- the model on the worker ---- */

static void model_defer(void *ctx)
{
  struct relay *r = ctx;
  worker_defer(&r->worker, &r->model_work);
}

static void model_work(struct deferred *d, uint64_t now)
{
  struct relay *r = container_of(d, struct relay, model_work);
  model_run(&r->model, now);
}

static void fill_model_limits(const struct relay_config *c, struct model_limits *l)
{
  model_limits_default(l);
  l->broadcasts = (uint32_t)c->limit_broadcasts;
  l->tracks_per_broadcast = (uint32_t)c->limit_tracks;
  l->subs_per_track = (uint32_t)c->limit_subscribers;
  l->objects_per_group = (uint32_t)c->limit_group_frames;
  l->bytes_per_group = c->limit_group_bytes;
  l->bytes_per_object = c->limit_frame_bytes;
  l->max_age_ns = c->cache_duration;
  l->sub_behind_bytes = c->limit_behind_bytes;
  l->takeover = c->takeover ? TAKEOVER_NEVER : TAKEOVER_NEWEST;
  l->linger_ns = c->linger;
  l->track_linger_ns = c->track_linger;
}

static int start_model(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  deferred_init(&r->model_work, model_work);
  model_init(&r->model, &r->worker.timers, r->rng, c->cache_capacity, model_defer, r);
  fill_model_limits(c, &r->model.limits);
  r->model.hop_id = c->hop_id ? c->hop_id : 1 + rng_below(&r->rng, (1ULL << 53) - 1);
  r->origin = origin_new(&r->model);
  return r->origin ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
}

/* ---- who may come ---- */

static size_t gather(const struct strlist *a, const struct strlist *b, const char **out, size_t max)
{
  size_t n = 0;
  for (size_t i = 0; i < a->n && n < max; i++)
    out[n++] = a->v[i];
  for (size_t i = 0; i < b->n && n < max; i++)
    out[n++] = b->v[i];
  return n;
}

static int start_admission(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  const char *publish[2 * GRANT_PREFIXES_MAX], *subscribe[2 * GRANT_PREFIXES_MAX];
  struct admission_config config = {.publish = publish, .subscribe = subscribe};
  config.publish_count = gather(&c->auth_public, &c->auth_public_publish, publish, 2 * GRANT_PREFIXES_MAX);
  config.subscribe_count = gather(&c->auth_public, &c->auth_public_subscribe, subscribe, 2 * GRANT_PREFIXES_MAX);
  return admission_new(&config, &r->admission, ret_err);
}

/* ---- certificates ---- */

static void arm_renewal(struct relay *r)
{
  uint64_t at = tls_server_renew_at(r->tls), wall = clock_wall_us(&r->worker.clock) / 1000000;
  if (at == UINT64_MAX)
    return;
  uint64_t in = at > wall ? at - wall : 60;
  timers_set(&r->worker.timers, &r->renew, clock_now(&r->worker.clock) + in * NS_PER_S);
}

void relay_reload(struct relay *r)
{
  struct err err;
  if (tls_server_reload(r->tls, clock_wall_us(&r->worker.clock) / 1000000, &err) < 0)
    log_error(r->log, "certificates not reloaded, the old ones stay: %s", err.text);
  else
    log_info(r->log, "reloading server certificates");
  arm_renewal(r);
}

static void renew(struct timer *t, uint64_t now)
{
  relay_reload(container_of(t, struct relay, renew));
}

static int start_tls(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  struct tls_server_config config = {
      .cert = (const char *const *)c->tls_cert.v,
      .key = (const char *const *)c->tls_key.v,
      .pairs = c->tls_cert.n,
      .generate = (const char *const *)c->tls_generate.v,
      .generate_count = c->tls_generate.n,
  };
  int rc = tls_server_new(&config, clock_wall_us(&r->worker.clock) / 1000000, &r->tls, ret_err);
  if (rc < 0)
    return rc;
  timer_init(&r->renew, renew);
  arm_renewal(r);
  return 0;
}

/* ---- listeners ---- */

static void fill_quic_limits(const struct relay_config *c, struct quic_limits *l)
{
  static const enum quic_congestion congestion[] = {QUIC_CUBIC, QUIC_BBR, QUIC_RENO, QUIC_CUBIC, QUIC_BBR};
  quic_limits_default(l);
  l->idle_timeout_ns = c->idle_timeout;
  l->keep_alive_ns = c->keep_alive;
  l->handshake_timeout_ns = c->listen_timeout;
  l->connections = (uint32_t)c->limit_connections;
  l->connections_per_ip = (uint32_t)c->limit_connections_per_ip;
  l->handshakes = (uint32_t)c->limit_handshakes;
  l->handshakes_retry = (uint32_t)c->limit_handshakes_retry;
  l->streams_bidi = l->streams_uni = (uint32_t)c->max_streams;
  l->window_max = c->receive_window;
  l->stream_window_max = c->stream_receive_window;
  l->send_window = c->send_window;
  l->gso = c->gso;
  l->mtu_discovery = c->mtu_discovery;
  l->congestion = congestion[c->congestion];
}

static void on_connection(void *ctx, struct transport *t)
{
  struct relay *r = ctx;
  guests_connection(&r->guests, t);
}

static bool listed(const struct strlist *l, const char *name)
{
  for (size_t i = 0; i < l->n; i++) {
    if (strcmp(l->v[i], name) == 0)
      return true;
  }
  return l->n == 0;
}

/* ALPNs of the versions that may be spoken; 01 and 02 share one and are told apart by SETUP. */
static void choose_versions(struct relay *r)
{
  size_t n = 0;
  for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
    const struct lite_version_info *v = lite_info(served[i]);
    char name[32];
    snprintf(name, sizeof name, "moq-lite-%s", v->name);
    if (!listed(&r->config->listen_version, name))
      continue;
    if (v->legacy_setup)
      r->legacy |= 1u << v->version;
    if (n > 0 && strcmp(r->versions[n - 1], v->alpn) == 0)
      continue;
    r->versions[n] = r->alpn[n] = v->alpn;
    n++;
  }
  r->alpn[n] = "h3";
}

void address_text(const struct sockaddr_storage *a, char *out, size_t n);

static uint16_t port_of(const struct sockaddr_storage *a)
{
  return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port : ((const struct sockaddr_in6 *)a)->sin6_port);
}

void address_text(const struct sockaddr_storage *a, char *out, size_t n)
{
  char host[INET6_ADDRSTRLEN] = "";
  bool v4 = a->ss_family == AF_INET;
  const void *ip = v4 ? (const void *)&((const struct sockaddr_in *)a)->sin_addr : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
  inet_ntop(a->ss_family, ip, host, sizeof host);
  snprintf(out, n, v4 ? "%s:%u" : "[%s]:%u", host, port_of(a));
}

static int start_quic(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  struct quic_endpoint_config config = {.worker = &r->worker, .log = r->log, .rng = r->rng, .tls = r->tls, .alpn = r->alpn,
                                        .on_connection = on_connection, .ctx = r};
  fill_quic_limits(c, &config.limits);
  memcpy(config.secret, r->secret, sizeof config.secret);
  if (c->listen.n > LISTENERS_MAX)
    return err_set(ret_err, -E2BIG, "listen.bind: more than %d addresses", LISTENERS_MAX);
  for (size_t i = 0; i < c->listen.n; i++) {
    char text[80];
    int rc = quic_endpoint_new(&config, c->listen.v[i], &r->endpoints[i], ret_err);
    if (rc < 0)
      return rc;
    r->endpoint_count = i + 1;
    address_text(quic_endpoint_address(r->endpoints[i]), text, sizeof text);
    log_info(r->log, "listening addr=%s kind=quic", text);
  }
  return 0;
}

static int start_http(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  char local[40], text[80];
  snprintf(local, sizeof local, "127.0.0.1:%u", port_of(quic_endpoint_address(r->endpoints[0])));
  struct http_config config = {
      .worker = &r->worker, .log = r->log, .listen = c->http_listen_set ? c->http_listen : local, .model = &r->model,
      .origin = r->origin, .admission = r->admission, .tls = r->tls, .web_root = c->web_root,
      .clients = (unsigned)c->limit_http_clients, .wait_ns = c->fetch_timeout};
  if (!config.listen || config.listen[0] == '\0')
    return 0;
  int rc = http_server_new(&config, &r->http, ret_err);
  if (rc < 0 && c->http_listen_set)
    return rc;
  if (rc < 0) { /* nobody asked for it: another server may have that TCP port, as it may beside the Rust relay */
    log_warn(r->log, "no HTTP: %s; web.http.listen sets another address, \"\" none", ret_err->text);
    return 0;
  }
  address_text(http_server_address(r->http), text, sizeof text);
  log_info(r->log, "listening addr=%s kind=http", text);
  return 0;
}

/* ---- life ---- */

static void end_now(struct relay *r)
{
  void (*ended)(void *) = r->ended;
  timers_cancel(&r->worker.timers, &r->drain);
  r->ended = NULL;
  if (ended)
    ended(r->ended_ctx);
}

static void all_left(void *ctx)
{
  struct relay *r = ctx;
  if (!r->draining)
    return;
  log_info(r->log, "drain complete: every session left");
  end_now(r);
}

static void drain_over(struct timer *t, uint64_t now)
{
  struct relay *r = container_of(t, struct relay, drain);
  log_info(r->log, "drain timeout: %zu sessions are closed", r->guests.count);
  guests_close(&r->guests, LITE_CLOSE_GOAWAY_TIMEOUT, "server shutdown");
  end_now(r);
}

void relay_drain(struct relay *r, void (*ended)(void *ctx), void *ctx)
{
  bool again = r->draining;
  worker_enter(&r->worker);
  r->draining = true;
  r->ended = ended;
  r->ended_ctx = ctx;
  if (again || r->guests.count == 0) {
    end_now(r);
    return;
  }
  log_info(r->log, "draining: %zu sessions are asked to leave", r->guests.count);
  for (size_t i = 0; i < r->endpoint_count; i++)
    quic_endpoint_stop_accepting(r->endpoints[i]);
  guests_goaway(&r->guests);
  timer_init(&r->drain, drain_over);
  timers_set(&r->worker.timers, &r->drain, r->worker.now + r->config->drain_timeout);
}

static void fill_session_limits(const struct relay_config *c, struct lite_limits *l)
{
  lite_limits_default(l);
  l->announces = (uint32_t)c->limit_announces;
  l->requests = (uint32_t)c->limit_subscriptions;
  l->groups = (uint32_t)c->limit_groups;
  l->message_bytes = c->limit_message_bytes;
  l->queue_bytes = c->limit_queue_bytes;
  l->session_queue_bytes = c->limit_session_queue_bytes;
  l->setup_timeout_ns = c->listen_timeout;
  l->message_timeout_ns = c->limit_message_timeout;
}

static void fill_guests(struct relay *r)
{
  struct guests *g = &r->guests;
  guests_init(g);
  g->env = (struct lite_env){.model = &r->model, .origin = r->origin, .timers = &r->worker.timers, .clock = r->worker.clock,
                             .now = &r->worker.now, .log = r->log, .local_publishers = true};
  fill_session_limits(r->config, &g->env.limits);
  g->admission = r->admission;
  g->worker = &r->worker;
  g->log = r->log;
  g->versions = r->versions;
  g->legacy = r->legacy;
  g->empty = all_left;
  g->ctx = r;
}

static int start(struct relay *r, struct err *ret_err)
{
  int rc = start_model(r, ret_err);
  if (rc == 0)
    rc = start_admission(r, ret_err);
  if (rc == 0)
    rc = start_tls(r, ret_err);
  if (rc < 0)
    return rc;
  choose_versions(r);
  fill_guests(r);
  rng_fill(&r->rng, r->secret, sizeof r->secret);
  rc = start_quic(r, ret_err);
  return rc < 0 ? rc : start_http(r, ret_err);
}

int relay_new(const struct relay_config *config, uv_loop_t *loop, const struct log *log, struct rng rng,
              struct relay **ret_relay, struct err *ret_err)
{
  struct relay *r = calloc(1, sizeof *r);
  if (!r)
    return err_set(ret_err, -ENOMEM, "out of memory");
  r->config = config;
  r->log = log;
  r->rng = rng;
  int rc = worker_init(&r->worker, loop, clock_system());
  if (rc < 0) {
    free(r);
    return err_set(ret_err, rc, "the event loop cannot be set up: %s", strerror(-rc));
  }
  rc = start(r, ret_err);
  if (rc < 0) {
    relay_free(r);
    return rc;
  }
  *ret_relay = r;
  return 0;
}

void relay_free(struct relay *r)
{
  if (!r)
    return;
  r->guests.empty = NULL;
  http_server_free(r->http);
  for (size_t i = 0; i < r->endpoint_count; i++)
    quic_endpoint_free(r->endpoints[i]);
  timers_cancel(&r->worker.timers, &r->renew);
  timers_cancel(&r->worker.timers, &r->drain);
  worker_defer_cancel(&r->model_work);
  tls_server_free(r->tls);
  admission_free(r->admission);
  if (r->origin)
    origin_free(r->origin);
  model_destroy(&r->model);
  worker_destroy(&r->worker);
  uv_run(r->worker.loop, UV_RUN_DEFAULT); /* its handles live in *r */
  free(r);
}
