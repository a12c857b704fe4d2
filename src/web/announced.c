/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GET /announced[/PREFIX]: the broadcasts under PREFIX that the request may watch, as they are now.
 */
#include "web/exchange.h"
#include "web/uri.h"
#include "base/buf.h"
#include <stdlib.h>

struct listing {
  struct exchange *x;
  struct admission_ticket ticket;
  const char *path; /* decoded; borrowed from the target */
  struct buf names;
  size_t count, bytes;
  const struct grant *grant;
  size_t pattern;     /* of the grant, that is being listed */
  struct slice below; /* where its paths begin, relative to the request's */
};

/* Names that begin with a dot are for machines: listed only to those who ask below them. */
static bool hidden(struct slice name)
{
  struct slice part;
  while (path_part(&name, &part)) {
    if (part.p[0] == '.')
      return true;
  }
  return false;
}

/* Whether the pattern that is being listed is the first that has this name: several may. */
static bool listed_now(const struct listing *l, struct slice name)
{
  size_t i = 0;
  while (i < l->pattern && !pattern_match(l->grant->subscribe[i], name))
    i++;
  return i == l->pattern && pattern_match(l->grant->subscribe[i], name);
}

static void on_broadcast(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct listing *l = ctx;
  struct path name;
  (void)b;
  if (path_join(&name, l->below, suffix) < 0 || hidden(path_slice(&name)) || !listed_now(l, path_slice(&name)))
    return;
  if (memchr(name.s, '\n', name.n))
    return; /* would look like two */
  if (l->names.n + name.n > ANNOUNCED_BYTES_MAX)
    l->names.failed = true;
  if (l->count++ > 0)
    buf_u8(&l->names, '\n');
  buf_bytes(&l->names, path_slice(&name));
}

static void on_change(void *ctx, struct broadcast *b, struct slice suffix)
{
  (void)ctx, (void)b, (void)suffix; /* the watch does not live that long */
}

static const struct watch_ops watch_events = {on_broadcast, on_change, on_change};

static int list_pattern(struct listing *l, const struct grant *g)
{
  struct path absolute;
  struct watch *watch;
  l->below = pattern_head(g->subscribe[l->pattern]);
  int rc = path_join(&absolute, g->root, l->below);
  if (rc < 0)
    return rc;
  rc = watch_new(exchange_config(l->x)->origin, path_slice(&absolute), &watch_events, l, &watch);
  if (rc == 0)
    watch_free(watch);
  return rc;
}

static int list_grant(struct listing *l, const struct grant *g)
{
  int rc = 0;
  l->grant = g;
  for (l->pattern = 0; l->pattern < g->subscribe_count && rc == 0; l->pattern++)
    rc = list_pattern(l, g);
  return rc < 0 || l->names.failed ? -1 : 0;
}

static void on_admission(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  struct listing *l = container_of(t, struct listing, ticket);
  (void)reason;
  if (status != 0 || grant->subscribe_count == 0) {
    exchange_refuse(l->x, status ? (unsigned)status : MHD_HTTP_UNAUTHORIZED, l->path, ADMISSION_ANNOUNCED);
    return;
  }
  if (list_grant(l, grant) < 0) {
    exchange_status(l->x, MHD_HTTP_SERVICE_UNAVAILABLE);
    return;
  }
  struct MHD_Response *r = MHD_create_response_from_buffer(l->names.n, l->names.p, MHD_RESPMEM_MUST_FREE);
  if (r) {
    l->bytes = l->names.n;
    l->names = (struct buf){0};
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
  }
  exchange_answer(l->x, MHD_HTTP_OK, r);
}

/* The answer is given from inside the grant's, so it cannot end before. */
static void on_over(struct admission_ticket *t, const char *reason)
{
  (void)t, (void)reason;
}

static void cancel(struct exchange *x)
{
  struct listing *l = x->job;
  admission_end(&l->ticket, &(struct admission_end){"done", l->bytes, 0});
  buf_destroy(&l->names);
  free(l);
}

void announced_endpoint(struct exchange *x, char *rest)
{
  if (strcmp(rest, "/") == 0) {
    file_endpoint(x, x->path); /* today's relay has no such page either */
    return;
  }
  if (uri_decode(rest) < 0) {
    exchange_status(x, MHD_HTTP_BAD_REQUEST);
    return;
  }
  struct listing *l = calloc(1, sizeof *l);
  if (!l) {
    exchange_answer(x, 0, NULL);
    return;
  }
  l->x = x;
  admission_ticket_init(&l->ticket, on_admission, on_over);
  x->job = l;
  x->cancel = cancel;
  l->path = rest;
  exchange_admit(x, rest, ADMISSION_ANNOUNCED, &l->ticket);
}
