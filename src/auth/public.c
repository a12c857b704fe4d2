/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/public.h"
#include "base/path.h"
#include <errno.h>
#include <stdlib.h>

/* A rule without a star is a prefix, as older releases had them. */
static int rule_parse(struct pattern *ret, struct slice text)
{
  if (text.n == 0 || !memchr(text.p, '*', text.n))
    return pattern_below(ret, text);
  return pattern_parse(ret, text);
}

static int add(struct public_rules *r, int which, const char *text, struct err *ret_err)
{
  struct pattern p;
  if (r->count[which] == GRANT_PATTERNS_MAX)
    return err_set(ret_err, -E2BIG, "auth.public: more than %d rules", GRANT_PATTERNS_MAX);
  if (rule_parse(&p, slice_str(text)) < 0)
    return err_set(
        ret_err, -EINVAL,
        "auth.public: \"%.100s\" is neither a path prefix such as \"anon\" nor a pattern such as \"anon/**\" or "
        "\"rooms/*/chat\"",
        text);
  char *copy = strdup(p.s);
  if (!copy)
    return err_set(ret_err, -ENOMEM, "out of memory");
  r->patterns[which][r->count[which]++] = copy;
  return 0;
}

int public_rules_init(struct public_rules *r, const struct admission_config *config, struct err *ret_err)
{
  const char *const *lists[2] = {config->publish, config->subscribe};
  size_t counts[2] = {config->publish_count, config->subscribe_count};
  *r = (struct public_rules){0};
  for (int which = 0; which < 2; which++) {
    for (size_t i = 0; i < counts[which]; i++) {
      int rc = add(r, which, lists[which][i], ret_err);
      if (rc < 0) {
        public_rules_destroy(r);
        return rc;
      }
    }
  }
  return 0;
}

void public_rules_destroy(struct public_rules *r)
{
  for (int which = 0; which < 2; which++) {
    for (size_t i = 0; i < r->count[which]; i++)
      free(r->patterns[which][i]);
  }
  *r = (struct public_rules){0};
}

bool public_rules_grant(const struct public_rules *r, struct grant *g)
{
  for (int which = 0; which < 2; which++) {
    for (size_t i = 0; i < r->count[which]; i++) {
      if (!grant_add(g, which ? GRANT_SUBSCRIBE : GRANT_PUBLISH, slice_str(r->patterns[which][i])))
        return false;
    }
  }
  return true;
}
