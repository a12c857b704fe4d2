/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_check.h"
#include <errno.h>

const struct pp_verdict_row *pp_verdict_row(enum pp_verdict v)
{
  static const struct pp_verdict_row rows[PP_VERDICTS] = {
      [PP_OK] = {"ok", "", 0, 0},
      [PP_MALFORMED] = {"malformed", "the token is malformed", 0x0106, 401},
      [PP_OTHER_TYPE] = {"type", "the token is of another type than 2", 0x0106, 401},
      [PP_NO_KEY] = {"key", "the token's key is not known", 0x0105, 401},
      [PP_NO_CHALLENGE] = {"challenge", "the token is for another challenge: another path, issuer or relay", 0x0104,
                           401},
      [PP_EXPIRED] = {"expired", "the token's challenge has expired", 0x0102, 401},
      [PP_OTHER_SCOPE] = {"scope", "the token may not be used for this", 0x0104, 401},
      [PP_REPLAYED] = {"replay", "the token has been used", 0x0103, 401},
      [PP_BUSY] = {"busy", "too many tokens from this address", 0, 429},
      [PP_BAD_SIGNATURE] = {"signature", "the token's signature is wrong", 0x0101, 401},
      [PP_STORE_FULL] = {"full", "no room for more used tokens (privacypass.spent_max)", 0, 503},
      [PP_STORE_BROKEN] = {"store", "the file of used tokens cannot be written", 0, 503},
  };
  return &rows[v];
}

/* The operation that is both wanted and covered. */
static bool find_op(const struct pp_check *c, const void *issuer, const struct pp_scope *scope, enum pp_op *ret_op)
{
  for (enum pp_op op = 0; op < PP_OPS; op++) {
    if (c->wanted >> op & 1 && pp_scope_covers(scope, op, c->namespace, c->track) && c->ops->may(c->ctx, issuer, op)) {
      *ret_op = op;
      return true;
    }
  }
  return false;
}

static enum pp_verdict spend(const struct pp_check *c, const struct pp_token *t, uint64_t expires_s)
{
  switch (pp_spent_add(c->spent, t->input, expires_s, c->wall_s)) {
  case 0:
    return PP_OK;
  case -EEXIST: /* since it was looked for */
    return PP_REPLAYED;
  case -ENOSPC:
    return PP_STORE_FULL;
  default:
    return PP_STORE_BROKEN;
  }
}

enum pp_verdict pp_check(const struct pp_check *c, struct slice bytes, enum pp_op *ret_op)
{
  struct pp_token t;
  struct pp_known known;
  const void *issuer = NULL;
  enum pp_op op;
  int rc = pp_token_decode(bytes, &t);
  if (rc < 0)
    return rc == -EPROTONOSUPPORT ? PP_OTHER_TYPE : PP_MALFORMED;
  const struct pp_key *key = c->ops->key(c->ctx, t.key_id.p, &issuer);
  if (!key)
    return PP_NO_KEY;
  enum pp_verdict v = c->ops->challenge(c->ctx, issuer, t.digest.p, &known);
  if (v != PP_OK)
    return v;
  if (!find_op(c, issuer, &known.scope, &op))
    return PP_OTHER_SCOPE;
  if (pp_spent_has(c->spent, t.input))
    return PP_REPLAYED;
  if (!c->ops->budget(c->ctx))
    return PP_BUSY;
  if (!pp_key_verify(key, t.input, t.signature))
    return PP_BAD_SIGNATURE;
  v = spend(c, &t, known.expires_s);
  if (v == PP_OK)
    *ret_op = op;
  return v;
}
