/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/tls.h"
#include "base/list.h"
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define DAY_S 86400ULL
#define BACKDATE_S DAY_S /* for clients whose clock is slow */
/* Browsers take a certificate by its hash when it is valid for at most 14 days; a minute less
 * leaves no doubt about whether the last second counts. */
#define VALID_S (14 * DAY_S - 60)
#define RENEW_BEFORE_S DAY_S
#define RETIRED_S 300 /* handshakes begun before a reload have ended by then */
#define CHAIN_MAX 16
#define SERIAL_BYTES 16
#define HEX_SHA256 64

/* One certificate with its key. */
struct pair {
  gnutls_certificate_credentials_t credentials;
  gnutls_x509_crt_t leaf;
  gnutls_privkey_t key;
  gnutls_pcert_st *chain;
  unsigned chain_n;
};

/* What one load made; replaced as a whole. */
struct set {
  struct list link; /* of tls_server.retired */
  uint64_t retired_at;
  gnutls_certificate_credentials_t all;
  struct pair *pairs;
  size_t count;
  uint64_t renew_at;
  char fingerprint[HEX_SHA256 + 1];
};

struct tls_server {
  char **cert, **key, **generate;
  size_t pairs, generate_count;
  struct set *set;
  struct list retired;
};

/* ---- small things ---- */

static int fail(struct err *e, int rc, const char *what, int gnutls_rc)
{
  return err_set(e, gnutls_rc == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : rc, "%s: %s", what, gnutls_strerror(gnutls_rc));
}

static void hex(char *out, const uint8_t *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void free_strings(char **list, size_t n)
{
  for (size_t i = 0; list && i < n; i++)
    free(list[i]);
  free(list);
}

static char **copy_strings(const char *const *list, size_t n)
{
  char **copy = calloc(n + 1, sizeof *copy);
  for (size_t i = 0; copy && i < n; i++) {
    copy[i] = strdup(list[i]);
    if (!copy[i]) {
      free_strings(copy, n);
      return NULL;
    }
  }
  return copy;
}

/* SHA-256 of DER in hex. 0 or a GnuTLS error. */
static int fingerprint_of(const gnutls_datum_t *der, char ret_hex[HEX_SHA256 + 1])
{
  uint8_t digest[32];
  int rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, der->data, der->size, digest);
  if (rc == 0)
    hex(ret_hex, digest, sizeof digest);
  return rc;
}

static int leaf_fingerprint(gnutls_x509_crt_t crt, char ret_hex[HEX_SHA256 + 1])
{
  gnutls_datum_t der;
  int rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);
  if (rc < 0)
    return rc;
  rc = fingerprint_of(&der, ret_hex);
  gnutls_free(der.data);
  return rc;
}

/* ---- a set of certificates ---- */

static void pair_destroy(struct pair *p)
{
  if (p->credentials)
    gnutls_certificate_free_credentials(p->credentials);
  if (p->leaf)
    gnutls_x509_crt_deinit(p->leaf);
  if (p->key)
    gnutls_privkey_deinit(p->key);
  for (unsigned i = 0; i < p->chain_n; i++)
    gnutls_pcert_deinit(&p->chain[i]);
  free(p->chain);
}

static void set_free(struct set *s)
{
  if (!s)
    return;
  for (size_t i = 0; i < s->count; i++)
    pair_destroy(&s->pairs[i]);
  if (s->all)
    gnutls_certificate_free_credentials(s->all);
  free(s->pairs);
  free(s);
}

static struct set *set_new(size_t capacity)
{
  struct set *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  s->pairs = calloc(capacity, sizeof *s->pairs);
  s->renew_at = UINT64_MAX;
  list_init(&s->link);
  if (!s->pairs || gnutls_certificate_allocate_credentials(&s->all) < 0) {
    s->all = NULL;
    set_free(s);
    return NULL;
  }
  return s;
}

/* Copies, for tls_server_pair. */
static int keep_pair(struct pair *p, gnutls_x509_crt_t *chain, unsigned n, gnutls_x509_privkey_t key)
{
  p->chain = calloc(n, sizeof *p->chain);
  if (!p->chain)
    return GNUTLS_E_MEMORY_ERROR;
  for (; p->chain_n < n; p->chain_n++) {
    int rc = gnutls_pcert_import_x509(&p->chain[p->chain_n], chain[p->chain_n], 0);
    if (rc < 0)
      return rc;
  }
  int rc = gnutls_privkey_init(&p->key);
  if (rc < 0)
    p->key = NULL;
  return rc < 0 ? rc : gnutls_privkey_import_x509(p->key, key, GNUTLS_PRIVKEY_IMPORT_COPY);
}

/* Adds a chain and its key as a pair; both stay the caller's. A GnuTLS error on failure. */
static int set_add(struct set *s, gnutls_x509_crt_t *chain, unsigned n, gnutls_x509_privkey_t key)
{
  struct pair *p = &s->pairs[s->count++];
  gnutls_datum_t der = {0};
  int rc = gnutls_certificate_allocate_credentials(&p->credentials);
  if (rc >= 0)
    rc = gnutls_certificate_set_x509_key(p->credentials, chain, (int)n, key);
  if (rc >= 0)
    rc = gnutls_certificate_set_x509_key(s->all, chain, (int)n, key);
  if (rc >= 0)
    rc = gnutls_x509_crt_export2(chain[0], GNUTLS_X509_FMT_DER, &der);
  if (rc >= 0)
    rc = gnutls_x509_crt_init(&p->leaf);
  if (rc >= 0)
    rc = gnutls_x509_crt_import(p->leaf, &der, GNUTLS_X509_FMT_DER);
  gnutls_free(der.data);
  return rc < 0 ? rc : keep_pair(p, chain, n, key);
}

static int load_key(const char *file, gnutls_x509_privkey_t *ret_key, struct err *e)
{
  gnutls_datum_t pem;
  int rc = gnutls_load_file(file, &pem);
  if (rc < 0)
    return err_set(e, -ENOENT, "%s: %s", file, errno ? strerror(errno) : gnutls_strerror(rc));
  rc = gnutls_x509_privkey_init(ret_key);
  if (rc >= 0) {
    rc = gnutls_x509_privkey_import2(*ret_key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0)
      gnutls_x509_privkey_deinit(*ret_key);
  }
  gnutls_memset(pem.data, 0, pem.size);
  gnutls_free(pem.data);
  return rc < 0 ? fail(e, -EINVAL, file, rc) : 0;
}

static int load_chain(const char *file, gnutls_x509_crt_t *chain, unsigned *ret_n, struct err *e)
{
  gnutls_datum_t pem;
  errno = 0;
  int rc = gnutls_load_file(file, &pem);
  if (rc < 0)
    return err_set(e, -ENOENT, "%s: %s", file, errno ? strerror(errno) : gnutls_strerror(rc));
  *ret_n = CHAIN_MAX;
  rc = gnutls_x509_crt_list_import(chain, ret_n, &pem, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
  gnutls_free(pem.data);
  return rc < 0 ? fail(e, -EINVAL, file, rc) : 0;
}

static int load_pair(struct set *s, const char *cert_file, const char *key_file, struct err *e)
{
  gnutls_x509_crt_t chain[CHAIN_MAX];
  gnutls_x509_privkey_t key;
  unsigned n;
  int rc = load_chain(cert_file, chain, &n, e);
  if (rc < 0)
    return rc;
  errno = 0;
  rc = load_key(key_file, &key, e);
  if (rc == 0) {
    rc = set_add(s, chain, n, key);
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
      rc = err_set(e, -EINVAL, "%s: the key does not belong to the certificate in %s", key_file, cert_file);
    else if (rc < 0)
      rc = fail(e, -EINVAL, cert_file, rc);
    gnutls_x509_privkey_deinit(key);
  }
  for (unsigned i = 0; i < n; i++)
    gnutls_x509_crt_deinit(chain[i]);
  return rc < 0 ? rc : 0;
}

/* ---- generated certificates ---- */

static int add_name(gnutls_x509_crt_t crt, const char *host)
{
  uint8_t ip[16];
  size_t n = strlen(host);
  gnutls_x509_subject_alt_name_t type = GNUTLS_SAN_IPADDRESS;
  if (inet_pton(AF_INET, host, ip) == 1)
    n = 4;
  else if (inet_pton(AF_INET6, host, ip) == 1)
    n = 16;
  else
    type = GNUTLS_SAN_DNSNAME;
  const void *name = type == GNUTLS_SAN_DNSNAME ? (const void *)host : ip;
  return gnutls_x509_crt_set_subject_alt_name(crt, type, name, (unsigned)n, GNUTLS_FSAN_APPEND);
}

static int describe(gnutls_x509_crt_t crt, char *const *hosts, size_t count, uint64_t from)
{
  uint8_t serial[SERIAL_BYTES];
  int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
  serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of full length */
  if (rc >= 0)
    rc = gnutls_x509_crt_set_version(crt, 3);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_activation_time(crt, (time_t)from);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_expiration_time(crt, (time_t)(from + VALID_S));
  if (rc >= 0)
    rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, hosts[0], (unsigned)strlen(hosts[0]));
  if (rc >= 0)
    rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
  for (size_t i = 0; rc >= 0 && i < count; i++)
    rc = add_name(crt, hosts[i]);
  return rc;
}

static int generate_with(struct set *s, gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, char *const *hosts,
                         size_t count, uint64_t from)
{
  int rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
  if (rc >= 0)
    rc = describe(crt, hosts, count, from);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_key(crt, key);
  if (rc >= 0)
    rc = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
  return rc < 0 ? rc : set_add(s, &crt, 1, key);
}

static int generate(struct set *s, char *const *hosts, size_t count, uint64_t wall_s, struct err *e)
{
  gnutls_x509_crt_t crt = NULL;
  gnutls_x509_privkey_t key = NULL;
  uint64_t from = wall_s > BACKDATE_S ? wall_s - BACKDATE_S : 0;
  int rc = gnutls_x509_crt_init(&crt);
  if (rc >= 0)
    rc = gnutls_x509_privkey_init(&key);
  if (rc >= 0)
    rc = generate_with(s, crt, key, hosts, count, from);
  if (crt)
    gnutls_x509_crt_deinit(crt);
  if (key)
    gnutls_x509_privkey_deinit(key);
  if (rc < 0)
    return fail(e, -EINVAL, "generating a certificate", rc);
  s->renew_at = from + VALID_S - RENEW_BEFORE_S;
  return 0;
}

/* ---- server ---- */

static int load(const struct tls_server *tls, uint64_t wall_s, struct set **ret_set, struct err *e)
{
  struct set *s = set_new(tls->pairs + 1);
  int rc = s ? 0 : err_set(e, -ENOMEM, "loading certificates: out of memory");
  for (size_t i = 0; rc == 0 && i < tls->pairs; i++)
    rc = load_pair(s, tls->cert[i], tls->key[i], e);
  if (rc == 0 && tls->generate_count > 0)
    rc = generate(s, tls->generate, tls->generate_count, wall_s, e);
  if (rc == 0 && s->count == 0)
    rc = err_set(e, -EINVAL, "no certificate: give cert and key, or generate");
  if (rc == 0 && leaf_fingerprint(s->pairs[0].leaf, s->fingerprint) < 0)
    rc = err_set(e, -ENOMEM, "hashing the certificate failed");
  if (rc < 0) {
    set_free(s);
    return rc;
  }
  *ret_set = s;
  return 0;
}

int tls_server_new(const struct tls_server_config *config, uint64_t wall_s, struct tls_server **ret_tls,
                   struct err *ret_err)
{
  struct tls_server *tls = calloc(1, sizeof *tls);
  if (!tls)
    return err_set(ret_err, -ENOMEM, "loading certificates: out of memory");
  list_init(&tls->retired);
  tls->pairs = config->pairs;
  tls->generate_count = config->generate_count;
  tls->cert = copy_strings(config->cert, config->pairs);
  tls->key = copy_strings(config->key, config->pairs);
  tls->generate = copy_strings(config->generate, config->generate_count);
  int rc = tls->cert && tls->key && tls->generate ? load(tls, wall_s, &tls->set, ret_err)
                                                  : err_set(ret_err, -ENOMEM, "loading certificates: out of memory");
  if (rc < 0) {
    tls_server_free(tls);
    return rc;
  }
  *ret_tls = tls;
  return 0;
}

int tls_server_reload(struct tls_server *tls, uint64_t wall_s, struct err *ret_err)
{
  struct set *fresh;
  int rc = load(tls, wall_s, &fresh, ret_err);
  if (rc < 0)
    return rc;
  list_for_each_safe (it, tmp, &tls->retired) {
    struct set *old = container_of(it, struct set, link);
    if (wall_s > old->retired_at && wall_s - old->retired_at > RETIRED_S) {
      list_remove(&old->link);
      set_free(old);
    }
  }
  tls->set->retired_at = wall_s;
  list_append(&tls->retired, &tls->set->link);
  tls->set = fresh;
  return 0;
}

uint64_t tls_server_renew_at(const struct tls_server *tls)
{
  return tls->set->renew_at;
}

void tls_server_fingerprint(const struct tls_server *tls, char ret_hex[65])
{
  memcpy(ret_hex, tls->set->fingerprint, sizeof tls->set->fingerprint);
}

gnutls_certificate_credentials_t tls_server_credentials(struct tls_server *tls)
{
  return tls->set->all;
}

static const struct pair *pair_for(const struct set *s, const char *host)
{
  for (size_t i = 0; host && *host && i < s->count; i++) {
    if (gnutls_x509_crt_check_hostname(s->pairs[i].leaf, host))
      return &s->pairs[i];
  }
  return &s->pairs[0];
}

gnutls_certificate_credentials_t tls_server_credentials_for(struct tls_server *tls, const char *host)
{
  return pair_for(tls->set, host)->credentials;
}

void tls_server_pair(struct tls_server *tls, const char *host, gnutls_pcert_st **ret_chain, unsigned *ret_n,
                     gnutls_privkey_t *ret_key)
{
  const struct pair *p = pair_for(tls->set, host);
  *ret_chain = p->chain;
  *ret_n = p->chain_n;
  *ret_key = p->key;
}

void tls_server_free(struct tls_server *tls)
{
  if (!tls)
    return;
  list_for_each_safe (it, tmp, &tls->retired) {
    list_remove(it);
    set_free(container_of(it, struct set, link));
  }
  set_free(tls->set);
  free_strings(tls->cert, tls->pairs);
  free_strings(tls->key, tls->pairs);
  free_strings(tls->generate, tls->generate_count);
  free(tls);
}

/* ---- client ---- */

struct tls_client {
  gnutls_certificate_credentials_t credentials;
  char **fingerprints;
  size_t fingerprint_count;
  bool insecure;
};

static bool is_fingerprint(const char *s)
{
  return strlen(s) == HEX_SHA256 && strspn(s, "0123456789abcdefABCDEF") == HEX_SHA256;
}

static int load_roots(struct tls_client *tls, const struct tls_client_config *config, struct err *e)
{
  for (size_t i = 0; i < config->root_count; i++) {
    errno = 0;
    int rc = gnutls_certificate_set_x509_trust_file(tls->credentials, config->roots[i], GNUTLS_X509_FMT_PEM);
    if (rc == GNUTLS_E_FILE_ERROR)
      return err_set(e, -ENOENT, "%s: %s", config->roots[i], errno ? strerror(errno) : gnutls_strerror(rc));
    if (rc <= 0)
      return err_set(e, -EINVAL, "%s: %s", config->roots[i], rc == 0 ? "no certificate in it" : gnutls_strerror(rc));
  }
  if (config->root_count == 0 && config->fingerprint_count == 0 && !config->insecure) {
    int rc = gnutls_certificate_set_x509_system_trust(tls->credentials);
    if (rc < 0)
      return fail(e, -EINVAL, "the system's root certificates", rc);
  }
  return 0;
}

static int client_load(struct tls_client *tls, const struct tls_client_config *config, struct err *e)
{
  for (size_t i = 0; i < config->fingerprint_count; i++) {
    if (!is_fingerprint(config->fingerprints[i]))
      return err_set(e, -EINVAL, "\"%s\" is not a fingerprint: expected 64 hex digits (SHA-256)",
                     config->fingerprints[i]);
  }
  tls->fingerprints = copy_strings(config->fingerprints, config->fingerprint_count);
  if (!tls->fingerprints || gnutls_certificate_allocate_credentials(&tls->credentials) < 0) {
    tls->credentials = NULL;
    return err_set(e, -ENOMEM, "loading root certificates: out of memory");
  }
  return load_roots(tls, config, e);
}

int tls_client_new(const struct tls_client_config *config, struct tls_client **ret_tls, struct err *ret_err)
{
  struct tls_client *tls = calloc(1, sizeof *tls);
  if (!tls)
    return err_set(ret_err, -ENOMEM, "loading root certificates: out of memory");
  tls->insecure = config->insecure;
  tls->fingerprint_count = config->fingerprint_count;
  int rc = client_load(tls, config, ret_err);
  if (rc < 0) {
    tls_client_free(tls);
    return rc;
  }
  *ret_tls = tls;
  return 0;
}

gnutls_certificate_credentials_t tls_client_credentials(struct tls_client *tls)
{
  return tls->credentials;
}

static int verify_pin(const struct tls_client *tls, gnutls_session_t session, struct err *e)
{
  unsigned n = 0;
  const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
  char got[HEX_SHA256 + 1];
  if (!chain || n == 0 || fingerprint_of(&chain[0], got) < 0)
    return err_set(e, -EACCES, "the server sent no certificate");
  for (size_t i = 0; i < tls->fingerprint_count; i++) {
    if (strcasecmp(tls->fingerprints[i], got) == 0)
      return 0;
  }
  return err_set(e, -EACCES, "the server's certificate has another fingerprint: %s", got);
}

int tls_client_verify(struct tls_client *tls, gnutls_session_t session, const char *host, struct err *ret_err)
{
  if (tls->fingerprint_count > 0)
    return verify_pin(tls, session, ret_err);
  if (tls->insecure)
    return 0;
  unsigned status = 0;
  int rc = gnutls_certificate_verify_peers3(session, host, &status);
  if (rc < 0)
    return err_set(ret_err, -EACCES, "the server's certificate could not be checked: %s", gnutls_strerror(rc));
  if (status == 0)
    return 0;
  gnutls_datum_t text;
  if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
    return err_set(ret_err, -EACCES, "the server's certificate is not trusted");
  rc = err_set(ret_err, -EACCES, "%s: %s", host, (const char *)text.data);
  gnutls_free(text.data);
  return rc;
}

void tls_client_free(struct tls_client *tls)
{
  if (!tls)
    return;
  if (tls->credentials)
    gnutls_certificate_free_credentials(tls->credentials);
  free_strings(tls->fingerprints, tls->fingerprint_count);
  free(tls);
}
