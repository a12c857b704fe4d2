/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "sim_udp.h"
#include <stdlib.h>
#include <string.h>

struct sim_udp {
  struct udp base;
  struct list link;
  struct sim_net *net;
  uint64_t line_free; /* when the last packet has left */
};

struct sim_packet {
  struct timer timer;
  struct list link;
  struct sim_net *net;
  union udp_addr from, to;
  uint8_t ecn;
  size_t n;
  uint8_t data[];
};

void sim_net_init(struct sim_net *n, struct worker *w, struct rng rng)
{
  *n = (struct sim_net){.worker = w, .rng = rng, .queue_ns = UINT64_MAX};
  list_init(&n->ends);
  list_init(&n->packets);
}

static void packet_free(struct sim_packet *p)
{
  timers_cancel(&p->net->worker->timers, &p->timer);
  list_remove(&p->link);
  free(p);
}

void sim_net_destroy(struct sim_net *n)
{
  list_for_each_safe (it, tmp, &n->packets)
    packet_free(container_of(it, struct sim_packet, link));
}

static bool at(const union udp_addr *a, const union udp_addr *b)
{
  return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr && a->v4.sin_port == b->v4.sin_port;
}

static void arrive(struct timer *t, uint64_t now)
{
  struct sim_packet *p = container_of(t, struct sim_packet, timer);
  struct sim_net *n = p->net;
  (void)now;
  list_for_each (it, &n->ends) {
    struct sim_udp *u = container_of(it, struct sim_udp, link);
    if (!at(&u->base.address, &p->to))
      continue;
    n->delivered++;
    struct udp_packet packet = {slice_of(p->data, p->n), p->to, p->from, p->ecn};
    u->base.events->packet(u->base.ctx, &packet);
    break;
  }
  packet_free(p);
}

static bool chance(struct sim_net *n, unsigned per_thousand)
{
  return rng_below(&n->rng, 1000) < per_thousand;
}

static void put(struct sim_udp *u, const struct udp_train *t, const uint8_t *p, size_t size, uint64_t leaves)
{
  struct sim_net *n = u->net;
  struct sim_packet *packet = malloc(sizeof *packet + size);
  if (!packet)
    return;
  *packet = (struct sim_packet){.net = n, .from = u->base.address, .to = t->peer, .ecn = t->ecn, .n = size};
  memcpy(packet->data, p, size);
  timer_init(&packet->timer, arrive);
  list_append(&n->packets, &packet->link);
  uint64_t jitter = n->jitter_ns ? rng_below(&n->rng, n->jitter_ns) : 0;
  timers_set(&n->worker->timers, &packet->timer, leaves + n->delay_ns + jitter);
}

static void send_packet(struct sim_udp *u, const struct udp_train *t, const uint8_t *p, size_t size)
{
  struct sim_net *n = u->net;
  uint64_t now = n->worker->now, leaves = u->line_free > now ? u->line_free : now;
  u->base.stats.sent_packets++;
  if (chance(n, n->loss) || (n->mtu && size > n->mtu) || leaves - now > n->queue_ns) {
    n->lost++;
    return;
  }
  if (n->rate)
    leaves += size * NS_PER_S / n->rate;
  u->line_free = leaves;
  put(u, t, p, size, leaves);
  if (chance(n, n->twice))
    put(u, t, p, size, leaves);
}

static size_t sim_send(struct udp *base, const struct udp_train *t)
{
  for (size_t from = 0; from < t->n; from += t->segment)
    send_packet((struct sim_udp *)base, t, t->p + from, t->n - from < t->segment ? t->n - from : t->segment);
  base->stats.sends++;
  return t->n;
}

static void sim_watch(struct udp *base)
{
  (void)base;
}

static void sim_free(struct udp *base)
{
  struct sim_udp *u = (struct sim_udp *)base;
  list_remove(&u->link);
  free(u);
}

static const struct udp_ops sim_ops = {sim_send, sim_watch, sim_free};

struct udp *sim_udp_new(struct sim_net *n, uint8_t host, uint16_t port)
{
  struct sim_udp *u = calloc(1, sizeof *u);
  if (!u)
    return NULL;
  u->net = n;
  u->base.ops = &sim_ops;
  u->base.address.v4 = (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x0a000000u + host)};
  list_append(&n->ends, &u->link);
  return &u->base;
}

void sim_udp_move(struct udp *u, uint16_t port)
{
  u->address.v4.sin_port = htons(port);
}
