/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of patterns of paths, and of base64url. The input is a pattern, another one, and a path, with 0xff
 * between them. */
#include "base/base64url.h"
#include "base/pattern.h"
#include "support/fuzz.h"

static struct slice until_ff(struct slice *rest)
{
  const uint8_t *end = rest->n > 0 ? memchr(rest->p, 0xff, rest->n) : NULL;
  struct slice s = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
  *rest = slice_from(*rest, s.n + (end != NULL));
  return s;
}

static void check_normal(const struct pattern *p)
{
  struct pattern again;
  struct path head;
  check(p->n <= PATH_BYTES_MAX && p->s[p->n] == '\0');
  check(pattern_parse(&again, pattern_slice(p)) == 0 && slice_eq(pattern_slice(&again), pattern_slice(p)));
  check(pattern_covers(pattern_slice(p), pattern_slice(p)));
  check(path_parse(&head, pattern_head(pattern_slice(p))) == 0);
}

/* What a pattern says of a path is what its residues say of "", and both agree about what lies below. */
static void check_residues(struct slice pattern, struct slice path, struct slice below)
{
  struct slice residues[PATTERN_RESIDUES_MAX];
  size_t n = pattern_residues(pattern, path, residues, PATTERN_RESIDUES_MAX);
  struct path whole, suffix;
  bool here = false, there = false;
  check(n <= PATTERN_RESIDUES_MAX);
  if (path_join(&whole, path, below) < 0 || path_parse(&suffix, below) < 0)
    return;
  for (size_t i = 0; i < n; i++) {
    here |= pattern_match(residues[i], slice_of("", 0));
    there |= pattern_match(residues[i], path_slice(&suffix));
  }
  check(here == pattern_match(pattern, path));
  check(there == pattern_match(pattern, path_slice(&whole)));
}

static void check_base64url(struct slice in)
{
  struct buf text = {0}, back = {0}, again = {0};
  base64url_encode(&text, in);
  check(base64url_decode(&back, buf_slice(&text)) == 0 && slice_eq(buf_slice(&back), in));
  buf_clear(&back);
  if (base64url_decode(&back, in) == 0) {
    base64url_encode(&again, buf_slice(&back));
    check(slice_eq(buf_slice(&again), in));
  }
  buf_destroy(&text);
  buf_destroy(&back);
  buf_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct slice rest = slice_of(data, size);
  struct slice first = until_ff(&rest), second = until_ff(&rest), third = until_ff(&rest);
  struct pattern a, b;
  struct path path;
  check_base64url(rest.n > 0 ? rest : first);
  if (pattern_below(&a, first) == 0)
    check_normal(&a);
  if (pattern_parse(&a, first) < 0)
    return 0;
  check_normal(&a);
  if (path_parse(&path, third) < 0)
    return 0;
  check_residues(pattern_slice(&a), path_slice(&path), second);
  if (pattern_parse(&b, second) < 0)
    return 0;
  check_normal(&b);
  if (pattern_covers(pattern_slice(&a), pattern_slice(&b)) && pattern_match(pattern_slice(&b), path_slice(&path)))
    check(pattern_match(pattern_slice(&a), path_slice(&path)));
  return 0;
}
