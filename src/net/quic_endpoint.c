/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_impl.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/* AES-128-GCM first, whatever the client prefers: it is the cheapest where there is AES in
 * hardware, and the clients that have none offer ChaCha20 alone at the top of a list that still has
 * it. */
#define TLS_PRIORITY                                                                                                   \
  "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-"                     \
  "ALL:"                                                                                                               \
  "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE:%SERVER_PRECEDENCE"
#define CID_TRIES 8

void quic_limits_default(struct quic_limits *ret_limits)
{
  *ret_limits = (struct quic_limits){
      .idle_timeout_ns = 10 * NS_PER_S,
      .keep_alive_ns = 3 * NS_PER_S,
      .handshake_timeout_ns = 10 * NS_PER_S,
      .connections = 10000,
      .handshakes_retry = 100,
      .handshakes = 1000,
      .streams_bidi = 10000,
      .streams_uni = 10000,
      .window = 4 << 20,
      .window_max = 64 << 20,
      .stream_window = 1 << 20,
      .stream_window_max = 16 << 20,
      .datagrams_queued = 64,
      .connection_bytes = 32 << 20,
      .gso = true,
      .mtu_discovery = true,
      .congestion = QUIC_CUBIC,
  };
}

uint64_t quic_now(const struct quic_endpoint *ep)
{
  return ep->config.worker->now;
}

void quic_new_cid(struct quic_endpoint *ep, ngtcp2_cid *ret_cid)
{
  uint8_t p[QUIC_CID_BYTES];
  rng_fill(&ep->config.rng, p, sizeof p);
  p[0] = ep->config.worker_id;
  ngtcp2_cid_init(ret_cid, p, sizeof p);
}

/* ---- names ---- */

int quic_name_add(struct quic_endpoint *ep, struct quic_route *route, struct slice key)
{
  struct quic_name *name = malloc(sizeof *name);
  if (!name)
    return -ENOMEM;
  if (!quic_map_insert(&ep->names, &name->node, key)) {
    free(name);
    return -EEXIST;
  }
  name->route = route;
  list_append(&route->names, &name->link);
  return 0;
}

static void name_free(struct quic_endpoint *ep, struct quic_name *name)
{
  quic_map_remove(&ep->names, &name->node);
  list_remove(&name->link);
  free(name);
}

static struct quic_name *name_find(const struct quic_endpoint *ep, struct slice key)
{
  struct quic_node *n = quic_map_find(&ep->names, key);
  return n ? container_of(n, struct quic_name, node) : NULL;
}

void quic_name_remove(struct quic_endpoint *ep, struct quic_route *route, struct slice key)
{
  struct quic_name *name = name_find(ep, key);
  if (name && name->route == route)
    name_free(ep, name);
}

void quic_names_free(struct quic_endpoint *ep, struct quic_route *route)
{
  list_for_each_safe (it, tmp, &route->names)
    name_free(ep, container_of(it, struct quic_name, link));
}

struct quic_token_key quic_token_key(const uint8_t *token)
{
  struct quic_token_key key = {{0xff}};
  memcpy(key.p + 1, token, NGTCP2_STATELESS_RESET_TOKENLEN);
  return key;
}

/* ---- sources ---- */

static struct slice source_key(const union udp_addr *plain)
{
  if (plain->sa.sa_family == AF_INET)
    return slice_of(&plain->v4.sin_addr, 4);
  return slice_of(&plain->v6.sin6_addr, 8);
}

int quic_source_take(struct quic_endpoint *ep, const union udp_addr *peer, struct quic_source **ret_source)
{
  const struct quic_limits *limits = &ep->config.limits;
  union udp_addr plain = udp_addr_plain(peer);
  struct quic_node *n = quic_map_find(&ep->sources, source_key(&plain));
  struct quic_source *source = n ? container_of(n, struct quic_source, node) : NULL;
  if (source && limits->connections_per_ip > 0 && source->connections >= limits->connections_per_ip)
    return -EUSERS;
  if (source && source->handshakes > limits->handshakes / QUIC_HANDSHAKES_SHARE)
    return -EBUSY;
  if (!source) {
    source = calloc(1, sizeof *source);
    if (!source)
      return -ENOMEM;
    quic_map_insert(&ep->sources, &source->node, source_key(&plain));
  }
  source->connections++;
  *ret_source = source;
  return 0;
}

void quic_source_release(struct quic_endpoint *ep, struct quic_source *source)
{
  if (!source || --source->connections > 0)
    return;
  quic_map_remove(&ep->sources, &source->node);
  free(source);
}

/* ---- accepting ---- */

struct arrival {
  const struct udp_packet *packet;
  ngtcp2_pkt_hd hd;
  ngtcp2_cid odcid, scid;
  enum quic_token token;
};

static int start_ngtcp2(struct quic_conn *c, struct arrival *a)
{
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  quic_conn_settings(c, &settings, &params);
  params.original_dcid = a->token == QUIC_TOKEN_RETRY ? a->odcid : a->hd.dcid;
  params.original_dcid_present = 1;
  params.retry_scid = a->hd.dcid;
  params.retry_scid_present = a->token == QUIC_TOKEN_RETRY;
  params.stateless_reset_token_present = 1;
  if (quic_reset_token(c->ep, &a->scid, params.stateless_reset_token) != 0)
    return -ENOMEM;
  if (a->token != QUIC_TOKEN_NONE) {
    settings.token = a->hd.token;
    settings.tokenlen = a->hd.tokenlen;
    settings.token_type = a->token == QUIC_TOKEN_RETRY ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  }
  union udp_addr local = a->packet->local, peer = a->packet->peer;
  ngtcp2_path path = quic_path(&local, &peer);
  ngtcp2_conn *ng; /* on failure it points to what was freed */
  if (ngtcp2_conn_server_new(&ng, &a->hd.scid, &a->scid, &path, a->hd.version, &quic_callbacks, &settings, &params,
                             &c->mem, c) != 0)
    return -ENOMEM;
  c->ng = ng;
  ngtcp2_conn_set_tls_native_handle(c->ng, c->tls);
  return 0;
}

/* Our ID, and the one that the client made up for its first packets. */
static int add_names(struct quic_conn *c, struct arrival *a)
{
  int rc = -EEXIST;
  for (int i = 0; rc == -EEXIST && i < CID_TRIES; i++) {
    quic_new_cid(c->ep, &a->scid);
    rc = quic_name_add(c->ep, &c->route, slice_of(a->scid.data, a->scid.datalen));
  }
  return rc < 0 ? rc : quic_name_add(c->ep, &c->route, slice_of(a->hd.dcid.data, a->hd.dcid.datalen));
}

static int admit(struct quic_endpoint *ep, struct arrival *a)
{
  struct quic_source *source;
  int rc = quic_source_take(ep, &a->packet->peer, &source);
  if (rc < 0)
    return rc;
  struct quic_conn *c = quic_conn_new(ep, &a->packet->peer, NULL);
  if (!c) {
    quic_source_release(ep, source);
    return -ENOMEM;
  }
  c->source = source;
  source->handshakes++;
  union udp_addr local = udp_addr_plain(&a->packet->local);
  memcpy(&c->t.local, &local, sizeof local);
  rc = add_names(c, a);
  if (rc == 0)
    rc = quic_tls_server(c);
  if (rc == 0)
    rc = start_ngtcp2(c, a);
  if (rc < 0) {
    quic_conn_free(c);
    return rc;
  }
  quic_conn_read(c, a->packet);
  return 0;
}

static void over(struct quic_endpoint *ep, enum limit limit, const union udp_addr *peer)
{
  char host[INET6_ADDRSTRLEN] = "?";
  union udp_addr plain = udp_addr_plain(peer);
  bool v4 = plain.sa.sa_family == AF_INET;
  inet_ntop(plain.sa.sa_family, v4 ? (const void *)&plain.v4.sin_addr : (const void *)&plain.v6.sin6_addr, host,
            sizeof host);
  limit_hit(ep->config.counts, limit, quic_now(ep), "peer=%s", host);
}

void quic_conn_over(const struct quic_conn *c, enum limit limit)
{
  union udp_addr peer = {0};
  memcpy(&peer, &c->t.peer, sizeof peer);
  over(c->ep, limit, &peer);
}

static void refuse(struct quic_endpoint *ep, const struct arrival *a, uint64_t error, uint64_t *counter)
{
  (*counter)++;
  quic_send_refusal(ep, a->packet, &a->hd, error);
}

static void refuse_over(struct quic_endpoint *ep, const struct arrival *a, enum limit limit, uint64_t *counter)
{
  over(ep, limit, &a->packet->peer);
  refuse(ep, a, NGTCP2_CONNECTION_REFUSED, counter);
}

static void demand_token(struct quic_endpoint *ep, const struct arrival *a)
{
  over(ep, LIMIT_HANDSHAKES_RETRY, &a->packet->peer);
  quic_send_retry(ep, a->packet, &a->hd);
}

/* A client that is dropped tries again, and finds a place when its neighbours are through. */
static void admit_or_refuse(struct quic_endpoint *ep, struct arrival *a)
{
  int rc = admit(ep, a);
  if (rc == -EUSERS) {
    refuse_over(ep, a, LIMIT_CONNECTIONS_PER_ADDRESS, &ep->stats.over_connections_ip);
  } else if (rc == -EBUSY) {
    ep->stats.over_handshakes++;
    over(ep, LIMIT_HANDSHAKES, &a->packet->peer);
  }
}

static void accept_packet(struct quic_endpoint *ep, const struct udp_packet *p)
{
  const struct quic_limits *limits = &ep->config.limits;
  struct quic_stats *stats = &ep->stats;
  struct arrival a = {.packet = p};
  if (!ep->config.tls || ngtcp2_accept(&a.hd, p->data.p, p->data.n) != 0)
    return;
  if (ep->handshakes >= limits->handshakes) {
    stats->over_handshakes++;
    over(ep, LIMIT_HANDSHAKES, &p->peer);
    return;
  }
  a.token = quic_token_check(ep, &a.hd, &p->peer, &a.odcid);
  if (a.token == QUIC_TOKEN_BAD)
    refuse(ep, &a, NGTCP2_INVALID_TOKEN, &stats->bad_tokens);
  else if (ep->stopped)
    refuse(ep, &a, NGTCP2_CONNECTION_REFUSED, &stats->refused_stopped);
  else if (ep->conn_count >= limits->connections)
    refuse_over(ep, &a, LIMIT_CONNECTIONS, &stats->over_connections);
  else if (a.token == QUIC_TOKEN_NONE && ep->handshakes >= limits->handshakes_retry)
    demand_token(ep, &a);
  else if (ep->config.full && ep->config.full(ep->config.ctx, &p->peer)) /* who asks is expected to come */
    refuse(ep, &a, NGTCP2_CONNECTION_REFUSED, &stats->refused_full);
  else
    admit_or_refuse(ep, &a);
}

/* ---- the socket ---- */

static void route_packet(struct quic_route *route, const struct udp_packet *p)
{
  if (route->closing)
    quic_closing_packet(container_of(route, struct quic_closing, route));
  else
    quic_conn_read(container_of(route, struct quic_conn, route), p);
}

/* A short header with an ID that is not ours: a reset by the peer, known by its token, or a stray.
 */
static void stray_packet(struct quic_endpoint *ep, const struct udp_packet *p)
{
  struct quic_name *name = NULL;
  if (p->data.n > NGTCP2_STATELESS_RESET_TOKENLEN) {
    struct quic_token_key key = quic_token_key(p->data.p + p->data.n - NGTCP2_STATELESS_RESET_TOKENLEN);
    name = name_find(ep, slice_of(key.p, sizeof key.p));
  }
  if (name)
    route_packet(name->route, p);
  else
    quic_send_reset(ep, p);
}

static void on_packet(void *ctx, const struct udp_packet *p)
{
  struct quic_endpoint *ep = ctx;
  ngtcp2_version_cid vc;
  int rc = ngtcp2_pkt_decode_version_cid(&vc, p->data.p, p->data.n, QUIC_CID_BYTES);
  if (rc == NGTCP2_ERR_VERSION_NEGOTIATION) {
    if (ep->config.tls && p->data.n >= QUIC_PAYLOAD_MIN)
      quic_send_version_negotiation(ep, p, &vc);
    return;
  }
  if (rc != 0)
    return;
  struct quic_name *name = name_find(ep, slice_of(vc.dcid, vc.dcidlen));
  if (name)
    route_packet(name->route, p);
  else if (p->data.p[0] & 0x80)
    accept_packet(ep, p);
  else
    stray_packet(ep, p);
}

static void on_writable(void *ctx)
{
  quic_send_resume(ctx);
}

static const struct udp_events udp_events = {on_packet, on_writable, quic_dial_refused};

/* ---- the endpoint ---- */

static int init(struct quic_endpoint *ep, struct err *ret_err)
{
  ep->tx = malloc(QUIC_TX_BYTES);
  int rc = ep->tx ? quic_map_init(&ep->names, &ep->config.rng) : -ENOMEM;
  if (rc == 0)
    rc = quic_map_init(&ep->sources, &ep->config.rng);
  if (rc == 0)
    rc = quic_keys_derive(ep);
  if (rc < 0)
    return err_set(ret_err, rc, "QUIC endpoint: out of memory");
  rc = gnutls_priority_init(&ep->priority, TLS_PRIORITY, NULL);
  if (rc < 0) {
    ep->priority = NULL;
    return err_set(ret_err, -EINVAL, "QUIC endpoint: TLS 1.3: %s", gnutls_strerror(rc));
  }
  return 0;
}

int quic_endpoint_new_on(const struct quic_endpoint_config *config, struct udp *udp, struct quic_endpoint **ret_ep,
                         struct err *ret_err)
{
  struct quic_endpoint *ep = calloc(1, sizeof *ep);
  if (!ep) {
    udp->ops->free(udp);
    return err_set(ret_err, -ENOMEM, "QUIC endpoint: out of memory");
  }
  ep->config = *config;
  ep->udp = udp;
  udp->events = &udp_events;
  udp->ctx = ep;
  memcpy(&ep->address, &udp->address, sizeof udp->address);
  list_init(&ep->conns);
  list_init(&ep->closing);
  list_init(&ep->waiting);
  int rc = init(ep, ret_err);
  if (rc < 0) {
    quic_endpoint_free(ep);
    return rc;
  }
  *ret_ep = ep;
  return 0;
}

int quic_endpoint_new(const struct quic_endpoint_config *config, const char *bind, struct quic_endpoint **ret_ep,
                      struct err *ret_err)
{
  struct udp *udp;
  int rc = udp_socket_new(config->worker, bind, config->limits.gso, &udp, ret_err);
  return rc < 0 ? rc : quic_endpoint_new_on(config, udp, ret_ep, ret_err);
}

const struct sockaddr_storage *quic_endpoint_address(const struct quic_endpoint *ep)
{
  return &ep->address;
}

const struct quic_limits *quic_endpoint_limits(const struct quic_endpoint *ep)
{
  return &ep->config.limits;
}

void quic_endpoint_buffers(const struct quic_endpoint *ep, struct quic_buffers *ret_buffers)
{
  *ret_buffers = (struct quic_buffers){UDP_BUFFER_BYTES, ep->udp->receive_buffer, ep->udp->send_buffer};
}

void quic_endpoint_stop_accepting(struct quic_endpoint *ep)
{
  ep->stopped = true;
}

void quic_endpoint_close_all(struct quic_endpoint *ep, uint64_t code, const char *reason)
{
  list_for_each (it, &ep->conns)
    quic_conn_close(container_of(it, struct quic_conn, link), code, reason);
}

size_t quic_endpoint_connections(const struct quic_endpoint *ep)
{
  return ep->conn_count;
}

void quic_endpoint_peaks(struct quic_endpoint *ep, struct quic_peaks *ret_peaks)
{
  *ret_peaks = ep->peaks;
  ep->peaks = (struct quic_peaks){ep->conn_count, ep->memory};
}

size_t quic_endpoint_memory(const struct quic_endpoint *ep)
{
  size_t n = QUIC_TX_BYTES + ep->names.count * sizeof(struct quic_name);
  list_for_each (it, &ep->conns)
    n += quic_conn_memory(container_of(it, struct quic_conn, link));
  return n + ep->closing_count * (sizeof(struct quic_closing) + QUIC_PAYLOAD_MIN);
}

void quic_endpoint_stats(const struct quic_endpoint *ep, struct quic_stats *ret_stats)
{
  const struct udp_stats *u = &ep->udp->stats;
  *ret_stats = ep->stats;
  ret_stats->sends = u->sends;
  ret_stats->sent_packets = u->sent_packets;
  ret_stats->sent_bytes = u->sent_bytes;
  ret_stats->receives = u->receives;
  ret_stats->received_packets = u->received_packets;
  ret_stats->received_bytes = u->received_bytes;
}

void quic_endpoint_free(struct quic_endpoint *ep)
{
  if (!ep)
    return;
  ep->stopped = true;
  while (!list_empty(&ep->conns))
    quic_conn_close_now(container_of(ep->conns.next, struct quic_conn, link));
  while (!list_empty(&ep->closing))
    quic_closing_free(container_of(ep->closing.next, struct quic_closing, link));
  ep->udp->ops->free(ep->udp);
  quic_map_destroy(&ep->names);
  quic_map_destroy(&ep->sources);
  if (ep->priority)
    gnutls_priority_deinit(ep->priority);
  gnutls_memset(ep->config.secret, 0, sizeof ep->config.secret);
  free(ep->tx);
  free(ep);
}
