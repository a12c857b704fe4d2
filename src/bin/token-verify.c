/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/clock.h"
#include "token.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int check_times(const struct claims *c)
{
  struct clock clock = clock_system();
  int64_t now = (int64_t)(clock_wall_us(&clock) / 1000000);
  if (c->expires_given && c->expires <= now)
    return token_error("the token has expired");
  if (c->not_before_given && c->not_before > now)
    return token_error("the token is not valid yet");
  return TOKEN_OK;
}

static int judge(const struct jwt *t, const struct jwk *key)
{
  struct claims c;
  const char *why = "";
  if (!jwt_check(t, key, &why) || claims_parse(buf_slice(&t->claims), &c, &why) < 0)
    return token_error("%s", why);
  int rc = check_times(&c);
  if (rc == TOKEN_OK && jwk_scope(key) && !claims_within(&c, jwk_scope(key)))
    rc = token_error("the token grants more than its key may");
  if (rc == TOKEN_OK && (printf("%.*s\n", (int)t->claims.n, (const char *)t->claims.p) < 0 || fflush(stdout) != 0))
    rc = token_error("stdout: %s", strerror(errno));
  claims_destroy(&c);
  return rc;
}

static int verify(const struct token_options *o, const struct jwk *key)
{
  struct buf text = {0};
  struct jwt t;
  const char *why = "";
  int rc = token_slurp(o->in, JWT_BYTES_MAX + 2, &text);
  while (rc == TOKEN_OK && text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]) && text.p[text.n - 1])
    text.n--;
  if (rc == TOKEN_OK && jwt_open(buf_slice(&text), &t, &why) < 0)
    rc = token_error("%s", why);
  else if (rc == TOKEN_OK) {
    rc = judge(&t, key);
    jwt_destroy(&t);
  }
  buf_destroy(&text);
  return rc;
}

static int run(const struct token_options *o)
{
  return token_with_key(o, verify);
}

const struct token_command token_verify = {
    .name = "verify",
    .usage = "verify --key PATH [--in PATH|-]",
    .summary = "Checks a token and prints its claims as JSON",
    .details = "The token comes from stdin. The key may be the public half.\n",
    .options = " key in ",
    .run = run,
};
