/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/admission.h"
#include "auth/public.h"
#include "auth/server.h"
#include "auth/token.h"
#include <errno.h>
#include <stdlib.h>

/* The wall clock may be set meanwhile, so the end of a grant is looked for again. */
#define EXPIRY_LOOK_S 600

struct admission {
  struct public_rules rules;
  struct keys *keys; /* NULL: tokens are refused */
  struct auth_server *server; /* decides alone; NULL: there is none */
  uint64_t leeway_s;
  struct clock clock;
  struct timers *timers;
};

static int start_keys(struct admission *a, const struct admission_config *config, struct err *ret_err)
{
  struct keys_config keys = {.file = config->key, .directory = config->key_dir, .log = config->log};
  if (!config->key && !config->key_dir)
    return 0;
  return keys_new(&keys, &a->keys, ret_err);
}

int admission_new(const struct admission_config *config, struct admission **ret_admission, struct err *ret_err)
{
  struct admission *a = calloc(1, sizeof *a);
  if (!a)
    return err_set(ret_err, -ENOMEM, "out of memory");
  a->leeway_s = config->leeway_s;
  a->clock = config->clock;
  a->timers = config->timers;
  int rc = public_rules_init(&a->rules, config, ret_err);
  if (rc == 0)
    rc = start_keys(a, config, ret_err);
  if (rc == 0 && config->server)
    rc = auth_server_new(config->server, &a->server, ret_err);
  if (rc < 0)
    admission_free(a);
  else
    *ret_admission = a;
  return rc;
}

void admission_free(struct admission *a)
{
  if (!a)
    return;
  public_rules_destroy(&a->rules);
  keys_free(a->keys);
  auth_server_free(a->server);
  free(a);
}

const struct auth_server_config *admission_server(const struct admission *a)
{
  return a->server ? auth_server_config(a->server) : NULL;
}

bool admission_busy(const struct admission *a)
{
  return a->server && auth_server_busy(a->server);
}

/* The tokens of a request: several are fine when they are the same. False when they differ. */
static bool same_token(struct slice *have, struct slice other)
{
  if (other.n == 0 || slice_eq(*have, other))
    return true;
  if (have->n > 0)
    return false;
  *have = other;
  return true;
}

/* `jwt` parameters of the query, and the header's. Empty when there is none. */
static bool find_token(const char *query, const char *bearer, struct slice *ret)
{
  *ret = slice_str(bearer ? bearer : "");
  while (query && *query) {
    size_t n = strcspn(query, "&");
    if (strncmp(query, "jwt=", 4) == 0 && !same_token(ret, slice_of(query + 4, n - 4)))
      return false;
    query += n + (query[n] == '&');
  }
  return true;
}

/* -- the end of a grant -- */

static uint64_t wall_ns_until(const struct admission *a, uint64_t expires)
{
  uint64_t wall_us = clock_wall_us(&a->clock);
  if (expires > wall_us / 1000000 + EXPIRY_LOOK_S)
    return EXPIRY_LOOK_S * NS_PER_S;
  return expires * 1000000 > wall_us ? (expires * 1000000 - wall_us) * 1000 : 0;
}

static void on_expiry(struct timer *timer, uint64_t now)
{
  struct admission_ticket *t = container_of(timer, struct admission_ticket, expiry);
  uint64_t left = wall_ns_until(t->admission, t->expires);
  if (left > 0)
    timers_set(t->admission->timers, timer, now + left);
  else if (t->lease)
    auth_lease_expire(t->lease);
  else
    t->over(t, "the token has expired");
}

static void watch_expiry(struct admission *a, struct admission_ticket *t, uint64_t expires)
{
  t->expires = expires;
  timers_cancel(a->timers, &t->expiry);
  if (expires)
    timers_set(a->timers, &t->expiry, clock_now(&a->clock) + wall_ns_until(a, expires));
}

static void answer(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  if (status == 0)
    watch_expiry(t->admission, t, grant->expires);
  else
    t->admission = NULL;
  t->done(t, status, grant, reason);
}

/* -- sources -- */

/* A token never falls back to the public rules. */
static void by_token(struct admission *a, struct slice text, struct grant *grant, struct admission_ticket *ticket)
{
  struct token token;
  const char *why = "";
  if (!a->keys) {
    answer(ticket, 401, NULL, "authentication is disabled");
    return;
  }
  struct token_check check = {.keys = a->keys,
                              .leeway_s = a->leeway_s,
                              .wall_s = clock_wall_us(&a->clock) / 1000000,
                              .now = clock_now(&a->clock)};
  int rc = token_grant(&check, text, &token, grant, &why);
  if (rc < 0) {
    answer(ticket, rc == -ENOMEM ? 503 : 401, NULL, why);
    return;
  }
  answer(ticket, 0, grant, NULL);
  token_destroy(&token);
}

static void by_public(const struct admission *a, struct grant *grant, struct admission_ticket *ticket)
{
  grant->source = "public";
  grant->subject = "";
  if (public_rules_grant(&a->rules, grant) && !grant_is_empty(grant))
    answer(ticket, 0, grant, NULL);
  else
    answer(ticket, 401, NULL, a->keys ? "a token was expected" : "the path is not public");
}

/* -- an auth server -- */

static void on_answered(void *ctx, int status, const struct grant *grant, const char *reason)
{
  struct admission_ticket *t = ctx;
  if (status != 0) {
    auth_lease_end(t->lease, NULL);
    t->lease = NULL;
  }
  answer(t, status, grant, reason);
}

static void on_extended(void *ctx, uint64_t expires)
{
  struct admission_ticket *t = ctx;
  watch_expiry(t->admission, t, expires);
}

static void on_lease_over(void *ctx, const char *reason)
{
  struct admission_ticket *t = ctx;
  timers_cancel(t->admission->timers, &t->expiry);
  t->over(t, reason);
}

static const struct auth_lease_events lease_events = {on_answered, on_extended, on_lease_over};

static void by_server(struct admission *a, const struct admission_request *request, struct slice path,
                      struct admission_ticket *ticket)
{
  int rc = auth_lease_new(a->server, request, path, &lease_events, ticket, &ticket->lease);
  if (rc == -EINVAL)
    answer(ticket, 400, NULL, "malformed path or query");
  else if (rc == -EBUSY)
    answer(ticket, 502, NULL, "too many requests to the auth server are under way");
  else if (rc < 0)
    answer(ticket, 503, NULL, "out of memory");
}

void admission_check(struct admission_ticket *ticket)
{
  if (ticket->lease)
    auth_lease_check(ticket->lease);
}

/* -- asking -- */

void admission_start(struct admission *a, const struct admission_request *request, struct admission_ticket *ticket)
{
  size_t n = request->query ? strlen(request->url) : strcspn(request->url, "?");
  const char *query = request->query;
  if (!query && request->url[n] == '?')
    query = request->url + n + 1;
  struct path path;
  struct slice token;
  ticket->admission = a;
  timer_init(&ticket->expiry, on_expiry);
  if (path_parse(&path, slice_of(request->url, n)) < 0) {
    answer(ticket, 400, NULL, "malformed path");
    return;
  }
  if (a->server) {
    by_server(a, request, path_slice(&path), ticket);
    return;
  }
  if (!find_token(query, request->bearer, &token)) {
    answer(ticket, 401, NULL, "two tokens that differ");
    return;
  }
  struct grant grant = {.root = path_slice(&path)};
  if (token.n > 0)
    by_token(a, token, &grant, ticket);
  else
    by_public(a, &grant, ticket);
}

void admission_end(struct admission_ticket *ticket, const struct admission_end *end)
{
  struct auth_lease *lease = ticket->lease;
  if (ticket->admission)
    timers_cancel(ticket->admission->timers, &ticket->expiry);
  list_remove(&ticket->link);
  ticket->admission = NULL;
  ticket->lease = NULL;
  if (lease)
    auth_lease_end(lease, end);
}
