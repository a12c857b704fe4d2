/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_impl.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_DCID_BYTES 18 /* made up for the server; at least 8, RFC 9000 section 7.2 */

/* ---- starting ---- */

static int start_ngtcp2(struct quic_conn *c, union udp_addr *peer)
{
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  ngtcp2_cid scid, dcid;
  uint8_t random[FIRST_DCID_BYTES];
  quic_conn_settings(c, &settings, &params);
  quic_new_cid(c->ep, &scid);
  rng_fill(&c->ep->config.rng, random, sizeof random);
  ngtcp2_cid_init(&dcid, random, sizeof random);
  int rc = quic_name_add(c->ep, &c->route, slice_of(scid.data, scid.datalen));
  if (rc < 0)
    return rc;
  ngtcp2_path path = quic_path(&c->local, peer);
  ngtcp2_conn *ng; /* on failure it points to what was freed */
  if (ngtcp2_conn_client_new(&ng, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &quic_callbacks, &settings, &params,
                             &c->mem, c) != 0)
    return -ENOMEM;
  c->ng = ng;
  ngtcp2_conn_set_tls_native_handle(c->ng, c->tls);
  return 0;
}

static struct quic_client *client_new(const struct quic_dial *dial)
{
  struct quic_client *client = calloc(1, sizeof *client);
  if (client)
    *client = (struct quic_client){.tls = dial->tls, .on_failed = dial->on_failed, .ctx = dial->ctx};
  return client;
}

static int start(struct quic_endpoint *ep, const struct quic_dial *dial, union udp_addr *peer,
                 struct quic_conn **ret_conn)
{
  struct quic_client *client = client_new(dial);
  struct quic_conn *c = client ? quic_conn_new(ep, peer, client) : NULL;
  if (!c) {
    free(client);
    return -ENOMEM;
  }
  c->t.user = dial->ctx;
  c->local = ep->udp->address;
  snprintf(c->host, sizeof c->host, "%s", dial->host);
  int rc = quic_tls_client(c, dial->alpn);
  if (rc == 0)
    rc = start_ngtcp2(c, peer);
  if (rc < 0) {
    quic_conn_free(c);
    return rc;
  }
  *ret_conn = c;
  return 0;
}

int quic_dial(struct quic_endpoint *ep, const struct quic_dial *dial, struct transport **ret_t, struct err *ret_err)
{
  union udp_addr peer;
  struct quic_conn *c;
  if (strlen(dial->host) > QUIC_HOST_MAX)
    return err_set(ret_err, -EINVAL, "%s: the name is too long", dial->host);
  int rc = udp_addr_for(ep->udp->address.sa.sa_family, dial->peer, dial->peer_len, &peer);
  if (rc < 0)
    return err_set(ret_err, rc, "%s: the local address is of another family", dial->host);
  rc = start(ep, dial, &peer, &c);
  if (rc < 0)
    return err_set(ret_err, rc, "%s: %s", dial->host, strerror(-rc));
  ep->udp->ops->watch_errors(ep->udp);
  quic_conn_dirty(c);
  *ret_t = &c->t;
  return 0;
}

/* ---- failing ---- */

/* Anybody may send an ICMP error, so it counts only as long as nothing has come from the server
 * itself. */
void quic_dial_refused(void *ctx, const union udp_addr *peer, int error)
{
  struct quic_endpoint *ep = ctx;
  list_for_each (it, &ep->conns) {
    struct quic_conn *c = container_of(it, struct quic_conn, link);
    if (!c->client || c->state != QUIC_HANDSHAKE || c->bytes_received > 0 || c->close_asked)
      continue;
    const ngtcp2_path *path = ngtcp2_conn_get_path(c->ng);
    union udp_addr to = {0};
    memcpy(&to, path->remote.addr, path->remote.addrlen);
    if (memcmp(&to, peer, udp_addr_len(&to)) != 0)
      continue;
    c->client->rc = -error;
    err_set(&c->client->err, -error, "%s", strerror(error));
    quic_conn_close(c, 0, "");
  }
}

static int crypto_failed(uint8_t alert, char *text, size_t cap)
{
  const char *name = gnutls_alert_get_name(alert);
  if (alert == GNUTLS_A_NO_APPLICATION_PROTOCOL) {
    snprintf(text, cap, "the server speaks none of the offered protocols (no_application_protocol)");
    return -EPROTONOSUPPORT;
  }
  snprintf(text, cap, "TLS: %s", name ? name : "unknown alert");
  return -EPROTO;
}

static int peer_refused(const ngtcp2_ccerr *error, char *text, size_t cap)
{
  if (error->type == NGTCP2_CCERR_TYPE_TRANSPORT && (error->error_code & ~0xffULL) == NGTCP2_CRYPTO_ERROR)
    return crypto_failed((uint8_t)error->error_code, text, cap);
  if (error->type == NGTCP2_CCERR_TYPE_TRANSPORT && error->error_code == NGTCP2_CONNECTION_REFUSED) {
    snprintf(text, cap, "the server refused the connection");
    return -ECONNREFUSED;
  }
  snprintf(text, cap, "the server closed the connection with code 0x%llx%s%.*s", (unsigned long long)error->error_code,
           error->reasonlen ? ": " : "", (int)error->reasonlen, error->reason ? (const char *)error->reason : "");
  return -ECONNRESET;
}

static int own_failure(const struct quic_conn *c, int liberr, char *text, size_t cap)
{
  uint8_t alert = ngtcp2_conn_get_tls_alert(c->ng);
  switch (liberr) {
  case 0:
    snprintf(text, cap, "given up");
    return -ECANCELED;
  case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
  case NGTCP2_ERR_IDLE_CLOSE:
    snprintf(text, cap, "no answer from the server (timeout)");
    return -ETIMEDOUT;
  case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
    snprintf(text, cap, "the server has no QUIC version in common");
    return -EPROTONOSUPPORT;
  case NGTCP2_ERR_CRYPTO:
    return crypto_failed(alert, text, cap);
  default:
    snprintf(text, cap, "QUIC: %s", ngtcp2_strerror(liberr));
    return liberr == NGTCP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
  }
}

void quic_dial_failed(struct quic_conn *c, int liberr, const ngtcp2_ccerr *error)
{
  struct quic_client *client = c->client;
  struct err err;
  int rc;
  if (client->rc != 0) {
    rc = client->rc;
    err = client->err;
  } else if (error) {
    rc = peer_refused(error, err.text, sizeof err.text);
  } else {
    rc = own_failure(c, liberr, err.text, sizeof err.text);
  }
  client->on_failed(client->ctx, rc, err.text);
}
