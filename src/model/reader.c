/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/group_private.h"
#include <assert.h>
#include <errno.h>

int reader_begin(struct reader *r, struct group *g, uint64_t subgroup, const struct framing *framing, uint64_t first,
                 uint64_t last, void (*wake)(struct reader *))
{
  struct subgroup *sg = group_subgroup(g, subgroup);
  if (!sg || g->evicted || (first > 0 && first >= sg->n && g->state != GROUP_OPEN))
    return -ENOENT;
  struct view *v = view_get(g, sg, framing);
  if (!v)
    return -ENOMEM;
  *r = (struct reader){
      .group = group_ref(g), .view = v, .first = first, .last = last, .subgroup = subgroup, .wake = wake};
  r->placed = first == 0;
  list_append(&g->readers, &r->link);
  return 0;
}

void reader_end(struct reader *r)
{
  if (!r->group)
    return;
  struct group *g = r->group;
  list_remove(&r->link);
  r->group = NULL;
  r->view = NULL;
  group_strip(g);
  group_unref(g);
}

static struct subgroup *subgroup_of(const struct reader *r)
{
  return group_subgroup(r->group, r->subgroup);
}

/* Index of the segment that holds offset `at` of the view, the last one for its end. */
static size_t segment_at(const struct view *v, uint64_t at)
{
  size_t low = 0, high = v->segment_n;
  while (high - low > 1) {
    size_t mid = low + (high - low) / 2;
    if (v->segments[mid].start <= at)
      low = mid;
    else
      high = mid;
  }
  return low;
}

static uint64_t segment_len(const struct view *v, size_t i)
{
  uint64_t end = i + 1 < v->segment_n ? v->segments[i + 1].start : view_total(v);
  return end - v->segments[i].start;
}

static uint64_t position(const struct reader *r)
{
  return r->view->segment_n ? r->view->segments[r->segment].start + r->offset : 0;
}

/* A stream that begins inside the group has a header of its own, then goes on at the payload of its
 * first object. */
static int place(struct reader *r, struct subgroup *sg)
{
  struct view *v = r->view;
  if (r->placed || r->first >= v->objects)
    return 0;
  int rc = view_lead(r->group, sg, v, (size_t)r->first, &r->head);
  if (rc < 0)
    return rc;
  uint64_t at = sg->objects[r->first].offset + v->headers[r->first];
  r->segment = segment_at(v, at);
  r->offset = (size_t)(at - v->segments[r->segment].start);
  r->placed = true;
  return 0;
}

/* Where in the view this reader's range ends; UINT64_MAX while that is not known. */
static uint64_t range_end(const struct reader *r, const struct subgroup *sg)
{
  if (r->last >= r->view->objects)
    return UINT64_MAX;
  const struct object *o = &sg->objects[r->last];
  return o->offset + r->view->headers[r->last] + o->size;
}

static size_t fill(const struct reader *r, uint64_t end, struct iovec *iov, size_t max, bool *ret_all)
{
  const struct view *v = r->view;
  size_t n = 0, offset = r->offset;
  uint64_t at = position(r);
  if (r->head.n > 0 && n < max)
    iov[n++] = (struct iovec){(void *)(uintptr_t)r->head.p, r->head.n};
  *ret_all = r->head.n == 0 || n > 0;
  for (size_t i = r->segment; *ret_all && i < v->segment_n && at < end; i++, offset = 0) {
    uint64_t len = segment_len(v, i) - offset;
    if (len > end - at)
      len = end - at;
    if (len == 0)
      continue;
    *ret_all = n < max;
    if (*ret_all)
      iov[n++] = (struct iovec){(void *)(uintptr_t)(v->segments[i].p + offset), (size_t)len};
    at += len;
  }
  return n;
}

int reader_pull(struct reader *r, struct iovec *iov, size_t max, size_t *ret_n, bool *ret_fin)
{
  struct group *g = r->group;
  if (g->evicted) {
    *ret_n = 0;
    *ret_fin = false;
    return 0;
  }
  struct subgroup *sg = subgroup_of(r);
  int rc = view_sync(g, sg, r->view);
  if (rc == 0)
    rc = place(r, sg);
  if (rc < 0)
    return rc;
  if (!r->placed) {
    *ret_n = 0;
    *ret_fin = g->state == GROUP_WHOLE;
    return 0;
  }
  uint64_t range = range_end(r, sg), total = view_total(r->view);
  bool all;
  *ret_n = fill(r, range < total ? range : total, iov, max, &all);
  *ret_fin = all && (range <= total || g->state == GROUP_WHOLE);
  return 0;
}

void reader_take(struct reader *r, size_t n)
{
  size_t from_head = n < r->head.n ? n : r->head.n;
  r->head = slice_from(r->head, from_head);
  n -= from_head;
  while (n > 0) {
    assert(r->segment < r->view->segment_n);
    uint64_t len = segment_len(r->view, r->segment) - r->offset;
    if (len == 0) {
      r->segment++;
      r->offset = 0;
      continue;
    }
    size_t k = n < len ? n : (size_t)len;
    r->offset += k;
    n -= k;
  }
}

size_t reader_left(const struct reader *r)
{
  if (r->group->evicted)
    return 0;
  const struct subgroup *sg = subgroup_of(r);
  uint64_t made = r->placed ? view_total(r->view) - position(r) : 0;
  return (size_t)(made + (sg->received - r->view->payload)) + r->head.n;
}

bool reader_cut(const struct reader *r)
{
  const struct group *g = r->group;
  if (g->state != GROUP_CUT)
    return false;
  if (g->evicted)
    return true;
  const struct subgroup *sg = subgroup_of(r);
  uint64_t end = range_end(r, sg);
  bool in_range = r->placed && end != UINT64_MAX && end <= view_total(r->view);
  return !in_range && reader_left(r) == 0 && (r->view->objects == sg->n || !r->placed);
}
