/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Receives groups: a GROUP message and frames on a unidirectional stream become a group of the track that the
 * subscription is for. Payload goes from the packet into the group's chunks as it arrives. */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

#define GROUP_MESSAGE_MAX 40 /* a length and three varints */

struct in_group {
  struct lite_session *session;
  struct stream *stream;
  struct list link;    /* in upstream->groups */
  struct wait wait;    /* for the rest of GROUP */
  struct group *group; /* a reference; NULL until GROUP has come */
  struct frame_parser parser;
  struct pressure_wait pressure;
  size_t owed; /* flow-control credit that waits for room in the cache */
  uint8_t head[GROUP_MESSAGE_MAX];
  uint8_t head_n;
  bool over; /* ended, refused or cut: only `closed` is to come */
};

/* ---- frames ---- */

static int object_error(int rc, uint64_t *ret_code)
{
  *ret_code = rc == -EFBIG      ? LITE_RESET_FRAME_TOO_LARGE
              : rc == -EMSGSIZE ? LITE_RESET_GROUP_TOO_LARGE
              : rc == -EPIPE    ? LITE_RESET_EVICTED
              : rc == -EPROTO   ? LITE_RESET_MALFORMED
                                : LITE_RESET_INTERNAL;
  return rc;
}

/* Reads a frame header that may have begun in earlier data. Returns the bytes of `data` it took, or a negative error;
 * *ret_ready when the header is complete and its object has begun. */
static int take_header(struct frame_parser *p, const struct lite_session *s, struct group *g, struct slice data,
                       bool *ret_ready, uint64_t *ret_code)
{
  struct lite_frame f;
  size_t add = sizeof p->head - p->head_n < data.n ? sizeof p->head - p->head_n : data.n;
  memcpy(p->head + p->head_n, data.p, add);
  int n = lite_frame_read(s->version->version, slice_of(p->head, p->head_n + add), p->timestamp, &f);
  if (n < 0) {
    *ret_code = LITE_RESET_TIMESTAMP;
    return n;
  }
  if (n == 0) {
    p->head_n = (uint8_t)(p->head_n + add);
    return (int)add;
  }
  /* A version without timestamps: the time of arrival, in the milliseconds of the assumed timescale. */
  uint64_t timestamp = s->version->timestamps ? f.timestamp : clock_wall_us(&s->env->clock) / 1000;
  int used = n - p->head_n, rc = group_object(g, 0, p->next_id++, timestamp, f.size, 0, slice_of(NULL, 0));
  p->head_n = 0;
  p->timestamp = timestamp;
  p->left = f.size;
  *ret_ready = true;
  return rc < 0 ? object_error(rc, ret_code) : used;
}

static int take_payload(struct frame_parser *p, struct group *g, struct slice data, uint64_t *ret_code)
{
  size_t n = p->left < data.n ? (size_t)p->left : data.n;
  int rc = group_append(g, 0, slice_of(data.p, n));
  if (rc < 0)
    return object_error(rc, ret_code);
  p->left -= n;
  return (int)n;
}

int frame_parser_feed(struct frame_parser *p, const struct lite_session *s, struct group *g, struct slice data,
                      uint64_t *ret_code)
{
  while (data.n > 0) {
    bool ready;
    int n = p->left > 0 ? take_payload(p, g, data, ret_code) : take_header(p, s, g, data, &ready, ret_code);
    if (n < 0)
      return n;
    data = slice_from(data, (size_t)n);
  }
  return 0;
}

/* ---- the stream ---- */

static void stop(struct stream *st, struct in_group *in, uint64_t code)
{
  log_debug(in->session->env->log, "session %llu: group stream %llu refused: %s", (unsigned long long)in->session->id,
            (unsigned long long)st->id, lite_reset_name(code));
  in->over = true;
  list_remove(&in->link);
  wait_end(&in->wait);
  pressure_wait_cancel(&in->pressure);
  stream_stop(st, code);
}

static void pressure_over(struct pressure_wait *w)
{
  struct in_group *in = container_of(w, struct in_group, pressure);
  size_t owed = in->owed;
  in->owed = 0;
  stream_extend(in->stream, owed);
}

/* Credit for n more bytes; it waits while live edges fill the cache. */
static void give_credit(struct in_group *in, size_t n, bool fin)
{
  struct model *m = in->session->env->model;
  if (!in->group || in->over || fin || !group_pressed(in->group)) {
    stream_extend(in->stream, n);
    return;
  }
  in->owed += n;
  model_wait_pressure(m, &in->pressure, session_now(in->session));
}

static void expired(struct wait *w)
{
  struct in_group *in = container_of(w, struct in_group, wait);
  session_limit(in->session, LIMIT_MESSAGE_TIMEOUT);
  stop(in->stream, in, LITE_RESET_CONTROL_TIMEOUT);
}

/* The group that GROUP names: found or refused. */
static void begin(struct stream *st, struct in_group *in, const struct lite_group *m)
{
  struct lite_session *s = in->session;
  struct upstream *u = subscribe_find(s, m->subscribe_id);
  if (!u || m->frame_start != 0) { /* we never ask for a part */
    stop(st, in, LITE_RESET_CANCELLED);
    return;
  }
  int rc = track_group(u->track, m->sequence, session_now(s), &in->group);
  u = subscribe_find(s, m->subscribe_id); /* the track may have ended over it */
  if (u)
    subscribe_counted(u);
  else if (rc == 0)
    group_cut(in->group, LITE_RESET_CANCELLED);
  if (rc < 0 || !u) {
    stop(st, in, rc == -ENOMEM ? LITE_RESET_INTERNAL : LITE_RESET_OLD);
    return;
  }
  list_append(&u->groups, &in->link);
  if (m->sequence >= u->next_sequence)
    u->next_sequence = m->sequence + 1;
  log_trace(s->env->log, "session %llu: group %llu of id %llu begins", (unsigned long long)s->id,
            (unsigned long long)m->sequence, (unsigned long long)m->subscribe_id);
}

/* Gathers the GROUP message; returns the bytes of `data` it took. */
static size_t take_group(struct stream *st, struct in_group *in, struct slice data)
{
  struct lite_session *s = in->session;
  struct lite_reader reader;
  struct lite_raw raw;
  union lite_body body;
  size_t had = in->head_n, add = sizeof in->head - had < data.n ? sizeof in->head - had : data.n;
  if (add > 0)
    memcpy(in->head + had, data.p, add);
  lite_reader_init(&reader, s->version->version, LITE_STREAM_GROUP, LITE_OPENER, GROUP_MESSAGE_MAX);
  int rc = lite_reader_next(&reader, slice_of(in->head, had + add), &raw);
  if (rc == 0 && had + add < sizeof in->head) {
    in->head_n = (uint8_t)(had + add);
    wait_begin(s, &in->wait);
    return add;
  }
  if (rc != 1 || lite_decode(s->version->version, LITE_GROUP, raw.body, &body) < 0) {
    stop(st, in, LITE_RESET_MALFORMED);
    return data.n;
  }
  wait_end(&in->wait);
  begin(st, in, &body.group);
  return raw.n - had;
}

static void finish(struct stream *st, struct in_group *in)
{
  if (!in->group) {
    stop(st, in, LITE_RESET_MALFORMED);
    return;
  }
  in->over = true;
  list_remove(&in->link);
  if (frame_parser_whole(&in->parser))
    group_finish(in->group);
  else
    group_cut(in->group, LITE_RESET_MALFORMED);
}

static void in_group_data(struct stream *st, struct slice data, bool fin)
{
  struct in_group *in = st->user;
  uint64_t code = 0;
  give_credit(in, data.n, fin);
  if (!in->over && !in->group)
    data = slice_from(data, take_group(st, in, data));
  if (in->over)
    return;
  if (in->group && frame_parser_feed(&in->parser, in->session, in->group, data, &code) < 0) {
    group_cut(in->group, code);
    stop(st, in, code);
    return;
  }
  if (fin)
    finish(st, in);
}

static void in_group_reset(struct stream *st, uint64_t code)
{
  struct in_group *in = st->user;
  if (in->over)
    return;
  in->over = true;
  list_remove(&in->link);
  wait_end(&in->wait);
  pressure_wait_cancel(&in->pressure);
  if (in->group)
    group_cut(in->group, lite_reset_relayed(code));
}

static void in_group_closed(struct stream *st)
{
  struct in_group *in = st->user;
  if (!in->over && in->group)
    group_cut(in->group, LITE_RESET_SESSION_CLOSED);
  list_remove(&in->link);
  wait_end(&in->wait);
  pressure_wait_cancel(&in->pressure);
  group_unref(in->group);
  free(in);
}

static const struct stream_events in_group_events = {.data = in_group_data,
                                                     .reset = in_group_reset,
                                                     .stopped = quiet_code,
                                                     .pull = quiet_pull,
                                                     .sent = quiet_sent,
                                                     .closed = in_group_closed};

void subscribe_group_accept(struct lite_session *s, struct stream *stream, struct slice data, bool fin)
{
  struct in_group *in = calloc(1, sizeof *in);
  if (!in || s->closing) {
    free(in);
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  in->session = s;
  in->stream = stream;
  in->wait.expired = expired;
  list_init(&in->wait.link);
  list_init(&in->pressure.link);
  in->pressure.over = pressure_over;
  list_init(&in->link);
  stream->events = &in_group_events;
  stream->user = in;
  in_group_data(stream, data, fin);
}

void subscribe_groups_cancel(struct upstream *u, uint64_t code)
{
  list_for_each_safe (it, tmp, &u->groups) {
    struct in_group *in = container_of(it, struct in_group, link);
    stop(in->stream, in, code);
    group_cut(in->group, code);
  }
}

void subscribe_datagram(struct lite_session *s, struct slice data)
{
  struct lite_datagram d;
  if (lite_datagram_decode(s->version->version, data, &d) < 0)
    return;
  struct upstream *u = subscribe_find(s, d.subscribe_id);
  if (u)
    (void)track_datagram(u->track, d.sequence, d.timestamp, d.payload, session_now(s)); /* lost, as datagrams are */
}
