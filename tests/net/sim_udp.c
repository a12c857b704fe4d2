/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "sim_udp.h"
#include <stdlib.h>
#include <string.h>

struct sim_udp {
  struct udp base;
  struct list link;
  struct sim_net *net;
  uint64_t line_free; /* when the last packet has left */
  struct sim_link to_net;
  uint64_t up_free, down_free; /* the same of the link, a way each */
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

static struct sim_udp *end_at(struct sim_net *n, const union udp_addr *a)
{
  list_for_each (it, &n->ends) {
    struct sim_udp *u = container_of(it, struct sim_udp, link);
    if (at(&u->base.address, a))
      return u;
  }
  return NULL;
}

static void arrive(struct timer *t, uint64_t now)
{
  struct sim_packet *p = container_of(t, struct sim_packet, timer);
  struct sim_udp *u = end_at(p->net, &p->to);
  (void)now;
  if (u) {
    p->net->delivered++;
    struct udp_packet packet = {slice_of(p->data, p->n), p->to, p->from, p->ecn};
    u->base.events->packet(u->base.ctx, &packet);
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

/* When a packet that comes to a link at *at is through it; false when it is lost. */
static bool through(struct sim_net *n, const struct sim_link *l, uint64_t *line_free, size_t size, uint64_t *at)
{
  uint64_t leaves = *line_free > *at ? *line_free : *at;
  if (l->dark || (l->loss && chance(n, l->loss)) || (l->rate && leaves - *at > l->queue_ns))
    return false;
  if (l->rate)
    *line_free = leaves += size * NS_PER_S / l->rate;
  else
    leaves = *at;
  *at = leaves + l->delay_ns + (l->jitter_ns ? rng_below(&n->rng, l->jitter_ns) : 0);
  return true;
}

/* Over both ends' links. */
static void cross(struct sim_udp *u, const struct udp_train *t, const uint8_t *p, size_t size, uint64_t leaves)
{
  struct sim_net *n = u->net;
  struct sim_udp *to = end_at(n, &t->peer);
  if (!through(n, &u->to_net, &u->up_free, size, &leaves) ||
      (to && !through(n, &to->to_net, &to->down_free, size, &leaves))) {
    n->lost++;
    return;
  }
  put(u, t, p, size, leaves);
  if ((u->to_net.twice && chance(n, u->to_net.twice)) || (to && to->to_net.twice && chance(n, to->to_net.twice)))
    put(u, t, p, size, leaves);
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
  cross(u, t, p, size, leaves);
  if (chance(n, n->twice))
    cross(u, t, p, size, leaves);
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

void sim_udp_set_link(struct udp *u, const struct sim_link *link)
{
  ((struct sim_udp *)u)->to_net = *link;
}

void sim_udp_move(struct udp *u, uint16_t port)
{
  u->address.v4.sin_port = htons(port);
}
