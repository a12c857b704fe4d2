/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/connect.h"
#include "client/fingerprint.h"
#include "client/race.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BACKOFF_INITIAL (1 * NS_PER_S)
#define BACKOFF_MAX (5 * NS_PER_S)
#define BACKOFF_RESET (10 * NS_PER_S) /* a session that long begins it anew */
#define CLOSE_TIMEOUT (1 * NS_PER_S)

/* What is in progress; the timer bounds each wait. */
enum state { STATE_WAITING, STATE_FINGERPRINT, STATE_RESOLVING, STATE_DIALLING, STATE_UP, STATE_CLOSING };

struct connection {
  struct connection_config config;
  struct relay_url url;
  enum state state;
  struct lite_env env;
  struct quic_endpoint *endpoint;
  struct tls_client *tls;
  struct fingerprint_job *job;
  uv_getaddrinfo_t *resolver; /* owns itself; its data is NULL once we do not want the answer */
  struct addrinfo *addresses;
  struct race race;
  const char *offer[LITE_VERSIONS + 1]; /* ALPNs and WebTransport subprotocols */
  struct transport *dialling;           /* the QUIC connection whose WebTransport session is being made */
  struct lite_session *session;
  struct timer timer;
  uint64_t started; /* the try: ns */
  uint64_t backoff, up_since;
  bool was_up;
  char why[200];
  char **fingerprints, **roots;
  void (*closed)(void *ctx);
  void *closed_ctx;
};

static const char *const alpn_h3[] = {"h3", NULL};

static void resolve(struct connection *c);

static uint64_t now_of(const struct connection *c)
{
  return c->config.worker->now;
}

static void forget_addresses(struct connection *c)
{
  if (c->addresses)
    uv_freeaddrinfo(c->addresses);
  c->addresses = NULL;
}

/* Newest first; 01 and 02 are one name. */
static void fill_offer(struct connection *c)
{
  size_t n = 0;
  for (unsigned v = LITE_VERSIONS; v-- > 0;) {
    const char *alpn = lite_info((enum lite_version)v)->alpn;
    if (c->config.versions & 1u << v && (n == 0 || strcmp(c->offer[n - 1], alpn) != 0))
      c->offer[n++] = alpn;
  }
}

/* Those that the SETUP exchange may pick. */
static unsigned legacy_versions(const struct connection *c)
{
  unsigned mask = 0;
  for (unsigned v = 0; v < LITE_VERSIONS; v++) {
    if (lite_info((enum lite_version)v)->legacy_setup)
      mask |= 1u << v;
  }
  return c->config.versions & mask;
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

/* Whether trying again is of no use. Certificates change while a relay runs. */
static bool is_final(const struct connection *c, enum connection_end end)
{
  return end == CONNECTION_VERSION || end == CONNECTION_DENIED || end == CONNECTION_NOT_FOUND ||
         (end == CONNECTION_CERTIFICATE && !c->was_up);
}

static void down(struct connection *c, enum connection_end end, const char *why)
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
  if (!is_final(c, end) && !c->config.once) {
    if (c->up_since && now_of(c) - c->up_since > BACKOFF_RESET)
      c->backoff = BACKOFF_INITIAL;
    retry = jittered(c);
    timers_set(&c->config.worker->timers, &c->timer, now_of(c) + retry);
  }
  c->up_since = 0;
  c->config.events->down(c->config.ctx, end, why, retry);
}

/* ---- the session ---- */

static void on_setup(void *ctx, struct lite_session *s, const struct lite_setup_info *info)
{
  struct connection *c = ctx;
  struct scope scope;
  struct slice root = slice_of("", 0), all = slice_str("**");
  if (c->state == STATE_CLOSING) { /* it came up while we were leaving */
    lite_session_close(s, LITE_CLOSE_DONE, "");
    return;
  }
  int rc = scope_init(&scope, root, &all, c->config.watch, &all, c->config.serve);
  if (rc == 0)
    rc = lite_session_start(s, &scope);
  if (rc < 0) {
    lite_session_close(s, LITE_CLOSE_INTERNAL, "out of memory");
    return;
  }
  c->up_since = now_of(c);
  c->was_up = true;
  c->config.events->up(c->config.ctx, lite_session_version(s));
}

static void on_goaway(void *ctx, struct lite_session *s, struct slice uri)
{
  lite_session_close(s, LITE_CLOSE_DONE, "going away as asked");
}

static void on_closed(void *ctx, struct lite_session *s, uint64_t code, struct slice reason, bool by_peer)
{
  struct connection *c = ctx;
  const char *name = code == TRANSPORT_NO_CODE ? "connection lost" : lite_close_name(code);
  snprintf(c->why, sizeof c->why, "%s%s%.*s", name, reason.n ? ": " : "", SLICE_FMT(reason));
  enum connection_end end = c->up_since ? CONNECTION_ENDED : CONNECTION_FAILED;
  if (by_peer && code == LITE_CLOSE_UNAUTHORIZED)
    end = CONNECTION_DENIED;
  else if (code == LITE_CLOSE_VERSION)
    end = CONNECTION_VERSION;
  down(c, end, c->why);
}

static void on_asked(void *ctx, struct lite_session *s, struct slice prefix)
{
  struct connection *c = ctx;
  if (c->config.events->asked)
    c->config.events->asked(c->config.ctx, prefix);
}

static const struct lite_session_events session_events = {on_setup, on_goaway, on_closed, on_asked};

/* The version that the transport settled on; that of 01 and 02 is for the SETUP exchange to say. A
 * WebTransport server that chose nothing expects that exchange. */
static bool settled(const struct connection *c, const struct transport *t, enum lite_version *ret_v)
{
  enum lite_version v = LITE_02;
  if (t->protocol[0] && !lite_from_alpn(slice_str(t->protocol), &v))
    return false;
  if (lite_info(v)->legacy_setup ? !legacy_versions(c) : !(c->config.versions & 1u << v))
    return false;
  *ret_v = v;
  return true;
}

static void run_session(struct connection *c, struct transport *t, enum lite_version version)
{
  struct lite_session_config config = {.env = &c->env,
                                       .events = &session_events,
                                       .ctx = c,
                                       .version = version,
                                       .legacy = legacy_versions(c),
                                       .role = c->config.role};
  if (!c->url.webtransport)
    config.setup_path = c->url.path;
  if (c->state != STATE_CLOSING) {
    c->state = STATE_UP;
    timers_cancel(&c->config.worker->timers, &c->timer);
  }
  if (lite_session_new(&config, t, &c->session) < 0) {
    lite_transport_refuse(t, LITE_CLOSE_INTERNAL, "out of memory");
    down(c, CONNECTION_FAILED, "out of memory");
  }
}

static void start_session(struct connection *c, struct transport *t)
{
  enum lite_version version;
  c->dialling = NULL;
  if (settled(c, t, &version)) {
    run_session(c, t, version);
    return;
  }
  lite_transport_refuse(t, LITE_CLOSE_VERSION, "no common version");
  down(c, CONNECTION_VERSION, "the relay speaks none of the versions that were offered");
}

/* ---- dialling ---- */

static enum connection_end end_of(int rc)
{
  switch (rc) {
  case -EACCES:
    return CONNECTION_CERTIFICATE;
  case -EPROTONOSUPPORT:
    return CONNECTION_VERSION;
  case -ECONNREFUSED:
  case -ECONNRESET:
  case -EHOSTUNREACH:
  case -ENETUNREACH:
  case -ETIMEDOUT:
    return CONNECTION_UNREACHABLE;
  default:
    return CONNECTION_FAILED;
  }
}

static void race_lost(void *ctx, int rc, const char *text)
{
  struct connection *c = ctx;
  snprintf(c->why, sizeof c->why, "%s", text);
  down(c, end_of(rc), c->why);
}

static void wt_session(void *ctx, struct transport *t)
{
  struct connection *c = ctx;
  start_session(c, t);
}

/* 400 is how relays refuse a list of protocols of which they know none. */
static enum connection_end end_of_status(int status)
{
  switch (status) {
  case 400:
    return CONNECTION_VERSION;
  case 401:
  case 403:
    return CONNECTION_DENIED;
  case 404:
    return CONNECTION_NOT_FOUND;
  default:
    return CONNECTION_FAILED;
  }
}

static void wt_failed(void *ctx, int status, const char *text)
{
  static const char *const meanings[] = {[CONNECTION_VERSION] = " (no common version)",
                                         [CONNECTION_DENIED] = " (not allowed)",
                                         [CONNECTION_NOT_FOUND] = " (not found)"};
  struct connection *c = ctx;
  enum connection_end end = end_of_status(status);
  if (status > 0)
    snprintf(c->why, sizeof c->why, "refused with HTTP status %d%s", status,
             end != CONNECTION_FAILED ? meanings[end] : "");
  else
    snprintf(c->why, sizeof c->why, "%s", text);
  down(c, end, c->why);
}

static const struct wt_dial_events wt_events = {wt_session, wt_failed};

static void on_connection(void *ctx, struct transport *t)
{
  struct connection *c = ctx;
  race_won(&c->race, t);
  t->user = c;
  if (!c->url.webtransport) {
    start_session(c, t);
    return;
  }
  char authority[300];
  bool v6 = strchr(c->url.host, ':') != NULL;
  snprintf(authority, sizeof authority, v6 ? "[%s]:%s" : "%s:%s", c->url.host, c->url.port);
  c->dialling = t;
  timers_set(&c->config.worker->timers, &c->timer, c->started + c->config.timeout_ns);
  if (wt_connect(t, c->config.worker, c->config.log, authority, c->url.path, c->offer, &wt_events, c) < 0) {
    transport_close(t, LITE_CLOSE_INTERNAL, "out of memory");
    down(c, CONNECTION_FAILED, "out of memory");
  }
}

static void dial(struct connection *c)
{
  struct quic_dial to = {.host = c->url.host, .alpn = c->url.webtransport ? alpn_h3 : c->offer, .tls = c->tls};
  c->state = STATE_DIALLING;
  c->started = now_of(c);
  c->race.worker = c->config.worker;
  c->race.endpoint = c->endpoint;
  c->race.stagger_ns = c->config.race_ns;
  c->race.timeout_ns = c->config.timeout_ns;
  c->race.lost = race_lost;
  c->race.ctx = c;
  race_start(&c->race, c->addresses, &to);
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
    down(c, CONNECTION_UNKNOWN_HOST, c->why);
    return;
  }
  c->addresses = res;
  dial(c);
}

static void resolve(struct connection *c)
{
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
  c->state = STATE_RESOLVING;
  c->resolver = calloc(1, sizeof *c->resolver);
  if (c->resolver)
    c->resolver->data = c;
  if (!c->resolver ||
      uv_getaddrinfo(c->config.worker->loop, c->resolver, resolved, c->url.host, c->url.port, &hints) < 0) {
    free(c->resolver);
    c->resolver = NULL;
    down(c, CONNECTION_FAILED, "the host cannot be looked up");
  }
}

/* ---- certificates ---- */

static int make_tls(struct connection *c, const char *const *fingerprints, size_t n, struct err *ret_err)
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

static void got_fingerprint(void *ctx, enum fingerprint_result result, const char *text)
{
  static const enum connection_end ends[] = {[FINGERPRINT_UNKNOWN_HOST] = CONNECTION_UNKNOWN_HOST,
                                             [FINGERPRINT_UNREACHABLE] = CONNECTION_UNREACHABLE,
                                             [FINGERPRINT_REFUSED] = CONNECTION_CERTIFICATE,
                                             [FINGERPRINT_FAILED] = CONNECTION_FAILED};
  struct connection *c = ctx;
  struct err err;
  c->job = NULL;
  if (c->state == STATE_CLOSING)
    return;
  if (result != FINGERPRINT_GOT) {
    snprintf(c->why, sizeof c->why, "%s", text);
    down(c, ends[result], c->why);
    return;
  }
  if (make_tls(c, &text, 1, &err) < 0) {
    down(c, CONNECTION_CERTIFICATE, err.text);
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
    down(c, CONNECTION_FAILED, "out of memory");
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct connection *c = container_of(t, struct connection, timer);
  if (c->state == STATE_CLOSING) {
    finish_close(c);
  } else if (c->state == STATE_WAITING) {
    try_connect(c);
  } else if (c->dialling) {
    transport_close(c->dialling, LITE_CLOSE_CONTROL_TIMEOUT, "no answer in time"); /* a failure event follows */
  }
}

/* ---- life ---- */

static void free_strings(char **v, size_t n)
{
  for (size_t i = 0; v && i < n; i++)
    free(v[i]);
  free(v);
}

static int copy_strings(const char *const *v, size_t n, char ***ret_copy)
{
  char **copy = calloc(n + 1, sizeof *copy);
  bool all = copy != NULL;
  for (size_t i = 0; all && i < n; i++)
    all = (copy[i] = strdup(v[i])) != NULL;
  if (!all) {
    free_strings(copy, n);
    return -ENOMEM;
  }
  *ret_copy = copy;
  return 0;
}

static int keep_strings(struct connection *c, const struct connection_config *config, struct err *ret_err)
{
  int rc = copy_strings(config->fingerprints, config->fingerprint_count, &c->fingerprints);
  if (rc == 0)
    rc = copy_strings(config->roots, config->root_count, &c->roots);
  c->config.fingerprints = (const char *const *)c->fingerprints;
  c->config.roots = (const char *const *)c->roots;
  return rc < 0 ? err_set(ret_err, rc, "out of memory") : 0;
}

void connection_free(struct connection *c)
{
  if (!c)
    return;
  c->state = STATE_CLOSING;
  if (c->resolver)
    c->resolver->data = NULL;
  fingerprint_cancel(c->job);
  race_cancel(&c->race);
  timers_cancel(&c->config.worker->timers, &c->timer);
  quic_endpoint_free(c->endpoint);
  forget_addresses(c);
  tls_client_free(c->tls);
  free_strings(c->fingerprints, c->config.fingerprint_count);
  free_strings(c->roots, c->config.root_count);
  free(c);
}

static int open_endpoint(struct connection *c, struct err *ret_err)
{
  struct quic_endpoint_config config = {
      .worker = c->config.worker, .log = c->config.log, .rng = c->config.rng, .on_connection = on_connection, .ctx = c};
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

int connection_new(const struct connection_config *config, struct connection **ret_c, struct err *ret_err)
{
  struct connection *c = calloc(1, sizeof *c);
  if (!c)
    return err_set(ret_err, -ENOMEM, "out of memory");
  c->config = *config;
  c->backoff = BACKOFF_INITIAL;
  timer_init(&c->timer, on_timer);
  race_init(&c->race);
  fill_offer(c);
  fill_env(c);
  int rc = keep_strings(c, config, ret_err);
  if (rc == 0)
    rc = relay_url_parse(config->url, &c->url, ret_err);
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
  race_cancel(&c->race);
  timers_set(&c->config.worker->timers, &c->timer, now_of(c) + (idle ? 0 : CLOSE_TIMEOUT));
  if (c->session)
    lite_session_close(c->session, LITE_CLOSE_DONE, "");
  else if (c->dialling)
    transport_close(c->dialling, LITE_CLOSE_DONE, "");
}
