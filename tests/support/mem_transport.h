/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connected pair of in-memory transports in virtual time: what sessions, model and cluster are
 * tested on. It keeps every rule of transport.h that a QUIC connection keeps (no event from inside
 * an op; pull, sent, acked, closed; stream limits; stream and connection windows; a stop makes the
 * peer reset), and checks the session's side of them: it aborts when bytes change before they are
 * acked, when more credit is given back than was received, or when on_stream sets no events. A
 * stream and a transport are freed right after their last event, so that a sanitizer sees a later
 * use.
 *
 * Nothing happens but from `timers`: the test advances *now and runs them (sim.h does). A seed
 * repeats a run exactly.
 *
 * Stream codes travel as on QUIC: mapped into HTTP/3's range and back. */
#pragma once
#include "base/timers.h"
#include "net/transport.h"

struct mem_config {
  uint64_t delay_ns;                  /* one way */
  uint64_t jitter_ns;                 /* up to this much is added; streams and datagrams overtake each other, each
                           stream stays in order,   but a reset may overtake its stream's data */
  uint64_t rate;                      /* bytes per second each way; 0 = no limit */
  uint64_t send_window;               /* bytes that are not acked, per direction; 0 = no limit */
  size_t segment;                     /* most bytes that one pull takes */
  uint64_t stream_window;             /* receive window of each stream */
  uint64_t window;                    /* and of the connection */
  uint64_t streams_bidi, streams_uni; /* that the peer may have open */
  size_t max_datagram;                /* 0 = not supported */
  uint32_t datagram_loss;             /* per thousand */
  uint64_t idle_timeout_ns;           /* how long after mem_kill the two ends notice */
  uint64_t seed;
  const char *kind, *protocol, *path, *host; /* of both transports; borrowed for the pair's life */
};

/* 1 ms, no jitter, no rate, segments of 1200, windows of 1 MiB and 8 MiB, 100 streams of each kind,
 * datagrams of 1200, no loss, 10 s, "memory", "moq-lite-06", "", "". */
struct mem_config mem_config_default(void);

struct mem_pair;

/* Both ends are up at once. Set events and user of both before time moves. `now` and `timers`
 * outlive the pair. */
struct mem_pair *mem_pair_new(struct timers *timers, const uint64_t *now, const struct mem_config *config);

/* The ends; NULL once their on_closed has been called. */
struct transport *mem_client(struct mem_pair *p);
struct transport *mem_server(struct mem_pair *p);

/* The connection dies without a word: nothing arrives any more, and both ends are closed with
 * TRANSPORT_NO_CODE, by_peer = false, after idle_timeout_ns. */
void mem_kill(struct mem_pair *p);

/* While true, whatever is sent or in flight waits; afterwards it goes on in order (a blackout that
 * QUIC survives). */
void mem_pause(struct mem_pair *p, bool paused);

/* The link is like this from now on; what is in flight arrives as it would have. */
void mem_set_link(struct mem_pair *p, uint64_t delay_ns, uint64_t jitter_ns, uint64_t rate);

/* Lets the peer of this end open n more streams, beyond those that it gets back for closed ones. */
void mem_allow_streams(struct transport *t, bool bidi, uint64_t n);

/* Streams that exist at an end. */
size_t mem_streams(const struct transport *t);

/* Frees the pair; ends that are still up are closed first (events: closed of each stream, on_closed
 * with TRANSPORT_NO_CODE). */
void mem_pair_free(struct mem_pair *p);

/* What quic.h offers to bindings, for tests of bindings: codes as they are on the wire, bytes
 * before a stream's own. */
void mem_stream_reset_raw(struct stream *s, uint64_t wire_code);
void mem_stream_stop_raw(struct stream *s, uint64_t wire_code);
void mem_stream_set_prefix(struct stream *s, struct slice prefix);
void mem_each_stream(struct transport *t, void (*fn)(struct stream *s, void *ctx), void *ctx);
