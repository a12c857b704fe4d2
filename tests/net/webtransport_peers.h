/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two ends of a simulated QUIC connection for tests of WebTransport: a server and a client that use
 * the binding, or a raw peer that sends the bytes it is told to. */
#pragma once
#include "net/webtransport.h"
#include "support/mem_transport.h"
#include "support/sim.h"
#include "wire/h3/codes.h"
#include "wire/h3/frame.h"
#include "wire/h3/message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define FLOWS_MAX 256

/* What happened to one stream, and what is to be sent on it. */
struct flow {
  struct ep *ep;
  struct stream *s; /* NULL once closed */
  uint64_t id;
  bool bidi, local;
  struct buf in;
  uint8_t *out; /* never moves while the stream lives */
  size_t out_n, out_sent;
  bool out_fin, fin, was_reset, was_stopped, closed;
  uint64_t reset_code, stop_code;
};

/* An end: of a session, or of the raw connection. */
struct ep {
  struct transport *t;
  struct flow *flows[FLOWS_MAX];
  size_t flow_count, open, on_streams;
  size_t refuse; /* the next streams are stopped and reset with this code from inside on_stream; 0 =
                    none */
  bool close_in_on_stream;
  struct buf datagrams; /* joined */
  size_t datagram_count;
  bool closed, by_peer;
  uint64_t code;
  char reason[1025];
};

struct pair {
  struct worker w;
  struct mem_pair *mem;
  struct ep server, client; /* the server's session; the client's session or the raw peer */
  /* server */
  const char *accept; /* protocol to accept with at once; NULL = keep the request */
  int reject;         /* or a status to refuse with at once */
  struct wt_session *request;
  size_t requests, gone;
  char path[256], authority[256], origin[256], protocols[256]; /* of the last request; protocols joined by ' ' */
  bool refuse; /* either end closes its session instead of listening to it */
  /* client */
  bool failed, up;
  int failed_status;
  char failed_text[256];
  struct h3_qpack qpack; /* the raw peer's */
};

/* The pair without anything on it, and what the others put there. */
void pair_start(struct pair *p, const struct mem_config *config);
extern const struct wt_server_events *const pair_server_events;
extern const struct wt_dial_events *const pair_dial_events;

/* A server on one end. The other is raw (its events are set), or a client that asks for /path. */
void pair_raw(struct pair *p, const struct mem_config *config);
void pair_dial(struct pair *p, const struct mem_config *config, const char *const *protocols);
/* The raw peer is the server's end, and the binding the client. */
void pair_raw_server(struct pair *p, const struct mem_config *config, const char *const *protocols);
void pair_down(struct pair *p);

/* Accepts the request that was kept. */
void pair_accept(struct pair *p, const char *protocol);

/* Records what happens on a transport, of any kind; freed when all has been closed. */
void ep_take(struct ep *ep, struct transport *t);
void ep_free(struct ep *ep);

/* NULL when it cannot be opened. */
struct flow *flow_try(struct ep *ep, bool bidi, struct slice bytes, bool fin);
struct flow *flow_open(struct ep *ep, bool bidi, struct slice bytes, bool fin);
void flow_send(struct flow *f, struct slice bytes, bool fin);
/* The stream with that id, or NULL. */
struct flow *flow_of(struct ep *ep, uint64_t id);

/* The raw peer's usual first flight. */
#define RAW_SETTINGS "\x00\x04\x0e\x08\x01\x33\x01\xab\x60\x37\x42\x01\xab\x60\x37\x43\x01"
struct flow *raw_settings(struct pair *p);
struct flow *raw_connect(struct pair *p);
struct flow *raw_request(struct pair *p, int fin, ...); /* name, value, ..., NULL */

/* The status of the response on a request's stream; 0 = none yet. */
int raw_status(struct flow *f);
