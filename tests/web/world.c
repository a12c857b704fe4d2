/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "world.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define CLIENT_BYTES_MAX (64u << 20)

static uint64_t seed = 1;

static void run_model(struct deferred *d, uint64_t now)
{
  struct world *w = container_of(d, struct world, model_run);
  model_run(&w->model, now);
}

static void on_defer(void *ctx)
{
  struct world *w = ctx;
  worker_defer(&w->worker, &w->model_run);
}

static uint64_t skipping_now(void *ctx)
{
  const struct world *w = ctx;
  struct clock system = clock_system();
  return clock_now(&system) + w->skipped;
}

static uint64_t wall_us(void *ctx)
{
  struct clock system = clock_system();
  (void)ctx;
  return clock_wall_us(&system);
}

void world_skip(struct world *w, uint64_t ns)
{
  w->skipped += ns;
  world_turn(w);
}

void world_init(struct world *w, const char *const *public_prefixes)
{
  static const char *const everything[] = {"", NULL};
  struct err err;
  memset(w, 0, sizeof *w);
  assert_int_equal(uv_loop_init(&w->loop), 0);
  assert_int_equal(worker_init(&w->worker, &w->loop, (struct clock){skipping_now, wall_us, w}), 0);
  deferred_init(&w->model_run, run_model);
  model_init(&w->model, &w->worker.timers, rng_seeded(&seed), 64u << 20, on_defer, w);
  w->origin = origin_new(&w->model);
  assert_non_null(w->origin);
  struct admission_config rules = {.subscribe = public_prefixes ? public_prefixes : everything};
  while (rules.subscribe[rules.subscribe_count])
    rules.subscribe_count++;
  assert_int_equal(admission_new(&rules, &w->admission, &err), 0);
  strcpy(w->listen, "127.0.0.1:0");
  static const char *const all[] = {"*"};
  w->config = (struct http_config){.worker = &w->worker,
                                   .allow_origin = all,
                                   .allow_origin_count = 1,
                                   .listen = w->listen,
                                   .model = &w->model,
                                   .origin = w->origin,
                                   .admission = w->admission,
                                   .clients = 64,
                                   .wait_ns = 10 * NS_PER_S};
}

void world_start(struct world *w)
{
  struct err err = {""};
  w->config.tls = w->tls;
  if (http_server_new(&w->config, &w->http, &err) < 0)
    fail_msg("%s", err.text);
}

void world_destroy(struct world *w)
{
  http_server_free(w->http);
  origin_free(w->origin);
  worker_defer_cancel(&w->model_run);
  model_destroy(&w->model);
  admission_free(w->admission);
  tls_server_free(w->tls);
  assert_true(list_empty(&w->worker.deferred));
  worker_destroy(&w->worker);
  uv_run(&w->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w->loop), 0);
}

void world_turn(struct world *w)
{
  if (uv_run(&w->loop, UV_RUN_NOWAIT) >= 0)
    poll(NULL, 0, 0);
}

/* ---- publishers ---- */

static void on_info(void *source, struct track *t)
{
  static const struct track_info info = {.priority = 1, .max_age_ms = 30000, .timescale = 1000};
  struct publisher *p = source;
  if (p->refuse)
    track_close(t, CODE_NOT_FOUND, p->world->worker.now);
  else if (!p->mute)
    track_set_info(t, &info, p->world->worker.now);
}

static void on_subscribe(void *source, struct track *t, const struct sub_params *wanted)
{
  struct publisher *p = source;
  (void)wanted;
  p->subscribed++;
  track_unref(p->track);
  p->track = track_ref(t);
  on_info(source, t);
}

static void on_unsubscribe(void *source, struct track *t)
{
  struct publisher *p = source;
  (void)t;
  p->unsubscribed++;
}

static int on_fetch(void *source, struct track *t, uint64_t sequence)
{
  struct publisher *p = source;
  p->fetched++;
  p->fetch_sequence = sequence;
  track_unref(p->track);
  p->track = track_ref(t);
  return 0;
}

static const struct source_ops source = {
    .info = on_info, .subscribe = on_subscribe, .unsubscribe = on_unsubscribe, .fetch = on_fetch};

void publisher_start(struct publisher *p, struct world *w, const char *path)
{
  struct route_info info = {.local = true};
  *p = (struct publisher){.world = w};
  worker_enter(&w->worker);
  assert_int_equal(route_add(w->origin, slice_str(path), &info, &source, p, w->worker.now, &p->route), 0);
}

void publisher_stop(struct publisher *p, bool clean)
{
  route_remove(p->route, clean, p->world->worker.now);
  track_unref(p->track);
  p->track = NULL;
}

struct group *publisher_group(struct publisher *p, uint64_t sequence)
{
  struct group *g;
  assert_non_null(p->track);
  assert_int_equal(track_group(p->track, sequence, p->world->worker.now, &g), 0);
  return g;
}

void frame_begin(struct group *g, size_t size)
{
  uint64_t id = group_objects(g, 0);
  assert_int_equal(group_object(g, 0, id, id, size, 0, slice_of(NULL, 0)), 0);
}

void frame_more(struct group *g, const void *bytes, size_t n)
{
  assert_int_equal(group_append(g, 0, slice_of(bytes, n)), 0);
}

void frame(struct group *g, const char *text)
{
  frame_begin(g, strlen(text));
  frame_more(g, text, strlen(text));
}

/* ---- clients ---- */

void client_open(struct client *c, struct world *w)
{
  const struct sockaddr_storage *sa = http_server_address(w->http);
  *c = (struct client){.world = w, .data = calloc(1, 1)};
  assert_non_null(c->data);
  c->fd = socket(sa->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(c->fd >= 0);
  /* The listener's backlog takes it, so this does not wait for the loop. */
  assert_int_equal(connect(c->fd, (const struct sockaddr *)sa,
                           sa->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)),
                   0);
}

void client_send(struct client *c, const char *text)
{
  size_t n = strlen(text);
  while (n > 0) {
    ssize_t sent = send(c->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
      return; /* refused already: the test looks at the answer */
    if (sent < 0)
      world_turn(c->world);
    text += sent > 0 ? sent : 0;
    n -= sent > 0 ? (size_t)sent : 0;
  }
}

static void grow(struct client *c, size_t need)
{
  if (need <= c->cap)
    return;
  c->cap = 2 * need;
  char *data = realloc(c->data, c->cap);
  assert_non_null(data);
  c->data = data;
}

bool client_turn(struct client *c)
{
  static char piece[1 << 16];
  for (;;) {
    ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      return false;
    c->reset = n < 0;
    c->eof = n <= 0;
    if (c->eof)
      return true;
    assert_true(c->n + (size_t)n < CLIENT_BYTES_MAX);
    grow(c, c->n + (size_t)n + 1);
    memcpy(c->data + c->n, piece, (size_t)n);
    c->n += (size_t)n;
    c->data[c->n] = '\0';
  }
}

void client_close(struct client *c)
{
  close(c->fd);
  free(c->data);
  c->data = NULL;
}

void client_abort(struct client *c)
{
  struct linger now = {.l_onoff = 1};
  assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  client_close(c);
}

/* ---- answers ---- */

const char *header(const struct answer *a, const char *name)
{
  static char value[1024];
  size_t n = strlen(name);
  for (const char *at = strstr(a->head, "\r\n"); at && at[2]; at = strstr(at + 2, "\r\n")) {
    if (strncasecmp(at + 2, name, n) != 0 || at[2 + n] != ':')
      continue;
    const char *v = at + 3 + n;
    v += strspn(v, " ");
    snprintf(value, sizeof value, "%.*s", (int)strcspn(v, "\r"), v);
    return value;
  }
  return NULL;
}

static void join_chunks(struct answer *a, size_t have)
{
  char *in = a->body, *end = a->body + have;
  while (in && in < end) {
    char *data = memmem(in, (size_t)(end - in), "\r\n", 2);
    size_t n = strtoul(in, NULL, 16);
    if (!data)
      return;
    data += 2;
    if (n == 0) {
      a->whole = true;
      return;
    }
    size_t left = (size_t)(end - data), take = n < left ? n : left;
    memmove(a->body + a->body_n, data, take);
    a->body_n += take;
    in = data + take + 2;
  }
}

void answer_parse(struct client *c, struct answer *a)
{
  *a = (struct answer){.head = c->data};
  char *blank = strstr(c->data, "\r\n\r\n");
  if (!blank)
    fail_msg("no answer: \"%s\"", c->data);
  blank[2] = '\0';
  a->body = blank + 4;
  a->status = (unsigned)strtoul(c->data + strlen("HTTP/1.1 "), NULL, 10);
  size_t have = c->n - (size_t)(a->body - c->data);
  const char *length = header(a, "content-length");
  if (header(a, "transfer-encoding")) {
    join_chunks(a, have);
  } else {
    a->body_n = have;
    a->whole = length ? strtoul(length, NULL, 10) == have : c->eof && !c->reset;
  }
  a->body[a->body_n] = '\0';
}

void request(struct world *w, struct client *c, struct answer *a, const char *line, const char *headers)
{
  static char text[1 << 16];
  client_open(c, w);
  snprintf(text, sizeof text, "%s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n%s\r\n", line, headers);
  client_send(c, text);
  world_until(w, client_turn(c));
  answer_parse(c, a);
}

void expect(struct world *w, const char *line, unsigned status, const char *body)
{
  struct client c;
  struct answer a;
  request(w, &c, &a, line, "");
  if (a.status != status)
    fail_msg("%s: status %u, expected %u", line, a.status, status);
  if (body)
    assert_string_equal(a.body, body);
  client_close(&c);
}
