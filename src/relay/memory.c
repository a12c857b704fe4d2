/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/memory.h"
#include <inttypes.h>

static uint64_t target(const struct memory *m)
{
  return m->config.max - m->config.max / MEMORY_ROOM;
}

static uint64_t least_cache(const struct memory *m)
{
  uint64_t share = target(m) / MEMORY_CACHE_LEAST, configured = m->config.cache_capacity;
  return configured > 0 && configured < share ? configured : share;
}

static uint64_t evictable(const struct memory *m)
{
  const struct cache *c = m->config.cache;
  return c->used - c->leaving;
}

/* What is in use. The allocator is asked, which takes longer, when the kernel's figure leaves doubt: that counts what is
 * free but not given back as well. */
static uint64_t usage(const struct memory *m, uint64_t resident)
{
  const struct memory_config *c = &m->config;
  uint64_t allocated = resident > target(m) / 2 ? c->ops->allocated(c->ctx) : 0;
  return allocated == 0 || m->base + allocated > resident ? resident : m->base + allocated;
}

/* Step 1. `kept` is resident and free, and no use to the cache. */
static void share_with_cache(struct memory *m, uint64_t kept, uint64_t now)
{
  uint64_t least = least_cache(m), top = target(m), configured = m->config.cache_capacity, beside = m->fixed + kept;
  uint64_t capacity = top > beside ? top - beside : 0;
  if (configured > 0 && capacity > configured)
    capacity = configured;
  if (capacity < least)
    capacity = least;
  if (capacity < evictable(m))
    limit_hit(m->config.counts, LIMIT_MEMORY, now, "the cache gets %" PRIu64 " bytes", capacity);
  cache_resize(m->config.cache, capacity);
}

static void give_back(struct memory *m, uint64_t kept, uint64_t now)
{
  m->config.ops->release(m->config.ctx);
  if (kept <= m->config.max / MEMORY_ROOM / 2 || now - m->trimmed < MEMORY_TRIM_NS)
    return;
  m->trimmed = now;
  m->config.ops->trim(m->config.ctx);
}

/* Step 2. */
static uint64_t close_slowest(const struct memory *m, uint64_t over)
{
  bool slow_only = over <= m->config.max / MEMORY_ROOM / 2;
  return m->config.ops->close_slowest(m->config.ctx, over + target(m) / MEMORY_SPARE,
                                      slow_only ? MEMORY_HELD_LEAST : 0);
}

/* Step 3. */
static void set_refusing(struct memory *m, bool refusing)
{
  if (refusing == m->refusing)
    return;
  m->refusing = refusing;
  if (refusing)
    log_warn(m->config.log, "memory.max: new sessions are refused, %" PRIu64 " bytes are in use beside the cache",
             m->fixed);
  else
    log_info(m->config.log, "memory.max: new sessions are let in again");
}

/* `extra`: what is about to come. */
static void look(struct memory *m, uint64_t extra, uint64_t now)
{
  const struct memory_config *c = &m->config;
  uint64_t top = target(m), resident = c->ops->resident(c->ctx), spare = c->ops->spare(c->ctx);
  uint64_t used = usage(m, resident), cached = evictable(m);
  uint64_t kept = resident > used + spare ? resident - used - spare : 0;
  m->looked = now;
  m->begun = 0;
  m->fixed = used > cached ? used - cached : 0;
  share_with_cache(m, kept, now);
  give_back(m, kept, now);
  uint64_t need = m->fixed + least_cache(m) + extra, over = need > top ? need - top : 0, closing = 0;
  if (over > 0)
    closing = close_slowest(m, over);
  m->fixed -= closing < m->fixed ? closing : m->fixed;
  set_refusing(m, over > closing || (m->refusing && need > top - top / MEMORY_EASE));
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct memory *m = container_of(t, struct memory, timer);
  look(m, 0, now);
  bool calm = m->fixed + evictable(m) < target(m) / 2;
  timers_set(m->config.timers, t, calm ? timers_lazy(now, now + MEMORY_REST_NS) : now + MEMORY_LOOK_NS);
}

static bool has_room(const struct memory *m)
{
  return m->fixed + m->begun + MEMORY_NEWCOMER <= target(m) - least_cache(m);
}

bool memory_full(struct memory *m, uint64_t now)
{
  if (m->config.max == 0)
    return false;
  if (!has_room(m) && now - m->looked >= MEMORY_AGAIN_NS)
    look(m, MEMORY_NEWCOMER, now);
  if (m->refusing || !has_room(m))
    return true;
  m->begun += MEMORY_NEWCOMER;
  return false;
}

void memory_init(struct memory *m, const struct memory_config *config, uint64_t now)
{
  *m = (struct memory){.config = *config};
  timer_init(&m->timer, on_timer);
  if (config->max == 0)
    return;
  uint64_t resident = config->ops->resident(config->ctx), allocated = config->ops->allocated(config->ctx);
  m->base = resident > allocated ? resident - allocated : 0;
  on_timer(&m->timer, now);
}

void memory_destroy(struct memory *m)
{
  if (m->config.timers)
    timers_cancel(m->config.timers, &m->timer);
}
