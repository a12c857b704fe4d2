/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two QUIC endpoints in one process, on loopback: a server that echoes or records, and a client to
 * drive. Tests say what should happen and run the loop until it has, or until a bound is hit, which
 * fails the test. */
#pragma once
#include "net/quic.h"
#include "sim_udp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define RUN_SECONDS 30
#define RUN_SECONDS_SIM 600 /* of virtual time */
#define END_TEXT_MAX 256
#define STREAMS_KEPT 8

struct side;

/* What happened to one stream. Bytes sent are a pattern, so that the receiver can check each by its
 * position. */
struct flow {
  struct side *side;
  struct stream *s; /* NULL once closed */
  uint64_t id;
  uint64_t to_send, sent, acked, received;
  bool fin, fin_sent, fin_received, closed, was_reset, was_stopped, echo;
  uint64_t reset_code, stop_code;
  size_t credit_held, hold; /* give credit back only in lumps of that size; SIZE_MAX: never */
  uint64_t order;
  size_t pull_max; /* 0 = any; else pulls say at most a random number of bytes up to it */
  uint8_t *data;   /* echo: what came, to be sent back */
  size_t data_cap;
};

struct side {
  struct quic_endpoint *ep;
  struct transport *t;             /* the newest connection, NULL when it is over */
  struct flow flows[STREAMS_KEPT]; /* the first streams that the peer opened */
  size_t opened, streams_closed, streams_allowed, connections;
  uint64_t bytes;
  size_t datagrams, datagram_bytes;
  bool closed, closed_by_peer, failed;
  uint64_t close_code;
  int fail_rc;
  char text[END_TEXT_MAX]; /* close reason, or why a dial failed */
  bool echo, refuse_connections, bad_data;
  size_t hold;
  uint64_t reset_with, stop_with; /* 0 = do not; else new streams of the peer are met with it */
  uint64_t stop_data_with;        /* the same when their first data comes */
};

struct pair {
  uv_loop_t loop;
  uv_timer_t tick;
  struct worker worker;
  uint64_t seed;
  struct tls_server *tls;
  struct tls_client *pinned; /* of the newest dial */
  struct side server, client;
  uint64_t deadline;
  size_t turns;
  bool simulated; /* in virtual time, on net */
  struct sim_net net;
};

/* The byte at a position of every stream of these tests. */
static inline uint8_t pattern(uint64_t at)
{
  return (uint8_t)(at * 31 + (at >> 8));
}

void pair_init(struct pair *p);
void pair_init_sim(struct pair *p, uint64_t seed);
void pair_destroy(struct pair *p);

/* Limits for both ends; change what the test is about and pass it on. */
struct quic_limits pair_limits(void);
void pair_server(struct pair *p, const struct quic_limits *limits, const char *const *alpn, const char *bind);
void pair_client(struct pair *p, const struct quic_limits *limits);

/* Dials `to` (NULL = the server); fingerprint NULL = the right one. Returns the connection to be.
 */
struct transport *pair_start(struct pair *p, const struct sockaddr *to, const char *const *alpn,
                             const char *fingerprint);
struct transport *pair_start_as(struct pair *p, const char *host, const char *const *alpn,
                                const struct tls_client_config *config);
/* The same, and waits until it is up or has failed. */
void pair_dial(struct pair *p, const struct sockaddr *to, const char *const *alpn, const char *fingerprint);
void pair_connect(struct pair *p); /* server, client and dial with defaults, until both are up */

/* For dials of a test's own: records the failure in the side that is ctx. */
void pair_on_failed(void *ctx, int rc, const char *text);

/* Writes the server's certificate to a new PEM file, which the test removes. */
void pair_write_root(struct pair *p, char *ret_path, size_t cap);

extern const struct stream_events flow_events;
void flow_open(struct flow *f, struct side *side, bool bidi, uint64_t to_send, bool fin);

/* One turn of the loop; fails the test when the time is over. */
void pair_turn(struct pair *p);

static inline uint64_t pair_bound(const struct pair *p)
{
  return (p->simulated ? RUN_SECONDS_SIM : RUN_SECONDS) * NS_PER_S;
}

#define RUN_UNTIL(pair, condition)                                                                                     \
  do {                                                                                                                 \
    (pair)->deadline = clock_now(&(pair)->worker.clock) + pair_bound(pair);                                            \
    while (!(condition)) {                                                                                             \
      if (clock_now(&(pair)->worker.clock) > (pair)->deadline)                                                         \
        fail_msg("did not happen in time: %s", #condition);                                                            \
      pair_turn(pair);                                                                                                 \
    }                                                                                                                  \
  } while (0)
