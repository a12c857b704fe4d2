/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Admission: the one function that says who may do what. QUIC, WebTransport and HTTP all ask it before any state of a
 * session exists. It is asynchronous: the answer may come from inside admission_start or later. A ticket lives as long as
 * what it lets in: a grant may end before its session does, and who grants may want to hear how the session ended. Sources
 * of grants are one file each (public.c, token.c, server.c). Worker's thread. */
#pragma once
#include "auth/grant.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/timers.h"
#include <sys/socket.h>

struct admission;
struct auth_lease;
struct auth_server_config;
struct privacypass;
struct privacypass_config;
struct admission_config {
  const char *const *publish; /* open to anyone: patterns, or prefixes without a star; "" = everything */
  size_t publish_count;
  const char *const *subscribe;
  size_t subscribe_count;
  const char *key, *key_dir; /* what tokens are checked with: a file, or a directory of {kid}.jwk; at most one */
  uint64_t leeway_s;         /* how far the clock of who signs may be from ours */
  struct clock clock;
  struct timers *timers; /* for grants that end; may be NULL where none does */
  /* An auth server, that decides instead of all the above; NULL = none. The struct is borrowed for the call. */
  const struct auth_server_config *server;
  const struct privacypass_config *privacypass; /* NULL = off; borrowed for the call */
  const struct log *log;
};

/* What the answer is wanted for. */
enum admission_use { ADMISSION_SESSION, ADMISSION_ANNOUNCED, ADMISSION_FETCH };

/* Strings are borrowed for the life of the admission. Errors name the offending rule or file. */
int admission_new(const struct admission_config *config, struct admission **ret_admission, struct err *ret_err);
void admission_free(struct admission *a);

/* The auth server in force; NULL = none. */
const struct auth_server_config *admission_server(const struct admission *a);

/* Makes the challenges that refusals are told with; NULL = Privacy Pass is off. */
const struct privacypass *admission_privacypass(const struct admission *a);

/* Whether an auth server is still being told how sessions ended. */
bool admission_busy(const struct admission *a);

/* What is known of who asks. Borrowed for the call. */
struct admission_request {
  const char *transport; /* "quic", "webtransport", "http" */
  const char *url;       /* path and query as the client gave them; "" = none */
  const char *query; /* when `url` is a decoded path alone ('?' may be part of it); NULL = it follows url's first '?' */
  const char *host;  /* the name that the client asked for, perhaps with a port; "" = none */
  const char *bearer;        /* the token of an Authorization header; NULL = none */
  const char *private_token; /* an Authorization header of the scheme PrivateToken, whole; NULL = none */
  struct slice setup_token;  /* AUTHORIZATION TOKEN of SETUP; empty = none */
  enum admission_use use;
  const char *alpn; /* the protocol that was chosen; NULL or "" = not known yet */
  const char *role; /* "publisher", "subscriber": what the client says it is; NULL = both, or not known yet */
  const struct sockaddr_storage *peer, *local; /* NULL or AF_UNSPEC = not known */
};

/* How a session ended. */
struct admission_end {
  const char *reason; /* a word or two, ours */
  uint64_t bytes_sent, bytes_received;
};

/* Embedded by the asker. */
struct admission_ticket {
  /* The answer, once. status 0: granted. Else the HTTP status of the refusal (400 malformed, 401 not allowed, 502 whoever
   * decides cannot be asked, 503 no memory) and
   * `reason`, a short text for the log without anything of a credential. */
  void (*done)(struct admission_ticket *t, int status, const struct grant *grant, const char *reason);
  /* After a grant, at most once: it holds no longer, and the session is to be closed as unauthorized. `reason` may be told
   * to the client. The ticket is still to be ended. Never from inside admission_start. */
  void (*over)(struct admission_ticket *t, const char *reason);

  /* Admission's own. */
  struct list link;
  struct auth_lease *lease;    /* of an auth server; NULL = none */
  struct admission *admission; /* while there is an answer to come, or a grant in force */
  struct timer expiry;
  uint64_t expires; /* Unix time in seconds; 0 = never */
};

static inline void admission_ticket_init(struct admission_ticket *t,
                                         void (*done)(struct admission_ticket *, int, const struct grant *,
                                                      const char *),
                                         void (*over)(struct admission_ticket *, const char *))
{
  *t = (struct admission_ticket){.done = done, .over = over};
  list_init(&t->link);
}

void admission_start(struct admission *a, const struct admission_request *request, struct admission_ticket *ticket);

/* Has the grant checked again now, where its source can. */
void admission_check(struct admission_ticket *ticket);

/* What was granted has ended, or with `end` NULL: the answer is not wanted any more, or nobody cares how it ended. No
 * callback comes after it. Fine before, during and after an answer, and again. */
void admission_end(struct admission_ticket *ticket, const struct admission_end *end);
