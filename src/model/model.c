/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/private.h"
#include <assert.h>

void model_limits_default(struct model_limits *ret_limits)
{
  *ret_limits = (struct model_limits){
      .broadcasts = 100000,
      .routes_per_path = 16,
      .tracks_per_broadcast = 1024,
      .tracks = 100000,
      .subs_per_track = 100000,
      .subs = 200000,
      .objects_per_group = 8192,
      .bytes_per_group = 32 << 20,
      .bytes_per_object = 32 << 20,
      .groups_per_track = 1024,
      .max_age_ns = 30 * NS_PER_S,
      .sub_behind_bytes = 64 << 20,
      .look_back = 64,
      .deliveries_per_sub = 1024,
      .info_timeout_ns = 10 * NS_PER_S,
      .fetch_timeout_ns = 10 * NS_PER_S,
      .track_linger_ns = 2 * NS_PER_S,
      .linger_ns = 5 * NS_PER_S,
      .pressure_ns = NS_PER_S,
      .parting_ns = 5 * NS_PER_S,
      .handover_ns = NS_PER_S,
  };
}

/* -- pressure -- */

bool model_pressed(const struct model *m)
{
  return cache_pressed(&m->cache);
}

static void release(struct model *m)
{
  struct list todo;
  list_init(&todo);
  list_move_all(&m->pressed, &todo);
  timers_cancel(m->timers, &m->pressure_timer);
  while (!list_empty(&todo)) {
    struct pressure_wait *w = container_of(todo.next, struct pressure_wait, link);
    list_remove(&w->link);
    w->over(w);
  }
}

static void on_pressure(struct timer *timer, uint64_t now)
{
  struct model *m = container_of(timer, struct model, pressure_timer);
  model_saw(m, now);
  cache_relieve(&m->cache);
  release(m);
}

void model_wait_pressure(struct model *m, struct pressure_wait *w, uint64_t now)
{
  model_saw(m, now);
  if (!list_empty(&w->link))
    return;
  if (list_empty(&m->pressed))
    timers_set(m->timers, &m->pressure_timer, add_sat(now, m->limits.pressure_ns));
  list_append(&m->pressed, &w->link);
}

void model_relieved(struct model *m)
{
  if (!list_empty(&m->pressed) && !model_pressed(m) && m->defer)
    m->defer(m->ctx);
}

/* -- the model -- */

void model_init(struct model *m, struct timers *timers, struct rng rng, size_t cache_capacity, void (*defer)(void *),
                void *ctx)
{
  *m = (struct model){.timers = timers, .rng = rng, .defer = defer, .ctx = ctx};
  model_limits_default(&m->limits);
  cache_init(&m->cache, cache_capacity);
  chunk_pool_init(&m->chunks);
  m->hop_id = rng_below(&rng, (1ULL << 53) - 1) + 1;
  list_init(&m->pending);
  list_init(&m->failed);
  list_init(&m->pressed);
  timer_init(&m->pressure_timer, on_pressure);
}

void model_destroy(struct model *m)
{
  assert(list_empty(&m->pending) && list_empty(&m->failed) && list_empty(&m->pressed));
  timers_cancel(m->timers, &m->pressure_timer);
  assert(m->broadcasts_now == 0 && m->tracks_now == 0 && m->subs_now == 0);
  cache_destroy(&m->cache);
  chunk_pool_destroy(&m->chunks);
}

#define NODES_PER_PATH 2
#define NAME_BYTES 32

size_t model_memory(const struct model *m)
{
  size_t path = NODES_PER_PATH * (sizeof(struct node) + NAME_BYTES);
  return m->broadcasts_now * (path + sizeof(struct broadcast) + sizeof(struct route)) +
         m->tracks_now * (sizeof(struct track) + NAME_BYTES);
}

void model_run(struct model *m, uint64_t now)
{
  struct list todo;
  list_init(&todo);
  model_saw(m, now);
  if (!list_empty(&m->pressed) && !model_pressed(m))
    release(m);
  fetch_run_failed(m);
  list_move_all(&m->pending, &todo);
  while (!list_empty(&todo)) {
    struct sub *s = container_of(todo.next, struct sub, pending);
    list_remove(&s->pending);
    sub_run(s, now);
  }
}
