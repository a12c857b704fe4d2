/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Randomness as an interface: the kernel's for the product, a seeded one for tests. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct rng {
  void (*fill)(void *ctx, void *p, size_t n);
  void *ctx;
};

static inline void rng_fill(const struct rng *r, void *p, size_t n)
{
  r->fill(r->ctx, p, n);
}

static inline uint64_t rng_u64(const struct rng *r)
{
  uint64_t v;
  rng_fill(r, &v, sizeof v);
  return v;
}

/* Uniform enough in [0, n); n > 0. */
static inline uint64_t rng_below(const struct rng *r, uint64_t n)
{
  return rng_u64(r) % n;
}

/* getrandom(2); ends the process if the kernel has none to give, since nothing safe can follow. */
struct rng rng_system(void);

/* splitmix64 from *state, which the caller keeps. Not for secrets. */
struct rng rng_seeded(uint64_t *state);
