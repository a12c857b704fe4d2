/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "lab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile int lab_unlimited;

/* ---- the lab ---- */

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  (void)ctx, (void)level;
  if (getenv("LAB_LOG"))
    fprintf(stderr, "%.*s\n", (int)n, line);
}

void lab_init(struct lab *lab)
{
  *lab = (struct lab){0};
  sim_init(&lab->w);
  lab->log = (struct log){.level = LOG_TRACE, .clock = lab->w.clock, .sink = sink};
  list_init(&lab->links);
  list_init(&lab->raws);
}

void lab_run(struct lab *lab, uint64_t ms)
{
  uint64_t until = lab->w.now + ms * NS_PER_MS;
  for (unsigned n = 0; n < 1000000; n++) {
    if (list_empty(&lab->w.deferred) && timers_next(&lab->w.timers) > until) {
      lab->w.now = until;
      return;
    }
    lab->turns++;
    if (lab->kill && ++lab->steps == lab->kill_at)
      lab->kill(lab);
    else
      sim_step(&lab->w);
  }
  fail_msg("no end in sight");
}

void lab_cut(struct lab *lab, struct pair *p)
{
  (void)lab;
  mem_pair_free(p->mem);
  p->mem = NULL;
}

static void stream_free(struct raw_stream *s)
{
  sendq_destroy(&s->out);
  free(s->in);
  free(s);
}

void lab_destroy(struct lab *lab)
{
  lab->kill = NULL;
  list_for_each_safe (it, tmp, &lab->links) {
    struct pair *p = container_of(it, struct pair, link);
    mem_pair_free(p->mem);
    free(p);
  }
  list_for_each_safe (it, tmp, &lab->raws) {
    struct raw *r = container_of(it, struct raw, link);
    list_for_each_safe (s, next, &r->streams)
      stream_free(container_of(s, struct raw_stream, link));
  }
  lab_run(lab, 60000); /* what lingers goes */
  if (timers_next(&lab->w.timers) != TIMERS_NONE)
    fail_msg("a timer is left");
}

/* ---- nodes ---- */

static void node_work(struct deferred *d, uint64_t now)
{
  struct node *n = container_of(d, struct node, work);
  model_run(&n->model, now);
}

static void node_defer(void *ctx)
{
  struct node *n = ctx;
  worker_defer(&n->lab->w, &n->work);
}

void node_init(struct node *n, struct lab *lab)
{
  *n = (struct node){
      .lab = lab, .seed = 42, .root = "", .publish = "", .subscribe = "", .legacy = 1u << LITE_01 | 1u << LITE_02};
  deferred_init(&n->work, node_work);
  model_init(&n->model, &lab->w.timers, rng_seeded(&n->seed), 0, node_defer, n);
  lab_unlimited++;
  n->origin = origin_new(&n->model);
  lab_unlimited--;
  assert_non_null(n->origin);
  n->env = (struct lite_env){.model = &n->model,
                             .origin = n->origin,
                             .timers = &lab->w.timers,
                             .clock = lab->w.clock,
                             .now = &lab->w.now,
                             .log = &lab->log,
                             .totals = &n->totals,
                             .counts = &n->counts,
                             .local_publishers = true};
  n->model.counts = &n->counts;
  lite_limits_default(&n->env.limits);
}

void node_destroy(struct node *n)
{
  if (n->model.subs_now || n->model.broadcasts_now)
    fail_msg("left: %llu subscriptions, %llu broadcasts", (unsigned long long)n->model.subs_now,
             (unsigned long long)n->model.broadcasts_now);
  origin_free(n->origin);
  for (unsigned i = 0; i < LITE_STREAMS; i++) {
    if (n->totals.open[i])
      fail_msg("left: %u %s requests", n->totals.open[i], lite_stream_name((enum lite_stream)i));
  }
  if (n->totals.partial_bytes)
    fail_msg("left: %zu bytes of messages", n->totals.partial_bytes);
  if (n->model.tracks_now || n->model.cache.used)
    fail_msg("left: %llu tracks, %zu bytes", (unsigned long long)n->model.tracks_now, n->model.cache.used);
  worker_defer_cancel(&n->work);
  model_destroy(&n->model);
}

/* ---- sessions ---- */

int end_start(struct end *e)
{
  const struct node *n = e->node;
  struct scope scope;
  struct pattern may[2];
  if (pattern_below(&may[0], slice_str(n->publish ? n->publish : "")) < 0 ||
      pattern_below(&may[1], slice_str(n->subscribe ? n->subscribe : "")) < 0)
    fail_msg("\"%s\" or \"%s\" is not a prefix", n->publish, n->subscribe);
  struct slice publish = pattern_slice(&may[0]), subscribe = pattern_slice(&may[1]);
  int rc = scope_init(&scope, slice_str(n->root), &publish, n->publish ? 1 : 0, &subscribe, n->subscribe ? 1 : 0);
  return rc < 0 ? rc : lite_session_start(e->session, &scope);
}

static void on_setup(void *ctx, struct lite_session *s, const struct lite_setup_info *info)
{
  struct end *e = ctx;
  e->session = s;
  e->setup = true;
  if (info->path)
    snprintf(e->path, sizeof e->path, "%s", info->path);
  if (!e->node->manual && end_start(e) < 0)
    lite_session_close(s, LITE_CLOSE_INTERNAL, "out of memory");
}

static void on_goaway(void *ctx, struct lite_session *s, struct slice uri)
{
  struct end *e = ctx;
  (void)s, (void)uri;
  e->goaways++;
}

static void on_closed(void *ctx, struct lite_session *s, uint64_t code, struct slice reason, bool by_peer)
{
  struct end *e = ctx;
  (void)s;
  e->session = NULL;
  e->closed = true;
  e->code = code;
  e->by_peer = by_peer;
  snprintf(e->reason, sizeof e->reason, "%.*s", SLICE_FMT(reason));
}

static const struct lite_session_events session_events = {on_setup, on_goaway, on_closed};

static int attach(struct end *e, struct node *n, struct transport *t, enum lite_version v)
{
  struct lite_session_config config = {
      .env = &n->env, .events = &session_events, .ctx = e, .version = v, .legacy = n->legacy, .id = t->client ? 2 : 1};
  *e = (struct end){.node = n};
  return lite_session_new(&config, t, &e->session);
}

static struct pair *pair_new(struct lab *lab, const struct mem_config *config)
{
  lab_unlimited++;
  struct pair *p = calloc(1, sizeof *p);
  lab_unlimited--;
  p->config = config ? *config : mem_config_default();
  p->mem = mem_pair_new(&lab->w.timers, &lab->w.now, &p->config);
  list_append(&lab->links, &p->link);
  return p;
}

/* An end whose session could not be made: nobody listens. */
static void nobody_stream(struct transport *t, struct stream *s);
static void nobody_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  (void)t, (void)code, (void)reason, (void)by_peer;
}
static const struct transport_events nobody = {.on_stream = nobody_stream, .on_closed = nobody_closed};

static void attach_or_close(struct end *e, struct node *n, struct transport *t, enum lite_version v)
{
  if (attach(e, n, t, v) == 0)
    return;
  e->closed = true;
  t->events = &nobody;
  transport_close(t, LITE_CLOSE_INTERNAL, "");
}

struct pair *lab_join(struct lab *lab, struct node *client, struct node *server, const struct mem_config *config,
                      enum lite_version v, struct end *ret_client, struct end *ret_server)
{
  struct pair *p = pair_new(lab, config);
  attach_or_close(ret_server, server, mem_server(p->mem), v);
  attach_or_close(ret_client, client, mem_client(p->mem), v);
  return p;
}

/* ---- raw peers ---- */

static void raw_data(struct stream *st, struct slice data, bool fin)
{
  struct raw_stream *s = st->user;
  lab_unlimited++;
  uint8_t *in = realloc(s->in, s->in_n + data.n + 1);
  lab_unlimited--;
  assert_non_null(in);
  if (data.n > 0)
    memcpy(in + s->in_n, data.p, data.n);
  s->in = in;
  s->in_n += data.n;
  s->fin |= fin;
  if (!s->raw->deaf)
    stream_extend(st, data.n);
}

static void raw_was_reset(struct stream *st, uint64_t code)
{
  struct raw_stream *s = st->user;
  s->was_reset = true;
  s->reset_code = code;
}

static void raw_stopped(struct stream *st, uint64_t code)
{
  struct raw_stream *s = st->user;
  s->stopped = true;
  s->stop_code = code;
}

static size_t raw_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct raw_stream *s = st->user;
  return sendq_pull(&s->out, iov, max, ret_fin);
}

static void raw_sent(struct stream *st, size_t n, bool fin)
{
  struct raw_stream *s = st->user;
  sendq_sent(&s->out, n, fin);
}

static void raw_gone(struct stream *st)
{
  struct raw_stream *s = st->user;
  s->st = NULL;
}

static const struct stream_events raw_events = {.data = raw_data,
                                                .reset = raw_was_reset,
                                                .stopped = raw_stopped,
                                                .pull = raw_pull,
                                                .sent = raw_sent,
                                                .closed = raw_gone};

static struct raw_stream *raw_stream_new(struct raw *r, bool local, bool bidi)
{
  lab_unlimited++;
  struct raw_stream *s = calloc(1, sizeof *s);
  lab_unlimited--;
  assert_non_null(s);
  s->raw = r;
  s->local = local;
  s->bidi = bidi;
  sendq_init(&s->out, 64 << 20);
  list_append(&r->streams, &s->link);
  return s;
}

static void raw_on_stream(struct transport *t, struct stream *st)
{
  struct raw *r = t->user;
  struct raw_stream *s = raw_stream_new(r, false, st->bidi);
  s->st = st;
  st->events = &raw_events;
  st->user = s;
  if (r->refuse_all) {
    stream_stop(st, 0);
    stream_reset(st, 0);
  }
}

static void nobody_stream(struct transport *t, struct stream *st)
{
  static const struct stream_events none = {.data = raw_data, .closed = raw_gone};
  (void)t;
  st->events = &none;
  stream_stop(st, 0);
}

static void raw_on_datagram(struct transport *t, struct slice data)
{
  struct raw *r = t->user;
  r->datagrams++;
  r->datagram_n = data.n;
  memcpy(r->datagram, data.p, data.n);
}

static void raw_on_streams(struct transport *t, bool bidi)
{
  struct raw *r = t->user;
  r->moved[bidi] = true;
}

static void raw_on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct raw *r = t->user;
  (void)reason;
  r->t = NULL;
  r->closed = true;
  r->code = code;
  r->by_peer = by_peer;
}

static const struct transport_events raw_transport_events = {raw_on_stream, raw_on_datagram, raw_on_streams,
                                                             raw_on_closed};

static void raw_init(struct raw *r, struct lab *lab, struct transport *t, enum lite_version v)
{
  *r = (struct raw){.lab = lab, .t = t, .version = v};
  list_init(&r->streams);
  list_append(&lab->raws, &r->link);
  t->events = &raw_transport_events;
  t->user = r;
}

void raw_join(struct raw *r, struct lab *lab, struct node *node, const struct mem_config *config, enum lite_version v,
              struct end *ret_end)
{
  struct pair *p = pair_new(lab, config);
  raw_init(r, lab, mem_client(p->mem), v);
  r->pair = p;
  attach_or_close(ret_end, node, mem_server(p->mem), v);
}

void raw_serve(struct raw *r, struct lab *lab, struct node *node, const struct mem_config *config, enum lite_version v,
               struct end *ret_end)
{
  struct pair *p = pair_new(lab, config);
  raw_init(r, lab, mem_server(p->mem), v);
  r->pair = p;
  attach_or_close(ret_end, node, mem_client(p->mem), v);
}

void raw_close(struct raw *r, uint64_t code)
{
  if (r->t)
    transport_close(r->t, code, "");
}

struct raw_stream *raw_setup(struct raw *r, uint64_t hop)
{
  struct lite_setup setup = LITE_SETUP_INIT;
  setup.hop = hop;
  setup.probe = 1;
  struct raw_stream *s = raw_begin(r, LITE_STREAM_SETUP);
  raw_say(s, LITE_SETUP, &(union lite_body){.setup = setup});
  raw_fin(s);
  return s;
}

static struct raw_stream *raw_opened(struct raw *r, bool bidi, enum lite_stream type)
{
  if (!r->t)
    return NULL;
  struct raw_stream *s = raw_stream_new(r, true, bidi);
  s->type = type;
  s->typed = type != LITE_STREAM_UNKNOWN;
  if (transport_open(r->t, bidi, &raw_events, s, ORDER_CONTROL, &s->st) < 0)
    s->st = NULL;
  if (s->typed)
    lite_reader_init(&s->reader, r->version, type, LITE_ACCEPTOR, LITE_MESSAGE_MAX);
  return s;
}

struct raw_stream *raw_open(struct raw *r, bool bidi)
{
  return raw_opened(r, bidi, LITE_STREAM_UNKNOWN);
}

void raw_write(struct raw_stream *s, const void *p, size_t n, bool fin)
{
  if (!s || !s->st)
    return;
  lab_unlimited++;
  assert_int_equal(sendq_put(&s->out, slice_of(p, n)), 0);
  lab_unlimited--;
  if (fin)
    sendq_fin(&s->out);
  stream_wake(s->st);
}

void raw_fin(struct raw_stream *s)
{
  raw_write(s, "", 0, true);
}

void raw_reset(struct raw_stream *s, uint64_t code)
{
  if (s && s->st)
    stream_reset(s->st, code);
}

void raw_stop(struct raw_stream *s, uint64_t code)
{
  if (s && s->st)
    stream_stop(s->st, code);
}

struct raw_stream *raw_begin(struct raw *r, enum lite_stream type)
{
  struct buf b = {0};
  lab_unlimited++;
  assert_int_equal(lite_stream_begin(r->version, type, &b), 0);
  lab_unlimited--;
  struct raw_stream *s = raw_opened(r, type != LITE_STREAM_GROUP && type != LITE_STREAM_SETUP, type);
  raw_write(s, b.p, b.n, false);
  buf_destroy(&b);
  return s;
}

void raw_say(struct raw_stream *s, enum lite_msg m, const union lite_body *body)
{
  struct buf b = {0};
  if (!s)
    return;
  lab_unlimited++;
  int rc = lite_encode(s->raw->version, m, body, &b);
  lab_unlimited--;
  assert_true(rc == 0 || s->raw->lab->quiet);
  raw_write(s, b.p, b.n, false);
  buf_destroy(&b);
}

struct raw_stream *raw_request(struct raw *r, enum lite_stream type, enum lite_msg m, const union lite_body *body)
{
  struct raw_stream *s = raw_begin(r, type);
  raw_say(s, m, body);
  return s;
}

void raw_datagram(struct raw *r, uint64_t id, uint64_t sequence, uint64_t timestamp, const char *payload)
{
  struct lite_datagram d = {id, sequence, timestamp, slice_str(payload)};
  uint8_t head[LITE_DATAGRAM_HEADER_MAX];
  int n = lite_datagram_header(r->version, &d, head);
  assert_true(n > 0);
  struct iovec iov[2] = {{head, (size_t)n}, {(void *)(uintptr_t)payload, strlen(payload)}};
  if (r->t)
    r->t->ops->send_datagram(r->t, iov, 2);
}

struct raw_stream *raw_announce_request(struct raw *r, const char *prefix)
{
  union lite_body body = {.announce_request = {slice_str(prefix), 0}};
  return raw_request(r, LITE_STREAM_ANNOUNCE, LITE_ANNOUNCE_REQUEST, &body);
}

struct raw_stream *raw_subscribe(struct raw *r, uint64_t id, const char *broadcast, const char *track,
                                 const struct lite_want *want)
{
  union lite_body body = {.subscribe = {id, slice_str(broadcast), slice_str(track), *want}};
  return raw_request(r, LITE_STREAM_SUBSCRIBE, LITE_SUBSCRIBE, &body);
}

struct raw_stream *raw_track(struct raw *r, const char *broadcast, const char *track)
{
  union lite_body body = {.track = {slice_str(broadcast), slice_str(track)}};
  return raw_request(r, LITE_STREAM_TRACK, LITE_TRACK, &body);
}

struct raw_stream *raw_fetch(struct raw *r, const char *broadcast, const char *track, uint64_t group)
{
  union lite_body body = {.fetch = {slice_str(broadcast), slice_str(track), 100, group, 0, LITE_NONE}};
  return raw_request(r, LITE_STREAM_FETCH, LITE_FETCH, &body);
}

void raw_frames(struct raw_stream *s, uint64_t first_timestamp, const char *text, bool fin)
{
  uint64_t prev = 0, timestamp = first_timestamp;
  if (!s)
    return;
  while (*text) {
    size_t n = strcspn(text, " ");
    uint8_t head[LITE_FRAME_HEADER_MAX];
    int h = lite_frame_header(s->raw->version, prev, timestamp, n, head);
    assert_true(h > 0);
    raw_write(s, head, (size_t)h, false);
    raw_write(s, text, n, false);
    prev = timestamp++;
    text += n;
    text += *text == ' ';
  }
  if (fin)
    raw_fin(s);
}

struct raw_stream *raw_group(struct raw *r, uint64_t id, uint64_t sequence, const char *text, bool fin)
{
  union lite_body body = {.group = {id, sequence, 0}};
  struct raw_stream *s = raw_request(r, LITE_STREAM_GROUP, LITE_GROUP, &body);
  raw_frames(s, 1000 + (sequence & 0xffff), text, fin);
  return s;
}

/* ---- hearing ---- */

static void take_type(struct raw_stream *s)
{
  size_t n;
  if (s->typed || s->local)
    return;
  if (lite_stream_open(s->raw->version, !s->bidi, slice_of(s->in, s->in_n), &s->type, &n) == 0)
    return;
  s->typed = true;
  s->at = n;
  lite_reader_init(&s->reader, s->raw->version, s->type, LITE_OPENER, LITE_MESSAGE_MAX);
}

static struct raw_stream *find(struct raw *r, enum lite_stream type, unsigned n)
{
  list_for_each (it, &r->streams) {
    struct raw_stream *s = container_of(it, struct raw_stream, link);
    take_type(s);
    if (!s->local && s->typed && s->type == type && n-- == 0)
      return s;
  }
  return NULL;
}

unsigned raw_count(struct raw *r, enum lite_stream type)
{
  unsigned n = 0;
  while (find(r, type, n))
    n++;
  return n;
}

struct raw_stream *raw_incoming(struct raw *r, enum lite_stream type, unsigned n)
{
  struct raw_stream *s = find(r, type, n);
  for (int i = 0; !s && i < LAB_WAIT_MS; i += 10) {
    lab_run(r->lab, 10);
    s = find(r, type, n);
  }
  return s;
}

static bool next_message(struct raw_stream *s, enum lite_msg *ret_msg, union lite_body *ret_body)
{
  struct lite_raw raw;
  take_type(s);
  if (!s->typed)
    return false;
  int rc = lite_reader_next(&s->reader, slice_of(s->in + s->at, s->in_n - s->at), &raw);
  if (rc != 1)
    return false;
  s->at += raw.n;
  *ret_msg = raw.msg;
  assert_int_equal(lite_decode(s->raw->version, raw.msg, raw.body, ret_body), 0);
  return true;
}

bool raw_hear(struct raw_stream *s, enum lite_msg *ret_msg, union lite_body *ret_body)
{
  if (!s)
    return false;
  bool got = next_message(s, ret_msg, ret_body);
  for (int i = 0; !got && i < LAB_WAIT_MS; i += 10) {
    lab_run(s->raw->lab, 10);
    got = next_message(s, ret_msg, ret_body);
  }
  return got;
}

union lite_body raw_expect(struct raw_stream *s, enum lite_msg m)
{
  union lite_body body = {0};
  enum lite_msg got = LITE_UNKNOWN;
  bool heard = raw_hear(s, &got, &body);
  if (s && s->raw->lab->quiet)
    return got == m ? body : (union lite_body){0};
  if (!heard)
    fail_msg("no %s came", lite_msg_name(m));
  if (got != m)
    fail_msg("%s came, not %s", lite_msg_name(got), lite_msg_name(m));
  return body;
}

bool raw_silent(struct raw_stream *s)
{
  lab_run(s->raw->lab, LAB_WAIT_MS);
  take_type(s);
  return s->at == s->in_n;
}

const char *raw_text(struct raw_stream *s)
{
  static char text[8192];
  size_t n = 0, at;
  uint64_t prev = 0;
  text[0] = '\0';
  if (!s)
    return text;
  lab_run(s->raw->lab, LAB_WAIT_MS);
  take_type(s);
  if (s->type == LITE_STREAM_GROUP && !s->reader.started) {
    enum lite_msg m;
    union lite_body body;
    if (!next_message(s, &m, &body))
      return text;
  }
  for (at = s->at;;) {
    struct lite_frame f;
    int h = lite_frame_read(s->raw->version, slice_of(s->in + at, s->in_n - at), prev, &f);
    if (h <= 0 || f.size > s->in_n - at - (size_t)h || n + f.size + 2 > sizeof text)
      return text;
    at += (size_t)h;
    n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", (int)f.size, (const char *)s->in + at);
    at += f.size;
    prev = f.timestamp;
  }
}

/* ---- the publisher's side ---- */

void raw_start(struct raw_stream *announce, const char *path, const uint64_t *hops, size_t n)
{
  if (!announce)
    return;
  bool typed = lite_info(announce->raw->version)->typed_announces;
  struct lite_hops h = {.n = n};
  if (n > 0)
    memcpy(h.id, hops, n * sizeof *hops);
  union lite_body start = {.announce_start = {.suffix = slice_str(path), .hops = h}};
  union lite_body active = {.announce = {.status = LITE_ACTIVE, .suffix = slice_str(path), .hops = h}};
  raw_say(announce, typed ? LITE_ANNOUNCE_START : LITE_ANNOUNCE, typed ? &start : &active);
}

void raw_unstart(struct raw_stream *announce, const char *path, uint64_t id)
{
  if (!announce)
    return;
  bool typed = lite_info(announce->raw->version)->typed_announces;
  union lite_body end = {.announce_end = {id}};
  union lite_body ended = {.announce = {.status = LITE_ENDED, .suffix = slice_str(path)}};
  raw_say(announce, typed ? LITE_ANNOUNCE_END : LITE_ANNOUNCE, typed ? &end : &ended);
}

struct raw_stream *raw_publish(struct raw *r, uint64_t hop, const char *const *paths, size_t n)
{
  struct raw_stream *a = raw_incoming(r, LITE_STREAM_ANNOUNCE, 0);
  if (!a && r->lab->quiet)
    return NULL;
  assert_non_null(a);
  (void)raw_expect(a, LITE_ANNOUNCE_REQUEST);
  raw_say(a, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {hop, n}});
  for (size_t i = 0; i < n; i++)
    raw_start(a, paths[i], NULL, 0);
  lab_run(r->lab, 20);
  return a;
}

struct raw_stream *raw_answer_track(struct raw *r, unsigned n)
{
  struct raw_stream *s = raw_incoming(r, LITE_STREAM_TRACK, n);
  if (!s && r->lab->quiet)
    return NULL;
  assert_non_null(s);
  (void)raw_expect(s, LITE_TRACK);
  raw_say(s, LITE_TRACK_INFO, &(union lite_body){.track_info = {.priority = 1, .max_age = 30000, .timescale = 1000}});
  raw_fin(s);
  return s;
}

struct raw_stream *raw_hear_subscribe(struct raw *r, unsigned n, struct lite_subscribe *ret_subscribe)
{
  struct raw_stream *s = raw_incoming(r, LITE_STREAM_SUBSCRIBE, n);
  if (!s && r->lab->quiet)
    return NULL;
  assert_non_null(s);
  union lite_body body = raw_expect(s, LITE_SUBSCRIBE);
  if (ret_subscribe)
    *ret_subscribe = body.subscribe;
  return s;
}
