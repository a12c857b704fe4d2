/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "load.h"

static unsigned slot_of(uint64_t v)
{
  if (v < HISTOGRAM_STEPS)
    return (unsigned)v;
  unsigned shift = 63 - (unsigned)__builtin_clzll(v) - 5;
  return (shift + 1) * HISTOGRAM_STEPS + (unsigned)(v >> shift) - HISTOGRAM_STEPS;
}

static uint64_t value_of(unsigned slot)
{
  if (slot < HISTOGRAM_STEPS)
    return slot;
  unsigned shift = slot / HISTOGRAM_STEPS - 1;
  return ((uint64_t)(slot % HISTOGRAM_STEPS) + HISTOGRAM_STEPS) << shift;
}

void histogram_add(struct histogram *h, uint64_t v)
{
  h->n++;
  h->slot[slot_of(v)]++;
  if (v > h->max)
    h->max = v;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
  to->n += from->n;
  if (from->max > to->max)
    to->max = from->max;
  for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++)
    to->slot[i] += from->slot[i];
}

uint64_t histogram_at(const struct histogram *h, double part)
{
  uint64_t want = (uint64_t)((double)h->n * part), seen = 0;
  for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
    seen += h->slot[i];
    if (seen > want)
      return value_of(i);
  }
  return h->max;
}
