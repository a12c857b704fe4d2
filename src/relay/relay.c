/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/relay_impl.h"
#include "auth/server.h"
#include "relay/settings.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

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
  g->full = relay_guests_full;
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
  relay_choose_versions(r);
  fill_guests(r);
  relay_start_tidy(r);
  rc = relay_start_quic(r, ret_err);
  if (rc == 0)
    rc = relay_start_http(r, ret_err);
  if (rc == 0)
    rc = relay_start_internal(r, ret_err);
  if (rc == 0)
    relay_start_memory(r);
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
