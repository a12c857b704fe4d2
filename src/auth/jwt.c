/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/jwt.h"
#include "base/base64url.h"
#include <errno.h>
#include <jansson.h>

static int no(const char **ret_why, const char *why)
{
  *ret_why = why;
  return -EINVAL;
}

static int read_header(const json_t *o, struct jwt *t, const char **ret_why)
{
  static const char *const refused[] = {"jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256", "crit", "b64", "enc", "zip"};
  if (!json_is_object(o))
    return no(ret_why, "the token's header is not a JSON object");
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    if (json_object_get(o, refused[i]))
      return no(ret_why, "the token's header has a member that is not allowed");
  }
  const json_t *alg = json_object_get(o, "alg"), *kid = json_object_get(o, "kid");
  struct slice name = slice_of(json_string_value(kid), json_string_length(kid));
  if (!json_is_string(alg) || !jwk_alg_find(slice_of(json_string_value(alg), json_string_length(alg)), &t->alg))
    return no(ret_why, "the token's algorithm is not supported");
  if (kid && !json_is_null(kid)) {
    if (!jwk_kid_ok(name))
      return no(ret_why, "the token's kid is malformed");
    memcpy(t->kid, name.p, name.n);
  }
  return 0;
}

static int open_header(struct slice text, struct jwt *t, const char **ret_why)
{
  struct buf plain = {0};
  int rc = base64url_decode(&plain, text);
  if (rc == 0) {
    json_t *o = json_loadb((const char *)plain.p, plain.n, JSON_REJECT_DUPLICATES, NULL);
    rc = o ? read_header(o, t, ret_why) : no(ret_why, "the token's header is not JSON");
    json_decref(o);
  } else if (rc == -EINVAL) {
    rc = no(ret_why, "the token is malformed");
  }
  buf_destroy(&plain);
  return rc;
}

/* Up to the next dot, which is passed; false when there is none. */
static bool part(struct slice *rest, struct slice *ret)
{
  const uint8_t *dot = rest->n ? memchr(rest->p, '.', rest->n) : NULL;
  if (!dot)
    return false;
  *ret = slice_of(rest->p, (size_t)(dot - rest->p));
  *rest = slice_from(*rest, ret->n + 1);
  return true;
}

int jwt_open(struct slice token, struct jwt *ret_jwt, const char **ret_why)
{
  struct jwt t = {0};
  struct slice rest = token, header, claims;
  if (token.n > JWT_BYTES_MAX)
    return no(ret_why, "the token is too long");
  if (!part(&rest, &header) || !part(&rest, &claims) || header.n == 0)
    return no(ret_why, "the token is malformed");
  t.message = slice_of(token.p, token.n - rest.n - 1);
  int rc = base64url_decode(&t.claims, claims);
  if (rc == 0)
    rc = base64url_decode(&t.signature, rest);
  if (rc == 0)
    rc = open_header(header, &t, ret_why);
  else if (rc == -EINVAL)
    no(ret_why, "the token is malformed");
  if (rc == -ENOMEM)
    *ret_why = "out of memory";
  if (rc < 0)
    jwt_destroy(&t);
  else
    *ret_jwt = t;
  return rc;
}

void jwt_destroy(struct jwt *t)
{
  buf_destroy(&t->claims);
  buf_destroy(&t->signature);
  *t = (struct jwt){0};
}

bool jwt_check(const struct jwt *t, const struct jwk *key, const char **ret_why)
{
  if (t->alg != jwk_alg(key))
    *ret_why = "the token's algorithm is not the key's";
  else if (!jwk_can(key, JWK_VERIFY))
    *ret_why = "the key may not verify";
  else if (!jwk_verify(key, t->message, buf_slice(&t->signature)))
    *ret_why = "the token's signature is wrong";
  else
    return true;
  return false;
}

static int put_header(const struct jwk *key, struct buf *out)
{
  const char *kid = jwk_kid(key);
  struct buf json = {0};
  buf_printf(&json, "{\"typ\":\"JWT\",\"alg\":\"%s\"%s%s%s}", jwk_alg_name(jwk_alg(key)), *kid ? ",\"kid\":\"" : "",
             kid, *kid ? "\"" : "");
  base64url_encode(out, buf_slice(&json));
  int rc = json.failed ? -ENOMEM : 0;
  buf_destroy(&json);
  return rc;
}

int jwt_sign(const struct jwk *key, struct slice claims, struct buf *out)
{
  size_t begin = out->n;
  struct buf signature = {0};
  int rc = put_header(key, out);
  buf_u8(out, '.');
  base64url_encode(out, claims);
  if (rc == 0 && out->failed)
    rc = -ENOMEM;
  if (rc == 0)
    rc = jwk_sign(key, slice_from(buf_slice(out), begin), &signature);
  buf_u8(out, '.');
  base64url_encode(out, buf_slice(&signature));
  buf_destroy(&signature);
  return rc < 0 ? rc : out->failed ? -ENOMEM : 0;
}
