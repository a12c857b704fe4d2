/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Golden bytes of other implementations, for the tests of wire/lite. */
#pragma once
#include "wire/lite/lite.h"
#include <jansson.h>

#define HEX_MAX 4096 /* bytes of one entry */

struct hex {
  uint8_t bytes[HEX_MAX];
  size_t n;
};

/* An array of {version, name, fields, hex}. Fails the test when the file is not there. */
json_t *vectors_load(const char *file);

const char *vector_text(const json_t *entry, const char *key);
struct slice vector_bytes(const json_t *entry, struct hex *space);

/* "03" -> LITE_03. False for versions that we do not speak. */
bool vector_version(const json_t *entry, enum lite_version *ret_version);

/* Fails the test unless a and b are the same bytes, showing both. */
void assert_bytes(struct slice a, struct slice b, const char *what);
