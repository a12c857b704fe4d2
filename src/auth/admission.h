/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Admission: the one function that says who may do what. QUIC, WebTransport and HTTP all ask it
 * before any state of a session exists. It is asynchronous: the answer may come from inside
 * admission_start or later; sources of grants are one file each (public.c, token.c). Worker's thread.
 */
#pragma once
#include "auth/grant.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include <sys/socket.h>

struct admission;
struct admission_config {
  const char *const *publish; /* open to anyone: patterns, or prefixes without a star; "" = everything */
  size_t publish_count;
  const char *const *subscribe;
  size_t subscribe_count;
  const char *key, *key_dir; /* what tokens are checked with: a file, or a directory of {kid}.jwk; at most one */
  uint64_t leeway_s;         /* how far the clock of who signs may be from ours */
  struct clock clock;
  const struct log *log;
};

/* Strings are borrowed for the life of the admission. Errors name the offending rule or file. */
int admission_new(const struct admission_config *config, struct admission **ret_admission, struct err *ret_err);
void admission_free(struct admission *a);

struct admission_request {
  const char *transport; /* "quic", "webtransport", "http" */
  const char *url;       /* path and query as the client gave them; "" = none */
  const char *query;     /* when `url` is a decoded path alone ('?' may be part of it); NULL = it
                            follows url's first '?' */
  const char *host;
  const char *bearer; /* the token of an Authorization header; NULL = none */
  const struct sockaddr_storage *peer;
};

/* Embedded by the asker; one answer each. */
struct admission_ticket {
  struct list link;
  /* status 0: granted. Else the HTTP status of the refusal (400 malformed, 401 not allowed) and
   * `reason`, a short text for the log without anything of a credential. */
  void (*done)(struct admission_ticket *t, int status, const struct grant *grant, const char *reason);
};

void admission_start(struct admission *a, const struct admission_request *request, struct admission_ticket *ticket);
/* The answer is not wanted any more. Fine before, during and after. Initialise ticket->link with
 * list_init. */
void admission_cancel(struct admission_ticket *ticket);
