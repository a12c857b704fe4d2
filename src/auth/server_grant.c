/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/server_grant.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static int no(const char **ret_why, int rc, const char *why)
{
  *ret_why = why;
  return rc;
}

/* NULL also for null, which the Rust tools take for absent. */
static const json_t *member(const json_t *o, const char *name)
{
  const json_t *v = json_object_get(o, name);
  return json_is_null(v) ? NULL : v;
}

static int add(const json_t *entry, char **list, size_t *count, const char **ret_why)
{
  struct pattern p;
  if (!json_is_string(entry) || pattern_parse(&p, slice_of(json_string_value(entry), json_string_length(entry))) < 0)
    return no(ret_why, -EINVAL, "the grant has a malformed pattern");
  if (*count == GRANT_PATTERNS_MAX)
    return no(ret_why, -ENOTSUP, "the grant has too many patterns");
  list[*count] = strdup(p.s);
  return list[*count] ? (++*count, 0) : -ENOMEM;
}

static int take_list(const json_t *o, const char *name, char **list, size_t *count, const char **ret_why)
{
  const json_t *v = member(o, name);
  int rc = 0;
  if (v && !json_is_array(v))
    return no(ret_why, -EINVAL, "the grant's patterns are not a list");
  for (size_t i = 0; i < json_array_size(v) && rc == 0; i++)
    rc = add(json_array_get(v, i), list, count, ret_why);
  return rc;
}

static int take_root(const json_t *o, struct slice path, char **ret_root, const char **ret_why)
{
  const json_t *v = member(o, "root");
  struct path p;
  if (v && !json_is_string(v))
    return no(ret_why, -EINVAL, "the grant's root is not a path");
  if (path_parse(&p, v ? slice_of(json_string_value(v), json_string_length(v)) : path) < 0)
    return no(ret_why, -EINVAL, "the grant's root is not a path");
  *ret_root = strdup(p.s);
  return *ret_root ? 0 : -ENOMEM;
}

/* Whole seconds, of which 0 and less are none. */
static int take_seconds(const json_t *o, const char *name, uint64_t *ret, const char **ret_why)
{
  const json_t *v = member(o, name);
  if (v && !json_is_integer(v))
    return no(ret_why, -EINVAL, "a time in the grant is not a whole number of seconds");
  if (v && json_integer_value(v) <= 0)
    return no(ret_why, -ENOTSUP, "a time in the grant is in the past, or zero");
  *ret = v ? (uint64_t)json_integer_value(v) : 0;
  return 0;
}

static int take_times(const json_t *o, uint64_t wall_s, struct server_grant *g, const char **ret_why)
{
  int rc = take_seconds(o, "expires", &g->expires, ret_why);
  if (rc == 0)
    rc = take_seconds(o, "revalidate", &g->revalidate_s, ret_why);
  if (rc == 0 && g->expires && g->expires <= wall_s)
    return no(ret_why, -ENOTSUP, "the grant has expired already");
  if (rc == 0 && g->revalidate_s && !g->expires)
    return no(ret_why, -ENOTSUP, "the grant has revalidate without expires");
  return rc;
}

/* The label comes into log lines as a word. */
static void take_tier(const char *text, char tier[TIER_MAX + 1])
{
  snprintf(tier, TIER_MAX + 1, "%s", text);
  for (char *c = tier; *c; c++) {
    if ((unsigned char)*c <= ' ' || *c == '"')
      *c = '_';
  }
}

static int take_rest(const json_t *o, struct server_grant *g, const char **ret_why)
{
  const json_t *mounts = member(o, "mounts"), *tier = member(o, "tier"), *peer = member(o, "peer");
  if ((mounts && !json_is_object(mounts)) || (tier && !json_is_string(tier)) || (peer && !json_is_boolean(peer)))
    return no(ret_why, -EINVAL, "a member of the grant has the wrong type");
  if (json_object_size(mounts) > 0)
    return no(ret_why, -ENOTSUP, "the grant has mounts, which are not supported");
  take_tier(tier ? json_string_value(tier) : "", g->tier);
  g->peer = json_is_true(peer);
  return 0;
}

static int take_all(const json_t *o, struct slice path, uint64_t wall_s, struct server_grant *g, const char **ret_why)
{
  if (!json_is_object(o))
    return no(ret_why, -EINVAL, "the answer is not a JSON object");
  int rc = take_list(o, "publish", g->publish, &g->publish_count, ret_why);
  if (rc == 0)
    rc = take_list(o, "subscribe", g->subscribe, &g->subscribe_count, ret_why);
  if (rc == 0 && g->publish_count + g->subscribe_count == 0)
    return no(ret_why, -EPERM, "the auth server grants nothing");
  if (rc == 0)
    rc = take_root(o, path, &g->root, ret_why);
  if (rc == 0)
    rc = take_times(o, wall_s, g, ret_why);
  return rc == 0 ? take_rest(o, g, ret_why) : rc;
}

int server_grant_parse(struct slice body, struct slice path, uint64_t wall_s, struct server_grant *ret_grant,
                       const char **ret_why)
{
  struct server_grant g = {0};
  json_t *o = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
  if (!o)
    return no(ret_why, -EINVAL, "the answer is not JSON");
  *ret_why = "out of memory";
  int rc = take_all(o, path, wall_s, &g, ret_why);
  json_decref(o);
  if (rc < 0)
    server_grant_destroy(&g);
  else
    *ret_grant = g;
  return rc;
}

void server_grant_destroy(struct server_grant *g)
{
  free(g->root);
  for (size_t i = 0; i < g->publish_count; i++)
    free(g->publish[i]);
  for (size_t i = 0; i < g->subscribe_count; i++)
    free(g->subscribe[i]);
  *g = (struct server_grant){0};
}

void server_grant_use(const struct server_grant *g, struct grant *ret_grant)
{
  *ret_grant = (struct grant){.root = slice_str(g->root),
                              .publish_count = g->publish_count,
                              .subscribe_count = g->subscribe_count,
                              .expires = g->expires,
                              .cluster = g->peer,
                              .source = "server",
                              .subject = ""};
  for (size_t i = 0; i < g->publish_count; i++)
    ret_grant->publish[i] = slice_str(g->publish[i]);
  for (size_t i = 0; i < g->subscribe_count; i++)
    ret_grant->subscribe[i] = slice_str(g->subscribe[i]);
}

static bool covered(char *const *held, size_t n, char *const *fresh, size_t m)
{
  for (size_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < m && !pattern_covers(slice_str(fresh[k]), slice_str(held[i])))
      k++;
    if (k == m)
      return false;
  }
  return true;
}

const char *server_grant_change(const struct server_grant *held, const struct server_grant *fresh)
{
  if (strcmp(held->root, fresh->root) != 0)
    return "root changed";
  if (held->peer != fresh->peer)
    return "peer changed";
  if (!covered(held->publish, held->publish_count, fresh->publish, fresh->publish_count) ||
      !covered(held->subscribe, held->subscribe_count, fresh->subscribe, fresh->subscribe_count))
    return "grant narrowed";
  return NULL;
}
