/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Dials the addresses of one host as RFC 8305 has it, in its simplest form: families take turns,
 * the next address is tried when the one before has not answered within `stagger_ns` (without
 * failing that one) or has failed, and the first handshake that completes wins. One worker's
 * thread. */
#pragma once
#include "net/quic.h"
#include <netdb.h>

#define RACE_ADDRESSES_MAX 16 /* later ones are not tried */

struct race {
  /* Set before race_start. */
  struct worker *worker;
  struct quic_endpoint *endpoint;
  uint64_t stagger_ns, timeout_ns; /* the latter for all of it */
  /* From the loop, or from inside race_start when nothing could be sent at all. Once, never after
   * race_cancel. rc is quic_dial's of the attempt that tells most. */
  void (*lost)(void *ctx, int rc, const char *text);
  void *ctx;
  /* Its own. */
  struct quic_dial dial;
  const struct addrinfo *order[RACE_ADDRESSES_MAX];
  size_t count, next;
  struct list attempts;
  struct timer timer;
  uint64_t give_up_at;
  bool late;
  int rc;
  char text[256];
};

/* Once, before anything else. */
void race_init(struct race *r);

/* Addresses of the resolver into the order in which they are tried. The number, at most
 * RACE_ADDRESSES_MAX. */
size_t race_order(const struct addrinfo *list, const struct addrinfo **ret_order);

/* Starts with the first of `addresses`, which must outlive the race, as must what `dial` points at;
 * its peer, on_failed and ctx are the race's to fill in. */
void race_start(struct race *r, const struct addrinfo *addresses, const struct quic_dial *dial);

/* To be called by the endpoint's on_connection for a transport that was dialled here: ends the
 * race, the other attempts are given up. */
void race_won(struct race *r, struct transport *t);

/* Gives up what is under way, without an event. Fine at any time. */
void race_cancel(struct race *r);
