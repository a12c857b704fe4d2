/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How sessions begin and end: SETUP, admission, what comes too early, GOAWAY, PROBE. */
#include "lab.h"
#include <string.h>

struct stage {
  struct lab lab;
  struct node relay;
  struct raw peer;
  struct end end;
};

static void stage_up(struct stage *st, const struct mem_config *config)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
  raw_join(&st->peer, &st->lab, &st->relay, config, LITE_06, &st->end);
}

static void stage_down(struct stage *st)
{
  lab_destroy(&st->lab);
  assert_true(st->end.closed);
  node_destroy(&st->relay);
}

static void closed_with(struct stage *st, uint64_t code)
{
  lab_run(&st->lab, 50);
  assert_true(st->end.closed && !st->end.by_peer);
  assert_int_equal(st->end.code, code);
  assert_true(st->peer.closed);
  assert_int_equal(st->peer.code, code);
}

static void our_setup_comes_first_and_ends(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  struct raw_stream *s = raw_incoming(&st.peer, LITE_STREAM_SETUP, 0);
  assert_non_null(s);
  union lite_body body = raw_expect(s, LITE_SETUP);
  assert_int_equal(body.setup.hop, st.relay.model.hop_id);
  assert_int_equal(body.setup.probe, 1);
  assert_true(s->fin);
  assert_false(st.end.setup);
  stage_down(&st);
}

static void the_path_of_setup_reaches_admission(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  struct lite_setup setup = LITE_SETUP_INIT;
  setup.path = slice_str("/room?jwt=abc");
  struct raw_stream *s = raw_request(&st.peer, LITE_STREAM_SETUP, LITE_SETUP, &(union lite_body){.setup = setup});
  raw_fin(s);
  lab_run(&st.lab, 20);
  assert_true(st.end.setup);
  assert_string_equal(st.end.path, "/room?jwt=abc");
  stage_down(&st);
}

/* What follows could be a token. */
static void a_path_does_not_end_at_a_nul(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  struct lite_setup setup = LITE_SETUP_INIT;
  setup.path = slice_of("/anon\0?jwt=abc", 14);
  raw_fin(raw_request(&st.peer, LITE_STREAM_SETUP, LITE_SETUP, &(union lite_body){.setup = setup}));
  closed_with(&st, LITE_CLOSE_PROTOCOL);
  assert_false(st.end.setup);
  stage_down(&st);
}

static void a_byte_at_a_time(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.segment = 1;
  stage_up(&st, &config);
  raw_setup(&st.peer, 5);
  struct raw_stream *s = raw_announce_request(&st.peer, "");
  assert_int_equal(raw_expect(s, LITE_ANNOUNCE_OK).announce_ok.active, 0);
  struct raw_stream *probe = raw_open(&st.peer, true); /* types may be longer than they need */
  raw_write(probe, "\x80\x00\x00\x04", 4, false);
  lab_run(&st.lab, 50);
  assert_true(probe->in_n > 0);
  struct raw_stream *group = raw_open(&st.peer, false);
  raw_write(group, "\x40\x00", 2, false);
  lab_run(&st.lab, 50);
  assert_false(group->stopped);
  stage_down(&st);
}

static void no_setup_in_time_closes(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_announce_request(&st.peer, "");
  lab_run(&st.lab, 9000);
  assert_false(st.end.closed);
  lab_run(&st.lab, 1000);
  closed_with(&st, LITE_CLOSE_CONTROL_TIMEOUT);
  stage_down(&st);
}

static void half_a_setup_closes(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  struct raw_stream *s = raw_open(&st.peer, false);
  raw_write(s, "\x01\x05\x01", 3, false);
  lab_run(&st.lab, 10000);
  closed_with(&st, LITE_CLOSE_CONTROL_TIMEOUT);
  stage_down(&st);
}

static void no_admission_in_time_closes(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  st.relay.manual = true;
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 9000);
  assert_true(st.end.setup && !st.end.closed);
  lab_run(&st.lab, 2000);
  closed_with(&st, LITE_CLOSE_INTERNAL);
  stage_down(&st);
}

static void a_started_session_has_no_deadline(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 100000);
  assert_false(st.end.closed);
  stage_down(&st);
}

static void setups_that_are_violations(void **state)
{
  static const struct {
    const char *bytes;
    size_t n;
    bool fin;
  } bad[] = {
      {"\x01\x01\x00\x00", 4, false},                    /* more after it */
      {"\x01\x02\x00\x00", 4, false},                    /* not consumed whole */
      {"\x01\x07\x02\x05\x01\x07\x05\x01\x07", 9, true}, /* an id twice */
      {"\x01\x05\x01", 3, true},                         /* cut */
      {"\x01", 1, true},                                 /* empty */
      {"\x01\x80\x02\x00\x01", 5, false},                /* too long */
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct stage st;
    stage_up(&st, NULL);
    struct raw_stream *s = raw_open(&st.peer, false);
    raw_write(s, bad[i].bytes, bad[i].n, bad[i].fin);
    lab_run(&st.lab, 20);
    if (i == 0) /* seen with the next bytes */
      raw_write(s, "\x00", 1, true);
    closed_with(&st, LITE_CLOSE_PROTOCOL);
    stage_down(&st);
  }
}

static void a_second_setup_is_a_violation_from_its_first_byte(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 20);
  raw_begin(&st.peer, LITE_STREAM_SETUP);
  closed_with(&st, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

static void setup_reset_is_a_violation(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  struct raw_stream *s = raw_begin(&st.peer, LITE_STREAM_SETUP);
  lab_run(&st.lab, 20);
  raw_reset(s, 1);
  closed_with(&st, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

static void what_overtakes_setup_waits_for_it(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  st.relay.manual = true;
  struct raw_stream *list = raw_announce_request(&st.peer, "");
  struct raw_stream *info = raw_track(&st.peer, "no", "where");
  struct raw_stream *gone = raw_track(&st.peer, "no", "where");
  struct raw_stream *stopped = raw_track(&st.peer, "no", "where");
  struct raw_stream *unknown = raw_open(&st.peer, true);
  raw_write(unknown, "\x2a", 1, false);
  lab_run(&st.lab, 50);
  raw_reset(gone, 1);
  raw_stop(stopped, 1);
  lab_run(&st.lab, 50);
  assert_true(gone->was_reset);
  assert_null(gone->st);
  assert_true(unknown->was_reset && unknown->stopped);
  assert_true(raw_silent(list) && !info->was_reset);
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 50);
  assert_true(raw_silent(list));
  assert_int_equal(end_start(&st.end), 0);
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  assert_true(info->was_reset);
  assert_int_equal(info->reset_code, LITE_RESET_UNROUTABLE);
  stage_down(&st);
}

static void what_overtakes_setup_is_bounded(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.streams_uni = 1000;
  stage_up(&st, &config);
  unsigned refused = 0;
  static char big[20000];
  struct raw_stream *large = raw_group(&st.peer, 0, 0, "x", false);
  raw_write(large, big, sizeof big, false);
  lab_run(&st.lab, 50);
  assert_true(large->stopped);
  for (unsigned i = 0; i < 300; i++)
    raw_group(&st.peer, 0, i, "x", false);
  lab_run(&st.lab, 100);
  list_for_each (it, &st.peer.streams)
    refused += container_of(it, struct raw_stream, link)->stopped;
  assert_in_range(refused, 150, 200);
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 100);
  assert_false(st.end.closed);
  stage_down(&st);
}

static void a_session_may_be_refused_from_inside_its_setup(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  st.relay.manual = true;
  raw_announce_request(&st.peer, "");
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 20);
  lite_session_close(st.end.session, LITE_CLOSE_UNAUTHORIZED, "unauthorized");
  lite_session_close(st.end.session, LITE_CLOSE_DONE, "once");
  closed_with(&st, LITE_CLOSE_UNAUTHORIZED);
  stage_down(&st);
}

static void a_peer_without_room_for_setup_gets_it_later(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  config.streams_uni = 0;
  stage_up(&st, &config);
  lab_run(&st.lab, 100);
  assert_false(st.end.closed);
  assert_int_equal(raw_count(&st.peer, LITE_STREAM_SETUP), 0);
  mem_allow_streams(st.peer.t, false, 1);
  assert_non_null(raw_incoming(&st.peer, LITE_STREAM_SETUP, 0));
  stage_down(&st);
}

static void goaway_goes_out_once_and_comes_in_once(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_setup(&st.peer, 5);
  lab_run(&st.lab, 20);
  lite_session_goaway(st.end.session, "https://other.example/");
  lite_session_goaway(st.end.session, "https://other.example/");
  struct raw_stream *s = raw_incoming(&st.peer, LITE_STREAM_GOAWAY, 0);
  assert_non_null(s);
  assert_true(slice_eq(raw_expect(s, LITE_GOAWAY).goaway.uri, slice_str("https://other.example/")));
  assert_true(s->fin);
  lab_run(&st.lab, 50);
  assert_int_equal(raw_count(&st.peer, LITE_STREAM_GOAWAY), 1);
  union lite_body body = {.goaway = {slice_str("")}};
  struct raw_stream *mine = raw_request(&st.peer, LITE_STREAM_GOAWAY, LITE_GOAWAY, &body);
  raw_fin(mine);
  lab_run(&st.lab, 50);
  assert_int_equal(st.end.goaways, 1);
  assert_true(mine->fin);
  assert_false(st.end.closed);
  raw_request(&st.peer, LITE_STREAM_GOAWAY, LITE_GOAWAY, &body);
  closed_with(&st, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

static void a_probe_is_answered_at_once_and_ends_with_fin(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_setup(&st.peer, 5);
  struct raw_stream *p = raw_begin(&st.peer, LITE_STREAM_PROBE);
  union lite_body body = raw_expect(p, LITE_PROBE);
  assert_int_equal(body.probe.rtt, 2);
  struct raw_stream *second = raw_begin(&st.peer, LITE_STREAM_PROBE);
  lab_run(&st.lab, 20);
  assert_true(second->was_reset); /* one a session */
  lab_run(&st.lab, 11000);
  (void)raw_expect(p, LITE_PROBE); /* at least every ten seconds */
  raw_fin(p);
  lab_run(&st.lab, 20);
  assert_true(p->fin && !p->was_reset);
  assert_null(p->st);
  struct raw_stream *third = raw_begin(&st.peer, LITE_STREAM_PROBE);
  (void)raw_expect(third, LITE_PROBE);
  stage_down(&st);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(our_setup_comes_first_and_ends),
      cmocka_unit_test(the_path_of_setup_reaches_admission),
      cmocka_unit_test(a_path_does_not_end_at_a_nul),
      cmocka_unit_test(a_byte_at_a_time),
      cmocka_unit_test(no_setup_in_time_closes),
      cmocka_unit_test(half_a_setup_closes),
      cmocka_unit_test(no_admission_in_time_closes),
      cmocka_unit_test(a_started_session_has_no_deadline),
      cmocka_unit_test(setups_that_are_violations),
      cmocka_unit_test(a_second_setup_is_a_violation_from_its_first_byte),
      cmocka_unit_test(setup_reset_is_a_violation),
      cmocka_unit_test(what_overtakes_setup_waits_for_it),
      cmocka_unit_test(what_overtakes_setup_is_bounded),
      cmocka_unit_test(a_session_may_be_refused_from_inside_its_setup),
      cmocka_unit_test(a_peer_without_room_for_setup_gets_it_later),
      cmocka_unit_test(goaway_goes_out_once_and_comes_in_once),
      cmocka_unit_test(a_probe_is_answered_at_once_and_ends_with_fin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
