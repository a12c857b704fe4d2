/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Signed tokens: a JWT in compact form (RFC 7515, 7519): header, claims and signature, base64url, joined by dots. All that
 * is taken from the header is which key and algorithm it was made with; one that carries or points at a key, that is
 * unsigned, encrypted, or has extensions that must be understood (`crit`), is refused (RFC 8725). */
#pragma once
#include "auth/jwk.h"

#define JWT_BYTES_MAX 8192

struct jwt {
  struct slice message; /* what is signed; borrowed from the token */
  struct buf claims;    /* JSON, not to be believed before jwt_check */
  struct buf signature;
  enum jwk_alg alg;
  char kid[JWK_KID_MAX + 1]; /* "" = none */
};

/* Takes a token apart. 0; -EINVAL and *ret_why, a short text for the log; -ENOMEM. */
int jwt_open(struct slice token, struct jwt *ret_jwt, const char **ret_why);
void jwt_destroy(struct jwt *t); /* a zeroed one is fine */

/* Whether the key has made it: its algorithm, which is the key's to choose, and its signature. */
bool jwt_check(const struct jwt *t, const struct jwk *key, const char **ret_why);

/* Appends the token for a payload. 0; errors of jwk_sign. */
int jwt_sign(const struct jwk *key, struct slice claims, struct buf *out);
