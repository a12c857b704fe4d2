/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "world.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static size_t header(const struct object *o, const struct object *prev, uint8_t *out)
{
  int64_t delta = (int64_t)(o->timestamp - (prev ? prev->timestamp : 0));
  size_t n = varint_write(out, ((uint64_t)delta << 1) ^ (uint64_t)(delta >> 63));
  return n + varint_write(out + n, o->size);
}

static size_t plain_header(const struct object *o, const struct object *prev, uint8_t *out)
{
  (void)prev;
  return varint_write(out, o->size);
}

const struct framing world_framing = {0, header};
const struct framing world_plain = {1, plain_header};

static void defer(void *ctx)
{
  ((struct world *)ctx)->deferred++;
}

void world_init(struct world *w, size_t cache)
{
  *w = (struct world){.now = NS_PER_S, .seed = 1};
  model_init(&w->model, &w->timers, rng_seeded(&w->seed), cache, defer, w);
  w->origin = origin_new(&w->model);
  assert_non_null(w->origin);
}

void world_destroy(struct world *w)
{
  world_pass(w, 20000);
  assert_int_equal(w->model.broadcasts_now, 0);
  assert_int_equal(w->model.subs_now, 0);
  assert_int_equal(w->model.tracks_now, 0);
  assert_int_equal(w->model.cache.used, 0);
  assert_int_equal(w->model.cache.leaving, 0);
  assert_int_equal(timers_next(&w->timers), TIMERS_NONE);
  origin_free(w->origin);
  model_destroy(&w->model);
}

void world_turn(struct world *w)
{
  for (int i = 0; w->deferred > 0 && i < 100; i++) {
    w->deferred = 0;
    model_run(&w->model, w->now);
  }
  assert_int_equal(w->deferred, 0);
}

void world_pass(struct world *w, uint64_t ms)
{
  uint64_t end = w->now + ms * NS_PER_MS;
  for (int i = 0; timers_next(&w->timers) <= end && i < 100000; i++) {
    if (timers_next(&w->timers) > w->now)
      w->now = timers_next(&w->timers);
    timers_run(&w->timers, w->now);
    world_turn(w);
  }
  assert_true(timers_next(&w->timers) > end);
  w->now = end;
  world_turn(w);
}

/* -- publisher -- */

static void on_info(void *source, struct track *t)
{
  struct publisher *p = source;
  p->infos++;
  p->track = t;
  if (!p->silent)
    track_set_info(t, &p->info, p->world->now);
}

static void on_subscribe(void *source, struct track *t, const struct sub_params *wanted)
{
  struct publisher *p = source;
  assert_false(p->watched);
  p->watched = true;
  p->subscribes++;
  p->track = t;
  p->wanted = *wanted;
  t->upstream = p;
  if (p->refuse) {
    p->watched = false;
    track_close(t, p->refuse, p->world->now);
  }
}

static void on_update(void *source, struct track *t, const struct sub_params *wanted)
{
  struct publisher *p = source;
  assert_ptr_equal(t->upstream, p);
  p->updates++;
  p->wanted = *wanted;
}

static void on_unsubscribe(void *source, struct track *t)
{
  struct publisher *p = source;
  assert_ptr_equal(t->upstream, p);
  assert_true(p->watched);
  p->watched = false;
  p->unsubscribes++;
  if (p->stopped)
    p->stopped(p);
}

static int on_fetch(void *source, struct track *t, uint64_t sequence)
{
  struct publisher *p = source;
  p->fetches++;
  p->track = t;
  p->fetched = sequence;
  return p->no_fetch ? -ENOTSUP : 0;
}

const struct source_ops world_source = {on_info, on_subscribe, on_update, on_unsubscribe, on_fetch, false};
static const struct source_ops world_parting_source = {on_info,        on_subscribe, on_update,
                                                       on_unsubscribe, on_fetch,     true};

struct route_info world_local(void)
{
  return (struct route_info){.local = true, .warm = 1, .cold = 1};
}

static void start(struct publisher *p, struct world *w, const char *path, const struct source_ops *ops)
{
  struct route_info info = world_local();
  *p = (struct publisher){.world = w, .parts = ops->parts, .info = {.timescale = 1000, .max_age_ms = 5000}};
  assert_int_equal(route_add(w->origin, slice_str(path), &info, ops, p, w->now, &p->route), 0);
}

void publisher_start(struct publisher *p, struct world *w, const char *path)
{
  start(p, w, path, &world_source);
}

void publisher_start_parting(struct publisher *p, struct world *w, const char *path)
{
  start(p, w, path, &world_parting_source);
}

void publisher_stop(struct publisher *p, bool clean)
{
  route_remove(p->route, clean, p->world->now);
  p->route = NULL;
  p->watched = clean && p->parts && p->watched;
}

struct group *begin(struct publisher *p, uint64_t sequence)
{
  struct group *g = NULL;
  assert_int_equal(track_group(p->track, sequence, p->world->now, &g), 0);
  return g;
}

void frame(struct group *g, const char *text)
{
  uint64_t id = group_objects(g, 0);
  assert_int_equal(group_object(g, 0, id, 100 * id, strlen(text), 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_str(text)), 0);
}

void finish(struct group *g)
{
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
}

void whole(struct publisher *p, uint64_t sequence, const char *text)
{
  struct group *g = begin(p, sequence);
  frame(g, text);
  finish(g);
}

/* -- viewer -- */

struct stream {
  struct seen *seen;
  uint8_t bytes[1024];
  size_t n;
};

/* Turns the bytes of a stream back into text. */
static void parse(struct stream *s)
{
  size_t at = 0, out = 0;
  s->seen->text[0] = '\0';
  while (at < s->n) {
    uint64_t delta = 0, size = 0;
    size_t a = varint_read(s->bytes + at, s->n - at, &delta);
    size_t b = a ? varint_read(s->bytes + at + a, s->n - at - a, &size) : 0;
    if (b == 0 || size > s->n - at - a - b)
      return;
    at += a + b;
    assert_true(out + size + 2 < sizeof s->seen->text);
    memcpy(s->seen->text + out, s->bytes + at, size);
    out += size;
    at += size;
    s->seen->text[out++] = ' ';
    s->seen->text[out] = '\0';
  }
}

/* True when the delivery is over. */
static bool pull(struct delivery *d)
{
  struct stream *s = d->user;
  struct iovec iov[3];
  size_t n;
  bool fin = false;
  for (int i = 0; i < 10000; i++) {
    assert_int_equal(reader_pull(&d->reader, iov, 3, &n, &fin), 0);
    if (n == 0)
      break;
    size_t first = iov[0].iov_len > 7 ? 7 : iov[0].iov_len; /* little at a time */
    assert_true(s->n + first <= sizeof s->bytes);
    memcpy(s->bytes + s->n, iov[0].iov_base, first);
    s->n += first;
    reader_take(&d->reader, first);
  }
  s->seen->fin = fin;
  s->seen->cut = reader_cut(&d->reader);
  s->seen->code = s->seen->cut ? d->reader.group->code : 0;
  parse(s);
  return fin || s->seen->cut;
}

static void go_on(struct viewer *v, struct delivery *d)
{
  if (v->stalled || !pull(d) || v->holding)
    return;
  free(d->user);
  delivery_done(d);
}

static void on_group(struct sub *sub, struct delivery *d)
{
  struct viewer *v = sub->user;
  assert_true(v->groups < VIEWER_GROUPS);
  struct stream *s = calloc(1, sizeof *s);
  s->seen = &v->seen[v->groups++];
  *s->seen = (struct seen){.sequence = d->reader.group->sequence};
  d->user = s;
  if (v->close_on_group) {
    viewer_leave(v);
    return;
  }
  go_on(v, d);
}

static void on_wake(struct delivery *d)
{
  struct viewer *v = d->sub->user;
  v->wakes++;
  go_on(v, d);
}

static void on_drop(struct delivery *d, uint64_t code)
{
  struct viewer *v = d->sub->user;
  struct stream *s = d->user;
  s->seen->dropped = true;
  s->seen->code = code;
  v->drops++;
  v->drop_code = code;
  free(s);
  if (v->close_on_drop)
    viewer_leave(v);
}

static void on_datagram(struct sub *sub, uint64_t sequence, uint64_t timestamp, struct slice payload)
{
  struct viewer *v = sub->user;
  (void)timestamp, (void)payload;
  v->datagrams++;
  v->datagram = sequence;
}

static void on_end(struct sub *sub, bool finished, uint64_t final, uint64_t code)
{
  struct viewer *v = sub->user;
  v->ends++;
  v->finished = finished;
  v->final = final;
  v->end_code = code;
}

static const struct sub_ops viewer_ops = {on_group, on_wake, on_drop, on_datagram, on_end};

struct sub_params world_params(void)
{
  return (struct sub_params){.from_latest = true, .group_end = UINT64_MAX, .frame_end = UINT64_MAX};
}

struct track *world_track(struct world *w, const char *path, const char *name)
{
  struct broadcast *b = origin_find(w->origin, slice_str(path));
  assert_non_null(b);
  struct track *t = broadcast_track(b, slice_str(name));
  assert_non_null(t);
  return t;
}

void viewer_join(struct viewer *v, struct world *w, const char *path, const char *track, struct sub_params params)
{
  bool stalled = v->stalled, holding = v->holding, on_g = v->close_on_group, on_d = v->close_on_drop;
  *v = (struct viewer){
      .world = w, .stalled = stalled, .holding = holding, .close_on_group = on_g, .close_on_drop = on_d};
  v->track = world_track(w, path, track);
  assert_int_equal(sub_open(&v->sub, v->track, &params, &world_framing, &viewer_ops, v, w->now), 0);
}

void viewer_leave(struct viewer *v)
{
  list_for_each (it, &v->sub.deliveries)
    free(container_of(it, struct delivery, link)->user);
  sub_close(&v->sub, v->world->now);
  track_unref(v->track);
  v->track = NULL;
}

void viewer_go_on(struct viewer *v)
{
  v->stalled = v->holding = false;
  list_for_each_safe (it, tmp, &v->sub.deliveries)
    go_on(v, container_of(it, struct delivery, link));
}

const char *viewer_text(const struct viewer *v)
{
  static char text[4096];
  size_t n = 0;
  text[0] = '\0';
  for (unsigned i = 0; i < v->groups; i++) {
    const struct seen *s = &v->seen[i];
    n += (size_t)snprintf(text + n, sizeof text - n, "%llu:%s%s", (unsigned long long)s->sequence, s->text,
                          s->fin ? "|" : "");
    assert_true(n < sizeof text);
  }
  return text;
}
