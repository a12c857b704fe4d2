/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Peers that say what no peer says. Whatever they do, others go on, and nothing is left when they have gone. */
#include "base/rng.h"
#include "lab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const demo[] = {"demo"};

struct stage {
  struct lab lab;
  struct node relay;
  struct raw publisher, viewer, peer, fan; /* the fan wants what the peer has */
  struct end publisher_end, viewer_end, peer_end, fan_end;
  struct raw_stream *up, *sub;
  struct lite_subscribe upstream;
  uint64_t next_group;
  unsigned heard;
};

/* A publisher and a viewer that behave, and a third that may publish below "evil" and watch everything. */
static void stage_up(struct stage *st, enum lite_version v, const struct mem_config *config)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
  raw_join(&st->publisher, &st->lab, &st->relay, NULL, LITE_06, &st->publisher_end);
  raw_setup(&st->publisher, 7);
  raw_publish(&st->publisher, 7, demo, 1);
  raw_join(&st->viewer, &st->lab, &st->relay, NULL, LITE_06, &st->viewer_end);
  raw_setup(&st->viewer, 9);
  st->sub = raw_subscribe(&st->viewer, 0, "demo", "video", WANT_LATEST);
  raw_answer_track(&st->publisher, 0);
  st->up = raw_hear_subscribe(&st->publisher, 0, &st->upstream);
  st->next_group = 0;
  st->heard = 0;
  raw_join(&st->fan, &st->lab, &st->relay, NULL, LITE_06, &st->fan_end);
  raw_setup(&st->fan, 10);
  st->relay.publish = "evil";
  raw_join(&st->peer, &st->lab, &st->relay, config, v, &st->peer_end);
}

static void others_go_on(struct stage *st)
{
  raw_group(&st->publisher, st->upstream.id, st->next_group++, "still here", true);
  struct raw_stream *g = raw_incoming(&st->viewer, LITE_STREAM_GROUP, st->heard++);
  assert_non_null(g);
  assert_string_equal(raw_text(g), "still here ");
  assert_false(st->publisher_end.closed || st->viewer_end.closed || st->sub->was_reset);
}

static void stage_down(struct stage *st)
{
  others_go_on(st);
  lab_destroy(&st->lab);
  node_destroy(&st->relay);
}

/* ---- one breach each ---- */

struct breach {
  const char *bytes;
  size_t n;
  bool bidi, fin, ends_session;
};
#define BREACH(bytes, ...)                                                                                             \
  {                                                                                                                    \
    (bytes), sizeof(bytes) - 1, __VA_ARGS__                                                                            \
  }

static const struct breach breaches[] = {
    BREACH("\x00", true, true),          /* session stream of another age */
    BREACH("\x20\x00\x04", true, false), /* legacy setup */
    BREACH("\x07\x00", true, true),      /* types of nobody */
    BREACH("\x40\x2a", true, false),
    BREACH("\x02\x00", false, false),
    BREACH("\x3f", false, true),
    BREACH("\x80", true, true), /* half a type */
    BREACH("\x80\x00", false, true),
    BREACH("", true, true),
    BREACH("", false, true),
    BREACH("\x01", true, true), /* nothing after the type */
    BREACH("\x02", true, true),
    BREACH("\x03", true, true),
    BREACH("\x05", true, true),
    BREACH("\x06", true, true),
    BREACH("\x00", false, true),
    BREACH("\x01\x05\x04"
           "ab",
           true, true),                  /* cut inside */
    BREACH("\x01\x01\x04", true, false), /* a string longer than its message */
    BREACH("\x01\x03\x01"
           "ab",
           true, false),                         /* more than its fields */
    BREACH("\x01\x03\x02\xff\xfe", true, false), /* no UTF-8 */
    BREACH("\x01\x01\x00\x01\x00", true, false), /* a second request */
    BREACH("\x06\x05\x01"
           "a\x01"
           "b\x00\x00",
           true, false),
    BREACH("\x03\x08\x01"
           "a\x01"
           "b\x01\x00\x05\x02",
           true, false), /* frame end before frame start */
    BREACH("\x02\x0b\x00\x01"
           "a\x01"
           "b\x01\x00\x00\x00\x00\x04",
           true, false),                                         /* frame end without group end */
    BREACH("\x02\xff\xff\xff\xff\xff\xff\xff\xff", true, false), /* lengths without end */
    BREACH("\x05\x80\x00\x40\x00", true, false),
    BREACH("\x00\x03\x7f\x00\x00", false, false), /* a group that nobody asked for */
    BREACH("\x00\x01\x00", false, false),         /* GROUP cut short */
    BREACH("\x00\x7f", false, false),
    BREACH("\x01\x01\x00", false, true, true), /* a second SETUP */
};

static void one_breach(enum lite_version v, const struct breach *b, bool bytewise)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  if (bytewise)
    config.segment = 1;
  stage_up(&st, v, &config);
  raw_setup(&st.peer, 66);
  lab_run(&st.lab, 50);
  struct raw_stream *s = raw_open(&st.peer, b->bidi);
  raw_write(s, b->bytes, b->n, b->fin);
  lab_run(&st.lab, 50);
  lab_run(&st.lab, 11000); /* deadlines included */
  assert_int_equal(st.peer_end.closed, b->ends_session);
  if (!b->ends_session) {
    assert_true(b->bidi ? s->was_reset : s->stopped || b->fin);
    raw_reset(s, 0);
    lab_run(&st.lab, 50);
    assert_null(s->st);
  }
  stage_down(&st);
}

static void each_breach_costs_its_stream(void **state)
{
  for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
    one_breach(LITE_06, &breaches[i], false);
    one_breach(LITE_06, &breaches[i], true);
  }
}

static void frames_that_do_not_fit(void **state)
{
  static const struct {
    const char *bytes;
    size_t n;
    uint64_t code;
  } bad[] = {
      {"\x01\x00", 2, LITE_RESET_TIMESTAMP}, /* before 0 */
      {"\x00\xc0\x00\x00\x00\x10\x00\x00\x00", 9, LITE_RESET_FRAME_TOO_LARGE},
      {"\xff\xff\xff\xff\xff\xff\xff\xff\x00", 9, LITE_RESET_TIMESTAMP},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct stage st;
    stage_up(&st, LITE_06, NULL);
    struct raw_stream *g = raw_request(&st.publisher, LITE_STREAM_GROUP, LITE_GROUP,
                                       &(union lite_body){.group = {st.upstream.id, st.next_group++, 0}});
    raw_frames(g, 0, "fine", false);
    struct raw_stream *out = raw_incoming(&st.viewer, LITE_STREAM_GROUP, st.heard++);
    assert_non_null(out);
    raw_write(g, "\x01\x00", 2, false); /* -1: back to nothing is no error at 0 + 0 - 1 */
    raw_write(g, bad[i].bytes, bad[i].n, false);
    lab_run(&st.lab, 50);
    assert_true(g->stopped);
    assert_true(out->was_reset);
    stage_down(&st);
  }
}

static void a_group_of_too_many_frames_is_cut(void **state)
{
  struct stage st;
  static char many[2 * 9000];
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *g = raw_request(&st.publisher, LITE_STREAM_GROUP, LITE_GROUP,
                                     &(union lite_body){.group = {st.upstream.id, st.next_group++, 0}});
  raw_write(g, many, 10, false);
  lab_run(&st.lab, 50);
  raw_write(g, many, sizeof many, false);
  lab_run(&st.lab, 500);
  assert_true(g->stopped);
  assert_int_equal(g->stop_code, LITE_RESET_GROUP_TOO_LARGE);
  struct raw_stream *out = raw_incoming(&st.viewer, LITE_STREAM_GROUP, st.heard++);
  assert_non_null(out);
  assert_true(out->was_reset);
  assert_int_equal(out->reset_code, LITE_RESET_GROUP_TOO_LARGE);
  stage_down(&st);
}

/* ---- at random ---- */

struct chaos {
  struct stage st;
  struct rng rng;
  uint64_t state, fan_id;
};

static uint64_t pick(struct chaos *c, uint64_t n)
{
  return rng_below(&c->rng, n);
}

static const char *some_path(struct chaos *c)
{
  static const char *const paths[] = {"", "demo", "evil", "evil/a", "evil/b", "demo/x", "//", "evil//c/"};
  return paths[pick(c, sizeof paths / sizeof *paths)];
}

static uint64_t some_number(struct chaos *c)
{
  static const uint64_t edges[] = {0, 1, 2, 3, 63, 64, (1ULL << 53), (1ULL << 62) - 1};
  return edges[pick(c, sizeof edges / sizeof *edges)];
}

static struct raw_stream *some_stream(struct chaos *c)
{
  struct raw *r = &c->st.peer;
  uint64_t n = pick(c, 40);
  struct raw_stream *s = NULL;
  for (struct list *it = r->streams.prev; it != &r->streams; it = it->prev) {
    s = container_of(it, struct raw_stream, link);
    if (s->st && n-- == 0)
      return s;
  }
  return s;
}

static void some_bytes(struct chaos *c, struct raw_stream *s)
{
  uint8_t bytes[4000];
  size_t n = pick(c, pick(c, 8) ? 24 : sizeof bytes);
  rng_fill(&c->rng, bytes, sizeof bytes);
  if (s && s->st && (s->local || s->bidi) && !s->out.fin)
    raw_write(s, bytes, n, pick(c, 4) == 0);
}

static void some_request(struct chaos *c)
{
  struct raw *r = &c->st.peer;
  struct lite_want want = *WANT_LATEST;
  want.group_start = some_number(c);
  want.max_age = some_number(c);
  switch (pick(c, 8)) {
  case 0:
    raw_announce_request(r, some_path(c));
    break;
  case 1:
    raw_subscribe(r, some_number(c), some_path(c), pick(c, 2) ? "video" : "x", &want);
    break;
  case 2:
    raw_track(r, some_path(c), pick(c, 2) ? "video" : "y");
    break;
  case 3:
    raw_fetch(r, some_path(c), "video", some_number(c));
    break;
  case 4: {
    struct raw_stream *g = raw_group(r, pick(c, 4), some_number(c), "a b", false);
    if (pick(c, 2))
      raw_write(g, "\x00\x60\x00", 3, false); /* a large frame, of which some comes later or never */
    else if (pick(c, 2))
      raw_fin(g);
    break;
  }
  case 5:
    raw_begin(r, LITE_STREAM_PROBE);
    break;
  case 6:
    raw_datagram(r, some_number(c), some_number(c), pick(c, 1000), "d");
    break;
  default:
    some_bytes(c, raw_open(r, pick(c, 2)));
  }
}

/* As the relay's peer on its announce stream: mostly legal, so that what follows is reached. */
static void some_announcement(struct chaos *c)
{
  struct raw *r = &c->st.peer;
  struct raw_stream *a = NULL;
  list_for_each (it, &r->streams) {
    struct raw_stream *s = container_of(it, struct raw_stream, link);
    if (!s->local && s->bidi && s->in_n > 0 && s->in[0] == 1)
      a = s;
  }
  if (!a || a->out.fin)
    return;
  if (a->out.held == 0 && pick(c, 2))
    raw_say(a, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {66, 0}});
  uint64_t hops[2] = {100 + pick(c, 3), 200};
  if (pick(c, 3))
    raw_start(a, some_path(c), hops, pick(c, 3));
  else
    raw_unstart(a, some_path(c), pick(c, 4));
}

/* Answers to what the relay asks of it. */
static void some_answer(struct chaos *c)
{
  struct raw_stream *s = some_stream(c);
  if (!s || s->local || !s->bidi || s->in_n == 0 || s->out.fin)
    return;
  union lite_body info = {.track_info = {.priority = 1, .max_age = some_number(c), .timescale = 1000}};
  if (s->in[0] == 6)
    raw_say(s, LITE_TRACK_INFO, &info);
  else if (s->in[0] == 2)
    raw_say(s, pick(c, 2) ? LITE_SUBSCRIBE_START : LITE_SUBSCRIBE_END,
            &(union lite_body){.subscribe_end = {some_number(c)}});
  else if (s->in[0] == 3)
    raw_frames(s, 5, "f g", pick(c, 2));
}

static void some_interest(struct chaos *c)
{
  struct raw *fan = &c->st.fan;
  struct lite_want want = pick(c, 2) ? *WANT_LATEST : *WANT_PAST;
  switch (pick(c, 5)) {
  case 0:
    raw_track(fan, some_path(c), "video");
    break;
  case 1:
    raw_fetch(fan, some_path(c), "video", some_number(c));
    break;
  case 2: {
    struct raw_stream *last = container_of(fan->streams.prev, struct raw_stream, link);
    if (last->local && last->st && !last->out.fin)
      raw_fin(last);
    break;
  }
  default:
    raw_subscribe(fan, ++c->fan_id, some_path(c), "video", &want);
  }
}

static void some_act(struct chaos *c)
{
  struct raw_stream *s = some_stream(c);
  switch (pick(c, 12)) {
  case 0:
    raw_reset(s, some_number(c) & 0xff);
    break;
  case 1:
    raw_stop(s, some_number(c) & 0xff);
    break;
  case 2:
    if (s && !s->out.fin && (s->local || s->bidi))
      raw_fin(s);
    break;
  case 3:
    if (s && (s->local || pick(c, 8) == 0)) /* on what the relay opened it mostly ends the session */
      some_bytes(c, s);
    break;
  case 4:
  case 5:
    some_announcement(c);
    break;
  case 6:
  case 7:
    some_answer(c);
    break;
  case 8:
    some_interest(c);
    break;
  default:
    some_request(c);
  }
}

static void one_chaos(uint64_t seed)
{
  struct chaos c = {.state = seed};
  struct mem_config config = mem_config_default();
  c.rng = rng_seeded(&c.state);
  config.seed = seed;
  config.jitter_ns = pick(&c, 3) * NS_PER_MS;
  config.segment = 1 + pick(&c, 40);
  config.streams_bidi = 3 + pick(&c, 40);
  config.streams_uni = 3 + pick(&c, 40);
  config.stream_window = 1000;
  stage_up(&c.st, (enum lite_version)(LITE_05 + pick(&c, 3)), &config);
  if (pick(&c, 3) == 0)
    c.st.relay.model.cache.capacity = 60000; /* what the others need fits */
  c.st.lab.quiet = true;                     /* some of it cannot even be encoded */
  if (pick(&c, 8))
    raw_setup(&c.st.peer, pick(&c, 2) ? 66 : 0);
  for (unsigned i = 0; i < 150 && !c.st.peer.closed; i++) {
    some_act(&c);
    if (pick(&c, 2))
      lab_run(&c.st.lab, pick(&c, 20) ? pick(&c, 30) : 3000);
  }
  if (pick(&c, 2))
    raw_close(&c.st.peer, pick(&c, 4));
  else if (pick(&c, 2))
    mem_kill(c.st.peer.pair->mem);
  stage_down(&c.st);
}

static void random_peers(void **state)
{
  const char *first = getenv("HOSTILE_SEED"), *runs = getenv("HOSTILE_RUNS");
  uint64_t from = first ? strtoull(first, NULL, 10) : 1, n = runs ? strtoull(runs, NULL, 10) : 300;
  for (uint64_t seed = from; seed < from + n; seed++) {
    if (getenv("HOSTILE_TALK"))
      fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    one_chaos(seed);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_breach_costs_its_stream),
      cmocka_unit_test(frames_that_do_not_fit),
      cmocka_unit_test(a_group_of_too_many_frames_is_cut),
      cmocka_unit_test(random_peers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
