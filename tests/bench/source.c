/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "load.h"
#include "client/connect.h"
#include "client/publisher.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK (10 * NS_PER_MS)
#define CATCH_UP_MAX 64 /* frames at once, after a delay */
#define CACHE (256u << 20)
#define CONNECT_NS (10 * NS_PER_S)
#define HOP_ID 4711

struct source {
  const struct options *options;
  struct shared *shared;
  uv_loop_t loop;
  struct worker worker;
  struct log log;
  struct model model;
  struct origin *origin;
  struct connection *connection;
  struct publisher *publisher;
  struct publisher_track *track;
  struct deferred model_work;
  struct timer timer;
  uint64_t from, frames, group, index; /* schedule begins; what comes next */
  bool up, ended;
};

/* ---- the pattern, which viewers know as well ---- */

#define PATTERN_OFFSETS 4096
static uint8_t *pattern;

int pattern_init(size_t frame_max)
{
  uint64_t state = 42;
  struct rng rng = rng_seeded(&state);
  pattern = malloc(frame_max + PATTERN_OFFSETS);
  if (!pattern)
    return -ENOMEM;
  rng_fill(&rng, pattern, frame_max + PATTERN_OFFSETS);
  return 0;
}

const uint8_t *pattern_at(uint64_t group, uint64_t index)
{
  return pattern + (group * 131 + index * 17) % PATTERN_OFFSETS;
}

/* ---- frames ---- */

static int publish_frame(struct source *s, uint64_t due)
{
  const struct options *o = s->options;
  uint64_t now = clock_now(&s->worker.clock);
  struct stamp stamp = {STAMP_MAGIC, s->group, s->index, now, o->size};
  struct slice parts[] = {slice_of(&stamp, sizeof stamp),
                          slice_of(pattern_at(s->group, s->index), o->size - sizeof stamp)};
  int rc = s->index == 0 ? publisher_group(s->track, s->worker.now) : 0;
  if (rc == 0)
    rc = publisher_frame(s->track, (now - s->from) / 1000, parts, 2);
  if (rc < 0)
    return rc;
  atomic_fetch_add(&s->shared->source_frames, 1);
  if (now - due > atomic_load(&s->shared->source_late_ns))
    atomic_store(&s->shared->source_late_ns, now - due);
  if (++s->index == o->group) {
    publisher_end_group(s->track);
    s->index = 0;
    s->group++;
  }
  return 0;
}

static void publish_due(struct source *s, uint64_t now)
{
  for (int i = 0; i < CATCH_UP_MAX; i++) {
    uint64_t due = s->from + (uint64_t)((double)s->frames / s->options->rate * NS_PER_S);
    if (due > now) {
      timers_set(&s->worker.timers, &s->timer, due);
      return;
    }
    int rc = publish_frame(s, due);
    if (rc < 0)
      fprintf(stderr, "fanout: a frame cannot be published: %s\n", strerror(-rc));
    s->frames++;
  }
  timers_set(&s->worker.timers, &s->timer, now + 1);
}

/* The last group is whole; what viewers are to have is known. */
static void end_track(struct source *s)
{
  s->ended = true;
  if (s->index > 0) {
    publisher_end_group(s->track);
    s->group++;
  }
  atomic_store(&s->shared->source_groups, s->group);
  atomic_store(&s->shared->source_done, true);
}

static void closed(void *ctx)
{
  struct source *s = ctx;
  uv_stop(&s->loop);
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct source *s = container_of(t, struct source, timer);
  int phase = atomic_load(&s->shared->phase);
  atomic_store(&s->shared->source_cpu_ns, proc_own_cpu_ns());
  if (phase < PHASE_DRAIN && s->up) {
    publish_due(s, now);
    return;
  }
  if (phase == PHASE_LEAVE) {
    connection_close(s->connection, closed, s);
    return;
  }
  if (phase == PHASE_DRAIN && !s->ended)
    end_track(s);
  timers_set(&s->worker.timers, t, now + TICK);
}

/* ---- life ---- */

static void on_up(void *ctx, enum lite_version version)
{
  struct source *s = ctx;
  s->up = true;
  s->from = s->worker.now;
  timers_set(&s->worker.timers, &s->timer, s->worker.now + 1);
  atomic_store(&s->shared->source_up, true);
}

static void on_down(void *ctx, enum connection_end end, const char *why, uint64_t retry_ns)
{
  struct source *s = ctx;
  if (atomic_load(&s->shared->phase) < PHASE_LEAVE)
    fprintf(stderr, "fanout: the publisher lost its connection: %s\n", why);
}

static const struct connection_events connection_events = {on_up, on_down};

static void model_defer(void *ctx)
{
  struct source *s = ctx;
  worker_defer(&s->worker, &s->model_work);
}

static void model_work(struct deferred *d, uint64_t now)
{
  model_run(&container_of(d, struct source, model_work)->model, now);
}

static int start_model(struct source *s)
{
  static const struct track_info info = {.max_age_ms = 2000, .timescale = 1000000, .priority = 100};
  deferred_init(&s->model_work, model_work);
  model_init(&s->model, &s->worker.timers, rng_system(), CACHE, model_defer, s);
  s->model.limits.sub_behind_bytes = CACHE;
  s->model.limits.objects_per_group = UINT32_MAX;
  s->model.limits.bytes_per_group = UINT64_MAX / 2;
  s->model.hop_id = HOP_ID;
  s->origin = origin_new(&s->model);
  int rc =
      s->origin ? publisher_new(s->origin, slice_str(s->options->broadcast), s->worker.now, &s->publisher) : -ENOMEM;
  return rc < 0 ? rc : publisher_track(s->publisher, "load", &info, s->worker.now, &s->track);
}

static int start(struct source *s, struct err *ret_err)
{
  int rc = start_model(s);
  if (rc < 0)
    return err_set(ret_err, rc, "the publisher cannot start: %s", strerror(-rc));
  struct connection_config config = {.worker = &s->worker,
                                     .log = &s->log,
                                     .rng = rng_system(),
                                     .url = s->options->url,
                                     .insecure = true,
                                     .once = true,
                                     .versions = 1u << LITE_06 | 1u << LITE_05,
                                     .race_ns = NS_PER_S,
                                     .timeout_ns = CONNECT_NS,
                                     .role = LITE_ROLE_PUBLISHER,
                                     .serve = true,
                                     .model = &s->model,
                                     .origin = s->origin,
                                     .events = &connection_events,
                                     .ctx = s};
  return connection_new(&config, &s->connection, ret_err);
}

int source_main(const struct options *o, struct shared *shared)
{
  static struct source s;
  struct err err;
  s = (struct source){.options = o, .shared = shared};
  s.log = log_stderr(LOG_WARN, clock_system());
  timer_init(&s.timer, on_timer);
  uv_loop_init(&s.loop);
  if (worker_init(&s.worker, &s.loop, clock_system()) < 0)
    return 1;
  if (start(&s, &err) < 0) {
    fprintf(stderr, "fanout: %s\n", err.text);
    return 1;
  }
  uv_run(&s.loop, UV_RUN_DEFAULT);
  connection_free(s.connection);
  publisher_free(s.publisher, s.worker.now);
  return 0;
}
