/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What ngtcp2 holds for a connection, counted and bounded. A peer that opens every stream it may and sends each one's second
 * byte first makes it keep 8 KiB a stream for a dozen bytes of its own, far below any window. */
#include "net/quic_impl.h"
#include <malloc.h>
#include <stdlib.h>

static bool fits(struct quic_conn *c, size_t n)
{
  uint64_t max = c->ep->config.limits.connection_bytes;
  if (max == 0 || c->memory_full || c->memory + n <= max)
    return true;
  c->memory_full = true; /* it ends now, and its end needs some */
  quic_conn_dirty(c);    /* not every call of ngtcp2 that fails ends it */
  c->ep->stats.over_memory++;
  quic_conn_over(c, LIMIT_CONNECTION_BYTES);
  return false;
}

static void count(struct quic_conn *c, size_t before, size_t after)
{
  struct quic_endpoint *ep = c->ep;
  c->memory += after - before;
  ep->memory += after - before;
  if (ep->memory > ep->peaks.memory)
    ep->peaks.memory = ep->memory;
}

static void *counted(struct quic_conn *c, void *p)
{
  if (p)
    count(c, 0, malloc_usable_size(p));
  return p;
}

static void *on_malloc(size_t n, void *user)
{
  return fits(user, n) ? counted(user, malloc(n)) : NULL;
}

static void *on_calloc(size_t n, size_t size, void *user)
{
  return fits(user, n * size) ? counted(user, calloc(n, size)) : NULL;
}

static void on_free(void *p, void *user)
{
  if (p)
    count(user, malloc_usable_size(p), 0);
  free(p);
}

static void *on_realloc(void *p, size_t n, void *user)
{
  size_t before = p ? malloc_usable_size(p) : 0;
  void *q = fits(user, n) ? realloc(p, n) : NULL;
  if (q)
    count(user, before, malloc_usable_size(q));
  return q;
}

void quic_memory_init(struct quic_conn *c)
{
  c->mem = (ngtcp2_mem){c, on_malloc, on_free, on_calloc, on_realloc};
}
