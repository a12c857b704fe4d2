/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a peer can make a session hold: each bound, at its edge. */
#include "lab.h"
#include "session/lite/internal.h"
#include <stdio.h>
#include <string.h>

static const char *const demo[] = {"demo"};

struct stage {
  struct lab lab;
  struct node relay;
  struct raw publisher, viewer;
  struct end publisher_end, viewer_end;
  struct raw_stream *announce;
};

static void lab_up(struct stage *st)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
}

static void publisher_up(struct stage *st, const struct mem_config *config)
{
  raw_join(&st->publisher, &st->lab, &st->relay, config, LITE_06, &st->publisher_end);
  raw_setup(&st->publisher, 7);
  st->announce = raw_publish(&st->publisher, 7, demo, 1);
}

static void viewer_up(struct stage *st, const struct mem_config *config)
{
  raw_join(&st->viewer, &st->lab, &st->relay, config, LITE_06, &st->viewer_end);
  raw_setup(&st->viewer, 9);
  lab_run(&st->lab, 20);
}

static void stage_down(struct stage *st)
{
  lab_destroy(&st->lab);
  node_destroy(&st->relay);
}

static unsigned reset_streams(struct raw *r, uint64_t code)
{
  unsigned n = 0;
  list_for_each (it, &r->streams) {
    struct raw_stream *s = container_of(it, struct raw_stream, link);
    n += s->was_reset && s->reset_code == code;
  }
  return n;
}

static void groups_under_way_are_bounded(bool credit)
{
  struct stage st;
  struct lite_subscribe up;
  struct mem_config config = mem_config_default();
  config.streams_uni = credit ? 10000 : 2;
  config.stream_window = 1; /* nothing gets through */
  config.window = 3000;
  lab_up(&st);
  st.relay.env.limits.groups = 16;
  publisher_up(&st, NULL);
  viewer_up(&st, &config);
  st.viewer.deaf = true;
  struct lite_want want = *WANT_PAST;
  want.max_age = 1ULL << 50;
  raw_subscribe(&st.viewer, 0, "demo", "video", &want);
  raw_answer_track(&st.publisher, 0);
  raw_hear_subscribe(&st.publisher, 0, &up);
  for (unsigned i = 0; i < 200; i++) {
    raw_group(&st.publisher, up.id, i, "tiny", true);
    lab_run(&st.lab, 10);
  }
  mem_pause(st.viewer.pair->mem, true); /* resets are not heard of any more */
  for (unsigned i = 200; i < 300; i++) {
    raw_group(&st.publisher, up.id, i, "tiny", true);
    lab_run(&st.lab, 10);
  }
  assert_true(st.relay.counts.hits[LIMIT_GROUPS] > 100);
  /* our announce request, SETUP, the SUBSCRIBE stream, and the groups */
  assert_in_range(mem_streams(mem_server(st.viewer.pair->mem)), 1, 40);
  assert_false(st.viewer_end.closed);
  stage_down(&st);
}

static void groups_with_streams_are_bounded(void **state)
{
  groups_under_way_are_bounded(true);
}

static void groups_without_streams_are_bounded(void **state)
{
  groups_under_way_are_bounded(false);
}

static void requests_of_a_peer_are_bounded(void **state)
{
  struct stage st;
  lab_up(&st);
  st.relay.env.limits.requests = 8;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  struct raw_stream *first = NULL;
  for (unsigned i = 0; i < 20; i++) {
    struct raw_stream *s = raw_subscribe(&st.viewer, i, "demo", "video", WANT_LATEST);
    first = first ? first : s;
  }
  lab_run(&st.lab, 100);
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 12);
  assert_int_equal(st.relay.counts.hits[LIMIT_SUBSCRIPTIONS], 12);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 1);
  /* one leaves, one may come */
  raw_fin(first);
  lab_run(&st.lab, 100);
  struct raw_stream *again = raw_subscribe(&st.viewer, 50, "demo", "video", WANT_LATEST);
  struct raw_stream *over = raw_subscribe(&st.viewer, 51, "demo", "video", WANT_LATEST);
  lab_run(&st.lab, 100);
  assert_false(again->was_reset);
  assert_true(over->was_reset);
  stage_down(&st);
}

static void our_requests_do_not_count_against_the_peer(void **state)
{
  struct stage st;
  char name[16];
  lab_up(&st);
  st.relay.env.limits.requests = 8;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  for (unsigned i = 0; i < 7; i++) { /* one more is the viewer's own announce stream */
    snprintf(name, sizeof name, "track%u", i);
    raw_subscribe(&st.viewer, i, "demo", name, WANT_LATEST);
  }
  lab_run(&st.lab, 100);
  struct raw_stream *list = raw_announce_request(&st.publisher, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  stage_down(&st);
}

static void announce_streams_are_bounded(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.streams_bidi = 1000;
  lab_up(&st);
  viewer_up(&st, &config);
  for (unsigned i = 0; i < 100; i++)
    raw_announce_request(&st.viewer, "");
  lab_run(&st.lab, 100);
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 100 - 32);
  assert_int_equal(st.relay.counts.hits[LIMIT_ANNOUNCE_STREAMS], 100 - 32);
  stage_down(&st);
}

static void heard_starts(struct raw_stream *list, unsigned n)
{
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  for (unsigned i = 0; i < n; i++)
    (void)raw_expect(list, LITE_ANNOUNCE_START);
}

/* The first stream tells of everything there is; further ones share a bound. */
static void announce_entries_are_bounded(void **state)
{
  struct stage st;
  char name[16];
  lab_up(&st);
  st.relay.env.limits.announce_entries = 3;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  for (unsigned i = 0; i < 9; i++) {
    snprintf(name, sizeof name, "b%u", i);
    raw_start(st.announce, name, NULL, 0);
  }
  lab_run(&st.lab, 50);
  struct raw_stream *first = raw_announce_request(&st.viewer, "");
  heard_starts(first, 10);
  struct raw_stream *narrow = raw_announce_request(&st.viewer, "b3");
  heard_starts(narrow, 1);
  struct raw_stream *wide = raw_announce_request(&st.viewer, "");
  lab_run(&st.lab, 50);
  assert_true(wide->was_reset);
  assert_int_equal(wide->reset_code, LITE_RESET_OVER_LIMIT);
  assert_int_equal(st.relay.counts.hits[LIMIT_ANNOUNCE_ENTRIES], 1);
  assert_false(first->was_reset || narrow->was_reset || st.viewer_end.closed);
  raw_reset(wide, 0);
  raw_fin(narrow);
  lab_run(&st.lab, 50);
  assert_int_equal(st.viewer_end.session->announce_entries, 0);
  for (unsigned i = 9; i < 30; i++) { /* the only one left takes them all */
    snprintf(name, sizeof name, "b%u", i);
    raw_start(st.announce, name, NULL, 0);
  }
  for (unsigned i = 9; i < 30; i++)
    (void)raw_expect(first, LITE_ANNOUNCE_START);
  stage_down(&st);
}

/* A path that comes and goes while the peer reads nothing leaves nothing behind but its last state. */
static void a_flapping_path_costs_a_slow_peer_nothing(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.stream_window = 10;
  lab_up(&st);
  st.relay.env.limits.queue_bytes = 1 << 20;
  publisher_up(&st, NULL);
  viewer_up(&st, &config);
  raw_announce_request(&st.viewer, "nothing");
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  lab_run(&st.lab, 50);
  st.viewer.deaf = true;
  char filler[200];
  for (unsigned i = 0; i < 300; i++) { /* more than is made ahead of the peer's reading */
    snprintf(filler, sizeof filler, "%0150u", i);
    raw_start(st.announce, filler, NULL, 0);
  }
  lab_run(&st.lab, 50);
  uint64_t id = 301;
  uint32_t before = st.viewer_end.session->announce_entries;
  for (unsigned i = 0; i < 1000; i++) {
    raw_start(st.announce, "flap", NULL, 0);
    raw_unstart(st.announce, "flap", id++);
    lab_run(&st.lab, 1);
  }
  assert_in_range(st.viewer_end.session->announce_entries, before, before + 1);
  assert_false(list->was_reset);
  stage_down(&st);
}

static void requests_that_come_too_fast_wait(void **state)
{
  struct stage st;
  lab_up(&st);
  st.relay.env.limits.requests_per_second = 10; /* 20 at once */
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  struct raw_stream *s[60];
  for (unsigned i = 0; i < 60; i++)
    s[i] = raw_announce_request(&st.viewer, "nobody");
  st.relay.env.limits.announce_streams = 100;
  lab_run(&st.lab, 50);
  unsigned answered = 0;
  for (unsigned i = 0; i < 60; i++)
    answered += s[i]->in_n > 0;
  assert_in_range(answered, 20, 22);
  lab_run(&st.lab, 1000);
  struct raw_stream *waits = NULL;
  answered = 0;
  for (unsigned i = 0; i < 60; i++) {
    answered += s[i]->in_n > 0;
    waits = s[i]->in_n > 0 ? waits : s[i];
  }
  assert_in_range(answered, 30, 32);
  raw_reset(waits, 0);
  lab_run(&st.lab, 3500);
  for (unsigned i = 0; i < 60; i++) {
    if (s[i] != waits)
      (void)raw_expect(s[i], LITE_ANNOUNCE_OK);
  }
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 0);
  assert_true(st.relay.counts.hits[LIMIT_REQUESTS_PER_SECOND] >= 38);
  stage_down(&st);
}

static void what_waits_is_counted_as_the_sessions(void **state)
{
  static const uint8_t long_one[10000] = {0x6f, 0xff};
  struct stage st;
  lab_up(&st);
  st.relay.env.limits.requests_per_second = 1;
  viewer_up(&st, NULL);
  size_t before = lite_session_memory(st.viewer_end.session);
  for (unsigned i = 0; i < 10; i++)
    raw_write(raw_begin(&st.viewer, LITE_STREAM_SUBSCRIBE), long_one, sizeof long_one, false);
  lab_run(&st.lab, 50);
  assert_true(st.viewer_end.session->held_count >= 7);
  assert_in_range(lite_session_memory(st.viewer_end.session) - before, 100000, 110000);
  stage_down(&st);
}

/* A long message that came in pieces leaves nothing behind, nor does one of which the next has begun. */
static void what_has_come_whole_is_let_go(void **state)
{
  enum { SLASHES = 30000 };
  static char path[SLASHES + 5];
  struct stage st;
  struct buf b = {0};
  lab_up(&st);
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  memset(path, '/', SLASHES);
  memcpy(path + SLASHES, "demo", 5);
  struct raw_stream *s[2];
  for (unsigned i = 0; i < 2; i++) {
    union lite_body body = {.subscribe = {i, slice_str(path), slice_str("video"), *WANT_LATEST}};
    b.n = 0;
    assert_int_equal(lite_encode(LITE_06, LITE_SUBSCRIBE, &body, &b), 0);
    buf_u8(&b, 5); /* the length of an update */
    s[i] = raw_begin(&st.viewer, LITE_STREAM_SUBSCRIBE);
    raw_write(s[i], b.p, 10000, false);
    lab_run(&st.lab, 20);
    raw_write(s[i], b.p + 10000, b.n - 10000 - (i == 0), false);
  }
  raw_answer_track(&st.publisher, 0);
  lab_run(&st.lab, 50);
  assert_false(s[0]->was_reset || s[1]->was_reset);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 1);
  assert_int_equal(st.relay.totals.partial_bytes, 1);
  list_for_each (it, &st.viewer_end.session->requests)
    assert_in_range(container_of(it, struct control, link)->in.cap, 0, 1000);
  buf_destroy(&b);
  stage_down(&st);
}

/* To gather all broadcasts again and again is much work for a few bytes. */
static void announce_requests_cost_what_they_gather(void **state)
{
  struct stage st;
  char name[16];
  lab_up(&st);
  st.relay.env.limits.requests_per_second = 10;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  for (unsigned i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "b%u", i);
    raw_start(st.announce, name, NULL, 0);
  }
  lab_run(&st.lab, 50);
  struct raw_stream *s[8];
  for (unsigned i = 0; i < 8; i++)
    s[i] = raw_announce_request(&st.viewer, "");
  lab_run(&st.lab, 50);
  assert_true(s[0]->in_n > 0 && s[3]->in_n > 0); /* a burst of 20, each is worth 6 */
  assert_true(s[4]->in_n == 0 && s[7]->in_n == 0);
  struct raw_stream *narrow = raw_announce_request(&st.viewer, "b3");
  lab_run(&st.lab, 4000);
  for (unsigned i = 0; i < 8; i++)
    (void)raw_expect(s[i], LITE_ANNOUNCE_OK);
  (void)raw_expect(narrow, LITE_ANNOUNCE_OK);
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 0);
  stage_down(&st);
}

/* Those that wait are bounded as well. */
static void a_flood_of_requests_is_refused(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.streams_bidi = 1000;
  lab_up(&st);
  st.relay.env.limits.requests_per_second = 1;
  viewer_up(&st, &config);
  for (unsigned i = 0; i < 500; i++)
    raw_track(&st.viewer, "nobody", "video");
  lab_run(&st.lab, 100);
  assert_in_range(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 500 - 131, 500 - 128);
  assert_false(st.viewer_end.closed);
  stage_down(&st);
}

static void fetches_of_a_peer_are_bounded(bool total)
{
  struct stage st;
  struct raw other;
  struct end other_end;
  lab_up(&st);
  if (total)
    st.relay.env.limits.fetches_total = 4;
  else
    st.relay.env.limits.fetches = 3;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  raw_join(&other, &st.lab, &st.relay, NULL, LITE_06, &other_end);
  raw_setup(&other, 11);
  lab_run(&st.lab, 20);
  for (unsigned i = 0; i < 3; i++)
    raw_fetch(&st.viewer, "demo", "video", i);
  for (unsigned i = 0; i < 2; i++)
    raw_fetch(total ? &other : &st.viewer, "demo", "video", 10 + i);
  lab_run(&st.lab, 50);
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), total ? 0 : 2);
  assert_int_equal(reset_streams(&other, LITE_RESET_OVER_LIMIT), total ? 1 : 0);
  assert_int_equal(st.relay.counts.hits[total ? LIMIT_FETCHES_TOTAL : LIMIT_SESSION_FETCHES], total ? 1 : 2);
  stage_down(&st);
}

static void fetches_of_a_session_are_bounded(void **state)
{
  fetches_of_a_peer_are_bounded(false);
}

static void fetches_of_all_sessions_are_bounded(void **state)
{
  fetches_of_a_peer_are_bounded(true);
}

static void tracks_of_a_publisher_are_bounded(void **state)
{
  struct stage st;
  char name[16];
  lab_up(&st);
  st.relay.env.limits.tracks = 4;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  for (unsigned i = 0; i < 6; i++) {
    snprintf(name, sizeof name, "track%u", i);
    raw_subscribe(&st.viewer, i, "demo", name, WANT_LATEST);
    raw_answer_track(&st.publisher, i);
    lab_run(&st.lab, 20);
  }
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 2);
  assert_int_equal(st.relay.counts.hits[LIMIT_SESSION_TRACKS], 2);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 4);
  stage_down(&st);
}

/* Paths over a limit are not used; those beside them are. */
static void paths_are_bounded(void **state)
{
  struct stage st;
  lab_up(&st);
  st.relay.env.limits.path_parts = 3;
  st.relay.env.limits.path_bytes = 20;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  raw_start(st.announce, "a/b/c/d", NULL, 0);
  raw_start(st.announce, "a-name-of-more-than-20", NULL, 0);
  raw_start(st.announce, "a/b/c", NULL, 0);
  raw_unstart(st.announce, "a/b/c/d", 1); /* ids count all the same */
  lab_run(&st.lab, 50);
  assert_false(st.publisher_end.closed);
  assert_int_equal(st.relay.model.broadcasts_now, 2);
  assert_int_equal(st.relay.counts.hits[LIMIT_PATH_PARTS], 1);
  assert_int_equal(st.relay.counts.hits[LIMIT_PATH_BYTES], 1);
  raw_unstart(st.announce, "a/b/c", 3);
  lab_run(&st.lab, 50);
  assert_int_equal(st.relay.model.broadcasts_now, 1);
  struct raw_stream *list = raw_announce_request(&st.viewer, "1/2/3/4");
  struct raw_stream *track = raw_track(&st.viewer, "1/2/3/4", "video");
  lab_run(&st.lab, 50);
  assert_true(list->was_reset && track->was_reset);
  assert_int_equal(list->reset_code, LITE_RESET_OVER_LIMIT);
  assert_int_equal(st.relay.counts.hits[LIMIT_PATH_PARTS], 3);
  stage_down(&st);
}

/* What one session has begun and not ended keeps no other session from its own. */
static void unfinished_messages_are_bounded(void **state)
{
  static const uint8_t many[6000] = {0x6f, 0xff}; /* a length of 12287, then some of it */
  struct stage st;
  lab_up(&st);
  st.relay.env.limits.partial_bytes = 20000;
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  for (unsigned i = 0; i < 6; i++)
    raw_write(raw_begin(&st.viewer, LITE_STREAM_SUBSCRIBE), many, sizeof many, false);
  lab_run(&st.lab, 50);
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 5); /* one may take half of it */
  assert_int_equal(st.relay.counts.hits[LIMIT_PARTIAL_BYTES], 5);
  assert_in_range(st.relay.totals.partial_bytes, 5000, 10000);
  raw_write(raw_begin(&st.publisher, LITE_STREAM_SUBSCRIBE), many, sizeof many, false); /* another one half of the rest */
  lab_run(&st.lab, 50);
  assert_int_equal(reset_streams(&st.publisher, LITE_RESET_OVER_LIMIT), 0);
  assert_int_equal(st.relay.counts.hits[LIMIT_PARTIAL_BYTES], 5);
  struct raw_stream *half = raw_begin(&st.publisher, LITE_STREAM_ANNOUNCE);
  raw_write(half, "\x01", 1, false);
  lab_run(&st.lab, 50);
  raw_write(half, "\x00", 1, false);
  (void)raw_expect(half, LITE_ANNOUNCE_OK);
  stage_down(&st);
}

static void announced_broadcasts_are_bounded(void **state)
{
  struct stage st;
  char name[16];
  lab_up(&st);
  st.relay.env.limits.announces = 5;
  publisher_up(&st, NULL);
  for (unsigned i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "b%u", i);
    raw_start(st.announce, name, NULL, 0);
  }
  lab_run(&st.lab, 50);
  assert_false(st.publisher_end.closed);
  raw_unstart(st.announce, "demo", 0);
  raw_start(st.announce, "other", NULL, 0);
  lab_run(&st.lab, 50);
  assert_false(st.publisher_end.closed);
  raw_start(st.announce, "sixth", NULL, 0);
  lab_run(&st.lab, 50);
  assert_true(st.publisher_end.closed);
  assert_int_equal(st.publisher_end.code, LITE_CLOSE_INTERNAL);
  assert_int_equal(st.relay.counts.hits[LIMIT_ANNOUNCES], 1);
  stage_down(&st);
}

/* A watcher is told now and then, and how it is in the end. */
static void a_path_that_comes_and_goes_costs_watchers_little(void **state)
{
  struct stage st;
  enum lite_msg m, last = LITE_UNKNOWN;
  union lite_body body;
  unsigned heard = 0;
  lab_up(&st);
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  raw_expect(list, LITE_ANNOUNCE_OK);
  raw_expect(list, LITE_ANNOUNCE_START);
  for (unsigned i = 1; i <= 300; i++) {
    raw_start(st.announce, "flap", NULL, 0);
    if (i < 300)
      raw_unstart(st.announce, "flap", i);
  }
  lab_run(&st.lab, 100);
  while (raw_hear(list, &m, &body)) {
    last = m;
    heard++;
  }
  assert_true(heard >= 1 && heard < 20);
  assert_int_equal(last, LITE_ANNOUNCE_START);
  stage_down(&st);
}

/* A publisher that reads nothing, and a viewer that changes its mind again and again. */
static void control_bytes_of_a_stream_are_bounded(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  lab_up(&st);
  st.relay.env.limits.queue_bytes = 4096;
  publisher_up(&st, &config);
  viewer_up(&st, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  raw_answer_track(&st.publisher, 0);
  raw_hear_subscribe(&st.publisher, 0, NULL);
  lab_run(&st.lab, 50);
  mem_pause(st.publisher.pair->mem, true);
  for (unsigned i = 0; i < 2000 && !sub->was_reset; i++) {
    struct lite_want want = *WANT_LATEST;
    want.priority = (uint8_t)(i % 200);
    raw_say(sub, LITE_SUBSCRIBE_UPDATE, &(union lite_body){.subscribe_update = {want}});
    lab_run(&st.lab, 150);
  }
  assert_int_equal(st.relay.counts.hits[LIMIT_QUEUE_BYTES], 1);
  assert_true(sub->was_reset);
  stage_down(&st);
}

static void control_bytes_nobody_reads(struct stage *st, unsigned lists)
{
  struct mem_config config = mem_config_default();
  config.stream_window = 10;
  char name[64];
  lab_up(st);
  st->relay.env.limits.session_queue_bytes = 4096;
  publisher_up(st, NULL);
  viewer_up(st, &config);
  for (unsigned i = 0; i < lists; i++)
    raw_announce_request(&st->viewer, "");
  lab_run(&st->lab, 50);
  st->viewer.deaf = true;
  for (unsigned i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "a-rather-long-name-for-a-broadcast/%u", i);
    raw_start(st->announce, name, NULL, 0);
  }
  lab_run(&st->lab, 100);
  assert_false(st->viewer_end.closed);
}

static void control_bytes_of_a_session_are_bounded(void **state)
{
  struct stage st;
  control_bytes_nobody_reads(&st, 8);
  assert_in_range(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 1, 8);
  assert_true(st.relay.counts.hits[LIMIT_SESSION_QUEUE_BYTES] > 0);
  stage_down(&st);
}

/* However much is announced: it waits until the peer has read. */
static void announcements_alone_are_within_bounds(void **state)
{
  struct stage st;
  control_bytes_nobody_reads(&st, 1);
  assert_int_equal(reset_streams(&st.viewer, LITE_RESET_OVER_LIMIT), 0);
  assert_int_equal(st.relay.counts.hits[LIMIT_SESSION_QUEUE_BYTES], 0);
  stage_down(&st);
}

static void messages_are_bounded(void **state)
{
  struct stage st;
  lab_up(&st);
  st.relay.env.limits.message_bytes = 1000;
  viewer_up(&st, NULL);
  struct raw_stream *s = raw_begin(&st.viewer, LITE_STREAM_ANNOUNCE);
  raw_write(s, "\x43\xe9", 2, false); /* 1001 bytes to come */
  lab_run(&st.lab, 50);
  assert_true(s->was_reset && s->stopped);
  assert_int_equal(s->reset_code, LITE_RESET_MALFORMED);
  assert_int_equal(st.relay.counts.hits[LIMIT_MESSAGE_BYTES], 1);
  assert_false(st.viewer_end.closed);
  stage_down(&st);
}

static void what_is_begun_has_a_deadline(void **state)
{
  static const char *const begun[] = {"\x40", "\x01", "\x02\x20\x00\x04", "\x03\x10", "\x05\x05x", "\x06"};
  struct stage st;
  struct raw_stream *s[6], *half, *update;
  lab_up(&st);
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  update = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  lab_run(&st.lab, 50);
  raw_answer_track(&st.publisher, 0);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  for (unsigned i = 0; i < 6; i++) {
    s[i] = raw_open(&st.viewer, true);
    raw_write(s[i], begun[i], i == 2 ? 4 : strlen(begun[i]), false);
  }
  half = raw_open(&st.viewer, false);
  raw_write(half, "\x00\x03\x01", 3, false);
  raw_write(update, "\x09\x01", 2, false);
  lab_run(&st.lab, 9000);
  for (unsigned i = 0; i < 6; i++)
    assert_false(s[i]->was_reset);
  lab_run(&st.lab, 2000);
  for (unsigned i = 0; i < 6; i++) {
    assert_true(s[i]->was_reset && s[i]->stopped);
    assert_int_equal(s[i]->reset_code, LITE_RESET_CONTROL_TIMEOUT);
  }
  assert_true(half->stopped);
  assert_int_equal(st.relay.counts.hits[LIMIT_MESSAGE_TIMEOUT], 8);
  assert_int_equal(half->stop_code, LITE_RESET_CONTROL_TIMEOUT);
  assert_true(update->was_reset);
  assert_false(list->was_reset || st.viewer_end.closed);
  stage_down(&st);
}

static void requests_wait_for_streams_but_not_for_ever(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.streams_bidi = 1; /* our ANNOUNCE_REQUEST takes it */
  lab_up(&st);
  publisher_up(&st, &config);
  viewer_up(&st, NULL);
  struct raw_stream *info = raw_track(&st.viewer, "demo", "video");
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "audio", WANT_LATEST);
  lab_run(&st.lab, 100);
  assert_false(info->was_reset || sub->was_reset);
  lab_run(&st.lab, 10500);
  assert_true(info->was_reset && sub->was_reset);
  assert_int_equal(info->reset_code, LITE_RESET_CONTROL_TIMEOUT);
  assert_int_equal(sub->reset_code, LITE_RESET_CONTROL_TIMEOUT);
  /* credit comes: what nobody waits for is not asked */
  mem_allow_streams(st.publisher.t, true, 10);
  lab_run(&st.lab, 100);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_TRACK), 0);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 0);
  info = raw_track(&st.viewer, "demo", "video");
  raw_answer_track(&st.publisher, 0);
  (void)raw_expect(info, LITE_TRACK_INFO);
  stage_down(&st);
}

/* Versions without TRACK: SUBSCRIBE_OK alone tells that somebody is there. */
static void a_subscription_without_an_answer_ends(void **state)
{
  struct stage st;
  lab_up(&st);
  raw_join(&st.publisher, &st.lab, &st.relay, NULL, LITE_04, &st.publisher_end);
  struct raw_stream *list = raw_incoming(&st.publisher, LITE_STREAM_ANNOUNCE, 0);
  raw_say(list, LITE_ANNOUNCE, &(union lite_body){.announce = {LITE_ACTIVE, slice_str("demo"), {1, {7}}}});
  viewer_up(&st, NULL);
  struct raw_stream *quiet = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  struct raw_stream *silent = raw_subscribe(&st.viewer, 1, "demo", "audio", WANT_LATEST);
  struct raw_stream *up = raw_hear_subscribe(&st.publisher, 0, NULL);
  union lite_body ok = {.subscribe_ok = {.group_start = LITE_NONE, .group_end = LITE_NONE}};
  raw_say(up, LITE_SUBSCRIBE_OK, &ok);
  lab_run(&st.lab, 9000);
  assert_false(silent->was_reset);
  lab_run(&st.lab, 2000);
  assert_true(silent->was_reset);
  assert_int_equal(silent->reset_code, LITE_RESET_CONTROL_TIMEOUT);
  assert_false(quiet->was_reset);
  stage_down(&st);
}

static void a_fetch_that_stops_half_way_ends(void **state)
{
  struct stage st;
  lab_up(&st);
  publisher_up(&st, NULL);
  viewer_up(&st, NULL);
  struct raw_stream *f = raw_fetch(&st.viewer, "demo", "video", 3);
  struct raw_stream *up = raw_incoming(&st.publisher, LITE_STREAM_FETCH, 0);
  for (int i = 0; i < 3; i++) { /* slow, but it goes on */
    raw_frames(up, 1, "x", false);
    lab_run(&st.lab, 8000);
    assert_false(f->was_reset);
  }
  lab_run(&st.lab, 3000);
  assert_true(f->was_reset);
  assert_int_equal(f->reset_code, LITE_RESET_CONTROL_TIMEOUT);
  assert_true(up->was_reset && up->stopped);
  stage_down(&st);
}

static void requests_that_waited_go_out_in_order(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.streams_bidi = 1;
  lab_up(&st);
  publisher_up(&st, &config);
  viewer_up(&st, NULL);
  raw_track(&st.viewer, "demo", "a");
  raw_track(&st.viewer, "demo", "b");
  struct raw_stream *left = raw_subscribe(&st.viewer, 0, "demo", "c", WANT_LATEST);
  lab_run(&st.lab, 100);
  raw_fin(left);
  lab_run(&st.lab, 3000);
  mem_allow_streams(st.publisher.t, true, 10);
  struct raw_stream *s = raw_incoming(&st.publisher, LITE_STREAM_TRACK, 0);
  assert_true(slice_eq(raw_expect(s, LITE_TRACK).track.track, slice_str("a")));
  s = raw_incoming(&st.publisher, LITE_STREAM_TRACK, 1);
  assert_true(slice_eq(raw_expect(s, LITE_TRACK).track.track, slice_str("b")));
  lab_run(&st.lab, 100);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 0);
  stage_down(&st);
}

static void a_probe_of_an_idle_session_costs_little(void **state)
{
  struct stage st;
  lab_up(&st);
  viewer_up(&st, NULL);
  raw_begin(&st.viewer, LITE_STREAM_PROBE);
  lab_run(&st.lab, 20000);
  unsigned long before = st.lab.turns;
  lab_run(&st.lab, 100000);
  assert_in_range(st.lab.turns - before, 1, 150); /* 10 reports and their acknowledgements, not 1000 looks */
  stage_down(&st);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(groups_with_streams_are_bounded),
      cmocka_unit_test(groups_without_streams_are_bounded),
      cmocka_unit_test(requests_of_a_peer_are_bounded),
      cmocka_unit_test(our_requests_do_not_count_against_the_peer),
      cmocka_unit_test(announce_streams_are_bounded),
      cmocka_unit_test(announce_entries_are_bounded),
      cmocka_unit_test(a_flapping_path_costs_a_slow_peer_nothing),
      cmocka_unit_test(requests_that_come_too_fast_wait),
      cmocka_unit_test(what_waits_is_counted_as_the_sessions),
      cmocka_unit_test(what_has_come_whole_is_let_go),
      cmocka_unit_test(announce_requests_cost_what_they_gather),
      cmocka_unit_test(a_flood_of_requests_is_refused),
      cmocka_unit_test(fetches_of_a_session_are_bounded),
      cmocka_unit_test(fetches_of_all_sessions_are_bounded),
      cmocka_unit_test(tracks_of_a_publisher_are_bounded),
      cmocka_unit_test(paths_are_bounded),
      cmocka_unit_test(unfinished_messages_are_bounded),
      cmocka_unit_test(announced_broadcasts_are_bounded),
      cmocka_unit_test(a_path_that_comes_and_goes_costs_watchers_little),
      cmocka_unit_test(control_bytes_of_a_stream_are_bounded),
      cmocka_unit_test(control_bytes_of_a_session_are_bounded),
      cmocka_unit_test(announcements_alone_are_within_bounds),
      cmocka_unit_test(messages_are_bounded),
      cmocka_unit_test(what_is_begun_has_a_deadline),
      cmocka_unit_test(requests_wait_for_streams_but_not_for_ever),
      cmocka_unit_test(a_subscription_without_an_answer_ends),
      cmocka_unit_test(a_fetch_that_stops_half_way_ends),
      cmocka_unit_test(requests_that_waited_go_out_in_order),
      cmocka_unit_test(a_probe_of_an_idle_session_costs_little),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
