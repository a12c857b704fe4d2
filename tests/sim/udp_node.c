/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_impl.h"
#include "udp_world.h"
#include <stdio.h>

#define RELAY_PORT 4443
#define REDIAL_NS (500 * NS_PER_MS)

/* ---- hosts ---- */

static void host_work(struct deferred *d, uint64_t now)
{
  model_run(&container_of(d, struct host, work)->model, now);
}

static void host_defer(void *ctx)
{
  struct host *h = ctx;
  worker_defer(&h->w->worker, &h->work);
}

void host_start(struct host *h, struct world *w, bool local_publishers)
{
  h->w = w;
  deferred_init(&h->work, host_work);
  model_init(&h->model, &w->worker.timers, w->rng, 0, host_defer, h);
  h->model.hop_id = 1 + below(w, 1u << 30);
  h->origin = origin_new(&h->model);
  h->env = (struct lite_env){.model = &h->model,
                             .origin = h->origin,
                             .timers = &w->worker.timers,
                             .clock = w->worker.clock,
                             .now = &w->worker.now,
                             .log = &w->log,
                             .local_publishers = local_publishers};
  lite_limits_default(&h->env.limits);
}

void host_stop(struct host *h)
{
  if (h->model.subs_now || h->model.broadcasts_now)
    sim_fail(h->w, "model", "%llu subscriptions and %llu broadcasts are left", (unsigned long long)h->model.subs_now,
             (unsigned long long)h->model.broadcasts_now);
  origin_free(h->origin);
  h->origin = NULL;
  if (h->model.tracks_now || h->model.cache.used)
    sim_fail(h->w, "model", "%llu tracks and %zu bytes are left", (unsigned long long)h->model.tracks_now,
             h->model.cache.used);
  worker_defer_cancel(&h->work);
  model_destroy(&h->model);
}

/* ---- relays ---- */

static const char *const versions[] = {"moq-lite-07-wip", "moq-lite-06", "moq-lite-05", "moq-lite-04",
                                       "moq-lite-03",     "moql",        NULL};
static const char *const alpn[] = {"moq-lite-07-wip", "moq-lite-06", "moq-lite-05", "moq-lite-04",
                                   "moq-lite-03",     "moql",        "h3",          NULL};

static void on_guest(void *ctx, struct transport *t)
{
  struct relay_node *r = ctx;
  guests_connection(&r->guests, t);
}

static struct quic_endpoint *endpoint(struct world *w, struct tls_server *tls, struct udp *udp,
                                      void (*on_connection)(void *, struct transport *), void *ctx)
{
  struct quic_endpoint_config config = {.worker = &w->worker,
                                        .log = &w->log,
                                        .rng = rng_seeded(&w->quic_state),
                                        .limits = w->limits,
                                        .tls = tls,
                                        .alpn = tls ? alpn : NULL,
                                        .secret = "a secret of the simulation",
                                        .on_connection = on_connection,
                                        .ctx = ctx};
  struct quic_endpoint *ep;
  struct err err;
  if (!udp || quic_endpoint_new_on(&config, udp, &ep, &err) < 0)
    sim_fail(w, "world", "no endpoint");
  return ep;
}

void relay_start(struct relay_node *r, struct world *w)
{
  host_start(&r->host, w, true);
  guests_init(&r->guests);
  r->guests.env = r->host.env;
  r->guests.admission = w->admission;
  r->guests.worker = &w->worker;
  r->guests.log = &w->log;
  r->guests.versions = versions;
  r->guests.legacy = 1u << LITE_01 | 1u << LITE_02;
  r->ep = endpoint(w, w->tls, sim_udp_new(&w->net, ++w->next_address, RELAY_PORT), on_guest, r);
}

static void uplink_ended(struct client *c)
{
  c->w->restarts++;
}

void relay_uplink(struct relay_node *r, struct relay_node *to)
{
  struct client *c = &r->uplink;
  r->uplink_env = r->host.env;
  r->uplink_env.local_publishers = false;
  snprintf(c->name, sizeof c->name, "uplink");
  c->version = LITE_05 + (enum lite_version)below(r->host.w, LITE_VERSIONS - LITE_05);
  c->webtransport = below(r->host.w, 2);
  c->publish = c->watch = true;
  c->on_end = uplink_ended;
  client_start(c, r->host.w, &r->uplink_env, to);
}

static bool is_from(const union udp_addr *a, uint8_t address)
{
  return (ntohl(a->v4.sin_addr.s_addr) & 0xff) == address;
}

bool relay_knows(const struct relay_node *r, uint8_t address)
{
  list_for_each (it, &r->ep->conns) {
    const struct quic_conn *c = container_of(it, struct quic_conn, link);
    union udp_addr peer = {0};
    const ngtcp2_path *path = ngtcp2_conn_get_path(c->ng);
    memcpy(&peer, path->remote.addr, path->remote.addrlen);
    if (is_from(&peer, address))
      return true;
  }
  return false;
}

static void check_forgotten(struct timer *t, uint64_t now)
{
  struct overdue *o = container_of(t, struct overdue, timer);
  if (relay_knows(o->relay, o->address))
    sim_fail(o->w, "relay", "10.0.0.%u has vanished and its connection is still there", o->address);
  list_remove(&o->link);
  free(o);
}

void relay_must_forget(struct relay_node *r, struct world *w, uint8_t address, uint64_t at)
{
  struct overdue *o = calloc(1, sizeof *o);
  if (!o)
    sim_fail(w, "world", "out of memory");
  *o = (struct overdue){.relay = r, .w = w, .address = address};
  timer_init(&o->timer, check_forgotten);
  timers_set(&w->worker.timers, &o->timer, at);
  list_append(&w->overdue, &o->link);
}

void relay_stop(struct relay_node *r)
{
  struct world *w = r->host.w;
  size_t left = quic_endpoint_connections(r->ep);
  if (left || r->guests.count || r->ep->names.count || r->ep->sources.count || r->ep->closing_count)
    sim_fail(w, "relay", "%zu connections, %zu guests, %zu connection IDs, %zu sources, %zu closed ones are left", left,
             r->guests.count, r->ep->names.count, r->ep->sources.count, r->ep->closing_count);
  quic_endpoint_free(r->ep);
  host_stop(&r->host);
}

/* ---- clients: the session ---- */

static void again(struct client *c)
{
  c->busy = false;
  c->session = NULL;
  c->ends++;
  if (!c->away)
    timers_set(&c->w->worker.timers, &c->redial, c->w->worker.now + REDIAL_NS + below(c->w, REDIAL_NS));
  if (c->on_end)
    c->on_end(c);
}

static void on_setup(void *ctx, struct lite_session *s, const struct lite_setup_info *info)
{
  struct client *c = ctx;
  struct scope scope;
  struct slice root = slice_of("", 0), all = slice_str("**");
  c->session = s;
  c->ups++;
  c->up_since = c->w->worker.now;
  story(c->w, c->name, "session %u is up, moq-lite-%s on %s", c->ups, lite_info(lite_session_version(s))->name,
        c->webtransport ? "WebTransport" : "QUIC");
  if (scope_init(&scope, root, &all, c->watch, &all, c->publish) < 0 || lite_session_start(s, &scope) < 0)
    sim_fail(c->w, c->name, "out of memory");
}

static void on_closed(void *ctx, struct lite_session *s, uint64_t code, struct slice reason, bool by_peer)
{
  struct client *c = ctx;
  story(c->w, c->name, "session %u has ended: %s %.*s", c->ups,
        code == TRANSPORT_NO_CODE ? "lost"
        : by_peer                 ? "closed by the relay"
                                  : "closed",
        SLICE_FMT(reason));
  if (c->perfect && !c->away)
    sim_fail(c->w, c->name, "its link is perfect and its session ended");
  again(c);
}

static const struct lite_session_events session_events = {.on_setup = on_setup, .on_closed = on_closed};

static void run_session(struct client *c, struct transport *t)
{
  struct lite_session_config config = {.env = c->env,
                                       .events = &session_events,
                                       .ctx = c,
                                       .version = c->version,
                                       .legacy = lite_info(c->version)->legacy_setup ? 1u << c->version : 0};
  if (lite_session_new(&config, t, &c->session) < 0)
    sim_fail(c->w, c->name, "out of memory");
}

/* ---- clients: the connection ---- */

static void failed(struct client *c, const char *text)
{
  story(c->w, c->name, "cannot connect: %s", text);
  if (c->perfect && !c->away)
    sim_fail(c->w, c->name, "its link is perfect and it cannot connect");
  again(c);
}

static void wt_session(void *ctx, struct transport *t)
{
  run_session(ctx, t);
}

static void wt_failed(void *ctx, int status, const char *text)
{
  failed(ctx, text);
}

static const struct wt_dial_events wt_events = {wt_session, wt_failed};

static void on_connection(void *ctx, struct transport *t)
{
  struct client *c = ctx;
  if (!c->webtransport)
    run_session(c, t);
  else if (wt_connect(t, &c->w->worker, &c->w->log, "relay", "/", c->offer, &wt_events, c) < 0)
    sim_fail(c->w, c->name, "out of memory");
}

static void dial_failed(void *ctx, int rc, const char *text)
{
  failed(ctx, text);
}

static void dial(struct client *c)
{
  static const char *const h3[] = {"h3", NULL};
  struct quic_dial d = {.peer = (const struct sockaddr *)quic_endpoint_address(c->to->ep),
                        .peer_len = sizeof(struct sockaddr_storage),
                        .host = "relay",
                        .alpn = c->webtransport ? h3 : c->offer,
                        .tls = c->w->pin,
                        .on_failed = dial_failed,
                        .ctx = c};
  struct transport *t;
  struct err err;
  if (quic_dial(c->ep, &d, &t, &err) < 0)
    sim_fail(c->w, c->name, "%s", err.text);
  c->busy = true;
}

static void on_redial(struct timer *t, uint64_t now)
{
  dial(container_of(t, struct client, redial));
}

static void open_endpoint(struct client *c)
{
  c->address = ++c->w->next_address;
  c->port = 5000;
  c->udp = sim_udp_new(&c->w->net, c->address, c->port);
  c->ep = endpoint(c->w, NULL, c->udp, on_connection, c);
  sim_udp_set_link(c->udp, &c->link);
}

void client_start(struct client *c, struct world *w, const struct lite_env *env, struct relay_node *to)
{
  c->w = w;
  c->env = env;
  c->to = to;
  c->offer[0] = lite_info(c->version)->alpn;
  timer_init(&c->redial, on_redial);
  open_endpoint(c);
  dial(c);
}

void client_leave(struct client *c)
{
  c->away = true;
  timers_cancel(&c->w->worker.timers, &c->redial);
  if (c->session)
    lite_session_close(c->session, LITE_CLOSE_DONE, "");
  else
    quic_endpoint_close_all(c->ep, 0, "");
}

void client_vanish(struct client *c)
{
  struct sim_link dark = {.dark = true};
  c->away = true;
  timers_cancel(&c->w->worker.timers, &c->redial);
  sim_udp_set_link(c->udp, &dark);
  relay_must_forget(c->to, c->w, c->address, c->w->worker.now + c->w->limits.idle_timeout_ns + SESSION_GRACE_NS);
  quic_endpoint_free(c->ep);
  c->ep = NULL;
}

void client_return(struct client *c)
{
  c->away = false;
  if (!c->ep)
    open_endpoint(c);
  if (!c->busy)
    dial(c);
}

void client_stop(struct client *c)
{
  timers_cancel(&c->w->worker.timers, &c->redial);
  timers_cancel(&c->w->worker.timers, &c->next_fault);
  if (!c->ep)
    return;
  if (c->busy || quic_endpoint_connections(c->ep) || c->ep->names.count)
    sim_fail(c->w, c->name, "its connection is still there");
  quic_endpoint_free(c->ep);
  c->ep = NULL;
}
