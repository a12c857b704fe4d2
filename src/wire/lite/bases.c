/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths and hop lists that take a part from a live announcement. */
#include "wire/lite/lite.h"
#include "wire/lite/tables.h"
#include <errno.h>

/* Bytes of the first `keep` parts of a normalised path; false when it has fewer. */
static bool head_of(struct slice path, uint64_t keep, size_t *ret_n)
{
  size_t at = 0;
  for (uint64_t i = 0; i < keep; i++) {
    if (at >= path.n)
      return false;
    at += i > 0; /* the slash */
    while (at < path.n && path.p[at] != '/')
      at++;
  }
  *ret_n = at;
  return true;
}

int lite_join_path(struct slice base, uint64_t keep, struct slice rest, struct path *ret_path)
{
  struct path tail;
  size_t n;
  if (!head_of(base, keep, &n) || path_parse(&tail, rest) < 0)
    return -EPROTO;
  return path_join(ret_path, slice_of(base.p, n), path_slice(&tail)) < 0 ? -EPROTO : 0;
}

int lite_join_hops(const uint64_t *base, size_t n, uint64_t keep, const struct lite_hops *head,
                   struct lite_hops *ret_hops)
{
  struct lite_hops h = *head;
  if (keep > n || keep > LITE_HOPS_MAX - h.n)
    return -EPROTO;
  if (keep > 0)
    memcpy(h.id + h.n, base + n - keep, (size_t)keep * sizeof *h.id);
  h.n += (size_t)keep;
  if (!lite_hops_ok(&h))
    return -EPROTO;
  *ret_hops = h;
  return 0;
}
