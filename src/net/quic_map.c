/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_map.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

static uint64_t rotl(uint64_t v, int n)
{
  return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
  v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
  v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
  v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
  v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

static uint64_t hash(const struct quic_map *m, struct slice key)
{
  uint64_t v[4] = {m->seed[0] ^ 0x736f6d6570736575, m->seed[1] ^ 0x646f72616e646f6d, m->seed[0] ^ 0x6c7967656e657261,
                   m->seed[1] ^ 0x7465646279746573};
  for (size_t left = key.n, at = 0;; at += 8, left -= 8) {
    uint64_t word = 0;
    bool last = left < 8;
    memcpy(&word, key.p + at, last ? left : 8);
    if (last)
      word |= (uint64_t)key.n << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    if (last)
      break;
  }
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++)
    sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int quic_map_init(struct quic_map *m, const struct rng *rng)
{
  *m = (struct quic_map){.mask = BUCKETS_FIRST - 1};
  m->buckets = calloc(BUCKETS_FIRST, sizeof *m->buckets);
  rng_fill(rng, m->seed, sizeof m->seed);
  return m->buckets ? 0 : -ENOMEM;
}

void quic_map_destroy(struct quic_map *m)
{
  free(m->buckets);
  m->buckets = NULL;
}

static void grow(struct quic_map *m)
{
  size_t mask = m->mask * 2 + 1;
  struct quic_node **buckets = calloc(mask + 1, sizeof *buckets);
  if (!buckets)
    return;
  for (size_t i = 0; i <= m->mask; i++) {
    for (struct quic_node *n = m->buckets[i], *next; n; n = next) {
      next = n->next;
      n->next = buckets[n->hash & mask];
      buckets[n->hash & mask] = n;
    }
  }
  free(m->buckets);
  m->buckets = buckets;
  m->mask = mask;
}

static struct quic_node *find(const struct quic_map *m, struct slice key, uint64_t h)
{
  for (struct quic_node *n = m->buckets[h & m->mask]; n; n = n->next) {
    if (n->hash == h && slice_eq(key, slice_of(n->key, n->len)))
      return n;
  }
  return NULL;
}

bool quic_map_insert(struct quic_map *m, struct quic_node *n, struct slice key)
{
  assert(key.n <= QUIC_KEY_MAX);
  uint64_t h = hash(m, key);
  if (find(m, key, h))
    return false;
  if (m->count > m->mask)
    grow(m);
  n->hash = h;
  n->len = (uint8_t)key.n;
  memcpy(n->key, key.p, key.n);
  n->next = m->buckets[h & m->mask];
  m->buckets[h & m->mask] = n;
  m->count++;
  return true;
}

struct quic_node *quic_map_find(const struct quic_map *m, struct slice key)
{
  return key.n > QUIC_KEY_MAX ? NULL : find(m, key, hash(m, key));
}

void quic_map_remove(struct quic_map *m, struct quic_node *n)
{
  struct quic_node **at = &m->buckets[n->hash & m->mask];
  while (*at != n)
    at = &(*at)->next;
  *at = n->next;
  m->count--;
}
