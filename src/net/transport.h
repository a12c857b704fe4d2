/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a MoQ session runs on: streams, datagrams and an end, whatever carries them (raw QUIC, a WebTransport session, an
 * in-memory pair in tests). Bindings fill in the ops, sessions fill in the events. Everything here belongs to one
 * worker thread. No event is delivered from inside an op: bindings defer it to the loop's turn, so a session may call any
 * op at any point, also inside an event.
 *
 * Sending is by pull. A session never hands bytes over: it says that a stream has something (stream_wake), and the
 * transport, when it may send, takes iovecs from the stream's `pull` in send order. The bytes stay where they are,
 * unchanged, until `acked` covers them, the stream is reset, or `closed` comes: retransmissions read them again. So a thousand viewers of a
 * group all point at the same chunks.
 *
 * Life of a stream: it exists from open_stream (or on_stream) until `closed`, which comes exactly once, when both
 * directions have ended (all sent bytes acked or reset; all received or stopped) or the transport has closed. After it the
 * stream is gone. Closing a transport closes its streams first, then calls on_closed. */
#pragma once
#include "base/slice.h"
#include <sys/socket.h>
#include <sys/uio.h>

struct stream;
struct transport;

/* Lower goes first: major, then minor. Sessions build it from priority, age and sequence; ORDER_CONTROL is before any. */
struct send_order {
  uint64_t major, minor;
};
#define ORDER_CONTROL ((struct send_order){0, 0})

struct stream_events {
  /* Received bytes, in order; `fin` with the last (perhaps empty). `data` is borrowed for the call. The session gives flow
   * control credit back with stream_extend as it consumes; until then the peer can send one window. */
  void (*data)(struct stream *s, struct slice data, bool fin);
  /* The peer reset its direction; `code` is an application code, or TRANSPORT_NO_CODE. No more data. */
  void (*reset)(struct stream *s, uint64_t code);
  /* The peer wants no more of ours. The binding has reset our direction; no more pulls, and nothing handed out is read again. */
  void (*stopped)(struct stream *s, uint64_t code);
  /* Up to `max` iovecs of what follows the bytes reported by `sent` so far; *ret_fin when these are the last ones (also with
   * 0 iovecs). Returns the number filled, 0 = nothing now. Must be cheap and have no effect; may be called repeatedly. */
  size_t (*pull)(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin);
  /* n more bytes left; `fin` when the end went with them. */
  void (*sent)(struct stream *s, size_t n, bool fin);
  /* n more bytes, in order, will never be read again. May be NULL: then memory is held until `closed`. */
  void (*acked)(struct stream *s, size_t n);
  void (*closed)(struct stream *s);
};

/* A code outside the application's range, or none. */
#define TRANSPORT_NO_CODE UINT64_MAX

struct stream_ops {
  void (*wake)(struct stream *s);
  void (*reset)(struct stream *s, uint64_t code);
  void (*stop)(struct stream *s, uint64_t code);
  void (*extend)(struct stream *s, size_t n);
  void (*set_order)(struct stream *s, struct send_order order);
};

/* Embedded by bindings as their first member. `events` and `user` belong to the session (from on_stream or open_stream on). */
struct stream {
  const struct stream_ops *ops;
  const struct stream_events *events;
  void *user;
  struct transport *transport;
  uint64_t id; /* QUIC stream id */
  bool bidi, local;
};

struct transport_events {
  /* The peer opened a stream. Set s->events and s->user here; refuse with stream_reset/stream_stop after setting them. */
  void (*on_stream)(struct transport *t, struct stream *s);
  void (*on_datagram)(struct transport *t, struct slice data);
  /* The peer allows more streams of that kind than before: an open_stream that said -EAGAIN may work now. */
  void (*on_streams)(struct transport *t, bool bidi);
  /* The end, once. All streams have been closed. `code` is the application close code (TRANSPORT_NO_CODE for a transport
   * error or idle timeout), `reason` borrowed text. The transport is gone after it. */
  void (*on_closed)(struct transport *t, uint64_t code, struct slice reason, bool by_peer);
};

struct transport_stats {
  uint64_t rtt_ns;  /* smoothed, 0 = unknown */
  uint64_t bitrate; /* estimate of what may be sent, bit/s, 0 = unknown */
  uint64_t bytes_sent, bytes_received;
  uint64_t memory; /* bytes that the connection holds, 0 = unknown */
};

struct transport_ops {
  /* Opens a stream. 0, -EAGAIN (peer's stream limit; on_streams will tell), -ENOTCONN (closing), -ENOMEM. */
  int (*open_stream)(struct transport *t, bool bidi, const struct stream_events *events, void *user,
                     struct send_order order, struct stream **ret_stream);
  /* One datagram; dropped silently when it cannot go soon. 0, -EMSGSIZE, -ENOTSUP, -ENOTCONN. Bytes are copied. */
  int (*send_datagram)(struct transport *t, const struct iovec *iov, size_t n);
  /* Largest payload of a datagram now; 0 = the peer takes none. */
  size_t (*max_datagram)(struct transport *t);
  /* Starts closing; on_closed follows (never from inside this call). Later calls are ignored. reason may be "". */
  void (*close)(struct transport *t, uint64_t code, const char *reason);
  void (*stats)(struct transport *t, struct transport_stats *ret_stats);
};

/* Embedded by bindings as their first member. Strings live as long as the transport. */
struct transport {
  const struct transport_ops *ops;
  const struct transport_events *events; /* NULL until somebody listens; one that is closed before has nobody to tell */
  void *user;
  const char *kind; /* "quic", "webtransport", "memory": for logs and admission */
  const char
      *protocol; /* the MoQ version's ALPN or WebTransport subprotocol, e.g. "moq-lite-06"; "" when none was chosen */
  const char *path; /* path and query of the URL ("/room?jwt=..."), "" when the transport carries none (raw QUIC) */
  const char *host; /* SNI or :authority, "" when unknown */
  struct sockaddr_storage peer;
  struct sockaddr_storage local; /* where the peer reached us at first; AF_UNSPEC = unknown */
  bool client; /* we opened it */
};

static inline void stream_wake(struct stream *s)
{
  s->ops->wake(s);
}

/* Ends our direction at once: bytes that were handed out are not read again after it, nor after `stopped`. Ignored when our
 * direction has ended already, or there is none. */
static inline void stream_reset(struct stream *s, uint64_t code)
{
  s->ops->reset(s, code);
}

/* Asks the peer to end its direction; no more `data`. Ignored when it has ended, or there is none. */
static inline void stream_stop(struct stream *s, uint64_t code)
{
  s->ops->stop(s, code);
}

static inline void stream_extend(struct stream *s, size_t n)
{
  s->ops->extend(s, n);
}

static inline void stream_set_order(struct stream *s, struct send_order order)
{
  s->ops->set_order(s, order);
}

static inline int transport_open(struct transport *t, bool bidi, const struct stream_events *events, void *user,
                                 struct send_order order, struct stream **ret_stream)
{
  return t->ops->open_stream(t, bidi, events, user, order, ret_stream);
}

static inline void transport_close(struct transport *t, uint64_t code, const char *reason)
{
  t->ops->close(t, code, reason);
}
