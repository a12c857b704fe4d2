/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "session/lite/internal.h"
#include <errno.h>

static const struct stream_events control_events;

static void expired(struct wait *w);

static void control_init(struct control *c, struct lite_session *s, enum lite_stream type, enum lite_side peer,
                         const struct control_ops *ops)
{
  c->session = s;
  c->ops = ops;
  c->order = ORDER_CONTROL;
  c->wait.expired = expired;
  list_init(&c->wait.link);
  lite_reader_init(&c->reader, s->version->version, type, peer, s->env->limits.message_bytes);
  sendq_init(&c->out, s->env->limits.queue_bytes);
}

void control_accept(struct control *c, struct lite_session *s, struct stream *stream, enum lite_stream type,
                    const struct control_ops *ops)
{
  control_init(c, s, type, LITE_OPENER, ops);
  c->stream = stream;
  stream->events = &control_events;
  stream->user = c;
  list_append(&s->requests, &c->link);
  s->request_count[c->ours]++;
  session_count_request(s, type, 1);
  if (!ops->no_request)
    wait_begin(s, &c->wait);
}

static int put(struct control *c, struct slice bytes)
{
  struct lite_session *s = c->session;
  bool full = bytes.n + s->queued > s->env->limits.session_queue_bytes;
  int rc = full ? -ENOBUFS : sendq_put(&c->out, bytes);
  if (rc == 0)
    s->queued += bytes.n;
  if (rc == -ENOBUFS)
    session_limit(s, full ? LIMIT_SESSION_QUEUE_BYTES : LIMIT_QUEUE_BYTES);
  return rc;
}

/* -EAGAIN leaves it waiting. */
static int open_stream(struct control *c)
{
  struct lite_session *s = c->session;
  int rc = transport_open(s->transport, true, &control_events, c, c->order, &c->stream);
  if (rc < 0)
    return rc;
  list_remove(&c->link);
  list_append(&s->requests, &c->link);
  wait_end(&c->wait);
  if (c->ops->answered)
    wait_begin(s, &c->wait);
  stream_wake(c->stream);
  return 0;
}

int control_open(struct control *c, struct lite_session *s, enum lite_stream type, const struct control_ops *ops)
{
  struct buf begin = {0};
  if (s->request_count[true] >= s->env->limits.requests) {
    session_limit(s, LIMIT_SUBSCRIPTIONS);
    return -EUSERS;
  }
  control_init(c, s, type, LITE_ACCEPTOR, ops);
  c->ours = true;
  int rc = lite_stream_begin(s->version->version, type, &begin);
  if (rc == 0)
    rc = put(c, buf_slice(&begin));
  buf_destroy(&begin);
  if (rc < 0)
    return rc;
  list_append(&s->waiting, &c->link);
  rc = open_stream(c);
  if (rc < 0 && rc != -EAGAIN) {
    list_remove(&c->link);
    s->queued -= c->out.held;
    sendq_destroy(&c->out);
    return rc;
  }
  s->request_count[c->ours]++;
  if (!c->stream)
    wait_begin(s, &c->wait);
  return 0;
}

static void gone(struct control *c)
{
  list_remove(&c->link);
  wait_end(&c->wait);
  c->session->request_count[c->ours]--;
  if (!c->ours)
    session_count_request(c->session, c->reader.stream, -1);
  (void)session_keep(c->session, &c->kept, 0);
  c->session->queued -= c->out.held;
  buf_destroy(&c->in);
  sendq_destroy(&c->out);
  c->stream = NULL;
  c->ops->gone(c);
}

void control_retry(struct lite_session *s)
{
  list_for_each_safe (it, tmp, &s->waiting) {
    struct control *c = container_of(it, struct control, link);
    if (c->deaf || s->closing) {
      gone(c);
      continue;
    }
    int rc = open_stream(c);
    if (rc == -EAGAIN)
      return;
    if (rc < 0) {
      c->deaf = true;
      c->ops->reset(c, CODE_INTERNAL);
      gone(c);
    }
  }
}

/* The owner hears of it as of a reset by the peer. */
static void give_up(struct control *c, uint64_t code)
{
  control_abort(c, code);
  c->ops->reset(c, code);
}

static void expired(struct wait *w)
{
  struct control *c = container_of(w, struct control, wait);
  if (!c->deaf) {
    log_debug(c->session->env->log, "session %llu: %s stream: %s", (unsigned long long)c->session->id, c->ops->name,
              c->stream ? "the peer does not go on" : "the peer allows no stream");
    session_limit(c->session, LIMIT_MESSAGE_TIMEOUT);
    give_up(c, LITE_RESET_CONTROL_TIMEOUT);
  }
  if (!c->stream)
    gone(c);
}

void control_send_bytes(struct control *c, struct slice bytes)
{
  if (c->deaf)
    return;
  int rc = put(c, bytes);
  if (rc < 0) {
    log_warn(c->session->env->log, "session %llu: %s stream given up: %s", (unsigned long long)c->session->id,
             c->ops->name, rc == -ENOBUFS ? "the peer does not read" : "out of memory");
    control_abort(c, rc == -ENOBUFS ? LITE_RESET_OVER_LIMIT : LITE_RESET_INTERNAL);
    return;
  }
  if (c->stream)
    stream_wake(c->stream);
}

void control_send(struct control *c, enum lite_msg m, const union lite_body *body)
{
  struct buf b = {0};
  log_trace(c->session->env->log, "session %llu: %s stream: sending %s", (unsigned long long)c->session->id,
            c->ops->name, lite_msg_name(m));
  if (lite_encode(c->session->version->version, m, body, &b) == 0)
    control_send_bytes(c, buf_slice(&b));
  else
    control_abort(c, LITE_RESET_INTERNAL);
  buf_destroy(&b);
}

void control_fin(struct control *c)
{
  sendq_fin(&c->out);
  if (c->stream)
    stream_wake(c->stream);
}

void control_abort(struct control *c, uint64_t code)
{
  log_trace(c->session->env->log, "session %llu: %s stream: resetting: %s", (unsigned long long)c->session->id,
            c->ops->name, lite_reset_name(code));
  c->deaf = true;
  if (!c->stream)
    return; /* control_retry or its wait lets it go */
  wait_end(&c->wait);
  stream_reset(c->stream, code);
  stream_stop(c->stream, code);
}

/* Hands out whole messages; returns the bytes used. */
static size_t messages(struct control *c, struct slice in)
{
  size_t used = 0;
  while (!c->deaf) {
    struct lite_raw raw;
    if (c->ops->frames && lite_reader_frames(&c->reader))
      break;
    int rc = lite_reader_next(&c->reader, slice_from(in, used), &raw);
    if (rc == 0)
      break;
    if (rc < 0) {
      log_debug(c->session->env->log, "session %llu: malformed %s message", (unsigned long long)c->session->id,
                c->ops->name);
      if (rc == -EMSGSIZE)
        session_limit(c->session, LIMIT_MESSAGE_BYTES);
      give_up(c, LITE_RESET_MALFORMED);
      break;
    }
    used += raw.n;
    log_trace(c->session->env->log, "session %llu: %s stream %llu: received %s (%zu bytes)",
              (unsigned long long)c->session->id, c->ops->name, (unsigned long long)c->stream->id,
              lite_msg_name(raw.msg), raw.n);
    if (raw.msg != LITE_UNKNOWN)
      c->ops->message(c, &raw);
  }
  return used;
}

/* Keeps what is left of a message for later. */
static void keep(struct control *c, struct slice rest)
{
  buf_bytes(&c->in, rest);
  if (c->in.failed)
    control_abort(c, LITE_RESET_INTERNAL);
}

static void take(struct control *c, struct slice data)
{
  if (c->in.n == 0) {
    size_t used = messages(c, data);
    if (!c->deaf)
      keep(c, slice_from(data, used));
    return;
  }
  keep(c, data);
  size_t used = c->deaf ? 0 : messages(c, buf_slice(&c->in));
  if (used == 0 || c->deaf)
    return;
  struct buf whole = c->in; /* as large as the longest message so far, and no limit counts what it could hold */
  c->in = (struct buf){0};
  if (used < whole.n)
    keep(c, slice_from(buf_slice(&whole), used));
  buf_destroy(&whole);
}

static void take_frames(struct control *c, struct slice data, bool fin)
{
  struct buf kept = c->in;
  c->in = (struct buf){0};
  if (kept.n > 0)
    c->ops->frames(c, buf_slice(&kept), false);
  buf_destroy(&kept);
  if (!c->deaf)
    c->ops->frames(c, data, fin);
}

/* Whether the peer has begun a message, or owes its request. */
static bool incomplete(const struct control *c)
{
  bool asked = c->reader.side == LITE_ACCEPTOR || c->reader.started || c->ops->no_request;
  return c->in.n > 0 || !asked;
}

static void feed_messages(struct control *c, struct slice data, bool fin)
{
  take(c, data);
  if (c->deaf)
    return;
  if (!incomplete(c))
    wait_end(&c->wait);
  else if (!fin)
    wait_begin(c->session, &c->wait);
  else
    give_up(c, LITE_RESET_MALFORMED);
  if (fin && !c->deaf)
    c->ops->fin(c);
}

void control_feed(struct control *c, struct slice data, bool fin)
{
  if (fin)
    c->peer_ended = true;
  if (c->deaf)
    return;
  if (c->ops->frames && lite_reader_frames(&c->reader)) {
    wait_end(&c->wait);
    take_frames(c, data, fin);
    if (c->ours && !c->deaf && !fin) /* an answer that was begun has to go on */
      wait_begin(c->session, &c->wait);
  } else {
    feed_messages(c, data, fin);
  }
  if (!session_keep(c->session, &c->kept, c->in.n) && !c->deaf)
    give_up(c, LITE_RESET_OVER_LIMIT);
  if (c->deaf) { /* nobody waits for the rest */
    buf_destroy(&c->in);
    (void)session_keep(c->session, &c->kept, 0);
  }
}

static void on_data(struct stream *st, struct slice data, bool fin)
{
  stream_extend(st, data.n);
  control_feed(st->user, data, fin);
}

static void on_reset(struct stream *st, uint64_t code)
{
  struct control *c = st->user;
  c->peer_ended = true;
  log_trace(c->session->env->log, "session %llu: %s stream %llu: reset by the peer: %s",
            (unsigned long long)c->session->id, c->ops->name, (unsigned long long)st->id, lite_reset_name(code));
  if (!c->deaf)
    c->ops->reset(c, lite_reset_relayed(code));
}

static void on_stopped(struct stream *st, uint64_t code)
{
  struct control *c = st->user;
  if (!c->deaf && c->ops->stopped)
    c->ops->stopped(c, lite_reset_relayed(code));
}

static size_t on_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct control *c = st->user;
  size_t n = sendq_pull(&c->out, iov, max, ret_fin);
  if (!c->body || n == max || *ret_fin)
    return n;
  size_t more = 0;
  if (reader_pull(c->body, iov + n, max - n, &more, ret_fin) < 0)
    return n;
  return n + more;
}

static void on_sent(struct stream *st, size_t n, bool fin)
{
  struct control *c = st->user;
  n -= sendq_sent(&c->out, n, fin);
  if (n == 0 || !c->body)
    return;
  reader_take(c->body, n);
  if (reader_cut(c->body))
    c->body->wake(c->body); /* its owner gives up */
}

static void on_acked(struct stream *st, size_t n)
{
  struct control *c = st->user;
  c->session->queued -= c->out.held;
  sendq_acked(&c->out, n);
  c->session->queued += c->out.held;
  if (c->ops->drained && !c->deaf)
    c->ops->drained(c);
}

static void on_closed(struct stream *st)
{
  gone(st->user);
}

static const struct stream_events control_events = {on_data, on_reset, on_stopped, on_pull,
                                                    on_sent, on_acked, on_closed};
