/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A key for signing or verifying tokens (RFC 7517, 7518, 8037), from a key file: one JWK, as JSON or as base64url of it.
 * Keys come from the operator alone, never from a token or over the network: members that would fetch or carry
 * certificates (x5u, x5c, jku) are refused. The key's own `alg` says what it is good for. */
#pragma once
#include "auth/claims.h"
#include "base/buf.h"
#include "base/err.h"

#define JWK_BYTES_MAX (64u << 10) /* of a key file */
#define JWK_KID_MAX 128
#define JWK_SECRET_MIN 32 /* bytes of an HMAC secret */
#define JWK_RSA_MIN 2048  /* bits of a modulus */
#define JWK_RSA_MAX 8192  /* what a larger one costs is more than a token is worth */
#define JWK_RSA_EXPONENT_BYTES 8

enum jwk_alg {
  JWK_HS256,
  JWK_HS384,
  JWK_HS512,
  JWK_RS256,
  JWK_RS384,
  JWK_RS512,
  JWK_PS256,
  JWK_PS384,
  JWK_PS512,
  JWK_ES256,
  JWK_ES384,
  JWK_EDDSA,
  JWK_ALGS
};

enum jwk_op { JWK_SIGN = 1, JWK_VERIFY = 2 };

const char *jwk_alg_name(enum jwk_alg alg);
/* By name, exactly; false when there is no such. */
bool jwk_alg_find(struct slice name, enum jwk_alg *ret_alg);
/* Whether signing and verifying take the same secret. */
bool jwk_alg_is_symmetric(enum jwk_alg alg);

struct jwk;

/* From a key file's content. 0; -EINVAL and a text that says what is wrong with it (never any of the key), -ENOMEM. */
int jwk_parse(struct slice text, struct jwk **ret_key, struct err *ret_err);
void jwk_free(struct jwk *key); /* wipes secrets */

/* 1 to JWK_KID_MAX letters, digits, '-', '_': what may name a key, and a file. */
bool jwk_kid_ok(struct slice kid);

enum jwk_alg jwk_alg(const struct jwk *key);
const char *jwk_kid(const struct jwk *key); /* "" when it has none */
/* Whether key_ops, and the material that is there, allow it. */
bool jwk_can(const struct jwk *key, enum jwk_op op);
/* What tokens of this key may grant at most; NULL: anything. */
const struct claims *jwk_scope(const struct jwk *key);

/* Whether `signature` is the key's over `message`. False also for a key that may not verify. */
bool jwk_verify(const struct jwk *key, struct slice message, struct slice signature);

/* Appends the signature. 0; -EPERM for a key that may not sign, -EIO when the library fails, -ENOMEM. */
int jwk_sign(const struct jwk *key, struct slice message, struct buf *out);

/* -- new keys, as JSON -- */

struct jwk_new {
  enum jwk_alg alg;
  const char *kid;   /* NULL = none */
  const char *scope; /* JSON of claims.h; NULL = none */
};

/* Appends the private key, and for an asymmetric one to `public_key` (may be NULL) what verifies. 0, -EIO, -ENOMEM. */
int jwk_generate(const struct jwk_new *wanted, struct buf *private_key, struct buf *public_key);
