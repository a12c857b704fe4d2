/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The certificate is asked for in each handshake, so that a reload needs no new listener. */
#include "web/exchange.h"

#define NAME_MAX_BYTES 256

/* What the client calls us; "" when it does not say. */
static void server_name(gnutls_session_t session, char out[NAME_MAX_BYTES])
{
  size_t n = NAME_MAX_BYTES - 1;
  unsigned type = 0;
  if (gnutls_server_name_get(session, out, &n, &type, 0) < 0 || type != GNUTLS_NAME_DNS)
    n = 0;
  out[n] = '\0';
}

int https_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                      const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
                      unsigned *ret_n, gnutls_privkey_t *ret_key)
{
  char host[NAME_MAX_BYTES];
  (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
  struct MHD_Connection *c = gnutls_session_get_ptr(session); /* libmicrohttpd keeps it there */
  const struct http_config *config = c ? connection_config(c) : NULL;
  if (!config || !config->https)
    return -1;
  server_name(session, host);
  tls_server_pair(config->https, host, ret_chain, ret_n, ret_key);
  return 0;
}
