/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_rules.h"
#include <errno.h>
#include <stdlib.h>

static int bad(struct err *ret_err, const char *text)
{
  return err_set(
      ret_err, -EINVAL,
      "privacypass.grant: \"%.100s\" is not OPERATION:PATTERN, for example \"subscribe:**\" or \"publish:anon\", "
      "perhaps with the name of an issuer and a space in front",
      text);
}

static bool ops_of(struct slice name, unsigned *ret_ops)
{
  enum pp_op op;
  if (slice_eq(name, slice_str("*")))
    *ret_ops = PP_ALL_OPS;
  else if (pp_op_find(name, &op))
    *ret_ops = 1u << op;
  else
    return false;
  return true;
}

static int add(struct pp_rules *r, const char *text, struct err *ret_err)
{
  struct pp_rule rule = {.issuer = slice_of(text, 0)};
  struct pattern pattern;
  const char *space = strchr(text, ' '), *rest = space ? space + 1 : text, *colon = strchr(rest, ':');
  if (space)
    rule.issuer.n = (size_t)(space - text);
  if (!colon || !ops_of(slice_of(rest, (size_t)(colon - rest)), &rule.ops))
    return bad(ret_err, text);
  struct slice path = slice_str(colon + 1);
  bool star = path.n > 0 && memchr(path.p, '*', path.n);
  if ((star ? pattern_parse(&pattern, path) : pattern_below(&pattern, path)) < 0)
    return bad(ret_err, text);
  if (r->count == PP_RULES_MAX)
    return err_set(ret_err, -E2BIG, "privacypass.grant: more than %d rules", PP_RULES_MAX);
  rule.pattern = strdup(pattern.s);
  if (!rule.pattern)
    return err_set(ret_err, -ENOMEM, "out of memory");
  r->list[r->count++] = rule;
  return 0;
}

int pp_rules_init(struct pp_rules *r, const char *const *texts, size_t n, struct err *ret_err)
{
  int rc = 0;
  *r = (struct pp_rules){0};
  for (size_t i = 0; i < n && rc == 0; i++)
    rc = add(r, texts[i], ret_err);
  if (rc < 0)
    pp_rules_destroy(r);
  return rc;
}

void pp_rules_destroy(struct pp_rules *r)
{
  for (size_t i = 0; i < r->count; i++)
    free(r->list[i].pattern);
  *r = (struct pp_rules){0};
}

bool pp_rules_grant(const struct pp_rules *r, struct slice issuer, enum pp_op op, struct grant *g)
{
  enum grant_verb verb = op == PP_SUBSCRIBE || op == PP_FETCH ? GRANT_SUBSCRIBE : GRANT_PUBLISH;
  for (size_t i = 0; i < r->count; i++) {
    const struct pp_rule *rule = &r->list[i];
    if (!(rule->ops >> op & 1) || (rule->issuer.n > 0 && !slice_eq(rule->issuer, issuer)))
      continue;
    if (!grant_add(g, verb, slice_str(rule->pattern)))
      return false;
  }
  return true;
}
