/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/claims.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

/* The spellings of a pair of lists. One pair at a time: two could contradict each other. */
static const struct spelling {
  const char *publish, *subscribe;
  bool patterns;
} spellings[] = {
    {"put", "get", false},
    {"publish", "subscribe", true},
    {"pub", "sub", false}, /* `sub` is the subject where one of the others is there */
};

static bool present(const json_t *o, const char *name)
{
  const json_t *v = json_object_get(o, name);
  return v && !json_is_null(v);
}

static int no(const char **ret_why, const char *why)
{
  *ret_why = why;
  return -EINVAL;
}

/* The pattern of one entry, the root in front. */
static int absolute(const char *root, const struct spelling *s, struct slice text, struct pattern *ret)
{
  struct pattern below, own;
  struct path whole;
  int rc = s->patterns ? pattern_parse(&own, text) : pattern_below(&own, text);
  if (rc == 0)
    rc = pattern_below(&below, slice_str(root)); /* a root with a star is none */
  if (rc == 0)
    rc = path_join(&whole, slice_str(root), pattern_slice(&own));
  return rc < 0 ? rc : pattern_parse(ret, path_slice(&whole));
}

static int add(const char *root, const struct spelling *s, const json_t *entry, char **list, size_t *count,
               const char **ret_why)
{
  struct pattern p;
  if (!json_is_string(entry))
    return no(ret_why, "a path in the claims is not a string");
  if (*count == CLAIMS_PATTERNS_MAX)
    return no(ret_why, "too many paths in the claims");
  if (absolute(root, s, slice_of(json_string_value(entry), json_string_length(entry)), &p) < 0)
    return no(ret_why, "a malformed path in the claims");
  list[*count] = strdup(p.s);
  return list[*count] ? (++*count, 0) : -ENOMEM;
}

static int take_list(const char *root, const struct spelling *s, const json_t *value, char **list, size_t *count,
                     const char **ret_why)
{
  if (!value || json_is_null(value))
    return 0;
  if (!json_is_array(value))
    return add(root, s, value, list, count, ret_why);
  int rc = 0;
  for (size_t i = 0; i < json_array_size(value) && rc == 0; i++)
    rc = add(root, s, json_array_get(value, i), list, count, ret_why);
  return rc;
}

static int take_root(const json_t *o, char **ret_root, const char **ret_why)
{
  const json_t *v = json_object_get(o, "root");
  struct path p = {0};
  if (present(o, "root") &&
      (!json_is_string(v) || path_parse(&p, slice_of(json_string_value(v), json_string_length(v))) < 0))
    return no(ret_why, "root is not a path");
  *ret_root = strdup(p.s);
  return *ret_root ? 0 : -ENOMEM;
}

static int take_time(const json_t *o, const char *name, bool *ret_given, int64_t *ret, const char **ret_why)
{
  const json_t *v = json_object_get(o, name);
  *ret_given = present(o, name);
  if (*ret_given && !json_is_integer(v))
    return no(ret_why, "a time in the claims is not a whole number of seconds");
  *ret = json_integer_value(v);
  return 0;
}

static int take_flag(const json_t *o, const char *name, bool *ret, const char **ret_why)
{
  const json_t *v = json_object_get(o, name);
  if (present(o, name) && !json_is_boolean(v))
    return no(ret_why, "cluster is not true or false");
  *ret = json_is_true(v);
  return 0;
}

static const struct spelling *spelling_of(const json_t *o, const char **ret_why)
{
  const struct spelling *found = NULL;
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
    if (!present(o, spellings[i].publish) && !present(o, spellings[i].subscribe))
      continue;
    if (!found)
      found = &spellings[i];
    else if (i == 1)
      *ret_why = "put or get together with publish or subscribe";
  }
  return found ? found : &spellings[0];
}

static void take_subject(const json_t *o, const struct spelling *s, struct claims *c)
{
  const json_t *v = json_object_get(o, "sub");
  if (json_is_string(v) && strcmp(s->subscribe, "sub") != 0)
    snprintf(c->subject, sizeof c->subject, "%s", json_string_value(v));
  for (char *p = c->subject; *p; p++) { /* a name may not pass for other fields of a line of the log */
    if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '=')
      *p = '_';
  }
}

static int take_all(const json_t *o, struct claims *c, const char **ret_why)
{
  const char *both = NULL;
  if (!json_is_object(o))
    return no(ret_why, "the claims are not a JSON object");
  if (present(o, "aud"))
    return no(ret_why, "the token is for another audience");
  const struct spelling *s = spelling_of(o, &both);
  if (both)
    return no(ret_why, both);
  int rc = take_root(o, &c->root, ret_why);
  if (rc == 0)
    rc = take_list(c->root, s, json_object_get(o, s->publish), c->publish, &c->publish_count, ret_why);
  if (rc == 0)
    rc = take_list(c->root, s, json_object_get(o, s->subscribe), c->subscribe, &c->subscribe_count, ret_why);
  if (rc == 0)
    rc = take_flag(o, "cluster", &c->cluster, ret_why);
  if (rc == 0)
    rc = take_time(o, "exp", &c->expires_given, &c->expires, ret_why);
  if (rc == 0)
    rc = take_time(o, "nbf", &c->not_before_given, &c->not_before, ret_why);
  if (rc == 0)
    rc = take_time(o, "iat", &c->issued_given, &c->issued, ret_why);
  take_subject(o, s, c);
  return rc;
}

int claims_parse(struct slice json, struct claims *ret_claims, const char **ret_why)
{
  struct claims c = {0};
  json_t *o = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
  if (!o)
    return no(ret_why, "the claims are not JSON");
  int rc = take_all(o, &c, ret_why);
  json_decref(o);
  if (rc == -ENOMEM)
    *ret_why = "out of memory";
  if (rc < 0)
    claims_destroy(&c);
  else
    *ret_claims = c;
  return rc;
}

void claims_destroy(struct claims *c)
{
  free(c->root);
  for (size_t i = 0; i < c->publish_count; i++)
    free(c->publish[i]);
  for (size_t i = 0; i < c->subscribe_count; i++)
    free(c->subscribe[i]);
  *c = (struct claims){0};
}

static bool grant_all(struct grant *g, enum grant_verb verb, char *const *list, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (!grant_add(g, verb, slice_str(list[i])))
      return false;
  }
  return true;
}

bool claims_grant(const struct claims *c, struct grant *g)
{
  g->cluster = c->cluster;
  return grant_all(g, GRANT_PUBLISH, c->publish, c->publish_count) &&
         grant_all(g, GRANT_SUBSCRIBE, c->subscribe, c->subscribe_count);
}

static bool all_within(char *const *inner, size_t n, char *const *outer, size_t m)
{
  for (size_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < m && !pattern_covers(slice_str(outer[k]), slice_str(inner[i])))
      k++;
    if (k == m)
      return false;
  }
  return true;
}

bool claims_within(const struct claims *c, const struct claims *scope)
{
  return (!c->cluster || scope->cluster) &&
         all_within(c->publish, c->publish_count, scope->publish, scope->publish_count) &&
         all_within(c->subscribe, c->subscribe_count, scope->subscribe, scope->subscribe_count);
}

/* -- writing -- */

static int put_list(json_t *o, const char *name, const char *const *list, size_t n)
{
  if (n == 0)
    return 0;
  if (n == 1)
    return json_object_set_new(o, name, json_string(list[0]));
  json_t *a = json_array();
  for (size_t i = 0; i < n; i++) {
    if (json_array_append_new(a, json_string(list[i])) < 0) {
      json_decref(a);
      return -1;
    }
  }
  return json_object_set_new(o, name, a);
}

static int write_all(const struct claims_wanted *w, json_t *o)
{
  const struct spelling *s = &spellings[w->patterns ? 1 : 0];
  if (json_object_set_new(o, "root", json_string(w->root)) < 0 ||
      put_list(o, s->publish, w->publish, w->publish_count) < 0 ||
      put_list(o, s->subscribe, w->subscribe, w->subscribe_count) < 0)
    return -1;
  if (w->cluster && json_object_set_new(o, "cluster", json_true()) < 0)
    return -1;
  if (w->expires_given && json_object_set_new(o, "exp", json_integer(w->expires)) < 0)
    return -1;
  return w->issued_given ? json_object_set_new(o, "iat", json_integer(w->issued)) : 0;
}

void claims_write(const struct claims_wanted *w, struct buf *out)
{
  json_t *o = json_object();
  char *text = o && write_all(w, o) == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  if (text)
    buf_bytes(out, slice_str(text));
  else
    out->failed = true;
  free(text);
}
