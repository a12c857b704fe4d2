/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "session/sendq.h"
#include <errno.h>
#include <stdlib.h>

#define PIECE_MIN 256

struct piece {
  struct list link;
  size_t n, cap;
  uint8_t data[];
};

static struct piece *piece_of(struct list *l)
{
  return container_of(l, struct piece, link);
}

void sendq_init(struct sendq *q, size_t max)
{
  *q = (struct sendq){.max = max};
  list_init(&q->pieces);
  q->next = &q->pieces;
}

void sendq_destroy(struct sendq *q)
{
  if (!q->pieces.next)
    return;
  list_for_each_safe (it, tmp, &q->pieces)
    free(piece_of(it));
  sendq_init(q, q->max);
}

/* The last piece when n bytes fit behind what it has, else a new one. */
static struct piece *room(struct sendq *q, size_t n)
{
  struct piece *last = list_empty(&q->pieces) ? NULL : piece_of(q->pieces.prev);
  if (last && last->cap - last->n >= n)
    return last;
  size_t cap = n > PIECE_MIN ? n : PIECE_MIN;
  struct piece *p = malloc(sizeof *p + cap);
  if (!p)
    return NULL;
  p->n = 0;
  p->cap = cap;
  list_append(&q->pieces, &p->link);
  return p;
}

int sendq_put(struct sendq *q, struct slice s)
{
  if (s.n > q->max - q->held)
    return -ENOBUFS;
  if (s.n == 0)
    return 0;
  struct piece *p = room(q, s.n);
  if (!p)
    return -ENOMEM;
  if (q->next == &q->pieces) {
    q->next = &p->link;
    q->next_at = p->n;
  }
  memcpy(p->data + p->n, s.p, s.n);
  p->n += s.n;
  q->held += s.n;
  return 0;
}

void sendq_fin(struct sendq *q)
{
  q->fin = true;
}

size_t sendq_pull(const struct sendq *q, struct iovec *iov, size_t max, bool *ret_fin)
{
  size_t n = 0, at = q->next_at;
  struct list *it = q->next;
  for (; it != &q->pieces && n < max; it = it->next, at = 0) {
    struct piece *p = piece_of(it);
    iov[n++] = (struct iovec){p->data + at, p->n - at};
  }
  *ret_fin = q->fin && it == &q->pieces;
  return n;
}

size_t sendq_sent(struct sendq *q, size_t n, bool fin)
{
  size_t taken = 0;
  while (taken < n && q->next != &q->pieces) {
    struct piece *p = piece_of(q->next);
    size_t k = p->n - q->next_at < n - taken ? p->n - q->next_at : n - taken;
    taken += k;
    q->next_at += k;
    if (q->next_at == p->n) {
      q->next = q->next->next;
      q->next_at = 0;
    }
  }
  if (fin)
    q->fin_sent = true;
  return taken;
}

void sendq_acked(struct sendq *q, size_t n)
{
  q->held -= n < q->held ? n : q->held;
  while (n > 0 && !list_empty(&q->pieces)) {
    struct piece *p = piece_of(q->pieces.next);
    size_t k = p->n - q->head_at;
    if (n < k || &p->link == q->next) {
      q->head_at += n < k ? n : k;
      return;
    }
    n -= k;
    q->head_at = 0;
    list_remove(&p->link);
    free(p);
  }
}
