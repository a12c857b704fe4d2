/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Grants from an auth server: it is asked when a session begins, again as often as its grants want it, and told when the
 * session has ended; one JSON POST each. While it cannot be reached nobody comes in, and who is in stays until the grant
 * expires. A lease is what one session holds of it. Worker's thread. */
#pragma once
#include "auth/http_client.h"
#include "auth/server_request.h"
#include "base/limits.h"
#include "base/rng.h"

#define SERVER_RETRY_NS NS_PER_S            /* the first wait after a check that failed; doubles each time */
#define SERVER_RETRY_MAX_NS (60 * NS_PER_S) /* and never more than the grant's own interval */

struct auth_server_config {
  struct http_client_config http;
  const char *node; /* the relay's name there; "" = none */
  struct rng rng;
  const struct log *log;
  struct limits *limits;   /* where LIMIT_AUTH_REQUESTS is counted; may be NULL */
  void (*idle)(void *ctx); /* no event is under way any more; may be NULL */
  void *ctx;
};

struct auth_server;
struct auth_lease;

/* Strings are borrowed for the life of the server. Errors as http_client_new. */
int auth_server_new(const struct auth_server_config *config, struct auth_server **ret_server, struct err *ret_err);
/* After the last lease has ended; events that are under way are lost. */
void auth_server_free(struct auth_server *s);

const struct auth_server_config *auth_server_config(const struct auth_server *s);

/* Whether events are under way: they would be lost. */
bool auth_server_busy(const struct auth_server *s);

/* What happens to a lease. Neither is called from inside a call of this file, and none after auth_lease_end. */
struct auth_lease_events {
  /* The answer, once: status 0 and a grant that lives as long as the call, or 401 refused, 502 unavailable, and a text. */
  void (*answered)(void *ctx, int status, const struct grant *grant, const char *reason);
  /* The grant lasts until then from now on; Unix seconds, 0 = for ever. */
  void (*extended)(void *ctx, uint64_t expires);
  /* It holds no longer; `reason` may be told to the client. */
  void (*over)(void *ctx, const char *reason);
};

/* Asks for a session that dialled `path` (normalised). 0; -EINVAL when the request is not text, -EBUSY when too many are
 * under way, -ENOMEM: then there is no lease. `r` and `path` are borrowed for the call. */
int auth_lease_new(struct auth_server *s, const struct admission_request *r, struct slice path,
                   const struct auth_lease_events *events, void *ctx, struct auth_lease **ret_lease);

/* The grant has run out: so the server will be told. */
void auth_lease_expire(struct auth_lease *l);

/* Asks again now. */
void auth_lease_check(struct auth_lease *l);

/* The session is gone (`end`: how; NULL: dropped). The lease is the server's from here on, who is told when it had granted
 * something. */
void auth_lease_end(struct auth_lease *l, const struct admission_end *end);
