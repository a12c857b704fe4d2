/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of broadcast paths. The input is two paths, with 0xff between them. */
#include "base/path.h"
#include "support/fuzz.h"
#include <errno.h>

static void check_normal(const struct path *p)
{
  struct path again;
  struct slice rest = path_slice(p), part;
  size_t parts = 0, n = 0;
  check(p->n <= PATH_BYTES_MAX && p->s[p->n] == '\0' && strlen(p->s) == p->n);
  check(path_parse(&again, path_slice(p)) == 0);
  check(slice_eq(path_slice(p), path_slice(&again)));
  for (; path_part(&rest, &part); parts++) {
    check(part.n > 0 && !memchr(part.p, '/', part.n));
    n += part.n + 1;
  }
  check(parts <= PATH_PARTS_MAX && n == p->n + (p->n > 0 ? 1u : 0u));
}

/* What is joined to a prefix lies under it. */
static void check_join(struct slice a, struct slice b)
{
  struct path whole, front, back;
  struct slice suffix;
  int rc = path_join(&whole, a, b);
  check(rc == 0 || rc == -EINVAL || rc == -ENAMETOOLONG);
  if (rc < 0)
    return;
  check_normal(&whole);
  check(path_parse(&front, a) == 0 && path_parse(&back, b) == 0);
  check(path_under(path_slice(&whole), path_slice(&front), &suffix));
  check(slice_eq(suffix, path_slice(&back)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const uint8_t *cut = size > 0 ? memchr(data, 0xff, size) : NULL;
  size_t n = cut ? (size_t)(cut - data) : size;
  struct slice a = slice_of(data, n), b = cut ? slice_from(slice_of(data, size), n + 1) : slice_of(NULL, 0);
  struct path p, q;
  if (path_parse(&p, a) == 0)
    check_normal(&p);
  if (path_parse(&p, a) == 0 && path_parse(&q, b) == 0 && path_under(path_slice(&p), path_slice(&q), NULL))
    check(p.n >= q.n);
  check_join(a, b);
  check_join(b, a);
  return 0;
}
