/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "token.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is signed must be what a relay would take. */
static int check(struct slice json, const struct jwk *key)
{
  struct claims c;
  const char *why = "";
  int rc = TOKEN_OK;
  if (claims_parse(json, &c, &why) < 0)
    return token_error("%s", why);
  if (c.publish_count + c.subscribe_count == 0)
    rc = token_error("no publish or subscribe allowed; token is useless");
  else if (jwk_scope(key) && !claims_within(&c, jwk_scope(key)))
    rc = token_error("that is more than the key's scope allows");
  claims_destroy(&c);
  return rc;
}

static int sign(const struct token_options *o, const struct jwk *key)
{
  struct buf json = {0}, token = {0};
  struct claims_wanted w = {.root = o->root,
                            .publish = (const char *const *)o->publish.v,
                            .publish_count = o->publish.n,
                            .subscribe = (const char *const *)o->subscribe.v,
                            .subscribe_count = o->subscribe.n,
                            .cluster = o->cluster,
                            .expires_given = o->expires_given,
                            .expires = (int64_t)o->expires,
                            .issued_given = o->issued_given,
                            .issued = (int64_t)o->issued};
  claims_write(&w, &json);
  int rc = json.failed ? token_error("out of memory") : check(buf_slice(&json), key);
  if (rc == TOKEN_OK) {
    int made = jwt_sign(key, buf_slice(&json), &token);
    if (made < 0)
      rc = token_error("%s", made == -EPERM ? "the key may not sign" : "signing failed");
    else if (token.n > JWT_BYTES_MAX)
      rc = token_error("the token would be longer than the %d bytes that a relay takes", JWT_BYTES_MAX);
    else if (printf("%.*s\n", (int)token.n, (const char *)token.p) < 0 || fflush(stdout) != 0)
      rc = token_error("stdout: %s", strerror(errno));
  }
  buf_destroy(&json);
  buf_destroy(&token);
  return rc;
}

static int run(const struct token_options *o)
{
  return token_with_key(o, sign);
}

const struct token_command token_sign = {
    .name = "sign",
    .usage = "sign --key PATH|- [--root PATH] [--publish PATH]... [--subscribe PATH]... [--expires SECONDS] "
             "[--issued SECONDS] [--cluster]",
    .summary = "Makes a token and prints it",
    .details = "Paths are prefixes below the root: --publish \"\" allows all of it.\n",
    .options = " key root publish subscribe cluster expires issued ",
    .run = run,
};
