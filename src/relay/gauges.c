/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/relay_impl.h"
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define TIDY_INTERVAL_NS (5 * NS_PER_S)
#define SLABS_AT_ONCE 32 /* of payload given back in a turn of the loop */
#define SLABS_INTERVAL_NS (20 * NS_PER_MS)

/* The most that an endpoint held since the last time, and what it holds now. */
static void add_peaks(struct quic_endpoint *ep, struct quic_peaks *most, struct quic_peaks *now_there)
{
  struct quic_peaks p[2];
  for (size_t i = 0; i < 2; i++) {
    quic_endpoint_peaks(ep, &p[i]);
    struct quic_peaks *sum = i == 0 ? most : now_there;
    sum->connections += p[i].connections;
    sum->memory += p[i].memory;
  }
}

static uint64_t resident(void *ctx)
{
  unsigned long long pages = 0;
  FILE *f = fopen("/proc/self/statm", "re");
  if (!f)
    return 0;
  if (fscanf(f, "%*u %llu", &pages) != 1)
    pages = 0;
  fclose(f);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t allocated(void *ctx)
{
  const struct relay *r = ctx;
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd + chunk_pool_used(&r->model.chunks);
}

static uint64_t close_slowest(void *ctx, uint64_t bytes, uint64_t least)
{
  struct relay *r = ctx;
  return guests_close_largest(&r->guests, bytes, least, &r->counts);
}

/* Nothing else happens meanwhile. */
static void give_back(void *ctx)
{
  struct relay *r = ctx;
  uint64_t from = clock_now(&r->worker.clock), before = resident(NULL);
  malloc_trim(0);
  log_debug(r->log, "memory given back: resident %" PRIu64 " -> %" PRIu64 " in %" PRIu64 " us", before, resident(NULL),
            (clock_now(&r->worker.clock) - from) / 1000);
}

static void look(struct timer *t, uint64_t now)
{
  struct relay *r = container_of(t, struct relay, look);
  bool more = chunk_pool_release(&r->model.chunks, SLABS_AT_ONCE);
  timers_set(&r->worker.timers, t, now + (more ? SLABS_INTERVAL_NS : TIDY_INTERVAL_NS));
  struct quic_peaks most = {0}, now_there = {0};
  for (size_t i = 0; i < r->endpoint_count; i++)
    add_peaks(r->endpoints[i], &most, &now_there);
  size_t cached = r->model.cache.used;
  bool due = tidy_due(&r->tidy, most.connections, cached + most.memory);
  if (tidy_due(&r->tidy, now_there.connections, cached + now_there.memory) || due)
    give_back(r);
}

static uint64_t spare(void *ctx)
{
  const struct relay *r = ctx;
  return chunk_pool_spare(&r->model.chunks);
}

static void release(void *ctx)
{
  struct relay *r = ctx;
  chunk_pool_release(&r->model.chunks, SLABS_AT_ONCE);
}

static const struct memory_ops memory_ops = {resident, allocated, close_slowest, spare, release, give_back};

void relay_start_tidy(struct relay *r)
{
  timer_init(&r->look, look);
  timers_set(&r->worker.timers, &r->look, r->worker.now + TIDY_INTERVAL_NS);
}

void relay_start_memory(struct relay *r)
{
  const struct memory_config config = {.max = r->config->memory_max,
                                       .cache_capacity = r->config->cache_capacity,
                                       .cache = &r->model.cache,
                                       .timers = &r->worker.timers,
                                       .log = r->log,
                                       .counts = &r->counts,
                                       .ops = &memory_ops,
                                       .ctx = r};
  memory_init(&r->memory, &config, r->worker.now);
}

static bool full(struct relay *r, const char *kind)
{
  if (!memory_full(&r->memory, r->worker.now))
    return false;
  limit_hit(&r->counts, LIMIT_MEMORY, r->worker.now, "refused kind=%s", kind);
  return true;
}

bool relay_quic_full(void *ctx, const union udp_addr *peer)
{
  return full(ctx, "quic");
}

bool relay_guests_full(void *ctx, const struct sockaddr_storage *peer)
{
  return full(ctx, "webtransport");
}

bool relay_http_full(void *ctx)
{
  return full(ctx, "http");
}

void relay_memory(const struct relay *r, struct memory_gauges *g)
{
  const struct cache *c = &r->model.cache;
  size_t payload = cache_payload(c);
  *g = (struct memory_gauges){.max = r->config->memory_max,
                              .resident = resident(NULL),
                              .allocated = allocated((void *)(uintptr_t)r),
                              .cache_capacity = c->capacity,
                              .cache_payload = payload,
                              .cache_metadata = c->used - c->leaving - payload,
                              .cache_leaving = c->leaving,
                              .model = model_memory(&r->model),
                              .sessions = guests_memory(&r->guests),
                              .http = http_server_memory(r->http) + http_server_memory(r->https) +
                                      http_server_memory(r->internal),
                              .refusing = r->memory.refusing};
  for (size_t i = 0; i < r->endpoint_count; i++)
    g->quic += quic_endpoint_memory(r->endpoints[i]);
}

/* What /metrics shows beside the counters. */
size_t relay_gauges(void *ctx, struct gauge *ret_rows, size_t max)
{
  const struct relay *r = ctx;
  size_t connections = 0;
  static const char memory[] = "moq_relay_memory_bytes", memory_help[] = "Memory by what holds it, computed.";
  struct memory_gauges m;
  relay_memory(r, &m);
  for (size_t i = 0; i < r->endpoint_count; i++)
    connections += quic_endpoint_connections(r->endpoints[i]);
  const struct gauge rows[] = {
      {"moq_relay_connections", "QUIC connections, handshakes included.", NULL, NULL, connections},
      {"moq_relay_sessions", "Sessions, those not yet admitted included.", NULL, NULL, r->guests.count},
      {"moq_relay_broadcasts", "Broadcasts that are announced or linger.", NULL, NULL, r->model.broadcasts_now},
      {"moq_relay_tracks", "Tracks.", NULL, NULL, r->model.tracks_now},
      {"moq_relay_subscriptions", "Subscriptions of viewers.", NULL, NULL, r->model.subs_now},
      {"moq_relay_cache_bytes", "Memory of cached groups.", NULL, NULL, r->model.cache.used},
      {"moq_relay_cache_capacity_bytes", "What it may be now; 0 = no bound.", NULL, NULL, m.cache_capacity},
      {memory, memory_help, "class", "cache_payload", m.cache_payload},
      {memory, memory_help, "class", "cache_metadata", m.cache_metadata},
      {memory, memory_help, "class", "cache_leaving", m.cache_leaving},
      {memory, memory_help, "class", "model", m.model},
      {memory, memory_help, "class", "sessions", m.sessions},
      {memory, memory_help, "class", "quic", m.quic},
      {memory, memory_help, "class", "http", m.http},
      {"moq_relay_memory_resident_bytes", "Memory of the process, by the kernel.", NULL, NULL, m.resident},
      {"moq_relay_memory_allocated_bytes", "The same, by the allocator; 0 = unknown.", NULL, NULL, m.allocated},
      {"moq_relay_memory_max_bytes", "memory.max; 0 = no bound.", NULL, NULL, m.max},
      {"moq_relay_memory_refusing", "Whether new sessions are refused: memory is short.", NULL, NULL, m.refusing},
  };
  size_t n = sizeof rows / sizeof *rows < max ? sizeof rows / sizeof *rows : max;
  memcpy(ret_rows, rows, n * sizeof *rows);
  return n;
}
