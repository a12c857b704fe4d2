/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

#define HELD_STREAMS_MAX 128u  /* that wait for the session to be admitted */
#define HELD_BYTES_MAX 16384u  /* of each */

void lite_limits_default(struct lite_limits *ret_limits)
{
  *ret_limits = (struct lite_limits){
      .announces = 1000,
      .requests = 1000,
      .message_bytes = 64u << 10,
      .queue_bytes = 4u << 20,
      .session_queue_bytes = 16u << 20,
      .groups = 4096,
      .setup_timeout_ns = 10 * NS_PER_S,
      .message_timeout_ns = 10 * NS_PER_S,
  };
}

struct transport *lite_session_transport(struct lite_session *s)
{
  return s->transport;
}

uint64_t lite_session_id(const struct lite_session *s)
{
  return s->id;
}

enum lite_version lite_session_version(const struct lite_session *s)
{
  return s->version->version;
}

void lite_session_close(struct lite_session *s, uint64_t code, const char *reason)
{
  if (s->closing)
    return;
  s->closing = true;
  timers_cancel(s->env->timers, &s->setup_timer);
  transport_close(s->transport, code, reason);
}

void session_violation(struct lite_session *s, const char *what)
{
  if (s->closing)
    return;
  log_warn(s->env->log, "session %llu: protocol violation: %s", (unsigned long long)s->id, what);
  lite_session_close(s, LITE_CLOSE_PROTOCOL, what);
}

/* ---- streams that only end ---- */

static void ignore_data(struct stream *st, struct slice data, bool fin)
{
  stream_extend(st, data.n);
}

static void ignore_code(struct stream *st, uint64_t code)
{
}

static size_t pull_nothing(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  *ret_fin = false;
  return 0;
}

static void ignore_sent(struct stream *st, size_t n, bool fin)
{
}

static void ignore_closed(struct stream *st)
{
}

static const struct stream_events refused_events = {.data = ignore_data,
                                                    .reset = ignore_code,
                                                    .stopped = ignore_code,
                                                    .pull = pull_nothing,
                                                    .sent = ignore_sent,
                                                    .closed = ignore_closed};

void session_refuse(struct stream *st, uint64_t code)
{
  st->events = &refused_events;
  st->user = NULL;
  stream_stop(st, code);
  stream_reset(st, code);
}

static void refused_stream(struct transport *t, struct stream *st)
{
  session_refuse(st, LITE_RESET_SESSION_CLOSED);
}

static void refused_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
}

void lite_transport_refuse(struct transport *t, uint64_t code, const char *reason)
{
  static const struct transport_events refused = {.on_stream = refused_stream, .on_closed = refused_closed};
  t->events = &refused;
  transport_close(t, code, reason);
}

/* ---- our SETUP ---- */

struct setup_out {
  struct sendq q;
};

static size_t setup_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct setup_out *o = st->user;
  return sendq_pull(&o->q, iov, max, ret_fin);
}

static void setup_sent(struct stream *st, size_t n, bool fin)
{
  struct setup_out *o = st->user;
  sendq_sent(&o->q, n, fin);
}

static void setup_out_free(struct setup_out *o)
{
  if (!o)
    return;
  sendq_destroy(&o->q);
  free(o);
}

static void setup_out_closed(struct stream *st)
{
  setup_out_free(st->user);
}

static const struct stream_events setup_out_events = {.data = ignore_data,
                                                      .reset = ignore_code,
                                                      .stopped = ignore_code,
                                                      .pull = setup_pull,
                                                      .sent = setup_sent,
                                                      .closed = setup_out_closed};

static int encode_setup(struct lite_session *s, const struct lite_session_config *config, struct sendq *q)
{
  struct buf b = {0};
  struct lite_setup setup = LITE_SETUP_INIT;
  setup.hop = s->env->model->hop_id;
  setup.probe = 1;
  setup.role = (uint8_t)config->role;
  if (config->setup_path)
    setup.path = slice_str(config->setup_path);
  enum lite_version v = s->version->version;
  int rc = lite_stream_begin(v, LITE_STREAM_SETUP, &b);
  if (rc == 0)
    rc = lite_encode(v, LITE_SETUP, &(union lite_body){.setup = setup}, &b);
  if (rc == 0)
    rc = sendq_put(q, buf_slice(&b));
  buf_destroy(&b);
  sendq_fin(q);
  return rc;
}

/* -EAGAIN: it goes before any group once the peer allows streams. */
static int open_setup(struct lite_session *s)
{
  struct stream *st;
  if (!s->setup_out)
    return 0;
  int rc = transport_open(s->transport, false, &setup_out_events, s->setup_out, ORDER_CONTROL, &st);
  if (rc < 0)
    return rc;
  s->setup_out = NULL; /* the stream's */
  stream_wake(st);
  return 0;
}

/* Sent first and always: deployed peers wait for it before they answer anything. */
static int send_setup(struct lite_session *s, const struct lite_session_config *config)
{
  struct setup_out *o = calloc(1, sizeof *o);
  if (!o)
    return -ENOMEM;
  sendq_init(&o->q, LITE_SETUP_MAX);
  int rc = encode_setup(s, config, &o->q);
  s->setup_out = o;
  if (rc == 0)
    rc = open_setup(s);
  if (rc == 0 || rc == -EAGAIN)
    return 0;
  setup_out_free(o);
  return rc;
}

/* ---- the peer's SETUP ---- */

struct setup_in {
  struct lite_session *session;
  struct lite_reader reader;
  struct buf in;
};

/* The deadline covers SETUP and admission. */
static void settle_setup(struct lite_session *s)
{
  if (s->setup_seen && s->started)
    timers_cancel(s->env->timers, &s->setup_timer);
}

void session_is_set_up(struct lite_session *s)
{
  s->setup_seen = true;
  s->events->on_setup(s->ctx, s, &(struct lite_setup_info){NULL, LITE_ROLE_BOTH});
  settle_setup(s);
}

static void peer_setup(struct lite_session *s, const struct lite_setup *setup)
{
  char *path = setup->path.p ? strndup((const char *)setup->path.p, setup->path.n) : NULL;
  if (setup->path.p && !path) { /* it must not pass for a peer that gave none */
    lite_session_close(s, LITE_CLOSE_INTERNAL, "out of memory");
    return;
  }
  s->setup_seen = true;
  s->peer = *setup;
  s->peer.path = slice_of(NULL, 0);
  log_debug(s->env->log, "session %llu: peer setup hop=%llu cost=%llu probe=%u role=%u", (unsigned long long)s->id,
            (unsigned long long)setup->hop, (unsigned long long)setup->cost, setup->probe, setup->role);
  if (!s->client)
    s->events->on_setup(s->ctx, s, &(struct lite_setup_info){path, (enum lite_role)setup->role});
  free(path);
  settle_setup(s);
}

static void setup_data(struct stream *st, struct slice data, bool fin)
{
  struct setup_in *in = st->user;
  struct lite_session *s = in->session;
  struct lite_raw raw;
  union lite_body body;
  stream_extend(st, data.n);
  if (s->closing)
    return;
  buf_bytes(&in->in, data);
  int rc = in->in.failed ? -ENOMEM : lite_reader_next(&in->reader, buf_slice(&in->in), &raw);
  if (rc == 1 && lite_decode(s->version->version, LITE_SETUP, raw.body, &body) == 0) {
    peer_setup(s, &body.setup);
    buf_consume(&in->in, raw.n);
    return;
  }
  if (rc != 0 || (fin && !s->setup_seen) || in->in.n > LITE_SETUP_MAX + 64)
    session_violation(s, "malformed SETUP");
}

static void setup_reset(struct stream *st, uint64_t code)
{
  struct setup_in *in = st->user;
  if (!in->session->setup_seen)
    session_violation(in->session, "SETUP was reset");
}

static void setup_in_closed(struct stream *st)
{
  struct setup_in *in = st->user;
  buf_destroy(&in->in);
  free(in);
}

static const struct stream_events setup_in_events = {.data = setup_data,
                                                     .reset = setup_reset,
                                                     .stopped = ignore_code,
                                                     .pull = pull_nothing,
                                                     .sent = ignore_sent,
                                                     .closed = setup_in_closed};

static void accept_setup(struct lite_session *s, struct stream *st)
{
  if (s->setup_begun) {
    session_refuse(st, LITE_RESET_CANCELLED);
    session_violation(s, "a second SETUP");
    return;
  }
  s->setup_begun = true;
  struct setup_in *in = calloc(1, sizeof *in);
  if (!in) {
    session_refuse(st, LITE_RESET_INTERNAL);
    lite_session_close(s, LITE_CLOSE_INTERNAL, "out of memory");
    return;
  }
  in->session = s;
  lite_reader_init(&in->reader, s->version->version, LITE_STREAM_SETUP, LITE_OPENER, LITE_SETUP_MAX);
  st->events = &setup_in_events;
  st->user = in;
}

/* ---- which stream is what ---- */

/* One row per kind of request stream that a peer may open. */
static const struct {
  enum lite_stream type;
  void (*accept)(struct lite_session *s, struct stream *st);
} acceptors[] = {
    {LITE_STREAM_ANNOUNCE, publish_announce_accept}, {LITE_STREAM_SUBSCRIBE, publish_subscribe_accept},
    {LITE_STREAM_TRACK, publish_track_accept},       {LITE_STREAM_FETCH, publish_fetch_accept},
    {LITE_STREAM_PROBE, probe_accept},               {LITE_STREAM_GOAWAY, goaway_accept},
};

static void dispatch_request(struct lite_session *s, struct stream *st, enum lite_stream type)
{
  if (s->request_count[false] >= s->env->limits.requests) {
    log_debug(s->env->log, "session %llu: %s stream refused: limits.subscriptions", (unsigned long long)s->id,
              lite_stream_name(type));
    session_refuse(st, LITE_RESET_INTERNAL);
    return;
  }
  for (size_t i = 0; i < sizeof acceptors / sizeof *acceptors; i++) {
    if (acceptors[i].type == type) {
      acceptors[i].accept(s, st);
      return;
    }
  }
  session_refuse(st, LITE_RESET_CANCELLED);
}

/* A stream that came before the session was admitted: SETUP travels on a stream of its own and may be overtaken. Its bytes
 * wait, without credit being given back. */
struct held {
  struct list link;
  struct lite_session *session;
  struct stream *stream;
  enum lite_stream type;
  struct buf bytes;
  bool fin;
};

static void held_free(struct held *h)
{
  list_remove(&h->link);
  h->session->held_count--;
  buf_destroy(&h->bytes);
  free(h);
}

static void held_data(struct stream *st, struct slice data, bool fin)
{
  struct held *h = st->user;
  buf_bytes(&h->bytes, data);
  h->fin |= fin;
  if (!h->bytes.failed && h->bytes.n <= HELD_BYTES_MAX)
    return;
  held_free(h);
  session_refuse(st, LITE_RESET_INTERNAL);
}

static void held_code(struct stream *st, uint64_t code)
{
  held_free(st->user);
  session_refuse(st, LITE_RESET_CANCELLED);
}

static void held_closed(struct stream *st)
{
  held_free(st->user);
}

static const struct stream_events held_events = {.data = held_data,
                                                 .reset = held_code,
                                                 .stopped = held_code,
                                                 .pull = pull_nothing,
                                                 .sent = ignore_sent,
                                                 .closed = held_closed};

static void hold(struct lite_session *s, struct stream *st, enum lite_stream type, struct slice rest, bool fin)
{
  struct held *h = s->held_count < HELD_STREAMS_MAX ? calloc(1, sizeof *h) : NULL;
  if (!h) {
    session_refuse(st, LITE_RESET_INTERNAL);
    return;
  }
  *h = (struct held){.session = s, .stream = st, .type = type};
  list_append(&s->held, &h->link);
  s->held_count++;
  st->events = &held_events;
  st->user = h;
  held_data(st, rest, fin);
}

/* Hands the rest of the first bytes to whoever took the stream over. */
static void dispatch(struct lite_session *s, struct stream *st, enum lite_stream type, struct slice rest, bool fin)
{
  bool legacy = type == LITE_STREAM_LEGACY || type == LITE_STREAM_LEGACY_OLDER || type == LITE_STREAM_LEGACY_OLDEST;
  if (!s->started && type != LITE_STREAM_SETUP && !legacy) {
    hold(s, st, type, rest, fin);
    return;
  }
  if (type == LITE_STREAM_GROUP) {
    subscribe_group_accept(s, st, rest, fin);
    return;
  }
  if (type == LITE_STREAM_SETUP)
    accept_setup(s, st);
  else if (legacy)
    setup_legacy_accept(s, st, type);
  else if (st->bidi)
    dispatch_request(s, st, type);
  else
    session_refuse(st, LITE_RESET_CANCELLED);
  if (rest.n > 0 || fin)
    st->events->data(st, rest, fin);
}

static void release_held(struct lite_session *s)
{
  list_for_each_safe(it, tmp, &s->held)
  {
    struct held *h = container_of(it, struct held, link);
    if (s->closing)
      return; /* the transport lets go of the rest: their `closed` comes */
    struct stream *st = h->stream;
    enum lite_stream type = h->type;
    struct buf bytes = h->bytes;
    bool fin = h->fin;
    h->bytes = (struct buf){0};
    held_free(h);
    dispatch(s, st, type, buf_slice(&bytes), fin);
    buf_destroy(&bytes);
  }
}

/* The bytes of a stream type that has not come whole: rare, so they live on the heap. Credit for them is given back once
 * it is known whose they are: a type may be part of the first message. */
struct opening {
  struct lite_session *session;
  struct stream *stream;
  struct wait wait;
  uint8_t n;
  uint8_t bytes[8];
};

static void opening_free(struct opening *o)
{
  wait_end(&o->wait);
  free(o);
}

static void opening_expired(struct wait *w)
{
  struct opening *o = container_of(w, struct opening, wait);
  struct stream *st = o->stream;
  if (o->session->closing)
    return; /* its `closed` comes */
  opening_free(o);
  session_refuse(st, LITE_RESET_CONTROL_TIMEOUT);
}

static void opening_data(struct stream *st, struct slice data, bool fin)
{
  struct opening *o = st->user;
  struct lite_session *s = o->session;
  size_t have = o->n, used = sizeof o->bytes - have < data.n ? sizeof o->bytes - have : data.n;
  enum lite_stream type;
  size_t n;
  if (used > 0)
    memcpy(o->bytes + have, data.p, used);
  if (lite_stream_open(s->version->version, !st->bidi, slice_of(o->bytes, have + used), &type, &n) == 0) {
    o->n = (uint8_t)(have + used);
    if (fin || used < data.n) {
      opening_free(o);
      session_refuse(st, LITE_RESET_MALFORMED);
    }
    return;
  }
  uint8_t early[sizeof o->bytes];
  memcpy(early, o->bytes, have);
  opening_free(o);
  stream_extend(st, n);
  if (type == LITE_STREAM_UNKNOWN) {
    session_refuse(st, LITE_RESET_CANCELLED);
  } else if (n >= have) {
    dispatch(s, st, type, slice_from(data, n - have), fin);
  } else {
    dispatch(s, st, type, slice_of(early + n, have - n), false);
    st->events->data(st, data, fin);
  }
}

static void opening_reset(struct stream *st, uint64_t code)
{
  opening_free(st->user);
  session_refuse(st, LITE_RESET_CANCELLED);
}

static void opening_closed(struct stream *st)
{
  opening_free(st->user);
}

static const struct stream_events opening_events = {.data = opening_data,
                                                    .reset = opening_reset,
                                                    .stopped = ignore_code,
                                                    .pull = pull_nothing,
                                                    .sent = ignore_sent,
                                                    .closed = opening_closed};

static void wait_for_type(struct lite_session *s, struct stream *st, struct slice data)
{
  struct opening *o = calloc(1, sizeof *o);
  if (!o) {
    session_refuse(st, LITE_RESET_INTERNAL);
    return;
  }
  *o = (struct opening){.session = s, .stream = st, .wait = {.expired = opening_expired}, .n = (uint8_t)data.n};
  list_init(&o->wait.link);
  wait_begin(s, &o->wait);
  memcpy(o->bytes, data.p, data.n);
  st->events = &opening_events;
  st->user = o;
}

static void first_data(struct stream *st, struct slice data, bool fin)
{
  struct lite_session *s = st->user;
  enum lite_stream type;
  size_t n;
  if (data.n == 0 && !fin)
    return;
  if (lite_stream_open(s->version->version, !st->bidi, data, &type, &n) == 0) {
    if (fin)
      session_refuse(st, LITE_RESET_MALFORMED);
    else
      wait_for_type(s, st, data);
    return;
  }
  stream_extend(st, n);
  if (type == LITE_STREAM_UNKNOWN)
    session_refuse(st, LITE_RESET_CANCELLED);
  else
    dispatch(s, st, type, slice_from(data, n), fin);
}

static void first_reset(struct stream *st, uint64_t code)
{
  session_refuse(st, LITE_RESET_CANCELLED);
}

static const struct stream_events first_events = {.data = first_data,
                                                  .reset = first_reset,
                                                  .stopped = ignore_code,
                                                  .pull = pull_nothing,
                                                  .sent = ignore_sent,
                                                  .closed = ignore_closed};

/* ---- the transport's events ---- */

static void on_stream(struct transport *t, struct stream *st)
{
  st->events = &first_events;
  st->user = t->user;
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct lite_session *s = t->user;
  if (s->started && s->version->datagrams)
    subscribe_datagram(s, data);
}

static void on_streams(struct transport *t, bool bidi)
{
  struct lite_session *s = t->user;
  if (bidi)
    control_retry(s);
  else if (open_setup(s) == 0)
    publish_groups_retry(s);
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct lite_session *s = t->user;
  s->closing = true;
  timers_cancel(s->env->timers, &s->setup_timer);
  control_retry(s); /* lets go of requests that never got a stream */
  publish_groups_drop(s);
  subscribe_announce_close(s, by_peer && code == LITE_CLOSE_DONE);
  subscribe_prune(s, true);
  waits_destroy(s);
  setup_out_free(s->setup_out);
  s->events->on_closed(s->ctx, s, code, reason, by_peer);
  scope_destroy(&s->scope);
  free(s);
}

static const struct transport_events transport_events = {on_stream, on_datagram, on_streams, on_closed};

static void setup_timeout(struct timer *timer, uint64_t now)
{
  struct lite_session *s = container_of(timer, struct lite_session, setup_timer);
  const char *what = s->setup_seen ? "not admitted in time" : "no SETUP in time";
  log_info(s->env->log, "session %llu: %s", (unsigned long long)s->id, what);
  lite_session_close(s, s->setup_seen ? LITE_CLOSE_INTERNAL : LITE_CLOSE_CONTROL_TIMEOUT, what);
}

static struct lite_session *session_alloc(const struct lite_session_config *config, struct transport *t)
{
  struct lite_session *s = calloc(1, sizeof *s);
  if (!s)
    return NULL;
  s->env = config->env;
  s->events = config->events;
  s->ctx = config->ctx;
  s->transport = t;
  s->version = lite_info(config->version);
  s->id = config->id;
  s->legacy = config->legacy;
  s->client = t->client;
  s->peer = (struct lite_setup)LITE_SETUP_INIT;
  s->stamp = 1 + rng_below(&s->env->model->rng, (1ULL << 53) - 1);
  list_init(&s->requests);
  list_init(&s->waiting);
  list_init(&s->held);
  timer_init(&s->setup_timer, setup_timeout);
  waits_init(s);
  return s;
}

/* Our part of the setup: a stream of its own, or as a client the first move of the SETUP exchange. */
static int begin_setup(struct lite_session *s, const struct lite_session_config *config)
{
  if (s->version->setup_stream)
    return send_setup(s, config);
  return s->version->legacy_setup && s->client ? setup_legacy_open(s, config->setup_path) : 0;
}

int lite_session_new(const struct lite_session_config *config, struct transport *t, struct lite_session **ret_s)
{
  struct lite_session *s = session_alloc(config, t);
  if (!s)
    return -ENOMEM;
  int rc = begin_setup(s, config);
  if (rc < 0) {
    free(s);
    return rc;
  }
  t->events = &transport_events;
  t->user = s;
  bool waits = s->version->setup_stream || s->version->legacy_setup;
  s->setup_seen = !waits;
  timers_set(s->env->timers, &s->setup_timer, session_now(s) + s->env->limits.setup_timeout_ns);
  *ret_s = s;
  if (!waits || (s->client && !s->version->legacy_setup))
    s->events->on_setup(s->ctx, s, &(struct lite_setup_info){NULL, LITE_ROLE_BOTH});
  return 0;
}

int lite_session_start(struct lite_session *s, struct scope *scope)
{
  s->scope = *scope;
  *scope = (struct scope){0};
  if (s->closing) /* the answer to admission came too late */
    return 0;
  s->started = true;
  settle_setup(s);
  int rc = s->scope.publish_count > 0 ? subscribe_announce_open(s) : 0;
  release_held(s);
  return rc;
}
