/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/jwk_alg.h"

/* clang-format off */
static const struct jwk_alg_row rows[JWK_ALGS] = {
    [JWK_HS256] = {"HS256", "oct", "", JWK_OCT, 32, GNUTLS_MAC_SHA256, GNUTLS_SIGN_UNKNOWN, GNUTLS_ECC_CURVE_INVALID},
    [JWK_HS384] = {"HS384", "oct", "", JWK_OCT, 48, GNUTLS_MAC_SHA384, GNUTLS_SIGN_UNKNOWN, GNUTLS_ECC_CURVE_INVALID},
    [JWK_HS512] = {"HS512", "oct", "", JWK_OCT, 64, GNUTLS_MAC_SHA512, GNUTLS_SIGN_UNKNOWN, GNUTLS_ECC_CURVE_INVALID},
    [JWK_RS256] = {"RS256", "RSA", "", JWK_RSA, 0, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_RSA_SHA256, GNUTLS_ECC_CURVE_INVALID},
    [JWK_RS384] = {"RS384", "RSA", "", JWK_RSA, 0, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_RSA_SHA384, GNUTLS_ECC_CURVE_INVALID},
    [JWK_RS512] = {"RS512", "RSA", "", JWK_RSA, 0, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_RSA_SHA512, GNUTLS_ECC_CURVE_INVALID},
    [JWK_PS256] = {"PS256", "RSA", "", JWK_RSA, 0, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_ECC_CURVE_INVALID},
    [JWK_PS384] = {"PS384", "RSA", "", JWK_RSA, 0, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_ECC_CURVE_INVALID},
    [JWK_PS512] = {"PS512", "RSA", "", JWK_RSA, 0, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, GNUTLS_ECC_CURVE_INVALID},
    [JWK_ES256] = {"ES256", "EC", "P-256", JWK_EC, 32, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_ECC_CURVE_SECP256R1},
    [JWK_ES384] = {"ES384", "EC", "P-384", JWK_EC, 48, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_ECC_CURVE_SECP384R1},
    [JWK_EDDSA] = {"EdDSA", "OKP", "Ed25519", JWK_OKP, 32, GNUTLS_MAC_UNKNOWN, GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_ECC_CURVE_ED25519},
};
/* clang-format on */

const struct jwk_alg_row *jwk_alg_row(enum jwk_alg alg)
{
  return &rows[alg];
}

const char *jwk_alg_name(enum jwk_alg alg)
{
  return rows[alg].name;
}

bool jwk_alg_find(struct slice name, enum jwk_alg *ret_alg)
{
  for (enum jwk_alg i = 0; i < JWK_ALGS; i++) {
    if (slice_eq(name, slice_str(rows[i].name))) {
      *ret_alg = i;
      return true;
    }
  }
  return false;
}

bool jwk_alg_is_symmetric(enum jwk_alg alg)
{
  return rows[alg].kind == JWK_OCT;
}
