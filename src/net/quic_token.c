/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the endpoint says without a connection, and what it derives from its secret so that it needs
 * no memory for it. */
#include "net/quic_impl.h"
#include <errno.h>
#include <gnutls/crypto.h>

#define RESET_BYTES 41 /* looks like a small packet; RFC 9000 section 10.3 wants at least 21 */
#define RESET_BYTES_MIN 21

static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};

static int derive(const struct quic_endpoint *ep, const char *label, uint8_t ret_key[32])
{
  int rc =
      gnutls_hmac_fast(GNUTLS_MAC_SHA256, ep->config.secret, sizeof ep->config.secret, label, strlen(label), ret_key);
  return rc < 0 ? -ENOMEM : 0;
}

int quic_keys_derive(struct quic_endpoint *ep)
{
  int rc = derive(ep, "quic retry token", ep->retry_key);
  if (rc == 0)
    rc = derive(ep, "quic new token", ep->token_key);
  if (rc == 0)
    rc = derive(ep, "quic stateless reset", ep->reset_key);
  return rc;
}

int quic_reset_token(const struct quic_endpoint *ep, const ngtcp2_cid *cid, uint8_t *ret_token)
{
  return ngtcp2_crypto_generate_stateless_reset_token(ret_token, ep->reset_key, sizeof ep->reset_key, cid);
}

/* Tokens outlive the process, so their time is the wall's. */
static uint64_t wall_ns(const struct quic_endpoint *ep)
{
  return clock_wall_us(&ep->config.worker->clock) * 1000;
}

enum quic_token quic_token_check(const struct quic_endpoint *ep, const ngtcp2_pkt_hd *hd, const union udp_addr *peer,
                                 ngtcp2_cid *ret_odcid)
{
  if (hd->tokenlen == 0)
    return QUIC_TOKEN_NONE;
  if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
    int rc = ngtcp2_crypto_verify_retry_token2(ret_odcid, hd->token, hd->tokenlen, ep->retry_key, sizeof ep->retry_key,
                                               hd->version, &peer->sa, udp_addr_len(peer), &hd->dcid,
                                               QUIC_RETRY_LIFETIME_NS, wall_ns(ep));
    return rc == 0 ? QUIC_TOKEN_RETRY : QUIC_TOKEN_BAD;
  }
  if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR &&
      ngtcp2_crypto_verify_regular_token(hd->token, hd->tokenlen, ep->token_key, sizeof ep->token_key, &peer->sa,
                                         udp_addr_len(peer), QUIC_NEW_TOKEN_LIFETIME_NS, wall_ns(ep)) == 0)
    return QUIC_TOKEN_REGULAR;
  return QUIC_TOKEN_NONE;
}

void quic_token_submit(struct quic_conn *c)
{
  uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
  const ngtcp2_path *path = ngtcp2_conn_get_path(c->ng);
  ngtcp2_ssize n = ngtcp2_crypto_generate_regular_token(token, c->ep->token_key, sizeof c->ep->token_key,
                                                        path->remote.addr, path->remote.addrlen, wall_ns(c->ep));
  if (n > 0)
    ngtcp2_conn_submit_new_token(c->ng, token, (size_t)n);
}

static void answer(struct quic_endpoint *ep, const struct udp_packet *p, const uint8_t *out, ngtcp2_ssize n)
{
  if (n > 0)
    quic_send_now(ep, &p->local, &p->peer, out, (size_t)n);
}

void quic_send_retry(struct quic_endpoint *ep, const struct udp_packet *p, const ngtcp2_pkt_hd *hd)
{
  uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2], out[QUIC_PAYLOAD_MIN];
  ngtcp2_cid scid;
  quic_new_cid(ep, &scid);
  if (ngtcp2_cid_eq(&scid, &hd->dcid)) /* a lucky guess; RFC 9000 section 17.2.5.1, and ngtcp2 asserts on it */
    return;
  ep->stats.retries++;
  ngtcp2_ssize n =
      ngtcp2_crypto_generate_retry_token2(token, ep->retry_key, sizeof ep->retry_key, hd->version, &p->peer.sa,
                                          udp_addr_len(&p->peer), &scid, &hd->dcid, wall_ns(ep));
  if (n > 0)
    answer(ep, p, out,
           ngtcp2_crypto_write_retry(out, sizeof out, hd->version, &hd->scid, &scid, &hd->dcid, token, (size_t)n));
}

void quic_send_version_negotiation(struct quic_endpoint *ep, const struct udp_packet *p, const ngtcp2_version_cid *vc)
{
  uint8_t out[QUIC_PAYLOAD_MIN], unused;
  ep->stats.version_negotiations++;
  rng_fill(&ep->config.rng, &unused, 1);
  answer(ep, p, out,
         ngtcp2_pkt_write_version_negotiation(out, sizeof out, unused, vc->scid, vc->scidlen, vc->dcid, vc->dcidlen,
                                              versions, sizeof versions / sizeof versions[0]));
}

void quic_send_refusal(struct quic_endpoint *ep, const struct udp_packet *p, const ngtcp2_pkt_hd *hd, uint64_t error)
{
  uint8_t out[QUIC_PAYLOAD_MIN];
  answer(ep, p, out,
         ngtcp2_crypto_write_connection_close(out, sizeof out, hd->version, &hd->scid, &hd->dcid, error, NULL, 0));
}

static bool reset_allowed(struct quic_endpoint *ep)
{
  uint64_t now = quic_now(ep);
  if (now - ep->resets_from >= NS_PER_S) {
    ep->resets_from = now;
    ep->resets_sent = 0;
  }
  return ep->resets_sent++ < QUIC_RESETS_PER_S;
}

/* A packet for a connection that we do not know (any more). The answer is shorter than the
 * question, so that two endpoints cannot keep each other busy. RFC 9000 section 10.3. */
void quic_send_reset(struct quic_endpoint *ep, const struct udp_packet *p)
{
  if (p->data.n <= RESET_BYTES_MIN || !reset_allowed(ep))
    return;
  size_t n = p->data.n > RESET_BYTES ? RESET_BYTES : p->data.n - 1;
  uint8_t out[RESET_BYTES], random[RESET_BYTES], token[NGTCP2_STATELESS_RESET_TOKENLEN];
  ngtcp2_cid cid;
  ngtcp2_cid_init(&cid, p->data.p + 1, QUIC_CID_BYTES);
  if (quic_reset_token(ep, &cid, token) != 0)
    return;
  ep->stats.resets++;
  size_t random_n = n - sizeof token;
  rng_fill(&ep->config.rng, random, random_n);
  answer(ep, p, out, ngtcp2_pkt_write_stateless_reset(out, n, token, random, random_n));
}
