/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/relay.h"
#include "auth/server.h"
#include "model/origin.h"
#include "net/quic.h"
#include "relay/guest.h"
#include "relay/memory.h"
#include "relay/settings.h"
#include "relay/state.h"
#include "relay/tidy.h"
#include "web/http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LISTENERS_MAX 16
#define VERSIONS_MAX 8
#define TIDY_INTERVAL_NS (5 * NS_PER_S)
#define SLABS_AT_ONCE 32 /* of payload given back in a turn of the loop */
#define SLABS_INTERVAL_NS (20 * NS_PER_MS)
#define INTERNAL_CLIENTS 16 /* connections to internal.listen */

struct relay {
  const struct relay_config *config;
  const struct log *log;
  struct rng rng;
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct deferred model_work;
  struct admission *admission;
  struct tls_server *tls, *https_tls; /* of QUIC, of HTTPS */
  struct timer renew, drain, look;    /* look: whether memory can be given back */
  struct tidy tidy;
  struct memory memory;
  struct limits counts;
  struct quic_endpoint *endpoints[LISTENERS_MAX];
  size_t endpoint_count;
  struct http_server *http, *https, *internal;
  struct metrics_source metrics;
  struct lite_totals totals;
  struct guests guests;
  const char *versions[VERSIONS_MAX + 1]; /* spoken, our order; NULL-terminated */
  const char *alpn[VERSIONS_MAX + 2];     /* the same and "h3" */
  unsigned legacy;                        /* versions of the SETUP exchange, a bit each */
  uint8_t secret[STATE_SECRET_BYTES];
  bool http_busy, https_busy; /* while draining: requests are being answered */
  enum { RUNNING, DRAINING, CLOSING } stage;
  void (*ended)(void *ctx);
  void *ended_ctx;
};

/* Newest first: our order of preference on raw QUIC. */
static const enum lite_version served[] = {LITE_07, LITE_06, LITE_05, LITE_04, LITE_03, LITE_02, LITE_01};

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

/* The most that an endpoint held since the last time, and what it holds now. */
static void add_peaks(struct quic_endpoint *ep, struct quic_peaks *most, struct quic_peaks *now_there)
{
  struct quic_peaks p[2];
  for (size_t i = 0; i < 2; i++) {
    quic_endpoint_peaks(ep, &p[i]);
    struct quic_peaks *sum = i == 0 ? most : now_there;
    sum->connections += p[i].connections;
    sum->memory += p[i].memory;
  }
}

/* ---- memory ---- */

static uint64_t resident(void *ctx)
{
  unsigned long long pages = 0;
  FILE *f = fopen("/proc/self/statm", "re");
  if (!f)
    return 0;
  if (fscanf(f, "%*u %llu", &pages) != 1)
    pages = 0;
  fclose(f);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t allocated(void *ctx)
{
  const struct relay *r = ctx;
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd + chunk_pool_used(&r->model.chunks);
}

static uint64_t close_slowest(void *ctx, uint64_t bytes, uint64_t least)
{
  struct relay *r = ctx;
  return guests_close_largest(&r->guests, bytes, least, &r->counts);
}

/* Nothing else happens meanwhile. */
static void give_back(void *ctx)
{
  struct relay *r = ctx;
  uint64_t from = clock_now(&r->worker.clock), before = resident(NULL);
  malloc_trim(0);
  log_debug(r->log, "memory given back: resident %" PRIu64 " -> %" PRIu64 " in %" PRIu64 " us", before, resident(NULL),
            (clock_now(&r->worker.clock) - from) / 1000);
}

static void look(struct timer *t, uint64_t now)
{
  struct relay *r = container_of(t, struct relay, look);
  bool more = chunk_pool_release(&r->model.chunks, SLABS_AT_ONCE);
  timers_set(&r->worker.timers, t, now + (more ? SLABS_INTERVAL_NS : TIDY_INTERVAL_NS));
  struct quic_peaks most = {0}, now_there = {0};
  for (size_t i = 0; i < r->endpoint_count; i++)
    add_peaks(r->endpoints[i], &most, &now_there);
  size_t cached = r->model.cache.used;
  bool due = tidy_due(&r->tidy, most.connections, cached + most.memory);
  if (tidy_due(&r->tidy, now_there.connections, cached + now_there.memory) || due)
    give_back(r);
}

static uint64_t spare(void *ctx)
{
  const struct relay *r = ctx;
  return chunk_pool_spare(&r->model.chunks);
}

static void release(void *ctx)
{
  struct relay *r = ctx;
  chunk_pool_release(&r->model.chunks, SLABS_AT_ONCE);
}

static const struct memory_ops memory_ops = {resident, allocated, close_slowest, spare, release, give_back};

static void start_memory(struct relay *r)
{
  const struct memory_config config = {.max = r->config->memory_max,
                                       .cache_capacity = r->config->cache_capacity,
                                       .cache = &r->model.cache,
                                       .timers = &r->worker.timers,
                                       .log = r->log,
                                       .counts = &r->counts,
                                       .ops = &memory_ops,
                                       .ctx = r};
  memory_init(&r->memory, &config, r->worker.now);
}

static bool full(struct relay *r, const char *kind)
{
  if (!memory_full(&r->memory, r->worker.now))
    return false;
  limit_hit(&r->counts, LIMIT_MEMORY, r->worker.now, "refused kind=%s", kind);
  return true;
}

static bool quic_full(void *ctx, const union udp_addr *peer)
{
  return full(ctx, "quic");
}

static bool guests_full(void *ctx, const struct sockaddr_storage *peer)
{
  return full(ctx, "webtransport");
}

static bool http_full(void *ctx)
{
  return full(ctx, "http");
}

void relay_memory(const struct relay *r, struct memory_gauges *g)
{
  const struct cache *c = &r->model.cache;
  size_t payload = cache_payload(c);
  *g = (struct memory_gauges){.max = r->config->memory_max,
                              .resident = resident(NULL),
                              .allocated = allocated((void *)(uintptr_t)r),
                              .cache_capacity = c->capacity,
                              .cache_payload = payload,
                              .cache_metadata = c->used - c->leaving - payload,
                              .cache_leaving = c->leaving,
                              .model = model_memory(&r->model),
                              .sessions = guests_memory(&r->guests),
                              .http = http_server_memory(r->http) + http_server_memory(r->https) +
                                      http_server_memory(r->internal),
                              .refusing = r->memory.refusing};
  for (size_t i = 0; i < r->endpoint_count; i++)
    g->quic += quic_endpoint_memory(r->endpoints[i]);
}

static int start_model(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  deferred_init(&r->model_work, model_work);
  model_init(&r->model, &r->worker.timers, r->rng, c->cache_capacity, model_defer, r);
  settings_model(c, &r->model.limits);
  r->model.counts = &r->counts;
  r->model.hop_id = c->hop_id ? c->hop_id : 1 + rng_below(&r->rng, (1ULL << 53) - 1);
  r->origin = origin_new(&r->model);
  return r->origin ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
}

/* ---- who may come ---- */

static void all_left(void *ctx);

static bool is_on(const char *text)
{
  return text && text[0] != '\0';
}

static size_t gather(const struct strlist *a, const struct strlist *b, const char **out, size_t max)
{
  size_t n = 0;
  for (size_t i = 0; i < a->n && n < max; i++)
    out[n++] = a->v[i];
  for (size_t i = 0; i < b->n && n < max; i++)
    out[n++] = b->v[i];
  return n;
}

static void enter_worker(void *ctx)
{
  struct relay *r = ctx;
  worker_enter(&r->worker);
}

static void fill_auth_server(struct relay *r, struct auth_server_config *config)
{
  settings_auth_server(r->config, config);
  config->http.loop = r->worker.loop;
  config->http.timers = &r->worker.timers;
  config->http.clock = r->worker.clock;
  config->http.enter = enter_worker;
  config->http.ctx = config->ctx = r;
  config->idle = all_left;
  config->limits = &r->counts;
  config->rng = r->rng;
  config->log = r->log;
}

/* Contexts that outlive the process would make used tokens good again where those do not. */
static int fill_privacypass(struct relay *r, struct privacypass_config *config, struct err *ret_err)
{
  static const char label[] = "moq-relay privacypass context";
  settings_privacypass(r->config, config);
  config->clock = config->http.clock = r->worker.clock;
  config->http.loop = r->worker.loop;
  config->http.timers = &r->worker.timers;
  config->http.enter = enter_worker;
  config->http.ctx = r;
  config->rng = r->rng;
  config->log = r->log;
  rng_fill(&r->rng, config->offer.secret, sizeof config->offer.secret);
  if (config->spent_file && gnutls_hmac_fast(GNUTLS_MAC_SHA256, r->secret, sizeof r->secret, label, sizeof label - 1,
                                             config->offer.secret) < 0)
    return err_set(ret_err, -EIO, "the secret of Privacy Pass challenges cannot be made");
  return 0;
}

static int start_admission(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  const char *publish[2 * GRANT_PATTERNS_MAX], *subscribe[2 * GRANT_PATTERNS_MAX];
  struct admission_config config = {.publish = publish,
                                    .subscribe = subscribe,
                                    .key = c->auth_key,
                                    .key_dir = c->auth_key_dir,
                                    .leeway_s = c->auth_leeway / NS_PER_S,
                                    .clock = r->worker.clock,
                                    .timers = &r->worker.timers,
                                    .log = r->log};
  struct privacypass_config privacypass;
  if (c->pp_enabled) {
    int rc = fill_privacypass(r, &privacypass, ret_err);
    if (rc < 0)
      return rc;
    config.privacypass = &privacypass;
  }
  struct auth_server_config server;
  if (is_on(c->auth_url)) {
    fill_auth_server(r, &server);
    config.server = &server;
  }
  config.publish_count = gather(&c->auth_public, &c->auth_public_publish, publish, 2 * GRANT_PATTERNS_MAX);
  config.subscribe_count = gather(&c->auth_public, &c->auth_public_subscribe, subscribe, 2 * GRANT_PATTERNS_MAX);
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

/* Whatever fails, the others are loaded, and what fails stays as it was. */
static void reload_set(struct relay *r, struct tls_server *tls, const char *what)
{
  struct err err;
  if (!tls)
    return;
  if (tls_server_reload(tls, clock_wall_us(&r->worker.clock) / 1000000, &err) < 0)
    log_error(r->log, "%s certificates not reloaded, the old ones stay: %s", what, err.text);
  else
    log_info(r->log, "reloading %s certificates", what);
}

void relay_reload(struct relay *r)
{
  worker_enter(&r->worker);
  reload_set(r, r->tls, "server");
  reload_set(r, r->https_tls, "web");
  arm_renewal(r);
}

static void renew(struct timer *t, uint64_t now)
{
  relay_reload(container_of(t, struct relay, renew));
}

static int load_certificates(struct relay *r, const struct strlist *cert, const struct strlist *key,
                             const struct strlist *generate, struct tls_server **ret_tls, struct err *ret_err)
{
  struct tls_server_config config = {
      .cert = (const char *const *)cert->v,
      .key = (const char *const *)key->v,
      .pairs = cert->n,
      .generate = (const char *const *)generate->v,
      .generate_count = generate->n,
  };
  return tls_server_new(&config, clock_wall_us(&r->worker.clock) / 1000000, ret_tls, ret_err);
}

static int start_tls(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  static const struct strlist none = {0};
  int rc = load_certificates(r, &c->tls_cert, &c->tls_key, &c->tls_generate, &r->tls, ret_err);
  if (rc == 0 && is_on(c->https_listen))
    rc = load_certificates(r, &c->https_cert, &c->https_key, &none, &r->https_tls, ret_err);
  if (rc < 0)
    return rc;
  timer_init(&r->renew, renew);
  arm_renewal(r);
  return 0;
}

/* ---- listeners ---- */

static void on_connection(void *ctx, struct transport *t)
{
  struct relay *r = ctx;
  guests_connection(&r->guests, t);
}

static bool listed(const struct strlist *l, const struct lite_version_info *v)
{
  char name[32];
  snprintf(name, sizeof name, "moq-lite-%s", v->name);
  for (size_t i = 0; i < l->n; i++) {
    if (strcmp(l->v[i], name) == 0)
      return true;
  }
  return l->n == 0 && !v->by_name_only;
}

/* ALPNs of the versions that may be spoken; 01 and 02 share one and are told apart by SETUP. */
static void choose_versions(struct relay *r)
{
  size_t n = 0;
  for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
    const struct lite_version_info *v = lite_info(served[i]);
    if (!listed(&r->config->listen_version, v))
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

static uint16_t port_of(const struct sockaddr_storage *a)
{
  return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port
                                       : ((const struct sockaddr_in6 *)a)->sin6_port);
}

static void address_text(const struct sockaddr_storage *a, char *out, size_t n)
{
  char host[INET6_ADDRSTRLEN] = "";
  bool v4 = a->ss_family == AF_INET;
  const void *ip = v4 ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                      : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
  inet_ntop(a->ss_family, ip, host, sizeof host);
  snprintf(out, n, v4 ? "%s:%u" : "[%s]:%u", host, port_of(a));
}

/* One line for all listeners: they ask for the same. */
static void tell_buffers(const struct relay *r)
{
  struct quic_buffers b;
  quic_endpoint_buffers(r->endpoints[0], &b);
  if (b.receive >= b.wanted && b.send >= b.wanted)
    return;
  log_warn(r->log,
           "UDP socket buffers are smaller than wanted (receive %zu, send %zu of %zu bytes), "
           "bursts may be lost: "
           "sysctl -w net.core.rmem_max=%zu net.core.wmem_max=%zu",
           b.receive, b.send, b.wanted, b.wanted, b.wanted);
}

static int start_quic(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  struct quic_endpoint_config config = {.worker = &r->worker,
                                        .log = r->log,
                                        .rng = r->rng,
                                        .counts = &r->counts,
                                        .tls = r->tls,
                                        .alpn = r->alpn,
                                        .on_connection = on_connection,
                                        .full = quic_full,
                                        .ctx = r};
  settings_quic(c, &config.limits);
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
  tell_buffers(r);
  return 0;
}

static int open_http(struct relay *r, const char *listen, struct tls_server *https, struct http_server **ret_http,
                     struct err *ret_err)
{
  char text[80];
  struct http_config config;
  settings_http(r->config, &config);
  config.worker = &r->worker;
  config.log = r->log;
  config.listen = listen;
  config.model = &r->model;
  config.origin = r->origin;
  config.admission = r->admission;
  config.tls = r->tls;
  config.https = https;
  config.full = http_full;
  config.full_ctx = r;
  config.counts = &r->counts;
  int rc = http_server_new(&config, ret_http, ret_err);
  if (rc < 0)
    return rc;
  address_text(http_server_address(*ret_http), text, sizeof text);
  log_info(r->log, "listening addr=%s kind=%s", text, https ? "https" : "http");
  return 0;
}

static int start_http(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  char local[40];
  int rc = 0;
  snprintf(local, sizeof local, "127.0.0.1:%u", port_of(quic_endpoint_address(r->endpoints[0])));
  const char *listen = c->http_listen_set ? c->http_listen : is_on(c->https_listen) ? NULL : local;
  if (is_on(listen))
    rc = open_http(r, listen, NULL, &r->http, ret_err);
  if (rc < 0 && !c->http_listen_set) { /* nobody asked for it: another server may have that TCP
                                          port, as it may beside the Rust relay */
    log_warn(r->log, "no HTTP: %s; web.http.listen sets another address, \"\" none", ret_err->text);
    rc = 0;
  }
  if (rc == 0 && is_on(c->https_listen))
    rc = open_http(r, c->https_listen, r->https_tls, &r->https, ret_err);
  return rc;
}

/* What /metrics shows beside the counters. */
static size_t gauges(void *ctx, struct gauge *ret_rows, size_t max)
{
  const struct relay *r = ctx;
  size_t connections = 0;
  static const char memory[] = "moq_relay_memory_bytes", memory_help[] = "Memory by what holds it, computed.";
  struct memory_gauges m;
  relay_memory(r, &m);
  for (size_t i = 0; i < r->endpoint_count; i++)
    connections += quic_endpoint_connections(r->endpoints[i]);
  const struct gauge rows[] = {
      {"moq_relay_connections", "QUIC connections, handshakes included.", NULL, NULL, connections},
      {"moq_relay_sessions", "Sessions, those not yet admitted included.", NULL, NULL, r->guests.count},
      {"moq_relay_broadcasts", "Broadcasts that are announced or linger.", NULL, NULL, r->model.broadcasts_now},
      {"moq_relay_tracks", "Tracks.", NULL, NULL, r->model.tracks_now},
      {"moq_relay_subscriptions", "Subscriptions of viewers.", NULL, NULL, r->model.subs_now},
      {"moq_relay_cache_bytes", "Memory of cached groups.", NULL, NULL, r->model.cache.used},
      {"moq_relay_cache_capacity_bytes", "What it may be now; 0 = no bound.", NULL, NULL, m.cache_capacity},
      {memory, memory_help, "class", "cache_payload", m.cache_payload},
      {memory, memory_help, "class", "cache_metadata", m.cache_metadata},
      {memory, memory_help, "class", "cache_leaving", m.cache_leaving},
      {memory, memory_help, "class", "model", m.model},
      {memory, memory_help, "class", "sessions", m.sessions},
      {memory, memory_help, "class", "quic", m.quic},
      {memory, memory_help, "class", "http", m.http},
      {"moq_relay_memory_resident_bytes", "Memory of the process, by the kernel.", NULL, NULL, m.resident},
      {"moq_relay_memory_allocated_bytes", "The same, by the allocator; 0 = unknown.", NULL, NULL, m.allocated},
      {"moq_relay_memory_max_bytes", "memory.max; 0 = no bound.", NULL, NULL, m.max},
      {"moq_relay_memory_refusing", "Whether new sessions are refused: memory is short.", NULL, NULL, m.refusing},
  };
  size_t n = sizeof rows / sizeof *rows < max ? sizeof rows / sizeof *rows : max;
  memcpy(ret_rows, rows, n * sizeof *rows);
  return n;
}

static int start_internal(struct relay *r, struct err *ret_err)
{
  char text[80];
  r->metrics = (struct metrics_source){&r->counts, gauges, r};
  struct http_config config = {.worker = &r->worker,
                               .log = r->log,
                               .listen = r->config->internal_listen,
                               .metrics = &r->metrics,
                               .clients = INTERNAL_CLIENTS};
  if (!is_on(config.listen))
    return 0;
  int rc = http_server_new(&config, &r->internal, ret_err);
  if (rc < 0)
    return rc;
  address_text(http_server_address(r->internal), text, sizeof text);
  log_info(r->log, "listening addr=%s kind=internal", text);
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

/* A guest has left or a request was answered. */
static void check_left(struct relay *r)
{
  if (r->stage == RUNNING || r->guests.count > 0 || r->http_busy || r->https_busy || !r->ended ||
      admission_busy(r->admission))
    return;
  log_info(r->log, r->stage == DRAINING ? "drain complete: every session left" : "every session was closed");
  end_now(r);
}

static void all_left(void *ctx)
{
  check_left(ctx);
}

static void http_idle(void *ctx)
{
  struct relay *r = ctx;
  r->http_busy = false;
  check_left(r);
}

static void https_idle(void *ctx)
{
  struct relay *r = ctx;
  r->https_busy = false;
  check_left(r);
}

/* First the sessions are closed, then what did not answer in the rest of the time is left to itself. */
static void drain_over(struct timer *t, uint64_t now)
{
  struct relay *r = container_of(t, struct relay, drain);
  if (r->stage == CLOSING) {
    end_now(r);
    return;
  }
  r->stage = CLOSING;
  r->http_busy = r->https_busy = false;
  log_info(r->log, "drain timeout: %zu sessions are closed", r->guests.count);
  timers_set(&r->worker.timers, &r->drain, now + settings_last_words(r->config));
  guests_close(&r->guests, LITE_CLOSE_GOAWAY_TIMEOUT, "server shutdown");
  check_left(r);
}

static void stop_listening(struct relay *r)
{
  for (size_t i = 0; i < r->endpoint_count; i++)
    quic_endpoint_stop_accepting(r->endpoints[i]);
  r->http_busy = r->http && http_server_stop(r->http, http_idle, r);
  r->https_busy = r->https && http_server_stop(r->https, https_idle, r);
}

void relay_drain(struct relay *r, void (*ended)(void *ctx), void *ctx)
{
  bool again = r->stage != RUNNING;
  worker_enter(&r->worker);
  r->ended = ended;
  r->ended_ctx = ctx;
  if (again) {
    end_now(r);
    return;
  }
  r->stage = DRAINING;
  log_info(r->log, "draining: %zu sessions are asked to leave", r->guests.count);
  stop_listening(r);
  timer_init(&r->drain, drain_over);
  timers_set(&r->worker.timers, &r->drain, r->worker.now + r->config->drain_timeout - settings_last_words(r->config));
  guests_goaway(&r->guests);
  check_left(r);
}

void relay_inspect(const struct relay *r, struct relay_view *v)
{
  const struct privacypass *pp = admission_privacypass(r->admission);
  *v = (struct relay_view){
      .quic = quic_endpoint_limits(r->endpoints[0]),
      .model = &r->model.limits,
      .lite = &r->guests.env.limits,
      .http = r->http ? http_server_config(r->http) : NULL,
      .internal = r->internal ? http_server_config(r->internal) : NULL,
      .connection_sessions = r->guests.webtransport.requests,
      .https = r->https ? http_server_config(r->https) : NULL,
      .auth = admission_server(r->admission),
      .privacypass = pp ? privacypass_config(pp) : NULL,
      .quic_address = quic_endpoint_address(r->endpoints[0]),
      .http_address = r->http ? http_server_address(r->http) : NULL,
      .internal_address = r->internal ? http_server_address(r->internal) : NULL,
      .https_address = r->https ? http_server_address(r->https) : NULL,
      .memory_max = r->memory.config.max,
      .cache_capacity = r->memory.config.cache_capacity,
      .hop_id = r->model.hop_id,
  };
}

static void fill_guests(struct relay *r)
{
  struct guests *g = &r->guests;
  guests_init(g);
  g->env = (struct lite_env){.model = &r->model,
                             .origin = r->origin,
                             .timers = &r->worker.timers,
                             .clock = r->worker.clock,
                             .now = &r->worker.now,
                             .log = r->log,
                             .totals = &r->totals,
                             .counts = &r->counts,
                             .local_publishers = true};
  g->webtransport.requests = (uint32_t)r->config->limit_connection_sessions;
  settings_lite(r->config, &g->env.limits);
  g->admission = r->admission;
  g->worker = &r->worker;
  g->log = r->log;
  g->versions = r->versions;
  g->legacy = r->legacy;
  g->empty = all_left;
  g->full = guests_full;
  g->ctx = r;
}

static int start_secret(struct relay *r, struct err *ret_err)
{
  if (r->config->state_dir && r->config->state_dir[0])
    return state_secret(r->config->state_dir, &r->rng, r->secret, ret_err);
  rng_fill(&r->rng, r->secret, sizeof r->secret);
  return 0;
}

static int start(struct relay *r, struct err *ret_err)
{
  int rc = start_model(r, ret_err);
  if (rc == 0)
    rc = start_secret(r, ret_err);
  if (rc == 0)
    rc = start_admission(r, ret_err);
  if (rc == 0)
    rc = start_tls(r, ret_err);
  if (rc < 0)
    return rc;
  choose_versions(r);
  fill_guests(r);
  timer_init(&r->look, look);
  timers_set(&r->worker.timers, &r->look, r->worker.now + TIDY_INTERVAL_NS);
  rc = start_quic(r, ret_err);
  if (rc == 0)
    rc = start_http(r, ret_err);
  if (rc == 0)
    rc = start_internal(r, ret_err);
  if (rc == 0)
    start_memory(r);
  return rc;
}

int relay_new(const struct relay_config *config, uv_loop_t *loop, const struct log *log, struct rng rng,
              struct relay **ret_relay, struct err *ret_err)
{
  struct relay *r = calloc(1, sizeof *r);
  if (!r)
    return err_set(ret_err, -ENOMEM, "out of memory");
  r->config = config;
  r->log = log;
  r->counts.log = log;
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
  http_server_free(r->https);
  http_server_free(r->internal);
  for (size_t i = 0; i < r->endpoint_count; i++)
    quic_endpoint_free(r->endpoints[i]);
  timers_cancel(&r->worker.timers, &r->renew);
  timers_cancel(&r->worker.timers, &r->drain);
  timers_cancel(&r->worker.timers, &r->look);
  memory_destroy(&r->memory);
  worker_defer_cancel(&r->model_work);
  tls_server_free(r->tls);
  tls_server_free(r->https_tls);
  admission_free(r->admission);
  if (r->origin)
    origin_free(r->origin);
  model_destroy(&r->model);
  worker_destroy(&r->worker);
  /* Its handles live in *r; a uv_stop from before ends one run. */
  while (uv_run(r->worker.loop, UV_RUN_DEFAULT) != 0)
    ;
  explicit_bzero(r->secret, sizeof r->secret);
  free(r);
}
