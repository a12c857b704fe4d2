/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A simulated network of UDP ends in virtual time (support/sim.h): every packet takes its delay,
 * waits for its turn on a slow line, may be lost, doubled, or arrive out of order, all as a seed
 * says. */
#pragma once
#include "base/rng.h"
#include "net/udp.h"

struct sim_net {
  struct worker *worker;
  struct rng rng;
  uint64_t delay_ns, jitter_ns; /* jitter reorders */
  uint64_t rate;                /* bytes per second of each end's line, 0 = no limit */
  uint64_t queue_ns;            /* how long a packet may wait for the line before it is dropped */
  unsigned loss, twice;         /* per thousand */
  size_t mtu;                   /* larger packets are lost; 0 = any */
  struct list ends, packets;
  size_t delivered, lost;
};

void sim_net_init(struct sim_net *n, struct worker *w, struct rng rng);
void sim_net_destroy(struct sim_net *n);

/* An end at 10.0.0.`host`:`port`; belongs to whoever gets it. NULL without memory. */
struct udp *sim_udp_new(struct sim_net *n, uint8_t host, uint16_t port);

/* How an end is joined to the network, on top of what holds for all. Both directions are alike; a
 * zeroed link is perfect. */
struct sim_link {
  uint64_t delay_ns, jitter_ns;
  uint64_t rate;        /* bytes per second, 0 = no limit */
  uint64_t queue_ns;    /* how long a packet may wait for its turn when there is a limit */
  unsigned loss, twice; /* per thousand */
  bool dark;            /* nothing passes */
};
void sim_udp_set_link(struct udp *u, const struct sim_link *link);

/* Gives it another port, without telling its owner, as a NAT does. What is under way to the old one
 * is lost. */
void sim_udp_move(struct udp *u, uint16_t port);
