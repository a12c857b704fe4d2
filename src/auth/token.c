/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/token.h"
#include <errno.h>
#include <stdio.h>

static bool in_time(const struct token_check *check, const struct claims *c, const char **ret_why)
{
  int64_t now = (int64_t)check->wall_s, leeway = (int64_t)check->leeway_s;
  if (c->expires_given && (c->expires < 0 || c->expires <= now - leeway))
    *ret_why = "the token has expired";
  else if (c->not_before_given && c->not_before > now + leeway)
    *ret_why = "the token is not valid yet";
  else
    return true;
  return false;
}

/* The claims of a token that one of the keys has made. */
static int believe(const struct token_check *check, struct slice text, struct token *ret, const char **ret_why)
{
  struct jwt jwt;
  int rc = jwt_open(text, &jwt, ret_why);
  if (rc < 0)
    return rc;
  const struct jwk *key = keys_find(check->keys, jwt.kid, check->now, ret_why);
  rc = key && jwt_check(&jwt, key, ret_why) ? claims_parse(buf_slice(&jwt.claims), &ret->claims, ret_why) : -EPERM;
  if (rc == 0 && jwk_scope(key) && !claims_within(&ret->claims, jwk_scope(key))) {
    *ret_why = "the token grants more than its key may";
    claims_destroy(&ret->claims);
    rc = -EPERM;
  }
  if (rc == 0)
    snprintf(ret->subject, sizeof ret->subject, "%s%s%s%s%s", *jwt.kid ? "kid=" : "", jwt.kid,
             *jwt.kid && *ret->claims.subject ? " " : "", *ret->claims.subject ? "sub=" : "", ret->claims.subject);
  jwt_destroy(&jwt);
  return rc;
}

static bool fill(const struct token_check *check, const struct token *t, struct grant *g, const char **ret_why)
{
  if (!in_time(check, &t->claims, ret_why))
    return false;
  if (!claims_grant(&t->claims, g))
    *ret_why = "the token has too many paths";
  else if (t->claims.publish_count + t->claims.subscribe_count == 0)
    *ret_why = "the token grants nothing";
  else if (grant_is_empty(g))
    *ret_why = "the token is for other paths";
  else
    return true;
  return false;
}

int token_grant(const struct token_check *check, struct slice text, struct token *ret_token, struct grant *g,
                const char **ret_why)
{
  struct token t = {0};
  int rc = believe(check, text, &t, ret_why);
  if (rc < 0)
    return rc == -ENOMEM ? rc : -EPERM;
  *ret_token = t;
  if (fill(check, ret_token, g, ret_why)) {
    g->source = "jwt";
    g->subject = ret_token->subject;
    if (t.claims.expires_given)
      g->expires = (uint64_t)t.claims.expires + check->leeway_s;
    return 0;
  }
  token_destroy(ret_token);
  return -EPERM;
}

void token_destroy(struct token *t)
{
  claims_destroy(&t->claims);
  *t = (struct token){0};
}
