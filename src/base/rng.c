/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/rng.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void kernel(void *ctx, void *p, size_t n)
{
  (void)ctx;
  uint8_t *out = p;
  while (n > 0) {
    ssize_t got = getrandom(out, n, 0);
    if (got < 0 && errno != EINTR)
      abort();
    if (got > 0) {
      out += got;
      n -= (size_t)got;
    }
  }
}

struct rng rng_system(void)
{
  return (struct rng){kernel, NULL};
}

static uint64_t splitmix(uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

static void seeded(void *ctx, void *p, size_t n)
{
  uint8_t *out = p;
  while (n > 0) {
    uint64_t v = splitmix(ctx);
    size_t k = n < sizeof v ? n : sizeof v;
    memcpy(out, &v, k);
    out += k;
    n -= k;
  }
}

struct rng rng_seeded(uint64_t *state)
{
  return (struct rng){seeded, state};
}
