/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* RUST_LOG, which sets the level of the Rust relays over all else: users and service files have it. */
#pragma once
#include "base/log.h"
#include <stdbool.h>

/* The level that its directives ("debug", "moq_relay=trace,info", "moq_net::lite=debug") have for this program: the one for
 * moq_relay, else the one for everything. False when there is none; those for other parts mean nothing here. "off" is
 * error, the least that there is. */
bool rust_log_level(const char *directives, enum log_level *ret_level);
