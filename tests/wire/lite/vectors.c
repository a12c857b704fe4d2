/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "vectors.h"
#include "cmocka_all.h"
#include <stdio.h>

json_t *vectors_load(const char *file)
{
  char path[1024];
  json_error_t err;
  snprintf(path, sizeof path, "%s/%s", VECTORS_DIR, file);
  json_t *root = json_load_file(path, 0, &err);
  if (!root)
    fail_msg("%s: %s", path, err.text);
  assert_true(json_array_size(root) > 0);
  return root;
}

const char *vector_text(const json_t *entry, const char *key)
{
  const char *s = json_string_value(json_object_get(entry, key));
  return s ? s : "";
}

struct slice vector_bytes(const json_t *entry, struct hex *space)
{
  const char *hex = vector_text(entry, "hex");
  space->n = 0;
  for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
    assert_true(space->n < HEX_MAX);
    space->bytes[space->n++] = (uint8_t)byte;
  }
  return slice_of(space->bytes, space->n);
}

bool vector_version(const json_t *entry, enum lite_version *ret_version)
{
  for (enum lite_version v = LITE_01; v < LITE_VERSIONS; v++) {
    if (strcmp(lite_info(v)->name, vector_text(entry, "version")) == 0) {
      *ret_version = v;
      return true;
    }
  }
  return false;
}

static void show(const char *label, struct slice s)
{
  fprintf(stderr, "  %s ", label);
  for (size_t i = 0; i < s.n; i++)
    fprintf(stderr, "%02x", s.p[i]);
  fprintf(stderr, "\n");
}

void assert_bytes(struct slice a, struct slice b, const char *what)
{
  if (slice_eq(a, b))
    return;
  show("ours  ", a);
  show("theirs", b);
  fail_msg("%s: bytes differ", what);
}
