/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/limits.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define WHO_MAX 256

static const char *const names[LIMITS] = {
    [LIMIT_CONNECTIONS] = "limits.connections",
    [LIMIT_CONNECTIONS_PER_ADDRESS] = "limits.connections_per_address",
    [LIMIT_HANDSHAKES] = "limits.handshakes",
    [LIMIT_HANDSHAKES_RETRY] = "limits.handshakes_retry",
    [LIMIT_CONNECTION_BYTES] = "limits.connection_bytes",
    [LIMIT_CONNECTION_SESSIONS] = "limits.connection_sessions",
    [LIMIT_EGRESS] = "limits.egress",
    [LIMIT_MEMORY] = "memory.max",
    [LIMIT_ANNOUNCES] = "limits.announces",
    [LIMIT_SUBSCRIPTIONS] = "limits.subscriptions",
    [LIMIT_SESSION_TRACKS] = "limits.session_tracks",
    [LIMIT_SESSION_FETCHES] = "limits.session_fetches",
    [LIMIT_REQUESTS_PER_SECOND] = "limits.requests_per_second",
    [LIMIT_MESSAGE_BYTES] = "limits.message_bytes",
    [LIMIT_MESSAGE_TIMEOUT] = "limits.message_timeout",
    [LIMIT_PARTIAL_BYTES] = "limits.partial_bytes",
    [LIMIT_GROUPS] = "limits.groups",
    [LIMIT_QUEUE_BYTES] = "limits.queue_bytes",
    [LIMIT_SESSION_QUEUE_BYTES] = "limits.session_queue_bytes",
    [LIMIT_ANNOUNCE_STREAMS] = "limits.announce_streams",
    [LIMIT_ANNOUNCE_ENTRIES] = "limits.announce_entries",
    [LIMIT_PATH_PARTS] = "limits.path_parts",
    [LIMIT_PATH_BYTES] = "limits.path_bytes",
    [LIMIT_BROADCASTS] = "limits.broadcasts",
    [LIMIT_TRACKS] = "limits.tracks",
    [LIMIT_TRACKS_TOTAL] = "limits.tracks_total",
    [LIMIT_SUBSCRIBERS] = "limits.subscribers",
    [LIMIT_SUBSCRIPTIONS_TOTAL] = "limits.subscriptions_total",
    [LIMIT_FETCHES_TOTAL] = "limits.fetches_total",
    [LIMIT_GROUP_BYTES] = "limits.group_bytes",
    [LIMIT_FRAME_BYTES] = "limits.frame_bytes",
    [LIMIT_GROUP_FRAMES] = "limits.group_frames",
    [LIMIT_BEHIND_BYTES] = "limits.behind_bytes",
    [LIMIT_HTTP_CLIENTS] = "limits.http_clients",
    [LIMIT_HTTP_REQUEST_BYTES] = "limits.http_request_bytes",
    [LIMIT_AUTH_REQUESTS] = "limits.auth_requests",
};

const char *limit_name(enum limit limit)
{
  assert(limit < LIMITS);
  return names[limit];
}

void limit_hit(struct limits *l, enum limit limit, uint64_t now, const char *fmt, ...)
{
  if (!l)
    return;
  uint64_t hits = ++l->hits[limit];
  if (l->told[limit] && now - l->told_at[limit] < LIMIT_LOG_NS)
    return;
  char who[WHO_MAX];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(who, sizeof who, fmt, ap);
  va_end(ap);
  log_warn(l->log, "limit reached limit=%s hits=%" PRIu64 " since_last=%" PRIu64 " %s", limit_name(limit), hits,
           hits - l->told[limit], who);
  l->told[limit] = hits;
  l->told_at[limit] = now;
}
