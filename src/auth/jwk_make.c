/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* New keys. Members in the order of the Rust tools: alg, key_ops, kty, what it is made of, kid, scope. */
#include "auth/jwk_alg.h"
#include "base/base64url.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <jansson.h>
#include <stdlib.h>

#define RSA_BITS 2048

static int put_text(json_t *o, const char *name, const char *text)
{
  return json_object_set_new(o, name, json_string(text)) < 0 ? -ENOMEM : 0;
}

static int put_bytes(json_t *o, const char *name, struct slice bytes)
{
  struct buf text = {0};
  base64url_encode(&text, bytes);
  int rc = text.failed || json_object_set_new(o, name, json_stringn((const char *)text.p, text.n)) < 0 ? -ENOMEM : 0;
  if (text.p)
    gnutls_memset(text.p, 0, text.n);
  buf_destroy(&text);
  return rc;
}

/* A coordinate is as long as its field, zeros in front included (RFC 7518, section 6.2.1.2). `size` 0: as it is. */
static int put_number(json_t *o, const char *name, const gnutls_datum_t *v, size_t size)
{
  uint8_t padded[64] = {0};
  struct slice s = slice_of(v->data, v->size);
  while (s.n > size && s.n > 1 && s.p[0] == 0)
    s = slice_from(s, 1);
  if (size > sizeof padded || (size > 0 && s.n > size))
    return -EIO;
  if (size > 0) {
    memcpy(padded + size - s.n, s.p, s.n);
    s = slice_of(padded, size);
  }
  int rc = put_bytes(o, name, s);
  gnutls_memset(padded, 0, sizeof padded);
  return rc;
}

static int put_secret(json_t *o, size_t size)
{
  uint8_t secret[64];
  if (size > sizeof secret || gnutls_rnd(GNUTLS_RND_KEY, secret, size) < 0)
    return -EIO;
  int rc = put_bytes(o, "k", slice_of(secret, size));
  gnutls_memset(secret, 0, sizeof secret);
  return rc;
}

static void drop(gnutls_datum_t *v, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (v[i].data)
      gnutls_memset(v[i].data, 0, v[i].size);
    gnutls_free(v[i].data);
  }
}

static int put_rsa(json_t *o, gnutls_privkey_t key)
{
  static const char *const names[] = {"n", "e", "d", "p", "q", "qi", "dp", "dq"}; /* the order of the call */
  gnutls_datum_t v[8] = {0};
  if (gnutls_privkey_export_rsa_raw2(key, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7],
                                     GNUTLS_EXPORT_FLAG_NO_LZ) < 0)
    return -EIO;
  int rc = 0;
  for (size_t i = 0; i < 8 && rc == 0; i++)
    rc = put_number(o, names[i], &v[i], 0);
  drop(v, 8);
  return rc;
}

static int put_curve(json_t *o, const struct jwk_alg_row *row, gnutls_privkey_t key)
{
  gnutls_datum_t v[3] = {0}; /* x, y, d */
  gnutls_ecc_curve_t curve;
  if (gnutls_privkey_export_ecc_raw2(key, &curve, &v[0], &v[1], &v[2], GNUTLS_EXPORT_FLAG_NO_LZ) < 0)
    return -EIO;
  int rc = put_text(o, "crv", row->crv);
  if (rc == 0)
    rc = put_number(o, "x", &v[0], row->size);
  if (rc == 0 && row->kind == JWK_EC)
    rc = put_number(o, "y", &v[1], row->size);
  if (rc == 0)
    rc = put_number(o, "d", &v[2], row->size);
  drop(v, 3);
  return rc;
}

static int put_pair(json_t *o, const struct jwk_alg_row *row)
{
  static const gnutls_pk_algorithm_t kinds[] = {
      [JWK_RSA] = GNUTLS_PK_RSA, [JWK_EC] = GNUTLS_PK_ECDSA, [JWK_OKP] = GNUTLS_PK_EDDSA_ED25519};
  unsigned bits = row->kind == JWK_RSA ? RSA_BITS : GNUTLS_CURVE_TO_BITS(row->curve);
  gnutls_privkey_t key;
  if (gnutls_privkey_init(&key) < 0)
    return -ENOMEM;
  int rc = gnutls_privkey_generate2(key, kinds[row->kind], bits, 0, NULL, 0) < 0 ? -EIO : 0;
  if (rc == 0)
    rc = row->kind == JWK_RSA ? put_rsa(o, key) : put_curve(o, row, key);
  gnutls_privkey_deinit(key);
  return rc;
}

static int put_scope(json_t *o, const char *text)
{
  return json_object_set_new(o, "scope", json_loads(text, JSON_REJECT_DUPLICATES, NULL)) < 0 ? -ENOMEM : 0;
}

static int fill(json_t *o, const struct jwk_new *wanted)
{
  const struct jwk_alg_row *row = jwk_alg_row(wanted->alg);
  int rc = put_text(o, "alg", row->name);
  if (rc == 0 && json_object_set_new(o, "key_ops", json_pack("[ss]", "sign", "verify")) < 0)
    rc = -ENOMEM;
  if (rc == 0)
    rc = put_text(o, "kty", row->kty);
  if (rc == 0)
    rc = row->kind == JWK_OCT ? put_secret(o, row->size) : put_pair(o, row);
  if (rc == 0 && wanted->kid)
    rc = put_text(o, "kid", wanted->kid);
  if (rc == 0 && wanted->scope)
    rc = put_scope(o, wanted->scope);
  return rc;
}

static int dump(const json_t *o, struct buf *out)
{
  char *text = json_dumps(o, JSON_COMPACT);
  if (!text)
    return -ENOMEM;
  buf_bytes(out, slice_str(text));
  gnutls_memset(text, 0, strlen(text));
  free(text);
  return out->failed ? -ENOMEM : 0;
}

static int dump_public(json_t *o, struct buf *out)
{
  static const char *const secrets[] = {"d", "p", "q", "qi", "dp", "dq", "k"};
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
    json_object_del(o, secrets[i]);
  if (json_object_set_new(o, "key_ops", json_pack("[s]", "verify")) < 0)
    return -ENOMEM;
  return dump(o, out);
}

int jwk_generate(const struct jwk_new *wanted, struct buf *private_key, struct buf *public_key)
{
  json_t *o = json_object();
  int rc = o ? fill(o, wanted) : -ENOMEM;
  if (rc == 0)
    rc = dump(o, private_key);
  if (rc == 0 && public_key && !jwk_alg_is_symmetric(wanted->alg))
    rc = dump_public(o, public_key);
  json_decref(o);
  return rc;
}
