/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/scope.h"
#include <errno.h>
#include <stdlib.h>

static int copy(struct slice in, struct slice *ret)
{
  uint8_t *p = malloc(in.n + 1u);
  if (!p)
    return -ENOMEM;
  memcpy(p, in.p, in.n);
  p[in.n] = '\0';
  *ret = slice_of(p, in.n);
  return 0;
}

static int copy_path(struct slice in, struct slice *ret)
{
  struct path p;
  int rc = path_parse(&p, in);
  return rc < 0 ? rc : copy(path_slice(&p), ret);
}

static int copy_patterns(const struct slice *in, size_t n, struct slice **ret, size_t *ret_n)
{
  if (n > SCOPE_PATTERNS_MAX)
    return -E2BIG;
  *ret = calloc(n ? n : 1, sizeof **ret);
  if (!*ret)
    return -ENOMEM;
  for (size_t i = 0; i < n; i++) {
    struct pattern p;
    int rc = pattern_parse(&p, in[i]);
    if (rc == 0)
      rc = copy(pattern_slice(&p), &(*ret)[i]);
    if (rc < 0)
      return rc;
    *ret_n = i + 1;
  }
  return 0;
}

int scope_init(struct scope *s, struct slice root, const struct slice *publish, size_t publish_count,
               const struct slice *subscribe, size_t subscribe_count)
{
  *s = (struct scope){0};
  int rc = copy_path(root, &s->root);
  if (rc == 0)
    rc = copy_patterns(publish, publish_count, &s->publish, &s->publish_count);
  if (rc == 0)
    rc = copy_patterns(subscribe, subscribe_count, &s->subscribe, &s->subscribe_count);
  if (rc < 0)
    scope_destroy(s);
  return rc;
}

static void free_patterns(struct slice *v, size_t n)
{
  for (size_t i = 0; i < n; i++)
    free((void *)(uintptr_t)v[i].p);
  free(v);
}

void scope_destroy(struct scope *s)
{
  free((void *)(uintptr_t)s->root.p);
  free_patterns(s->publish, s->publish_count);
  free_patterns(s->subscribe, s->subscribe_count);
  *s = (struct scope){0};
}

int scope_absolute(const struct scope *s, struct slice relative, struct path *ret_path)
{
  return path_join(ret_path, s->root, relative);
}

bool scope_relative(const struct scope *s, struct slice absolute, struct slice *ret_relative)
{
  return path_under(absolute, s->root, ret_relative);
}

static bool match_any(const struct slice *patterns, size_t n, struct slice path)
{
  for (size_t i = 0; i < n; i++) {
    if (pattern_match(patterns[i], path))
      return true;
  }
  return false;
}

bool scope_may_publish(const struct scope *s, struct slice relative)
{
  return match_any(s->publish, s->publish_count, relative);
}

bool scope_may_subscribe(const struct scope *s, struct slice relative)
{
  return match_any(s->subscribe, s->subscribe_count, relative);
}
