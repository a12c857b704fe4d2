/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Broadcast paths: parts joined by '/', without leading, trailing or repeated slashes. "" is the root.
 * (moq-lite, "Paths"; deployed peers match prefixes by whole parts.) */
#pragma once
#include "base/slice.h"

#define PATH_PARTS_MAX 32   /* deployed peers refuse more */
#define PATH_BYTES_MAX 1024 /* ours */

struct path {
  uint16_t n;
  char s[PATH_BYTES_MAX + 1]; /* NUL-terminated for printing; a part may not hold NUL */
};

/* Normalises s. 0; -EINVAL when it has a NUL; -ENAMETOOLONG above PATH_BYTES_MAX bytes or PATH_PARTS_MAX parts. */
int path_parse(struct path *ret_path, struct slice s);

/* a/b; either may be empty. Errors as path_parse. */
int path_join(struct path *ret_path, struct slice a, struct slice b);

/* Whether normalised `path` is `prefix` or lies below it; *ret_suffix (may be NULL) is what is left, borrowed from path. */
bool path_under(struct slice path, struct slice prefix, struct slice *ret_suffix);

/* Takes the first part off *rest (up to '/' or the end). False when *rest is empty. */
bool path_part(struct slice *rest, struct slice *ret_part);

static inline struct slice path_slice(const struct path *p)
{
  return slice_of(p->s, p->n);
}
