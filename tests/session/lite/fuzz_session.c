/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of a whole session. A relay's node has a raw publisher and a raw viewer that are well, and a raw peer
 * that does what the input says: a header (version, end, network, how it begins), then steps, each a byte that says what
 * and its arguments. The well ones must get every group in time, and after everybody has left nothing may be left. */
#include "../../wire/lite/compose.h"
#include "lab.h"
#include "support/fuzz.h"

#define STEPS_MAX 150
#define ROUNDS_MAX 12             /* groups that the well publisher sends at most */
#define STEP_MS 3                 /* passes after each step */
#define TIME_MAX_MS (10u * 60000) /* virtual, of one input */

struct fuzz {
  struct lab lab;
  struct node relay;
  struct raw publisher, viewer, wild;
  struct end publisher_end, viewer_end, wild_end;
  struct raw_stream *up; /* the well publisher's subscription */
  uint64_t up_id;
  unsigned rounds, time_ms;
  bool started; /* the wild session */
};

/* ---- those that are well ---- */

static void run(struct fuzz *f, unsigned ms)
{
  ms = ms < TIME_MAX_MS - f->time_ms ? ms : TIME_MAX_MS - f->time_ms;
  f->time_ms += ms;
  lab_run(&f->lab, ms);
}

/* Each within its own part of the tree: nobody takes over another one's broadcasts. */
static void admit(struct end *e, const char *publish, const char *subscribe)
{
  e->node->publish = publish;
  e->node->subscribe = subscribe;
  check(e->session != NULL);
  if (e->session && end_start(e) < 0)
    lite_session_close(e->session, LITE_CLOSE_INTERNAL, "out of memory");
}

static void well_begin(struct fuzz *f)
{
  static const char *const paths[] = {"room/well"};
  struct lite_subscribe up = {0};
  raw_join(&f->publisher, &f->lab, &f->relay, NULL, LITE_06, &f->publisher_end);
  raw_join(&f->viewer, &f->lab, &f->relay, NULL, LITE_06, &f->viewer_end);
  raw_setup(&f->publisher, 7);
  raw_setup(&f->viewer, 9);
  run(f, 5);
  admit(&f->publisher_end, "room", NULL);
  admit(&f->viewer_end, NULL, "room");
  raw_publish(&f->publisher, 7, paths, 1);
  raw_subscribe(&f->viewer, 0, "room/well", "video", WANT_LATEST);
  raw_answer_track(&f->publisher, 0);
  f->up = raw_hear_subscribe(&f->publisher, 0, &up);
  f->up_id = up.id;
}

/* Whatever others want of the track, the well viewer goes on wanting all that comes. */
static void check_wanted(struct fuzz *f)
{
  enum lite_msg m;
  union lite_body body;
  while (raw_hear(f->up, &m, &body))
    check(m == LITE_SUBSCRIBE_UPDATE && body.subscribe_update.want.group_end == LITE_NONE);
  check(!f->up->fin && !f->up->was_reset && !f->up->stopped);
}

/* A group from the one to the other. */
static void well_round(struct fuzz *f)
{
  if (f->rounds == ROUNDS_MAX || oom_failed())
    return;
  raw_group(&f->publisher, f->up_id, f->rounds, "one two", true);
  struct raw_stream *s = raw_incoming(&f->viewer, LITE_STREAM_GROUP, f->rounds);
  check(s && strcmp(raw_text(s), "one two ") == 0 && s->fin);
  check(!f->publisher.closed && !f->viewer.closed);
  check_wanted(f);
  f->rounds++;
}

/* ---- the wild one ---- */

static struct raw_stream *pick(struct fuzz *f, struct cursor *c)
{
  unsigned n = cursor_u8(c), count = 0;
  list_for_each (it, &f->wild.streams)
    count++;
  n = count > 0 ? n % count : 0;
  list_for_each (it, &f->wild.streams) {
    if (n-- == 0)
      return container_of(it, struct raw_stream, link);
  }
  return NULL;
}

/* Who it is of the two that speak on the stream. */
static enum lite_side side_of(const struct raw_stream *s)
{
  return s->local ? LITE_OPENER : LITE_ACCEPTOR;
}

/* Sometimes less than the whole. */
static void say(struct raw_stream *s, struct cursor *c, enum lite_msg m, uint8_t flags)
{
  struct buf b = {0};
  if (s && compose_message(s->raw->version, m, c, &b) == 0)
    raw_write(s, b.p, (flags & 0xe0) == 0xe0 ? b.n / 2 : b.n, flags & 1);
  buf_destroy(&b);
}

/* What its flow allows, mostly. */
static enum lite_msg choose(const struct raw_stream *s, uint8_t b)
{
  const struct lite_flow *flow = s ? lite_flow(s->raw->version, s->type, side_of(s)) : NULL;
  if (!flow || b >= 0xc0)
    return (enum lite_msg)(b % LITE_MSGS);
  enum lite_msg m = b & 3 ? flow->rest[(b & 3) - 1] : flow->first;
  return m != LITE_UNKNOWN ? m : flow->first;
}

static void step_open(struct fuzz *f, struct cursor *c)
{
  uint8_t flags = cursor_u8(c);
  struct slice bytes = cursor_bytes(c, cursor_u8(c) % 64);
  raw_write(raw_open(&f->wild, flags & 2), bytes.p, bytes.n, flags & 1);
}

static void step_request(struct fuzz *f, struct cursor *c)
{
  enum lite_stream type = (enum lite_stream)(cursor_u8(c) % LITE_STREAMS);
  const struct lite_flow *flow = lite_flow(f->wild.version, type, LITE_OPENER);
  struct buf none = {0};
  uint8_t flags = cursor_u8(c);
  bool there = lite_stream_begin(f->wild.version, type, &none) == 0;
  buf_destroy(&none);
  if (there)
    say(raw_begin(&f->wild, type), c, flow ? flow->first : LITE_UNKNOWN, flags);
}

static void step_say(struct fuzz *f, struct cursor *c)
{
  struct raw_stream *s = pick(f, c);
  uint8_t flags = cursor_u8(c);
  say(s, c, choose(s, cursor_u8(c)), flags);
}

static void step_write(struct fuzz *f, struct cursor *c)
{
  struct raw_stream *s = pick(f, c);
  struct slice bytes = cursor_bytes(c, cursor_u8(c) % 64);
  raw_write(s, bytes.p, bytes.n, false);
}

static void step_frame(struct fuzz *f, struct cursor *c)
{
  static const uint8_t payload[512];
  struct raw_stream *s = pick(f, c);
  uint8_t head[LITE_FRAME_HEADER_MAX], flags = cursor_u8(c);
  uint64_t timestamp = compose_number(c), size = compose_number(c);
  int n = lite_frame_header(f->wild.version, 0, timestamp, size, head);
  if (n < 0)
    return;
  raw_write(s, head, (size_t)n, false);
  raw_write(s, payload, size < sizeof payload && !(flags & 2) ? (size_t)size : flags, flags & 1);
}

static void step_fin(struct fuzz *f, struct cursor *c)
{
  raw_fin(pick(f, c));
}

static void step_reset(struct fuzz *f, struct cursor *c)
{
  struct raw_stream *s = pick(f, c);
  raw_reset(s, compose_number(c));
}

static void step_stop(struct fuzz *f, struct cursor *c)
{
  struct raw_stream *s = pick(f, c);
  raw_stop(s, compose_number(c));
}

static void step_datagram(struct fuzz *f, struct cursor *c)
{
  struct lite_datagram d = {compose_number(c), compose_number(c), compose_number(c), {0}};
  uint8_t head[LITE_DATAGRAM_HEADER_MAX];
  struct slice bytes = cursor_bytes(c, cursor_u8(c) % 64);
  int n = lite_datagram_header(f->wild.version, &d, head);
  struct iovec iov[2] = {{head, n > 0 ? (size_t)n : 0}, {(void *)(uintptr_t)bytes.p, bytes.n}};
  if (f->wild.t && bytes.n > 0)
    f->wild.t->ops->send_datagram(f->wild.t, iov, 2);
}

static void step_credit(struct fuzz *f, struct cursor *c)
{
  uint8_t b = cursor_u8(c);
  if (f->wild.t)
    mem_allow_streams(f->wild.t, b & 1, b >> 4);
  f->wild.deaf = b & 2;
  f->wild.refuse_all = (b & 12) == 12;
}

static void step_time(struct fuzz *f, struct cursor *c)
{
  run(f, (unsigned)cursor_u8(c) * cursor_u8(c));
}

static void step_close(struct fuzz *f, struct cursor *c)
{
  raw_close(&f->wild, compose_number(c));
}

/* The relay's own moves. */
static void step_ours(struct fuzz *f, struct cursor *c)
{
  uint8_t b = cursor_u8(c);
  if (!f->wild_end.session)
    return;
  if (b & 1)
    lite_session_goaway(f->wild_end.session, b & 2 ? "https://other" : "");
  else
    lite_session_close(f->wild_end.session, b >> 4, "enough");
}

static void step_round(struct fuzz *f, struct cursor *c)
{
  (void)c;
  well_round(f);
}

/* ---- an input ---- */

static void wild_begin(struct fuzz *f, struct cursor *c)
{
  struct mem_config config = mem_config_default();
  enum lite_version v = (enum lite_version)(cursor_u8(c) % LITE_VERSIONS);
  uint8_t how = cursor_u8(c), net = cursor_u8(c);
  config.segment = net & 7 ? (net & 7) * (net & 7) : config.segment;
  config.jitter_ns = net & 8 ? 5 * NS_PER_MS : 0;
  config.streams_bidi = net & 16 ? 1 : config.streams_bidi;
  config.streams_uni = net & 32 ? 1 : config.streams_uni;
  config.stream_window = net & 64 ? 40 : config.stream_window;
  config.window = net & 128 ? 300 : config.window;
  (how & 1 ? raw_serve : raw_join)(&f->wild, &f->lab, &f->relay, &config, v, &f->wild_end);
  run(f, STEP_MS);
  const struct lite_version_info *info = lite_info(v);
  if (how & 2)
    return; /* it has no manners */
  if (info->setup_stream)
    raw_setup(&f->wild, how & 4 ? 7 : 11);
  static const uint8_t offer[] = "\x20\x00\x1a\x03\xc0\x00\x00\x00\xff\x0d\xad\x02\xc0\x00\x00\x00\xff\x0d\xad\x01"
                                 "\xc0\x00\x00\x00\xff\x00\x00\x0e";
  if (info->legacy_setup && !(how & 1))
    raw_write(raw_open(&f->wild, true), offer, sizeof offer, false);
}

/* Admission has its answer a step later. */
static void admit_wild(struct fuzz *f)
{
  if (f->started || !f->wild_end.session || !f->wild_end.setup)
    return;
  f->started = true;
  admit(&f->wild_end, "wild", "");
}

static void play(struct fuzz *f, struct cursor *c)
{
  static void (*const steps[])(struct fuzz *, struct cursor *) = {
      step_open, step_request, step_say, step_write,    step_frame,  step_fin,   step_reset, step_stop,
      step_time, step_request, step_say, step_datagram, step_credit, step_close, step_ours,  step_round,
  };
  for (int i = 0; i < STEPS_MAX && cursor_left(c) > 0; i++) {
    uint8_t b = cursor_u8(c);
    steps[b & 15](f, c);
    if (!(b & 16))
      run(f, STEP_MS);
    admit_wild(f);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct fuzz f;
  struct cursor c = cursor_of(slice_of(data, size));
  f = (struct fuzz){0};
  lab_init(&f.lab);
  f.lab.quiet = oom_armed();
  oom_spared = &lab_unlimited;
  node_init(&f.relay, &f.lab);
  f.relay.manual = true;
  well_begin(&f);
  wild_begin(&f, &c);
  play(&f, &c);
  well_round(&f);
  if (size & 1)
    raw_close(&f.wild, LITE_CLOSE_DONE);
  run(&f, 30000);
  f.rounds = f.rounds < ROUNDS_MAX ? f.rounds : ROUNDS_MAX - 1;
  lab_destroy(&f.lab);
  node_destroy(&f.relay);
  return 0;
}
