/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GET /fetch/BROADCAST/TRACK[?group=N|latest]: the frames of one group, raw, one after the other,
 * as they arrive.
 *
 *   admission --> broadcast (waits until it is announced) --> track --> group --> 200 and its bytes
 *
 * All that comes before the 200 has one deadline (http_config.wait_ns). The bytes are pulled from
 * the group by a cursor when the client takes them, so a slow one holds the group and nothing else.
 */
#include "web/exchange.h"
#include "web/uri.h"
#include <errno.h>
#include <stdlib.h>

#define PULL_IOVECS 16

/* The frames alone: nothing precedes a payload. Sessions' formats have the low ids. */
#define RAW_FRAMING_ID (FRAMINGS_MAX - 1)

struct job {
  struct exchange *x;
  struct admission_ticket ticket;
  char *broadcast, *name; /* decoded; borrowed from the target */
  struct path path;       /* of the broadcast, absolute */
  bool latest;
  struct timer deadline;
  struct watch *watch;
  struct deferred announced;
  struct track *track;
  struct fetch fetch;
  struct reader reader;
  uint64_t bytes; /* of the answer, so far */
};

static size_t no_header(const struct object *o, const struct object *prev, uint8_t *out)
{
  (void)o, (void)prev, (void)out;
  return 0;
}

static const struct framing raw_framing = {RAW_FRAMING_ID, no_header};

static struct worker *worker_of(const struct job *j)
{
  return exchange_config(j->x)->worker;
}

/* Nothing is waited for any more. */
static void stop_waiting(struct job *j)
{
  timers_cancel(&worker_of(j)->timers, &j->deadline);
  worker_defer_cancel(&j->announced);
  fetch_cancel(&j->fetch, worker_of(j)->now);
  watch_free(j->watch);
  j->watch = NULL;
}

static void end_grant(struct job *j)
{
  admission_end(&j->ticket, &(struct admission_end){"done", j->bytes, 0});
}

static void refuse(struct job *j, unsigned status)
{
  stop_waiting(j);
  end_grant(j);
  exchange_refuse(j->x, status, j->broadcast, ADMISSION_FETCH);
}

/* ---- the bytes ---- */

static void on_bytes(struct reader *r)
{
  exchange_wake(container_of(r, struct job, reader)->x);
}

static size_t copy_out(struct reader *r, const struct iovec *iov, size_t count, char *out, size_t max)
{
  size_t n = 0;
  for (size_t i = 0; i < count && n < max; i++) {
    size_t take = iov[i].iov_len < max - n ? iov[i].iov_len : max - n;
    memcpy(out + n, iov[i].iov_base, take);
    n += take;
  }
  reader_take(r, n);
  return n;
}

/* A group that will never be whole ends the connection without the last chunk, so that the client
 * can tell. */
static ssize_t next_bytes(void *ctx, uint64_t position, char *out, size_t max)
{
  struct job *j = ctx;
  struct iovec iov[PULL_IOVECS];
  size_t count = 0;
  bool fin = false;
  (void)position;
  if (j->x->gone || reader_pull(&j->reader, iov, PULL_IOVECS, &count, &fin) < 0)
    return MHD_CONTENT_READER_END_WITH_ERROR;
  size_t n = copy_out(&j->reader, iov, count, out, max);
  j->bytes += n;
  if (n > 0)
    return (ssize_t)n;
  if (fin)
    return MHD_CONTENT_READER_END_OF_STREAM;
  if (reader_cut(&j->reader))
    return MHD_CONTENT_READER_END_WITH_ERROR;
  exchange_suspend(j->x);
  return 0;
}

#define CONTENT_BLOCK 16384 /* what libmicrohttpd asks for where it does not chunk */

static void begin_answer(struct job *j, struct group *g)
{
  int rc = reader_begin(&j->reader, g, 0, &raw_framing, 0, UINT64_MAX, on_bytes);
  group_unref(g);
  if (rc < 0) {
    refuse(j, rc == -ENOENT ? MHD_HTTP_NOT_FOUND : MHD_HTTP_INTERNAL_SERVER_ERROR);
    return;
  }
  stop_waiting(j);
  exchange_answer(j->x, MHD_HTTP_OK,
                  MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CONTENT_BLOCK, next_bytes, j, NULL));
}

/* ---- getting there ---- */

static unsigned status_of(uint64_t code)
{
  switch (code) {
  case CODE_TIMEOUT:
  case CODE_CONTROL_TIMEOUT:
    return MHD_HTTP_GATEWAY_TIMEOUT;
  case CODE_NOT_FOUND:
  case CODE_UNROUTABLE:
  case CODE_EVICTED:
  case CODE_OLD:
  case CODE_CANCELLED: /* it ended without a group */
    return MHD_HTTP_NOT_FOUND;
  default:
    return MHD_HTTP_INTERNAL_SERVER_ERROR;
  }
}

static void on_group(struct fetch *f, struct group *g, uint64_t code)
{
  struct job *j = container_of(f, struct job, fetch);
  if (g)
    begin_answer(j, g);
  else
    refuse(j, status_of(code));
}

static void find_track(struct job *j, struct broadcast *b)
{
  log_debug(exchange_config(j->x)->log, "fetching track broadcast=%s track=%s", j->path.s, j->name);
  j->track = broadcast_track(b, slice_str(j->name));
  if (!j->track)
    refuse(j, MHD_HTTP_SERVICE_UNAVAILABLE);
  else
    track_fetch(j->track, &j->fetch, j->latest, worker_of(j)->now);
}

static void on_added(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct job *j = ctx;
  (void)b;
  if (suffix.n == 0)
    worker_defer(worker_of(j), &j->announced);
}

static void on_other(void *ctx, struct broadcast *b, struct slice suffix)
{
  (void)ctx, (void)b, (void)suffix;
}

static const struct watch_ops watch_events = {on_added, on_other, on_other};

/* It may have gone again: then the watch goes on. */
static void on_announced(struct deferred *d, uint64_t now)
{
  struct job *j = container_of(d, struct job, announced);
  (void)now;
  struct broadcast *b = origin_find(exchange_config(j->x)->origin, path_slice(&j->path));
  if (!b)
    return;
  watch_free(j->watch);
  j->watch = NULL;
  find_track(j, b);
}

static void find_broadcast(struct job *j)
{
  struct origin *o = exchange_config(j->x)->origin;
  struct broadcast *b = origin_find(o, path_slice(&j->path));
  if (b)
    find_track(j, b);
  else if (watch_new(o, path_slice(&j->path), &watch_events, j, &j->watch) < 0)
    refuse(j, MHD_HTTP_SERVICE_UNAVAILABLE);
}

static void on_deadline(struct timer *t, uint64_t now)
{
  (void)now;
  refuse(container_of(t, struct job, deadline), MHD_HTTP_GATEWAY_TIMEOUT);
}

/* The broadcast is the grant's root itself. */
static bool may_watch(const struct grant *g)
{
  for (size_t i = 0; i < g->subscribe_count; i++) {
    if (pattern_match(g->subscribe[i], slice_str("")))
      return true;
  }
  return false;
}

static void on_admission(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  struct job *j = container_of(t, struct job, ticket);
  (void)reason;
  if (status == 0 && !may_watch(grant))
    status = MHD_HTTP_UNAUTHORIZED;
  if (status == 0 && path_parse(&j->path, grant->root) < 0)
    status = MHD_HTTP_BAD_REQUEST;
  if (status != 0)
    refuse(j, (unsigned)status);
  else
    find_broadcast(j);
}

/* The grant ends with the answer; one that ends earlier takes it along. */
static void on_over(struct admission_ticket *t, const char *reason)
{
  struct job *j = container_of(t, struct job, ticket);
  (void)reason;
  if (j->x->status)
    exchange_abort(j->x);
  else
    refuse(j, MHD_HTTP_UNAUTHORIZED);
}

/* ---- the request ---- */

static int parse_number(struct slice s, uint64_t *ret)
{
  uint64_t v = 0;
  if (s.n == 0 || s.n > 19)
    return -EINVAL;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9')
      return -EINVAL;
    v = v * 10 + (uint64_t)(s.p[i] - '0');
  }
  *ret = v;
  return 0;
}

static int parse_group(struct job *j, const char *query)
{
  struct slice value;
  j->latest = true;
  if (!uri_query_value(query, "group", &value) || slice_eq(value, slice_str("latest")))
    return 0;
  j->latest = false;
  return parse_number(value, &j->fetch.sequence);
}

/* The last part is the track; both halves are decoded after the split, so that a name may hold an
 * escaped '/'. */
static const char *parse(struct job *j, char *rest)
{
  char *at = *rest ? rest + 1 : rest, *slash = strrchr(at, '/');
  if (!slash)
    return "write /fetch/BROADCAST/TRACK\n";
  *slash = '\0';
  j->broadcast = at;
  j->name = slash + 1;
  if (uri_decode(j->broadcast) < 0 || uri_decode(j->name) < 0)
    return "the path is not well-formed\n";
  if (strlen(j->name) == 0 || strlen(j->name) > TRACK_NAME_MAX)
    return "the track's name is missing or too long\n";
  if (parse_group(j, j->x->query) < 0)
    return "group: neither a number nor \"latest\"\n";
  return NULL;
}

static void cancel(struct exchange *x)
{
  struct job *j = x->job;
  stop_waiting(j);
  end_grant(j);
  reader_end(&j->reader);
  track_unref(j->track);
  free(j);
}

static struct job *job_new(struct exchange *x)
{
  struct job *j = calloc(1, sizeof *j);
  if (!j)
    return NULL;
  j->x = x;
  admission_ticket_init(&j->ticket, on_admission, on_over);
  list_init(&j->fetch.link);
  j->fetch.done = on_group;
  timer_init(&j->deadline, on_deadline);
  deferred_init(&j->announced, on_announced);
  x->job = j;
  x->cancel = cancel;
  return j;
}

void fetch_endpoint(struct exchange *x, char *rest)
{
  struct job *j = job_new(x);
  if (!j) {
    exchange_answer(x, 0, NULL);
    return;
  }
  const char *wrong = parse(j, rest);
  if (wrong) {
    exchange_text(x, MHD_HTTP_BAD_REQUEST, wrong);
    return;
  }
  struct worker *w = worker_of(j);
  timers_set(&w->timers, &j->deadline, w->now + exchange_config(x)->wait_ns);
  exchange_admit(x, j->broadcast, ADMISSION_FETCH, &j->ticket);
}
