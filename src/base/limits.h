/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every limit on what a peer can make us hold or do, by name. A limit is the option of the same name; whoever enforces it
 * refuses the one request or peer that is over it, with its own error, and tells it here: it is counted, and the log says
 * so, at most once per LIMIT_LOG_NS and limit. Belongs to one thread, like the parts that point at it. */
#pragma once
#include "base/log.h"
#include <stdint.h>

enum limit {
  /* net: quic */
  LIMIT_CONNECTIONS,
  LIMIT_CONNECTIONS_PER_ADDRESS,
  LIMIT_HANDSHAKES,
  LIMIT_HANDSHAKES_RETRY, /* told for each Retry */
  LIMIT_CONNECTION_SESSIONS,
  LIMIT_CONNECTION_BYTES,
  LIMIT_EGRESS,
  LIMIT_MEMORY,
  /* session */
  LIMIT_ANNOUNCES,
  LIMIT_SUBSCRIPTIONS,
  LIMIT_SESSION_TRACKS,
  LIMIT_SESSION_FETCHES,
  LIMIT_REQUESTS_PER_SECOND,
  LIMIT_MESSAGE_BYTES,
  LIMIT_MESSAGE_TIMEOUT,
  LIMIT_PARTIAL_BYTES,
  LIMIT_GROUPS,
  LIMIT_QUEUE_BYTES,
  LIMIT_SESSION_QUEUE_BYTES,
  LIMIT_ANNOUNCE_STREAMS,
  LIMIT_ANNOUNCE_ENTRIES,
  LIMIT_PATH_PARTS,
  LIMIT_PATH_BYTES,
  /* model */
  LIMIT_BROADCASTS,
  LIMIT_TRACKS,
  LIMIT_TRACKS_TOTAL,
  LIMIT_SUBSCRIBERS,
  LIMIT_SUBSCRIPTIONS_TOTAL,
  LIMIT_FETCHES_TOTAL,
  LIMIT_GROUP_BYTES,
  LIMIT_FRAME_BYTES,
  LIMIT_GROUP_FRAMES,
  LIMIT_BEHIND_BYTES,
  /* web */
  LIMIT_HTTP_CLIENTS,
  LIMIT_HTTP_REQUEST_BYTES,
  /* auth */
  LIMIT_AUTH_REQUESTS,
  LIMITS
};

#define LIMIT_LOG_NS (10 * NS_PER_S)

struct limits {
  const struct log *log; /* may be NULL */
  uint64_t hits[LIMITS]; /* since the start */
  uint64_t told[LIMITS], told_at[LIMITS];
};

/* The option's key: "limits.connections". */
const char *limit_name(enum limit limit);

/* A request or peer was over the limit at time `now`; the text says who: "peer=192.0.2.1:4433". `l` may be NULL. */
void limit_hit(struct limits *l, enum limit limit, uint64_t now, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
