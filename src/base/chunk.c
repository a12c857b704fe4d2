/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/chunk.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

/* At the start of its memory, which is aligned to its size, so that a chunk's address tells its slab. */
struct slab {
  struct list link; /* in the pool's partial or spare; alone when it is full */
  struct chunk_pool *pool;
  void *free; /* chunks that were given back: each holds the next one's address */
  uint32_t touched, used, class;
};

static const uint16_t caps[CHUNK_CLASSES] = {256,  384,  512,  768,  1024,  1536,         2048,
                                             3072, 4096, 6144, 8192, 12288, CHUNK_CAP_MAX};

#ifdef __SANITIZE_ADDRESS__
#define SLABS false
#else
#define SLABS true
#endif

static size_t slot_bytes(uint32_t class)
{
  return sizeof(struct chunk) + caps[class];
}

static uint32_t slots(uint32_t class)
{
  return (uint32_t)((CHUNK_SLAB_BYTES - sizeof(struct slab)) / slot_bytes(class));
}

static struct slab *slab_of(const void *p)
{
  return (struct slab *)((uintptr_t)p & ~(uintptr_t)(CHUNK_SLAB_BYTES - 1));
}

/* ---- slabs ---- */

/* Twice as much is mapped, then what is not aligned goes. NULL without memory. */
static struct slab *slab_map(void)
{
  uint8_t *p = mmap(NULL, 2 * CHUNK_SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return NULL;
  size_t before = (CHUNK_SLAB_BYTES - (uintptr_t)p % CHUNK_SLAB_BYTES) % CHUNK_SLAB_BYTES;
  if (before > 0)
    munmap(p, before);
  munmap(p + before + CHUNK_SLAB_BYTES, CHUNK_SLAB_BYTES - before);
  return (struct slab *)(void *)(p + before);
}

/* A slab of that class with all its room: a spare one, else a new one. */
static struct slab *slab_take(struct chunk_pool *p, uint32_t class)
{
  struct slab *s;
  if (!list_empty(&p->spare)) {
    s = container_of(p->spare.prev, struct slab, link); /* the one that was used last */
    list_remove(&s->link);
    p->spare_n--;
  } else {
    s = slab_map();
    if (!s)
      return NULL;
    list_init(&s->link);
  }
  s->pool = p;
  s->free = NULL;
  s->touched = s->used = 0;
  s->class = class;
  list_append(&p->partial[class], &s->link);
  p->used_n++;
  return s;
}

static struct chunk *slab_chunk(struct slab *s)
{
  void *c = s->free;
  if (c)
    s->free = *(void **)c;
  else
    c = (uint8_t *)(s + 1) + s->touched++ * slot_bytes(s->class);
  if (++s->used == slots(s->class))
    list_remove(&s->link);
  return c;
}

static void slab_give_back(struct slab *s, struct chunk *c)
{
  struct chunk_pool *p = s->pool;
  if (s->used-- == slots(s->class))
    list_append(&p->partial[s->class], &s->link);
  *(void **)(void *)c = s->free;
  s->free = c;
  if (s->used > 0)
    return;
  list_remove(&s->link);
  list_append(&p->spare, &s->link);
  p->used_n--;
  p->spare_n++;
}

/* ---- pools ---- */

void chunk_pool_init(struct chunk_pool *p)
{
  *p = (struct chunk_pool){.slabs = SLABS};
  for (size_t i = 0; i < CHUNK_CLASSES; i++)
    list_init(&p->partial[i]);
  list_init(&p->spare);
}

static void release_one(struct chunk_pool *p)
{
  struct slab *s = container_of(p->spare.next, struct slab, link);
  list_remove(&s->link);
  p->spare_n--;
  munmap(s, CHUNK_SLAB_BYTES);
}

bool chunk_pool_release(struct chunk_pool *p, size_t max)
{
  size_t keep = p->used_n / CHUNK_SPARE;
  for (; max > 0 && p->spare_n > keep; max--)
    release_one(p);
  return p->spare_n > keep;
}

void chunk_pool_destroy(struct chunk_pool *p)
{
  assert(p->used_n == 0);
  while (!list_empty(&p->spare))
    release_one(p);
}

static struct chunk *pool_chunk(struct chunk_pool *p, uint32_t cap)
{
  uint32_t class = 0;
  while (caps[class] < cap)
    class ++;
  struct list *partial = &p->partial[class];
  struct slab *s = list_empty(partial) ? slab_take(p, class) : container_of(partial->next, struct slab, link);
  if (!s)
    return NULL;
  struct chunk *c = slab_chunk(s);
  *c = (struct chunk){.refs = 1, .cap = caps[class], .pooled = true};
  return c;
}

/* ---- chunks ---- */

struct chunk *chunk_new(struct chunk_pool *p, uint32_t cap)
{
  if (p && p->slabs && cap <= CHUNK_CAP_MAX)
    return pool_chunk(p, cap);
  struct chunk *c = malloc(sizeof *c + cap);
  if (!c)
    return NULL;
  *c = (struct chunk){.refs = 1, .cap = cap};
  return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
  assert(c->refs > 0 && c->refs < UINT32_MAX);
  c->refs++;
  return c;
}

void chunk_unref(struct chunk *c)
{
  if (!c)
    return;
  assert(c->refs > 0);
  if (--c->refs > 0)
    return;
  if (c->pooled)
    slab_give_back(slab_of(c), c);
  else
    free(c);
}

size_t chunk_append(struct chunk *c, struct slice s)
{
  size_t n = c->cap - c->len;
  if (n > s.n)
    n = s.n;
  if (n > 0)
    memcpy(c->data + c->len, s.p, n);
  c->len += (uint32_t)n;
  return n;
}
