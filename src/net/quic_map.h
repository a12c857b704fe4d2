/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A hash map with short byte strings as keys (connection IDs, reset tokens, addresses) whose nodes
 * live in the values. Peers choose some of the keys, so the hash is keyed (SipHash-1-3). It grows
 * by itself; when memory for growing is short it only gets slower. */
#pragma once
#include "base/rng.h"
#include "base/slice.h"

#define QUIC_KEY_MAX 20

struct quic_node {
  struct quic_node *next;
  uint64_t hash;
  uint8_t len, key[QUIC_KEY_MAX];
};

struct quic_map {
  struct quic_node **buckets;
  size_t mask, count;
  uint64_t seed[2];
};

/* 0 or -ENOMEM. */
int quic_map_init(struct quic_map *m, const struct rng *rng);
void quic_map_destroy(struct quic_map *m); /* must be empty of nodes that matter */

/* key.n <= QUIC_KEY_MAX. False when the key is there already: then n was not inserted. */
bool quic_map_insert(struct quic_map *m, struct quic_node *n, struct slice key);
struct quic_node *quic_map_find(const struct quic_map *m, struct slice key);
void quic_map_remove(struct quic_map *m, struct quic_node *n); /* n must be in m */
