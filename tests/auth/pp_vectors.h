/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tests/vectors/privacypass.json, for the tests of Privacy Pass. */
#pragma once
#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

/* The whole file; json_decref it. Fails the test when it is not there. */
json_t *pp_vectors(void);
/* A member that is text; "" when absent. */
const char *pp_text(const json_t *o, const char *name);
/* A member that is hex, as bytes; buf_destroy them. */
struct buf pp_hex(const json_t *o, const char *name);
/* The entry of that name in a list. Fails the test when there is none. */
json_t *pp_named(const json_t *list, const char *name);
