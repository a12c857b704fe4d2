/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A piece of network between one client and one server on loopback: passes datagrams on, and loses,
 * swaps or redirects them as a test asks. */
#pragma once
#include "base/rng.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <uv.h>

#define WIRE_PACKET_MAX 2048

struct wire {
  uv_loop_t *loop;
  struct rng rng;
  int front, back; /* the client sends to front; back sends to the server */
  uv_poll_t front_poll, back_poll;
  struct sockaddr_in address, client, server; /* address: of front */
  unsigned loss, swap;                        /* per thousand, each direction */
  bool cut_up, cut_down;                      /* nothing passes to / from the server */
  size_t up, down;                            /* packets passed */
  uint8_t held[WIRE_PACKET_MAX];              /* one packet to the client that is to be overtaken */
  size_t held_n;
};

void wire_init(struct wire *w, uv_loop_t *loop, struct rng rng, const struct sockaddr_storage *server);

/* A new source port towards the server, as a NAT that forgot us. */
void wire_rebind(struct wire *w);

/* Another server from now on. */
void wire_redirect(struct wire *w, const struct sockaddr_storage *server);
void wire_destroy(struct wire *w); /* then run the loop before the struct goes */
