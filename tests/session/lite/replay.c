/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Recorded sessions again, with the relay as their server: the client's side is played byte by
 * byte, and what the relay says must be the messages that the recorded server said, wherever these
 * are determined by what went before.
 *
 * In the recordings the server has demo/video, and the client of the Rust ones has pubdemo/t, which
 * the server asked for. Here a publisher of 06 gives the relay the one, so that it has what that
 * server had, and a viewer of 06 wants the other of it. */
#include "lab.h"
#include "recording.h"
#include <string.h>

#define FRAMES_MAX 8
#define MISSING_GROUPS_MS 2000 /* longer than the relay waits for groups that a track left out */

struct play {
  struct recording rec;
  struct lab lab;
  struct node relay;
  struct raw source, client, viewer;
  struct end source_end, client_end, viewer_end;
  struct raw_stream *source_announces;
  struct raw_stream *played[REC_STREAMS_MAX]; /* the client's half of recorded streams */
  unsigned tracks, subscribes, fetches;       /* of the source's requests, heard so far */
};

/* ---- what was recorded, in pieces ---- */

/* One direction of a stream, message by message. */
struct words {
  struct lite_reader reader;
  struct slice left;
};

static struct words words_of(const struct play *p, const struct rec_stream *s, enum side by)
{
  struct words w = {.left = rec_words(&p->rec, s, by)};
  lite_reader_init(&w.reader, p->rec.version, s->type, by == s->opener ? LITE_OPENER : LITE_ACCEPTOR, LITE_MESSAGE_MAX);
  return w;
}

static bool next_word(struct words *w, enum lite_msg *ret_msg, union lite_body *ret_body, struct slice *ret_bytes)
{
  struct lite_raw raw;
  if (lite_reader_frames(&w->reader) || lite_reader_next(&w->reader, w->left, &raw) != 1)
    return false;
  assert_int_equal(lite_decode(w->reader.version, raw.msg, raw.body, ret_body), 0);
  *ret_msg = raw.msg;
  *ret_bytes = slice_of(w->left.p, raw.n);
  w->left = slice_from(w->left, raw.n);
  return true;
}

struct frames {
  size_t n;
  uint64_t timestamp[FRAMES_MAX];
  struct slice payload[FRAMES_MAX];
};

/* All of `in`, which must end with a frame. */
static struct frames frames_of(enum lite_version v, struct slice in)
{
  struct frames out = {0};
  uint64_t prev = 0;
  while (in.n > 0) {
    struct lite_frame f;
    int n = lite_frame_read(v, in, prev, &f);
    assert_true(n > 0 && f.size <= in.n - (size_t)n && out.n < FRAMES_MAX);
    out.timestamp[out.n] = f.timestamp;
    out.payload[out.n++] = slice_of(in.p + n, (size_t)f.size);
    in = slice_from(in, (size_t)n + (size_t)f.size);
    prev = f.timestamp;
  }
  return out;
}

static void same_frames(const struct play *p, const struct frames *ours, const struct frames *theirs)
{
  assert_int_equal(ours->n, theirs->n);
  for (size_t i = 0; i < ours->n; i++) {
    assert_true(slice_eq(ours->payload[i], theirs->payload[i]));
    if (lite_info(p->rec.version)->timestamps)
      assert_int_equal(ours->timestamp[i], theirs->timestamp[i]);
  }
}

static struct lite_group group_of(const struct play *p, const struct rec_stream *s, enum side by,
                                  struct frames *ret_frames)
{
  struct words w = words_of(p, s, by);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  assert_true(next_word(&w, &m, &body, &bytes) && m == LITE_GROUP);
  *ret_frames = frames_of(p->rec.version, w.left);
  return body.group;
}

/* ---- comparing ---- */

static bool announcement_ends(enum lite_msg m, const union lite_body *b)
{
  return m == LITE_ANNOUNCE_END || (m == LITE_ANNOUNCE && b->announce.status == LITE_ENDED);
}

static bool same_first_suffix(struct slice a, struct slice b)
{
  struct slice x, y;
  return lite_next_string(&a, &x) && lite_next_string(&b, &y) && slice_eq(x, y);
}

/* The fields that follow from what was said before; not hops, nor what a server chooses. */
static bool same(enum lite_msg m, const union lite_body *a, const union lite_body *b)
{
  switch (m) {
  case LITE_SERVER_SETUP:
    return a->server_setup.version == b->server_setup.version;
  case LITE_ANNOUNCE_REQUEST:
    return slice_eq(a->announce_request.prefix, b->announce_request.prefix);
  case LITE_ANNOUNCE_INIT:
    return a->announce_init.count == b->announce_init.count &&
           same_first_suffix(a->announce_init.suffixes, b->announce_init.suffixes);
  case LITE_ANNOUNCE_OK:
    return a->announce_ok.active == b->announce_ok.active;
  case LITE_ANNOUNCE:
    return a->announce.status == b->announce.status && slice_eq(a->announce.suffix, b->announce.suffix);
  case LITE_ANNOUNCE_START:
    return slice_eq(a->announce_start.suffix, b->announce_start.suffix);
  case LITE_ANNOUNCE_END:
    return a->announce_end.id == b->announce_end.id;
  case LITE_SUBSCRIBE:
    return a->subscribe.id == b->subscribe.id && slice_eq(a->subscribe.broadcast, b->subscribe.broadcast) &&
           slice_eq(a->subscribe.track, b->subscribe.track);
  case LITE_SUBSCRIBE_START:
    return a->subscribe_start.group == b->subscribe_start.group;
  case LITE_SUBSCRIBE_END:
    return a->subscribe_end.group == b->subscribe_end.group;
  case LITE_TRACK:
    return slice_eq(a->track.broadcast, b->track.broadcast) && slice_eq(a->track.track, b->track.track);
  case LITE_TRACK_INFO:
    return a->track_info.priority == b->track_info.priority && a->track_info.max_age == b->track_info.max_age &&
           a->track_info.timescale == b->track_info.timescale;
  default:
    return true;
  }
}

/* The relay says on `s` what the recorded server said next. */
static void hear_the_same(struct raw_stream *s, enum lite_msg m, const union lite_body *theirs)
{
  union lite_body ours = raw_expect(s, m);
  if (!same(m, &ours, theirs))
    fail_msg("%s differs from what was recorded", lite_msg_name(m));
}

/* ---- playing ---- */

static size_t index_of(const struct play *p, const struct rec_stream *s)
{
  return (size_t)(s - p->rec.streams);
}

/* The client opens a recorded stream and says all that it said on it. */
static struct raw_stream *client_opens(struct play *p, const struct rec_stream *s)
{
  struct raw_stream *out = raw_open(&p->client, s->bidi);
  struct slice bytes = s->by[CLIENT].bytes;
  out->type = s->type;
  out->typed = true;
  lite_reader_init(&out->reader, p->rec.version, s->type, LITE_ACCEPTOR, LITE_MESSAGE_MAX);
  raw_write(out, bytes.p, bytes.n, false);
  lab_run(&p->lab, 20);
  p->played[index_of(p, s)] = out;
  return out;
}

/* The relay has opened the stream that the recorded server opened, and begins it in the same way.
 */
static struct raw_stream *relay_opens(struct play *p, const struct rec_stream *s, unsigned nth)
{
  struct words w = words_of(p, s, SERVER);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  struct raw_stream *in = raw_incoming(&p->client, s->type, nth);
  assert_non_null(in);
  assert_true(next_word(&w, &m, &body, &bytes));
  hear_the_same(in, m, &body);
  p->played[index_of(p, s)] = in;
  return in;
}

static void setup(struct play *p)
{
  const struct lite_version_info *info = lite_info(p->rec.version);
  enum lite_stream type = info->legacy_setup ? LITE_STREAM_LEGACY : LITE_STREAM_SETUP;
  const struct rec_stream *s = recording_find(&p->rec, CLIENT, type, 0);
  if (!info->legacy_setup && !info->setup_stream) {
    assert_null(s);
    return;
  }
  assert_non_null(s);
  struct raw_stream *out = client_opens(p, s);
  if (info->setup_stream) {
    (void)relay_opens(p, recording_find(&p->rec, SERVER, type, 0), 0);
    raw_fin(out);
    return;
  }
  struct words w = words_of(p, s, SERVER);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  assert_true(next_word(&w, &m, &body, &bytes));
  hear_the_same(out, m, &body);
}

/* The client asks for announcements. All that the server said comes, up to the end of demo. */
static void client_hears_of_demo(struct play *p)
{
  const struct rec_stream *s = recording_find(&p->rec, CLIENT, LITE_STREAM_ANNOUNCE, 0);
  struct raw_stream *out = client_opens(p, s);
  struct words w = words_of(p, s, SERVER);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  while (next_word(&w, &m, &body, &bytes)) {
    if (!announcement_ends(m, &body))
      hear_the_same(out, m, &body);
  }
  assert_true(raw_silent(out));
}

/* In 04 and 05 the Rust client asks as another hop than it announces as, so it hears of what it has
 * itself. 01 to 03 tell no hops: there a session never hears of its own. */
static void client_hears_of_itself(struct play *p, struct raw_stream *out)
{
  bool announced = recording_find(&p->rec, SERVER, LITE_STREAM_ANNOUNCE, 0);
  enum lite_hop_form hops = lite_info(p->rec.version)->hops;
  bool tells_hops = hops == LITE_HOPS_WITH_SENDER || hops == LITE_HOPS_WITHOUT_SENDER;
  if (announced && tells_hops && !lite_info(p->rec.version)->typed_announces)
    assert_true(slice_eq(raw_expect(out, LITE_ANNOUNCE).announce.suffix, slice_str("pubdemo")));
  assert_true(raw_silent(out));
}

/* The end of demo, if the recorded server told it. */
static void client_hears_the_end(struct play *p)
{
  const struct rec_stream *s = recording_find(&p->rec, CLIENT, LITE_STREAM_ANNOUNCE, 0);
  struct raw_stream *out = p->played[index_of(p, s)];
  struct words w = words_of(p, s, SERVER);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  client_hears_of_itself(p, out);
  while (next_word(&w, &m, &body, &bytes)) {
    if (!announcement_ends(m, &body))
      continue;
    raw_unstart(p->source_announces, "demo", 0);
    hear_the_same(out, m, &body);
  }
  assert_true(raw_silent(out));
}

/* The answer of a client that has nothing, where the recorded one was not asked. */
static void has_nothing(struct play *p)
{
  struct raw_stream *in = raw_incoming(&p->client, LITE_STREAM_ANNOUNCE, 0);
  assert_non_null(in);
  (void)raw_expect(in, LITE_ANNOUNCE_REQUEST);
  if (lite_info(p->rec.version)->announce_init)
    raw_say(in, LITE_ANNOUNCE_INIT, &(union lite_body){.announce_init = {0}});
  if (lite_info(p->rec.version)->announce_ok)
    raw_say(in, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {77, 0}});
}

/* The relay asks the client for announcements, which says what it said, up to the end of one or
 * only that. */
static void client_announces(struct play *p, bool ends)
{
  const struct rec_stream *s = recording_find(&p->rec, SERVER, LITE_STREAM_ANNOUNCE, 0);
  if (!s) {
    if (!ends)
      has_nothing(p);
    return;
  }
  struct raw_stream *in = ends ? p->played[index_of(p, s)] : relay_opens(p, s, 0);
  struct words w = words_of(p, s, CLIENT);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  while (next_word(&w, &m, &body, &bytes)) {
    if (announcement_ends(m, &body) == ends)
      raw_write(in, bytes.p, bytes.n, false);
  }
  lab_run(&p->lab, 20);
}

/* ---- the publisher that gives the relay what the recorded server had ---- */

static void source_up(struct play *p)
{
  static const char *const demo[] = {"demo"};
  raw_join(&p->source, &p->lab, &p->relay, NULL, LITE_06, &p->source_end);
  raw_setup(&p->source, 7);
  p->source_announces = raw_publish(&p->source, 7, demo, 1);
}

/* Answers what the relay asked of a track by now; with what the recorded server answered, if it was
 * asked. */
static void source_answers_tracks(struct play *p, const struct rec_stream *asked)
{
  union lite_body body = {.track_info = {.priority = 1, .max_age = 30000, .timescale = 1000}};
  enum lite_msg m;
  struct slice bytes;
  if (asked) {
    struct words w = words_of(p, asked, SERVER);
    (void)next_word(&w, &m, &body, &bytes);
  }
  while (raw_count(&p->source, LITE_STREAM_TRACK) > p->tracks) {
    struct raw_stream *in = raw_incoming(&p->source, LITE_STREAM_TRACK, p->tracks++);
    (void)raw_expect(in, LITE_TRACK);
    raw_say(in, LITE_TRACK_INFO, &body);
    raw_fin(in);
  }
  lab_run(&p->lab, 20);
}

static void source_says_frames(struct raw_stream *out, const struct frames *frames)
{
  uint64_t prev = 0;
  for (size_t i = 0; i < frames->n; i++) {
    uint64_t timestamp = frames->timestamp[i] == LITE_NONE ? 1000 + i : frames->timestamp[i];
    uint8_t head[LITE_FRAME_HEADER_MAX];
    int n = lite_frame_header(LITE_06, prev, timestamp, frames->payload[i].n, head);
    raw_write(out, head, (size_t)n, false);
    raw_write(out, frames->payload[i].p, frames->payload[i].n, false);
    prev = timestamp;
  }
  raw_fin(out);
}

/* Each group of the recorded server goes through the relay, whole and the same. */
static void groups_come_through(struct play *p, uint64_t up_id)
{
  const struct rec_stream *s;
  unsigned n = 0;
  for (; (s = recording_find(&p->rec, SERVER, LITE_STREAM_GROUP, n)); n++) {
    struct frames theirs, ours;
    struct lite_group g = group_of(p, s, SERVER, &theirs);
    union lite_body body = {.group = {up_id, g.sequence, 0}};
    source_says_frames(raw_request(&p->source, LITE_STREAM_GROUP, LITE_GROUP, &body), &theirs);
    struct raw_stream *in = raw_incoming(&p->client, LITE_STREAM_GROUP, n);
    struct lite_group got = raw_expect(in, LITE_GROUP).group;
    assert_int_equal(got.subscribe_id, g.subscribe_id);
    assert_int_equal(got.sequence, g.sequence);
    lab_run(&p->lab, LAB_WAIT_MS);
    assert_true(in->fin);
    ours = frames_of(p->rec.version, slice_of(in->in + in->at, in->in_n - in->at));
    same_frames(p, &ours, &theirs);
  }
  assert_true(n >= 2);
}

static void datagram_comes_through(struct play *p, uint64_t up_id)
{
  struct lite_datagram theirs, ours;
  char payload[64] = "";
  if (p->rec.datagram[SERVER].n == 0)
    return;
  assert_int_equal(lite_datagram_decode(p->rec.version, p->rec.datagram[SERVER], &theirs), 0);
  assert_true(theirs.payload.n < sizeof payload);
  memcpy(payload, theirs.payload.p, theirs.payload.n);
  raw_datagram(&p->source, up_id, theirs.sequence, theirs.timestamp, payload);
  lab_run(&p->lab, 20);
  assert_int_equal(p->client.datagrams, 1);
  struct slice got = slice_of(p->client.datagram, p->client.datagram_n);
  assert_int_equal(lite_datagram_decode(p->rec.version, got, &ours), 0);
  assert_int_equal(ours.subscribe_id, theirs.subscribe_id);
  assert_int_equal(ours.sequence, theirs.sequence);
  assert_int_equal(ours.timestamp, theirs.timestamp);
  assert_true(slice_eq(ours.payload, theirs.payload));
}

/* ---- what the client asks ---- */

static bool refused_in_recording(const struct rec_stream *s)
{
  return s->by[SERVER].was_reset && s->by[SERVER].bytes.n == 0;
}

static void expect_refusal(struct raw_stream *s)
{
  lab_run(s->raw->lab, LAB_WAIT_MS);
  assert_true(s->was_reset);
  assert_int_equal(s->in_n, 0);
}

static void client_asks_for_tracks(struct play *p)
{
  const struct rec_stream *s;
  for (unsigned n = 0; (s = recording_find(&p->rec, CLIENT, LITE_STREAM_TRACK, n)); n++) {
    struct raw_stream *out = client_opens(p, s);
    if (refused_in_recording(s)) {
      expect_refusal(out);
      continue;
    }
    source_answers_tracks(p, s);
    struct words w = words_of(p, s, SERVER);
    enum lite_msg m;
    union lite_body body;
    struct slice bytes;
    assert_true(next_word(&w, &m, &body, &bytes));
    hear_the_same(out, m, &body);
    lab_run(&p->lab, 20);
    assert_true(out->fin);
  }
}

/* What the server said on the subscription: first SUBSCRIBE_OK, or START and END. */
static void hear_answers(struct play *p, const struct rec_stream *s, enum lite_msg which)
{
  struct words w = words_of(p, s, SERVER);
  enum lite_msg m;
  union lite_body body;
  struct slice bytes;
  while (next_word(&w, &m, &body, &bytes)) {
    if (m == which)
      hear_the_same(p->played[index_of(p, s)], m, &body);
  }
}

/* The first group that the recorded track never had. */
static uint64_t end_of_track(const struct play *p)
{
  const struct rec_stream *s;
  struct lite_datagram d;
  struct frames frames;
  uint64_t end = 0;
  for (unsigned n = 0; (s = recording_find(&p->rec, SERVER, LITE_STREAM_GROUP, n)); n++) {
    uint64_t sequence = group_of(p, s, SERVER, &frames).sequence;
    end = sequence >= end ? sequence + 1 : end;
  }
  if (lite_datagram_decode(p->rec.version, p->rec.datagram[SERVER], &d) == 0 && d.sequence >= end)
    end = d.sequence + 1;
  return end;
}

static void client_subscribes(struct play *p, const struct rec_stream *s)
{
  struct lite_subscribe up;
  struct raw_stream *out = client_opens(p, s);
  if (refused_in_recording(s)) {
    expect_refusal(out);
    return;
  }
  source_answers_tracks(p, NULL);
  struct raw_stream *upstream = raw_hear_subscribe(&p->source, p->subscribes++, &up);
  hear_answers(p, s, LITE_SUBSCRIBE_OK);
  groups_come_through(p, up.id);
  hear_answers(p, s, LITE_SUBSCRIBE_START);
  datagram_comes_through(p, up.id);
  assert_false(out->fin);
  raw_say(upstream, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {end_of_track(p)}});
  raw_fin(upstream);
  hear_answers(p, s, LITE_SUBSCRIBE_END);
  lab_run(&p->lab, LAB_WAIT_MS);
  assert_true(out->fin && !out->was_reset);
  assert_true(raw_silent(out));
}

static void client_fetches(struct play *p, const struct rec_stream *s)
{
  struct frames theirs = frames_of(p->rec.version, rec_words(&p->rec, s, SERVER));
  struct raw_stream *out = client_opens(p, s);
  if (raw_count(&p->source, LITE_STREAM_FETCH) > p->fetches) {
    struct raw_stream *in = raw_incoming(&p->source, LITE_STREAM_FETCH, p->fetches++);
    (void)raw_expect(in, LITE_FETCH);
    source_says_frames(in, &theirs);
  }
  lab_run(&p->lab, LAB_WAIT_MS);
  assert_true(out->fin);
  struct frames ours = frames_of(p->rec.version, slice_of(out->in, out->in_n));
  same_frames(p, &ours, &theirs);
}

/* ---- what is asked of the client ---- */

static void viewer_up(struct play *p)
{
  raw_join(&p->viewer, &p->lab, &p->relay, NULL, LITE_06, &p->viewer_end);
  raw_setup(&p->viewer, 9);
  lab_run(&p->lab, 20);
}

/* The client's groups reach the viewer, whole and the same. */
static void client_groups_come_through(struct play *p)
{
  const struct rec_stream *s;
  unsigned n = 0;
  for (; (s = recording_find(&p->rec, CLIENT, LITE_STREAM_GROUP, n)); n++) {
    struct frames theirs, ours;
    struct lite_group g = group_of(p, s, CLIENT, &theirs);
    raw_fin(client_opens(p, s));
    struct raw_stream *in = raw_incoming(&p->viewer, LITE_STREAM_GROUP, n);
    assert_int_equal(raw_expect(in, LITE_GROUP).group.sequence, g.sequence);
    lab_run(&p->lab, LAB_WAIT_MS);
    assert_true(in->fin);
    ours = frames_of(LITE_06, slice_of(in->in + in->at, in->in_n - in->at));
    same_frames(p, &ours, &theirs);
  }
  assert_true(n >= 2);
}

static void client_datagram_comes_through(struct play *p)
{
  struct slice said = p->rec.datagram[CLIENT];
  struct lite_datagram theirs, ours;
  if (said.n == 0)
    return;
  struct iovec iov = {(void *)(uintptr_t)said.p, said.n};
  p->client.t->ops->send_datagram(p->client.t, &iov, 1);
  lab_run(&p->lab, 20);
  assert_int_equal(p->viewer.datagrams, 1);
  assert_int_equal(lite_datagram_decode(p->rec.version, said, &theirs), 0);
  struct slice got = slice_of(p->viewer.datagram, p->viewer.datagram_n);
  assert_int_equal(lite_datagram_decode(LITE_06, got, &ours), 0);
  assert_int_equal(ours.sequence, theirs.sequence);
  assert_int_equal(ours.timestamp, theirs.timestamp);
  assert_true(slice_eq(ours.payload, theirs.payload));
}

/* In the recordings the server closed its half of TRACK at once, so that no answer came. */
static void client_answers_track(struct play *p)
{
  if (!lite_info(p->rec.version)->track)
    return;
  struct raw_stream *in = relay_opens(p, recording_find(&p->rec, SERVER, LITE_STREAM_TRACK, 0), 0);
  raw_say(in, LITE_TRACK_INFO, &(union lite_body){.track_info = {.max_age = 5000, .timescale = 1000}});
  raw_fin(in);
}

static void viewer_wants_of_client(struct play *p)
{
  const struct rec_stream *s = recording_find(&p->rec, SERVER, LITE_STREAM_SUBSCRIBE, 0);
  if (!s)
    return;
  viewer_up(p);
  struct raw_stream *want = raw_subscribe(&p->viewer, 0, "pubdemo", "t", WANT_LATEST);
  client_answers_track(p);
  struct raw_stream *in = relay_opens(p, s, 0);
  struct slice answer = rec_words(&p->rec, s, CLIENT);
  raw_write(in, answer.p, answer.n, false);
  client_groups_come_through(p);
  client_datagram_comes_through(p);
  assert_int_equal(want->fin, !lite_info(p->rec.version)->subscribe_ok); /* it has said END */
  raw_fin(in);
  lab_run(&p->lab, MISSING_GROUPS_MS);
  assert_true(want->fin && !want->was_reset);
}

/* ---- whole sessions ---- */

/* Ends the client's halves as they ended; nothing of it ends the session. */
static void client_ends_streams(struct play *p)
{
  for (size_t i = 0; i < p->rec.n; i++) {
    const struct said *said = &p->rec.streams[i].by[CLIENT];
    if (said->fin)
      raw_fin(p->played[i]);
    if (said->was_reset)
      raw_reset(p->played[i], LITE_RESET_CANCELLED);
  }
  lab_run(&p->lab, LAB_WAIT_MS);
  assert_false(p->client_end.closed);
}

static void client_asks(struct play *p)
{
  const struct rec_stream *s;
  client_asks_for_tracks(p);
  for (unsigned n = 0; (s = recording_find(&p->rec, CLIENT, LITE_STREAM_PROBE, n)); n++)
    client_opens(p, s);
  for (unsigned n = 0; (s = recording_find(&p->rec, CLIENT, LITE_STREAM_SUBSCRIBE, n)); n++)
    client_subscribes(p, s);
  for (unsigned n = 0; (s = recording_find(&p->rec, CLIENT, LITE_STREAM_FETCH, n)); n++)
    client_fetches(p, s);
}

static void replay(void **state)
{
  static struct play p;
  memset(&p, 0, sizeof p);
  recording_load(&p.rec, *state);
  lab_init(&p.lab);
  node_init(&p.relay, &p.lab);
  if (lite_info(p.rec.version)->legacy_setup)
    p.relay.legacy = 1u << p.rec.version;
  source_up(&p);
  raw_join(&p.client, &p.lab, &p.relay, NULL, p.rec.version, &p.client_end);
  setup(&p);
  client_hears_of_demo(&p);
  client_announces(&p, false);
  client_asks(&p);
  viewer_wants_of_client(&p);
  client_ends_streams(&p);
  client_hears_the_end(&p);
  client_announces(&p, true);
  assert_false(p.client_end.closed);
  lab_destroy(&p.lab);
  node_destroy(&p.relay);
}

#define SESSION(file)                                                                                                  \
  {                                                                                                                    \
    file, replay, NULL, NULL, (void *)(uintptr_t)file                                                                  \
  }

int main(void)
{
  const struct CMUnitTest tests[] = {
      SESSION("session-js-01.json"),   SESSION("session-js-02.json"),   SESSION("session-js-03.json"),
      SESSION("session-js-04.json"),   SESSION("session-js-05.json"),   SESSION("session-rust-01.json"),
      SESSION("session-rust-02.json"), SESSION("session-rust-03.json"), SESSION("session-rust-04.json"),
      SESSION("session-rust-05.json"), SESSION("session-rust-06.json"),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
