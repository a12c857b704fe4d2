/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/scope.h"
#include <errno.h>
#include <stdlib.h>

static int copy_path(struct slice in, struct slice *ret)
{
  struct path p;
  int rc = path_parse(&p, in);
  if (rc < 0)
    return rc;
  uint8_t *copy = malloc(p.n + 1u);
  if (!copy)
    return -ENOMEM;
  memcpy(copy, p.s, p.n + 1u);
  *ret = slice_of(copy, p.n);
  return 0;
}

static int copy_prefixes(const struct slice *in, size_t n, struct slice **ret, size_t *ret_n)
{
  if (n > SCOPE_PREFIXES_MAX)
    return -E2BIG;
  *ret = calloc(n ? n : 1, sizeof **ret);
  if (!*ret)
    return -ENOMEM;
  for (size_t i = 0; i < n; i++) {
    int rc = copy_path(in[i], &(*ret)[i]);
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
    rc = copy_prefixes(publish, publish_count, &s->publish, &s->publish_count);
  if (rc == 0)
    rc = copy_prefixes(subscribe, subscribe_count, &s->subscribe, &s->subscribe_count);
  if (rc < 0)
    scope_destroy(s);
  return rc;
}

static void free_prefixes(struct slice *v, size_t n)
{
  for (size_t i = 0; i < n; i++)
    free((void *)(uintptr_t)v[i].p);
  free(v);
}

void scope_destroy(struct scope *s)
{
  free((void *)(uintptr_t)s->root.p);
  free_prefixes(s->publish, s->publish_count);
  free_prefixes(s->subscribe, s->subscribe_count);
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

static bool under_any(const struct slice *prefixes, size_t n, struct slice path)
{
  for (size_t i = 0; i < n; i++) {
    if (path_under(path, prefixes[i], NULL))
      return true;
  }
  return false;
}

bool scope_may_publish(const struct scope *s, struct slice relative)
{
  return under_any(s->publish, s->publish_count, relative);
}

bool scope_may_subscribe(const struct scope *s, struct slice relative)
{
  return under_any(s->subscribe, s->subscribe_count, relative);
}
