/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_impl.h"
#include "base/varint.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define ACTIVE_IDS 4             /* connection IDs of the peer's that we keep */
#define STREAMS_MAX (1ULL << 60) /* RFC 9000 section 4.6 */

static void on_timer(struct timer *t, uint64_t now);
static void on_flush(struct deferred *d, uint64_t now);

/* ---- memory ---- */

/* GnuTLS's contexts of a connection whose handshake is over: packet and header protection, with those of the next keys. */
#define TLS_BYTES 4608
#define TLS_HANDSHAKE_BYTES 40960 /* and its session, until then */

size_t quic_conn_memory(const struct quic_conn *c)
{
  return sizeof *c + c->memory + (c->tls ? TLS_HANDSHAKE_BYTES : 0) + TLS_BYTES +
         (c->client ? sizeof *c->client : 0) + c->stream_count * sizeof(struct quic_stream) +
         c->datagram_count * (sizeof(struct quic_datagram) + QUIC_PAYLOAD_MAX);
}

/* ---- making ---- */

struct quic_conn *quic_conn_new(struct quic_endpoint *ep, const union udp_addr *peer, struct quic_client *client)
{
  struct quic_conn *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->ep = ep;
  c->client = client;
  c->t = (struct transport){.ops = &quic_transport_ops,
                            .kind = "quic",
                            .path = "",
                            .protocol = c->alpn,
                            .host = c->host,
                            .client = client != NULL};
  union udp_addr plain = udp_addr_plain(peer);
  memcpy(&c->t.peer, &plain, sizeof plain);
  list_init(&c->route.names);
  list_init(&c->streams);
  list_init(&c->packet);
  list_init(&c->stopping);
  list_init(&c->watched);
  list_init(&c->datagrams);
  list_init(&c->waiting);
  timer_init(&c->timer, on_timer);
  deferred_init(&c->flush, on_flush);
  list_append(&ep->conns, &c->link);
  quic_memory_init(c);
  ep->conn_count++;
  if (ep->conn_count > ep->peaks.connections)
    ep->peaks.connections = ep->conn_count;
  ep->handshakes += !client;
  return c;
}

/* Only those that others start are limited, and so counted. */
static void set_state(struct quic_conn *c, enum quic_state state)
{
  assert(state > c->state);
  if (c->state == QUIC_HANDSHAKE && !c->client) {
    c->ep->handshakes--;
    if (c->source)
      c->source->handshakes--;
    if (state == QUIC_OPEN)
      c->ep->stats.accepted++;
    else
      c->ep->stats.handshakes_failed++;
  }
  c->state = state;
}

static uint64_t at_most(uint64_t v, uint64_t max)
{
  return v < max ? v : max;
}

static uint64_t at_least(uint64_t v, uint64_t min)
{
  return v > min ? v : min;
}

static ngtcp2_cc_algo congestion(enum quic_congestion c)
{
  return c == QUIC_BBR ? NGTCP2_CC_ALGO_BBR : c == QUIC_RENO ? NGTCP2_CC_ALGO_RENO : NGTCP2_CC_ALGO_CUBIC;
}

void quic_conn_settings(const struct quic_conn *c, ngtcp2_settings *settings, ngtcp2_transport_params *params)
{
  const struct quic_limits *l = &c->ep->config.limits;
  ngtcp2_settings_default(settings);
  settings->cc_algo = congestion(l->congestion);
  settings->initial_ts = quic_now(c->ep);
  settings->max_tx_udp_payload_size = QUIC_PAYLOAD_MAX;
  settings->rand_ctx.native_handle = &c->ep->config.rng;
  settings->max_window = at_least(l->window_max, l->window);
  settings->max_stream_window = at_least(l->stream_window_max, l->stream_window);
  settings->no_pmtud = !l->mtu_discovery;
  if (l->handshake_timeout_ns > 0)
    settings->handshake_timeout = l->handshake_timeout_ns;
  ngtcp2_transport_params_default(params);
  params->initial_max_data = at_most(l->window, VARINT_MAX);
  params->initial_max_stream_data_bidi_local = params->initial_max_stream_data_bidi_remote =
      params->initial_max_stream_data_uni = at_most(l->stream_window, VARINT_MAX);
  params->initial_max_streams_bidi = at_most(l->streams_bidi, STREAMS_MAX);
  params->initial_max_streams_uni = at_most(l->streams_uni, STREAMS_MAX);
  params->max_idle_timeout = l->idle_timeout_ns;
  params->active_connection_id_limit = ACTIVE_IDS;
  params->max_datagram_frame_size = QUIC_DATAGRAM_FRAME_MAX;
}

ngtcp2_path quic_path(union udp_addr *local, union udp_addr *peer)
{
  return (ngtcp2_path){.local = {&local->sa, udp_addr_len(local)}, .remote = {&peer->sa, udp_addr_len(peer)}};
}

/* ---- ngtcp2's callbacks that are not about streams ---- */

static void on_rand(uint8_t *p, size_t n, const ngtcp2_rand_ctx *ctx)
{
  rng_fill(ctx->native_handle, p, n);
}

static int on_new_id(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t n, void *user)
{
  struct quic_conn *c = user;
  (void)ng;
  assert(n == QUIC_CID_BYTES);
  quic_new_cid(c->ep, cid);
  if (quic_reset_token(c->ep, cid, token) != 0 ||
      quic_name_add(c->ep, &c->route, slice_of(cid->data, cid->datalen)) < 0)
    return NGTCP2_ERR_CALLBACK_FAILURE;
  return 0;
}

static int on_remove_id(ngtcp2_conn *ng, const ngtcp2_cid *cid, void *user)
{
  struct quic_conn *c = user;
  (void)ng;
  quic_name_remove(c->ep, &c->route, slice_of(cid->data, cid->datalen));
  return 0;
}

/* Reset tokens of the IDs that we send to. Without memory for one its reset will not be seen, and
 * the idle timeout ends the connection. */
static int on_peer_id(ngtcp2_conn *ng, ngtcp2_connection_id_status_type type, uint64_t seq, const ngtcp2_cid *cid,
                      const uint8_t *token, void *user)
{
  struct quic_conn *c = user;
  (void)ng, (void)seq, (void)cid;
  if (!token)
    return 0;
  struct quic_token_key key = quic_token_key(token);
  if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE)
    quic_name_add(c->ep, &c->route, slice_of(key.p, sizeof key.p));
  else
    quic_name_remove(c->ep, &c->route, slice_of(key.p, sizeof key.p));
  return 0;
}

/* Clients have keep-alives as well, of 3 to 4 s mostly. A server that is a little earlier than what was asked for serves
 * both, and its deadlines can share wake-ups (timers_lazy), which those of clients that come when they like cannot. */
static uint64_t keep_alive(const struct quic_conn *c)
{
  uint64_t ns = c->ep->config.limits.keep_alive_ns;
  return c->client ? ns : ns - ns / 8;
}

static int on_handshake_completed(ngtcp2_conn *ng, void *user)
{
  struct quic_conn *c = user;
  const struct quic_endpoint_config *config = &c->ep->config;
  if (c->close_asked)
    return 0;
  if (!quic_tls_chosen(c))
    return NGTCP2_ERR_CALLBACK_FAILURE;
  set_state(c, QUIC_OPEN);
  ngtcp2_conn_set_keep_alive_timeout(ng, keep_alive(c));
  if (!c->client)
    quic_token_submit(c);
  c->announced = true;
  log_debug(config->log, "quic: connection up, protocol %s, host \"%s\"", c->alpn, c->host);
  config->on_connection(config->ctx, &c->t);
  if (!c->t.events)
    quic_conn_close(c, 0, "");
  return 0;
}

/* After its handshake a server has no TLS session any more; clients have nothing to say to it
 * either. */
static int on_crypto_data(ngtcp2_conn *ng, ngtcp2_encryption_level level, uint64_t offset, const uint8_t *data,
                          size_t n, void *user)
{
  struct quic_conn *c = user;
  return c->tls ? ngtcp2_crypto_recv_crypto_data_cb(ng, level, offset, data, n, user) : NGTCP2_ERR_CRYPTO;
}

static bool listening(const struct quic_conn *c)
{
  return c->state == QUIC_OPEN && !c->close_asked;
}

static int on_datagram(ngtcp2_conn *ng, uint32_t flags, const uint8_t *data, size_t n, void *user)
{
  struct quic_conn *c = user;
  (void)ng, (void)flags;
  if (listening(c) && c->t.events->on_datagram)
    c->t.events->on_datagram(&c->t, slice_of(data, n));
  return 0;
}

static int on_streams_uni(ngtcp2_conn *ng, uint64_t max, void *user)
{
  struct quic_conn *c = user;
  (void)ng, (void)max;
  if (listening(c) && c->t.events->on_streams)
    c->t.events->on_streams(&c->t, false);
  return 0;
}

static int on_streams_bidi(ngtcp2_conn *ng, uint64_t max, void *user)
{
  struct quic_conn *c = user;
  (void)ng, (void)max;
  if (listening(c) && c->t.events->on_streams)
    c->t.events->on_streams(&c->t, true);
  return 0;
}

static int on_path_validated(ngtcp2_conn *ng, uint32_t flags, const ngtcp2_path *path, const ngtcp2_path *old,
                             ngtcp2_path_validation_result result, void *user)
{
  struct quic_conn *c = user;
  (void)ng, (void)old;
  union udp_addr peer = {0};
  if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS || path->remote.addrlen > sizeof peer)
    return 0;
  memcpy(&peer, path->remote.addr, path->remote.addrlen);
  peer = udp_addr_plain(&peer);
  memcpy(&c->t.peer, &peer, sizeof peer);
  if (flags & NGTCP2_PATH_VALIDATION_FLAG_NEW_TOKEN)
    quic_token_submit(c);
  return 0;
}

static int on_reset_received(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset *sr, void *user)
{
  struct quic_conn *c = user;
  (void)ng, (void)sr;
  c->reset_received = true;
  return 0;
}

#ifdef NGTCP2_CALLBACKS_V5
/* Older versions have no such callback: see quic_stream_stopped's callers. */
static int on_stop_sending(ngtcp2_conn *ng, int64_t id, uint64_t code, void *user, void *stream_user)
{
  (void)ng, (void)id, (void)user;
  if (stream_user)
    quic_stream_stopped(stream_user, code);
  return 0;
}
#endif

const ngtcp2_callbacks quic_callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = on_crypto_data,
    .handshake_completed = on_handshake_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = quic_on_stream_data,
    .acked_stream_data_offset = quic_on_stream_acked,
    .stream_open = quic_on_stream_open,
    .stream_close = quic_on_stream_close,
    .recv_stateless_reset = on_reset_received,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .extend_max_local_streams_bidi = on_streams_bidi,
    .extend_max_local_streams_uni = on_streams_uni,
    .rand = on_rand,
    .get_new_connection_id = on_new_id,
    .remove_connection_id = on_remove_id,
    .update_key = ngtcp2_crypto_update_key_cb,
    .path_validation = on_path_validated,
    .stream_reset = quic_on_stream_reset,
    .extend_max_stream_data = quic_on_stream_credit,
    .dcid_status = on_peer_id,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .recv_datagram = on_datagram,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
#ifdef NGTCP2_CALLBACKS_V5
    .recv_stop_sending = on_stop_sending,
#endif
};

/* ---- running ---- */

void quic_conn_dirty(struct quic_conn *c)
{
  if (c->state != QUIC_CLOSED)
    worker_defer(c->ep->config.worker, &c->flush);
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct quic_conn *c = container_of(t, struct quic_conn, timer);
  int rc = ngtcp2_conn_handle_expiry(c->ng, now);
  if (rc != 0)
    quic_conn_fail(c, rc);
  else
    quic_conn_dirty(c);
}

static void forget_tls(struct quic_conn *c)
{
  if (c->client || c->state != QUIC_OPEN || !c->tls)
    return;
  ngtcp2_conn_set_tls_native_handle(c->ng, NULL);
  gnutls_deinit(c->tls);
  c->tls = NULL;
}

static void wait_for_socket(struct quic_conn *c)
{
  list_remove(&c->waiting);
  list_append(&c->ep->waiting, &c->waiting);
}

static void on_flush(struct deferred *d, uint64_t now)
{
  struct quic_conn *c = container_of(d, struct quic_conn, flush);
  if (c->close_asked) {
    quic_conn_close_now(c);
    return;
  }
  if (c->memory_full) {
    quic_conn_fail(c, NGTCP2_ERR_NOMEM);
    return;
  }
  forget_tls(c);
  if (c->ep->tx_trains > 0) {
    wait_for_socket(c);
    return;
  }
  uint64_t expiry;
  quic_streams_stop(c);
  int rc = quic_send(c, &expiry);
  if (c->ep->tx_trains > 0)
    wait_for_socket(c);
  if (rc != 0)
    quic_conn_fail(c, rc);
  else if (c->close_asked)
    quic_conn_close_now(c);
  else
    timers_set(&c->ep->config.worker->timers, &c->timer, timers_lazy(now, expiry));
}

void quic_conn_read(struct quic_conn *c, const struct udp_packet *p)
{
  union udp_addr local = c->client ? c->local : p->local, peer = p->peer;
  ngtcp2_path path = quic_path(&local, &peer);
  ngtcp2_pkt_info pi = {.ecn = p->ecn};
  c->bytes_received += p->data.n;
  int rc = ngtcp2_conn_read_pkt(c->ng, &path, &pi, p->data.p, p->data.n, quic_now(c->ep));
  if (rc == NGTCP2_ERR_RETRY) {
    ngtcp2_pkt_hd hd;
    if (ngtcp2_accept(&hd, p->data.p, p->data.n) == 0)
      quic_send_retry(c->ep, p, &hd);
  }
  if (rc != 0)
    quic_conn_fail(c, rc);
  else
    quic_conn_dirty(c);
}

/* ---- the end ---- */

void quic_conn_close(struct quic_conn *c, uint64_t code, const char *reason)
{
  if (c->state == QUIC_CLOSED || c->close_asked)
    return;
  c->close_asked = true;
  c->close_code = at_most(code, VARINT_MAX);
  strncpy(c->close_reason, reason ? reason : "", QUIC_REASON_MAX);
  quic_conn_dirty(c);
}

void quic_conn_free(struct quic_conn *c)
{
  struct quic_endpoint *ep = c->ep;
  if (c->state != QUIC_CLOSED)
    set_state(c, QUIC_CLOSED);
  timers_cancel(&ep->config.worker->timers, &c->timer);
  worker_defer_cancel(&c->flush);
  list_remove(&c->waiting);
  list_for_each_safe (it, tmp, &c->datagrams) {
    list_remove(it);
    free(container_of(it, struct quic_datagram, link));
  }
  quic_names_free(ep, &c->route);
  if (c->ng)
    ngtcp2_conn_del(c->ng);
  if (c->tls)
    gnutls_deinit(c->tls);
  quic_source_release(ep, c->source);
  list_remove(&c->link);
  ep->conn_count--;
  free(c->client);
  free(c);
}

/* How a connection ends. */
struct end {
  int liberr;               /* 0 when the application closes */
  const ngtcp2_ccerr *send; /* what to tell the peer; NULL = nothing */
  bool linger;              /* late packets are to be expected */
  bool by_peer;
  uint64_t code; /* for on_closed */
  struct slice reason;
};

static void on_closing_timer(struct timer *t, uint64_t now)
{
  (void)now;
  quic_closing_free(container_of(t, struct quic_closing, timer));
}

/* The names move over to a record that knows only how to say again that it is over. Without memory
 * for it late packets are strays. */
static void leave_record(struct quic_conn *c, const uint8_t *packet, size_t n)
{
  struct quic_endpoint *ep = c->ep;
  struct quic_closing *closing = malloc(sizeof *closing + n);
  if (!closing)
    return;
  if (ep->closing_count >= QUIC_CLOSING_MAX)
    quic_closing_free(container_of(ep->closing.next, struct quic_closing, link));
  const ngtcp2_path *path = ngtcp2_conn_get_path(c->ng);
  *closing = (struct quic_closing){.route = {.closing = true}, .ep = ep, .n = n};
  memcpy(&closing->local, path->local.addr, path->local.addrlen);
  memcpy(&closing->peer, path->remote.addr, path->remote.addrlen);
  memcpy(closing->packet, packet, n);
  list_init(&closing->route.names);
  list_for_each_safe (it, tmp, &c->route.names) {
    list_remove(it);
    list_append(&closing->route.names, it);
    container_of(it, struct quic_name, link)->route = &closing->route;
  }
  list_append(&ep->closing, &closing->link);
  ep->closing_count++;
  timer_init(&closing->timer, on_closing_timer);
  timers_set(&ep->config.worker->timers, &closing->timer, quic_now(ep) + 3 * ngtcp2_conn_get_pto(c->ng));
}

void quic_closing_free(struct quic_closing *closing)
{
  struct quic_endpoint *ep = closing->ep;
  timers_cancel(&ep->config.worker->timers, &closing->timer);
  quic_names_free(ep, &closing->route);
  list_remove(&closing->link);
  ep->closing_count--;
  free(closing);
}

/* Answers the 1st, 2nd, 4th, 8th... packet, RFC 9000 section 10.2.1. */
void quic_closing_packet(struct quic_closing *closing)
{
  uint32_t n = ++closing->received;
  if (closing->n == 0 || (n & (n - 1)) != 0 || closing->answered >= QUIC_CLOSING_ANSWERS)
    return;
  closing->answered++;
  quic_send_now(closing->ep, &closing->local, &closing->peer, closing->packet, closing->n);
}

static size_t send_close(struct quic_conn *c, const ngtcp2_ccerr *error, uint8_t packet[QUIC_PAYLOAD_MAX])
{
  ngtcp2_path_storage ps;
  ngtcp2_pkt_info pi;
  ngtcp2_path_storage_zero(&ps);
  ngtcp2_ssize n =
      ngtcp2_conn_write_connection_close(c->ng, &ps.path, &pi, packet, QUIC_PAYLOAD_MAX, error, quic_now(c->ep));
  if (n <= 0)
    return 0;
  union udp_addr local = {0}, peer = {0};
  memcpy(&local, ps.path.local.addr, ps.path.local.addrlen);
  memcpy(&peer, ps.path.remote.addr, ps.path.remote.addrlen);
  quic_send_now(c->ep, &local, &peer, packet, (size_t)n);
  return (size_t)n;
}

static void finish(struct quic_conn *c, const struct end *end)
{
  uint8_t packet[QUIC_PAYLOAD_MAX];
  size_t n = end->send ? send_close(c, end->send, packet) : 0;
  if (end->linger)
    leave_record(c, packet, n);
  set_state(c, QUIC_CLOSED);
  log_debug(c->ep->config.log, "quic: connection over, %s, code %llu, \"%.*s\"", end->by_peer ? "by peer" : "by us",
            (unsigned long long)end->code, SLICE_FMT(end->reason));
  while (!list_empty(&c->streams))
    quic_stream_end(container_of(c->streams.next, struct quic_stream, link));
  if (c->client && !c->announced)
    quic_dial_failed(c, end->liberr, end->by_peer ? ngtcp2_conn_get_ccerr(c->ng) : NULL);
  else if (c->announced && c->t.events)
    c->t.events->on_closed(&c->t, end->code, end->reason, end->by_peer);
  quic_conn_free(c);
}

static struct slice reason_of(const ngtcp2_ccerr *e)
{
  return slice_of(e->reason ? (const char *)e->reason : "", e->reason ? e->reasonlen : 0);
}

static void peer_closed(struct quic_conn *c)
{
  const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(c->ng);
  bool app = e->type == NGTCP2_CCERR_TYPE_APPLICATION && !c->reset_received;
  struct slice reason = c->reset_received ? slice_str("stateless reset") : reason_of(e);
  finish(c, &(struct end){.liberr = NGTCP2_ERR_DRAINING,
                          .linger = true,
                          .by_peer = true,
                          .code = app ? e->error_code : TRANSPORT_NO_CODE,
                          .reason = reason});
}

/* Errors after which there is nothing to say, or nobody to say it to. */
static bool silent(int liberr)
{
  return liberr == NGTCP2_ERR_IDLE_CLOSE || liberr == NGTCP2_ERR_DROP_CONN || liberr == NGTCP2_ERR_RETRY ||
         liberr == NGTCP2_ERR_CLOSING || liberr == NGTCP2_ERR_RECV_VERSION_NEGOTIATION;
}

static const char *error_text(const struct quic_conn *c, int liberr)
{
  const char *alert = gnutls_alert_get_name(ngtcp2_conn_get_tls_alert(c->ng));
  if (liberr == NGTCP2_ERR_IDLE_CLOSE)
    return "idle timeout";
  if (c->memory_full)
    return "over limits.connection_bytes";
  return liberr == NGTCP2_ERR_CRYPTO && alert ? alert : ngtcp2_strerror(liberr);
}

void quic_conn_fail(struct quic_conn *c, int liberr)
{
  if (liberr == NGTCP2_ERR_DRAINING) {
    peer_closed(c);
    return;
  }
  ngtcp2_ccerr e;
  ngtcp2_ccerr_default(&e);
  uint8_t alert = ngtcp2_conn_get_tls_alert(c->ng);
  if (liberr == NGTCP2_ERR_CRYPTO && alert != 0)
    ngtcp2_ccerr_set_tls_alert(&e, alert, NULL, 0);
  else
    ngtcp2_ccerr_set_liberr(&e, liberr, NULL, 0);
  finish(c, &(struct end){.liberr = liberr,
                          .send = silent(liberr) ? NULL : &e,
                          .linger = !silent(liberr),
                          .code = TRANSPORT_NO_CODE,
                          .reason = slice_str(error_text(c, liberr))});
}

void quic_conn_close_now(struct quic_conn *c)
{
  ngtcp2_ccerr e;
  struct slice reason = slice_str(c->close_reason);
  ngtcp2_ccerr_default(&e);
  ngtcp2_ccerr_set_application_error(&e, c->close_code, reason.p, reason.n);
  finish(c, &(struct end){.send = &e, .linger = true, .code = c->close_code, .reason = reason});
}
