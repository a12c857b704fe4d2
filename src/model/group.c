/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/group_private.h"
#include "model/origin.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* A chunk is as large as the object that is being received, within these bounds; small objects
 * share one, whose size follows the group's. CHUNK_MAX also bounds what a peer can make us reserve
 * by declaring a size and sending nothing. An object that would be split by the last CHUNK_MIN
 * bytes of a chunk begins in a new one: fewer pieces to send. */
#define CHUNK_MIN 256
#define CHUNK_MAX 16384
#define GROW_MIN 4

/* Group and its first subgroup, the only one in moq-lite. */
struct block {
  struct group group;
  struct subgroup first;
};

/* -- memory -- */

void group_charge(struct group *g, size_t n)
{
  g->bytes += n;
  g->cache->used += n;
  share_charge(g->share, n);
  if (g->evicted)
    g->cache->leaving += n;
}

void group_uncharge(struct group *g, size_t n)
{
  assert(g->bytes >= n && g->cache->used >= n);
  g->bytes -= n;
  g->cache->used -= n;
  share_uncharge(g->share, n);
  if (g->evicted)
    g->cache->leaving -= n;
  model_relieved(g->model);
}

void *group_grow(struct group *g, void *p, size_t *cap, size_t n, size_t size)
{
  if (n <= *cap)
    return p;
  size_t want = *cap ? *cap * 2 : GROW_MIN;
  while (want < n)
    want *= 2;
  void *q = realloc(p, want * size);
  if (!q)
    return NULL;
  group_charge(g, (want - *cap) * size);
  *cap = want;
  return q;
}

struct group *group_new(struct model *m, uint64_t sequence, uint64_t now)
{
  struct block *b = calloc(1, sizeof *b);
  if (!b)
    return NULL;
  struct group *g = &b->group;
  *g = (struct group){.refs = 1, .sequence = sequence, .arrived = now, .model = m, .cache = &m->cache};
  list_init(&g->subgroups);
  list_init(&g->readers);
  list_init(&g->link);
  list_init(&g->order);
  list_init(&g->age);
  list_append(&g->subgroups, &b->first.link);
  list_append(&g->cache->old, &g->age);
  group_charge(g, sizeof *b);
  return g;
}

static void subgroup_free_inside(struct subgroup *sg)
{
  for (size_t i = 0; i < FRAMINGS_MAX; i++)
    view_free(sg->views[i]);
  for (size_t i = 0; i < sg->piece_n; i++)
    chunk_unref(sg->pieces[i].chunk);
  for (size_t i = 0; i < sg->n; i++)
    free((void *)(uintptr_t)sg->objects[i].properties.p);
  free(sg->pieces);
  free(sg->objects);
}

/* Whoever still references a group that the budget took, a publisher that never ends its stream, say, holds an empty one. */
void group_strip(struct group *g)
{
  if (!g->evicted || g->waking > 0 || !list_empty(&g->readers) || g->bytes <= sizeof(struct block))
    return;
  list_for_each (it, &g->subgroups) {
    struct subgroup *sg = container_of(it, struct subgroup, link);
    subgroup_free_inside(sg);
    *sg = (struct subgroup){.link = sg->link, .id = sg->id};
  }
  group_uncharge(g, g->bytes - sizeof(struct block));
}

static void leave_share(struct group *g)
{
  struct share *s = g->share;
  g->share = NULL;
  share_leave(s, g->bytes);
}

static void group_free(struct group *g)
{
  assert(!g->track && list_empty(&g->readers));
  struct block *b = container_of(g, struct block, group);
  list_for_each_safe (it, tmp, &g->subgroups) {
    struct subgroup *sg = container_of(it, struct subgroup, link);
    subgroup_free_inside(sg);
    if (sg != &b->first)
      free(sg);
  }
  list_remove(&g->age);
  leave_share(g);
  group_uncharge(g, g->bytes);
  free(b);
}

struct group *group_ref(struct group *g)
{
  assert(g->refs > 0 && g->refs < UINT32_MAX);
  g->refs++;
  return g;
}

void group_unref(struct group *g)
{
  if (!g)
    return;
  assert(g->refs > 0);
  if (--g->refs == 0)
    group_free(g);
}

/* -- producing -- */

/* Readers may end themselves and others, and begin new ones, which need no wake-up. */
static void wake_readers(struct group *g)
{
  struct list todo;
  if (list_empty(&g->readers))
    return;
  list_init(&todo);
  list_insert_before(g->readers.next, &todo);
  list_remove(&g->readers);
  g->waking++;
  while (!list_empty(&todo)) {
    struct reader *r = container_of(todo.next, struct reader, link);
    list_remove(&r->link);
    list_append(&g->readers, &r->link);
    r->wake(r);
  }
  g->waking--;
}

/* The least recently written of the newest groups goes first. */
static void touch(struct group *g)
{
  if (g->superseded || !g->track)
    return;
  cache_touch(g->cache, g);
}

bool group_pressed(const struct group *g)
{
  return share_is_large(g->share) && model_pressed(g->model);
}

struct subgroup *group_subgroup(const struct group *g, uint64_t id)
{
  list_for_each (it, &g->subgroups) {
    struct subgroup *sg = container_of(it, struct subgroup, link);
    if (sg->id == id)
      return sg;
  }
  return NULL;
}

static struct subgroup *subgroup_make(struct group *g, uint64_t id)
{
  struct subgroup *sg = group_subgroup(g, id);
  if (sg)
    return sg;
  sg = calloc(1, sizeof *sg);
  if (!sg)
    return NULL;
  sg->id = id;
  list_append(&g->subgroups, &sg->link);
  group_charge(g, sizeof *sg);
  return sg;
}

static struct object *last_object(const struct subgroup *sg)
{
  return sg->n ? &sg->objects[sg->n - 1] : NULL;
}

/* Payload bytes that the object begun last still lacks. */
static uint64_t missing(const struct subgroup *sg)
{
  const struct object *o = last_object(sg);
  return o ? o->offset + o->size - sg->received : 0;
}

static int object_allowed(const struct group *g, const struct subgroup *sg, uint64_t id, uint64_t size,
                          size_t properties)
{
  struct model *m = g->model;
  const struct model_limits *l = &m->limits;
  const struct object *last = last_object(sg);
  if (missing(sg) > 0 || (last && id <= last->id))
    return -EPROTO;
  bool large = size > l->bytes_per_object, many = g->object_count >= l->objects_per_group;
  if (!large && !many && properties <= l->bytes_per_group && size + properties <= l->bytes_per_group - g->declared)
    return 0;
  limit_hit(m->counts,
            large  ? LIMIT_FRAME_BYTES
            : many ? LIMIT_GROUP_FRAMES
                   : LIMIT_GROUP_BYTES,
            m->now, "group=%" PRIu64, g->sequence);
  return large ? -EFBIG : -EMSGSIZE;
}

static int copy_properties(struct group *g, struct slice from, struct slice *ret_to)
{
  *ret_to = slice_of(NULL, 0);
  if (from.n == 0)
    return 0;
  uint8_t *p = malloc(from.n);
  if (!p)
    return -ENOMEM;
  memcpy(p, from.p, from.n);
  group_charge(g, from.n);
  *ret_to = slice_of(p, from.n);
  return 0;
}

int group_object(struct group *g, uint64_t subgroup, uint64_t id, uint64_t timestamp, uint64_t size, uint64_t status,
                 struct slice properties)
{
  if (g->state != GROUP_OPEN)
    return -EPIPE;
  struct subgroup *sg = subgroup_make(g, subgroup);
  if (!sg)
    return -ENOMEM;
  int rc = object_allowed(g, sg, id, size, properties.n);
  if (rc < 0)
    return rc;
  struct object *objects = group_grow(g, sg->objects, &sg->cap, sg->n + 1, sizeof *objects);
  if (!objects)
    return -ENOMEM;
  sg->objects = objects;
  struct object o = {.id = id, .timestamp = timestamp, .size = size, .offset = sg->received, .status = status};
  rc = copy_properties(g, properties, &o.properties);
  if (rc < 0)
    return rc;
  objects[sg->n++] = o;
  g->object_count++;
  g->declared += size + properties.n;
  if (timestamp > g->newest_timestamp)
    g->newest_timestamp = timestamp;
  if (size == 0)
    wake_readers(g);
  touch(g);
  cache_trim(g->cache);
  return 0;
}

static uint32_t chunk_size(const struct subgroup *sg)
{
  uint64_t want = missing(sg);
  if (want < sg->received / 2)
    want = sg->received / 2;
  if (want < CHUNK_MIN)
    want = CHUNK_MIN;
  return want < CHUNK_MAX ? (uint32_t)want : CHUNK_MAX;
}

static bool chunk_fits(const struct subgroup *sg, const struct chunk *c)
{
  uint32_t room = c->cap - c->len;
  bool begins = sg->received == last_object(sg)->offset;
  return room > 0 && !(begins && room < CHUNK_MIN && room < missing(sg));
}

/* The chunk that the log goes on in, with room in it. NULL without memory. */
static struct chunk *chunk_for(struct group *g, struct subgroup *sg)
{
  if (sg->piece_n > 0) {
    struct chunk *c = sg->pieces[sg->piece_n - 1].chunk;
    if (chunk_fits(sg, c))
      return c;
  }
  struct piece *pieces = group_grow(g, sg->pieces, &sg->piece_cap, sg->piece_n + 1, sizeof *pieces);
  if (!pieces)
    return NULL;
  sg->pieces = pieces;
  struct chunk *c = chunk_new(&g->model->chunks, chunk_size(sg));
  if (!c)
    return NULL;
  group_charge(g, sizeof *c + c->cap);
  pieces[sg->piece_n++] = (struct piece){c, sg->received};
  return c;
}

int group_append(struct group *g, uint64_t subgroup, struct slice payload)
{
  if (g->state != GROUP_OPEN)
    return -EPIPE;
  struct subgroup *sg = group_subgroup(g, subgroup);
  if (payload.n > (sg ? missing(sg) : 0))
    return -EPROTO;
  if (payload.n == 0)
    return 0;
  while (payload.n > 0) {
    struct chunk *c = chunk_for(g, sg);
    if (!c)
      return -ENOMEM;
    size_t n = chunk_append(c, payload);
    sg->received += n;
    payload = slice_from(payload, n);
  }
  wake_readers(g);
  touch(g);
  cache_trim(g->cache);
  return 0;
}

int group_finish(struct group *g)
{
  if (g->state != GROUP_OPEN)
    return -EPIPE;
  list_for_each (it, &g->subgroups) {
    if (missing(container_of(it, struct subgroup, link)) > 0)
      return -EPROTO;
  }
  g->state = GROUP_WHOLE;
  wake_readers(g);
  return 0;
}

void group_cut(struct group *g, uint64_t code)
{
  if (g->state != GROUP_OPEN)
    return;
  group_ref(g);
  g->state = GROUP_CUT;
  g->code = code;
  track_forget(g);
  wake_readers(g);
  group_unref(g);
}

void group_evict(struct group *g)
{
  assert(!g->track && !g->evicted);
  group_ref(g);
  list_remove(&g->age);
  leave_share(g);
  g->evicted = true;
  g->cache->leaving += g->bytes;
  model_relieved(g->model);
  g->cache->evicted++;
  g->state = GROUP_CUT;
  g->code = CODE_EVICTED;
  wake_readers(g);
  group_strip(g);
  group_unref(g);
}

/* -- objects as data -- */

size_t group_objects(const struct group *g, uint64_t subgroup)
{
  const struct subgroup *sg = group_subgroup(g, subgroup);
  return sg ? sg->n : 0;
}

const struct object *group_object_at(const struct group *g, uint64_t subgroup, size_t i)
{
  const struct subgroup *sg = group_subgroup(g, subgroup);
  return sg && i < sg->n ? &sg->objects[i] : NULL;
}

/* Index of the piece that holds offset `at` of the log, which is below received. */
static size_t piece_at(const struct subgroup *sg, uint64_t at)
{
  size_t low = 0, high = sg->piece_n;
  while (high - low > 1) {
    size_t mid = low + (high - low) / 2;
    if (sg->pieces[mid].start <= at)
      low = mid;
    else
      high = mid;
  }
  return low;
}

size_t group_payload(const struct group *g, uint64_t subgroup, size_t i, uint64_t from, struct iovec *iov, size_t max)
{
  const struct subgroup *sg = group_subgroup(g, subgroup);
  if (!sg || i >= sg->n || from > sg->objects[i].size)
    return 0;
  const struct object *o = &sg->objects[i];
  uint64_t at = o->offset + from, end = o->offset + o->size;
  if (end > sg->received)
    end = sg->received;
  size_t n = 0;
  for (size_t k = at < end ? piece_at(sg, at) : 0; at < end && n < max; k++) {
    const struct piece *p = &sg->pieces[k];
    uint64_t stop = p->start + p->chunk->len;
    if (stop > end)
      stop = end;
    iov[n++] = (struct iovec){p->chunk->data + (at - p->start), (size_t)(stop - at)};
    at = stop;
  }
  return n;
}
