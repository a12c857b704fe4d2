/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*                        401, 403, empty
 *   asked --------------------------------------> refused
 *     | 2xx              | anything else
 *     v                  +-----------------------> unavailable
 *   held <--+ every `revalidate` seconds, or after a failure 1 s, 2 s, 4 s...
 *     | |   |
 *     | +---+ 2xx that covers what is held
 *     v
 *   over (refused, narrowed, expired) --> the session closes --> ending (the end event) --> gone
 */
#include "auth/server.h"
#include "auth/server_grant.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum lease_state { LEASE_ASKED, LEASE_HELD, LEASE_OVER, LEASE_ENDING };

struct auth_server {
  struct auth_server_config config;
  struct http_client *http;
  struct list ending; /* leases whose end is being told */
};

struct auth_lease {
  struct auth_server *server;
  const struct auth_lease_events *events;
  void *ctx;
  struct list link; /* of server->ending */
  enum lease_state state;
  bool calling, dead;                                                 /* in an event, and ended from inside it */
  char id[SERVER_ID_MAX + 1], subject[SERVER_ID_MAX + TIER_MAX + 16]; /* subject: for the log */
  struct buf facts;
  char *path; /* as dialled, normalised */
  struct server_grant grant;
  uint64_t since; /* ns, of the grant */
  unsigned failures;
  bool again;      /* asked for another check while one was under way */
  const char *why; /* it is over, for the end event */
  struct timer next;
  struct http_post post;
};

/* What an answer comes to. */
enum verdict { GRANTED, REFUSED, INVALID, UNAVAILABLE };

static struct timers *timers_of(const struct auth_lease *l)
{
  return l->server->config.http.timers;
}

static uint64_t now_of(const struct auth_lease *l)
{
  return clock_now(&l->server->config.http.clock);
}

static void lease_free(struct auth_lease *l)
{
  timers_cancel(timers_of(l), &l->next);
  http_post_cancel(&l->post);
  list_remove(&l->link);
  server_grant_destroy(&l->grant);
  if (l->facts.p)
    explicit_bzero(l->facts.p, l->facts.cap); /* there may be a token in it */
  buf_destroy(&l->facts);
  free(l->path);
  free(l);
}

static int post(struct auth_lease *l, enum server_event event, const struct admission_end *end)
{
  struct buf body = {0};
  server_body(event, l->id, buf_slice(&l->facts), end, end ? now_of(l) - l->since : 0, &body);
  int rc = body.failed ? -ENOMEM : http_client_post(l->server->http, &l->post, buf_slice(&body));
  if (body.p)
    explicit_bzero(body.p, body.cap);
  buf_destroy(&body);
  if (rc == -EBUSY)
    limit_hit(l->server->config.limits, LIMIT_AUTH_REQUESTS, now_of(l), "session=%s", l->id);
  return rc;
}

static const char *post_fault(int rc)
{
  return rc == -EBUSY ? "too many requests to the auth server are under way" : "out of memory";
}

/* -- answers -- */

static enum verdict verdict_of(const struct auth_lease *l, const struct http_answer *a, struct server_grant *ret_grant,
                               const char **ret_why)
{
  uint64_t wall_s = clock_wall_us(&l->server->config.http.clock) / 1000000;
  if (a->status == 401 || a->status == 403)
    return *ret_why = "the auth server refused the session", REFUSED;
  if (a->status == 0)
    return *ret_why = a->error, UNAVAILABLE;
  if (a->status < 200 || a->status > 299)
    return *ret_why = "another status than 2xx, 401 or 403", UNAVAILABLE;
  switch (server_grant_parse(a->body, slice_str(l->path), wall_s, ret_grant, ret_why)) {
  case 0:
    return GRANTED;
  case -EPERM:
    return REFUSED;
  case -ENOTSUP:
    return INVALID;
  default:
    return UNAVAILABLE;
  }
}

static void ask_in(struct auth_lease *l, uint64_t ns)
{
  timers_set(timers_of(l), &l->next, now_of(l) + ns);
}

static void ask_as_granted(struct auth_lease *l)
{
  uint64_t most = UINT64_MAX / NS_PER_S / 2;
  if (l->grant.revalidate_s)
    ask_in(l, (l->grant.revalidate_s < most ? l->grant.revalidate_s : most) * NS_PER_S);
}

/* After an event the lease may be gone. */
static bool survived(struct auth_lease *l)
{
  bool dead = l->dead;
  l->calling = false;
  if (dead)
    lease_free(l);
  return !dead;
}

static void over(struct auth_lease *l, const char *why, const char *reason)
{
  l->state = LEASE_OVER;
  l->why = why;
  timers_cancel(timers_of(l), &l->next);
  http_post_cancel(&l->post);
  l->events->over(l->ctx, reason);
}

static void log_unavailable(const struct auth_lease *l, const char *what, int status, const char *why)
{
  if (status)
    log_warn(l->server->config.log, "auth server: %s failed, status %d: %s", what, status, why);
  else
    log_warn(l->server->config.log, "auth server: %s failed: %s", what, why);
}

static void on_connect(struct auth_lease *l, const struct http_answer *a)
{
  const char *why = "";
  struct grant grant;
  enum verdict v = verdict_of(l, a, &l->grant, &why);
  l->calling = true;
  if (v == GRANTED) {
    l->state = LEASE_HELD;
    l->since = now_of(l);
    ask_as_granted(l);
    server_grant_use(&l->grant, &grant);
    snprintf(l->subject, sizeof l->subject, "id=%s%s%s", l->id, *l->grant.tier ? " tier=" : "", l->grant.tier);
    grant.subject = l->subject;
    l->events->answered(l->ctx, 0, &grant, NULL);
  } else if (v == REFUSED) {
    l->events->answered(l->ctx, 401, NULL, why);
  } else {
    log_unavailable(l, "a request", a->status, why);
    l->events->answered(l->ctx, 502, NULL, "the auth server is unavailable");
  }
  survived(l);
}

/* By up to a quarter sooner or later: what failed at one moment does not come back at one. */
static uint64_t retry_ns(struct auth_lease *l)
{
  uint64_t ns = SERVER_RETRY_NS << (l->failures < 6 ? l->failures : 6), bound = l->grant.revalidate_s;
  l->failures++;
  if (ns > SERVER_RETRY_MAX_NS)
    ns = SERVER_RETRY_MAX_NS;
  if (bound && bound < SERVER_RETRY_MAX_NS / NS_PER_S && ns > bound * NS_PER_S)
    ns = bound * NS_PER_S;
  return ns - ns / 4 + rng_below(&l->server->config.rng, ns / 2 + 1);
}

static void check_failed(struct auth_lease *l, int status, const char *why)
{
  log_unavailable(l, "a check of a session", status, why);
  ask_in(l, retry_ns(l));
}

/* What it allows beyond what the session was let in with comes with its next session. */
static void keep(struct auth_lease *l, const struct server_grant *fresh)
{
  l->failures = 0;
  if (strcmp(l->grant.tier, fresh->tier) != 0)
    log_info(l->server->config.log, "auth server: session %s: tier \"%s\" is now \"%s\"", l->id, l->grant.tier,
             fresh->tier);
  memcpy(l->grant.tier, fresh->tier, sizeof l->grant.tier);
  l->grant.revalidate_s = fresh->revalidate_s;
  l->grant.expires = fresh->expires;
  ask_as_granted(l);
  l->events->extended(l->ctx, fresh->expires);
}

static void on_check(struct auth_lease *l, const struct http_answer *a)
{
  const char *why = "";
  struct server_grant fresh = {0};
  enum verdict v = verdict_of(l, a, &fresh, &why);
  const char *change = v == GRANTED ? server_grant_change(&l->grant, &fresh) : NULL;
  l->calling = true;
  if (v == REFUSED)
    over(l, "refused", "the auth server has refused the session");
  else if (v == INVALID)
    over(l, "invalid", why);
  else if (v == UNAVAILABLE)
    check_failed(l, a->status, why);
  else if (change)
    over(l, change, change);
  else
    keep(l, &fresh);
  server_grant_destroy(&fresh);
  if (survived(l) && l->state == LEASE_HELD && l->again)
    auth_lease_check(l);
}

static void on_end(struct auth_lease *l, const struct http_answer *a)
{
  struct auth_server *s = l->server;
  if (a->status < 200 || a->status > 299)
    log_unavailable(l, "the end of a session", a->status, a->error ? a->error : "another status than 2xx");
  lease_free(l);
  if (s->config.idle && list_empty(&s->ending))
    s->config.idle(s->config.ctx);
}

static void on_answer(struct http_post *p, const struct http_answer *a)
{
  struct auth_lease *l = container_of(p, struct auth_lease, post);
  if (l->state == LEASE_ENDING)
    on_end(l, a);
  else if (l->state == LEASE_ASKED)
    on_connect(l, a);
  else
    on_check(l, a);
}

/* -- checks -- */

void auth_lease_check(struct auth_lease *l)
{
  if (l->state != LEASE_HELD)
    return;
  l->again = http_post_busy(&l->post);
  if (l->again)
    return;
  timers_cancel(timers_of(l), &l->next);
  int rc = post(l, SERVER_REVALIDATE, NULL);
  if (rc < 0)
    check_failed(l, 0, post_fault(rc));
}

static void on_next(struct timer *t, uint64_t now)
{
  (void)now;
  auth_lease_check(container_of(t, struct auth_lease, next));
}

/* -- life -- */

static void make_id(struct auth_lease *l)
{
  uint8_t bytes[SERVER_ID_MAX / 2];
  rng_fill(&l->server->config.rng, bytes, sizeof bytes);
  for (size_t i = 0; i < sizeof bytes; i++)
    snprintf(l->id + 2 * i, 3, "%02x", bytes[i]);
}

int auth_lease_new(struct auth_server *s, const struct admission_request *r, struct slice path,
                   const struct auth_lease_events *events, void *ctx, struct auth_lease **ret_lease)
{
  struct auth_lease *l = calloc(1, sizeof *l);
  if (!l)
    return -ENOMEM;
  l->server = s;
  l->events = events;
  l->ctx = ctx;
  list_init(&l->link);
  timer_init(&l->next, on_next);
  l->post.done = on_answer;
  make_id(l);
  l->path = strndup((const char *)path.p, path.n);
  int rc = l->path ? server_facts(r, s->config.node, &l->facts) : -ENOMEM;
  if (rc == 0)
    rc = post(l, SERVER_CONNECT, NULL);
  if (rc < 0)
    lease_free(l);
  else
    *ret_lease = l;
  return rc;
}

void auth_lease_expire(struct auth_lease *l)
{
  if (l->state != LEASE_HELD)
    return;
  l->calling = true;
  over(l, "expired", "the grant has expired");
  survived(l);
}

static void tell_end(struct auth_lease *l, const struct admission_end *end)
{
  struct admission_end told = end ? *end : (struct admission_end){.reason = "dropped"};
  if (l->why)
    told.reason = l->why;
  timers_cancel(timers_of(l), &l->next);
  http_post_cancel(&l->post);
  l->state = LEASE_ENDING;
  list_append(&l->server->ending, &l->link);
  int rc = post(l, SERVER_END, &told);
  if (rc == 0)
    return;
  log_unavailable(l, "the end of a session", 0, post_fault(rc));
  l->dead = true;
}

void auth_lease_end(struct auth_lease *l, const struct admission_end *end)
{
  if (l->state == LEASE_ASKED)
    l->dead = true;
  else
    tell_end(l, end);
  if (l->dead && !l->calling)
    lease_free(l);
}

int auth_server_new(const struct auth_server_config *config, struct auth_server **ret_server, struct err *ret_err)
{
  struct auth_server *s = calloc(1, sizeof *s);
  if (!s)
    return err_set(ret_err, -ENOMEM, "out of memory");
  s->config = *config;
  list_init(&s->ending);
  int rc = http_client_new(&config->http, &s->http, ret_err);
  if (rc < 0)
    auth_server_free(s);
  else
    *ret_server = s;
  return rc;
}

const struct auth_server_config *auth_server_config(const struct auth_server *s)
{
  return &s->config;
}

bool auth_server_busy(const struct auth_server *s)
{
  return !list_empty(&s->ending);
}

void auth_server_free(struct auth_server *s)
{
  if (!s)
    return;
  list_for_each_safe (it, tmp, &s->ending)
    lease_free(container_of(it, struct auth_lease, link));
  http_client_free(s->http);
  free(s);
}
