/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "quic_pair.h"
#include "net/quic_impl.h"
#include "support/sim.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define PULL_BYTES 65536
static uint8_t table[PULL_BYTES + 65536]; /* one period of the pattern is 65536 bytes */

static const char *const default_alpn[] = {"moq-lite-06", NULL};

/* ---- streams ---- */

static void flow_data(struct stream *s, struct slice data, bool fin)
{
  struct flow *f = s->user;
  for (size_t i = 0; i < data.n; i++)
    f->side->bad_data |= data.p[i] != pattern(f->received + i);
  f->received += data.n;
  f->side->bytes += data.n;
  f->fin_received |= fin;
  if (f->side->stop_data_with && f->received == data.n)
    stream_stop(s, f->side->stop_data_with);
  if (f->echo) {
    f->to_send = f->received;
    f->fin = fin;
    stream_wake(s);
  }
  f->credit_held += data.n;
  if (f->credit_held >= f->hold || (fin && f->hold != SIZE_MAX)) {
    stream_extend(s, f->credit_held);
    f->credit_held = 0;
  }
}

static void flow_reset(struct stream *s, uint64_t code)
{
  struct flow *f = s->user;
  f->was_reset = true;
  f->reset_code = code;
  if (f->echo)
    stream_reset(s, code);
}

static void flow_stopped(struct stream *s, uint64_t code)
{
  struct flow *f = s->user;
  f->was_stopped = true;
  f->stop_code = code;
}

static size_t flow_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct flow *f = s->user;
  uint64_t left = f->to_send - f->sent;
  size_t n = 0;
  if (f->pull_max && left > f->pull_max)
    left = 1 + (f->sent * 2654435761u) % f->pull_max;
  for (uint64_t at = f->sent; n < max && left > 0; n++) {
    size_t len = left < PULL_BYTES / 16 ? left : PULL_BYTES / 16;
    iov[n] = (struct iovec){table + at % 65536, len};
    at += len;
    left -= len;
  }
  uint64_t offered = 0;
  for (size_t i = 0; i < n; i++)
    offered += iov[i].iov_len;
  *ret_fin = f->fin && f->sent + offered == f->to_send;
  return n;
}

static void flow_sent(struct stream *s, size_t n, bool fin)
{
  struct flow *f = s->user;
  f->sent += n;
  f->fin_sent |= fin;
}

static void flow_acked(struct stream *s, size_t n)
{
  struct flow *f = s->user;
  f->acked += n;
}

static void flow_closed(struct stream *s)
{
  struct flow *f = s->user;
  f->closed = true;
  f->s = NULL;
  f->side->streams_closed++;
}

const struct stream_events flow_events = {flow_data, flow_reset, flow_stopped, flow_pull,
                                          flow_sent, flow_acked, flow_closed};

/* Streams beyond those that are kept are read and dropped. */
static void drain_data(struct stream *s, struct slice data, bool fin)
{
  struct side *side = s->user;
  (void)fin;
  side->bytes += data.n;
  stream_extend(s, data.n);
}

static void drain_code(struct stream *s, uint64_t code)
{
  (void)s, (void)code;
}

static size_t drain_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  (void)s, (void)iov, (void)max, (void)ret_fin;
  return 0;
}

static void drain_sent(struct stream *s, size_t n, bool fin)
{
  (void)s, (void)n, (void)fin;
}

static void drain_closed(struct stream *s)
{
  struct side *side = s->user;
  side->streams_closed++;
}

static const struct stream_events drain_events = {drain_data, drain_code, drain_code,  drain_pull,
                                                  drain_sent, NULL,       drain_closed};

void flow_open(struct flow *f, struct side *side, bool bidi, uint64_t to_send, bool fin)
{
  f->side = side;
  f->to_send = to_send;
  f->fin = fin;
  struct stream *s;
  assert_int_equal(transport_open(side->t, bidi, &flow_events, f, (struct send_order){1, f->order}, &s), 0);
  f->s = s;
  f->id = s->id;
  stream_wake(s);
}

/* ---- connections ---- */

static void on_stream(struct transport *t, struct stream *s)
{
  struct side *side = t->user;
  size_t i = side->opened++;
  if (i >= STREAMS_KEPT) {
    s->events = &drain_events;
    s->user = side;
    return;
  }
  struct flow *f = &side->flows[i];
  f->side = side;
  f->s = s;
  f->id = s->id;
  f->echo = side->echo && s->bidi;
  f->hold = side->hold;
  s->events = &flow_events;
  s->user = f;
  if (side->reset_with)
    stream_reset(s, side->reset_with);
  if (side->stop_with)
    stream_stop(s, side->stop_with);
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct side *side = t->user;
  side->datagrams++;
  side->datagram_bytes += data.n;
  for (size_t i = 0; i < data.n; i++)
    side->bad_data |= data.p[i] != pattern(i);
}

static void on_streams(struct transport *t, bool bidi)
{
  struct side *side = t->user;
  (void)bidi;
  side->streams_allowed++;
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct side *side = t->user;
  side->closed = true;
  side->close_code = code;
  side->closed_by_peer = by_peer;
  snprintf(side->text, sizeof side->text, "%.*s", SLICE_FMT(reason));
  side->t = NULL;
}

static const struct transport_events transport_events = {on_stream, on_datagram, on_streams, on_closed};

static void on_connection(void *ctx, struct transport *t)
{
  struct side *side = ctx;
  side->connections++;
  if (side->refuse_connections) {
    transport_close(t, 7, "not today");
    return;
  }
  side->t = t;
  t->events = &transport_events;
  t->user = side;
}

void pair_on_failed(void *ctx, int rc, const char *text)
{
  struct side *side = ctx;
  side->failed = true;
  side->fail_rc = rc;
  snprintf(side->text, sizeof side->text, "%s", text);
}

/* ---- the pair ---- */

static void on_tick(uv_timer_t *t)
{
  (void)t;
}

static void make_certificate(struct pair *p)
{
  static const char *const hosts[] = {"localhost", "127.0.0.1", "::1"};
  struct err err;
  struct tls_server_config tls = {.generate = hosts, .generate_count = 3};
  for (size_t i = 0; i < sizeof table; i++)
    table[i] = pattern(i % 65536);
  if (tls_server_new(&tls, clock_wall_us(&p->worker.clock) / 1000000, &p->tls, &err) != 0)
    fail_msg("%s", err.text);
}

void pair_init(struct pair *p)
{
  *p = (struct pair){.seed = 1};
  assert_int_equal(uv_loop_init(&p->loop), 0);
  assert_int_equal(worker_init(&p->worker, &p->loop, clock_system()), 0);
  uv_timer_init(&p->loop, &p->tick);
  uv_timer_start(&p->tick, on_tick, 100, 100); /* so that a turn always ends */
  make_certificate(p);
}

void pair_init_sim(struct pair *p, uint64_t seed)
{
  *p = (struct pair){.seed = seed, .simulated = true};
  sim_init(&p->worker);
  sim_net_init(&p->net, &p->worker, rng_seeded(&p->seed));
  make_certificate(p);
}

static void end_loop(struct pair *p)
{
  worker_destroy(&p->worker);
  uv_close((uv_handle_t *)&p->tick, NULL);
  assert_int_equal(uv_run(&p->loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&p->loop), 0);
}

void pair_destroy(struct pair *p)
{
  quic_endpoint_free(p->client.ep);
  quic_endpoint_free(p->server.ep);
  if (p->simulated)
    sim_net_destroy(&p->net);
  else
    end_loop(p);
  tls_server_free(p->tls);
  tls_client_free(p->pinned);
  assert_false(p->server.bad_data || p->client.bad_data);
}

struct quic_limits pair_limits(void)
{
  struct quic_limits limits;
  quic_limits_default(&limits);
  return limits;
}

static void endpoint(struct pair *p, struct side *side, const struct quic_limits *limits, struct tls_server *tls,
                     const char *const *alpn, const char *bind)
{
  struct quic_endpoint_config config = {.worker = &p->worker,
                                        .rng = rng_seeded(&p->seed),
                                        .limits = *limits,
                                        .tls = tls,
                                        .alpn = alpn,
                                        .secret = "a secret of the tests",
                                        .worker_id = 3,
                                        .on_connection = on_connection,
                                        .ctx = side};
  struct err err;
  int rc;
  if (p->simulated)
    rc = quic_endpoint_new_on(&config, sim_udp_new(&p->net, tls ? 1 : 2, tls ? 4443 : 5000), &side->ep, &err);
  else
    rc = quic_endpoint_new(&config, bind, &side->ep, &err);
  if (rc != 0)
    fail_msg("%s", err.text);
}

void pair_server(struct pair *p, const struct quic_limits *limits, const char *const *alpn, const char *bind)
{
  endpoint(p, &p->server, limits, p->tls, alpn, bind);
}

void pair_client(struct pair *p, const struct quic_limits *limits)
{
  endpoint(p, &p->client, limits, NULL, NULL, "127.0.0.1:0");
}

static struct transport *start(struct pair *p, const struct sockaddr *to, const char *host, const char *const *alpn,
                               const struct tls_client_config *config)
{
  struct err err;
  tls_client_free(p->pinned);
  p->pinned = NULL;
  if (tls_client_new(config, &p->pinned, &err) != 0)
    fail_msg("%s", err.text);
  struct quic_dial dial = {.peer = to,
                           .peer_len = sizeof(struct sockaddr_storage),
                           .host = host,
                           .alpn = alpn,
                           .tls = p->pinned,
                           .on_failed = pair_on_failed,
                           .ctx = &p->client};
  struct transport *t;
  if (quic_dial(p->client.ep, &dial, &t, &err) != 0)
    fail_msg("%s", err.text);
  return t;
}

static const struct sockaddr *server_address(const struct pair *p)
{
  return (const struct sockaddr *)quic_endpoint_address(p->server.ep);
}

struct transport *pair_start(struct pair *p, const struct sockaddr *to, const char *const *alpn,
                             const char *fingerprint)
{
  char right[65];
  tls_server_fingerprint(p->tls, right);
  const char *const pins[] = {fingerprint ? fingerprint : right};
  struct tls_client_config config = {.fingerprints = pins, .fingerprint_count = 1};
  return start(p, to ? to : server_address(p), "localhost", alpn, &config);
}

struct transport *pair_start_as(struct pair *p, const char *host, const char *const *alpn,
                                const struct tls_client_config *config)
{
  return start(p, server_address(p), host, alpn, config);
}

void pair_write_root(struct pair *p, char *ret_path, size_t cap)
{
  gnutls_datum_t pem, der;
  assert_int_equal(gnutls_certificate_get_crt_raw(tls_server_credentials(p->tls), 0, 0, &der), 0);
  assert_int_equal(gnutls_pem_base64_encode2("CERTIFICATE", &der, &pem), 0);
  snprintf(ret_path, cap, "/tmp/moq-root-XXXXXX");
  int fd = mkstemp(ret_path);
  assert_int_equal(write(fd, pem.data, pem.size), pem.size);
  close(fd);
  gnutls_free(pem.data);
}

void pair_dial(struct pair *p, const struct sockaddr *to, const char *const *alpn, const char *fingerprint)
{
  pair_start(p, to, alpn, fingerprint);
  RUN_UNTIL(p, p->client.t || p->client.failed);
}

void pair_connect(struct pair *p)
{
  struct quic_limits limits = pair_limits();
  if (!p->server.ep)
    pair_server(p, &limits, default_alpn, "127.0.0.1:0");
  if (!p->client.ep)
    pair_client(p, &limits);
  pair_dial(p, NULL, default_alpn, NULL);
  if (p->client.failed)
    fail_msg("dial: %s", p->client.text);
  RUN_UNTIL(p, p->server.t);
}

void pair_turn(struct pair *p)
{
  p->turns++;
  if (!p->simulated)
    uv_run(&p->loop, UV_RUN_ONCE);
  else if (!sim_step(&p->worker))
    fail_msg("nothing is left to happen");
}
