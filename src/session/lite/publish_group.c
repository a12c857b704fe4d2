/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Serves SUBSCRIBE: a viewer's subscription, and its groups, each on a stream of its own.
 *
 *     struct publish_sub   one SUBSCRIBE stream (control) and the model's sub
 *     struct out_group     one group on its way: the stream's header is its own, the rest are the group's bytes
 *
 * An out_group holds a reference to its group until its stream is closed or reset, since retransmissions read the bytes
 * again. The publish_sub lives until its control stream and all its out_groups are gone. */
#include "session/lite/internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define GROUP_HEADER_MAX 40 /* stream type, GROUP message */
#define REORDER_INTERVAL                                                                                               \
  (100 * NS_PER_MS) /* at least that between two changes of priority: each touches every group under way */

struct publish_sub {
  struct control control;
  struct sub sub;
  struct info_waiter exists; /* in versions with SUBSCRIBE_OK */
  struct list groups;        /* struct out_group.own, by age */
  struct list late;          /* those that newer ones overtake */
  uint64_t id;
  uint64_t order;   /* among the session's subscriptions */
  uint64_t final;   /* with `ending` */
  uint64_t streams; /* that were opened for groups */
  uint32_t waiting; /* groups that have no stream yet */
  struct timer reorder_timer;
  uint64_t reordered_at; /* ns, 0 = never */
  bool requested, start_sent, ended, gone;
  bool ending;        /* SUBSCRIBE_END is still to come */
  bool fin_when_done; /* FIN follows the last group */
};

struct out_group {
  struct publish_sub *owner; /* never NULL */
  struct list own;           /* in owner->groups */
  struct heap_node queue;    /* in session->outgoing while it has no stream */
  struct delivery *delivery; /* NULL once given up or done */
  struct group *group;       /* a reference */
  struct stream *stream;     /* NULL while waiting */
  struct send_order order;
  uint8_t head[GROUP_HEADER_MAX];
  uint8_t head_n, head_sent;
  uint64_t begun; /* ns, when its first byte left; 0 = not yet */
  bool late;      /* in owner->late */
};

static struct publish_sub *sub_of(struct control *c)
{
  return container_of(c, struct publish_sub, control);
}

/* ---- framings ---- */

static size_t header_as(enum lite_version v, const struct object *o, const struct object *prev, uint8_t *out)
{
  int n = lite_frame_header(v, prev ? prev->timestamp : 0, o->timestamp, o->size, out);
  assert(n > 0); /* all of it is bounded where it comes in */
  return (size_t)n;
}

static size_t header_timestamps(const struct object *o, const struct object *prev, uint8_t *out)
{
  return header_as(LITE_05, o, prev, out);
}

static size_t header_plain(const struct object *o, const struct object *prev, uint8_t *out)
{
  return header_as(LITE_01, o, prev, out);
}

static size_t header_ones(const struct object *o, const struct object *prev, uint8_t *out)
{
  return header_as(LITE_07, o, prev, out);
}

const struct framing *lite_framing(const struct lite_version_info *version)
{
  static const struct {
    bool timestamps;
    const struct varint_form *ints;
    struct framing framing;
  } rows[] = {
      {true, &varint_quic, {0, header_timestamps}},
      {false, &varint_quic, {1, header_plain}},
      {true, &varint_ones, {2, header_ones}},
  };
  size_t i = 0;
  while (rows[i].timestamps != version->timestamps || rows[i].ints != version->ints) {
    i++;
    assert(i < sizeof rows / sizeof *rows);
  }
  return &rows[i].framing;
}

/* ---- the end of things ---- */

static void maybe_free(struct publish_sub *p)
{
  if (!p->gone || !list_empty(&p->groups) || !list_empty(&p->late))
    return;
  info_wait_cancel(&p->exists);
  timers_cancel(p->control.session->env->timers, &p->reorder_timer);
  sub_close(&p->sub, session_now(p->control.session));
  free(p);
}

/* The track has ended. Where SUBSCRIBE_END counts streams, each group has to have one first, or to have been given up. */
static void tell_end(struct publish_sub *p)
{
  const struct lite_version_info *version = p->control.session->version;
  if (!p->ending || (version->stream_count && p->waiting > 0))
    return;
  p->ending = false;
  if (!version->subscribe_ok)
    control_send(&p->control, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {p->final, p->streams}});
}

static void unqueue(struct out_group *g)
{
  if (!heap_has(&g->queue))
    return;
  heap_remove(&g->owner->control.session->outgoing, &g->queue);
  g->owner->waiting--;
}

/* Until the peer allows another stream; its age is watched by the model meanwhile. */
static void queue(struct out_group *g)
{
  g->queue.major = g->order.major;
  g->queue.minor = g->order.minor;
  heap_insert(&g->owner->control.session->outgoing, &g->queue);
  g->owner->waiting++;
}

static void out_group_free(struct out_group *g)
{
  struct publish_sub *p = g->owner;
  if (g->delivery)
    delivery_done(g->delivery);
  list_remove(&g->own);
  unqueue(g);
  p->control.session->group_count--;
  group_unref(g->group);
  free(g);
  tell_end(p);
  if (p->fin_when_done && list_empty(&p->groups) && list_empty(&p->late)) {
    p->fin_when_done = false;
    control_fin(&p->control);
  }
  maybe_free(p);
}

/* Nothing more of it will be sent, nor read again: its bytes need not wait for a peer that never lets the stream close. */
static void release(struct out_group *g)
{
  g->delivery = NULL;
  group_unref(g->group);
  g->group = NULL;
  list_remove(&g->own);
  list_append(&g->owner->late, &g->own);
}

/* Gives a group up: its stream is reset, or it never gets one. */
static void out_group_drop(struct out_group *g, uint64_t code)
{
  g->delivery = NULL;
  if (!g->stream) {
    out_group_free(g);
    return;
  }
  stream_reset(g->stream, code);
  if (g->group)
    release(g);
}

/* ---- a group's stream ---- */

static size_t group_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct out_group *g = st->user;
  size_t n = 0, more = 0;
  *ret_fin = false;
  if (!g->delivery || max == 0)
    return 0;
  if (g->head_sent < g->head_n)
    iov[n++] = (struct iovec){g->head + g->head_sent, (size_t)(g->head_n - g->head_sent)};
  if (reader_pull(&g->delivery->reader, iov + n, max - n, &more, ret_fin) < 0)
    *ret_fin = false;
  return n + more;
}

static void cut_if_drained(struct out_group *g)
{
  if (!g->delivery || !reader_cut(&g->delivery->reader))
    return;
  struct delivery *d = g->delivery;
  uint64_t code = g->group->code;
  g->delivery = NULL;
  delivery_done(d);
  log_debug(g->owner->control.session->env->log, "session %llu: group %llu of id %llu was cut: %s",
            (unsigned long long)g->owner->control.session->id, (unsigned long long)g->group->sequence,
            (unsigned long long)g->owner->id, lite_reset_name(code));
  out_group_drop(g, lite_reset_relayed(code));
}

static void group_sent(struct stream *st, size_t n, bool fin)
{
  struct out_group *g = st->user;
  size_t head = (size_t)(g->head_n - g->head_sent);
  head = head < n ? head : n;
  g->head_sent = (uint8_t)(g->head_sent + head);
  if (g->begun == 0)
    g->begun = session_now(g->owner->control.session);
  if (!g->delivery)
    return;
  reader_take(&g->delivery->reader, n - head);
  cut_if_drained(g);
}

static void group_stopped(struct stream *st, uint64_t code)
{
  struct out_group *g = st->user;
  if (!g->delivery)
    return;
  log_debug(g->owner->control.session->env->log, "session %llu: group %llu of id %llu refused by the viewer: %s",
            (unsigned long long)g->owner->control.session->id, (unsigned long long)g->group->sequence,
            (unsigned long long)g->owner->id, lite_reset_name(code));
  delivery_done(g->delivery);
  release(g);
}

static void group_closed(struct stream *st)
{
  out_group_free(st->user);
}

static void group_data(struct stream *st, struct slice data, bool fin) {}

static void group_reset(struct stream *st, uint64_t code) {}

static const struct stream_events group_events = {.data = group_data,
                                                  .reset = group_reset,
                                                  .stopped = group_stopped,
                                                  .pull = group_pull,
                                                  .sent = group_sent,
                                                  .closed = group_closed};

/* Higher priority first, then the older subscription, then its groups in order, so that a viewer that keeps up has the
 * tail of one before the head of the next; deployed readers skip a group that the next one overtook. A group that has
 * not begun when a newer one has been there for OVERTAKE_AFTER gives way: congestion should cost the past. One that has
 * begun gives way when it is older than the viewer wants any group to be, but not before OVERTAKE_AFTER; counted from
 * its first byte when it began late. Else all groups would begin on a link that is too slow for them, and none end. */
#define OVERTAKE_AFTER (250 * NS_PER_MS)
#define ORDER_LATE (1ULL << 63)

static struct send_order group_order(const struct publish_sub *p, const struct out_group *g)
{
  uint64_t major = (uint64_t)(256 - p->sub.params.priority) << 48 | (p->order & ((1ULL << 48) - 1));
  return (struct send_order){major, g->late ? ORDER_LATE | (ORDER_LATE - 1 - g->group->sequence) : g->group->sequence};
}

static void reorder(struct out_group *g)
{
  if (!g->group)
    return;
  g->order = group_order(g->owner, g);
  if (g->stream) {
    stream_set_order(g->stream, g->order);
  } else if (heap_has(&g->queue)) {
    unqueue(g);
    queue(g);
  }
}

static uint64_t patience(const struct out_group *g)
{
  uint64_t max_age_ms = g->owner->sub.params.max_age_ms;
  if (g->begun == 0 || max_age_ms <= OVERTAKE_AFTER / NS_PER_MS)
    return OVERTAKE_AFTER;
  return max_age_ms < UINT64_MAX / NS_PER_MS ? max_age_ms * NS_PER_MS : UINT64_MAX;
}

static bool had_its_time(const struct out_group *g, uint64_t now)
{
  uint64_t superseded = g->group->superseded, since = g->begun > superseded ? g->begun : superseded;
  return superseded > 0 && now - since >= patience(g);
}

/* Lets newer groups overtake those that have had their time. */
static void find_late(struct publish_sub *p, uint64_t now)
{
  if (p->sub.params.oldest_first)
    return;
  list_for_each_safe (it, tmp, &p->groups) {
    struct out_group *g = container_of(it, struct out_group, own);
    if (had_its_time(g, now)) {
      g->late = true;
      list_remove(&g->own);
      list_append(&p->late, &g->own);
      reorder(g);
    } else if (g->begun == 0) {
      return; /* those after it are newer */
    }
  }
}

static bool sending(const struct publish_sub *p)
{
  return !list_empty(&p->groups) || !list_empty(&p->late);
}

static int encode_head(struct out_group *g, uint64_t first_object)
{
  enum lite_version v = g->owner->control.session->version->version;
  union lite_body body = {.group = {g->owner->id, g->group->sequence, first_object}};
  struct buf b = {0};
  int rc = lite_stream_begin(v, LITE_STREAM_GROUP, &b);
  if (rc == 0)
    rc = lite_encode(v, LITE_GROUP, &body, &b);
  if (rc == 0) {
    assert(b.n <= GROUP_HEADER_MAX);
    memcpy(g->head, b.p, b.n);
    g->head_n = (uint8_t)b.n;
  }
  buf_destroy(&b);
  return rc;
}

/* -EAGAIN: the peer allows no more streams. */
static int out_group_open(struct out_group *g)
{
  struct lite_session *s = g->owner->control.session;
  int rc = transport_open(s->transport, false, &group_events, g, g->order, &g->stream);
  if (rc < 0)
    return rc;
  unqueue(g);
  g->owner->streams++;
  tell_end(g->owner);
  stream_wake(g->stream);
  return 0;
}

static struct out_group *next_queued(const struct lite_session *s)
{
  return s->outgoing.top ? container_of(s->outgoing.top, struct out_group, queue) : NULL;
}

void publish_groups_retry(struct lite_session *s)
{
  struct out_group *g;
  while (!s->closing && (g = next_queued(s)) != NULL) {
    int rc = out_group_open(g);
    if (rc == -EAGAIN)
      return;
    if (rc < 0)
      out_group_free(g);
  }
}

void publish_groups_drop(struct lite_session *s)
{
  struct out_group *g;
  while ((g = next_queued(s)) != NULL)
    out_group_free(g);
}

/* The oldest that has not been given up. */
static struct out_group *first_given(const struct list *groups)
{
  list_for_each (it, groups) {
    struct out_group *g = container_of(it, struct out_group, own);
    if (g->delivery)
      return g;
  }
  return NULL;
}

/* Room for one more group of p: when there is none its own oldest is given up. A stream that was reset is there until the
 * peer has heard of it: as many of these again are allowed. */
static bool make_room(struct publish_sub *p)
{
  struct lite_session *s = p->control.session;
  if (s->group_count < s->env->limits.groups)
    return true;
  session_limit(s, LIMIT_GROUPS);
  if (s->group_count / 2 >= s->env->limits.groups)
    return false;
  struct out_group *oldest = first_given(&p->late);
  if (!oldest)
    oldest = first_given(&p->groups);
  if (!oldest)
    return false;
  log_debug(s->env->log, "session %llu: too many groups under way (limits.groups = %u)", (unsigned long long)s->id,
            s->env->limits.groups);
  delivery_done(oldest->delivery);
  out_group_drop(oldest, LITE_RESET_TOO_FAR_BEHIND);
  return true;
}

/* ---- the model's events ---- */

static void send_start(struct publish_sub *p, uint64_t sequence)
{
  struct lite_session *s = p->control.session;
  if (p->start_sent || p->gone || s->version->subscribe_ok)
    return;
  p->start_sent = true;
  control_send(&p->control, LITE_SUBSCRIBE_START, &(union lite_body){.subscribe_start = {sequence}});
}

static struct out_group *out_group_new(struct publish_sub *p, struct delivery *d)
{
  struct out_group *g = calloc(1, sizeof *g);
  if (!g)
    return NULL;
  g->owner = p;
  g->delivery = d;
  g->group = group_ref(d->reader.group);
  g->order = group_order(p, g);
  list_append(&p->groups, &g->own);
  p->control.session->group_count++;
  if (encode_head(g, d->first_object) < 0) {
    g->delivery = NULL;
    out_group_free(g);
    return NULL;
  }
  return g;
}

static void on_group(struct sub *sub, struct delivery *d)
{
  struct publish_sub *p = sub->user;
  struct lite_session *s = p->control.session;
  struct out_group *g = s->closing || p->gone || !make_room(p) ? NULL : out_group_new(p, d);
  if (!g) {
    delivery_done(d);
    return;
  }
  d->user = g;
  log_trace(s->env->log, "session %llu: sending group %llu of id %llu", (unsigned long long)s->id,
            (unsigned long long)g->group->sequence, (unsigned long long)p->id);
  probe_wake(s);
  find_late(p, session_now(s));
  send_start(p, g->group->sequence);
  int rc = out_group_open(g);
  if (rc == -EAGAIN)
    queue(g);
  else if (rc < 0)
    out_group_free(g);
}

static void on_wake(struct delivery *d)
{
  struct out_group *g = d->user;
  if (!g || !g->stream)
    return;
  stream_wake(g->stream);
  cut_if_drained(g);
}

static void on_drop(struct delivery *d, uint64_t code)
{
  struct out_group *g = d->user;
  if (!g)
    return;
  log_debug(g->owner->control.session->env->log, "session %llu: group %llu of id %llu given up: %s",
            (unsigned long long)g->owner->control.session->id, (unsigned long long)g->group->sequence,
            (unsigned long long)g->owner->id, lite_reset_name(code));
  out_group_drop(g, code);
}

static void on_datagram(struct sub *sub, uint64_t sequence, uint64_t timestamp, struct slice payload)
{
  struct publish_sub *p = sub->user;
  struct lite_session *s = p->control.session;
  struct lite_datagram d = {p->id, sequence, timestamp, payload};
  uint8_t head[LITE_DATAGRAM_HEADER_MAX];
  int n = s->closing ? -ENOTCONN : lite_datagram_header(s->version->version, &d, head);
  if (n < 0)
    return;
  struct iovec iov[2] = {{head, (size_t)n}, {(void *)(uintptr_t)payload.p, payload.n}};
  (void)s->transport->ops->send_datagram(s->transport, iov,
                                         2); /* what does not fit or cannot go is lost, as datagrams are */
}

static void on_end(struct sub *sub, bool finished, uint64_t final, uint64_t code)
{
  struct publish_sub *p = sub->user;
  if (p->ended || p->gone)
    return;
  p->ended = true;
  if (!finished) {
    control_abort(&p->control, code);
    return;
  }
  p->ending = true;
  p->final = final;
  tell_end(p);
  p->fin_when_done = sending(p);
  if (!p->fin_when_done)
    control_fin(&p->control);
}

static const struct sub_ops model_ops = {on_group, on_wake, on_drop, on_datagram, on_end};

/* ---- the SUBSCRIBE stream ---- */

static struct sub_params params_of(const struct lite_session *s, const struct lite_want *w)
{
  /* 01 and 02 cannot name a start: the newest group. */
  bool latest = !s->version->max_age || (s->version->group_start_latest && w->group_start == LITE_NONE);
  return (struct sub_params){
      .priority = w->priority,
      .oldest_first = w->ordered != 0,
      .from_latest = latest,
      .look_back = !latest && (s->version->group_start_latest || w->group_start > 0),
      .max_age_ms = w->max_age,
      .group_start = w->group_start == LITE_NONE ? 0 : w->group_start,
      .group_end = w->group_end,
      .frame_start = w->frame_start,
      .frame_end = w->frame_end,
  };
}

/* In versions with SUBSCRIBE_OK it tells that the track exists, and is the first message. */
static void track_exists(struct info_waiter *w, const struct track_info *info, uint64_t code)
{
  struct publish_sub *p = container_of(w, struct publish_sub, exists);
  if (!info) {
    control_abort(&p->control, code);
    return;
  }
  union lite_body body = {
      .subscribe_ok = {.priority = p->sub.params.priority, .group_start = LITE_NONE, .group_end = LITE_NONE}};
  control_send(&p->control, LITE_SUBSCRIBE_OK, &body);
}

static void subscribe(struct publish_sub *p, const struct lite_subscribe *m)
{
  struct lite_session *s = p->control.session;
  uint64_t code = 0;
  struct track *t = publish_find(s, m->broadcast, m->track, &code);
  if (!t) {
    log_debug(s->env->log, "session %llu: cannot subscribe broadcast=%.*s track=%.*s: %s", (unsigned long long)s->id,
              SLICE_FMT(m->broadcast), SLICE_FMT(m->track), lite_reset_name(code));
    control_abort(&p->control, code);
    return;
  }
  p->id = m->id;
  p->order = ++s->subscribe_order;
  struct sub_params params = params_of(s, &m->want);
  int rc = sub_open(&p->sub, t, &params, lite_framing(s->version), &model_ops, p, session_now(s));
  if (rc == 0)
    sub_reached_through(&p->sub, publish_hop(s));
  if (rc == 0 && s->version->subscribe_ok)
    track_wait_info(t, &p->exists, session_now(s));
  track_unref(t);
  if (rc < 0) {
    control_abort(&p->control, rc == -EUSERS ? LITE_RESET_OVER_LIMIT : LITE_RESET_INTERNAL);
    return;
  }
  log_debug(s->env->log, "session %llu: subscribe broadcast=%.*s track=%.*s id=%llu", (unsigned long long)s->id,
            SLICE_FMT(m->broadcast), SLICE_FMT(m->track), (unsigned long long)m->id);
}

static void reorder_all(struct timer *t, uint64_t now)
{
  struct publish_sub *p = container_of(t, struct publish_sub, reorder_timer);
  p->reordered_at = now;
  list_for_each (it, &p->groups)
    reorder(container_of(it, struct out_group, own));
  list_for_each (it, &p->late)
    reorder(container_of(it, struct out_group, own));
}

/* The viewer's mind may change with every few bytes it sends, and what follows from that is much. */
static void reorder_soon(struct publish_sub *p)
{
  struct lite_session *s = p->control.session;
  uint64_t now = session_now(s), at = p->reordered_at + REORDER_INTERVAL;
  if (timer_armed(&p->reorder_timer))
    return;
  if (p->reordered_at == 0 || at <= now)
    reorder_all(&p->reorder_timer, now);
  else
    timers_set(s->env->timers, &p->reorder_timer, at);
}

static void update(struct publish_sub *p, const struct lite_want *want)
{
  struct sub_params params = params_of(p->control.session, want);
  if (!p->sub.track || p->ended)
    return;
  bool reordered = params.priority != p->sub.params.priority;
  sub_update(&p->sub, &params, session_now(p->control.session));
  if (reordered)
    reorder_soon(p);
}

static void leave(struct publish_sub *p);

static void subscribe_message(struct control *c, const struct lite_raw *raw)
{
  struct publish_sub *p = sub_of(c);
  union lite_body body;
  enum lite_msg want = p->requested ? LITE_SUBSCRIBE_UPDATE : LITE_SUBSCRIBE;
  if (raw->msg != want || lite_decode(c->session->version->version, want, raw->body, &body) < 0) {
    control_abort(c, LITE_RESET_MALFORMED);
    if (!p->ended)
      leave(p);
    return;
  }
  if (p->requested) {
    update(p, &body.subscribe_update.want);
    return;
  }
  p->requested = true;
  subscribe(p, &body.subscribe);
}

static void drop_all(struct list *groups)
{
  list_for_each_safe (it, tmp, groups)
    out_group_drop(container_of(it, struct out_group, own), LITE_RESET_CANCELLED);
}

/* The viewer leaves: nothing more is for it. */
static void leave(struct publish_sub *p)
{
  p->ended = true;
  p->ending = false;
  p->fin_when_done = false;
  info_wait_cancel(&p->exists);
  sub_close(&p->sub, session_now(p->control.session));
  drop_all(&p->groups);
  drop_all(&p->late);
}

static void subscribe_fin(struct control *c)
{
  struct publish_sub *p = sub_of(c);
  if (!p->ended)
    leave(p);
  if (!p->fin_when_done)
    control_fin(c);
}

static void subscribe_reset(struct control *c, uint64_t code)
{
  struct publish_sub *p = sub_of(c);
  if (!p->ended)
    leave(p);
  control_abort(c, LITE_RESET_CANCELLED);
}

static void subscribe_gone(struct control *c)
{
  struct publish_sub *p = sub_of(c);
  if (!p->ended)
    leave(p);
  p->gone = true;
  p->ending = false;
  p->fin_when_done = false;
  maybe_free(p);
}

static const struct control_ops subscribe_ops = {.name = "subscribe",
                                                 .message = subscribe_message,
                                                 .fin = subscribe_fin,
                                                 .reset = subscribe_reset,
                                                 .stopped = subscribe_reset,
                                                 .gone = subscribe_gone};

void publish_subscribe_accept(struct lite_session *s, struct stream *stream)
{
  struct publish_sub *p = calloc(1, sizeof *p);
  if (!p) {
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  list_init(&p->groups);
  list_init(&p->late);
  list_init(&p->exists.link);
  p->exists.done = track_exists;
  timer_init(&p->reorder_timer, reorder_all);
  control_accept(&p->control, s, stream, LITE_STREAM_SUBSCRIBE, &subscribe_ops);
}
