/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A hash table of things with a parent and a name: parts of paths, tracks of a broadcast. Names
 * come from peers, so the hash is keyed (SipHash-1-3). Intrusive; growing may fail, then chains get
 * longer and nothing else happens. */
#pragma once
#include "base/rng.h"
#include "base/slice.h"

struct name {
  struct name *next;
  const void *parent;
  struct slice s; /* owned by the embedder, unchanged while in a table */
  uint64_t hash;
};

struct names {
  struct name **buckets;
  size_t n, cap; /* cap: a power of two */
  uint64_t key[2];
};

/* 0 or -ENOMEM. */
int names_init(struct names *t, const struct rng *rng);
void names_destroy(struct names *t); /* it is empty */

/* parent and s of e are set; no equal one is in the table. */
void names_add(struct names *t, struct name *e);
void names_remove(struct names *t, struct name *e);
struct name *names_find(const struct names *t, const void *parent, struct slice s);
