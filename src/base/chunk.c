/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/chunk.h"
#include <assert.h>
#include <stdlib.h>

struct chunk *chunk_new(uint32_t cap)
{
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
  if (--c->refs == 0)
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
