/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WebTransport over HTTP/3: one session on a QUIC connection whose ALPN is "h3", offered as a
 * `struct transport` of its own (kind "webtransport"). Our own small HTTP/3: control stream,
 * SETTINGS, extended CONNECT, capsules; QPACK is nghttp3's. RFC 9114, 9204, 9220, 9297,
 * draft-ietf-webtrans-http3. */
#pragma once
#include "net/quic.h"

/* What a peer can make one connection hold or do. A client in use needs one request and overtakes
 * its CONNECT by a few streams, if at all. */
#define WT_CONNECT_NS                                                                                                  \
  (10 * NS_PER_S)                    /* from the start, or a refusal, to an accepted CONNECT; then the connection is  \
                     closed */
#define WT_WAITING_NS (5 * NS_PER_S) /* that streams and datagrams may wait for their session */
#define WT_TYPE_NS (10 * NS_PER_S)   /* that a stream has to say what it is, and a request what it asks for */
#define WT_WAITING_STREAMS_MAX 32    /* that came before their session */
#define WT_WAITING_DATAGRAMS_MAX 16
#define WT_WAITING_BYTES_MAX 65536         /* of both, together */
#define WT_UNTYPED_STREAMS_MAX 1000        /* whose type or session id is not known yet */
#define WT_REQUESTS_MAX 100                /* per connection, of any kind, unless its server sets another number */
#define WT_REQUESTS_OPEN_MAX 16            /* at the same time */
#define WT_HEADERS_MAX 16384               /* bytes of a HEADERS frame */
#define WT_LINGER_MIN_NS (100 * NS_PER_MS) /* what a closing side gives the peer to read CLOSE, or 3 RTT */
#define WT_LINGER_MAX_NS (2 * NS_PER_S)

/* What a client asks for with CONNECT. Borrowed until the answer. */
struct wt_request {
  const char *authority, *path, *origin; /* origin: "" when absent, as it is with all but browsers */
  const char *authorization;             /* "" when absent */
  const char *const *protocols;          /* wt-available-protocols, the client's order; NULL-terminated,
                                   empty when absent */
  struct transport *connection;          /* the QUIC connection; its `peer` and `host` are of interest */
};

struct wt_session; /* the transport of a session, or a session to be */

struct wt_server_events {
  /* A well-formed CONNECT. Answer now or later, exactly once, with wt_accept or wt_reject. The
   * connection may go before: then on_gone comes instead of an answer being possible. */
  void (*on_request)(void *ctx, struct wt_session *s, const struct wt_request *request);
  void (*on_gone)(void *ctx, struct wt_session *s);
  /* The connection has made more requests than it may and is closed. May be NULL. */
  void (*on_excess)(void *ctx, const struct sockaddr_storage *peer);
  uint32_t requests; /* that a connection may make, one after the other; 0 = WT_REQUESTS_MAX */
};

/* Takes over a server connection from on_connection. Limits: wt_limits in webtransport.c have
 * names. -ENOMEM: the caller closes it. */
int wt_serve(struct transport *quic, struct worker *worker, const struct log *log,
             const struct wt_server_events *events, void *ctx);

void wt_session_set_user(struct wt_session *s, void *user); /* the owner's pointer while the request is open */
void *wt_session_user(struct wt_session *s);

/* 200, with wt-protocol when protocol is not "" (it must be one the client offered). Returns the
 * transport, whose events the caller sets before returning to the loop; t->protocol is `protocol`,
 * t->path the CONNECT path. */
struct transport *wt_accept(struct wt_session *s, const char *protocol);

/* 4xx or 5xx and the end of the request; the connection lives on. */
void wt_reject(struct wt_session *s, int status);
/* The same with www-authenticate; empty = without. Borrowed for the call. */
void wt_reject_asking(struct wt_session *s, int status, struct slice www_authenticate);

/* A close of ours is told by CONNECTION_CLOSE alone, without the capsule that browsers need: there are deployed clients that
 * lose the reason when they read a capsule. For a session that was accepted. */
void wt_close_at_once(struct transport *t);

struct wt_dial_events {
  /* The session is up; set t->events and t->user. */
  void (*on_session)(void *ctx, struct transport *t);
  /* Refused (status > 0) or failed (status 0, text). */
  void (*on_failed)(void *ctx, int status, const char *text);
};

/* Takes over a client connection (ALPN "h3") from on_connection and asks for `path` on `authority`,
 * offering `protocols`. */
int wt_connect(struct transport *quic, struct worker *worker, const struct log *log, const char *authority,
               const char *path, const char *const *protocols, const struct wt_dial_events *events, void *ctx);

/* Tells the peer that the session will end soon (DRAIN capsule); the session goes on. Ignored when
 * it is closing. */
void wt_drain(struct transport *t);
