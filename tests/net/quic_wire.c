/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "quic_wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define PACKETS_PER_TURN 256

static int open_socket(void)
{
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int size = 4 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
  return fd;
}

static bool chance(struct wire *w, unsigned per_thousand)
{
  return rng_below(&w->rng, 1000) < per_thousand;
}

static void on_front(uv_poll_t *h, int status, int events)
{
  struct wire *w = h->data;
  uint8_t buf[WIRE_PACKET_MAX];
  (void)status, (void)events;
  for (int i = 0; i < PACKETS_PER_TURN; i++) {
    socklen_t len = sizeof w->client;
    ssize_t n = recvfrom(w->front, buf, sizeof buf, 0, (struct sockaddr *)&w->client, &len);
    if (n < 0)
      return;
    if (w->cut_up || chance(w, w->loss))
      continue;
    w->up++;
    sendto(w->back, buf, (size_t)n, 0, (struct sockaddr *)&w->server, sizeof w->server);
  }
}

static void to_client(struct wire *w, const uint8_t *p, size_t n)
{
  w->down++;
  sendto(w->front, p, n, 0, (struct sockaddr *)&w->client, sizeof w->client);
}

static void on_back(uv_poll_t *h, int status, int events)
{
  struct wire *w = h->data;
  uint8_t buf[WIRE_PACKET_MAX];
  (void)status, (void)events;
  for (int i = 0; i < PACKETS_PER_TURN; i++) {
    ssize_t n = recv(w->back, buf, sizeof buf, 0);
    if (n < 0)
      return;
    if (w->cut_down || chance(w, w->loss))
      continue;
    if (w->held_n == 0 && chance(w, w->swap)) {
      memcpy(w->held, buf, (size_t)n);
      w->held_n = (size_t)n;
      continue;
    }
    to_client(w, buf, (size_t)n);
    if (w->held_n > 0 && chance(w, 300)) {
      to_client(w, w->held, w->held_n);
      w->held_n = 0;
    }
  }
}

static void watch(struct wire *w, uv_poll_t *poll, int fd, uv_poll_cb cb)
{
  assert_int_equal(uv_poll_init(w->loop, poll, fd), 0);
  poll->data = w;
  uv_poll_start(poll, UV_READABLE, cb);
}

void wire_init(struct wire *w, uv_loop_t *loop, struct rng rng, const struct sockaddr_storage *server)
{
  *w = (struct wire){.loop = loop, .rng = rng, .front = open_socket(), .back = open_socket()};
  socklen_t len = sizeof w->address;
  getsockname(w->front, (struct sockaddr *)&w->address, &len);
  wire_redirect(w, server);
  watch(w, &w->front_poll, w->front, on_front);
  watch(w, &w->back_poll, w->back, on_back);
}

void wire_rebind(struct wire *w)
{
  int fresh = open_socket();
  dup2(fresh, w->back); /* the poll handle stays on the same descriptor, but its epoll entry has to
                           be made anew */
  close(fresh);
  uv_poll_stop(&w->back_poll);
  uv_poll_start(&w->back_poll, UV_READABLE, on_back);
}

void wire_redirect(struct wire *w, const struct sockaddr_storage *server)
{
  memcpy(&w->server, server, sizeof w->server);
}

static void on_closed(uv_handle_t *h)
{
  struct wire *w = h->data;
  close(h == (uv_handle_t *)&w->front_poll ? w->front : w->back);
}

void wire_destroy(struct wire *w)
{
  uv_close((uv_handle_t *)&w->front_poll, on_closed);
  uv_close((uv_handle_t *)&w->back_poll, on_closed);
}
