/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Patterns of broadcast paths, as grants name them: segments joined by '/'; "*" in a segment stands for any characters
 * of it, the segment "**" for any number of whole segments, none included, once in a pattern. "foo" is that one path,
 * "foo/" followed by two stars all from foo downwards, "**" everything, "" the root itself. Matching goes by whole
 * segments: nothing that is said of "foo" holds for "foobar". A pattern is never longer than a path may be. */
#pragma once
#include "base/path.h"

struct pattern {
  uint16_t n;
  char s[PATH_BYTES_MAX + 1];
};

/* Slashes are normalised as in a path. 0; -EINVAL when it has a NUL, "**" more than once, or two stars next to each other
 * in a longer segment; -ENAMETOOLONG as path_parse. */
int pattern_parse(struct pattern *ret_pattern, struct slice text);

/* Everything from a path downwards: "p" becomes p and two stars, "" becomes "**". Errors as path_parse; -EINVAL also when
 * the prefix has a star, which would mean something else in a pattern. */
int pattern_below(struct pattern *ret_pattern, struct slice prefix);

static inline struct slice pattern_slice(const struct pattern *p)
{
  return slice_of(p->s, p->n);
}

/* Whether a (parsed) pattern is the path's. */
bool pattern_match(struct slice pattern, struct slice path);

/* What a pattern says of the paths below `path`, relative to it: up to `max` patterns, each an end of `pattern` and borrowed
 * from it. Nothing when it matches neither `path` nor anything below. Returns how many. PATTERN_RESIDUES_MAX is always
 * enough. */
#define PATTERN_RESIDUES_MAX (PATH_PARTS_MAX + 1)
size_t pattern_residues(struct slice pattern, struct slice path, struct slice *ret, size_t max);

/* Whether `outer` matches every path that `inner` does. May say no where it does so by a coincidence of stars. */
bool pattern_covers(struct slice outer, struct slice inner);

/* The path that everything it matches begins with: its segments before the first with a star. Borrowed. */
struct slice pattern_head(struct slice pattern);

/* "**": every path. */
static inline bool pattern_is_all(struct slice pattern)
{
  return pattern.n == 2 && pattern.p[0] == '*' && pattern.p[1] == '*';
}
