/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* UDP as the QUIC endpoint sees it: received packets come by callback with both addresses and the
 * ECN mark, outgoing ones leave as trains of equal packets (GSO). The operations are function
 * pointers, so that tests can put a simulated network in the place of the kernel's. Everything runs
 * on the thread of the loop it was made for. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "net/worker.h"
#include <netinet/in.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address with its port. A dual-stack socket has IPv4 peers as mapped IPv6
 * addresses, as the kernel does. */
union udp_addr {
  struct sockaddr sa;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static inline socklen_t udp_addr_len(const union udp_addr *a)
{
  return a->sa.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

/* True when the host part is the wildcard. */
bool udp_addr_any(const union udp_addr *a);

/* a, with a mapped IPv4 address turned into a plain one; for people and for rules about addresses.
 */
union udp_addr udp_addr_plain(const union udp_addr *a);

/* The address that a socket of `family` uses for `sa`: 0, or -EAFNOSUPPORT. */
int udp_addr_for(int family, const struct sockaddr *sa, socklen_t len, union udp_addr *ret_addr);

struct udp_packet {
  struct slice data; /* borrowed for the call */
  union udp_addr local, peer;
  uint8_t ecn; /* the two ECN bits */
};

/* Packets of `segment` bytes each (the last may be shorter), back to back, all to one peer. */
struct udp_train {
  const uint8_t *p;
  size_t n, segment;
  union udp_addr local, peer; /* local: the source address, wildcard = the kernel's choice */
  uint8_t ecn;
};

/* What a kernel takes in one GSO call. */
#define UDP_TRAIN_BYTES 65000
#define UDP_TRAIN_SEGMENTS 64

struct udp;

struct udp_events {
  void (*packet)(void *ctx, const struct udp_packet *p);
  void (*writable)(void *ctx); /* after a send took less than the train */
  /* The network said that a packet to `peer` met an error (ICMP): a hint, anybody may have sent it.
   */
  void (*refused)(void *ctx, const union udp_addr *peer, int error);
};

struct udp_ops {
  /* Returns the bytes taken: all, or whole segments before the socket was full (then
   * events->writable follows). What the network refuses counts as taken: QUIC treats it as lost. */
  size_t (*send)(struct udp *u, const struct udp_train *t);
  /* Asks for events->refused from now on. */
  void (*watch_errors)(struct udp *u);
  void (*free)(struct udp *u); /* no event after it */
};

/* What a socket asks for, each way: the packets of a burst wait there for the loop. */
#define UDP_BUFFER_BYTES (4u << 20)

struct udp_stats {
  uint64_t sends, sent_packets, sent_bytes, receives, received_packets, received_bytes;
};

/* Embedded by implementations as the first member. `events` and `ctx` are set by the owner before
 * the loop runs. */
struct udp {
  const struct udp_ops *ops;
  const struct udp_events *events;
  void *ctx;
  union udp_addr address;             /* bound */
  size_t receive_buffer, send_buffer; /* what the kernel gave of UDP_BUFFER_BYTES */
  struct udp_stats stats;
};

/* Opens a socket on `bind` ("[::]:4443", "127.0.0.1:0", "host:443"; "[::]" also takes IPv4, and
 * falls back to "0.0.0.0" where there is no IPv6). Errors: negative errno and a text that names the
 * address. */
int udp_socket_new(struct worker *worker, const char *bind, bool gso, struct udp **ret_udp, struct err *ret_err);
