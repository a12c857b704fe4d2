/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/grant.h"

static bool has(const struct slice *list, size_t n, struct slice pattern)
{
  for (size_t i = 0; i < n; i++) {
    if (slice_eq(list[i], pattern) || pattern_is_all(list[i]))
      return true;
  }
  return false;
}

bool grant_add(struct grant *g, enum grant_verb verb, struct slice pattern)
{
  struct slice *list = verb == GRANT_PUBLISH ? g->publish : g->subscribe;
  size_t *count = verb == GRANT_PUBLISH ? &g->publish_count : &g->subscribe_count;
  struct slice left[PATTERN_RESIDUES_MAX];
  size_t n = pattern_residues(pattern, g->root, left, PATTERN_RESIDUES_MAX);
  for (size_t i = 0; i < n; i++) {
    if (has(list, *count, left[i]))
      continue;
    if (pattern_is_all(left[i]))
      *count = 0; /* says all that the others do */
    if (*count == GRANT_PATTERNS_MAX)
      return false;
    list[(*count)++] = left[i];
  }
  return true;
}
