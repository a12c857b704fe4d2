/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

enum lite_version lite_session_version(const struct lite_session *s)
{
  return s->version->version;
}

void lite_session_close(struct lite_session *s, uint64_t code, const char *reason)
{
  if (s->closing)
    return;
  s->closing = true;
  timers_cancel(s->env->timers, &s->setup_timer);
  transport_close(s->transport, code, reason);
}

#define REQUEST_BYTES 512  /* the owner of a control, whichever it is */
#define GROUP_BYTES 384    /* out_group, delivery */
#define HELD_BYTES 128     /* a stream that waits; its bytes are in `partial` */

static size_t control_memory(const struct control *c)
{
  return REQUEST_BYTES + c->out.held + (c->ops->memory ? c->ops->memory(c) : 0);
}

size_t lite_session_memory(const struct lite_session *s)
{
  size_t n = sizeof *s + s->group_count * GROUP_BYTES + s->held_count * HELD_BYTES + s->partial;
  if (s->closing)
    return 0;
  list_for_each (it, &s->requests)
    n += control_memory(container_of(it, struct control, link));
  list_for_each (it, &s->waiting)
    n += control_memory(container_of(it, struct control, link));
  return n;
}

void session_violation(struct lite_session *s, const char *what)
{
  if (s->closing)
    return;
  log_warn(s->env->log, "session %llu: protocol violation: %s", (unsigned long long)s->id, what);
  lite_session_close(s, LITE_CLOSE_PROTOCOL, what);
}

/* ---- the transport's events ---- */

static void on_stream(struct transport *t, struct stream *st)
{
  dispatch_accept(t->user, st);
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct lite_session *s = t->user;
  if (s->started && s->version->datagrams)
    subscribe_datagram(s, data);
}

static void on_streams(struct transport *t, bool bidi)
{
  struct lite_session *s = t->user;
  if (bidi)
    control_retry(s);
  else if (setup_open(s) == 0)
    publish_groups_retry(s);
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct lite_session *s = t->user;
  s->closing = true;
  timers_cancel(s->env->timers, &s->setup_timer);
  control_retry(s); /* lets go of requests that never got a stream */
  publish_groups_drop(s);
  subscribe_announce_close(s, by_peer && code == LITE_CLOSE_DONE);
  subscribe_prune(s, true);
  waits_destroy(s);
  timers_cancel(s->env->timers, &s->pace_timer);
  setup_out_free(s->setup_out);
  s->events->on_closed(s->ctx, s, code, reason, by_peer);
  scope_destroy(&s->scope);
  free(s);
}

static const struct transport_events transport_events = {on_stream, on_datagram, on_streams, on_closed};

static struct lite_session *session_alloc(const struct lite_session_config *config, struct transport *t)
{
  struct lite_session *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  s->env = config->env;
  s->events = config->events;
  s->ctx = config->ctx;
  s->transport = t;
  s->version = lite_info(config->version);
  s->id = config->id;
  s->legacy = config->legacy;
  s->client = t->client;
  s->peer = (struct lite_setup)LITE_SETUP_INIT;
  s->stamp = 1 + rng_below(&s->env->model->rng, (1ULL << 53) - 1);
  list_init(&s->requests);
  list_init(&s->waiting);
  list_init(&s->held);
  timer_init(&s->setup_timer, setup_timeout);
  timer_init(&s->pace_timer, dispatch_on_pace);
  waits_init(s);
  return s;
}

int lite_session_new(const struct lite_session_config *config, struct transport *t, struct lite_session **ret_s)
{
  struct lite_session *s = session_alloc(config, t);
  if (!s)
    return -ENOMEM;
  int rc = setup_begin(s, config);
  if (rc < 0) {
    free(s);
    return rc;
  }
  t->events = &transport_events;
  t->user = s;
  bool waits = s->version->setup_stream || s->version->legacy_setup;
  s->setup_seen = !waits;
  timers_set(s->env->timers, &s->setup_timer, session_now(s) + s->env->limits.setup_timeout_ns);
  *ret_s = s;
  if (!waits || (s->client && !s->version->legacy_setup))
    s->events->on_setup(s->ctx, s, &(struct lite_setup_info){.role = LITE_ROLE_BOTH});
  return 0;
}

int lite_session_start(struct lite_session *s, struct scope *scope)
{
  s->scope = *scope;
  *scope = (struct scope){0};
  if (s->closing) /* the answer to admission came too late */
    return 0;
  s->started = true;
  setup_settle(s);
  setup_legacy_answer(s);
  int rc = s->scope.publish_count > 0 ? subscribe_announce_open(s) : 0;
  dispatch_held(s);
  return rc;
}
