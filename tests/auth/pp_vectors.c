/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pp_vectors.h"
#include <stdio.h>

json_t *pp_vectors(void)
{
  json_error_t err;
  json_t *root = json_load_file(VECTORS_DIR "/privacypass.json", 0, &err);
  if (!root)
    fail_msg("%s", err.text);
  return root;
}

const char *pp_text(const json_t *o, const char *name)
{
  const char *s = json_string_value(json_object_get(o, name));
  return s ? s : "";
}

struct buf pp_hex(const json_t *o, const char *name)
{
  struct buf b = {0};
  const char *hex = pp_text(o, name);
  for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
    buf_u8(&b, (uint8_t)byte);
  assert_int_equal(*hex, '\0');
  return b;
}

json_t *pp_named(const json_t *list, const char *name)
{
  for (size_t i = 0; i < json_array_size(list); i++) {
    if (strcmp(pp_text(json_array_get(list, i), "name"), name) == 0)
      return json_array_get(list, i);
  }
  fail_msg("no vector is named %s", name);
  return NULL;
}
