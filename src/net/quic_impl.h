/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clang-format off */
/* What the files of the QUIC endpoint share. Who does what:
 *
 *   quic_endpoint.c  the socket's packets find their connection, or become one; limits; stateless answers
 *   quic_token.c     what is derived from the secret: Retry and NEW_TOKEN tokens, stateless resets
 *   quic_tls.c       GnuTLS sessions: ALPN, SNI, certificate check
 *   quic_conn.c      the life of a connection: making, timers, ngtcp2's callbacks, the end
 *   quic_memory.c    what ngtcp2 holds for a connection
 *   quic_stream.c    streams: ops and events
 *   quic_send.c      packets out: scheduling, packing, trains
 *   quic_dial.c      connections that we start
 *
 * Reading a packet runs ngtcp2, whose callbacks deliver events to the session at once. Everything
 * that a session asks for in return is noted (streams in the ready heap, credit with ngtcp2) and
 * the connection marked dirty; it is flushed once, at the end of the turn. Nothing is freed while
 * ngtcp2 is on the stack, but for the stream that it reports as closed. */
/* clang-format on */
#pragma once
#include "net/quic.h"
#include "net/quic_map.h"
#include "net/udp.h"
#include "base/heap.h"
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#define QUIC_CID_BYTES 8      /* of every connection ID that we give out: the worker's byte, then random */
#define QUIC_PAYLOAD_MAX 1452 /* largest packet that we send: Ethernet, IPv6, UDP */
#define QUIC_PAYLOAD_MIN 1200 /* smallest datagram that may begin a connection, RFC 9000 section 14.1 */
#define QUIC_TX_BYTES (UDP_TRAIN_BYTES + 2 * QUIC_PAYLOAD_MAX)
#define QUIC_IOV_MAX 16         /* iovecs pulled from a stream per packet */
#define QUIC_ALPN_MAX 32        /* bytes of an ALPN that we choose */
#define QUIC_HOST_MAX 255       /* bytes of a server name, RFC 1035 */
#define QUIC_HANDSHAKES_SHARE 4 /* one address may have this part of limits.handshakes */
#define QUIC_CLOSING_MAX 4096   /* closed connections per endpoint that are still answered */
#define QUIC_CLOSING_ANSWERS 16 /* packets that a closed connection answers, at most */
#define QUIC_RESETS_PER_S 200   /* stateless resets per endpoint */
#define QUIC_RETRY_LIFETIME_NS (10 * NS_PER_S)
#define QUIC_NEW_TOKEN_LIFETIME_NS (24 * 3600 * NS_PER_S)
#define QUIC_DATAGRAM_FRAME_MAX 65535 /* what we say that we take, RFC 9221 */

/* Where packets for a connection ID go: to a connection, or to what is left of a closed one. */
struct quic_route {
  bool closing;
  struct list names; /* quic_name.link */
};

/* A connection ID of ours, the first one a client made up, or a reset token of the peer's. */
struct quic_name {
  struct quic_node node;
  struct list link;
  struct quic_route *route;
};

/* Connections of one IPv4 address or IPv6 /64. */
struct quic_source {
  struct quic_node node;
  uint32_t connections, handshakes; /* the latter are among the former */
};

/* What is left of a connection in its closing or draining period (RFC 9000 section 10.2). */
struct quic_closing {
  struct quic_route route;
  struct list link;
  struct quic_endpoint *ep;
  struct timer timer;
  union udp_addr local, peer;
  uint32_t received, answered;
  size_t n; /* 0: draining, says nothing */
  uint8_t packet[];
};

struct quic_stream {
  struct stream s;        /* first */
  struct quic_conn *conn; /* s.transport may be that of a binding on top of the connection */
  struct list link;       /* quic_conn.streams */
  struct list watched;    /* quic_conn.watched: bidirectional and has sent */
  struct heap_node ready; /* quic_conn.ready; major, minor: the send order */
  struct list in_packet;  /* quic_conn.packet: written to a packet, `sent` is yet to be told */
  size_t packet_n;
  bool packet_fin;
  struct list stopping; /* quic_conn.stopping: stopped by us, ngtcp2 is yet to be told */
  uint64_t stop_code;   /* on the wire */
  bool tx_open;         /* we may still send */
  bool rx_open;         /* the peer may still send, and we listen */
  bool fin_sent;
  bool blocked;           /* by the stream's flow control: out of the heap until the peer gives more */
  bool tx_reset;          /* by us */
  bool stop_pending;      /* the peer stopped us: to be told after the packet */
  uint64_t tx_unacked;    /* bytes ngtcp2 still holds pointers to, without the prefix */
  uint64_t rx_unextended; /* bytes delivered for which no credit was given back */
  uint8_t prefix[QUIC_PREFIX_MAX], prefix_n, prefix_sent, prefix_acked;
};

struct quic_datagram {
  struct list link;
  size_t n;
  uint8_t data[];
};

/* What only a dialled connection has. */
struct quic_client {
  struct tls_client *tls;
  void (*on_failed)(void *ctx, int rc, const char *text);
  void *ctx;
  int rc; /* why it failed, when we know better than ngtcp2 */
  struct err err;
};

enum quic_state { QUIC_HANDSHAKE, QUIC_OPEN, QUIC_CLOSED };

struct quic_conn {
  struct transport t; /* first */
  struct quic_route route;
  struct list link; /* quic_endpoint.conns */
  struct quic_endpoint *ep;
  ngtcp2_conn *ng;
  ngtcp2_mem mem; /* of ng: counts in `memory` */
  size_t memory;
  bool memory_full;           /* limits.connection_bytes was reached: the connection ends */
  ngtcp2_crypto_conn_ref ref; /* how GnuTLS's callbacks find ng */
  gnutls_session_t tls;       /* a server's is freed when the handshake is over */
  enum quic_state state;
  struct timer timer;
  struct deferred flush;
  struct list waiting; /* quic_endpoint.waiting: dirty, but the socket is full */

  struct list streams, packet, stopping;
  uint32_t stream_count;
  struct heap ready;
  uint64_t ready_tie;
  struct list watched; /* may be stopped without our noticing, see quic_send.c */
  uint64_t unacked;    /* sum of the streams' */
  struct list datagrams;
  uint32_t datagram_count;

  bool announced;      /* on_connection was called */
  bool reset_received; /* a stateless reset */
  bool close_asked;
  uint64_t close_code;
  char close_reason[QUIC_REASON_MAX + 1];

  struct quic_source *source;
  struct quic_client *client;
  union udp_addr local; /* a client's path has one local address, whatever the kernel chooses */
  uint64_t bytes_sent, bytes_received;
  uint64_t egress_paid; /* when what was sent so far would have left at limits.egress */
  char host[QUIC_HOST_MAX + 1], alpn[QUIC_ALPN_MAX + 1];
};

struct quic_endpoint {
  struct quic_endpoint_config config;
  struct udp *udp;
  struct sockaddr_storage address;
  gnutls_priority_t priority;
  struct quic_map names, sources;
  struct list conns, closing, waiting;
  size_t conn_count, handshakes, closing_count;
  size_t memory; /* of all connections */
  struct quic_peaks peaks;
  bool stopped;
  uint8_t retry_key[32], token_key[32], reset_key[32];
  uint64_t resets_from; /* start of the second that resets_sent counts */
  uint32_t resets_sent;
  struct quic_stats stats; /* but for the socket's */

  /* Outgoing packets are built here. Trains that the socket did not take stay until it is writable;
   * then `tx_trains` > 0 and nobody else may write. A train ends when a packet does not fit to it,
   * so there are two at most. */
  uint8_t *tx;
  struct udp_train tx_pending[2];
  size_t tx_trains;
};

#define QUIC_STREAM(p) ((struct quic_stream *)(void *)(p))
#define QUIC_CONN(p) ((struct quic_conn *)(void *)(p))

/* ---- quic_endpoint.c ---- */

/* As quic_endpoint_new, on any UDP, which it takes over also on failure. */
int quic_endpoint_new_on(const struct quic_endpoint_config *config, struct udp *udp, struct quic_endpoint **ret_ep,
                         struct err *ret_err);

uint64_t quic_now(const struct quic_endpoint *ep);

/* A new connection ID, random but for its first byte. */
void quic_new_cid(struct quic_endpoint *ep, ngtcp2_cid *ret_cid);

/* Makes packets with that destination ID come to `route`. 0, -ENOMEM, -EEXIST. */
int quic_name_add(struct quic_endpoint *ep, struct quic_route *route, struct slice key);
void quic_name_remove(struct quic_endpoint *ep, struct quic_route *route, struct slice key); /* when it is route's */
void quic_names_free(struct quic_endpoint *ep, struct quic_route *route);

/* The key under which a reset token is kept. It is longer than our connection IDs, so the two
 * cannot be mistaken. */
struct quic_token_key {
  uint8_t p[1 + NGTCP2_STATELESS_RESET_TOKENLEN];
};
struct quic_token_key quic_token_key(const uint8_t *token);

/* Counts a connection on its source address, making *ret_source. 0, -ENOMEM, -EUSERS over the limit,
 * -EBUSY when too many of its handshakes are in flight. */
int quic_source_take(struct quic_endpoint *ep, const union udp_addr *peer, struct quic_source **ret_source);
void quic_source_release(struct quic_endpoint *ep, struct quic_source *source);

/* ---- quic_token.c ---- */

int quic_keys_derive(struct quic_endpoint *ep);
int quic_reset_token(const struct quic_endpoint *ep, const ngtcp2_cid *cid, uint8_t *ret_token);

enum quic_token { QUIC_TOKEN_NONE, QUIC_TOKEN_RETRY, QUIC_TOKEN_REGULAR, QUIC_TOKEN_BAD };

/* What the token of an Initial proves: NONE nothing, RETRY (then *ret_odcid is the first
 * destination ID) and REGULAR that the peer owns its address. BAD: a Retry token that is wrong, the
 * connection must be refused. */
enum quic_token quic_token_check(const struct quic_endpoint *ep, const ngtcp2_pkt_hd *hd, const union udp_addr *peer,
                                 ngtcp2_cid *ret_odcid);

/* Gives the client a token for its next connection. Failure only costs that one a round trip. */
void quic_token_submit(struct quic_conn *c);

void quic_send_retry(struct quic_endpoint *ep, const struct udp_packet *p, const ngtcp2_pkt_hd *hd);
void quic_send_version_negotiation(struct quic_endpoint *ep, const struct udp_packet *p, const ngtcp2_version_cid *vc);
void quic_send_refusal(struct quic_endpoint *ep, const struct udp_packet *p, const ngtcp2_pkt_hd *hd, uint64_t error);
void quic_send_reset(struct quic_endpoint *ep, const struct udp_packet *p);

/* ---- quic_tls.c ---- */

/* Makes c->tls for a server (client == NULL) or client connection. 0 or -ENOMEM and the like. */
int quic_tls_server(struct quic_conn *c);
int quic_tls_client(struct quic_conn *c, const char *const *alpn);

/* Copies what the handshake chose: c->alpn, and on a server c->host. False when there is no ALPN.
 */
bool quic_tls_chosen(struct quic_conn *c);

/* ---- quic_conn.c ---- */

/* A connection in its handshake, counted and in the endpoint's list, without ng and tls. Takes over
 * `client` (NULL on a server). NULL without memory. */
struct quic_conn *quic_conn_new(struct quic_endpoint *ep, const union udp_addr *peer, struct quic_client *client);

/* Bytes that it holds, what sessions hold for its streams aside. */
size_t quic_conn_memory(const struct quic_conn *c);

void quic_conn_settings(const struct quic_conn *c, ngtcp2_settings *settings, ngtcp2_transport_params *params);
extern const ngtcp2_callbacks quic_callbacks;

ngtcp2_path quic_path(union udp_addr *local, union udp_addr *peer);

/* Gives one packet to ngtcp2; the connection may be gone afterwards. */
void quic_conn_read(struct quic_conn *c, const struct udp_packet *p);

void quic_conn_dirty(struct quic_conn *c);

/* Tells of a limit that the connection has reached, with its peer's address. */
void quic_conn_over(const struct quic_conn *c, enum limit limit);

/* The connection cannot go on because of a libngtcp2 error: says so to the peer where that makes
 * sense, ends it and frees it. Never from inside a callback of ngtcp2. */
void quic_conn_fail(struct quic_conn *c, int liberr);

/* Notes that the application wants the end; the first one counts. */
void quic_conn_close(struct quic_conn *c, uint64_t code, const char *reason);

/* Ends it as the application asked, and frees it. */
void quic_conn_close_now(struct quic_conn *c);

/* Frees a connection that was never started, without a word. */
void quic_conn_free(struct quic_conn *c);

void quic_closing_free(struct quic_closing *closing);
void quic_closing_packet(struct quic_closing *closing);

/* ---- quic_memory.c ---- */

/* Makes c->mem, which ngtcp2_conn_*_new is given. c must outlive ng. */
void quic_memory_init(struct quic_conn *c);

/* ---- quic_stream.c ---- */

extern const struct transport_ops quic_transport_ops;

/* Tells `closed` and frees it. */
void quic_stream_end(struct quic_stream *s);

/* Puts s into the heap if it may have something to send. */
void quic_stream_ready(struct quic_stream *s);

/* Up to QUIC_IOV_MAX iovecs of what s has to send, prefix first. */
size_t quic_stream_pull(struct quic_stream *s, struct iovec *iov, bool *ret_fin);

/* Tells the session what left with the packet, and puts the stream back in line. */
void quic_stream_packet_done(struct quic_stream *s);

/* Stops what was stopped in this turn. Not from inside a callback of ngtcp2. */
void quic_streams_stop(struct quic_conn *c);

/* The peer has stopped our direction. */
void quic_stream_stopped(struct quic_stream *s, uint64_t wire_code);

int quic_on_stream_open(ngtcp2_conn *ng, int64_t id, void *user);
int quic_on_stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data, size_t n,
                        void *user, void *stream_user);
int quic_on_stream_acked(ngtcp2_conn *ng, int64_t id, uint64_t offset, uint64_t n, void *user, void *stream_user);
int quic_on_stream_reset(ngtcp2_conn *ng, int64_t id, uint64_t final_size, uint64_t code, void *user,
                         void *stream_user);
int quic_on_stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream_user);
int quic_on_stream_credit(ngtcp2_conn *ng, int64_t id, uint64_t max, void *user, void *stream_user);

/* ---- quic_send.c ---- */

/* Sends one packet that is not part of a flush; dropped when the socket is full. */
void quic_send_now(struct quic_endpoint *ep, const union udp_addr *local, const union udp_addr *peer, const uint8_t *p,
                   size_t n);

/* Sends what c has to send and may; 0 or a libngtcp2 error. *ret_expiry is when ngtcp2 wants to be
 * called next, UINT64_MAX = never. */
int quic_send(struct quic_conn *c, uint64_t *ret_expiry);

/* The socket takes packets again. */
void quic_send_resume(struct quic_endpoint *ep);

/* Largest datagram payload that fits into a packet of c and that its peer takes; 0 = it takes none.
 */
size_t quic_datagram_max(const struct quic_conn *c);

/* Forgets the oldest datagram that waits; there must be one. */
void quic_datagram_drop(struct quic_conn *c);

/* ---- quic_dial.c ---- */

/* An ICMP error about `peer`: dials that have not heard from it fail. */
void quic_dial_refused(void *ctx, const union udp_addr *peer, int error);

/* Tells the owner of a dialled connection that it did not come up. `error` is what the peer closed
 * with, or NULL. */
void quic_dial_failed(struct quic_conn *c, int liberr, const ngtcp2_ccerr *error);
