/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A worker, a model with publishers of the test's own, and the HTTP server on 127.0.0.1; clients
 * are raw sockets in the same thread. Waiting turns the loop until something is true, at most
 * WAIT_S seconds. */
#pragma once
#include "web/http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define WAIT_S 20

struct world {
  uv_loop_t loop;
  struct worker worker;
  struct deferred model_run;
  struct model model;
  struct origin *origin;
  struct admission *admission;
  struct tls_server *tls;
  struct http_server *http;
  char listen[32];
  struct http_config config; /* of the server; change before world_start */
  uint64_t skipped;          /* ns that the worker's clock is ahead of the machine's */
};

/* public_prefixes: NULL = everything is open. world_start makes the server. */
void world_init(struct world *w, const char *const *public_prefixes);
void world_start(struct world *w);
void world_destroy(struct world *w);
void world_skip(struct world *w, uint64_t ns); /* lets the worker's time pass at once */
void world_turn(struct world *w);              /* one turn of the loop that does not sleep for long */

/* Turns until `expression` is true; the test fails when it does not become so. */
#define world_until(w, expression)                                                                                     \
  do {                                                                                                                 \
    struct clock world_clock_ = clock_system();                                                                        \
    uint64_t world_end_ = clock_now(&world_clock_) + WAIT_S * NS_PER_S;                                                \
    while (!(expression)) {                                                                                            \
      if (clock_now(&world_clock_) > world_end_)                                                                       \
        fail_msg("%s:%d: did not happen: %s", __FILE__, __LINE__, #expression);                                        \
      world_turn(w);                                                                                                   \
    }                                                                                                                  \
  } while (0)

/* A publisher of one path. Tracks are answered with an info at once unless `mute`. */
struct publisher {
  struct world *world;
  struct route *route;
  struct track *track; /* the one that is subscribed, referenced */
  bool mute, refuse;   /* refuse: no such track */
  unsigned subscribed, unsubscribed, fetched;
  uint64_t fetch_sequence;
};

void publisher_start(struct publisher *p, struct world *w, const char *path);
void publisher_stop(struct publisher *p, bool clean);
/* Begins a group, and writes frames into it; size 0 = strlen. */
struct group *publisher_group(struct publisher *p, uint64_t sequence);
void frame(struct group *g, const char *text);
void frame_begin(struct group *g, size_t size);
void frame_more(struct group *g, const void *bytes, size_t n);

struct client {
  struct world *world;
  int fd;
  char *data; /* all that came, NUL-terminated */
  size_t n, cap;
  bool eof, reset;
};

void client_open(struct client *c, struct world *w);
void client_send(struct client *c, const char *text);
bool client_turn(struct client *c); /* takes what is there; whether the server has closed */
void client_close(struct client *c);
/* Closes with a RST instead of a FIN. */
void client_abort(struct client *c);

/* What a client got, taken apart. Borrowed from the client; the body is decoded in place. */
struct answer {
  unsigned status;
  char *head, *body;
  size_t body_n;
  bool whole; /* as long as promised, or with its last chunk */
};

/* "METHOD target" on a connection of its own with "connection: close", turned until the server
 * closes. */
void request(struct world *w, struct client *c, struct answer *a, const char *line, const char *headers);
void answer_parse(struct client *c, struct answer *a);
/* Value of a header; NULL when absent. Static storage. */
const char *header(const struct answer *a, const char *name);
/* One request with its own client: the status and the exact body (NULL = any). */
void expect(struct world *w, const char *line, unsigned status, const char *body);
