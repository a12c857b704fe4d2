/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Request targets (RFC 9112, 3.2) as text: origin form and absolute form. Pure functions. */
#pragma once
#include "base/slice.h"

/* Splits a request target in place: *ret_path begins with '/', still percent-encoded, without the
 * query, and *ret_query is what follows the first '?' ("" when there is none). Both borrow from
 * `target`. -EINVAL for other forms. */
int uri_split(char *target, char **ret_path, char **ret_query);

/* Percent-decodes in place. -EINVAL: a bad escape, a NUL, or no UTF-8; then the text is in an
 * undefined state. */
int uri_decode(char *text);

/* The first value of `name` in a query, raw. False when it is not there. */
bool uri_query_value(const char *query, const char *name, struct slice *ret_value);
