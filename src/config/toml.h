/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A TOML 1.0 file as a flat list of (dotted key, value, line, column), in file order. The parser is
 * toml++; this is the only place that knows it. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

enum toml_kind { TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOL, TOML_OTHER, TOML_EMPTY_ARRAY };

struct toml_value {
  char *key;  /* "server.tls.cert"; elements of an array share it; tables in arrays are
                 "cluster.connect.url" */
  char *text; /* the value as text: strings unquoted, true/false, decimal numbers */
  enum toml_kind kind;
  bool in_array;
  unsigned line, column;
};

struct toml_list {
  struct toml_value *v;
  size_t n;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Reads and parses `path`. 0; -errno when it cannot be read; -EINVAL when it is no TOML. ret_err
 * names file, line and column. On failure *ret_list is untouched. */
int toml_read(const char *path, struct toml_list *ret_list, struct err *ret_err);

void toml_list_free(struct toml_list *list);

#ifdef __cplusplus
}
#endif
