/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/pattern.h"
#include <errno.h>

static bool is_stars(struct slice segment)
{
  return pattern_is_all(segment);
}

static bool has(struct slice s, char c)
{
  return s.n > 0 && memchr(s.p, c, s.n);
}

static bool doubled(struct slice segment)
{
  for (size_t i = 1; i < segment.n; i++) {
    if (segment.p[i] == '*' && segment.p[i - 1] == '*')
      return true;
  }
  return false;
}

int pattern_parse(struct pattern *ret_pattern, struct slice text)
{
  struct path p;
  int rc = path_parse(&p, text);
  if (rc < 0)
    return rc;
  struct slice rest = path_slice(&p), segment;
  unsigned stars = 0;
  while (path_part(&rest, &segment)) {
    if (is_stars(segment))
      stars++;
    else if (doubled(segment))
      return -EINVAL;
  }
  if (stars > 1)
    return -EINVAL;
  ret_pattern->n = p.n;
  memcpy(ret_pattern->s, p.s, p.n + 1u);
  return 0;
}

int pattern_below(struct pattern *ret_pattern, struct slice prefix)
{
  struct path p;
  if (has(prefix, '*'))
    return -EINVAL;
  int rc = path_join(&p, prefix, slice_str("**"));
  if (rc < 0)
    return rc;
  ret_pattern->n = p.n;
  memcpy(ret_pattern->s, p.s, p.n + 1u);
  return 0;
}

/* One segment. Going back to the last star alone is enough. */
static bool segment_match(struct slice glob, struct slice text)
{
  size_t g = 0, t = 0, star = SIZE_MAX, from = 0;
  while (t < text.n) {
    if (g < glob.n && glob.p[g] == '*') {
      star = g++;
      from = t;
    } else if (g < glob.n && glob.p[g] == text.p[t]) {
      g++;
      t++;
    } else if (star != SIZE_MAX) {
      g = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (g < glob.n && glob.p[g] == '*')
    g++;
  return g == glob.n;
}

/* -- ends of a pattern --
 * Reading a path part by part, what is still to come is always an end of the pattern, or several of them once its "**" has
 * been passed. An end is named by its number of segments, a set of them by bits. */

struct ends {
  struct slice at[PATTERN_RESIDUES_MAX + 1]; /* by number of segments skipped; the last is "" */
  struct slice segment[PATTERN_RESIDUES_MAX + 1];
  size_t count; /* segments */
};

static void ends_of(struct slice pattern, struct ends *ret)
{
  struct slice rest = pattern, segment;
  ret->count = 0;
  ret->at[0] = pattern;
  while (ret->count < PATTERN_RESIDUES_MAX && path_part(&rest, &segment)) {
    ret->segment[ret->count++] = segment;
    ret->at[ret->count] = rest.n > 0 ? slice_from(rest, 1) : rest;
  }
}

/* The set with what stands behind a "**" added: it may be empty. */
static uint64_t closure(const struct ends *e, uint64_t set)
{
  for (size_t i = 0; i < e->count; i++) {
    if (set >> i & 1 && is_stars(e->segment[i]))
      set |= UINT64_C(1) << (i + 1);
  }
  return set;
}

/* `part` is a path's; or a pattern's, of which every path must match: then a star stands for itself, and "**" passes
 * where there is one alone. */
static uint64_t step(const struct ends *e, uint64_t set, struct slice part, bool of_pattern)
{
  bool many = of_pattern && is_stars(part);
  uint64_t next = 0;
  set = closure(e, set);
  for (size_t i = 0; i < e->count; i++) {
    if (!(set >> i & 1))
      continue;
    if (is_stars(e->segment[i]))
      next |= UINT64_C(1) << i;
    else if (!many && segment_match(e->segment[i], part))
      next |= UINT64_C(1) << (i + 1);
  }
  return next;
}

static uint64_t walk(const struct ends *e, struct slice path, bool of_pattern)
{
  struct slice part;
  uint64_t set = 1;
  while (set && path_part(&path, &part))
    set = step(e, set, part, of_pattern);
  return set;
}

bool pattern_covers(struct slice outer, struct slice inner)
{
  struct ends e;
  ends_of(outer, &e);
  return closure(&e, walk(&e, inner, true)) >> e.count & 1;
}

struct slice pattern_head(struct slice pattern)
{
  struct slice rest = pattern, segment;
  size_t n = 0;
  while (path_part(&rest, &segment) && !has(segment, '*'))
    n = pattern.n - rest.n;
  return slice_of(pattern.p, n);
}

bool pattern_match(struct slice pattern, struct slice path)
{
  struct slice prefix = pattern;
  /* The usual kind: a path and everything below. */
  if (pattern.n >= 2 && memcmp(pattern.p + pattern.n - 2, "**", 2) == 0) {
    prefix.n -= pattern.n > 2 ? 3 : 2;
    if (!has(prefix, '*'))
      return path_under(path, prefix, NULL);
  }
  struct ends e;
  ends_of(pattern, &e);
  return closure(&e, walk(&e, path, false)) >> e.count & 1;
}

size_t pattern_residues(struct slice pattern, struct slice path, struct slice *ret, size_t max)
{
  struct ends e;
  ends_of(pattern, &e);
  uint64_t set = walk(&e, path, false);
  size_t n = 0;
  for (size_t i = 0; i <= e.count && n < max; i++) {
    if (!(set >> i & 1))
      continue;
    ret[n++] = e.at[i];
    if (i < e.count && is_stars(e.segment[i]))
      set &= ~(UINT64_C(1) << (i + 1)); /* said by "**" with nothing in between */
  }
  return n;
}
