/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of request targets: split, decoded, and asked for a query's value. */
#include "base/utf8.h"
#include "support/fuzz.h"
#include "web/uri.h"

static void check_decoded(char *text)
{
  size_t before = strlen(text);
  if (uri_decode(text) < 0)
    return;
  check(strlen(text) <= before);
  check(utf8_valid(slice_str(text)));
}

static void check_query(const char *query)
{
  static const char *const names[] = {"jwt", "group", ""};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct slice value;
    if (uri_query_value(query, names[i], &value))
      check((const char *)value.p >= query && value.n <= strlen(query) && !memchr(value.p, '&', value.n));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *target = fuzz_text(data, size), *path, *query;
  if (uri_split(target, &path, &query) == 0) {
    check(path[0] == '/' && !strchr(path, '?'));
    check_query(query);
    check_decoded(path);
  }
  free(target);
  return 0;
}
