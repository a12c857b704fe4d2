/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/connect.h"
#include "client/fingerprint.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define BACKOFF_INITIAL (1 * NS_PER_S)
#define BACKOFF_MAX (5 * NS_PER_S)
#define CONNECT_TIMEOUT (10 * NS_PER_S)
#define ADDRESS_TIMEOUT (2 * NS_PER_S) /* the same, while there is another address to try */
#define CLOSE_TIMEOUT (1 * NS_PER_S)

/* What is in progress; the timer bounds each wait. */
enum state {
  STATE_WAITING,
  STATE_FINGERPRINT,
  STATE_RESOLVING,
  STATE_DIALLING,
  STATE_UP,
  STATE_CLOSING
};

struct connection {
  struct connection_config config;
  struct relay_url url;
  enum state state;
  struct lite_env env;
  struct quic_endpoint *endpoint;
  struct tls_client *tls;
  struct fingerprint_job *job;
  uv_getaddrinfo_t *resolver; /* owns itself; its data is NULL once we do not want the answer */
  struct addrinfo *addresses, *next;
  struct transport *dialling; /* the QUIC connection that is being made */
  struct lite_session *session;
  struct timer timer;
  uint64_t backoff, up_since;
  char why[200];
  char **fingerprints, **roots;
  void (*closed)(void *ctx);
  void *closed_ctx;
};

static const char *const alpn_quic[] = {"moq-lite-06", "moq-lite-05", "moq-lite-04",
                                        "moq-lite-03", "moql",        NULL};
static const char *const alpn_h3[] = {"h3", NULL};

static void dial_next(struct connection *c);
static void resolve(struct connection *c);

static uint64_t now_of(const struct connection *c)
{
  return c->config.worker->now;
}

static void forget_addresses(struct connection *c)
{
  if (c->addresses)
    uv_freeaddrinfo(c->addresses);
  c->addresses = c->next = NULL;
}

/* ---- down and again ---- */

static uint64_t jittered(struct connection *c)
{
  uint64_t half = c->backoff / 2;
  uint64_t wait = half + rng_below(&c->config.rng, half + 1);
  c->backoff = c->backoff * 2 < BACKOFF_MAX ? c->backoff * 2 : BACKOFF_MAX;
  return wait;
}

static void finish_close(struct connection *c);

static void down(struct connection *c, const char *why, bool final)
{
  uint64_t retry = UINT64_MAX;
  forget_addresses(c);
  c->dialling = NULL;
  c->session = NULL;
  if (c->state == STATE_CLOSING) {
    finish_close(c);
    return;
  }
  c->state = STATE_WAITING;
  timers_cancel(&c->config.worker->timers, &c->timer);
  if (!final && !c->config.once) {
    if (c->up_since && now_of(c) - c->up_since > 10 * NS_PER_S)
      c->backoff = BACKOFF_INITIAL;
    retry = jittered(c);
    timers_set(&c->config.worker->timers, &c->timer, now_of(c) + retry);
  }
  c->up_since = 0;
  c->config.events->down(c->config.ctx, why, retry);
}

/* ---- the session ---- */

static void on_setup(void *ctx, struct lite_session *s, const struct lite_setup_info *info)
{
  struct connection *c = ctx;
  struct scope scope;
  struct slice all = slice_of("", 0);
  int rc = scope_init(&scope, all, &all, c->config.watch, &all, c->config.serve);
  if (rc == 0)
    rc = lite_session_start(s, &scope);
  if (rc < 0)
    lite_session_close(s, LITE_CLOSE_INTERNAL, "out of memory");
}

static void on_goaway(void *ctx, struct lite_session *s, struct slice uri)
{
  lite_session_close(s, LITE_CLOSE_DONE, "going away as asked");
}

static void on_closed(void *ctx, struct lite_session *s, uint64_t code, struct slice reason,
                      bool by_peer)
{
  struct connection *c = ctx;
  const char *name = code == TRANSPORT_NO_CODE ? "connection lost" : lite_close_name(code);
  snprintf(c->why, sizeof c->why, "%s%s%.*s", name, reason.n ? ": " : "", SLICE_FMT(reason));
  down(c, c->why, by_peer && code == LITE_CLOSE_UNAUTHORIZED);
}

static const struct lite_session_events session_events = {on_setup, on_goaway, on_closed};

static void start_session(struct connection *c, struct transport *t)
{
  enum lite_version version =
      LITE_02; /* a WebTransport server that chose nothing expects the SETUP exchange */
  if (t->protocol[0] && !lite_from_alpn(slice_str(t->protocol), &version)) {
    c->dialling = NULL;
    transport_close(t, LITE_CLOSE_VERSION, "no common version");
    down(c, "the relay speaks no version that we do", true);
    return;
  }
  struct lite_session_config config = {.env = &c->env,
                                       .events = &session_events,
                                       .ctx = c,
                                       .version = version,
                                       .legacy = 1u << LITE_01 | 1u << LITE_02,
                                       .role = c->config.role};
  if (!c->url.webtransport)
    config.setup_path = c->url.path;
  c->dialling = NULL;
  if (lite_session_new(&config, t, &c->session) < 0) {
    transport_close(t, LITE_CLOSE_INTERNAL, "out of memory");
    down(c, "out of memory", false);
    return;
  }
  if (c->state == STATE_CLOSING) { /* it came up while we were leaving */
    lite_session_close(c->session, LITE_CLOSE_DONE, "");
    return;
  }
  c->state = STATE_UP;
  c->up_since = now_of(c);
  timers_cancel(&c->config.worker->timers, &c->timer);
  c->config.events->up(c->config.ctx, lite_info(version)->alpn);
}

/* ---- dialling ---- */

static void dial_failed(void *ctx, int rc, const char *text)
{
  struct connection *c = ctx;
  c->dialling = NULL;
  snprintf(c->why, sizeof c->why, "%s", text);
  if (c->next && c->state != STATE_CLOSING)
    dial_next(c);
  else
    down(c, c->why, false);
}

static void wt_session(void *ctx, struct transport *t)
{
  struct connection *c = ctx;
  start_session(c, t);
}

static void wt_failed(void *ctx, int status, const char *text)
{
  struct connection *c = ctx;
  if (status > 0)
    snprintf(c->why, sizeof c->why, "refused with HTTP status %d%s", status,
             status == 401 || status == 403 ? " (not allowed)" : "");
  else
    snprintf(c->why, sizeof c->why, "%s", text);
  down(c, c->why, status == 401 || status == 403 || status == 404);
}

static const struct wt_dial_events wt_events = {wt_session, wt_failed};

static void on_connection(void *ctx, struct transport *t)
{
  struct connection *c = t->user;
  if (!c->url.webtransport) {
    start_session(c, t);
    return;
  }
  char authority[300];
  bool v6 = strchr(c->url.host, ':') != NULL;
  snprintf(authority, sizeof authority, v6 ? "[%s]:%s" : "%s:%s", c->url.host, c->url.port);
  c->dialling = t;
  if (wt_connect(t, c->config.worker, c->config.log, authority, c->url.path, alpn_quic, &wt_events,
                 c) < 0) {
    transport_close(t, LITE_CLOSE_INTERNAL, "out of memory");
    down(c, "out of memory", false);
  }
}

static void dial_next(struct connection *c)
{
  struct addrinfo *a = c->next;
  struct err err;
  struct quic_dial dial = {.peer = a->ai_addr,
                           .peer_len = (socklen_t)a->ai_addrlen,
                           .host = c->url.host,
                           .alpn = c->url.webtransport ? alpn_h3 : alpn_quic,
                           .tls = c->tls,
                           .on_failed = dial_failed,
                           .ctx = c};
  c->next = a->ai_next;
  c->state = STATE_DIALLING;
  timers_set(&c->config.worker->timers, &c->timer,
             now_of(c) + (c->next ? ADDRESS_TIMEOUT : CONNECT_TIMEOUT));
  if (quic_dial(c->endpoint, &dial, &c->dialling, &err) < 0)
    dial_failed(c, -EIO, err.text);
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
  struct connection *c = req->data;
  free(req);
  if (!c) {
    uv_freeaddrinfo(res);
    return;
  }
  worker_enter(c->config.worker);
  c->resolver = NULL;
  if (c->state == STATE_CLOSING) {
    uv_freeaddrinfo(res);
    return;
  }
  if (status < 0 || !res) {
    snprintf(c->why, sizeof c->why, "unknown host %.100s: %s", c->url.host, uv_strerror(status));
    down(c, c->why, false);
    return;
  }
  c->addresses = c->next = res;
  dial_next(c);
}

static void resolve(struct connection *c)
{
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
  c->state = STATE_RESOLVING;
  c->resolver = calloc(1, sizeof *c->resolver);
  if (c->resolver)
    c->resolver->data = c;
  if (!c->resolver || uv_getaddrinfo(c->config.worker->loop, c->resolver, resolved, c->url.host,
                                     c->url.port, &hints) < 0) {
    free(c->resolver);
    c->resolver = NULL;
    down(c, "the host cannot be looked up", false);
  }
}

/* ---- certificates ---- */

static int make_tls(struct connection *c, const char *const *fingerprints, size_t n,
                    struct err *ret_err)
{
  struct tls_client_config config = {.roots = c->config.roots,
                                     .root_count = c->config.root_count,
                                     .fingerprints = fingerprints,
                                     .fingerprint_count = n,
                                     .insecure = c->config.insecure};
  struct tls_client *tls;
  int rc = tls_client_new(&config, &tls, ret_err);
  if (rc < 0)
    return rc;
  tls_client_free(c->tls);
  c->tls = tls;
  return 0;
}

static void got_fingerprint(void *ctx, const char *hex, const char *error)
{
  struct connection *c = ctx;
  struct err err;
  c->job = NULL;
  if (c->state == STATE_CLOSING)
    return;
  if (error) {
    snprintf(c->why, sizeof c->why, "%s", error);
    down(c, c->why, false);
    return;
  }
  if (make_tls(c, &hex, 1, &err) < 0) {
    down(c, err.text, false);
    return;
  }
  resolve(c);
}

static void try_connect(struct connection *c)
{
  bool pinned = c->config.insecure || c->config.fingerprint_count > 0;
  if (!c->url.fetch_fingerprint || pinned) {
    resolve(c);
    return;
  }
  c->state = STATE_FINGERPRINT;
  c->job = fingerprint_fetch(c->config.worker, c->url.host, c->url.port, got_fingerprint, c);
  if (!c->job)
    down(c, "out of memory", false);
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct connection *c = container_of(t, struct connection, timer);
  if (c->state == STATE_CLOSING) {
    finish_close(c);
  } else if (c->state == STATE_WAITING) {
    try_connect(c);
  } else if (c->dialling) {
    transport_close(c->dialling, LITE_CLOSE_CONTROL_TIMEOUT,
                    "no answer in time"); /* a failure event follows */
  }
}

/* ---- life ---- */

static char **copy_strings(const char *const *v, size_t n)
{
  char **copy = calloc(n + 1, sizeof *copy);
  for (size_t i = 0; copy && i < n; i++)
    copy[i] = strdup(v[i]);
  return copy;
}

static void free_strings(char **v, size_t n)
{
  for (size_t i = 0; v && i < n; i++)
    free(v[i]);
  free(v);
}

void connection_free(struct connection *c)
{
  if (!c)
    return;
  c->state = STATE_CLOSING;
  if (c->resolver)
    c->resolver->data = NULL;
  fingerprint_cancel(c->job);
  forget_addresses(c);
  timers_cancel(&c->config.worker->timers, &c->timer);
  quic_endpoint_free(c->endpoint);
  tls_client_free(c->tls);
  free_strings(c->fingerprints, c->config.fingerprint_count);
  free_strings(c->roots, c->config.root_count);
  free(c);
}

static int open_endpoint(struct connection *c, struct err *ret_err)
{
  struct quic_endpoint_config config = {.worker = c->config.worker,
                                        .log = c->config.log,
                                        .rng = c->config.rng,
                                        .on_connection = on_connection,
                                        .ctx = c};
  quic_limits_default(&config.limits);
  rng_fill(&c->config.rng, config.secret, sizeof config.secret);
  int rc = quic_endpoint_new(&config, "[::]:0", &c->endpoint, ret_err);
  return rc < 0 ? quic_endpoint_new(&config, "0.0.0.0:0", &c->endpoint, ret_err) : rc;
}

static void fill_env(struct connection *c)
{
  c->env = (struct lite_env){.model = c->config.model,
                             .origin = c->config.origin,
                             .timers = &c->config.worker->timers,
                             .clock = c->config.worker->clock,
                             .now = &c->config.worker->now,
                             .log = c->config.log};
  lite_limits_default(&c->env.limits);
  if (c->config.announces)
    c->env.limits.announces = c->config.announces;
}

int connection_new(const struct connection_config *config, struct connection **ret_c,
                   struct err *ret_err)
{
  struct connection *c = calloc(1, sizeof *c);
  if (!c)
    return err_set(ret_err, -ENOMEM, "out of memory");
  c->config = *config;
  c->backoff = BACKOFF_INITIAL;
  timer_init(&c->timer, on_timer);
  c->fingerprints = copy_strings(config->fingerprints, config->fingerprint_count);
  c->roots = copy_strings(config->roots, config->root_count);
  c->config.fingerprints = (const char *const *)c->fingerprints;
  c->config.roots = (const char *const *)c->roots;
  fill_env(c);
  int rc = relay_url_parse(config->url, &c->url, ret_err);
  if (rc == 0)
    rc = make_tls(c, c->config.fingerprints, config->fingerprint_count, ret_err);
  if (rc == 0)
    rc = open_endpoint(c, ret_err);
  if (rc < 0) {
    connection_free(c);
    return rc;
  }
  c->state = STATE_WAITING;
  timers_set(&config->worker->timers, &c->timer, config->worker->now + 1);
  *ret_c = c;
  return 0;
}

void connection_stats(const struct connection *c, struct transport_stats *ret_stats)
{
  *ret_stats = (struct transport_stats){0};
  if (!c->session)
    return;
  struct transport *t = lite_session_transport(c->session);
  t->ops->stats(t, ret_stats);
}

static void finish_close(struct connection *c)
{
  void (*closed)(void *) = c->closed;
  void *ctx = c->closed_ctx;
  c->closed = NULL;
  timers_cancel(&c->config.worker->timers, &c->timer);
  if (closed)
    closed(ctx);
}

void connection_close(struct connection *c, void (*closed)(void *ctx), void *ctx)
{
  bool idle = !c->session && !c->dialling;
  c->closed = closed;
  c->closed_ctx = ctx;
  c->state = STATE_CLOSING;
  timers_set(&c->config.worker->timers, &c->timer, now_of(c) + (idle ? 0 : CLOSE_TIMEOUT));
  if (c->session)
    lite_session_close(c->session, LITE_CLOSE_DONE, "");
  else if (c->dialling)
    transport_close(c->dialling, LITE_CLOSE_DONE, "");
}
