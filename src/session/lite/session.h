/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One moq-lite session on one transport: publisher and subscriber halves, server and client ends. It turns messages into
 * model operations and back; what it may see and do is its scope. draft-lcurley-moq-lite; versions differ by lite_info().
 *
 * Life: lite_session_new -> on_setup (the peer's SETUP has come: path, role) -> lite_session_start with a scope, or
 * lite_session_close -> on_closed, after which the session is gone. All on the worker's thread. */
#pragma once
#include "base/limits.h"
#include "model/origin.h"
#include "model/scope.h"
#include "net/transport.h"
#include "wire/lite/lite.h"

struct lite_session;

/* Bounds of one session; each is an option of the relay. */
struct lite_limits {
  uint32_t announces;              /* broadcasts the peer may announce */
  uint32_t requests;               /* open requests of the peer; as many of ours again */
  uint32_t tracks;                 /* that are received from the peer at a time */
  uint32_t fetches;                /* open FETCH requests of the peer */
  uint32_t fetches_total;          /* the same, of all sessions */
  uint32_t requests_per_second;    /* of the peer, at least 1; those beyond a burst wait */
  uint32_t announce_streams;       /* announce requests of the peer */
  uint32_t announce_entries;       /* broadcasts it is told of by all of them but the first */
  uint32_t path_parts, path_bytes; /* of a path that the peer names; at most PATH_PARTS_MAX, PATH_BYTES_MAX */
  size_t message_bytes;            /* of a control message */
  size_t partial_bytes;            /* of messages that have not come whole, of all sessions together */
  size_t queue_bytes;              /* control bytes that the peer has not acknowledged, per stream */
  size_t session_queue_bytes;      /* the same of all streams together */
  uint32_t groups;           /* on their way to the peer; beyond it a subscription's oldest gives way to its newest */
  uint64_t setup_timeout_ns; /* until the peer's SETUP has come and the session is started */
  /* Age of an incomplete message of the peer; also how long a request of ours waits for the peer to allow its stream, TRACK,
   * FETCH and (where SUBSCRIBE_OK answers it) SUBSCRIBE for the answer to begin, and FETCH for more of it. */
  uint64_t message_timeout_ns;
};
void lite_limits_default(struct lite_limits *ret_limits);

/* What all sessions of a process have open; zero when there are none. */
struct lite_totals {
  size_t partial_bytes;
  uint32_t open[LITE_STREAMS]; /* requests of peers, by kind */
};

/* What sessions share; outlives them. */
struct lite_env {
  struct model *model;
  struct origin *origin;
  struct timers *timers;
  struct clock clock;
  const uint64_t *now; /* ns, of the loop's turn */
  const struct log *log;
  struct lite_limits limits;
  struct lite_totals *totals; /* NULL: bounds on all sessions together are those of each */
  struct limits *counts;      /* hears of limits that are reached; may be NULL */
  bool local_publishers;      /* announcements of peers are publishers' own (a relay's users), not another relay's */
};

struct lite_setup_info {
  const char *path; /* from the peer's SETUP, NULL when it has none (WebTransport: transport->path) */
  enum lite_role role;
  struct slice authorization; /* AUTHORIZATION TOKEN of the SETUP exchange, for the call; empty = none */
};

struct lite_session_events {
  /* The peer may be admitted now. May start or close the session from inside. For a client end it comes at once. */
  void (*on_setup)(void *ctx, struct lite_session *s, const struct lite_setup_info *info);
  /* The peer asks us to leave; uri "" = come back to the same place. May be NULL. */
  void (*on_goaway)(void *ctx, struct lite_session *s, struct slice uri);
  void (*on_closed)(void *ctx, struct lite_session *s, uint64_t code, struct slice reason, bool by_peer);
  /* The peer asks what we announce under a prefix (normalised, relative to our root). A relay that lets us publish nothing
   * never does. Information only: may not call into the session. May be NULL. */
  void (*on_asked)(void *ctx, struct lite_session *s, struct slice prefix);
};

struct lite_session_config {
  const struct lite_env *env;
  const struct lite_session_events *events;
  void *ctx;
  enum lite_version version;
  unsigned legacy; /* versions that the SETUP exchange of 01 and 02 may pick: 1u << LITE_01 | ... */
  uint64_t id;     /* for logs */
  /* Client end only: */
  const char *setup_path; /* path and query for SETUP on raw QUIC; NULL = none */
  enum lite_role role;
};

/* Takes the transport over (sets its events) and sends our SETUP. -ENOMEM: the transport is left alone. */
int lite_session_new(const struct lite_session_config *config, struct transport *t, struct lite_session **ret_s);

/* Lets it run within a scope, which it takes over (also on failure). A scope that may publish makes us ask for the peer's
 * announcements. */
int lite_session_start(struct lite_session *s, struct scope *scope);

/* Ends it with a close code (enum lite_close); on_closed follows. */
void lite_session_close(struct lite_session *s, uint64_t code, const char *reason);

/* Bytes that the session holds for its peer: queues, messages that are not whole, requests, announcements and the routes
 * made of them; groups aside. What is measured by the number of things is an estimate. 0 when it is closing. O(requests). */
size_t lite_session_memory(const struct lite_session *s);

/* Sends GOAWAY once, where the version has it. */
void lite_session_goaway(struct lite_session *s, const char *uri);

/* Closes a transport for which there is no session: nobody listens to it until it is gone. */
void lite_transport_refuse(struct transport *t, uint64_t code, const char *reason);

enum lite_version lite_session_version(const struct lite_session *s);
