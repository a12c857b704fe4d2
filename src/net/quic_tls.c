/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GnuTLS sessions for QUIC: TLS 1.3 only, an ALPN is required, and the server's order decides.
 * GnuTLS keeps no more than eight ALPN names and matches certificates without wildcards, so a
 * server reads both extensions from the ClientHello itself and tells GnuTLS the outcome. */
#include "net/quic_impl.h"
#include "base/cursor.h"
#include <arpa/inet.h>
#include <errno.h>

#define EXT_SERVER_NAME 0
#define EXT_ALPN 16
#define ALPN_OFFER_MAX 8 /* what GnuTLS sends */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
  struct quic_conn *c = ref->user_data;
  return c->ng;
}

static struct quic_conn *conn_of(gnutls_session_t session)
{
  ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);
  return ref->user_data;
}

/* ---- the ClientHello, read by us ---- */

struct hello {
  struct quic_conn *c;
  const char *alpn; /* our first one that the client has */
};

static bool offered(struct slice list, const char *name)
{
  struct cursor in = cursor_of(list);
  while (cursor_left(&in) > 0) {
    struct slice one = cursor_bytes(&in, cursor_u8(&in));
    if (!in.failed && slice_eq(one, slice_str(name)))
      return true;
  }
  return false;
}

static void read_alpn(struct hello *hello, struct slice ext)
{
  struct cursor in = cursor_of(ext);
  struct slice list = cursor_bytes(&in, cursor_u16(&in));
  const char *const *ours = hello->c->ep->config.alpn;
  for (; !in.failed && *ours && !hello->alpn; ours++) {
    if (offered(list, *ours))
      hello->alpn = *ours;
  }
}

static void read_server_name(struct hello *hello, struct slice ext)
{
  struct cursor in = cursor_of(ext);
  cursor_u16(&in); /* length of the list; a client sends one name */
  uint8_t type = cursor_u8(&in);
  struct slice name = cursor_bytes(&in, cursor_u16(&in));
  if (in.failed || type != 0 || name.n == 0 || name.n > QUIC_HOST_MAX || memchr(name.p, 0, name.n))
    return;
  memcpy(hello->c->host, name.p, name.n);
  hello->c->host[name.n] = '\0';
}

static int on_extension(void *ctx, unsigned id, const unsigned char *data, unsigned n)
{
  if (id == EXT_ALPN)
    read_alpn(ctx, slice_of(data, n));
  else if (id == EXT_SERVER_NAME)
    read_server_name(ctx, slice_of(data, n));
  return 0;
}

static int on_hello(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                    const gnutls_datum_t *msg)
{
  (void)type, (void)when;
  struct hello hello = {.c = conn_of(session)};
  if (!incoming)
    return 0;
  int rc = gnutls_ext_raw_parse(&hello, on_extension, msg, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
  if (rc < 0)
    return rc;
  if (!hello.alpn)
    return GNUTLS_E_NO_APPLICATION_PROTOCOL;
  gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)hello.alpn, (unsigned)strlen(hello.alpn)};
  rc = gnutls_alpn_set_protocols(session, &alpn, 1, GNUTLS_ALPN_MANDATORY);
  if (rc < 0)
    return rc;
  struct tls_server *tls = hello.c->ep->config.tls;
  return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls_server_credentials_for(tls, hello.c->host));
}

/* ---- sessions ---- */

static int setup(struct quic_conn *c, unsigned flags)
{
  int rc = gnutls_init(&c->tls, flags);
  if (rc < 0) {
    c->tls = NULL;
    return rc;
  }
  c->ref = (ngtcp2_crypto_conn_ref){get_conn, c};
  gnutls_session_set_ptr(c->tls, &c->ref);
  return gnutls_priority_set(c->tls, c->ep->priority);
}

static int result(int rc)
{
  return rc >= 0 ? 0 : rc == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

int quic_tls_server(struct quic_conn *c)
{
  int rc = setup(c, GNUTLS_SERVER | GNUTLS_NO_TICKETS);
  if (rc >= 0)
    rc = gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, tls_server_credentials(c->ep->config.tls));
  if (rc >= 0) {
    gnutls_handshake_set_hook_function(c->tls, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE, on_hello);
    rc = ngtcp2_crypto_gnutls_configure_server_session(c->tls) == 0 ? 0 : GNUTLS_E_MEMORY_ERROR;
  }
  return result(rc);
}

static int on_verify(gnutls_session_t session)
{
  struct quic_conn *c = conn_of(session);
  int rc = tls_client_verify(c->client->tls, session, c->host, &c->client->err);
  if (rc < 0)
    c->client->rc = rc;
  return rc < 0 ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

static int offer_alpn(gnutls_session_t session, const char *const *alpn)
{
  gnutls_datum_t list[ALPN_OFFER_MAX];
  unsigned n = 0;
  for (; alpn[n] && n < ALPN_OFFER_MAX; n++)
    list[n] = (gnutls_datum_t){(unsigned char *)(uintptr_t)alpn[n], (unsigned)strlen(alpn[n])};
  return gnutls_alpn_set_protocols(session, list, n, GNUTLS_ALPN_MANDATORY);
}

/* Names only: RFC 6066 section 3 has no addresses in the server name. */
static int set_server_name(gnutls_session_t session, const char *host)
{
  uint8_t ip[16];
  if (!*host || inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
    return 0;
  return gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
}

int quic_tls_client(struct quic_conn *c, const char *const *alpn)
{
  int rc = setup(c, GNUTLS_CLIENT);
  if (rc >= 0)
    rc = gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, tls_client_credentials(c->client->tls));
  if (rc >= 0)
    rc = offer_alpn(c->tls, alpn);
  if (rc >= 0)
    rc = set_server_name(c->tls, c->host);
  if (rc >= 0) {
    gnutls_session_set_verify_function(c->tls, on_verify);
    rc = ngtcp2_crypto_gnutls_configure_client_session(c->tls) == 0 ? 0 : GNUTLS_E_MEMORY_ERROR;
  }
  return result(rc);
}

bool quic_tls_chosen(struct quic_conn *c)
{
  gnutls_datum_t alpn;
  if (gnutls_alpn_get_selected_protocol(c->tls, &alpn) < 0 || alpn.size > QUIC_ALPN_MAX)
    return false;
  memcpy(c->alpn, alpn.data, alpn.size);
  c->alpn[alpn.size] = '\0';
  return true;
}
