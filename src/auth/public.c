/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/public.h"
#include "base/path.h"
#include <errno.h>
#include <stdlib.h>

// "p/**" and "**" are today's spelling of the prefixes "p" and "" (a line comment: no "/*" inside
// the other kind).
static size_t without_stars(const char *text)
{
  size_t n = strlen(text);
  if (n >= 2 && strcmp(text + n - 2, "**") == 0 && (n == 2 || text[n - 3] == '/'))
    n -= 2;
  return n;
}

static int add(struct public_rules *r, int which, const char *text, struct err *ret_err)
{
  struct path p;
  if (r->count[which] == GRANT_PREFIXES_MAX)
    return err_set(ret_err, -E2BIG, "auth.public: more than %d prefixes", GRANT_PREFIXES_MAX);
  size_t n = without_stars(text);
  if (memchr(text, '*', n) || path_parse(&p, slice_of(text, n)) < 0)
    return err_set(ret_err, -EINVAL, "auth.public: \"%.100s\" is not a path prefix such as \"anon\" or \"anon/**\"",
                   text);
  char *copy = strdup(p.s);
  if (!copy)
    return err_set(ret_err, -ENOMEM, "out of memory");
  r->prefixes[which][r->count[which]++] = copy;
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
      free(r->prefixes[which][i]);
  }
  *r = (struct public_rules){0};
}

static size_t overlap(const struct public_rules *r, int which, struct slice path, struct slice *out)
{
  size_t n = 0;
  for (size_t i = 0; i < r->count[which]; i++) {
    struct slice prefix = slice_str(r->prefixes[which][i]), below;
    if (path_under(path, prefix, NULL))
      out[n++] = slice_of("", 0);
    else if (path_under(prefix, path, &below))
      out[n++] = below;
  }
  return n;
}

void public_rules_grant(const struct public_rules *r, struct slice path, struct grant *ret_grant)
{
  ret_grant->publish_count = overlap(r, 0, path, ret_grant->publish);
  ret_grant->subscribe_count = overlap(r, 1, path, ret_grant->subscribe);
}
