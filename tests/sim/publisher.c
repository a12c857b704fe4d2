/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "run.h"
#include <stdlib.h>

#define BEHIND_MAX 60000 /* bytes that the relay has not taken: then it waits */

/* A group on its way out. */
struct work {
  struct sending *sending;
  struct peer_stream *st; /* NULL = none is open */
  uint32_t frame;         /* next one */
  uint64_t timestamp;     /* of the frame before */
};

/* A subscription of the relay. */
struct job {
  struct list link;
  struct publisher *p;
  struct peer_stream *request; /* NULL once gone */
  struct timer timer;
  uint64_t id, streams; /* streams: of groups, so far */
  uint8_t path, track;
  bool over, held; /* held: it came while the publisher was mute */
  struct work work;
};

/* The answer to a FETCH. */
struct answer {
  struct list link;
  struct publisher *p;
  struct timer timer;
  struct work work;
};

static struct run *run_of(const struct publisher *p)
{
  return p->peer.run;
}

/* -- frames -- */

static struct sending *sending_new(struct publisher *p, unsigned path, unsigned track, uint64_t sequence)
{
  struct run *r = run_of(p);
  struct sending *s = ledger_new(&r->ledger);
  s->path = (uint8_t)path;
  s->track = (uint8_t)track;
  s->publisher = p->peer.who.index;
  s->life = p->life;
  s->sequence = sequence;
  s->begun = r->w.now;
  s->timestamp = 1000 + sequence * 100;
  return s;
}

static uint32_t frame_size(struct publisher *p)
{
  struct run *r = run_of(p);
  if (p->peer.good)
    return 40 + (uint32_t)roll(r, 100);
  if (roll(r, 12) == 0)
    return 0;
  return FRAME_MARK + (uint32_t)(roll(r, 10) ? roll(r, 300) : roll(r, r->plan.frame_max));
}

/* Header and payload of the next frame, the first `n` bytes of it (all: UINT32_MAX). */
static void write_frame(struct publisher *p, struct work *w, uint32_t size, size_t n)
{
  struct run *r = run_of(p);
  struct sending *s = w->sending;
  uint8_t bytes[LITE_FRAME_HEADER_MAX + 65536];
  uint32_t i = s->frames++;
  s->size[i] = size;
  s->at[i] = r->w.now;
  s->marked |= size > 0;
  int h = lite_frame_header(p->peer.version, i > 0 ? w->timestamp : 0, s->timestamp + i, size, bytes);
  w->timestamp = s->timestamp + i;
  ledger_fill(&r->ledger, s, i, 0, bytes + h, size);
  size_t all = (size_t)h + size;
  n = n < all ? n : all;
  size_t cut = n > 0 ? roll(r, n) : 0; /* in two pieces */
  peer_write(w->st, bytes, cut);
  peer_write(w->st, bytes + cut, n - cut);
  tell(r, &p->peer.who, EV_FRAME, i, s->id, size);
}

/* A group's stream outlives its job; an answer lives as long as its stream. */
static void release(struct work *w)
{
  if (w->st->type == LITE_STREAM_GROUP)
    w->st->user = NULL;
  w->st = NULL;
}

static void work_end(struct publisher *p, struct work *w)
{
  w->sending->whole = true;
  w->sending->ended = run_of(p)->w.now;
  peer_fin(w->st);
  tell(run_of(p), &p->peer.who, EV_WHOLE, w->sending->id, w->sending->frames);
  release(w);
}

static void work_reset(struct publisher *p, struct work *w, uint64_t code)
{
  if (!w->st)
    return;
  tell(run_of(p), &p->peer.who, EV_RESET, w->sending->id, w->sending->frames, code);
  peer_reset(w->st, code);
  release(w);
}

/* Ends badly: a part of a frame, then a reset or a clean end that is none. */
static void work_spoil(struct publisher *p, struct work *w)
{
  struct run *r = run_of(p);
  uint32_t size = FRAME_MARK + (uint32_t)roll(r, 200);
  write_frame(p, w, size, 1 + roll(r, size));
  if (roll(r, 2)) {
    work_reset(p, w, roll(r, 2) ? LITE_RESET_CANCELLED : LITE_CODE_APPLICATION + 7);
    return;
  }
  tell(r, &p->peer.who, EV_DAMAGE, w->sending->id, w->sending->frames - 1);
  peer_fin(w->st);
  release(w);
}

/* -- groups -- */

static void begin_group(struct job *j)
{
  struct publisher *p = j->p;
  uint64_t sequence = p->next[j->path][j->track];
  struct peer_stream *st = peer_open(&p->peer, LITE_STREAM_GROUP, j);
  if (!st)
    return;
  p->next[j->path][j->track]++;
  j->streams++;
  j->work = (struct work){.sending = sending_new(p, j->path, j->track, sequence), .st = st};
  union lite_body body = {.group = {j->id, sequence, 0}};
  peer_say(st, LITE_GROUP, &body);
  tell(run_of(p), &p->peer.who, EV_BEGIN, sequence, j->path, j->track, j->work.sending->id);
}

static void send_datagram(struct job *j)
{
  struct publisher *p = j->p;
  struct run *r = run_of(p);
  uint64_t sequence = p->next[j->path][j->track]++;
  struct sending *s = sending_new(p, j->path, j->track, sequence);
  uint8_t head[LITE_DATAGRAM_HEADER_MAX], payload[200];
  s->frames = 1;
  s->size[0] = FRAME_MARK + (uint32_t)roll(r, sizeof payload - FRAME_MARK);
  s->whole = s->datagram = true;
  ledger_fill(&r->ledger, s, 0, 0, payload, s->size[0]);
  struct lite_datagram d = {j->id, sequence, s->timestamp, slice_of(payload, s->size[0])};
  int n = lite_datagram_header(p->peer.version, &d, head);
  struct iovec iov[2] = {{head, (size_t)n}, {payload, s->size[0]}};
  tell(r, &p->peer.who, EV_DATAGRAM, sequence, j->path, j->track, s->id);
  p->peer.t->ops->send_datagram(p->peer.t, iov, 2);
}

static void go_on(struct job *j)
{
  struct publisher *p = j->p;
  struct run *r = run_of(p);
  struct work *w = &j->work;
  bool good = p->peer.good;
  if (!w->st && !good && lite_info(p->peer.version)->datagrams && roll(r, 12) == 0)
    send_datagram(j);
  else if (!w->st)
    begin_group(j);
  else if (w->st->out.held > BEHIND_MAX)
    return;
  else if (w->sending->frames == SENDING_FRAMES - 1 || (w->sending->frames > 3 && roll(r, 3) == 0) ||
           (!good && roll(r, 12) == 0))
    work_end(p, w);
  else if (!good && !r->calm && roll(r, 20) == 0)
    work_spoil(p, w);
  else
    write_frame(p, w, frame_size(p), SIZE_MAX);
}

static void on_job(struct timer *t, uint64_t now)
{
  struct job *j = container_of(t, struct job, timer);
  struct run *r = run_of(j->p);
  uint64_t pace = j->p->pace;
  go_on(j);
  timers_set(&r->w.timers, t, now + (j->p->peer.good ? pace : pace / 2 + roll(r, pace)));
}

/* -- being asked -- */

static void job_end(struct job *j)
{
  if (j->over)
    return;
  j->over = true;
  timers_cancel(&run_of(j->p)->w.timers, &j->timer);
  work_reset(j->p, &j->work, LITE_RESET_CANCELLED);
  tell(run_of(j->p), &j->p->peer.who, EV_UNASKED, j->id);
}

static void job_free(struct job *j)
{
  job_end(j);
  list_remove(&j->link);
  free(j);
}

static void refuse(struct peer_stream *s, uint64_t code)
{
  peer_reset(s, code);
  peer_stop(s, code);
}

static void job_start(struct job *j)
{
  struct publisher *p = j->p;
  struct run *r = run_of(p);
  j->held = p->mute;
  if (j->held)
    return;
  if (lite_info(p->peer.version)->subscribe_ok)
    peer_say(j->request, LITE_SUBSCRIBE_OK,
             &(union lite_body){.subscribe_ok = {.priority = 1, .group_start = LITE_NONE, .group_end = LITE_NONE}});
  timers_set(&r->w.timers, &j->timer, r->w.now + roll(r, p->pace));
}

static void subscribed(struct publisher *p, struct peer_stream *s, const struct lite_subscribe *m)
{
  struct run *r = run_of(p);
  int path = path_number(m->broadcast), track = track_number(m->track);
  if (path < 0 || track < 0)
    broken(r, &p->peer.who, "requests go to who announced it", "asked for \"%.*s\" \"%.*s\"", SLICE_FMT(m->broadcast),
           SLICE_FMT(m->track));
  if (!p->peer.good && !p->mute && !r->calm && roll(r, 30) == 0) {
    tell(r, &p->peer.who, EV_REFUSE, (uint64_t)path, (uint64_t)track, LITE_RESET_NOT_FOUND);
    r->odd |= 1u << path;
    refuse(s, LITE_RESET_NOT_FOUND);
    return;
  }
  struct job *j = calloc(1, sizeof *j);
  if (!j)
    abort();
  *j = (struct job){.p = p, .request = s, .id = m->id, .path = (uint8_t)path, .track = (uint8_t)track};
  timer_init(&j->timer, on_job);
  list_append(&p->jobs, &j->link);
  s->user = j;
  tell(r, &p->peer.who, EV_ASKED, m->id, (uint64_t)path, (uint64_t)track);
  job_start(j);
}

static void track_asked(struct publisher *p, struct peer_stream *s, const struct lite_track *m)
{
  struct run *r = run_of(p);
  if (p->mute)
    return;
  if (!p->peer.good && !r->calm && roll(r, 30) == 0) {
    r->odd |= 1u << path_number(m->broadcast);
    refuse(s, LITE_RESET_NOT_FOUND);
    return;
  }
  peer_say(s, LITE_TRACK_INFO,
           &(union lite_body){.track_info = {.priority = 1, .max_age = r->plan.max_age_ms, .timescale = 1000}});
  peer_fin(s);
}

static void answer_free(struct answer *a)
{
  timers_cancel(&run_of(a->p)->w.timers, &a->timer);
  list_remove(&a->link);
  free(a);
}

static void on_answer(struct timer *t, uint64_t now)
{
  struct answer *a = container_of(t, struct answer, timer);
  struct run *r = run_of(a->p);
  struct work *w = &a->work;
  if (w->st && w->sending->frames == w->frame)
    work_end(a->p, w);
  else if (w->st && !r->calm && roll(r, 20) == 0)
    work_spoil(a->p, w);
  else if (w->st)
    write_frame(a->p, w, frame_size(a->p), SIZE_MAX);
  if (w->st)
    timers_set(&r->w.timers, t, now + roll(r, 20 * NS_PER_MS));
}

static void fetch_asked(struct publisher *p, struct peer_stream *s, const struct lite_fetch *m)
{
  struct run *r = run_of(p);
  int path = path_number(m->broadcast), track = track_number(m->track);
  if (p->mute || path < 0 || track < 0)
    return;
  if (m->group >= p->next[path][track] || roll(r, 5) == 0) {
    tell(r, &p->peer.who, EV_REFUSE, (uint64_t)path, (uint64_t)track, LITE_RESET_NOT_FOUND);
    refuse(s, LITE_RESET_NOT_FOUND);
    return;
  }
  struct answer *a = calloc(1, sizeof *a);
  if (!a)
    abort();
  *a = (struct answer){.p = p};
  a->work.st = s;
  a->work.sending = sending_new(p, (unsigned)path, (unsigned)track, m->group);
  a->work.sending->answer = true;
  a->work.frame = 1 + (uint32_t)roll(r, 5);
  s->user = a;
  timer_init(&a->timer, on_answer);
  list_append(&p->answers, &a->link);
  tell(r, &p->peer.who, EV_ANSWER, m->group, (uint64_t)path, (uint64_t)track, a->work.sending->id);
  timers_set(&r->w.timers, &a->timer, r->w.now + roll(r, 20 * NS_PER_MS));
}

/* -- announcing -- */

static void say_active(struct publisher *p, unsigned path)
{
  const struct lite_version_info *info = lite_info(p->peer.version);
  struct lite_hops hops = {0};
  struct slice suffix = slice_str(path_names[path]);
  if (info->hops == LITE_HOPS_COUNT || info->hops == LITE_HOPS_WITH_SENDER)
    hops = (struct lite_hops){.n = 1, .id = {info->hops == LITE_HOPS_COUNT ? 0 : p->peer.hop}};
  union lite_body start = {.announce_start = {.suffix = suffix, .hops = hops}};
  union lite_body active = {.announce = {.status = LITE_ACTIVE, .suffix = suffix, .hops = hops}};
  p->announce_ids[path] = p->announces++;
  if (info->typed_announces)
    peer_say(p->announce, LITE_ANNOUNCE_START, &start);
  else
    peer_say(p->announce, LITE_ANNOUNCE, &active);
}

static void say_ended(struct publisher *p, unsigned path)
{
  union lite_body end = {.announce_end = {p->announce_ids[path]}};
  union lite_body ended = {.announce = {.status = LITE_ENDED, .suffix = slice_str(path_names[path])}};
  if (lite_info(p->peer.version)->typed_announces)
    peer_say(p->announce, LITE_ANNOUNCE_END, &end);
  else
    peer_say(p->announce, LITE_ANNOUNCE, &ended);
}

void publisher_announce(struct publisher *p, unsigned path, bool on)
{
  struct run *r = run_of(p);
  p->paths = on ? p->paths | 1u << path : p->paths & ~(1u << path);
  if (!p->announce || (p->announced[path] > 0) == on)
    return;
  p->announced[path] = on ? r->w.now : 0;
  r->lives[path] += on;
  tell(r, &p->peer.who, on ? EV_ANNOUNCE : EV_UNANNOUNCE, path);
  if (on)
    say_active(p, path);
  else
    say_ended(p, path);
}

static void announce_asked(struct publisher *p, struct peer_stream *s, const struct lite_announce_request *m)
{
  const struct lite_version_info *info = lite_info(p->peer.version);
  (void)m;
  p->announce = s;
  p->announces = 0;
  if (info->announce_init)
    peer_say(s, LITE_ANNOUNCE_INIT, &(union lite_body){0});
  if (info->announce_ok)
    peer_say(s, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {p->peer.hop, 0}});
  for (unsigned i = 0; i < PATHS; i++) {
    if (p->paths & 1u << i)
      publisher_announce(p, i, true);
  }
}

/* -- the peer -- */

static struct publisher *publisher_of(struct peer *peer)
{
  return container_of(peer, struct publisher, peer);
}

static void on_ready(struct peer *peer) {}

static void on_opened(struct peer_stream *s) {}

static void on_message(struct peer_stream *s, enum lite_msg m, const union lite_body *body)
{
  struct publisher *p = publisher_of(s->peer);
  if (m == LITE_ANNOUNCE_REQUEST)
    announce_asked(p, s, &body->announce_request);
  else if (m == LITE_SUBSCRIBE)
    subscribed(p, s, &body->subscribe);
  else if (m == LITE_TRACK)
    track_asked(p, s, &body->track);
  else if (m == LITE_FETCH)
    fetch_asked(p, s, &body->fetch);
}

static void on_frames(struct peer_stream *s, struct slice data)
{
  broken(s->peer->run, &s->peer->who, "the relay keeps to the protocol", "frames for a publisher");
}

/* Nobody hears any more what it has, by its own doing or since the relay waited too long for the rest of a message, until the
 * relay asks again. */
static void announcements_end(struct publisher *p)
{
  p->announce = NULL;
  memset(p->announced, 0, sizeof p->announced);
}

static struct job *job_of(const struct peer_stream *s)
{
  return s->type == LITE_STREAM_SUBSCRIBE && !s->local ? s->user : NULL;
}

static void forget_stream(struct peer_stream *s)
{
  if (s->type == LITE_STREAM_GROUP && s->user) {
    struct job *j = s->user;
    j->work.st = NULL;
  } else if (s->type == LITE_STREAM_FETCH && s->user) {
    struct answer *a = s->user;
    a->work.st = NULL;
  }
}

static void on_over(struct peer_stream *s, bool reset, uint64_t code)
{
  struct job *j = job_of(s);
  if (j)
    job_end(j);
  if (!j && !reset && s->type != LITE_STREAM_SUBSCRIBE)
    return; /* the request is whole; the answer still comes */
  if (!reset) {
    peer_fin(s);
    return;
  }
  forget_stream(s);
  peer_reset(s, LITE_RESET_CANCELLED);
}

static void on_stopped(struct peer_stream *s, uint64_t code)
{
  struct job *j = job_of(s);
  if (j)
    job_end(j);
  if (s == publisher_of(s->peer)->announce)
    announcements_end(publisher_of(s->peer));
  forget_stream(s);
  if (s->type == LITE_STREAM_GROUP)
    s->user = NULL;
}

static void on_gone(struct peer_stream *s)
{
  struct publisher *p = publisher_of(s->peer);
  if (s == p->announce)
    announcements_end(p);
  if (job_of(s))
    job_free(job_of(s));
  forget_stream(s);
  if (s->type == LITE_STREAM_FETCH && s->user)
    answer_free(s->user);
}

static void on_datagram(struct peer *p, const struct lite_datagram *d)
{
  broken(p->run, &p->who, "the relay keeps to the protocol", "a datagram for a publisher");
}

static void on_closed(struct peer *peer, uint64_t code, bool by_relay)
{
  struct publisher *p = publisher_of(peer);
  memset(p->announced, 0, sizeof p->announced);
  if (peer->good && healthy_counts(peer->run))
    broken(peer->run, &peer->who, "a fault of one costs no other", "the healthy publisher was closed: %s",
           lite_close_name(code));
}

static const struct peer_ops peer_ops = {on_ready,   on_opened, on_message,  on_frames, on_over,
                                         on_stopped, on_gone,   on_datagram, on_closed};

void publisher_init(struct publisher *p, struct run *r, unsigned index)
{
  *p = (struct publisher){.peer = {.who = {ACTOR_PUBLISHER, index, -1}, .run = r, .ops = &peer_ops}};
  list_init(&p->jobs);
  list_init(&p->answers);
}

void publisher_join(struct publisher *p, struct relay *relay, enum lite_version v, unsigned paths, uint64_t first)
{
  struct run *r = run_of(p);
  bool named = lite_info(v)->hops == LITE_HOPS_WITH_SENDER || roll(r, 4);
  p->paths = paths;
  p->mute = false;
  p->since = r->w.now;
  p->life++;
  p->announces = 0;
  p->announce = NULL;
  for (unsigned i = 0; i < PATHS * TRACKS; i++)
    p->next[i / TRACKS][i % TRACKS] = first;
  p->pace = p->peer.good ? 40 * NS_PER_MS : (20 + roll(r, 200)) * NS_PER_MS;
  peer_join(&p->peer, relay, v, named ? 1 + roll(r, 1ULL << 50) : 0);
}

void publisher_mute(struct publisher *p, bool mute)
{
  p->mute = mute;
  run_of(p)->odd |= p->paths;
  p->since = run_of(p)->w.now;
  tell(run_of(p), &p->peer.who, mute ? EV_MUTE : EV_SPEAK);
  list_for_each (it, &p->jobs) {
    struct job *j = container_of(it, struct job, link);
    if (!mute && j->held && !j->over)
      job_start(j);
  }
}

void publisher_break(struct publisher *p)
{
  if (!p->announce)
    return;
  tell(run_of(p), &p->peer.who, EV_BREAK);
  peer_reset(p->announce, LITE_RESET_INTERNAL);
  announcements_end(p);
}

void publisher_finish(struct publisher *p)
{
  struct run *r = run_of(p);
  list_for_each (it, &p->jobs) {
    struct job *j = container_of(it, struct job, link);
    if (j->over)
      continue;
    if (j->work.st)
      work_end(p, &j->work);
    uint64_t final = p->next[j->path][j->track];
    r->odd |= 1u << j->path;
    tell(r, &p->peer.who, EV_FINISH, j->path, j->track, final);
    if (!lite_info(p->peer.version)->subscribe_ok)
      peer_say(j->request, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {final, j->streams}});
    peer_fin(j->request);
    job_end(j);
    return;
  }
}

unsigned publisher_asked(const struct publisher *p, unsigned *ret_path)
{
  unsigned n[PATHS][TRACKS] = {0}, most = 0;
  list_for_each (it, &p->jobs) {
    const struct job *j = container_of(it, struct job, link);
    unsigned now = j->over ? 0 : ++n[j->path][j->track];
    if (now > most) {
      most = now;
      *ret_path = j->path;
    }
  }
  return most;
}
