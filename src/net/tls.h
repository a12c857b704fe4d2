/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS credentials for QUIC and HTTPS, by GnuTLS. A server set holds certificate/key pairs, chosen by SNI (first match,
 * else the first pair), and can be replaced while running. */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/slice.h"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

struct tls_server;

struct tls_server_config {
  const char *const *cert; /* PEM chain files, paired with `key` by index */
  const char *const *key;
  size_t pairs;
  const char *const
      *generate; /* host names: one self-signed ECDSA P-256 certificate, valid from a day ago for 13 days more */
  size_t generate_count;
};

/* Loads or makes the certificates. Errors name the file. `now` is UNIX seconds. */
int tls_server_new(const struct tls_server_config *config, uint64_t wall_s, struct tls_server **ret_tls,
                   struct err *ret_err);

/* Loads everything anew; on failure the old ones stay. */
int tls_server_reload(struct tls_server *tls, uint64_t wall_s, struct err *ret_err);

/* UNIX seconds at which generated certificates should be renewed (a day before their end), UINT64_MAX when there are none. */
uint64_t tls_server_renew_at(const struct tls_server *tls);

/* Lower-case hex SHA-256 of the first certificate's DER leaf, 64 digits and NUL, for /certificate.sha256. */
void tls_server_fingerprint(const struct tls_server *tls, char ret_hex[65]);

/* Credentials for a GnuTLS session (borrowed; a session made before a reload keeps the ones it began with). */
gnutls_certificate_credentials_t tls_server_credentials(struct tls_server *tls);

/* The same with one pair only: the first whose certificate names `host` (wildcards included), else the first. GnuTLS's
 * own choice among several knows no wildcards. */
gnutls_certificate_credentials_t tls_server_credentials_for(struct tls_server *tls, const char *host);

/* The same choice as chain and key, for a library that keeps its own credentials. Borrowed: they outlive the handshakes
 * that have begun, a reload notwithstanding. */
void tls_server_pair(struct tls_server *tls, const char *host, gnutls_pcert_st **ret_chain, unsigned *ret_n,
                     gnutls_privkey_t *ret_key);
void tls_server_free(struct tls_server *tls);

struct tls_client;
struct tls_client_config {
  const char *const *roots; /* PEM files; none = the system's */
  size_t root_count;
  const char *const
      *fingerprints; /* hex SHA-256 of the server's leaf certificate; when given nothing else is checked */
  size_t fingerprint_count;
  bool insecure; /* accept any certificate */
};
int tls_client_new(const struct tls_client_config *config, struct tls_client **ret_tls, struct err *ret_err);
gnutls_certificate_credentials_t tls_client_credentials(struct tls_client *tls);
/* Checks the peer's certificate of a session after the handshake's Certificate message: 0 or -EACCES with a text. */
int tls_client_verify(struct tls_client *tls, gnutls_session_t session, const char *host, struct err *ret_err);
void tls_client_free(struct tls_client *tls);
