/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/webtransport_impl.h"
#include <stdlib.h>

/* ---- handing over ---- */

/* A session may refuse a stream from inside on_stream. What we hold of it must then not be
 * delivered, and QUIC cannot tell us: to it the peer's direction may have ended already. So for
 * that moment the ops are ours. */
static struct h3_stream *handing(struct stream *s)
{
  return ((struct wt_session *)s->transport)->conn->handing;
}

static void hand_wake(struct stream *s)
{
  handing(s)->real_ops->wake(s);
}

static void hand_reset(struct stream *s, uint64_t code)
{
  handing(s)->real_ops->reset(s, code);
}

static void hand_stop(struct stream *s, uint64_t code)
{
  handing(s)->stopped_by_session = true;
  handing(s)->real_ops->stop(s, code);
}

static void hand_extend(struct stream *s, size_t n)
{
  handing(s)->real_ops->extend(s, n);
}

static void hand_set_order(struct stream *s, struct send_order order)
{
  handing(s)->real_ops->set_order(s, order);
}

static const struct stream_ops handing_ops = {hand_wake, hand_reset, hand_stop, hand_extend, hand_set_order};

static void announce(struct h3_stream *h, struct wt_session *session)
{
  struct stream *s = h->s;
  h->real_ops = s->ops;
  s->ops = &handing_ops;
  s->transport = &session->t;
  s->events = &h3_ignored_events;
  s->user = NULL;
  h->conn->handing = h;
  session->t.events->on_stream(&session->t, s);
  h->conn->handing = NULL;
  s->ops = h->real_ops;
}

/* Tells the session what its new stream has brought. */
static void deliver(struct h3_stream *h, struct wt_session *session, struct slice in, bool fin)
{
  struct stream *s = h->s;
  if (session->state != WT_OPEN && !h->is_ghost)
    wt_session_orphan(session, s);
  if (session->state != WT_OPEN)
    return;
  if (h->stopped)
    s->events->stopped(s, h->stop_code);
  if (!h->stopped_by_session && (in.n > 0 || fin))
    s->events->data(s, in, fin);
}

/* Gives the stream to the session, with what follows the prefix. h is gone afterwards. */
static void hand_over(struct h3_stream *h, struct slice in, bool fin)
{
  struct wt_session *session = h->conn->session;
  announce(h, session);
  deliver(h, session, in, fin);
  if (h->is_ghost)
    h->s->events->closed(h->s);
  h3_stream_free(h);
}

static void hand_over_waiting(struct wt_conn *c, struct h3_stream *h)
{
  struct wt_session *s = c->session;
  if (s->state != WT_OPEN)
    h3_refuse(h, WT_SESSION_GONE);
  else if (h->session_id != s->id)
    h3_refuse(h, WT_BUFFERED_STREAM_REJECTED);
  else
    hand_over(h, buf_slice(&h->in), h->fin);
}

/* ---- ghosts ---- */

static void ghost_wake(struct stream *s) {}

static void ghost_code(struct stream *s, uint64_t code) {}

static void ghost_extend(struct stream *s, size_t n) {}

static void ghost_set_order(struct stream *s, struct send_order order) {}

static const struct stream_ops ghost_ops = {ghost_wake, ghost_code, ghost_code, ghost_extend, ghost_set_order};

bool wt_wait_closed(struct h3_stream *h)
{
  if (h->kind != H3_KIND_WAITING || !h->fin || h->conn->failed)
    return false;
  h->ghost = *h->s;
  h->ghost.ops = &ghost_ops;
  h->s = &h->ghost;
  h->is_ghost = true;
  return true;
}

/* ---- datagrams ---- */

static void datagram_free(struct wt_conn *c, struct wt_datagram *d)
{
  c->datagram_count--;
  c->waiting_bytes -= d->n;
  list_remove(&d->link);
  free(d);
}

static void deliver_datagram(struct wt_session *s, uint64_t session_id, struct slice payload)
{
  if (s->state == WT_OPEN && s->id == session_id && s->t.events->on_datagram)
    s->t.events->on_datagram(&s->t, payload);
}

static void hand_over_datagrams(struct wt_conn *c)
{
  while (!list_empty(&c->datagrams)) {
    struct wt_datagram *d = container_of(c->datagrams.next, struct wt_datagram, link);
    deliver_datagram(c->session, d->session_id, slice_of(d->bytes, d->n));
    datagram_free(c, d);
  }
}

/* ---- waiting ---- */

static void arm(struct wt_conn *c)
{
  if (!timer_armed(&c->waiting_timer))
    timers_set(&c->worker->timers, &c->waiting_timer, c->worker->now + WT_WAITING_NS);
}

static bool session_is_up(const struct wt_conn *c)
{
  return c->session && c->session->state >= WT_OPEN;
}

static bool fits(const struct wt_conn *c, size_t n)
{
  return n <= WT_WAITING_BYTES_MAX - c->waiting_bytes;
}

void wt_wait_data(struct h3_stream *h, struct slice in, bool fin)
{
  struct wt_conn *c = h->conn;
  if (!fits(c, in.n)) {
    h3_refuse(h, WT_BUFFERED_STREAM_REJECTED);
    return;
  }
  size_t before = h->in.n;
  buf_bytes(&h->in, in);
  c->waiting_bytes += h->in.n - before;
  h->fin |= fin;
  if (h->in.failed)
    h3_refuse(h, WT_BUFFERED_STREAM_REJECTED);
}

static void wait_for_session(struct h3_stream *h, struct slice in, bool fin)
{
  struct wt_conn *c = h->conn;
  if (c->counts[H3_KIND_WAITING] >= WT_WAITING_STREAMS_MAX) {
    h3_refuse(h, WT_BUFFERED_STREAM_REJECTED);
    return;
  }
  h3_set_kind(h, H3_KIND_WAITING);
  arm(c);
  wt_wait_data(h, in, fin);
}

void wt_wait_stream(struct h3_stream *h, struct slice in, bool fin)
{
  struct wt_conn *c = h->conn;
  if (!session_is_up(c))
    wait_for_session(h, in, fin);
  else if (c->session->state == WT_OPEN && c->session->id == h->session_id)
    hand_over(h, in, fin);
  else
    h3_refuse(h, c->session->state == WT_OPEN ? WT_BUFFERED_STREAM_REJECTED : WT_SESSION_GONE);
}

void wt_wait_datagram(struct wt_conn *c, uint64_t session_id, struct slice payload)
{
  if (session_is_up(c)) {
    deliver_datagram(c->session, session_id, payload);
    return;
  }
  if (c->datagram_count >= WT_WAITING_DATAGRAMS_MAX || !fits(c, payload.n))
    return;
  struct wt_datagram *d = malloc(sizeof *d + payload.n);
  if (!d)
    return;
  *d = (struct wt_datagram){.session_id = session_id, .n = payload.n};
  if (payload.n > 0)
    memcpy(d->bytes, payload.p, payload.n);
  list_append(&c->datagrams, &d->link);
  c->datagram_count++;
  c->waiting_bytes += payload.n;
  arm(c);
}

void wt_hand_over(struct wt_conn *c)
{
  timers_cancel(&c->worker->timers, &c->waiting_timer);
  list_for_each_safe (it, tmp, &c->streams) {
    struct h3_stream *h = container_of(it, struct h3_stream, link);
    if (h->kind == H3_KIND_WAITING)
      hand_over_waiting(c, h);
  }
  hand_over_datagrams(c);
}

void wt_wait_end(struct wt_conn *c, uint64_t wire_code)
{
  timers_cancel(&c->worker->timers, &c->waiting_timer);
  list_for_each_safe (it, tmp, &c->streams) {
    struct h3_stream *h = container_of(it, struct h3_stream, link);
    if (h->kind == H3_KIND_WAITING)
      h3_refuse(h, wire_code);
  }
  while (!list_empty(&c->datagrams))
    datagram_free(c, container_of(c->datagrams.next, struct wt_datagram, link));
}

void wt_wait_on_timeout(struct timer *t, uint64_t now)
{
  wt_wait_end(container_of(t, struct wt_conn, waiting_timer), WT_BUFFERED_STREAM_REJECTED);
}
