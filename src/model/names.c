/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/names.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NAMES_MIN 16

struct sip {
  uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, int n)
{
  return x << n | x >> (64 - n);
}

static void sip_round(struct sip *v)
{
  v->a += v->b;
  v->c += v->d;
  v->b = rotate(v->b, 13) ^ v->a;
  v->d = rotate(v->d, 16) ^ v->c;
  v->a = rotate(v->a, 32);
  v->c += v->b;
  v->a += v->d;
  v->b = rotate(v->b, 17) ^ v->c;
  v->d = rotate(v->d, 21) ^ v->a;
  v->c = rotate(v->c, 32);
}

static void sip_word(struct sip *v, uint64_t m)
{
  v->d ^= m;
  sip_round(v);
  v->a ^= m;
}

/* SipHash-1-3 of the parent's address and the name. */
static uint64_t hash(const struct names *t, const void *parent, struct slice s)
{
  struct sip v = {t->key[0] ^ 0x736f6d6570736575, t->key[1] ^ 0x646f72616e646f6d, t->key[0] ^ 0x6c7967656e657261,
                  t->key[1] ^ 0x7465646279746573};
  sip_word(&v, (uint64_t)(uintptr_t)parent);
  size_t left = s.n;
  for (const uint8_t *p = s.p; left >= 8; p += 8, left -= 8) {
    uint64_t m;
    memcpy(&m, p, 8);
    sip_word(&v, m);
  }
  uint64_t last = (uint64_t)s.n << 56;
  if (left > 0)
    memcpy(&last, s.p + s.n - left, left);
  sip_word(&v, last);
  v.c ^= 0xff;
  for (int i = 0; i < 3; i++)
    sip_round(&v);
  return v.a ^ v.b ^ v.c ^ v.d;
}

int names_init(struct names *t, const struct rng *rng)
{
  struct name **buckets = calloc(NAMES_MIN, sizeof *buckets);
  if (!buckets)
    return -ENOMEM;
  *t = (struct names){.buckets = buckets, .cap = NAMES_MIN};
  rng_fill(rng, t->key, sizeof t->key);
  return 0;
}

void names_destroy(struct names *t)
{
  assert(t->n == 0);
  free(t->buckets);
  *t = (struct names){0};
}

static struct name **bucket(const struct names *t, uint64_t h)
{
  return &t->buckets[h & (t->cap - 1)];
}

static void grow(struct names *t)
{
  struct names bigger = *t;
  bigger.cap *= 2;
  bigger.buckets = calloc(bigger.cap, sizeof *bigger.buckets);
  if (!bigger.buckets)
    return;
  for (size_t i = 0; i < t->cap; i++) {
    for (struct name *e = t->buckets[i], *next; e; e = next) {
      next = e->next;
      struct name **at = bucket(&bigger, e->hash);
      e->next = *at;
      *at = e;
    }
  }
  free(t->buckets);
  *t = bigger;
}

void names_add(struct names *t, struct name *e)
{
  if (t->n >= t->cap)
    grow(t);
  e->hash = hash(t, e->parent, e->s);
  struct name **at = bucket(t, e->hash);
  e->next = *at;
  *at = e;
  t->n++;
}

void names_remove(struct names *t, struct name *e)
{
  struct name **at = bucket(t, e->hash);
  while (*at != e) {
    assert(*at);
    at = &(*at)->next;
  }
  *at = e->next;
  t->n--;
}

struct name *names_find(const struct names *t, const void *parent, struct slice s)
{
  uint64_t h = hash(t, parent, s);
  for (struct name *e = *bucket(t, h); e; e = e->next) {
    if (e->hash == h && e->parent == parent && slice_eq(e->s, s))
      return e;
  }
  return NULL;
}
