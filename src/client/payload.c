/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/payload.h"

#define PIECES 64

static size_t no_header(const struct object *o, const struct object *prev, uint8_t *out)
{
  (void)o, (void)prev, (void)out;
  return 0;
}

/* The highest id: sessions count theirs from 0. */
const struct framing payload_framing = {FRAMINGS_MAX - 1, no_header};

/* The arrival of the last frame's payload is all that has to be looked into. */
static bool whole(const struct group *g, size_t i)
{
  if (i + 1 < group_objects(g, 0) || g->state == GROUP_WHOLE)
    return true;
  const struct object *o = group_object_at(g, 0, i);
  struct iovec iov[1];
  return o->size == 0 || group_payload(g, 0, i, o->size - 1, iov, 1) > 0;
}

bool payload_frame(const struct group *g, size_t i, struct buf *scratch, struct slice *ret_payload)
{
  struct iovec iov[PIECES];
  uint64_t have = 0;
  if (i >= group_objects(g, 0) || !whole(g, i))
    return false;
  uint64_t size = group_object_at(g, 0, i)->size;
  size_t n = group_payload(g, 0, i, 0, iov, PIECES);
  if (n == 1 && iov[0].iov_len == size) {
    *ret_payload = slice_of(iov[0].iov_base, iov[0].iov_len);
    return true;
  }
  buf_clear(scratch);
  while (n > 0) {
    for (size_t k = 0; k < n; k++) {
      buf_bytes(scratch, slice_of(iov[k].iov_base, iov[k].iov_len));
      have += iov[k].iov_len;
    }
    n = have < size ? group_payload(g, 0, i, have, iov, PIECES) : 0;
  }
  *ret_payload = buf_slice(scratch);
  return have == size && !scratch->failed;
}
