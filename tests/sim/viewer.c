/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "alloc.h"
#include "run.h"
#include <stdlib.h>

/* A group's stream. */
struct incoming {
  struct watching *watching; /* NULL until GROUP has come */
  uint64_t sequence;
  uint32_t slot; /* in watching->seen */
  struct frame_check frames;
};

static struct run *run_of(const struct viewer *v)
{
  return v->peer.run;
}

static struct viewer *viewer_of(const struct peer_stream *s)
{
  return container_of(s->peer, struct viewer, peer);
}

static const struct lite_version_info *info_of(const struct viewer *v)
{
  return lite_info(v->peer.version);
}

/* -- announcements -- */

static bool below(const char *path, const char *prefix, const char **ret_suffix)
{
  size_t n = strlen(prefix);
  if (strncmp(path, prefix, n) != 0 || (n > 0 && path[n] != '/' && path[n] != '\0'))
    return false;
  *ret_suffix = path + n + (n > 0 && path[n] == '/');
  return true;
}

static int listed_path(const struct listing *l, struct slice suffix)
{
  const char *rest;
  for (int i = 0; i < PATHS; i++) {
    if (below(path_names[i], prefix_names[l->prefix], &rest) && slice_eq(suffix, slice_str(rest)))
      return i;
  }
  broken(run_of(l->viewer), &l->viewer->peer.who, "announcements are true", "\"%.*s\" was never announced",
         SLICE_FMT(suffix));
}

unsigned listing_expected(const struct listing *l, unsigned live)
{
  unsigned expected = 0;
  const char *rest;
  for (unsigned i = 0; i < PATHS; i++) {
    if (live & 1u << i && below(path_names[i], prefix_names[l->prefix], &rest))
      expected |= 1u << i;
  }
  return expected;
}

static void added(struct listing *l, struct slice suffix, bool again)
{
  struct run *r = run_of(l->viewer);
  int path = listed_path(l, suffix);
  if (l->active & 1u << path && !again)
    broken(r, &l->viewer->peer.who, "announcements are true", "%s was announced twice", path_names[path]);
  if (l->id_n == l->id_cap) {
    l->id_cap = l->id_cap ? 2 * l->id_cap : 16;
    l->ids = realloc(l->ids, l->id_cap);
    if (!l->ids)
      abort();
  }
  l->ids[l->id_n++] = (uint8_t)path;
  if (!(l->active & 1u << path))
    tell(r, &l->viewer->peer.who, EV_ADDED, (uint64_t)path, l->prefix);
  l->active |= 1u << path;
}

static void removed(struct listing *l, int path)
{
  struct run *r = run_of(l->viewer);
  if (!(l->active & 1u << path))
    broken(r, &l->viewer->peer.who, "announcements are true", "%s was unannounced twice", path_names[path]);
  l->active &= ~(1u << path);
  tell(r, &l->viewer->peer.who, EV_REMOVED, (uint64_t)path, l->prefix);
}

static void init_set(struct listing *l, const struct lite_announce_init *m)
{
  struct slice rest = m->suffixes, suffix;
  while (lite_next_string(&rest, &suffix))
    added(l, suffix, false);
}

static void announce_message(struct listing *l, enum lite_msg m, const union lite_body *body)
{
  if (m == LITE_ANNOUNCE_INIT)
    init_set(l, &body->announce_init);
  else if (m == LITE_ANNOUNCE && body->announce.status == LITE_ENDED)
    removed(l, listed_path(l, body->announce.suffix));
  else if (m == LITE_ANNOUNCE)
    added(l, body->announce.suffix, info_of(l->viewer)->announce_again);
  else if (m == LITE_ANNOUNCE_START)
    added(l, body->announce_start.suffix, false);
  else if (m == LITE_ANNOUNCE_END && body->announce_end.id < l->id_n)
    removed(l, l->ids[body->announce_end.id]);
  else if (m == LITE_ANNOUNCE_END || (m == LITE_ANNOUNCE_UPDATE && body->announce_update.id >= l->id_n))
    broken(run_of(l->viewer), &l->viewer->peer.who, "announcements are true", "an id that was not given");
}

void viewer_list(struct viewer *v, unsigned prefix)
{
  struct listing *l = calloc(1, sizeof *l);
  if (!l)
    abort();
  *l = (struct listing){.viewer = v, .prefix = prefix, .open = true};
  l->request = peer_open(&v->peer, LITE_STREAM_ANNOUNCE, l);
  if (!l->request) {
    free(l);
    return;
  }
  list_append(&v->listings, &l->link);
  tell(run_of(v), &v->peer.who, EV_LIST, prefix);
  union lite_body body = {.announce_request = {slice_str(prefix_names[prefix]), 0}};
  peer_say(l->request, LITE_ANNOUNCE_REQUEST, &body);
}

void viewer_unlist(struct viewer *v)
{
  list_for_each (it, &v->listings) {
    struct listing *l = container_of(it, struct listing, link);
    if (!l->open)
      continue;
    l->open = false;
    tell(run_of(v), &v->peer.who, EV_UNLIST, l->prefix);
    peer_fin(l->request);
    return;
  }
}

static void listing_free(struct listing *l)
{
  list_remove(&l->link);
  free(l->ids);
  free(l);
}

/* -- subscriptions -- */

static struct watching *find(struct viewer *v, uint64_t id)
{
  list_for_each (it, &v->watching) {
    struct watching *w = container_of(it, struct watching, link);
    if (w->id == id)
      return w;
  }
  broken(run_of(v), &v->peer.who, "groups are of a subscription", "a group of id %llu, which was never asked for",
         (unsigned long long)id);
}

/* At most once each. */
static uint32_t note_group(struct watching *w, uint64_t sequence)
{
  struct viewer *v = w->viewer;
  for (uint32_t i = w->seen_n; i-- > 0;) {
    if (w->seen[i].sequence == sequence)
      broken(run_of(v), &v->peer.who, "each group comes at most once", "group %llu of id %llu came twice",
             (unsigned long long)sequence, (unsigned long long)w->id);
  }
  if (w->seen_n == w->seen_cap) {
    w->seen_cap = w->seen_cap ? 2 * w->seen_cap : 64;
    w->seen = realloc(w->seen, w->seen_cap * sizeof *w->seen);
    if (!w->seen)
      abort();
  }
  w->seen[w->seen_n] = (struct seen){sequence, UINT32_MAX};
  w->resolved = true;
  return w->seen_n++;
}

/* A sending is one group to a viewer, under whatever number: unless a relay finds another way to it after publishers of that
 * path have changed elsewhere, when it cannot know that the numbers are the same. */
static bool numbers_are_known(const struct run *r, unsigned path)
{
  return r->plan.relays == 1 || (r->plan.hops_tell && r->lives[path] <= 1);
}

static void note_sending(struct watching *w, uint32_t slot, const struct sending *s)
{
  struct viewer *v = w->viewer;
  struct run *r = run_of(v);
  if (w->seen[slot].sending == s->id)
    return;
  w->seen[slot].sending = s->id;
  if (s->path != w->path || s->track != w->track)
    broken(r, &v->peer.who, "frames have their own bytes", "id %llu is of %s %s, but this is of %s %s",
           (unsigned long long)w->id, path_names[w->path], track_names[w->track], path_names[s->path],
           track_names[s->track]);
  for (uint32_t i = 0; i < w->seen_n && numbers_are_known(r, w->path); i++) {
    if (i != slot && w->seen[i].sending == s->id)
      broken(r, &v->peer.who, "each group comes at most once", "sending %u of id %llu came as group %llu and %llu",
             s->id, (unsigned long long)w->id, (unsigned long long)w->seen[i].sequence,
             (unsigned long long)w->seen[slot].sequence);
  }
}

static void note_whole(struct watching *w, const struct sending *s)
{
  if (!s)
    return;
  if (!w->last || s->begun >= w->newest) {
    w->newest = s->begun;
    w->last = s;
  }
  if (w->viewer->peer.good)
    run_of(w->viewer)->ledger.sendings[s->id]->received = true;
}

static struct frame_check new_check(const struct viewer *v)
{
  const struct run *r = run_of(v);
  return (struct frame_check){.ledger = &r->ledger, .version = v->peer.version};
}

static void group_message(struct peer_stream *s, const struct lite_group *m)
{
  struct viewer *v = viewer_of(s);
  struct run *r = run_of(v);
  struct incoming *in = s->user;
  in->watching = find(v, m->subscribe_id);
  in->sequence = m->sequence;
  in->slot = note_group(in->watching, m->sequence);
  in->frames = new_check(v);
  in->frames.index = (uint32_t)m->frame_start;
  tell(r, &v->peer.who, EV_GROUP, m->sequence, m->subscribe_id);
  if (!v->peer.good && !r->calm && roll(r, 40) == 0) {
    tell(r, &v->peer.who, EV_STOP, in->sequence, in->watching->id);
    peer_stop(s, LITE_RESET_CANCELLED);
  }
}

static void group_frames(struct peer_stream *s, struct slice data)
{
  struct viewer *v = viewer_of(s);
  struct incoming *in = s->user;
  const char *wrong = frame_check_feed(&in->frames, data);
  if (wrong)
    broken(run_of(v), &v->peer.who, "frames are whole, in order, with their own bytes", "group %llu of id %llu: %s",
           (unsigned long long)in->sequence, (unsigned long long)in->watching->id, wrong);
  if (!in->frames.sending)
    return;
  note_sending(in->watching, in->slot, in->frames.sending);
  if (v->peer.good && in->frames.sending->begun > in->watching->since)
    check_prompt(run_of(v), in->frames.sending, in->frames.index);
}

static void group_lost(struct viewer *v, struct incoming *in, uint64_t code)
{
  struct run *r = run_of(v);
  const struct sending *s = in->frames.sending;
  tell(r, &v->peer.who, EV_LOST, in->sequence, in->watching->id, in->frames.index, code);
  if (v->peer.good && !in->watching->left && !healthy_excuse(r, s, code))
    broken(r, &v->peer.who, "a fault of one costs no other", "the healthy viewer lost group %llu: %s",
           (unsigned long long)in->sequence, lite_reset_name(code));
}

static void group_over(struct peer_stream *s, bool reset, uint64_t code)
{
  struct viewer *v = viewer_of(s);
  struct incoming *in = s->user;
  if (!in->watching)
    return;
  if (reset) {
    group_lost(v, in, code);
    return;
  }
  const char *wrong = frame_check_end(&in->frames);
  if (wrong)
    broken(run_of(v), &v->peer.who, "frames are whole, in order, with their own bytes", "group %llu of id %llu: %s",
           (unsigned long long)in->sequence, (unsigned long long)in->watching->id, wrong);
  tell(run_of(v), &v->peer.who, EV_GOT, in->sequence, in->watching->id,
       in->frames.sending ? in->frames.sending->id : UINT32_MAX, in->frames.index);
  run_of(v)->got++;
  note_whole(in->watching, in->frames.sending);
}

static struct lite_want want_of(struct viewer *v, unsigned path, enum watch_kind kind)
{
  struct run *r = run_of(v);
  struct lite_want want = LITE_WANT_INIT;
  want.priority = (uint8_t)roll(r, 256);
  want.max_age = v->peer.good ? 1000 : roll(r, 3) * roll(r, 5000);
  if (v->peer.good || kind == WATCH_LATEST)
    return want;
  want.group_start = roll(r, FLOOR_MAX);
  want.max_age = 20000;
  if (kind == WATCH_BOUNDED)
    want.group_end = want.group_start + roll(r, 200);
  return want;
}

void viewer_watch(struct viewer *v, unsigned path, unsigned track, enum watch_kind kind)
{
  struct watching *w = calloc(1, sizeof *w);
  if (!w)
    abort();
  *w = (struct watching){.viewer = v, .path = (uint8_t)path, .track = (uint8_t)track, .since = run_of(v)->w.now};
  w->request = peer_open(&v->peer, LITE_STREAM_SUBSCRIBE, w);
  if (!w->request) {
    free(w);
    return;
  }
  if (!info_of(v)->max_age)
    kind = WATCH_LATEST;
  w->bounded = kind == WATCH_BOUNDED;
  w->id = v->next_id++;
  v->watching_n++;
  list_append(&v->watching, &w->link);
  tell(run_of(v), &v->peer.who, EV_SUBSCRIBE, w->id, path, track, kind);
  union lite_body body = {
      .subscribe = {w->id, slice_str(path_names[path]), slice_str(track_names[track]), want_of(v, path, kind)}};
  peer_say(w->request, LITE_SUBSCRIBE, &body);
}

static void subscribe_message(struct watching *w, enum lite_msg m)
{
  if (m == LITE_SUBSCRIBE_OK || m == LITE_SUBSCRIBE_START)
    w->resolved = true;
  if (m == LITE_SUBSCRIBE_OK)
    tell(run_of(w->viewer), &w->viewer->peer.who, EV_SUB_OK, w->id);
}

static void subscribe_over(struct watching *w, bool reset, uint64_t code)
{
  struct viewer *v = w->viewer;
  struct run *r = run_of(v);
  w->over = w->resolved = true;
  tell(r, &v->peer.who, reset ? EV_SUB_RESET : EV_SUB_END, w->id, code);
  if (v->peer.good && healthy_counts(r) && !w->left)
    broken(r, &v->peer.who, "a fault of one costs no other", "the healthy viewer's subscription ended: %s",
           lite_reset_name(code));
  if (reset)
    peer_reset(w->request, LITE_RESET_CANCELLED);
  else
    peer_fin(w->request);
}

static struct watching *pick(struct viewer *v)
{
  struct watching *found = NULL;
  unsigned n = 0;
  list_for_each (it, &v->watching) {
    struct watching *w = container_of(it, struct watching, link);
    if (w->request && !w->left && !w->over && roll(run_of(v), ++n) == 0)
      found = w;
  }
  return found;
}

struct watching *viewer_watching(struct viewer *v, unsigned path, unsigned track)
{
  list_for_each (it, &v->watching) {
    struct watching *w = container_of(it, struct watching, link);
    if (w->path == path && w->track == track && w->request && !w->left && !w->over)
      return w;
  }
  return NULL;
}

void viewer_leave(struct viewer *v)
{
  struct watching *w = pick(v);
  if (!w)
    return;
  uint64_t way = roll(run_of(v), 3);
  w->left = true;
  tell(run_of(v), &v->peer.who, EV_UNSUBSCRIBE, w->id, way);
  if (way != 2)
    peer_stop(w->request, LITE_RESET_CANCELLED);
  if (way == 0)
    peer_fin(w->request);
  else
    peer_reset(w->request, LITE_RESET_CANCELLED);
}

void viewer_update(struct viewer *v)
{
  struct watching *w = pick(v);
  if (!w || !lite_has(v->peer.version, LITE_SUBSCRIBE_UPDATE))
    return;
  tell(run_of(v), &v->peer.who, EV_UPDATE, w->id);
  enum watch_kind kind = (enum watch_kind)roll(run_of(v), WATCH_KINDS);
  struct lite_want want = want_of(v, w->path, kind);
  w->bounded |= kind == WATCH_BOUNDED;
  peer_say(w->request, LITE_SUBSCRIBE_UPDATE, &(union lite_body){.subscribe_update = {want}});
}

void viewer_stop(struct viewer *v)
{
  list_for_each (it, &v->peer.streams) {
    struct peer_stream *s = container_of(it, struct peer_stream, link);
    struct incoming *in = s->user;
    if (s->local || !s->typed || s->type != LITE_STREAM_GROUP || s->over || !in->watching || roll(run_of(v), 2))
      continue;
    tell(run_of(v), &v->peer.who, EV_STOP, in->sequence, in->watching->id);
    peer_stop(s, LITE_RESET_CANCELLED);
  }
}

/* -- TRACK and FETCH -- */

void viewer_ask(struct viewer *v, unsigned path, unsigned track, bool fetch)
{
  struct run *r = run_of(v);
  struct asking *a = calloc(1, sizeof *a);
  if (!a)
    abort();
  struct watching *w = viewer_watching(v, path, track);
  uint64_t newest = w && w->seen_n > 0 ? w->seen[w->seen_n - 1].sequence : roll(r, 20);
  *a = (struct asking){.viewer = v, .path = (uint8_t)path, .track = (uint8_t)track, .fetch = fetch, .since = r->w.now};
  a->request = peer_open(&v->peer, fetch ? LITE_STREAM_FETCH : LITE_STREAM_TRACK, a);
  if (!a->request) {
    free(a);
    return;
  }
  list_append(&v->asking, &a->link);
  a->group = newest - (newest > 0 ? roll(r, newest < 20 ? newest : 20) : 0);
  a->frames = new_check(v);
  struct slice broadcast = slice_str(path_names[path]), name = slice_str(track_names[track]);
  union lite_body f = {.fetch = {broadcast, name, 100, a->group, 0, LITE_NONE}}, t = {.track = {broadcast, name}};
  if (fetch)
    tell(r, &v->peer.who, EV_FETCH, a->group, path, track);
  else
    tell(r, &v->peer.who, EV_TRACK, path, track);
  peer_say(a->request, fetch ? LITE_FETCH : LITE_TRACK, fetch ? &f : &t);
  peer_fin(a->request);
}

/* A part of a TRACK, then a reset, or nothing at all: then the relay has to give it up. */
void viewer_half(struct viewer *v)
{
  struct run *r = run_of(v);
  struct buf b = {0};
  struct asking *a = calloc(1, sizeof *a);
  if (!a)
    abort();
  *a = (struct asking){.viewer = v, .since = r->w.now};
  union lite_body body = {.track = {slice_str("live"), slice_str("video")}};
  a->request = peer_open(&v->peer, LITE_STREAM_TRACK, a);
  if (!a->request) {
    free(a);
    return;
  }
  alloc_spare++;
  if (lite_encode(v->peer.version, LITE_TRACK, &body, &b) < 0)
    abort();
  alloc_spare--;
  list_append(&v->asking, &a->link);
  size_t n = 1 + roll(r, b.n - 1);
  tell(r, &v->peer.who, EV_HALF, n);
  peer_write(a->request, b.p, n);
  if (roll(r, 2))
    peer_reset(a->request, LITE_RESET_CANCELLED);
  buf_destroy(&b);
}

static void ask_frames(struct asking *a, struct slice data)
{
  struct viewer *v = a->viewer;
  const char *wrong = frame_check_feed(&a->frames, data);
  const struct sending *s = a->frames.sending;
  a->since = run_of(v)->w.now;
  if (!wrong && s && (s->path != a->path || s->track != a->track))
    wrong = "it is of another track";
  if (wrong)
    broken(run_of(v), &v->peer.who, "frames are whole, in order, with their own bytes", "fetched group %llu: %s",
           (unsigned long long)a->group, wrong);
}

static void ask_over(struct asking *a, bool reset, uint64_t code)
{
  struct viewer *v = a->viewer;
  struct run *r = run_of(v);
  const char *wrong = a->fetch && !reset ? frame_check_end(&a->frames) : NULL;
  if (wrong)
    broken(r, &v->peer.who, "frames are whole, in order, with their own bytes", "fetched group %llu: %s",
           (unsigned long long)a->group, wrong);
  a->answered = true;
  if (!a->fetch)
    tell(r, &v->peer.who, reset ? EV_TRACK_RESET : EV_TRACK_INFO, a->path, a->track, code);
  else if (reset)
    tell(r, &v->peer.who, EV_FETCH_RESET, a->group, code);
  else
    tell(r, &v->peer.who, EV_FETCHED, a->group, a->frames.index);
}

/* -- waits -- */

static void check_wait(const struct viewer *v, uint64_t since, uint64_t bound, const char *what)
{
  const struct run *r = run_of(v);
  uint64_t from = since > v->peer.wire->disturbed ? since : v->peer.wire->disturbed;
  if (from < r->leapt)
    from = r->leapt;
  if (v->peer.wire->dark || v->peer.stalled || v->peer.wire->rate > 0 || r->w.now - from < bound)
    return;
  broken(r, &v->peer.who, "no wait is without a deadline", "%s for %.1f s", what, (double)(r->w.now - since) / 1e9);
}

void viewer_check_waits(struct viewer *v)
{
  if (!v->peer.t || v->peer.closing)
    return;
  list_for_each (it, &v->asking) {
    const struct asking *a = container_of(it, struct asking, link);
    if (!a->answered)
      check_wait(v, a->since, run_of(v)->plan.answer_ns, a->fetch ? "FETCH is not answered" : "TRACK is not answered");
  }
  list_for_each (it, &v->watching) {
    const struct watching *w = container_of(it, struct watching, link);
    if (!w->resolved && !w->left && run_of(v)->spoke[w->path] < w->since)
      check_wait(v, w->since, run_of(v)->plan.subscribe_ns, "SUBSCRIBE of a publisher that never answers has no end");
  }
}

/* -- the peer -- */

static void on_ready(struct peer *p)
{
  struct viewer *v = container_of(p, struct viewer, peer);
  if (p->good) {
    viewer_list(v, 0);
    viewer_watch(v, PATH_HEALTHY, 0, WATCH_LATEST);
  }
}

static void on_opened(struct peer_stream *s)
{
  if (s->type != LITE_STREAM_GROUP)
    return;
  struct incoming *in = calloc(1, sizeof *in);
  if (!in)
    abort();
  s->user = in;
}

static void on_message(struct peer_stream *s, enum lite_msg m, const union lite_body *body)
{
  if (!s->local && s->type == LITE_STREAM_GROUP)
    group_message(s, &body->group);
  else if (s->local && s->type == LITE_STREAM_ANNOUNCE)
    announce_message(s->user, m, body);
  else if (s->local && s->type == LITE_STREAM_SUBSCRIBE && s->user)
    subscribe_message(s->user, m);
}

static void on_frames(struct peer_stream *s, struct slice data)
{
  if (s->type == LITE_STREAM_GROUP)
    group_frames(s, data);
  else
    ask_frames(s->user, data);
}

static void on_over(struct peer_stream *s, bool reset, uint64_t code)
{
  if (s->type == LITE_STREAM_GROUP)
    group_over(s, reset, code);
  else if (s->local && s->type == LITE_STREAM_SUBSCRIBE && s->user)
    subscribe_over(s->user, reset, code);
  else if (s->local && (s->type == LITE_STREAM_TRACK || s->type == LITE_STREAM_FETCH))
    ask_over(s->user, reset, code);
  else if (s->type == LITE_STREAM_ANNOUNCE && s->local)
    ((struct listing *)s->user)->open = false;
}

static void on_stopped(struct peer_stream *s, uint64_t code) {}

static void on_gone(struct peer_stream *s)
{
  if (s->type == LITE_STREAM_GROUP) {
    free(s->user);
  } else if (s->local && s->type == LITE_STREAM_SUBSCRIBE && s->user) {
    struct watching *w = s->user;
    w->request = NULL;
    w->resolved = true;
  } else if (s->local && s->type == LITE_STREAM_ANNOUNCE) {
    listing_free(s->user);
  } else if (s->local && (s->type == LITE_STREAM_TRACK || s->type == LITE_STREAM_FETCH)) {
    struct asking *a = s->user;
    list_remove(&a->link);
    free(a);
  }
}

static void on_datagram(struct peer *p, const struct lite_datagram *d)
{
  struct viewer *v = container_of(p, struct viewer, peer);
  struct run *r = p->run;
  struct watching *w = find(v, d->subscribe_id);
  uint32_t slot = note_group(w, d->sequence);
  struct frame_check c = new_check(v);
  uint8_t head[LITE_FRAME_HEADER_MAX];
  int n = lite_frame_header(p->version, 0, d->timestamp, d->payload.n, head);
  const char *wrong = n > 0 ? frame_check_feed(&c, slice_of(head, (size_t)n)) : "its timestamp is out of range";
  if (!wrong)
    wrong = frame_check_feed(&c, d->payload);
  if (!wrong)
    wrong = frame_check_end(&c);
  if (wrong)
    broken(r, &p->who, "frames are whole, in order, with their own bytes", "datagram %llu of id %llu: %s",
           (unsigned long long)d->sequence, (unsigned long long)w->id, wrong);
  note_sending(w, slot, c.sending);
  tell(r, &p->who, EV_GOT_DATAGRAM, d->sequence, w->id, c.sending->id);
}

static void on_closed(struct peer *p, uint64_t code, bool by_relay)
{
  struct viewer *v = container_of(p, struct viewer, peer);
  list_for_each_safe (it, tmp, &v->watching) {
    struct watching *w = container_of(it, struct watching, link);
    list_remove(&w->link);
    free(w->seen);
    free(w);
  }
  v->watching_n = 0;
  if (p->good && healthy_counts(p->run))
    broken(p->run, &p->who, "a fault of one costs no other", "the healthy viewer was closed: %s",
           lite_close_name(code));
}

static const struct peer_ops peer_ops = {on_ready,   on_opened, on_message,  on_frames, on_over,
                                         on_stopped, on_gone,   on_datagram, on_closed};

void viewer_init(struct viewer *v, struct run *r, unsigned index)
{
  *v = (struct viewer){.peer = {.who = {ACTOR_VIEWER, index, -1}, .run = r, .ops = &peer_ops}};
  list_init(&v->watching);
  list_init(&v->listings);
  list_init(&v->asking);
}

void viewer_join(struct viewer *v, struct relay *relay, enum lite_version version)
{
  v->next_id = 0;
  peer_join(&v->peer, relay, version, roll(run_of(v), 2) ? 1 + roll(run_of(v), 1ULL << 50) : 0);
}
