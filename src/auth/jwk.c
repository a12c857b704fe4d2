/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GnuTLS does the arithmetic. Its own calls take the numbers of a JWK as they are, so there is no JOSE library here: the
 * one in Debian 12 compares HMACs with strcmp, takes keys from a token's header, and writes the coordinates of a point
 * without their leading zeros, which other implementations refuse. */
#include "auth/jwk.h"
#include "auth/jwk_alg.h"
#include "base/base64url.h"
#include <assert.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <jansson.h>
#include <stdlib.h>

struct jwk {
  const struct jwk_alg_row *row;
  enum jwk_alg alg;
  unsigned ops; /* enum jwk_op */
  char kid[JWK_KID_MAX + 1];
  struct buf secret;
  gnutls_pubkey_t public_key;
  gnutls_privkey_t private_key; /* NULL: public half */
  bool scoped;
  struct claims scope;
};

static void wipe(struct buf *b)
{
  if (b->p)
    gnutls_memset(b->p, 0, b->cap);
  buf_destroy(b);
}

void jwk_free(struct jwk *key)
{
  if (!key)
    return;
  wipe(&key->secret);
  if (key->public_key)
    gnutls_pubkey_deinit(key->public_key);
  if (key->private_key)
    gnutls_privkey_deinit(key->private_key);
  claims_destroy(&key->scope);
  free(key);
}

bool jwk_kid_ok(struct slice kid)
{
  for (size_t i = 0; i < kid.n; i++) {
    uint8_t c = kid.p[i];
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_'))
      return false;
  }
  return kid.n > 0 && kid.n <= JWK_KID_MAX;
}

enum jwk_alg jwk_alg(const struct jwk *key)
{
  return key->alg;
}

const char *jwk_kid(const struct jwk *key)
{
  return key->kid;
}

bool jwk_can(const struct jwk *key, enum jwk_op op)
{
  return (key->ops & op) != 0;
}

const struct claims *jwk_scope(const struct jwk *key)
{
  return key->scoped ? &key->scope : NULL;
}

/* -- reading -- */

static int bad(struct err *ret_err, const char *what)
{
  return err_set(ret_err, -EINVAL, "%s", what);
}

static struct slice text_of(const json_t *o, const char *name)
{
  const json_t *v = json_object_get(o, name);
  return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : slice_of("", 0);
}

/* The bytes of a member; some tools pad base64url. Absent is empty. */
static int bytes_of(const json_t *o, const char *name, struct buf *ret, struct err *ret_err)
{
  struct slice text = text_of(o, name);
  while (text.n > 0 && text.p[text.n - 1] == '=')
    text.n--;
  int rc = base64url_decode(ret, text);
  if (rc == -EINVAL || (json_object_get(o, name) && ret->n == 0))
    return err_set(ret_err, -EINVAL, "\"%s\" is not base64url", name);
  return rc;
}

enum { N, E, D, P, Q, X, Y, NUMBERS };
static const char *const number_names[NUMBERS] = {"n", "e", "d", "p", "q", "x", "y"};

static int read_secret(struct jwk *key, const json_t *o, struct err *ret_err)
{
  int rc = bytes_of(o, "k", &key->secret, ret_err);
  if (rc == 0 && key->secret.n < JWK_SECRET_MIN)
    return err_set(ret_err, -EINVAL, "\"k\" has %zu bytes, %d are needed", key->secret.n, JWK_SECRET_MIN);
  return rc;
}

static int import_private(struct jwk *key, const gnutls_datum_t *v)
{
  int rc = gnutls_privkey_init(&key->private_key);
  if (rc < 0)
    return rc;
  if (key->row->kind == JWK_RSA)
    return gnutls_privkey_import_rsa_raw(key->private_key, &v[N], &v[E], &v[D], &v[P], &v[Q], NULL, NULL, NULL);
  return gnutls_privkey_import_ecc_raw(key->private_key, key->row->curve, &v[X],
                                       key->row->kind == JWK_OKP ? NULL : &v[Y], &v[D]);
}

static int import_public(struct jwk *key, const gnutls_datum_t *v)
{
  int rc = gnutls_pubkey_init(&key->public_key);
  if (rc < 0)
    return rc;
  if (key->row->kind == JWK_RSA)
    return gnutls_pubkey_import_rsa_raw(key->public_key, &v[N], &v[E]);
  return gnutls_pubkey_import_ecc_raw(key->public_key, key->row->curve, &v[X],
                                      key->row->kind == JWK_OKP ? NULL : &v[Y]);
}

/* What must be there, by kind; a private key has D as well, and an RSA one P and Q. */
static int check_numbers(const struct jwk *key, const gnutls_datum_t *v, struct err *ret_err)
{
  static const unsigned needed[] = {[JWK_RSA] = 1u << N | 1u << E, [JWK_EC] = 1u << X | 1u << Y, [JWK_OKP] = 1u << X};
  unsigned want = needed[key->row->kind];
  if (v[D].size > 0 && key->row->kind == JWK_RSA)
    want |= 1u << P | 1u << Q;
  for (unsigned i = 0; i < NUMBERS; i++) {
    if (want >> i & 1 && v[i].size == 0)
      return err_set(ret_err, -EINVAL, "\"%s\" is missing", number_names[i]);
    if ((i == X || i == Y) && want >> i & 1 && v[i].size != key->row->size)
      return err_set(ret_err, -EINVAL, "\"%s\" has %u bytes, not %zu", number_names[i], v[i].size, key->row->size);
  }
  unsigned bits = v[N].size * 8;
  if (key->row->kind == JWK_RSA && (bits < JWK_RSA_MIN || bits > JWK_RSA_MAX))
    return err_set(ret_err, -EINVAL, "the modulus has %u bits, %d to %d are taken", bits, JWK_RSA_MIN, JWK_RSA_MAX);
  return 0;
}

/* A pair whose halves do not belong together would sign what it cannot verify. */
static bool halves_fit(struct jwk *key)
{
  struct buf signature = {0};
  unsigned ops = key->ops;
  key->ops = JWK_SIGN | JWK_VERIFY;
  bool fit =
      jwk_sign(key, slice_str("test"), &signature) == 0 && jwk_verify(key, slice_str("test"), buf_slice(&signature));
  key->ops = ops;
  buf_destroy(&signature);
  return fit;
}

static int import(struct jwk *key, const gnutls_datum_t *v, struct err *ret_err)
{
  int rc = check_numbers(key, v, ret_err);
  if (rc < 0)
    return rc;
  if (import_public(key, v) < 0 || (v[D].size > 0 && import_private(key, v) < 0))
    return bad(ret_err, "the numbers make no key");
  /* Nettle asserts that they do when it signs. */
  if (key->private_key && gnutls_privkey_verify_params(key->private_key) < 0)
    return bad(ret_err, "the numbers do not belong together");
  if (key->private_key && !halves_fit(key))
    return bad(ret_err, "the private and the public half do not belong together");
  return 0;
}

static int read_numbers(struct jwk *key, const json_t *o, struct err *ret_err)
{
  struct buf numbers[NUMBERS] = {0};
  gnutls_datum_t v[NUMBERS];
  int rc = 0;
  for (unsigned i = 0; i < NUMBERS && rc == 0; i++) {
    rc = bytes_of(o, number_names[i], &numbers[i], ret_err);
    v[i] = datum_of(buf_slice(&numbers[i]));
  }
  if (rc == 0)
    rc = import(key, v, ret_err);
  for (unsigned i = 0; i < NUMBERS; i++)
    wipe(&numbers[i]);
  return rc;
}

static int read_alg(struct jwk *key, const json_t *o, struct err *ret_err)
{
  struct slice kty = text_of(o, "kty"), crv = text_of(o, "crv");
  if (!jwk_alg_find(text_of(o, "alg"), &key->alg))
    return bad(ret_err, "\"alg\" is not one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
                        "ES384, EdDSA");
  key->row = jwk_alg_row(key->alg);
  if (!slice_eq(kty.n ? kty : slice_str("oct"), slice_str(key->row->kty)))
    return err_set(ret_err, -EINVAL, "\"kty\" of %s is \"%s\"", key->row->name, key->row->kty);
  if (*key->row->crv && !slice_eq(crv, slice_str(key->row->crv)))
    return err_set(ret_err, -EINVAL, "\"crv\" of %s is \"%s\"", key->row->name, key->row->crv);
  return 0;
}

/* Absent: whatever the material allows. */
static int read_ops(struct jwk *key, const json_t *o, struct err *ret_err)
{
  const json_t *ops = json_object_get(o, "key_ops"), *use = json_object_get(o, "use");
  key->ops = JWK_SIGN | JWK_VERIFY;
  if (use && !slice_eq(text_of(o, "use"), slice_str("sig")))
    return bad(ret_err, "\"use\" is not \"sig\"");
  if (!ops)
    return 0;
  if (!json_is_array(ops))
    return bad(ret_err, "\"key_ops\" is not a list");
  key->ops = 0;
  for (size_t i = 0; i < json_array_size(ops); i++) {
    const char *op = json_string_value(json_array_get(ops, i));
    if (op && strcmp(op, "sign") == 0)
      key->ops |= JWK_SIGN;
    if (op && strcmp(op, "verify") == 0)
      key->ops |= JWK_VERIFY;
  }
  return key->ops ? 0 : bad(ret_err, "\"key_ops\" has neither \"sign\" nor \"verify\"");
}

static int read_kid(struct jwk *key, const json_t *o, struct err *ret_err)
{
  struct slice kid = text_of(o, "kid");
  if (!json_object_get(o, "kid") || json_is_null(json_object_get(o, "kid")))
    return 0;
  if (!jwk_kid_ok(kid))
    return err_set(ret_err, -EINVAL, "\"kid\" is not 1 to %d letters, digits, '-', '_'", JWK_KID_MAX);
  memcpy(key->kid, kid.p, kid.n);
  return 0;
}

static int read_scope(struct jwk *key, const json_t *o, struct err *ret_err)
{
  const json_t *scope = json_object_get(o, "scope");
  if (!scope || json_is_null(scope))
    return 0;
  char *text = json_dumps(scope, JSON_COMPACT | JSON_ENCODE_ANY);
  const char *why = "";
  int rc = text ? claims_parse(slice_str(text), &key->scope, &why) : -ENOMEM;
  free(text);
  key->scoped = rc == 0;
  return rc == -EINVAL ? err_set(ret_err, rc, "\"scope\": %s", why) : rc;
}

static int read_key(struct jwk *key, const json_t *o, struct err *ret_err)
{
  static const char *const foreign[] = {"x5u", "x5c", "jku", "oth"};
  if (!json_is_object(o))
    return bad(ret_err, "it is not a JSON object");
  if (json_object_get(o, "keys"))
    return bad(ret_err, "it is a set of keys; one key is meant");
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
    if (json_object_get(o, foreign[i]))
      return err_set(ret_err, -EINVAL, "\"%s\" is not supported", foreign[i]);
  }
  int rc = read_alg(key, o, ret_err);
  if (rc == 0)
    rc = read_ops(key, o, ret_err);
  if (rc == 0)
    rc = read_kid(key, o, ret_err);
  if (rc == 0)
    rc = read_scope(key, o, ret_err);
  if (rc == 0)
    rc = key->row->kind == JWK_OCT ? read_secret(key, o, ret_err) : read_numbers(key, o, ret_err);
  if (rc == 0 && key->row->kind != JWK_OCT && !key->private_key)
    key->ops &= ~(unsigned)JWK_SIGN;
  return rc == 0 && !key->ops ? bad(ret_err, "a public key that may only sign is good for nothing") : rc;
}

static struct slice trim(struct slice s)
{
  while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1])
    s.n--;
  while (s.n > 0 && strchr(" \t\r\n", s.p[0]) && s.p[0])
    s = slice_from(s, 1);
  return s;
}

/* The JSON of a key file; NULL when it is none. */
static json_t *load(struct slice text)
{
  struct buf plain = {0};
  json_t *o = NULL;
  text = trim(text);
  if (text.n > 0 && text.p[0] != '{') {
    while (text.p[text.n - 1] == '=' && text.n > 1)
      text.n--;
    if (base64url_decode(&plain, text) == 0)
      text = buf_slice(&plain);
  }
  if (text.n > 0)
    o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
  wipe(&plain);
  return o;
}

int jwk_parse(struct slice text, struct jwk **ret_key, struct err *ret_err)
{
  if (text.n > JWK_BYTES_MAX)
    return bad(ret_err, "it is too large for a key");
  json_t *o = load(text);
  if (!o)
    return bad(ret_err, "it is neither a JWK nor base64url of one");
  struct jwk *key = calloc(1, sizeof *key);
  int rc = key ? read_key(key, o, ret_err) : -ENOMEM;
  json_decref(o);
  if (rc == -ENOMEM)
    err_set(ret_err, rc, "out of memory");
  if (rc < 0)
    jwk_free(key);
  else
    *ret_key = key;
  return rc;
}

/* -- signatures -- */

/* ECDSA in JOSE is both numbers side by side, in GnuTLS DER. */
static bool verify_ecdsa(const struct jwk *key, const gnutls_datum_t *message, struct slice signature)
{
  size_t half = key->row->size;
  if (signature.n != 2 * half)
    return false;
  gnutls_datum_t r = datum_of(slice_of(signature.p, half)), s = datum_of(slice_from(signature, half)), der;
  if (gnutls_encode_rs_value(&der, &r, &s) < 0)
    return false;
  bool ok = gnutls_pubkey_verify_data2(key->public_key, key->row->sign, 0, message, &der) >= 0;
  gnutls_free(der.data);
  return ok;
}

static bool verify_hmac(const struct jwk *key, struct slice message, struct slice signature)
{
  uint8_t mac[64];
  assert(key->row->size <= sizeof mac);
  return signature.n == key->row->size &&
         gnutls_hmac_fast(key->row->mac, key->secret.p, key->secret.n, message.p, message.n, mac) == 0 &&
         gnutls_memcmp(mac, signature.p, signature.n) == 0;
}

bool jwk_verify(const struct jwk *key, struct slice message, struct slice signature)
{
  if (!jwk_can(key, JWK_VERIFY))
    return false;
  if (key->row->kind == JWK_OCT)
    return verify_hmac(key, message, signature);
  gnutls_datum_t m = datum_of(message), s = datum_of(signature);
  if (key->row->kind == JWK_EC)
    return verify_ecdsa(key, &m, signature);
  return gnutls_pubkey_verify_data2(key->public_key, key->row->sign, 0, &m, &s) >= 0;
}

/* A number of exactly n bytes. */
static void put_number(struct buf *out, const gnutls_datum_t *v, size_t n)
{
  size_t skip = 0;
  while (v->size - skip > n)
    skip++; /* leading zeros */
  for (size_t i = v->size - skip; i < n; i++)
    buf_u8(out, 0);
  buf_bytes(out, slice_of(v->data + skip, v->size - skip));
}

static int put_signature(const struct jwk *key, const gnutls_datum_t *made, struct buf *out)
{
  gnutls_datum_t r, s;
  if (key->row->kind != JWK_EC) {
    buf_bytes(out, slice_of(made->data, made->size));
    return 0;
  }
  if (gnutls_decode_rs_value(made, &r, &s) < 0)
    return -EIO;
  put_number(out, &r, key->row->size);
  put_number(out, &s, key->row->size);
  gnutls_free(r.data);
  gnutls_free(s.data);
  return 0;
}

static int sign_hmac(const struct jwk *key, struct slice message, struct buf *out)
{
  uint8_t *mac = buf_reserve(out, key->row->size);
  if (!mac)
    return -ENOMEM;
  if (gnutls_hmac_fast(key->row->mac, key->secret.p, key->secret.n, message.p, message.n, mac) < 0)
    return -EIO;
  out->n += key->row->size;
  return 0;
}

int jwk_sign(const struct jwk *key, struct slice message, struct buf *out)
{
  if (!jwk_can(key, JWK_SIGN))
    return -EPERM;
  if (key->row->kind == JWK_OCT)
    return sign_hmac(key, message, out);
  gnutls_datum_t m = datum_of(message), made;
  if (gnutls_privkey_sign_data2(key->private_key, key->row->sign, 0, &m, &made) < 0)
    return -EIO;
  int rc = put_signature(key, &made, out);
  gnutls_free(made.data);
  return rc < 0 ? rc : out->failed ? -ENOMEM : 0;
}
