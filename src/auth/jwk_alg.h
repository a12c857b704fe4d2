/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The algorithms of jwk.h, as GnuTLS has them. */
#pragma once
#include "auth/jwk.h"
#include <gnutls/crypto.h>

enum jwk_kind { JWK_OCT, JWK_RSA, JWK_EC, JWK_OKP };

struct jwk_alg_row {
  const char *name, *kty, *crv; /* crv: "" where there is none */
  enum jwk_kind kind;
  size_t size; /* of an HMAC, of a coordinate */
  gnutls_mac_algorithm_t mac;
  gnutls_sign_algorithm_t sign;
  gnutls_ecc_curve_t curve;
};
const struct jwk_alg_row *jwk_alg_row(enum jwk_alg alg);

static inline gnutls_datum_t datum_of(struct slice s)
{
  return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)s.p, .size = (unsigned)s.n};
}
