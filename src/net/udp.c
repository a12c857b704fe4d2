/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/udp.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/errqueue.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RX_BATCH 16    /* messages per recvmmsg */
#define RX_BYTES 65536 /* a coalesced GRO message is at most this long */
#define RX_CONTROL 256
#define RX_PACKETS_PER_TURN 512 /* then other work gets its share; the socket stays readable */
#define ERRORS_PER_TURN 64

struct rx_slot {
  uint8_t data[RX_BYTES];
  union udp_addr peer;
  struct iovec iov;
  _Alignas(struct cmsghdr) char control[RX_CONTROL];
};

struct udp_socket {
  struct udp base;
  uv_poll_t poll;
  struct worker *worker;
  int fd;
  bool gso, full, freed;
  struct mmsghdr msgs[RX_BATCH];
  struct rx_slot rx[RX_BATCH];
};

bool udp_addr_any(const union udp_addr *a)
{
  if (a->sa.sa_family == AF_INET)
    return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
  return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

union udp_addr udp_addr_plain(const union udp_addr *a)
{
  if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
    return *a;
  union udp_addr v4 = {.v4 = {.sin_family = AF_INET, .sin_port = a->v6.sin6_port}};
  memcpy(&v4.v4.sin_addr, &a->v6.sin6_addr.s6_addr[12], 4);
  return v4;
}

int udp_addr_for(int family, const struct sockaddr *sa, socklen_t len, union udp_addr *ret_addr)
{
  union udp_addr a = {0};
  if (sa->sa_family == AF_INET6 && family == AF_INET6 && len >= sizeof a.v6) {
    memcpy(&a.v6, sa, sizeof a.v6);
  } else if (sa->sa_family == AF_INET && family == AF_INET && len >= sizeof a.v4) {
    memcpy(&a.v4, sa, sizeof a.v4);
  } else if (sa->sa_family == AF_INET && family == AF_INET6 && len >= sizeof a.v4) {
    struct sockaddr_in v4;
    memcpy(&v4, sa, sizeof v4);
    a.v6.sin6_family = AF_INET6;
    a.v6.sin6_port = v4.sin_port;
    a.v6.sin6_addr.s6_addr[10] = a.v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&a.v6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
  } else {
    return -EAFNOSUPPORT;
  }
  *ret_addr = a;
  return 0;
}

/* ---- receiving ---- */

static void set_local(const struct udp_socket *u, const struct cmsghdr *c, union udp_addr *local)
{
  if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && local->sa.sa_family == AF_INET) {
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    local->v4.sin_addr = info.ipi_addr;
  }
  if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    local->v6.sin6_addr = info.ipi6_addr;
  }
}

static uint8_t ecn_of(const struct cmsghdr *c)
{
  int v = 0;
  if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
    v = *(const uint8_t *)CMSG_DATA(c);
  else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
    memcpy(&v, CMSG_DATA(c), sizeof v);
  return (uint8_t)(v & 3);
}

/* Splits what GRO joined and hands out the packets. Returns their number. */
static size_t deliver(struct udp_socket *u, struct mmsghdr *m, const struct rx_slot *slot)
{
  struct udp_packet p = {.local = u->base.address, .peer = slot->peer};
  size_t segment = m->msg_len, packets = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c)) {
    set_local(u, c, &p.local);
    p.ecn |= ecn_of(c);
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int n;
      memcpy(&n, CMSG_DATA(c), sizeof n);
      segment = n > 0 ? (size_t)n : segment;
    }
  }
  for (size_t at = 0; at < m->msg_len && !u->freed; at += segment) {
    size_t left = m->msg_len - at;
    p.data = slice_of(slot->data + at, left < segment ? left : segment);
    u->base.events->packet(u->base.ctx, &p);
    packets++;
  }
  u->base.stats.received_packets += packets;
  u->base.stats.received_bytes += m->msg_len;
  return packets;
}

static int receive_batch(struct udp_socket *u)
{
  for (int i = 0; i < RX_BATCH; i++) {
    struct rx_slot *slot = &u->rx[i];
    slot->iov = (struct iovec){slot->data, sizeof slot->data};
    u->msgs[i].msg_hdr = (struct msghdr){.msg_name = &slot->peer,
                                         .msg_namelen = sizeof slot->peer,
                                         .msg_iov = &slot->iov,
                                         .msg_iovlen = 1,
                                         .msg_control = slot->control,
                                         .msg_controllen = sizeof slot->control};
  }
  u->base.stats.receives++;
  return recvmmsg(u->fd, u->msgs, RX_BATCH, MSG_DONTWAIT, NULL);
}

static void receive(struct udp_socket *u)
{
  for (size_t packets = 0; packets < RX_PACKETS_PER_TURN;) {
    int n = receive_batch(u);
    if (n <= 0)
      return;
    for (int i = 0; i < n && !u->freed; i++)
      packets += deliver(u, &u->msgs[i], &u->rx[i]);
    if (n < RX_BATCH || u->freed)
      return;
  }
}

/* ICMP errors wait in a queue of their own, with the address they are about. */
static void receive_errors(struct udp_socket *u)
{
  for (int i = 0; i < ERRORS_PER_TURN && !u->freed; i++) {
    union udp_addr peer = {0};
    _Alignas(struct cmsghdr) char control[512];
    struct msghdr m = {
        .msg_name = &peer, .msg_namelen = sizeof peer, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(u->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
      return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c && !u->freed; c = CMSG_NXTHDR(&m, c)) {
      if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
          !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
        continue;
      struct sock_extended_err e;
      memcpy(&e, CMSG_DATA(c), sizeof e);
      if (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6)
        u->base.events->refused(u->base.ctx, &peer, (int)e.ee_errno);
    }
  }
}

static void on_poll(uv_poll_t *h, int status, int events);

static void poll_again(struct udp_socket *u)
{
  uv_poll_start(&u->poll, UV_READABLE | (u->full ? UV_WRITABLE : 0), on_poll);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
  struct udp_socket *u = h->data;
  worker_enter(u->worker);
  if (status < 0) { /* libuv stops a handle that has errors queued */
    receive_errors(u);
    if (u->freed)
      return;
    poll_again(u);
    events = UV_READABLE;
  }
  if (events & UV_WRITABLE && u->full) {
    u->full = false;
    poll_again(u);
    u->base.events->writable(u->base.ctx);
  }
  if (events & UV_READABLE && !u->freed)
    receive(u);
}

/* ---- sending ---- */

static struct cmsghdr *add_cmsg(struct msghdr *m, int level, int type, const void *p, size_t n)
{
  struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)m->msg_control + m->msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(n);
  memcpy(CMSG_DATA(c), p, n);
  m->msg_controllen += CMSG_SPACE(n);
  return c;
}

static void add_source(struct msghdr *m, const union udp_addr *local)
{
  if (udp_addr_any(local))
    return;
  if (local->sa.sa_family == AF_INET) {
    struct in_pktinfo info = {.ipi_spec_dst = local->v4.sin_addr};
    add_cmsg(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else {
    struct in6_pktinfo info = {.ipi6_addr = local->v6.sin6_addr};
    add_cmsg(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
}

static bool is_v4(const union udp_addr *a)
{
  return a->sa.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr);
}

static void add_ecn(struct msghdr *m, const union udp_addr *peer, uint8_t ecn)
{
  int v = ecn;
  if (ecn == 0)
    return;
  if (is_v4(peer))
    add_cmsg(m, IPPROTO_IP, IP_TOS, &v, sizeof v);
  else
    add_cmsg(m, IPPROTO_IPV6, IPV6_TCLASS, &v, sizeof v);
}

/* One sendmsg of the whole of t. 0 or negative errno. */
static int send_once(struct udp_socket *u, const struct udp_train *t)
{
  _Alignas(struct cmsghdr) char control[128] = {0};
  union udp_addr peer = t->peer;
  struct iovec iov = {(void *)(uintptr_t)t->p, t->n};
  struct msghdr m = {
      .msg_name = &peer, .msg_namelen = udp_addr_len(&peer), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
  add_source(&m, &t->local);
  add_ecn(&m, &t->peer, t->ecn);
  if (t->segment < t->n) {
    uint16_t segment = (uint16_t)t->segment;
    add_cmsg(&m, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  }
  if (m.msg_controllen == 0)
    m.msg_control = NULL;
  ssize_t n;
  do
    n = sendmsg(u->fd, &m, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  u->base.stats.sends++;
  return n < 0 ? -errno : 0;
}

static bool would_block(int rc)
{
  return rc == -EAGAIN || rc == -EWOULDBLOCK;
}

/* Kernels, drivers and sandboxes that cannot do GSO say so in these ways. */
static bool gso_refused(int rc)
{
  return rc == -EIO || rc == -EINVAL || rc == -ENOTSUP || rc == -ENOPROTOOPT || rc == -EMSGSIZE;
}

static size_t wait_writable(struct udp_socket *u, size_t taken)
{
  u->full = true;
  poll_again(u);
  return taken;
}

static size_t send_singly(struct udp_socket *u, const struct udp_train *t)
{
  size_t at = 0;
  while (at < t->n) {
    struct udp_train one = *t;
    one.p += at;
    one.n = t->n - at < t->segment ? t->n - at : t->segment;
    one.segment = one.n;
    if (would_block(send_once(u, &one)))
      return wait_writable(u, at);
    at += one.n;
    u->base.stats.sent_packets++;
  }
  return at;
}

static size_t socket_send(struct udp *base, const struct udp_train *t)
{
  struct udp_socket *u = (struct udp_socket *)base;
  if (t->n <= t->segment || !u->gso) {
    size_t n = send_singly(u, t);
    base->stats.sent_bytes += n;
    return n;
  }
  int rc = send_once(u, t);
  if (would_block(rc))
    return wait_writable(u, 0);
  if (gso_refused(rc)) {
    u->gso = rc == -EMSGSIZE; /* one too large a packet says nothing about the next */
    return send_singly(u, t);
  }
  base->stats.sent_packets += (t->n + t->segment - 1) / t->segment;
  base->stats.sent_bytes += t->n;
  return t->n;
}

static void socket_watch_errors(struct udp *base)
{
  struct udp_socket *u = (struct udp_socket *)base;
  int on = 1;
  setsockopt(u->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  if (base->address.sa.sa_family == AF_INET6)
    setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

static void on_closed(uv_handle_t *h)
{
  struct udp_socket *u = h->data;
  close(u->fd);
  free(u);
}

static void socket_free(struct udp *base)
{
  struct udp_socket *u = (struct udp_socket *)base;
  u->freed = true;
  uv_close((uv_handle_t *)&u->poll, on_closed);
}

static const struct udp_ops socket_ops = {socket_send, socket_watch_errors, socket_free};

/* ---- opening ---- */

/* The first form goes beyond the machine's limit, for those who may (CAP_NET_ADMIN). */
static void ask_buffer(int fd, int force, int option)
{
  int size = UDP_BUFFER_BYTES;
  if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size) < 0)
    setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

/* The kernel doubles what it was asked for, for its bookkeeping. */
static size_t buffer_size(int fd, int option)
{
  int size = 0;
  socklen_t len = sizeof size;
  getsockopt(fd, SOL_SOCKET, option, &size, &len);
  return (size_t)size / 2;
}

/* Options that a kernel may lack: each is an improvement, none a condition. */
static void set_options(int fd, int family)
{
  int on = 1, probe = IP_PMTUDISC_PROBE;
  ask_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  ask_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
  setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  if (family != AF_INET6)
    return;
  probe = IPV6_PMTUDISC_PROBE;
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe);
}

static bool gso_supported(int fd)
{
  int v;
  socklen_t len = sizeof v;
  return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &v, &len) == 0;
}

/* A bound socket, or negative errno. */
static int open_fd(const struct addrinfo *ai)
{
  int fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int off = 0;
  if (ai->ai_family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  set_options(fd, ai->ai_family);
  if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
    return fd;
  int rc = -errno;
  close(fd);
  return rc;
}

/* "host:port" or "[host]:port" into two strings that live in buf. */
static int split(const char *bind, char *buf, size_t cap, const char **ret_host, const char **ret_port)
{
  if (strlen(bind) >= cap)
    return -EINVAL;
  strcpy(buf, bind);
  char *host = buf, *colon = strrchr(buf, ':');
  if (!colon)
    return -EINVAL;
  *colon = '\0';
  if (host[0] == '[') {
    host++;
    char *end = strchr(host, ']');
    if (!end || end[1] != '\0')
      return -EINVAL;
    *end = '\0';
  } else if (strchr(host, ':')) {
    return -EINVAL;
  }
  *ret_host = host;
  *ret_port = colon + 1;
  return 0;
}

static const char *why(int error)
{
  if (error == EADDRINUSE)
    return "the UDP port is in use by another program";
  if (error == EACCES)
    return "ports below 1024 need privileges (CAP_NET_BIND_SERVICE)";
  if (error == EADDRNOTAVAIL)
    return "this machine has no such address";
  return strerror(error);
}

static int resolve_and_open(const char *bind, struct err *ret_err)
{
  char buf[300];
  const char *host, *port;
  if (split(bind, buf, sizeof buf, &host, &port) < 0)
    return err_set(ret_err, -EINVAL, "%s: expected host:port or [IPv6]:port", bind);
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE}, *list;
  int rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
  if (rc != 0)
    return err_set(ret_err, -EADDRNOTAVAIL, "%s: %s", bind, gai_strerror(rc));
  int fd = open_fd(list);
  freeaddrinfo(list);
  if (fd == -EAFNOSUPPORT && strcmp(host, "::") == 0) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct addrinfo ai = {.ai_family = AF_INET, .ai_addr = (struct sockaddr *)&any, .ai_addrlen = sizeof any};
    fd = open_fd(&ai);
  }
  return fd < 0 ? err_set(ret_err, fd, "%s: %s", bind, why(-fd)) : fd;
}

int udp_socket_new(struct worker *worker, const char *bind, bool gso, struct udp **ret_udp, struct err *ret_err)
{
  struct udp_socket *u = malloc(sizeof *u);
  if (!u)
    return err_set(ret_err, -ENOMEM, "%s: out of memory", bind);
  u->base = (struct udp){.ops = &socket_ops};
  u->worker = worker;
  u->full = u->freed = false;
  int rc = u->fd = resolve_and_open(bind, ret_err);
  if (rc < 0) {
    free(u);
    return rc;
  }
  socklen_t len = sizeof u->base.address;
  getsockname(u->fd, &u->base.address.sa, &len);
  u->base.receive_buffer = buffer_size(u->fd, SO_RCVBUF);
  u->base.send_buffer = buffer_size(u->fd, SO_SNDBUF);
  u->gso = gso && gso_supported(u->fd);
  rc = uv_poll_init(worker->loop, &u->poll, u->fd);
  if (rc < 0) {
    close(u->fd);
    free(u);
    return err_set(ret_err, rc, "%s: %s", bind, uv_strerror(rc));
  }
  u->poll.data = u;
  poll_again(u);
  *ret_udp = &u->base;
  return 0;
}
