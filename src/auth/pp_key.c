/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_key.h"
#include "auth/jwk_alg.h"
#include "auth/pp_header.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>

#define BITS 2048
#define SALT 48

struct pp_key {
  gnutls_pubkey_t public_key;
  uint8_t id[PP_KEY_ID_BYTES];
  struct buf spki;
};

void pp_key_free(struct pp_key *key)
{
  if (!key)
    return;
  if (key->public_key)
    gnutls_pubkey_deinit(key->public_key);
  buf_destroy(&key->spki);
  free(key);
}

const uint8_t *pp_key_id(const struct pp_key *key)
{
  return key->id;
}

struct slice pp_key_spki(const struct pp_key *key)
{
  return buf_slice(&key->spki);
}

bool pp_key_verify(const struct pp_key *key, struct slice input, struct slice signature)
{
  gnutls_datum_t data = datum_of(input), made = datum_of(signature);
  return signature.n == PP_SIGNATURE_BYTES &&
         gnutls_pubkey_verify_data2(key->public_key, GNUTLS_SIGN_RSA_PSS_SHA384, 0, &data, &made) >= 0;
}

/* What GnuTLS imports is more than may be used. */
static int check_parameters(gnutls_pubkey_t k, struct err *ret_err)
{
  unsigned bits = 0, salt = 0;
  gnutls_digest_algorithm_t hash = GNUTLS_DIG_UNKNOWN;
  gnutls_x509_spki_t spki;
  if (gnutls_pubkey_get_pk_algorithm(k, &bits) != GNUTLS_PK_RSA_PSS)
    return err_set(ret_err, -EINVAL, "it is not an RSASSA-PSS key");
  if (bits != BITS)
    return err_set(ret_err, -EINVAL, "it has %u bits, not %d", bits, BITS);
  if (gnutls_x509_spki_init(&spki) < 0)
    return err_set(ret_err, -ENOMEM, "out of memory");
  int rc = gnutls_pubkey_get_spki(k, spki, 0);
  if (rc >= 0)
    rc = gnutls_x509_spki_get_rsa_pss_params(spki, &hash, &salt);
  gnutls_x509_spki_deinit(spki);
  if (rc < 0)
    return err_set(ret_err, -EINVAL, "it names no hash and salt");
  if (hash != GNUTLS_DIG_SHA384)
    return err_set(ret_err, -EINVAL, "its hash is %s, not SHA384", gnutls_digest_get_name(hash));
  if (salt != SALT)
    return err_set(ret_err, -EINVAL, "its salt has %u bytes, not %d", salt, SALT);
  return 0;
}

static int import(struct pp_key *key, struct slice spki, struct err *ret_err)
{
  gnutls_datum_t der = datum_of(spki);
  if (gnutls_pubkey_init(&key->public_key) < 0) {
    key->public_key = NULL;
    return err_set(ret_err, -ENOMEM, "out of memory");
  }
  int rc = gnutls_pubkey_import(key->public_key, &der, GNUTLS_X509_FMT_DER);
  if (rc < 0)
    return err_set(ret_err, -EINVAL, "it is not a public key in DER: %s", gnutls_strerror(rc));
  rc = check_parameters(key->public_key, ret_err);
  if (rc < 0)
    return rc;
  buf_bytes(&key->spki, spki);
  if (key->spki.failed || gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.p, spki.n, key->id) < 0)
    return err_set(ret_err, -ENOMEM, "out of memory");
  return 0;
}

int pp_key_new(struct slice spki, struct pp_key **ret_key, struct err *ret_err)
{
  if (spki.n == 0)
    return err_set(ret_err, -EINVAL, "it is empty");
  struct pp_key *key = calloc(1, sizeof *key);
  if (!key)
    return err_set(ret_err, -ENOMEM, "out of memory");
  int rc = import(key, spki, ret_err);
  if (rc < 0)
    pp_key_free(key);
  else
    *ret_key = key;
  return rc;
}

/* -- files -- */

/* An ordinary RSA key says nothing of hash and salt; issuers publish it with those of the RFC. */
static int make_pss(gnutls_pubkey_t k)
{
  gnutls_x509_spki_t spki;
  if (gnutls_pubkey_get_pk_algorithm(k, NULL) != GNUTLS_PK_RSA)
    return 0;
  int rc = gnutls_x509_spki_init(&spki);
  if (rc < 0)
    return rc;
  gnutls_x509_spki_set_rsa_pss_params(spki, GNUTLS_DIG_SHA384, SALT);
  rc = gnutls_pubkey_set_spki(k, spki, 0);
  gnutls_x509_spki_deinit(spki);
  return rc;
}

static int convert_plain(const gnutls_datum_t *der, struct pp_key **ret_key, struct err *ret_err)
{
  gnutls_pubkey_t k;
  gnutls_datum_t out = {0};
  if (gnutls_pubkey_init(&k) < 0)
    return err_set(ret_err, -ENOMEM, "out of memory");
  int rc = gnutls_pubkey_import(k, der, GNUTLS_X509_FMT_DER);
  bool plain = rc >= 0 && gnutls_pubkey_get_pk_algorithm(k, NULL) == GNUTLS_PK_RSA;
  if (plain)
    rc = make_pss(k);
  if (plain && rc >= 0)
    rc = gnutls_pubkey_export2(k, GNUTLS_X509_FMT_DER, &out);
  gnutls_pubkey_deinit(k);
  if (rc < 0)
    return err_set(ret_err, -EINVAL, "it is not a usable public key: %s", gnutls_strerror(rc));
  rc = pp_key_new(plain ? slice_of(out.data, out.size) : slice_of(der->data, der->size), ret_key, ret_err);
  gnutls_free(out.data);
  return rc;
}

static int parse_pem(struct slice text, struct pp_key **ret_key, struct err *ret_err)
{
  gnutls_datum_t pem = datum_of(text), der;
  int rc = gnutls_pem_base64_decode2("PUBLIC KEY", &pem, &der);
  if (rc < 0)
    return err_set(ret_err, -EINVAL, "it holds no PEM PUBLIC KEY: %s", gnutls_strerror(rc));
  rc = convert_plain(&der, ret_key, ret_err);
  gnutls_free(der.data);
  return rc;
}

static bool is_blank(uint8_t c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice s)
{
  while (s.n > 0 && is_blank(s.p[s.n - 1]))
    s.n--;
  while (s.n > 0 && is_blank(s.p[0]))
    s = slice_from(s, 1);
  return s;
}

int pp_key_parse(struct slice text, struct pp_key **ret_key, struct err *ret_err)
{
  struct buf spki = {0};
  if (text.n > PP_KEY_TEXT_MAX)
    return err_set(ret_err, -EINVAL, "it is too large for a key");
  text = trim(text);
  if (text.n > 0 && text.p[0] == '-')
    return parse_pem(text, ret_key, ret_err);
  int rc = pp_base64_decode(&spki, text);
  if (rc == -EINVAL)
    err_set(ret_err, rc, "it is neither base64url nor PEM");
  else if (rc < 0)
    err_set(ret_err, rc, "out of memory");
  else
    rc = pp_key_new(buf_slice(&spki), ret_key, ret_err);
  buf_destroy(&spki);
  return rc;
}
