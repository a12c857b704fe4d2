/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "alloc.h"
#include "run.h"
#include <stdio.h>
#include <stdlib.h>

#define LEGACY (1u << LITE_01 | 1u << LITE_02)

/* One session of a relay. Freed when it has closed. */
struct relay_end {
  struct list link;
  struct relay *relay;
  struct joint *joint; /* NULL: a client's */
  struct lite_session *session;
};

static void relay_work(struct deferred *d, uint64_t now)
{
  model_run(&container_of(d, struct relay, work)->model, now);
}

static void relay_defer(void *ctx)
{
  struct relay *r = ctx;
  worker_defer(&r->run->w, &r->work);
}

void relay_init(struct relay *r, struct run *run, unsigned index)
{
  const struct plan *plan = &run->plan;
  *r = (struct relay){.who = {ACTOR_RELAY, index, -1}, .run = run, .seed = roll(run, UINT64_MAX)};
  deferred_init(&r->work, relay_work);
  model_init(&r->model, &run->w.timers, rng_seeded(&r->seed), plan->cache, relay_defer, r);
  r->model.limits = plan->model;
  alloc_spare++;
  r->origin = origin_new(&r->model);
  alloc_spare--;
  if (!r->origin)
    abort();
  list_init(&r->ends);
  r->env = (struct lite_env){.model = &r->model,
                             .origin = r->origin,
                             .timers = &run->w.timers,
                             .clock = run->w.clock,
                             .now = &run->w.now,
                             .log = &run->log,
                             .limits = plan->lite,
                             .local_publishers = true};
  r->env_joint = r->env;
  r->env_joint.local_publishers = false;
}

static void check_zero(const struct relay *r, const char *what, uint64_t n)
{
  if (n > 0)
    broken(r->run, &r->who, "nothing is left when all have gone", "%s: %llu", what, (unsigned long long)n);
}

void relay_check_empty(const struct relay *r)
{
  const struct model *m = &r->model;
  check_zero(r, "sessions", !list_empty(&r->ends));
  check_zero(r, "broadcasts", m->broadcasts_now);
  check_zero(r, "viewers", m->subs_now);
  check_zero(r, "tracks", m->tracks_now);
  check_zero(r, "bytes of groups", m->cache.used);
  check_zero(r, "bytes of evicted groups", m->cache.leaving);
}

void relay_destroy(struct relay *r)
{
  origin_free(r->origin);
  worker_defer_cancel(&r->work);
  model_destroy(&r->model);
}

/* -- sessions -- */

static void on_setup(void *ctx, struct lite_session *s, const struct lite_setup_info *info)
{
  struct scope scope;
  struct slice all = slice_str("**"), root = slice_str("");
  (void)ctx, (void)info;
  if (scope_init(&scope, root, &all, 1, &all, 1) < 0 || lite_session_start(s, &scope) < 0)
    lite_session_close(s, LITE_CLOSE_INTERNAL, "out of memory");
}

static void on_closed(void *ctx, struct lite_session *s, uint64_t code, struct slice reason, bool by_peer)
{
  struct relay_end *e = ctx;
  (void)s, (void)code, (void)reason, (void)by_peer;
  if (e->joint && --e->joint->ends == 0) {
    e->joint->wire = NULL;
    tell(e->relay->run, &e->joint->who, EV_CLOSED, code, by_peer);
  }
  list_remove(&e->link);
  free(e);
}

static const struct lite_session_events session_events = {.on_setup = on_setup, .on_closed = on_closed};

static void attach(struct relay *r, struct joint *j, struct transport *t, enum lite_version v)
{
  bool legacy = lite_info(v)->legacy_setup;
  struct relay_end *e = calloc(1, sizeof *e);
  if (!e)
    abort();
  *e = (struct relay_end){.relay = r, .joint = j};
  struct lite_session_config config = {.env = j ? &r->env_joint : &r->env,
                                       .events = &session_events,
                                       .ctx = e,
                                       .version = legacy ? LITE_02 : v,
                                       .legacy = j && legacy ? 1u << v : LEGACY,
                                       .id = r->run->sessions++};
  list_append(&r->ends, &e->link);
  if (j)
    j->ends++;
  if (lite_session_new(&config, t, &e->session) == 0)
    return;
  if (j)
    j->ends--;
  list_remove(&e->link);
  free(e);
  lite_transport_refuse(t, LITE_CLOSE_INTERNAL, "out of memory");
}

void relay_accept(struct relay *r, struct transport *t, enum lite_version v)
{
  attach(r, NULL, t, v);
}

void relay_goaway(struct relay *r, unsigned index)
{
  unsigned i = 0;
  list_for_each (it, &r->ends) {
    struct relay_end *e = container_of(it, struct relay_end, link);
    if (i++ != index || !e->session)
      continue;
    tell(r->run, &r->who, EV_GOAWAY, index);
    lite_session_goaway(e->session, "");
    return;
  }
}

/* -- joints -- */

void joint_init(struct joint *j, struct run *run, unsigned index, struct relay *a, struct relay *b, enum lite_version v,
                bool good)
{
  *j = (struct joint){.who = {ACTOR_JOINT, index, (int)v}, .run = run, .a = a, .b = b, .version = v, .good = good};
}

bool joint_up(const struct joint *j)
{
  return j->ends > 0;
}

void joint_dial(struct joint *j)
{
  j->wire = wire_new(j->run, &j->who, j->good);
  tell(j->run, &j->who, EV_JOIN, j->b->who.index, j->wire->delay, j->wire->rate, j->good);
  attach(j->b, j, mem_server(j->wire->mem), j->version);
  attach(j->a, j, mem_client(j->wire->mem), j->version);
}

void joint_close(struct joint *j)
{
  list_for_each (it, &j->a->ends) {
    struct relay_end *e = container_of(it, struct relay_end, link);
    if (e->joint != j)
      continue;
    tell(j->run, &j->who, EV_CLOSE, LITE_CLOSE_DONE);
    lite_session_close(e->session, LITE_CLOSE_DONE, "");
    return;
  }
}
