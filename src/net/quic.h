/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The QUIC endpoint: UDP sockets, ngtcp2 connections and their streams, for servers and clients. It offers each
 * connection as a `struct transport` (transport.h); WebTransport (webtransport.h) is built on connections whose ALPN is
 * "h3". One endpoint belongs to one worker. RFC 9000, 9001, 9002, 9221; ngtcp2 does the protocol, this file the rest:
 * sockets, GSO/GRO, ECN, demultiplexing by connection ID, Retry, stateless reset, tickets, timers, stream scheduling. */
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rng.h"
#include "net/tls.h"
#include "net/transport.h"
#include "net/worker.h"

#define QUIC_REASON_MAX 256 /* bytes of a close reason that we send */

enum quic_congestion { QUIC_CUBIC, QUIC_BBR, QUIC_RENO };

/* Every bound on what a peer can make us hold or do at this layer. Zero-initialise, then quic_limits_default. */
struct quic_limits {
  uint64_t idle_timeout_ns;           /* 10 s */
  uint64_t keep_alive_ns;             /* 3 s; 0 = off */
  uint64_t handshake_timeout_ns;      /* 10 s */
  uint32_t connections;               /* per endpoint, 10000 */
  uint32_t connections_per_ip;        /* IPv4 address or IPv6 /64; 0 = no limit */
  uint32_t handshakes_retry;          /* open handshakes above which Retry is demanded, 100 */
  uint32_t handshakes;                /* open handshakes above which Initials are dropped, 1000 */
  uint32_t streams_bidi, streams_uni; /* that the peer may have open, 10000 each */
  uint64_t window, window_max;        /* connection receive window, and what auto-tuning may grow it to (64 MiB) */
  uint64_t stream_window, stream_window_max;
  uint32_t datagrams_queued; /* outgoing, per connection, 64 */
  uint64_t connection_bytes; /* that QUIC holds for one connection: streams, bytes that came out of order, packets under
                                way; 0 = no limit */
  uint64_t send_window;      /* bytes in flight per connection that are not acknowledged, 0 = congestion control only */
  uint64_t egress;           /* bytes of streams and datagrams per second and connection, 0 = no bound */
  bool gso, mtu_discovery;
  enum quic_congestion congestion;
};
void quic_limits_default(struct quic_limits *ret_limits);

struct quic_endpoint;
union udp_addr;

struct quic_endpoint_config {
  struct worker *worker; /* loop, timers, clock */
  const struct log *log;
  struct rng rng;
  struct quic_limits limits;
  struct limits *counts;   /* hears of limits that are reached; may be NULL */
  struct tls_server *tls;  /* NULL: no incoming connections */
  const char *const *alpn; /* our protocols in our order of preference, NULL-terminated; no common one fails the
                                     handshake. Borrowed, like tls, log and worker, for as long as the endpoint lives */
  uint8_t secret[32];      /* Retry tokens and stateless resets are derived from it */
  uint8_t worker_id;       /* goes into every connection ID */
  /* A connection's handshake is complete (server) or a dialled one is up. The ALPN is in t->protocol ("h3" included); set
   * t->events and t->user before returning, or close it. */
  void (*on_connection)(void *ctx, struct transport *t);
  /* Asked for each connection that a peer begins, once it has come back with its Retry token where that is demanded:
   * whether it has to be refused. NULL: never. */
  bool (*full)(void *ctx, const union udp_addr *peer);
  void *ctx;
};

/* Binds a UDP socket on `bind` ("[::]:4443", "127.0.0.1:0", "host:443"; IPv6 any is dual-stack). Errors: negative errno and
 * a text in ret_err that names the address. */
int quic_endpoint_new(const struct quic_endpoint_config *config, const char *bind, struct quic_endpoint **ret_ep,
                      struct err *ret_err);

/* The bound address, e.g. for "[::]:0". */
const struct sockaddr_storage *quic_endpoint_address(const struct quic_endpoint *ep);

/* The bounds in force. */
const struct quic_limits *quic_endpoint_limits(const struct quic_endpoint *ep);

/* Socket buffers, in bytes: what was asked for, and what the kernel gave. */
struct quic_buffers {
  size_t wanted, receive, send;
};
void quic_endpoint_buffers(const struct quic_endpoint *ep, struct quic_buffers *ret_buffers);

/* Refuses new connections from now on; running ones go on. */
void quic_endpoint_stop_accepting(struct quic_endpoint *ep);

/* Starts closing every connection with an application code; on_closed comes for each. */
void quic_endpoint_close_all(struct quic_endpoint *ep, uint64_t code, const char *reason);

/* Connections that exist, handshakes included. */
size_t quic_endpoint_connections(const struct quic_endpoint *ep);

/* The most there was since this was asked last, for whoever looks from time to time. */
struct quic_peaks {
  size_t connections; /* handshakes included */
  size_t memory;      /* bytes that QUIC held for them */
};
void quic_endpoint_peaks(struct quic_endpoint *ep, struct quic_peaks *ret_peaks);

/* Bytes that connections hold, what sessions hold for their streams aside. O(connections). */
size_t quic_endpoint_memory(const struct quic_endpoint *ep);

/* Counted since the endpoint was made. */
struct quic_stats {
  uint64_t accepted;            /* connections whose handshake completed, dialled ones not counted */
  uint64_t handshakes_failed;   /* of incoming ones */
  uint64_t over_handshakes;     /* Initials dropped: limits.handshakes */
  uint64_t over_connections;    /* refused: limits.connections */
  uint64_t over_connections_ip; /* refused: limits.connections_per_ip */
  uint64_t over_memory;         /* ended: limits.connection_bytes */
  uint64_t refused_stopped;     /* refused: stop_accepting */
  uint64_t refused_full;        /* refused: config.full */
  uint64_t retries, bad_tokens, version_negotiations, resets;
  uint64_t sends, sent_packets, sent_bytes; /* a send is one system call */
  uint64_t receives, received_packets, received_bytes;
};
void quic_endpoint_stats(const struct quic_endpoint *ep, struct quic_stats *ret_stats);

/* Frees the endpoint; remaining connections are closed (CONNECTION_CLOSE is sent) and their on_closed called. Not from
 * inside an event of one of its connections. The loop has to run once more to let go of the socket. */
void quic_endpoint_free(struct quic_endpoint *ep);

struct quic_dial {
  const struct sockaddr *peer;
  socklen_t peer_len;
  const char *host;        /* SNI and the name to verify; copied */
  const char *const *alpn; /* NULL-terminated, in order of preference; GnuTLS offers the first eight */
  struct tls_client *tls;  /* borrowed until on_connection or on_failed */
  /* The dial failed before on_connection: text says why (refused, timeout, certificate, no common version). Never called
   * from inside quic_dial; not called after a success. */
  void (*on_failed)(void *ctx, int rc, const char *text);
  void *ctx;
};

/* Starts a connection from this endpoint. On success either config.on_connection (with t->client, and t->user set to
 * `dial->ctx` until replaced) or on_failed follows. *ret_t can be given to transport_close to give up (then on_failed comes with -ECANCELED). */
int quic_dial(struct quic_endpoint *ep, const struct quic_dial *dial, struct transport **ret_t, struct err *ret_err);

/* ---- for bindings that put a protocol between QUIC and MoQ (webtransport.c) ---- */

/* Stream codes of MoQ are mapped into HTTP/3's range on the wire (deployed peers do so on raw QUIC too) and back; both
 * forms are accepted. These two send a code as it is. */
void quic_stream_reset_raw(struct stream *s, uint64_t wire_code);
void quic_stream_stop_raw(struct stream *s, uint64_t wire_code);

/* Up to QUIC_PREFIX_MAX bytes that go out before anything pulled from the stream's events; call right after open_stream. */
#define QUIC_PREFIX_MAX 16
void quic_stream_set_prefix(struct stream *s, struct slice prefix);

/* Ends the connection with an unmapped application code. */
void quic_close_raw(struct transport *t, uint64_t wire_code, const char *reason);

/* Calls fn for each stream that exists on the connection. It may use the stream's ops and replace its events. */
void quic_each_stream(struct transport *t, void (*fn)(struct stream *s, void *ctx), void *ctx);
