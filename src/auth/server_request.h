/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an auth server is told of a session, as JSON: who asks, from where, for what; with each event the same, after the
 * event's own members. Members that are not known are left out. */
#pragma once
#include "auth/admission.h"
#include "base/buf.h"

#define SERVER_ID_MAX 32 /* hex digits that name a session */

/* The facts that all events of a session share: `"node":...}`, without the brace at the front. 0; -EINVAL when what the
 * client gave is not text (UTF-8); -ENOMEM. */
int server_facts(const struct admission_request *r, const char *node, struct buf *out);

enum server_event { SERVER_CONNECT, SERVER_REVALIDATE, SERVER_END };

/* Appends a request's body. `end` and `duration_ns` are for SERVER_END. */
void server_body(enum server_event event, const char *id, struct slice facts, const struct admission_end *end,
                 uint64_t duration_ns, struct buf *out);
