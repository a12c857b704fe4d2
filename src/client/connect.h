/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client's connection to a relay, kept up: fetch the fingerprint where the URL asks for it,
 * resolve, dial (race.h), run a moq-lite session, and again with jittered back-off when it ends.
 * What trying again cannot mend ends it: no common version, not allowed, and at first a certificate
 * that will not do. One worker's thread; nothing blocks it. */
#pragma once
#include "client/url.h"
#include "net/quic.h"
#include "net/webtransport.h"
#include "session/lite/session.h"

struct connection;

/* Why there is no session. */
enum connection_end {
  CONNECTION_FAILED,       /* anything else */
  CONNECTION_UNKNOWN_HOST, /* its name does not resolve */
  CONNECTION_UNREACHABLE,  /* refused, or nobody answers */
  CONNECTION_CERTIFICATE,  /* not one that we accept, or its hash was not to be had */
  CONNECTION_VERSION,      /* no common version */
  CONNECTION_DENIED,       /* the relay does not let us in there */
  CONNECTION_NOT_FOUND,    /* nothing of that path there */
  CONNECTION_ENDED,        /* a session was up */
};

struct connection_events {
  /* A session is up. */
  void (*up)(void *ctx, enum lite_version version);
  /* It ended, or could not be made. retry_ns: in how long the next try comes; UINT64_MAX = given up
   * (`once`, or for good). */
  void (*down)(void *ctx, enum connection_end end, const char *why, uint64_t retry_ns);
  /* The relay asks what we announce under a prefix. May be NULL. */
  void (*asked)(void *ctx, struct slice prefix);
};

struct connection_config {
  struct worker *worker;
  const struct log *log;
  struct rng rng;
  const char *url;
  bool insecure;                   /* accept any certificate */
  const char *const *fingerprints; /* hex; pins the certificate */
  size_t fingerprint_count;
  const char *const *roots;
  size_t root_count;
  bool once;                    /* no reconnecting */
  unsigned versions;            /* to offer: 1u << LITE_01 | ...; see lite_default_versions */
  uint64_t race_ns, timeout_ns; /* between two addresses; for a session to be there */
  enum lite_role role;
  bool watch, serve;  /* ask for the peer's announcements; let the peer see ours */
  uint32_t announces; /* how many the peer may send, 0 = the session's default */
  struct model *model;
  struct origin *origin;
  const struct connection_events *events;
  void *ctx;
};

/* Copies the strings. The first try starts at once. Errors: a bad URL, roots that cannot be read.
 */
int connection_new(const struct connection_config *config, struct connection **ret_c, struct err *ret_err);

/* Ends the session cleanly; no more events but `closed`, from the loop, when the peer has been told
 * (bounded in time). */
void connection_close(struct connection *c, void (*closed)(void *ctx), void *ctx);

/* Frees it, ending at once what is still there. Not from inside an event. NULL is fine. */
void connection_free(struct connection *c);
