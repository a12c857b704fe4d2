/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "viewer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_MAX 64 /* of what is gathered before it can be read: GROUP, a frame's header, a stamp */

/* A group stream. */
struct incoming {
  struct viewer *viewer;
  enum { IN_TYPE, IN_GROUP, IN_FRAME, IN_STAMP, IN_PATTERN, IN_IGNORED } state;
  uint8_t head[HEAD_MAX];
  uint8_t head_n;
  uint64_t timestamp, left; /* payload bytes to come */
  uint64_t next;            /* index of the frame to come */
  uint64_t group;
  struct stamp stamp;
  const uint8_t *pattern;
};

/* ---- what it sends: three small buffers ---- */

static size_t pull(const struct buf *b, size_t sent, struct iovec *iov, size_t max)
{
  if (max == 0 || sent >= b->n)
    return 0;
  iov[0] = (struct iovec){b->p + sent, b->n - sent};
  return 1;
}

static size_t setup_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct viewer *v = s->user;
  *ret_fin = true; /* SETUP is all that its stream carries */
  return pull(&v->setup, v->setup_sent, iov, max);
}

static void setup_sent(struct stream *s, size_t n, bool fin)
{
  ((struct viewer *)s->user)->setup_sent += n;
}

static size_t request_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct viewer *v = s->user;
  *ret_fin = false;
  return pull(&v->request, v->request_sent, iov, max);
}

static void request_sent(struct stream *s, size_t n, bool fin)
{
  ((struct viewer *)s->user)->request_sent += n;
}

static size_t announces_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct viewer *v = s->user;
  *ret_fin = false;
  return pull(&v->announces, v->announces_sent, iov, max);
}

static void announces_sent(struct stream *s, size_t n, bool fin)
{
  ((struct viewer *)s->user)->announces_sent += n;
}

static void ignore_data(struct stream *s, struct slice data, bool fin)
{
  stream_extend(s, data.n);
}

static void ignore_code(struct stream *s, uint64_t code) {}
static void ignore_closed(struct stream *s) {}

static size_t pull_nothing(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  *ret_fin = false;
  return 0;
}

static void ignore_sent(struct stream *s, size_t n, bool fin) {}

static void refused(struct stream *s, uint64_t code)
{
  struct viewer *v = s->user;
  if (atomic_load(&v->crowd->shared->phase) < PHASE_DRAIN)
    fprintf(stderr, "fanout: SUBSCRIBE was refused: %s\n", lite_reset_name(code));
}

static const struct stream_events setup_events = {ignore_data, ignore_code, ignore_code,  setup_pull,
                                                  setup_sent,  NULL,        ignore_closed};
static const struct stream_events request_events = {ignore_data,  refused, ignore_code,  request_pull,
                                                    request_sent, NULL,    ignore_closed};
static const struct stream_events announces_events = {ignore_data,    ignore_code, ignore_code,  announces_pull,
                                                      announces_sent, NULL,        ignore_closed};
static const struct stream_events ignored_events = {ignore_data, ignore_code, ignore_code,  pull_nothing,
                                                    ignore_sent, NULL,        ignore_closed};

/* ---- frames ---- */

static void count_frame(struct incoming *in)
{
  struct viewer *v = in->viewer;
  struct crowd_stats *st = v->crowd->stats;
  if (!v->watching) {
    v->watching = true;
    v->first = in->group + (in->next > 0);
    atomic_fetch_add_explicit(&st->watching, 1, memory_order_relaxed);
  }
  in->next++;
  atomic_fetch_add_explicit(&st->frames, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&st->bytes, in->stamp.size, memory_order_relaxed);
  uint64_t now = clock_now(&v->crowd->worker.clock);
  if (atomic_load_explicit(&v->crowd->shared->phase, memory_order_relaxed) == PHASE_RUN)
    histogram_add(&st->latency, now > in->stamp.sent ? now - in->stamp.sent : 0);
}

static void bad(struct stream *s, struct incoming *in)
{
  atomic_fetch_add(&in->viewer->crowd->stats->bad, 1);
  in->state = IN_IGNORED;
  stream_stop(s, LITE_RESET_CANCELLED);
}

/* Gathers up to `want` bytes at the front of what is being read; returns how many it took. */
static size_t gather(struct incoming *in, struct slice data, size_t want)
{
  size_t n = want - in->head_n < data.n ? want - in->head_n : data.n;
  memcpy(in->head + in->head_n, data.p, n);
  in->head_n = (uint8_t)(in->head_n + n);
  return n;
}

static size_t read_type(struct stream *s, struct incoming *in, struct slice data)
{
  enum lite_stream type;
  size_t n, took = gather(in, data, 8);
  if (lite_stream_open(in->viewer->version, true, slice_of(in->head, in->head_n), &type, &n) == 0)
    return took;
  size_t used = took - (in->head_n - n);
  in->head_n = 0;
  in->state = type == LITE_STREAM_GROUP ? IN_GROUP : IN_IGNORED;
  return used;
}

static size_t read_group(struct stream *s, struct incoming *in, struct slice data)
{
  struct lite_reader reader;
  struct lite_raw raw;
  union lite_body body;
  enum lite_version v = in->viewer->version;
  size_t took = gather(in, data, HEAD_MAX);
  lite_reader_init(&reader, v, LITE_STREAM_GROUP, LITE_OPENER, HEAD_MAX);
  int rc = lite_reader_next(&reader, slice_of(in->head, in->head_n), &raw);
  if (rc == 0 && in->head_n < HEAD_MAX)
    return took;
  if (rc != 1 || lite_decode(v, LITE_GROUP, raw.body, &body) < 0) {
    bad(s, in);
    return data.n;
  }
  size_t used = took - (in->head_n - raw.n);
  in->head_n = 0;
  in->next = body.group.frame_start;
  in->state = IN_FRAME;
  return used;
}

static size_t read_frame(struct stream *s, struct incoming *in, struct slice data)
{
  struct lite_frame frame;
  size_t took = gather(in, data, LITE_FRAME_HEADER_MAX);
  int n = lite_frame_read(in->viewer->version, slice_of(in->head, in->head_n), in->timestamp, &frame);
  if (n == 0)
    return took;
  if (n < 0 || frame.size < sizeof(struct stamp)) {
    bad(s, in);
    return data.n;
  }
  size_t used = took - (in->head_n - (size_t)n);
  in->head_n = 0;
  in->timestamp = frame.timestamp;
  in->left = frame.size;
  in->state = IN_STAMP;
  return used;
}

static size_t read_stamp(struct stream *s, struct incoming *in, struct slice data)
{
  size_t took = gather(in, data, sizeof in->stamp);
  in->left -= took;
  if (in->head_n < sizeof in->stamp)
    return took;
  memcpy(&in->stamp, in->head, sizeof in->stamp);
  in->head_n = 0;
  if (in->stamp.magic != STAMP_MAGIC || in->stamp.index != in->next || in->stamp.size != in->left + sizeof in->stamp ||
      (in->next > 0 && in->stamp.group != in->group)) {
    bad(s, in);
    return took;
  }
  in->group = in->stamp.group;
  in->pattern = pattern_at(in->group, in->next);
  in->state = IN_PATTERN;
  return took;
}

static size_t read_pattern(struct stream *s, struct incoming *in, struct slice data)
{
  size_t n = in->left < data.n ? (size_t)in->left : data.n;
  if (memcmp(data.p, in->pattern, n) != 0) {
    bad(s, in);
    return data.n;
  }
  in->pattern += n;
  in->left -= n;
  if (in->left > 0)
    return n;
  count_frame(in);
  in->state = IN_FRAME;
  return n;
}

static size_t read_nothing(struct stream *s, struct incoming *in, struct slice data)
{
  return data.n;
}

static size_t (*const readers[])(struct stream *, struct incoming *, struct slice) = {
    [IN_TYPE] = read_type,   [IN_GROUP] = read_group,     [IN_FRAME] = read_frame,
    [IN_STAMP] = read_stamp, [IN_PATTERN] = read_pattern, [IN_IGNORED] = read_nothing,
};

static void whole(struct incoming *in)
{
  struct viewer *v = in->viewer;
  atomic_fetch_add_explicit(&v->crowd->stats->groups_whole, 1, memory_order_relaxed);
  if (in->group >= v->first)
    v->groups_whole++;
  if (in->group > v->last)
    v->last = in->group;
}

static void in_data(struct stream *s, struct slice data, bool fin)
{
  struct incoming *in = s->user;
  stream_extend(s, data.n);
  while (data.n > 0)
    data = slice_from(data, readers[in->state](s, in, data));
  if (!fin || in->state == IN_IGNORED)
    return;
  if (in->state == IN_FRAME && in->head_n == 0 && in->next > 0)
    whole(in);
  else
    bad(s, in);
}

static void in_reset(struct stream *s, uint64_t code)
{
  struct incoming *in = s->user;
  if (in->state != IN_IGNORED)
    atomic_fetch_add(&in->viewer->crowd->stats->groups_reset, 1);
}

static void in_closed(struct stream *s)
{
  free(s->user);
}

static const struct stream_events in_events = {in_data,     in_reset, ignore_code, pull_nothing,
                                               ignore_sent, NULL,     in_closed};

/* ---- the session ---- */

/* A relay may ask what we announce: nothing. */
static void asked_data(struct stream *s, struct slice data, bool fin)
{
  struct viewer *v = s->user;
  enum lite_stream type;
  size_t n;
  stream_extend(s, data.n);
  if (v->announces.n > 0 || data.n == 0 || lite_stream_open(v->version, false, data, &type, &n) == 0)
    return;
  if (type != LITE_STREAM_ANNOUNCE ||
      lite_encode(v->version, LITE_ANNOUNCE_OK, &(union lite_body){0}, &v->announces) < 0) {
    s->events = &ignored_events;
    stream_reset(s, LITE_RESET_CANCELLED);
    return;
  }
  s->events = &announces_events;
  stream_wake(s);
}

static const struct stream_events asked_events = {asked_data,  ignore_code, ignore_code,  pull_nothing,
                                                  ignore_sent, NULL,        ignore_closed};

static void on_stream(struct transport *t, struct stream *s)
{
  struct viewer *v = t->user;
  if (s->bidi) {
    s->events = &asked_events;
    s->user = v;
    return;
  }
  struct incoming *in = calloc(1, sizeof *in);
  if (!in) {
    s->events = &ignored_events;
    stream_stop(s, LITE_RESET_INTERNAL);
    return;
  }
  in->viewer = v;
  s->events = &in_events;
  s->user = in;
}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct viewer *v = t->user;
  v->transport = NULL;
  if (atomic_load(&v->crowd->shared->phase) < PHASE_LEAVE) {
    fprintf(stderr, "fanout: a viewer lost its connection, %s: code %#llx%s%.*s\n",
            by_peer ? "closed by the relay" : "by us", (unsigned long long)code, reason.n ? ": " : "",
            SLICE_FMT(reason));
    atomic_fetch_add(&v->crowd->stats->lost, 1);
  }
}

static const struct transport_events events = {.on_stream = on_stream, .on_closed = on_closed};

static int send_setup(struct viewer *v, bool quic)
{
  struct stream *s;
  struct lite_setup setup = LITE_SETUP_INIT;
  setup.role = LITE_ROLE_SUBSCRIBER;
  if (quic)
    setup.path = slice_str(v->crowd->path);
  int rc = lite_stream_begin(v->version, LITE_STREAM_SETUP, &v->setup);
  if (rc == 0)
    rc = lite_encode(v->version, LITE_SETUP, &(union lite_body){.setup = setup}, &v->setup);
  if (rc == 0)
    rc = transport_open(v->transport, false, &setup_events, v, ORDER_CONTROL, &s);
  if (rc == 0)
    stream_wake(s);
  return rc;
}

static int subscribe(struct viewer *v)
{
  struct stream *s;
  struct lite_subscribe m = {
      .broadcast = slice_str(v->crowd->options->broadcast), .track = slice_str("load"), .want = LITE_WANT_INIT};
  m.want.priority = 100;
  m.want.max_age = v->crowd->options->max_age_ms;
  int rc = lite_stream_begin(v->version, LITE_STREAM_SUBSCRIBE, &v->request);
  if (rc == 0)
    rc = lite_encode(v->version, LITE_SUBSCRIBE, &(union lite_body){.subscribe = m}, &v->request);
  if (rc == 0)
    rc = transport_open(v->transport, true, &request_events, v, ORDER_CONTROL, &s);
  if (rc == 0)
    stream_wake(s);
  return rc;
}

void viewer_start(struct viewer *v, struct transport *t, bool quic)
{
  v->transport = t;
  t->events = &events;
  t->user = v;
  if (!lite_from_alpn(slice_str(t->protocol), &v->version)) {
    transport_close(t, LITE_CLOSE_VERSION, "no common version");
    return;
  }
  int rc = send_setup(v, quic);
  if (rc == 0 && !v->crowd->options->idle)
    rc = subscribe(v);
  if (rc < 0) {
    transport_close(t, LITE_CLOSE_INTERNAL, "");
    return;
  }
  atomic_fetch_add(&v->crowd->stats->up, 1);
}

uint64_t viewer_missing(const struct viewer *v, uint64_t published)
{
  if (!v->watching)
    return published;
  uint64_t expected = published > v->first ? published - v->first : 0;
  return expected > v->groups_whole ? expected - v->groups_whole : 0;
}

void viewer_destroy(struct viewer *v)
{
  buf_destroy(&v->setup);
  buf_destroy(&v->request);
  buf_destroy(&v->announces);
}
