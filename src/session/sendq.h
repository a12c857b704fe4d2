/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Outgoing bytes of a control stream: a queue whose bytes keep their address until they are acknowledged, as transport.h
 * wants. Bounded: a peer that does not read makes the owner fail, not the memory grow. */
#pragma once
#include "base/list.h"
#include "base/slice.h"
#include <sys/uio.h>

struct sendq {
  struct list pieces;
  size_t held, max;        /* bytes not acknowledged yet, and their bound */
  struct list *next;       /* piece with the next byte to send, the head when all is sent */
  size_t next_at, head_at; /* sent bytes of `next`; acknowledged bytes of the first piece */
  bool fin, fin_sent;
};

void sendq_init(struct sendq *q, size_t max);
void sendq_destroy(struct sendq *q);

/* Copies. -ENOBUFS beyond the bound, -ENOMEM. */
int sendq_put(struct sendq *q, struct slice s);
/* The stream ends after what was put. */
void sendq_fin(struct sendq *q);

size_t sendq_pull(const struct sendq *q, struct iovec *iov, size_t max, bool *ret_fin);
/* n of the bytes shown were sent; returns how many of them were the queue's (the rest belongs to what follows it). */
size_t sendq_sent(struct sendq *q, size_t n, bool fin);
void sendq_acked(struct sendq *q, size_t n);
