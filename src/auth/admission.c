/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/admission.h"
#include "auth/pp_carried.h"
#include "auth/privacypass.h"
#include "auth/public.h"
#include "auth/server.h"
#include "auth/token.h"
#include <errno.h>
#include <stdlib.h>

/* The wall clock may be set meanwhile, so the end of a grant is looked for again. */
#define EXPIRY_LOOK_S 600

struct admission {
  struct public_rules rules;
  struct keys *keys;          /* NULL: tokens are refused */
  struct privacypass *pp;     /* NULL: off */
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
  if (rc == 0 && config->privacypass)
    rc = privacypass_new(config->privacypass, &a->pp, ret_err);
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
  privacypass_free(a->pp);
  auth_server_free(a->server);
  free(a);
}

const struct auth_server_config *admission_server(const struct admission *a)
{
  return a->server ? auth_server_config(a->server) : NULL;
}

const struct privacypass *admission_privacypass(const struct admission *a)
{
  return a->pp;
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

/* A token never falls back to the public rules. False: not answered, because it is not good and `other` may be. */
static bool by_token(struct admission *a, struct slice text, bool other, struct grant *grant,
                     struct admission_ticket *ticket)
{
  struct token token;
  const char *why = "";
  if (!a->keys) {
    if (!other)
      answer(ticket, 401, NULL, "authentication is disabled");
    return !other;
  }
  struct token_check check = {.keys = a->keys,
                              .leeway_s = a->leeway_s,
                              .wall_s = clock_wall_us(&a->clock) / 1000000,
                              .now = clock_now(&a->clock)};
  int rc = token_grant(&check, text, &token, grant, &why);
  if (rc == -EPERM && other)
    return false;
  if (rc < 0) {
    answer(ticket, rc == -ENOMEM ? 503 : 401, NULL, why);
    return true;
  }
  answer(ticket, 0, grant, NULL);
  token_destroy(&token);
  return true;
}

static void by_privacypass(struct admission *a, const struct admission_request *request, struct slice token,
                           struct grant *grant, struct admission_ticket *ticket)
{
  static const unsigned wanted[] = {[ADMISSION_SESSION] = 1u << PP_SUBSCRIBE | 1u << PP_PUBLISH,
                                    [ADMISSION_ANNOUNCED] = 1u << PP_SUBSCRIBE,
                                    [ADMISSION_FETCH] = 1u << PP_FETCH};
  struct pp_ask ask = {.path = grant->root, .token = token, .wanted = wanted[request->use], .peer = request->peer};
  char subject[PP_SUBJECT_MAX];
  enum pp_verdict v = privacypass_grant(a->pp, &ask, grant, subject);
  const struct pp_verdict_row *row = pp_verdict_row(v);
  if (v == PP_OK)
    answer(ticket, 0, grant, NULL);
  else
    answer(ticket, row->status, NULL, row->why);
}

static void by_public(const struct admission *a, struct grant *grant, struct admission_ticket *ticket)
{
  grant->source = "public";
  grant->subject = "";
  if (public_rules_grant(&a->rules, grant) && !grant_is_empty(grant))
    answer(ticket, 0, grant, NULL);
  else
    answer(ticket, 401, NULL, a->keys || a->pp ? "a token was expected" : "the path is not public");
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

/* What a path and the credentials that came with it are worth. */
static void by_credentials(struct admission *a, const struct admission_request *request, const char *query,
                           struct grant *grant, struct admission_ticket *ticket)
{
  struct pp_carried carried = {request->setup_token, request->private_token, query};
  struct buf private = {0};
  struct slice token;
  int rc = a->pp ? pp_carried_read(&carried, &private) : -ENOENT;
  if (!find_token(query, request->bearer, &token))
    answer(ticket, 401, NULL, "two tokens that differ");
  else if (token.n > 0 && by_token(a, token, rc != -ENOENT, grant, ticket))
    ;
  else if (rc == -ENOENT)
    by_public(a, grant, ticket);
  else if (rc < 0)
    answer(ticket, rc == -ENOMEM ? 503 : 401, NULL,
           rc == -ENOMEM ? "out of memory" : pp_verdict_row(PP_MALFORMED)->why);
  else
    by_privacypass(a, request, buf_slice(&private), grant, ticket);
  buf_destroy(&private);
}

void admission_start(struct admission *a, const struct admission_request *request, struct admission_ticket *ticket)
{
  size_t n = request->query ? strlen(request->url) : strcspn(request->url, "?");
  const char *query = request->query;
  if (!query && request->url[n] == '?')
    query = request->url + n + 1;
  struct path path;
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
  struct grant grant = {.root = path_slice(&path)};
  by_credentials(a, request, query, &grant, ticket);
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
