/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/group_private.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Header blocks: the first one of a view is small, for groups of few objects. */
#define BLOCK_FIRST 128
#define BLOCK_NEXT 1024

struct view *view_get(struct group *g, struct subgroup *sg, const struct framing *framing)
{
  assert(framing->id < FRAMINGS_MAX);
  struct view *v = sg->views[framing->id];
  if (v) {
    assert(v->framing == framing);
    return v;
  }
  v = calloc(1, sizeof *v);
  if (!v)
    return NULL;
  v->framing = framing;
  sg->views[framing->id] = v;
  group_charge(g, sizeof *v);
  return v;
}

void view_free(struct view *v)
{
  if (!v)
    return;
  for (struct header_block *b = v->blocks, *next; b; b = next) {
    next = b->next;
    free(b);
  }
  free(v->segments);
  free(v->headers);
  free(v->leads);
  free(v);
}

uint64_t view_total(const struct view *v)
{
  return v->header_bytes + v->payload;
}

/* Room for n header bytes at an address that stays. */
static uint8_t *header_room(struct group *g, struct view *v, size_t n)
{
  struct header_block *b = v->blocks;
  if (b && b->cap - b->used >= n)
    return b->data + b->used;
  size_t cap = b ? BLOCK_NEXT : BLOCK_FIRST;
  if (cap < n)
    cap = n;
  b = malloc(sizeof *b + cap);
  if (!b)
    return NULL;
  *b = (struct header_block){.next = v->blocks, .cap = cap};
  v->blocks = b;
  group_charge(g, sizeof *b + cap);
  return b->data;
}

static int header_make(struct group *g, struct view *v, const struct object *o, const struct object *prev,
                       struct slice *ret_bytes)
{
  uint8_t *out = header_room(g, v, FRAMING_HEADER_MAX + o->properties.n);
  if (!out)
    return -ENOMEM;
  size_t n = v->framing->header(o, prev, out);
  assert(n <= FRAMING_HEADER_MAX + o->properties.n);
  v->blocks->used += n;
  *ret_bytes = slice_of(out, n);
  return 0;
}

/* The bytes at the end of the view; longer than `total` by them once the caller has counted them.
 */
static int segment_add(struct group *g, struct view *v, struct slice s)
{
  if (s.n == 0)
    return 0;
  uint64_t total = view_total(v);
  if (v->segment_n > 0) {
    const struct segment *last = &v->segments[v->segment_n - 1];
    if (last->p + (total - last->start) == s.p)
      return 0;
  }
  struct segment *segments = group_grow(g, v->segments, &v->segment_cap, v->segment_n + 1, sizeof *segments);
  if (!segments)
    return -ENOMEM;
  v->segments = segments;
  segments[v->segment_n++] = (struct segment){s.p, total};
  return 0;
}

static int take_header(struct group *g, struct subgroup *sg, struct view *v)
{
  size_t i = v->objects;
  uint64_t *headers = group_grow(g, v->headers, &v->header_cap, i + 1, sizeof *headers);
  if (!headers)
    return -ENOMEM;
  v->headers = headers;
  struct slice h;
  int rc = header_make(g, v, &sg->objects[i], i ? &sg->objects[i - 1] : NULL, &h);
  if (rc == 0)
    rc = segment_add(g, v, h);
  if (rc < 0)
    return rc;
  v->header_bytes += h.n;
  headers[i] = v->header_bytes;
  v->objects++;
  return 0;
}

/* Payload up to offset `end` of the log. */
static int take_payload(struct group *g, struct subgroup *sg, struct view *v, uint64_t end)
{
  while (v->payload < end) {
    if (v->piece + 1 < sg->piece_n && sg->pieces[v->piece + 1].start == v->payload)
      v->piece++;
    const struct piece *p = &sg->pieces[v->piece];
    uint64_t stop = p->start + p->chunk->len;
    if (stop > end)
      stop = end;
    size_t n = (size_t)(stop - v->payload);
    int rc = segment_add(g, v, slice_of(p->chunk->data + (v->payload - p->start), n));
    if (rc < 0)
      return rc;
    v->payload = stop;
  }
  return 0;
}

int view_sync(struct group *g, struct subgroup *sg, struct view *v)
{
  for (;;) {
    const struct object *o = v->objects ? &sg->objects[v->objects - 1] : NULL;
    uint64_t end = o ? o->offset + o->size : 0;
    int rc = take_payload(g, sg, v, end < sg->received ? end : sg->received);
    if (rc < 0)
      return rc;
    if (v->objects == sg->n)
      return 0;
    rc = take_header(g, sg, v);
    if (rc < 0)
      return rc;
  }
}

int view_lead(struct group *g, struct subgroup *sg, struct view *v, size_t i, struct slice *ret_bytes)
{
  for (size_t k = 0; k < v->lead_n; k++) {
    if (v->leads[k].index == i) {
      *ret_bytes = v->leads[k].bytes;
      return 0;
    }
  }
  struct lead *leads = group_grow(g, v->leads, &v->lead_cap, v->lead_n + 1, sizeof *leads);
  if (!leads)
    return -ENOMEM;
  v->leads = leads;
  struct slice bytes;
  int rc = header_make(g, v, &sg->objects[i], NULL, &bytes);
  if (rc < 0)
    return rc;
  leads[v->lead_n++] = (struct lead){i, bytes};
  *ret_bytes = bytes;
  return 0;
}
