/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of tokens. Byte 0 chooses: a token as it came, claims, a key file, or a header and claims with a 0xff
 * between them, made into a token that is signed by a key of the target's own. */
#include "auth/claims.h"
#include "auth/jwt.h"
#include "base/base64url.h"
#include "support/fuzz.h"

/* GnuTLS (3.7) loses a number where those of an RSA key do not go together, which only an operator's own file can hold. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:libgnutls";
}

static void check_claims(struct slice json)
{
  struct claims c;
  struct grant g = {.root = slice_of("", 0)};
  const char *why = NULL;
  if (claims_parse(json, &c, &why) < 0) {
    check(why != NULL);
    return;
  }
  check(claims_within(&c, &c));
  if (claims_grant(&c, &g))
    check(g.publish_count <= GRANT_PATTERNS_MAX && g.subscribe_count <= GRANT_PATTERNS_MAX);
  claims_destroy(&c);
}

static struct jwk *own_key(void)
{
  static const char text[] =
      "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"own\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}";
  struct jwk *key = NULL;
  struct err err;
  check(jwk_parse(slice_str(text), &key, &err) == 0);
  return key;
}

/* No token that the key has not made is its. */
static void check_token(struct slice text, const struct jwk *key, bool made)
{
  struct jwt t;
  const char *why = NULL;
  if (jwt_open(text, &t, &why) < 0) {
    check(why != NULL);
    return;
  }
  check(strlen(t.kid) <= JWK_KID_MAX);
  check(!jwt_check(&t, key, &why) || made);
  check_claims(buf_slice(&t.claims));
  jwt_destroy(&t);
}

static void fuzz_token(struct slice in)
{
  struct jwk *key = own_key();
  if (key)
    check_token(in, key, false);
  jwk_free(key);
}

static void fuzz_key(struct slice in)
{
  struct jwk *key;
  struct err err = {""};
  struct buf token = {0};
  if (jwk_parse(in, &key, &err) < 0) {
    check(err.text[0] != '\0');
    return;
  }
  if (jwk_can(key, JWK_SIGN) && jwt_sign(key, slice_str("{}"), &token) == 0)
    check_token(buf_slice(&token), key, true);
  buf_destroy(&token);
  jwk_free(key);
}

static void fuzz_made(struct slice in)
{
  const uint8_t *cut = in.n > 0 ? memchr(in.p, 0xff, in.n) : NULL;
  size_t n = cut ? (size_t)(cut - in.p) : in.n;
  struct jwk *key = own_key();
  struct buf token = {0}, signature = {0};
  base64url_encode(&token, slice_of(in.p, n));
  buf_u8(&token, '.');
  base64url_encode(&token, cut ? slice_from(in, n + 1) : slice_of(NULL, 0));
  int rc = key ? jwk_sign(key, buf_slice(&token), &signature) : -1;
  check(rc == 0);
  buf_u8(&token, '.');
  base64url_encode(&token, buf_slice(&signature));
  if (rc == 0 && !token.failed)
    check_token(buf_slice(&token), key, true);
  buf_destroy(&token);
  buf_destroy(&signature);
  jwk_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static void (*const parts[])(struct slice) = {fuzz_token, check_claims, fuzz_key, fuzz_made};
  if (size > 0)
    parts[data[0] % 4](slice_of(data + 1, size - 1));
  return 0;
}
