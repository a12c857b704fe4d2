/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the HTTP server: what a client sends on one connection, with 0xff where it
 * pauses. Then it is gone. All inputs share the server, which must go on answering others: a client
 * whose connection it does not let go of stays counted, and there are few. Sockets are seldom closed in order, which
 * keeps their ports for a minute. */
#include "support/fuzz.h"
#include "world.h"
#include <stdio.h>
#include <sys/socket.h>

#define CLIENTS 8
#define IN_ORDER 16 /* of so many inputs one ends in order */
#define TURNS 6     /* for an answer, in which nothing has to wait for time to pass */

static struct world w;
static struct publisher publisher;

static void begin(void)
{
  static const char *const open[] = {"room", NULL};
  world_init(&w, open);
  w.config.web_root = ".";
  w.config.clients = CLIENTS;
  w.config.wait_ns = 3600 * NS_PER_S; /* nobody waits that long: who is gone is let go of */
  world_start(&w);
  publisher_start(&publisher, &w, "room/live");
}

static struct slice until_pause(struct slice *rest)
{
  const uint8_t *end = memchr(rest->p, 0xff, rest->n);
  struct slice s = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
  *rest = slice_from(*rest, s.n + (end != NULL));
  return s;
}

static void send_all(struct client *c, struct slice in)
{
  while (in.n > 0) {
    struct slice piece = until_pause(&in);
    if (piece.n > 0 && send(c->fd, piece.p, piece.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
      return;
    world_turn(&w);
  }
}

static void check_answer(struct client *c)
{
  static const char start[] = "HTTP/1.";
  for (int i = 0; i < TURNS && !client_turn(c); i++)
    world_turn(&w);
  size_t n = c->n < sizeof start - 1 ? c->n : sizeof start - 1;
  check(memcmp(c->data, start, n) == 0);
}

/* Somebody else is answered, or the target says what came instead. */
static void check_health(void)
{
  struct clock clock = clock_system();
  uint64_t end = clock_now(&clock) + WAIT_S * NS_PER_S;
  struct client c;
  client_open(&c, &w);
  client_send(&c, "GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  while (!client_turn(&c) && clock_now(&clock) < end)
    world_turn(&w);
  if (strncmp(c.data, "HTTP/1.1 200", 12) != 0) {
    fprintf(stderr, "/health: eof %d, reset %d, \"%s\"\n", c.eof, c.reset, c.data);
    abort();
  }
  client_abort(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static unsigned inputs;
  struct client c;
  if (!w.http)
    begin();
  client_open(&c, &w);
  send_all(&c, slice_of(data, size));
  check_answer(&c);
  if (size % IN_ORDER == 0)
    shutdown(c.fd, SHUT_WR);
  world_turn(&w);
  client_abort(&c);
  world_turn(&w);
  if (++inputs % (2 * CLIENTS) == 0)
    check_health();
  return 0;
}
