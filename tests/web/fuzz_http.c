/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the HTTP server: what a client sends on one connection, with 0xff where it
 * pauses. Then it is gone. All inputs share the server, which must go on answering others: a client
 * whose connection it does not let go of stays counted, and there are few. */
#include "support/fuzz.h"
#include "world.h"
#include <errno.h>
#include <sys/socket.h>

#define CLIENTS 8
#define TURNS 6 /* for an answer, in which nothing has to wait for time to pass */

static struct world w;
static struct publisher publisher;

static void begin(void)
{
  static const char *const open[] = {"room", NULL};
  world_init(&w, open);
  w.config.web_root = ".";
  w.config.clients = CLIENTS;
  w.config.wait_ns = 1;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static unsigned inputs;
  struct client c;
  if (!w.http)
    begin();
  client_open(&c, &w);
  send_all(&c, slice_of(data, size));
  check_answer(&c);
  client_abort(&c); /* a socket that is closed in order would keep its port for a minute */
  world_turn(&w);
  if (++inputs % (2 * CLIENTS) == 0)
    expect(&w, "GET /health", 200, "ok\n");
  return 0;
}
