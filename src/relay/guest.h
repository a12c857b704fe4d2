/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A guest: one peer from its connection to its end. Admission runs before a session may see
 * anything; WebTransport is asked at CONNECT and refused by HTTP status; raw QUIC, whose path comes
 * with SETUP, and clients of the legacy SETUP exchange, who may bring a token there, are asked
 * after it and refused by a close code. */
#pragma once
#include "auth/admission.h"
#include "base/limits.h"
#include "net/webtransport.h"
#include "session/lite/session.h"

/* What guests share; embedded in the relay. */
struct guests {
  struct list all;
  size_t count;
  uint64_t next_id;
  struct lite_env env;
  struct admission *admission;
  struct worker *worker;
  const struct log *log;
  struct wt_server_events webtransport;
  const char *const *versions; /* ALPNs that are spoken, NULL-terminated, in our order of preference */
  unsigned legacy;             /* versions that the SETUP exchange of 01 and 02 may pick, 1u << version */
  bool leaving;                /* the relay goes: no new guests */
  bool (*full)(void *ctx, const struct sockaddr_storage *peer); /* whether memory is short; may be NULL */
  void (*empty)(void *ctx);    /* the last one has left */
  void *ctx;
};

void guests_init(struct guests *g);

/* A connection is up. */
void guests_connection(struct guests *g, struct transport *t);

/* Asks every session to leave; from here on nobody new is let in. */
void guests_goaway(struct guests *g);

/* Bytes that all sessions hold, their connections aside. */
size_t guests_memory(const struct guests *g);

/* Closes those sessions for which most is held, their connections included, until about `bytes` are to come back, but
 * none for which less than `least` is held, and some at most. The bytes that are to come back. */
uint64_t guests_close_largest(struct guests *g, uint64_t bytes, uint64_t least, struct limits *counts);

/* Closes every session and refuses who still waits for one. */
void guests_close(struct guests *g, uint64_t code, const char *reason);
