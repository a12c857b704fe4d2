/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The relay: listeners, admission, sessions and the end of it all, put together from a configuration. One worker so far;
 * nothing here is global. */
#pragma once
#include "base/err.h"
#include "base/log.h"
#include "base/rng.h"
#include "config/relay_config.h"
#include <uv.h>

struct relay;

/* Opens every listener and says on the log what it listens on. The loop, log and config outlive the relay. Errors name what
 * could not be done. */
int relay_new(const struct relay_config *config, uv_loop_t *loop, const struct log *log, struct rng rng,
              struct relay **ret_relay, struct err *ret_err);

/* Stops accepting, asks the sessions to leave (GOAWAY), ends when all have left or after drain_timeout; at once when called
 * again. `ended` is called from the loop when nothing is left. */
void relay_drain(struct relay *r, void (*ended)(void *ctx), void *ctx);

/* Loads the certificates anew; on failure the old ones stay and the log says so. */
void relay_reload(struct relay *r);

/* Ends what is left, runs the loop until its handles have closed (the caller's own must have been closed before), frees. */
void relay_free(struct relay *r);
