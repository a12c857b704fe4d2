/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The relay: listeners, admission, sessions and the end of it all, put together from a
 * configuration. One worker so far; nothing here is global. */
#pragma once
#include "base/err.h"
#include "base/log.h"
#include "base/rng.h"
#include "config/relay_config.h"
#include <sys/socket.h>
#include <uv.h>

struct relay;
struct quic_limits;
struct model_limits;
struct lite_limits;
struct http_config;
struct auth_server_config;
struct privacypass_config;

/* Opens every listener and says on the log what it listens on. The loop, log and config outlive the
 * relay. Errors name what could not be done. */
int relay_new(const struct relay_config *config, uv_loop_t *loop, const struct log *log, struct rng rng,
              struct relay **ret_relay, struct err *ret_err);

/* What is in force, read from the running parts. Borrowed from the relay; NULL where a part is off.
 */
struct relay_view {
  const struct quic_limits *quic; /* of the first listener */
  const struct model_limits *model;
  const struct lite_limits *lite;
  const struct http_config *http, *https, *internal;
  const struct auth_server_config *auth;
  const struct privacypass_config *privacypass;
  const struct sockaddr_storage *quic_address, *http_address, *https_address, *internal_address;
  uint32_t connection_sessions;
  uint64_t cache_capacity, memory_max, hop_id;
};
void relay_inspect(const struct relay *r, struct relay_view *ret_view);

/* What holds memory now. Walks all connections and sessions. */
struct memory_gauges;
void relay_memory(const struct relay *r, struct memory_gauges *ret_gauges);

/* Stops accepting, asks the sessions to leave (GOAWAY), closes those that stay, and ends when all have left, at the latest
 * after drain_timeout; at once when called again or when drain_timeout is 0. `ended` is called from the loop when nothing
 * is left. */
void relay_drain(struct relay *r, void (*ended)(void *ctx), void *ctx);

/* Loads the certificates anew; on failure the old ones stay and the log says so. */
void relay_reload(struct relay *r);

/* Ends what is left, runs the loop until its handles have closed (the caller's own must have been
 * closed before), frees. */
void relay_free(struct relay *r);
