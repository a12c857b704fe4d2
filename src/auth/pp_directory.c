/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_directory.h"
#include "auth/pp_header.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

void pp_directory_destroy(struct pp_directory *d)
{
  for (size_t i = 0; i < d->count; i++)
    pp_key_free(d->keys[i]);
  *d = (struct pp_directory){0};
}

static int read_key(const json_t *entry, struct pp_key **ret_key, struct err *ret_err)
{
  const json_t *text = json_object_get(entry, "token-key");
  struct buf spki = {0};
  int rc = json_is_string(text) ? pp_base64_decode(&spki, slice_of(json_string_value(text), json_string_length(text)))
                                : -EINVAL;
  if (rc == 0)
    rc = pp_key_new(buf_slice(&spki), ret_key, ret_err);
  else if (rc == -EINVAL)
    err_set(ret_err, rc, "\"token-key\" is not base64url");
  buf_destroy(&spki);
  return rc;
}

static int take_entry(struct pp_directory *d, const json_t *entry)
{
  struct pp_key *key = NULL;
  struct err why = {""};
  const json_t *from = json_object_get(entry, "not-before");
  if (json_integer_value(json_object_get(entry, "token-type")) != PP_TYPE || d->count == PP_DIRECTORY_KEYS_MAX)
    return 0;
  int rc = read_key(entry, &key, &why);
  if (rc == -EINVAL && d->skipped++ == 0)
    d->why = why;
  if (rc < 0)
    return rc == -EINVAL ? 0 : rc;
  d->keys[d->count] = key;
  d->not_before[d->count++] = json_integer_value(from) > 0 ? (uint64_t)json_integer_value(from) : 0;
  return 0;
}

static int take_all(struct pp_directory *d, const json_t *root, struct err *ret_err)
{
  const json_t *list = json_object_get(root, "token-keys");
  int rc = 0;
  if (!json_is_array(list))
    return err_set(ret_err, -EINVAL, "it is not a directory of keys");
  for (size_t i = 0; i < json_array_size(list) && i < PP_DIRECTORY_ENTRIES_MAX && rc == 0; i++)
    rc = take_entry(d, json_array_get(list, i));
  if (rc < 0)
    return err_set(ret_err, rc, "out of memory");
  if (d->count > 0)
    return 0;
  if (d->skipped > 0)
    return err_set(ret_err, -EINVAL, "it has no usable key: %.200s", d->why.text);
  return err_set(ret_err, -EINVAL, "it has no key of type 2");
}

int pp_directory_parse(struct slice json, struct pp_directory *ret_directory, struct err *ret_err)
{
  struct pp_directory d = {0};
  json_t *root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
  int rc = root ? take_all(&d, root, ret_err) : err_set(ret_err, -EINVAL, "it is not JSON");
  json_decref(root);
  if (rc < 0)
    pp_directory_destroy(&d);
  else
    *ret_directory = d;
  return rc;
}

unsigned pp_directory_life(const char *cache_control)
{
  static const char name[] = "max-age=";
  unsigned long age = PP_DIRECTORY_LIFE_S;
  while (*cache_control) {
    cache_control += strspn(cache_control, " \t,");
    if (strncasecmp(cache_control, name, sizeof name - 1) == 0)
      age = strtoul(cache_control + sizeof name - 1, NULL, 10);
    cache_control += strcspn(cache_control, ",");
  }
  return age < PP_DIRECTORY_LIFE_MIN_S   ? PP_DIRECTORY_LIFE_MIN_S
         : age > PP_DIRECTORY_LIFE_MAX_S ? PP_DIRECTORY_LIFE_MAX_S
                                         : (unsigned)age;
}
