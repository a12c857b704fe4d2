/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A WebTransport server that answers in kind: a bidirectional stream gets its bytes back, a
 * unidirectional one is sent back on a new one when it has ended, a datagram is returned. "close"
 * on a stream closes the session with 7 "bye", "reset" resets it with 54, "stop" stops it with 51.
 * Paths: /deny is refused with 403, /late is accepted after 200 ms. */
#pragma once
#include "net/webtransport.h"

struct wt_echo {
  struct quic_endpoint *ep;
  struct worker *worker;
  const struct log *log;
  struct tls_server *tls;
  size_t sessions, closed; /* so far */
  uint64_t code;           /* of the last that closed */
  char reason[1025];
  bool by_peer;
};

/* Listens on `bind` with a certificate of its own for localhost. */
int wt_echo_init(struct wt_echo *e, struct worker *worker, const struct log *log, const char *bind,
                 struct err *ret_err);
void wt_echo_destroy(struct wt_echo *e);
