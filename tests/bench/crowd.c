/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "viewer.h"
#include "client/url.h"
#include "net/quic.h"
#include "net/webtransport.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK (10 * NS_PER_MS)
#define DIALS_MAX 50 /* handshakes under way: more would measure the relay's defence */

static const char *const alpn_lite[] = {"moq-lite-06", "moq-lite-05", NULL};
static const char *const alpn_h3[] = {"h3", NULL};

struct hall {
  struct crowd crowd; /* first */
  uv_loop_t loop;
  struct log log;
  struct relay_url url;
  char authority[300];
  struct addrinfo *peer;
  struct tls_client *tls;
  struct quic_endpoint **endpoints;
  uint32_t endpoint_n;
  struct viewer *viewers;
  uint32_t viewer_n, begun, dialling;
  uint64_t started; /* ns */
  struct timer tick;
  bool leaving;
};

static struct hall *hall_of(struct viewer *v)
{
  return container_of(v->crowd, struct hall, crowd);
}

/* ---- dialling ---- */

static void failed(struct viewer *v, const char *text)
{
  struct crowd_stats *st = v->crowd->stats;
  hall_of(v)->dialling--;
  if (atomic_fetch_add(&st->failed, 1) == 0)
    fprintf(stderr, "fanout: a viewer cannot connect: %s\n", text);
}

static void dial_failed(void *ctx, int rc, const char *text)
{
  failed(ctx, text);
}

static void wt_up(void *ctx, struct transport *t)
{
  struct viewer *v = ctx;
  hall_of(v)->dialling--;
  viewer_start(v, t, false);
}

static void wt_failed(void *ctx, int status, const char *text)
{
  failed(ctx, status > 0 ? "refused by an HTTP status" : text);
}

static const struct wt_dial_events wt_events = {wt_up, wt_failed};

static void on_connection(void *ctx, struct transport *t)
{
  struct viewer *v = t->user;
  struct hall *h = hall_of(v);
  if (!h->url.webtransport) {
    h->dialling--;
    viewer_start(v, t, true);
  } else if (wt_connect(t, &h->crowd.worker, &h->log, h->authority, h->url.path, alpn_lite, &wt_events, v) < 0) {
    failed(v, "out of memory");
    transport_close(t, LITE_CLOSE_INTERNAL, "");
  }
}

static void dial(struct hall *h, struct viewer *v, uint32_t at)
{
  struct err err;
  struct transport *t;
  struct quic_dial d = {.peer = h->peer->ai_addr,
                        .peer_len = h->peer->ai_addrlen,
                        .host = h->url.host,
                        .alpn = h->url.webtransport ? alpn_h3 : alpn_lite,
                        .tls = h->tls,
                        .on_failed = dial_failed,
                        .ctx = v};
  h->dialling++;
  if (quic_dial(h->endpoints[at % h->endpoint_n], &d, &t, &err) < 0)
    failed(v, err.text);
}

/* ---- phases ---- */

static void ramp(struct hall *h, uint64_t now)
{
  uint64_t due = 1 + (now - h->started) * h->crowd.options->ramp / NS_PER_S;
  while (h->begun < h->viewer_n && h->begun < due && h->dialling < DIALS_MAX) {
    dial(h, &h->viewers[h->begun], h->begun);
    h->begun++;
  }
}

static void count_complete(struct hall *h)
{
  uint64_t published = atomic_load(&h->crowd.shared->source_groups), missing = 0;
  uint32_t complete = 0;
  for (uint32_t i = 0; i < h->viewer_n; i++) {
    uint64_t n = viewer_missing(&h->viewers[i], published);
    complete += n == 0;
    missing += n;
  }
  atomic_store(&h->crowd.stats->groups_missing, missing);
  atomic_store(&h->crowd.stats->complete, complete);
}

static void leave(struct hall *h)
{
  h->leaving = true;
  for (uint32_t i = 0; i < h->viewer_n; i++) {
    if (h->viewers[i].transport)
      transport_close(h->viewers[i].transport, LITE_CLOSE_DONE, "");
  }
}

static bool anybody(const struct hall *h)
{
  for (uint32_t i = 0; i < h->viewer_n; i++) {
    if (h->viewers[i].transport)
      return true;
  }
  return false;
}

static void on_tick(struct timer *t, uint64_t now)
{
  struct hall *h = container_of(t, struct hall, tick);
  int phase = atomic_load(&h->crowd.shared->phase);
  atomic_store(&h->crowd.stats->cpu_ns, proc_own_cpu_ns());
  timers_set(&h->crowd.worker.timers, t, now + TICK);
  if (phase == PHASE_RAMP)
    ramp(h, now);
  else if (phase == PHASE_DRAIN)
    count_complete(h);
  else if (phase == PHASE_LEAVE && !h->leaving)
    leave(h);
  else if (phase == PHASE_LEAVE && !anybody(h))
    uv_stop(&h->loop);
}

/* ---- life ---- */

static int open_sockets(struct hall *h, struct err *ret_err)
{
  uint32_t per = h->crowd.options->per_socket;
  struct quic_endpoint_config config = {
      .worker = &h->crowd.worker, .log = &h->log, .rng = rng_system(), .on_connection = on_connection, .ctx = h};
  quic_limits_default(&config.limits);
  uint32_t n = (h->viewer_n + per - 1) / per;
  h->endpoints = calloc(n, sizeof *h->endpoints);
  for (uint32_t i = 0; h->endpoints && i < n; i++) {
    rng_fill(&config.rng, config.secret, sizeof config.secret);
    int rc = quic_endpoint_new(&config, "127.0.0.1:0", &h->endpoints[i], ret_err);
    if (rc < 0)
      return rc;
    h->endpoint_n++;
  }
  return h->endpoints ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
}

static int resolve(struct hall *h, struct err *ret_err)
{
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
  int rc = relay_url_parse(h->crowd.options->url, &h->url, ret_err);
  if (rc < 0)
    return rc;
  rc = getaddrinfo(h->url.host, h->url.port, &hints, &h->peer);
  if (rc != 0)
    return err_set(ret_err, -ENOENT, "%s: %s", h->url.host, gai_strerror(rc));
  snprintf(h->authority, sizeof h->authority, "%s:%s", h->url.host, h->url.port);
  h->crowd.path = h->url.path;
  return 0;
}

static int begin(struct hall *h, struct err *ret_err)
{
  struct tls_client_config tls = {.insecure = true};
  h->viewers = calloc(h->viewer_n, sizeof *h->viewers);
  if (!h->viewers)
    return err_set(ret_err, -ENOMEM, "out of memory");
  for (uint32_t i = 0; i < h->viewer_n; i++)
    h->viewers[i].crowd = &h->crowd;
  int rc = resolve(h, ret_err);
  if (rc == 0)
    rc = tls_client_new(&tls, &h->tls, ret_err);
  if (rc == 0)
    rc = open_sockets(h, ret_err);
  return rc;
}

static void end(struct hall *h)
{
  for (uint32_t i = 0; i < h->endpoint_n; i++)
    quic_endpoint_free(h->endpoints[i]);
  free(h->endpoints);
  tls_client_free(h->tls);
  if (h->peer)
    freeaddrinfo(h->peer);
  for (uint32_t i = 0; h->viewers && i < h->viewer_n; i++)
    viewer_destroy(&h->viewers[i]);
  free(h->viewers);
}

int crowd_main(const struct options *o, struct shared *shared, struct crowd_stats *stats, uint32_t viewers)
{
  static struct hall h;
  struct err err;
  h = (struct hall){.crowd = {.options = o, .shared = shared, .stats = stats}, .viewer_n = viewers};
  h.log = log_stderr(LOG_WARN, clock_system());
  uv_loop_init(&h.loop);
  if (worker_init(&h.crowd.worker, &h.loop, clock_system()) < 0)
    return 1;
  int rc = begin(&h, &err);
  if (rc < 0) {
    fprintf(stderr, "fanout: %s\n", err.text);
    end(&h);
    return 1;
  }
  timer_init(&h.tick, on_tick);
  h.started = h.crowd.worker.now;
  timers_set(&h.crowd.worker.timers, &h.tick, h.started + 1);
  uv_run(&h.loop, UV_RUN_DEFAULT);
  timers_cancel(&h.crowd.worker.timers, &h.tick);
  end(&h);
  return 0;
}
