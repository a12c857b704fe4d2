/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SETUP on streams of its own, each way (05 and later). */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

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

void setup_out_free(struct setup_out *o)
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

static const struct stream_events setup_out_events = {.data = quiet_data,
                                                      .reset = quiet_code,
                                                      .stopped = quiet_code,
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
int setup_open(struct lite_session *s)
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
    rc = setup_open(s);
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
void setup_settle(struct lite_session *s)
{
  if (s->setup_seen && s->started)
    timers_cancel(s->env->timers, &s->setup_timer);
}

void session_is_set_up(struct lite_session *s, struct slice authorization)
{
  s->setup_seen = true;
  s->events->on_setup(s->ctx, s, &(struct lite_setup_info){.role = LITE_ROLE_BOTH, .authorization = authorization});
  setup_settle(s);
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
    s->events->on_setup(s->ctx, s, &(struct lite_setup_info){.path = path, .role = (enum lite_role)setup->role});
  free(path);
  setup_settle(s);
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
                                                     .stopped = quiet_code,
                                                     .pull = quiet_pull,
                                                     .sent = quiet_sent,
                                                     .closed = setup_in_closed};

void setup_accept(struct lite_session *s, struct stream *st)
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

void setup_timeout(struct timer *timer, uint64_t now)
{
  struct lite_session *s = container_of(timer, struct lite_session, setup_timer);
  if (s->setup_ended) {
    lite_session_close(s, LITE_CLOSE_DONE, "");
    return;
  }
  const char *what = s->setup_seen ? "not admitted in time" : "no SETUP in time";
  log_info(s->env->log, "session %llu: %s", (unsigned long long)s->id, what);
  lite_session_close(s, s->setup_seen ? LITE_CLOSE_INTERNAL : LITE_CLOSE_CONTROL_TIMEOUT, what);
}

/* Our part of the setup: a stream of its own, or as a client the first move of the SETUP exchange. */
int setup_begin(struct lite_session *s, const struct lite_session_config *config)
{
  if (s->version->setup_stream)
    return send_setup(s, config);
  return s->version->legacy_setup && s->client ? setup_legacy_open(s, config->setup_path) : 0;
}
