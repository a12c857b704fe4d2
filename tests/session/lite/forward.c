/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From a publisher through a relay to viewers: subscriptions, groups, fetch, datagrams. */
#include "lab.h"
#include <string.h>

static const char *const demo[] = {"demo"};
static const uint64_t PUBLISHER_HOP = 7, VIEWER_HOP = 9;

/* A relay with a raw publisher of "demo" and one raw viewer. */
struct stage {
  struct lab lab;
  struct node relay;
  struct raw publisher, viewer;
  struct end publisher_end, viewer_end;
  struct raw_stream *announce;
};

static void stage_up(struct stage *st, enum lite_version v, const struct mem_config *viewer)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
  raw_join(&st->publisher, &st->lab, &st->relay, NULL, v, &st->publisher_end);
  raw_setup(&st->publisher, PUBLISHER_HOP);
  st->announce = raw_publish(&st->publisher, PUBLISHER_HOP, demo, 1);
  raw_join(&st->viewer, &st->lab, &st->relay, viewer, v, &st->viewer_end);
  raw_setup(&st->viewer, VIEWER_HOP);
  lab_run(&st->lab, 20);
}

static void stage_down(struct stage *st)
{
  assert_false(st->publisher_end.closed && !st->publisher_end.by_peer && st->publisher_end.code == LITE_CLOSE_PROTOCOL);
  lab_destroy(&st->lab);
  node_destroy(&st->relay);
}

static void subscribed(struct stage *st, struct raw_stream **ret_up, uint64_t *ret_id)
{
  struct lite_subscribe up;
  raw_answer_track(&st->publisher, 0);
  *ret_up = raw_hear_subscribe(&st->publisher, 0, &up);
  *ret_id = up.id;
}

static void a_group_arrives_whole(enum lite_version v)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, v, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_group(&st.publisher, id, 7, "a bb ccc", true);
  assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_START).subscribe_start.group, 7);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0);
  assert_non_null(g);
  assert_string_equal(raw_text(g), "a bb ccc ");
  assert_true(g->fin);
  raw_say(up, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {8}});
  raw_fin(up);
  assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_END).subscribe_end.group, 8);
  lab_run(&st.lab, 100);
  assert_true(sub->fin && !sub->was_reset);
  raw_fin(sub);
  stage_down(&st);
}

static void a_group_arrives_whole_05(void **state)
{
  a_group_arrives_whole(LITE_05);
}

static void a_group_arrives_whole_06(void **state)
{
  a_group_arrives_whole(LITE_06);
}

static void a_group_arrives_whole_07(void **state)
{
  a_group_arrives_whole(LITE_07);
}

static void frames_are_forwarded_before_the_group_ends(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  struct raw_stream *in = raw_group(&st.publisher, id, 0, "a", false);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0);
  assert_string_equal(raw_text(g), "a ");
  assert_false(g->fin);
  raw_fin(in);
  lab_run(&st.lab, 20);
  assert_true(g->fin);
  stage_down(&st);
}

static void a_late_viewer_gets_the_newest_group_and_no_second_subscription_goes_upstream(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_group(&st.publisher, id, 0, "old", true);
  lab_run(&st.lab, 20);
  raw_group(&st.publisher, id, 1, "x y", false);
  lab_run(&st.lab, 20);
  struct raw late;
  struct end late_end;
  raw_join(&late, &st.lab, &st.relay, NULL, LITE_06, &late_end);
  raw_setup(&late, 11);
  struct raw_stream *sub = raw_subscribe(&late, 5, "demo", "video", WANT_LATEST);
  assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_START).subscribe_start.group, 1);
  assert_string_equal(raw_text(raw_incoming(&late, LITE_STREAM_GROUP, 0)), "x y ");
  assert_int_equal(raw_count(&late, LITE_STREAM_GROUP), 1);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 1);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_TRACK), 1);
  stage_down(&st);
}

static void the_last_viewer_that_leaves_ends_the_subscription_upstream(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  struct raw_stream *in = raw_group(&st.publisher, id, 0, "a", false);
  lab_run(&st.lab, 20);
  raw_fin(sub);
  lab_run(&st.lab, 1000);
  assert_true(sub->fin);
  assert_false(up->fin); /* it lingers */
  lab_run(&st.lab, 2000);
  assert_true(up->fin);
  assert_true(in->stopped);
  assert_null(sub->st);
  raw_fin(up);
  lab_run(&st.lab, 20);
  assert_null(up->st);
  /* and again */
  struct lite_subscribe second;
  sub = raw_subscribe(&st.viewer, 1, "demo", "video", WANT_LATEST);
  up = raw_hear_subscribe(&st.publisher, 1, &second);
  assert_int_not_equal(second.id, id);
  raw_group(&st.publisher, second.id, 5, "again", true);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)), "again ");
  stage_down(&st);
}

static void groups_come_in_order_to_a_viewer_that_keeps_up(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_05, NULL);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  for (unsigned i = 0; i < 40; i++) {
    raw_group(&st.publisher, id, i, "frame frame", true);
    lab_run(&st.lab, 30);
  }
  for (unsigned i = 0; i < 40; i++) {
    struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, i);
    assert_non_null(g);
    assert_int_equal(raw_expect(g, LITE_GROUP).group.sequence, i);
    assert_true(g->fin && !g->was_reset);
  }
  stage_down(&st);
}

static void a_cut_group_is_reset_with_its_code(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  struct raw_stream *in = raw_group(&st.publisher, id, 0, "a", false);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0);
  assert_string_equal(raw_text(g), "a ");
  raw_reset(in, LITE_CODE_APPLICATION + 3);
  lab_run(&st.lab, 20);
  assert_true(g->was_reset);
  assert_int_equal(g->reset_code, LITE_CODE_APPLICATION + 3);
  /* an unknown code becomes 0 */
  in = raw_group(&st.publisher, id, 1, "b", false);
  g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1);
  raw_reset(in, 0x25);
  lab_run(&st.lab, 20);
  assert_true(g->was_reset);
  assert_int_equal(g->reset_code, LITE_RESET_INTERNAL);
  /* FIN inside a frame cuts it as well, and the subscription goes on */
  in = raw_group(&st.publisher, id, 2, "c", false);
  g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 2);
  assert_non_null(g);
  raw_write(in, "\x02\x05xy", 4, true);
  lab_run(&st.lab, 20);
  assert_true(g->was_reset);
  assert_int_equal(g->reset_code, LITE_RESET_MALFORMED);
  raw_group(&st.publisher, id, 3, "d", true);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 3)), "d ");
  stage_down(&st);
}

static void a_viewer_that_does_not_read_skips_groups_and_disturbs_nobody(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  struct mem_config slow = mem_config_default();
  slow.stream_window = 2000;
  slow.window = 4000;
  stage_up(&st, LITE_06, &slow);
  st.viewer.deaf = true;
  struct raw quick;
  struct end quick_end;
  raw_join(&quick, &st.lab, &st.relay, NULL, LITE_06, &quick_end);
  raw_setup(&quick, 11);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  raw_subscribe(&quick, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  static char big[3000];
  memset(big, 'x', sizeof big - 1);
  for (unsigned i = 0; i < 20; i++) {
    raw_group(&st.publisher, id, i, big, true);
    lab_run(&st.lab, 500);
  }
  unsigned whole = 0, skipped = 0;
  for (unsigned i = 0; i < raw_count(&st.viewer, LITE_STREAM_GROUP); i++) {
    struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, i);
    whole += g->fin;
    skipped += g->was_reset && g->reset_code == LITE_RESET_TIMEOUT;
  }
  assert_int_equal(whole, 0);
  assert_in_range(skipped, 10, 20);
  assert_false(st.viewer_end.closed);
  for (unsigned i = 0; i < 20; i++)
    assert_true(raw_incoming(&quick, LITE_STREAM_GROUP, i)->fin);
  stage_down(&st);
}

static void a_viewer_may_refuse_a_group(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  struct raw_stream *in = raw_group(&st.publisher, id, 0, "a", false);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0);
  raw_stop(g, LITE_RESET_CANCELLED);
  lab_run(&st.lab, 20);
  assert_null(g->st);
  raw_frames(in, 5000, "b", true);
  raw_group(&st.publisher, id, 1, "c", true);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)), "c ");
  assert_false(sub->was_reset || sub->fin);
  stage_down(&st);
}

static void a_lost_publisher_that_comes_back_goes_on(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  struct lite_subscribe again;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  (void)raw_expect(list, LITE_ANNOUNCE_START);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_group(&st.publisher, id, 0, "a", true);
  lab_run(&st.lab, 20);
  struct raw_stream *open = raw_group(&st.publisher, id, 1, "b", false);
  (void)open;
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)), "b ");
  lab_cut(&st.lab, st.publisher.pair);
  lab_run(&st.lab, 2000);
  assert_true(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)->was_reset);
  assert_false(sub->was_reset || sub->fin);
  assert_true(raw_silent(list));
  struct raw back;
  struct end back_end;
  raw_join(&back, &st.lab, &st.relay, NULL, LITE_06, &back_end);
  raw_setup(&back, 8);
  raw_publish(&back, 8, demo, 1);
  raw_answer_track(&back, 0);
  up = raw_hear_subscribe(&back, 0, &again);
  raw_group(&back, again.id, 0, "c", true);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 2);
  assert_non_null(g);
  assert_int_equal(raw_expect(g, LITE_GROUP).group.sequence, 2); /* numbers keep rising */
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_UPDATE).announce_update.id, 0);
  stage_down(&st);
}

static void a_lost_publisher_that_stays_away_ends_the_subscription(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  (void)raw_expect(list, LITE_ANNOUNCE_START);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  lab_cut(&st.lab, st.publisher.pair);
  lab_run(&st.lab, 4000);
  assert_false(sub->was_reset);
  lab_run(&st.lab, 2000);
  assert_true(sub->was_reset);
  assert_int_equal(sub->reset_code, LITE_RESET_UNROUTABLE);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_END).announce_end.id, 0);
  stage_down(&st);
}

static void the_newest_publisher_takes_over_and_the_older_one_resumes(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  struct lite_subscribe sub2, sub3;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_group(&st.publisher, id, 0, "first", true);
  lab_run(&st.lab, 20);
  struct raw second;
  struct end second_end;
  raw_join(&second, &st.lab, &st.relay, NULL, LITE_06, &second_end);
  raw_setup(&second, 8);
  struct raw_stream *announce = raw_publish(&second, 8, demo, 1);
  raw_answer_track(&second, 0);
  raw_hear_subscribe(&second, 0, &sub2);
  lab_run(&st.lab, 20);
  assert_true(up->fin);
  struct raw_stream *late = raw_group(&st.publisher, id, 1, "late", false);
  raw_group(&second, sub2.id, 0, "second", true);
  lab_run(&st.lab, 50);
  assert_true(late->stopped);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)), "second ");
  raw_unstart(announce, "demo", 0);
  raw_answer_track(&st.publisher, 1);
  raw_hear_subscribe(&st.publisher, 1, &sub3);
  raw_group(&st.publisher, sub3.id, 1, "back", true);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 2);
  assert_non_null(g);
  assert_int_equal(raw_expect(g, LITE_GROUP).group.sequence, 3);
  assert_false(sub->fin || sub->was_reset);
  stage_down(&st);
}

/* The first publisher's group has all but used up the numbers when the second takes over; *ret_id and *ret_up are the
 * subscription there. */
static void numbers_are_short(struct stage *st, enum lite_version v, uint64_t left, struct raw *second,
                              struct end *second_end, struct raw_stream **ret_sub, struct raw_stream **ret_up,
                              uint64_t *ret_id)
{
  struct raw_stream *up;
  struct lite_subscribe subscribe;
  uint64_t id;
  stage_up(st, v, NULL);
  *ret_sub = raw_subscribe(&st->viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(st, &up, &id);
  raw_group(&st->publisher, id, TRACK_SEQUENCE_MAX - left, "a", true);
  lab_run(&st->lab, 20);
  raw_join(second, &st->lab, &st->relay, NULL, v, second_end);
  raw_setup(second, 8);
  raw_publish(second, 8, demo, 1);
  raw_answer_track(second, 0);
  *ret_up = raw_hear_subscribe(second, 0, &subscribe);
  *ret_id = subscribe.id;
}

/* A group of a subscription that has ended is one too many: the track breaks, and the subscription goes with it. */
static void a_late_group_beyond_the_last_number(enum lite_version v)
{
  struct stage st;
  struct raw second;
  struct end second_end;
  struct raw_stream *sub, *up;
  uint64_t id;
  numbers_are_short(&st, v, 5, &second, &second_end, &sub, &up, &id);
  raw_group(&second, id, 0, "b", true);
  raw_say(up, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {3, 9}});
  raw_fin(up);
  lab_run(&st.lab, 50);
  assert_null(up->st);
  struct raw_stream *late = raw_group(&second, id, 10, "c", false);
  lab_run(&st.lab, 50);
  assert_true(late->stopped);
  assert_false(second_end.closed);
  lab_run(&st.lab, 2000);
  assert_true(sub->fin || sub->was_reset);
  stage_down(&st);
}

static void no_number_is_left_for_the_end(enum lite_version v)
{
  struct stage st;
  struct raw second;
  struct end second_end;
  struct raw_stream *sub, *up;
  uint64_t id;
  numbers_are_short(&st, v, 0, &second, &second_end, &sub, &up, &id);
  raw_say(up, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {1, 0}});
  lab_run(&st.lab, 2000);
  assert_false(second_end.closed);
  assert_true(sub->fin || sub->was_reset);
  stage_down(&st);
}

static void a_track_may_run_out_of_numbers_at_its_end(void **state)
{
  for (enum lite_version v = LITE_05; v < LITE_VERSIONS; v++) {
    a_late_group_beyond_the_last_number(v);
    no_number_is_left_for_the_end(v);
  }
}

static void refusals_of_the_publisher_reach_the_viewer(void **state)
{
  struct stage st;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *info = raw_track(&st.viewer, "demo", "nothing");
  struct raw_stream *up = raw_incoming(&st.publisher, LITE_STREAM_TRACK, 0);
  assert_non_null(up);
  raw_reset(up, LITE_RESET_NOT_FOUND);
  raw_stop(up, LITE_RESET_NOT_FOUND);
  lab_run(&st.lab, 50);
  assert_true(info->was_reset);
  assert_int_equal(info->reset_code, LITE_RESET_NOT_FOUND);
  /* a subscription of a track whose TRACK is refused ends, upstream as well */
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "other", WANT_LATEST);
  up = raw_incoming(&st.publisher, LITE_STREAM_TRACK, 1);
  assert_non_null(up);
  struct raw_stream *upsub = raw_hear_subscribe(&st.publisher, 0, NULL);
  raw_reset(up, LITE_RESET_NOT_FOUND);
  lab_run(&st.lab, 50);
  assert_true(sub->was_reset);
  assert_int_equal(sub->reset_code, LITE_RESET_NOT_FOUND);
  assert_true(upsub->fin || upsub->was_reset);
  /* a FIN without SUBSCRIBE_END is a break */
  sub = raw_subscribe(&st.viewer, 1, "demo", "third", WANT_LATEST);
  raw_answer_track(&st.publisher, 2);
  upsub = raw_hear_subscribe(&st.publisher, 1, NULL);
  raw_fin(upsub);
  lab_run(&st.lab, 50);
  assert_true(sub->was_reset);
  /* TRACK_INFO that never comes */
  info = raw_track(&st.viewer, "demo", "slow");
  lab_run(&st.lab, 11000);
  assert_true(info->was_reset);
  assert_int_equal(info->reset_code, LITE_RESET_CONTROL_TIMEOUT);
  stage_down(&st);
}

static void what_is_outside_the_scope_is_not_there(void **state)
{
  struct stage st;
  stage_up(&st, LITE_06, NULL);
  st.relay.subscribe = "room";
  struct raw other;
  struct end other_end;
  raw_join(&other, &st.lab, &st.relay, NULL, LITE_06, &other_end);
  raw_setup(&other, 11);
  struct raw_stream *list = raw_announce_request(&other, "");
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, 0);
  struct raw_stream *sub = raw_subscribe(&other, 0, "demo", "video", WANT_LATEST);
  struct raw_stream *info = raw_track(&other, "demo", "video");
  struct raw_stream *fetch = raw_fetch(&other, "demo", "video", 0);
  struct raw_stream *none = raw_track(&st.viewer, "nowhere", "video");
  lab_run(&st.lab, 50);
  assert_true(sub->was_reset && sub->reset_code == LITE_RESET_UNROUTABLE);
  assert_true(info->was_reset && info->reset_code == LITE_RESET_UNROUTABLE);
  assert_true(fetch->was_reset && fetch->reset_code == LITE_RESET_UNROUTABLE);
  assert_true(none->was_reset && none->reset_code == LITE_RESET_UNROUTABLE);
  assert_true(raw_silent(list));
  assert_false(list->fin || list->was_reset);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_TRACK), 0);
  stage_down(&st);
}

static void a_group_is_fetched_from_the_cache_from_upstream_or_not_at_all(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_group(&st.publisher, id, 10, "a b c", true);
  raw_group(&st.publisher, id, 11, "d", true);
  lab_run(&st.lab, 50);
  struct raw_stream *f = raw_fetch(&st.viewer, "demo", "video", 10);
  assert_string_equal(raw_text(f), "a b c ");
  assert_true(f->fin);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_FETCH), 0);
  /* a range of frames */
  union lite_body body = {.fetch = {slice_str("demo"), slice_str("video"), 1, 10, 1, 1}};
  f = raw_request(&st.viewer, LITE_STREAM_FETCH, LITE_FETCH, &body);
  assert_string_equal(raw_text(f), "b ");
  assert_true(f->fin);
  body.fetch.frame_start = 9;
  body.fetch.frame_end = LITE_NONE;
  f = raw_request(&st.viewer, LITE_STREAM_FETCH, LITE_FETCH, &body);
  lab_run(&st.lab, 50);
  assert_true(f->was_reset);
  assert_int_equal(f->reset_code, LITE_RESET_TOO_FAR_BEHIND);
  /* upstream */
  f = raw_fetch(&st.viewer, "demo", "video", 3);
  struct raw_stream *upf = raw_incoming(&st.publisher, LITE_STREAM_FETCH, 0);
  assert_non_null(upf);
  assert_int_equal(raw_expect(upf, LITE_FETCH).fetch.group, 3);
  raw_frames(upf, 1, "old older", true);
  assert_string_equal(raw_text(f), "old older ");
  assert_true(f->fin);
  /* upstream breaks it off */
  f = raw_fetch(&st.viewer, "demo", "video", 4);
  upf = raw_incoming(&st.publisher, LITE_STREAM_FETCH, 1);
  raw_frames(upf, 1, "half", false);
  assert_string_equal(raw_text(f), "half ");
  raw_reset(upf, LITE_RESET_EVICTED);
  lab_run(&st.lab, 50);
  assert_true(f->was_reset && f->reset_code == LITE_RESET_EVICTED);
  /* upstream has none */
  f = raw_fetch(&st.viewer, "demo", "video", 5);
  upf = raw_incoming(&st.publisher, LITE_STREAM_FETCH, 2);
  raw_reset(upf, LITE_RESET_NOT_FOUND);
  raw_stop(upf, 0);
  lab_run(&st.lab, 50);
  assert_true(f->was_reset && f->reset_code == LITE_RESET_NOT_FOUND);
  /* upstream says nothing */
  f = raw_fetch(&st.viewer, "demo", "video", 6);
  upf = raw_incoming(&st.publisher, LITE_STREAM_FETCH, 3);
  lab_run(&st.lab, 11000);
  assert_true(f->was_reset && f->reset_code == LITE_RESET_CONTROL_TIMEOUT);
  assert_true(upf->was_reset && upf->stopped); /* nor does our request wait for ever */
  stage_down(&st);
}

static void datagrams_go_to_everybody_and_never_become_streams(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  raw_subscribe(&st.viewer, 3, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_datagram(&st.publisher, id, 4, 99, "hello");
  raw_datagram(&st.publisher, id, 4, 99, "hello"); /* once is enough */
  raw_datagram(&st.publisher, id + 50, 5, 99, "unknown id");
  lab_run(&st.lab, 50);
  assert_int_equal(st.viewer.datagrams, 1);
  struct lite_datagram d;
  assert_int_equal(lite_datagram_decode(LITE_06, slice_of(st.viewer.datagram, st.viewer.datagram_n), &d), 0);
  assert_int_equal(d.subscribe_id, 3);
  assert_int_equal(d.sequence, 4);
  assert_int_equal(d.timestamp, 99);
  assert_true(slice_eq(d.payload, slice_str("hello")));
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_GROUP), 0);
  stage_down(&st);
}

static void updates_change_what_goes_upstream(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  struct lite_want want = *WANT_LATEST;
  want.priority = 200;
  want.max_age = 500;
  raw_say(sub, LITE_SUBSCRIBE_UPDATE, &(union lite_body){.subscribe_update = {want}});
  union lite_body body = raw_expect(up, LITE_SUBSCRIBE_UPDATE);
  assert_int_equal(body.subscribe_update.want.priority, 200);
  assert_int_equal(body.subscribe_update.want.max_age, 500);
  stage_down(&st);
}

static void groups_wait_for_the_peer_to_allow_streams(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  struct mem_config few = mem_config_default();
  few.streams_uni = 2; /* one is our SETUP */
  stage_up(&st, LITE_06, &few);
  st.viewer.deaf = true;
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_PAST);
  subscribed(&st, &up, &id);
  for (unsigned i = 0; i < 6; i++)
    raw_group(&st.publisher, id, i, "word", true);
  for (unsigned i = 0; i < 6; i++) {
    struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, i);
    assert_non_null(g);
    assert_int_equal(raw_expect(g, LITE_GROUP).group.sequence, i);
    assert_true(g->fin);
  }
  stage_down(&st);
}

static void an_update_reorders_what_waits(void **state)
{
  static const char *const names[] = {"a", "b", "c"};
  struct stage st;
  struct raw_stream *sub[3];
  struct lite_subscribe up[3];
  struct mem_config one = mem_config_default();
  one.streams_uni = 1;
  stage_up(&st, LITE_06, &one);
  for (unsigned i = 0; i < 3; i++) {
    struct lite_want want = *WANT_LATEST;
    want.priority = (uint8_t)(100 - i);
    sub[i] = raw_subscribe(&st.viewer, i, "demo", names[i], &want);
    raw_answer_track(&st.publisher, i);
    raw_hear_subscribe(&st.publisher, i, &up[i]);
  }
  struct raw_stream *first = raw_group(&st.publisher, up[0].id, 0, "holds", false);
  lab_run(&st.lab, 20);
  raw_group(&st.publisher, up[1].id, 0, "bb", true);
  raw_group(&st.publisher, up[2].id, 0, "cc", true);
  lab_run(&st.lab, 20);
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_GROUP), 1);
  struct lite_want want = *WANT_LATEST;
  want.priority = 200;
  raw_say(sub[2], LITE_SUBSCRIBE_UPDATE, &(union lite_body){.subscribe_update = {want}});
  lab_run(&st.lab, 20);
  raw_fin(first);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)), "cc ");
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 2)), "bb ");
  /* a viewer that leaves takes what waits for it along */
  first = raw_group(&st.publisher, up[0].id, 1, "holds", false);
  lab_run(&st.lab, 20);
  raw_group(&st.publisher, up[1].id, 1, "bb", true);
  raw_group(&st.publisher, up[2].id, 1, "cc", true);
  lab_run(&st.lab, 20);
  raw_fin(sub[2]);
  lab_run(&st.lab, 20);
  raw_fin(first);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 4)), "bb ");
  lab_run(&st.lab, 100);
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_GROUP), 5);
  assert_true(sub[2]->fin);
  stage_down(&st);
}

static void a_link_too_slow_costs_the_past(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id, last = 0;
  struct mem_config slow = mem_config_default();
  slow.rate = 10000;
  slow.send_window = 4000;
  stage_up(&st, LITE_06, &slow);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  static char frame[4001];
  memset(frame, 'x', sizeof frame - 1);
  for (unsigned i = 0; i < 50; i++) { /* twice as much as fits */
    raw_group(&st.publisher, id, i, frame, true);
    lab_run(&st.lab, 200);
  }
  unsigned whole = 0, late = 0, other = 0;
  assert_in_range(raw_count(&st.viewer, LITE_STREAM_GROUP), 12, 50);
  list_for_each (it, &st.viewer.streams) {
    struct raw_stream *g = container_of(it, struct raw_stream, link);
    if (!g->local && g->type == LITE_STREAM_GROUP && g->fin) {
      whole++;
      last = raw_expect(g, LITE_GROUP).group.sequence;
    }
    late += g->was_reset && g->reset_code == LITE_RESET_TIMEOUT;
    other += g->was_reset && g->reset_code != LITE_RESET_TIMEOUT;
  }
  assert_in_range(whole, 12, 27);
  assert_in_range(late, 5, 40);
  assert_int_equal(other, 0);
  assert_in_range(last, 44, 49); /* it is not far behind */
  assert_false(sub->was_reset || sub->fin);
  stage_down(&st);
}

/* Each group takes three times as long as it may: what has begun goes on as long as the viewer lets it be late. */
static void a_slow_viewer_gets_some_long_groups_whole(void **state)
{
  (void)state;
  struct stage st;
  struct raw_stream *up;
  uint64_t id, last = 0;
  struct mem_config slow = mem_config_default();
  struct lite_want want = *WANT_LATEST;
  slow.rate = 10000;
  slow.send_window = 4000;
  want.max_age = 5000;
  stage_up(&st, LITE_06, &slow);
  raw_subscribe(&st.viewer, 0, "demo", "video", &want);
  subscribed(&st, &up, &id);
  static char frame[3001];
  memset(frame, 'x', sizeof frame - 1);
  for (unsigned i = 0; i < 30; i++) { /* 30000 bytes a second */
    struct raw_stream *g = raw_group(&st.publisher, id, i, frame, false);
    for (unsigned k = 1; k < 10; k++) {
      lab_run(&st.lab, 100);
      raw_frames(g, 0, frame, k == 9);
    }
    lab_run(&st.lab, 100);
  }
  unsigned whole = 0;
  assert_in_range(raw_count(&st.viewer, LITE_STREAM_GROUP), 7, 20); /* not all of them begin */
  list_for_each (it, &st.viewer.streams) {
    struct raw_stream *g = container_of(it, struct raw_stream, link);
    if (g->local || g->type != LITE_STREAM_GROUP || !g->fin)
      continue;
    whole++;
    last = raw_expect(g, LITE_GROUP).group.sequence;
  }
  assert_in_range(whole, 7, 11);
  assert_in_range(last, 22, 29);
  stage_down(&st);
}

static void the_end_may_come_before_the_last_group_is_through(enum lite_version v)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, v, NULL);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  struct raw_stream *in = raw_group(&st.publisher, id, 0, "a", false);
  (void)raw_expect(sub, LITE_SUBSCRIBE_START);
  raw_say(up, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {1}});
  raw_fin(up);
  assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_END).subscribe_end.group, 1);
  lab_run(&st.lab, 1000);
  assert_false(sub->fin);
  raw_frames(in, 1, "b", true);
  lab_run(&st.lab, 20);
  assert_true(sub->fin && !sub->was_reset);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0)), "a b ");
  raw_fin(sub);
  lab_run(&st.lab, 20);
  assert_null(sub->st);
  /* a viewer that leaves meanwhile still gets what is under way */
  sub = raw_subscribe(&st.viewer, 1, "demo", "video", WANT_LATEST);
  lab_run(&st.lab, 5000);
  assert_true(sub->fin || sub->was_reset || raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE) == 2);
  stage_down(&st);
}

static void the_end_may_come_early(void **state)
{
  the_end_may_come_before_the_last_group_is_through(LITE_05);
  the_end_may_come_before_the_last_group_is_through(LITE_06);
  the_end_may_come_before_the_last_group_is_through(LITE_07);
}

/* -- what is unannounced may be finished first -- */

/* A group is under way when its broadcast is unannounced. */
static void unannounced(struct stage *st, enum lite_version v, struct raw_stream **ret_sub, struct raw_stream **ret_up,
                        struct raw_stream **ret_in)
{
  uint64_t id;
  stage_up(st, v, NULL);
  struct raw_stream *list = raw_announce_request(&st->viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  lab_run(&st->lab, 20);
  *ret_sub = raw_subscribe(&st->viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(st, ret_up, &id);
  *ret_in = raw_group(&st->publisher, id, 0, "a", false);
  (void)raw_expect(*ret_sub, LITE_SUBSCRIBE_START);
  raw_unstart(raw_incoming(&st->publisher, LITE_STREAM_ANNOUNCE, 0), "demo", 0);
  lab_run(&st->lab, 1000);
  assert_false((*ret_sub)->was_reset || (*ret_sub)->fin || (*ret_in)->stopped);
  struct raw_stream *late = raw_subscribe(&st->viewer, 9, "demo", "video", WANT_LATEST);
  lab_run(&st->lab, 20);
  assert_true(late->was_reset && late->reset_code == LITE_RESET_UNROUTABLE);
}

static void an_unannounced_track_is_finished(enum lite_version v)
{
  struct stage st;
  struct raw_stream *sub, *up, *in;
  unannounced(&st, v, &sub, &up, &in);
  raw_say(up, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {1}});
  raw_fin(up);
  raw_frames(in, 1, "b", true);
  lab_run(&st.lab, 20);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0)), "a b ");
  assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_END).subscribe_end.group, 1);
  assert_true(sub->fin && !sub->was_reset);
  stage_down(&st);
}

static void an_unannounced_track_may_be_finished(void **state)
{
  an_unannounced_track_is_finished(LITE_05);
  an_unannounced_track_is_finished(LITE_06);
}

/* Its publisher says no more, breaks the track off, ends the session, or is lost. */
static void an_unannounced_track_that_is_not_finished_ends(void **state)
{
  for (int how = 0; how < 4; how++) {
    struct stage st;
    struct raw_stream *sub, *up, *in;
    unannounced(&st, LITE_06, &sub, &up, &in);
    if (how == 0)
      lab_run(&st.lab, 5000);
    else if (how == 1)
      raw_reset(up, LITE_RESET_CANCELLED);
    else if (how == 2)
      raw_close(&st.publisher, LITE_CLOSE_DONE);
    else
      lab_cut(&st.lab, st.publisher.pair);
    lab_run(&st.lab, 100);
    assert_true(sub->was_reset);
    assert_int_equal(sub->reset_code, how == 1 ? LITE_RESET_CANCELLED : LITE_RESET_UNROUTABLE);
    assert_true(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0)->was_reset);
    if (how == 0)
      assert_true(up->fin && in->stopped);
    stage_down(&st);
  }
}

static void malformed_answers_of_a_publisher_break_what_they_answer(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *info = raw_track(&st.viewer, "demo", "a");
  up = raw_incoming(&st.publisher, LITE_STREAM_TRACK, 0);
  raw_write(up, "\x03\x01\x00\x00", 4, true); /* timescale 0 */
  lab_run(&st.lab, 50);
  assert_true(info->was_reset && info->reset_code == LITE_RESET_MALFORMED);
  info = raw_track(&st.viewer, "demo", "b");
  raw_fin(raw_incoming(&st.publisher, LITE_STREAM_TRACK, 1));
  lab_run(&st.lab, 50);
  assert_true(info->was_reset && info->reset_code == LITE_RESET_NOT_FOUND);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  raw_answer_track(&st.publisher, 2);
  struct lite_subscribe s;
  up = raw_hear_subscribe(&st.publisher, 0, &s);
  id = s.id;
  struct raw_stream *in = raw_group(&st.publisher, id, 0, "a", false);
  lab_run(&st.lab, 50);
  raw_write(up, "\x01\x02\x00\x00", 4, false); /* more than SUBSCRIBE_END has */
  lab_run(&st.lab, 50);
  assert_true(up->was_reset && up->stopped && in->stopped);
  assert_true(sub->was_reset && sub->reset_code == LITE_RESET_MALFORMED);
  /* what the peer is told instead of START or END */
  sub = raw_subscribe(&st.viewer, 1, "demo", "other", WANT_LATEST);
  raw_answer_track(&st.publisher, 3);
  up = raw_hear_subscribe(&st.publisher, 1, &s);
  raw_say(up, LITE_SUBSCRIBE_DROP, &(union lite_body){.subscribe_drop = {0, 3, 0}});
  raw_write(up, "\x2f\x01x", 3, false); /* a type of later */
  raw_group(&st.publisher, s.id, 4, "fine", true);
  (void)raw_expect(sub, LITE_SUBSCRIBE_START);
  /* a fetched group that ends inside a frame */
  struct raw_stream *f = raw_fetch(&st.viewer, "demo", "other", 1);
  struct raw_stream *upf = raw_incoming(&st.publisher, LITE_STREAM_FETCH, 0);
  assert_non_null(upf);
  raw_frames(upf, 1, "whole", false);
  raw_write(upf, "\x02\x05xy", 4, true);
  lab_run(&st.lab, 50);
  assert_true(f->was_reset && f->reset_code == LITE_RESET_MALFORMED);
  stage_down(&st);
}

/* A group that outgrows the cache is held up by flow control, and given up in the end. */
static void a_publisher_is_slowed_down_when_live_edges_fill_the_cache(void **state)
{
  struct stage st;
  struct lite_subscribe up;
  struct mem_config narrow = mem_config_default();
  static char payload[400000];
  narrow.stream_window = 32768;
  lab_init(&st.lab);
  node_init(&st.relay, &st.lab);
  st.relay.model.cache.capacity = 512 << 10;
  raw_join(&st.publisher, &st.lab, &st.relay, &narrow, LITE_06, &st.publisher_end);
  raw_setup(&st.publisher, PUBLISHER_HOP);
  raw_publish(&st.publisher, PUBLISHER_HOP, demo, 1);
  raw_join(&st.viewer, &st.lab, &st.relay, NULL, LITE_06, &st.viewer_end);
  raw_setup(&st.viewer, VIEWER_HOP);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  raw_answer_track(&st.publisher, 0);
  raw_hear_subscribe(&st.publisher, 0, &up);
  struct raw_stream *in = raw_group(&st.publisher, up.id, 0, "a", false);
  for (int i = 0; i < 4; i++) {
    raw_write(in, "\x00\x80\x06\x1a\x80", 5, false); /* a frame of 400000 bytes */
    raw_write(in, payload, sizeof payload, false);
  }
  lab_run(&st.lab, 800);
  struct raw_stream *out = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0);
  assert_non_null(out);
  assert_true(st.relay.model.cache.used > 400 << 10 && st.relay.model.cache.used <= 512 << 10);
  assert_false(in->stopped || out->was_reset);
  lab_run(&st.lab, 1000);
  assert_true(in->stopped && out->was_reset);
  assert_int_equal(in->stop_code, LITE_RESET_EVICTED);
  assert_int_equal(out->reset_code, LITE_RESET_EVICTED);
  raw_reset(in, 0);
  raw_group(&st.publisher, up.id, 1, "next", true);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 1)), "next ");
  stage_down(&st);
}

/* A peer whose own announcement is the best route hears of the next best, and is served by it. */
static void nothing_is_offered_or_served_back(void **state)
{
  struct stage st;
  struct lite_subscribe up;
  struct raw other;
  struct end other_end;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_START).announce_start.hops.id[0], PUBLISHER_HOP);
  struct raw_stream *mine = raw_publish(&st.viewer, VIEWER_HOP, demo, 1); /* newer, so the best */
  lab_run(&st.lab, 20);
  assert_true(raw_silent(list)); /* for this peer nothing has changed */
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  raw_answer_track(&st.publisher, 0);
  assert_non_null(raw_hear_subscribe(&st.publisher, 0, &up));
  raw_group(&st.publisher, up.id, 3, "x", true);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0)), "x ");
  raw_join(&other, &st.lab, &st.relay, NULL, LITE_06, &other_end);
  raw_setup(&other, 11);
  raw_subscribe(&other, 0, "demo", "video", WANT_LATEST);
  raw_answer_track(&st.viewer, 0);
  assert_non_null(raw_hear_subscribe(&st.viewer, 0, &up)); /* the others are served by the best */
  raw_unstart(mine, "demo", 0);
  lab_run(&st.lab, 20);
  assert_true(raw_silent(list));
  raw_unstart(st.announce, "demo", 0);
  (void)raw_expect(list, LITE_ANNOUNCE_END);
  stage_down(&st);
}

static void older_groups_than_the_cache_has_are_fetched_for_a_viewer(void **state)
{
  struct stage st;
  struct raw_stream *up;
  uint64_t id;
  struct lite_want want = *WANT_PAST;
  stage_up(&st, LITE_06, NULL);
  raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  subscribed(&st, &up, &id);
  raw_group(&st.publisher, id, 10, "now", true);
  lab_run(&st.lab, 50);
  want.group_start = 8;
  raw_subscribe(&st.viewer, 1, "demo", "video", &want);
  for (unsigned i = 0; i < 2; i++) {
    struct raw_stream *f = raw_incoming(&st.publisher, LITE_STREAM_FETCH, i);
    assert_non_null(f);
    assert_int_equal(raw_expect(f, LITE_FETCH).fetch.group, 9 - i);
    raw_frames(f, 1, "then", true);
    struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 2 + i);
    assert_int_equal(raw_expect(g, LITE_GROUP).group.sequence, 9 - i);
    assert_string_equal(raw_text(g), "then ");
    assert_true(g->fin);
  }
  assert_null(raw_incoming(&st.publisher, LITE_STREAM_FETCH, 2));
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_GROUP), 4);
  stage_down(&st);
}

static void our_session_at_both_ends(void **state)
{
  for (int v = LITE_05; v <= LITE_07; v++) {
    struct lab lab;
    struct node relay, far;
    struct raw publisher, viewer;
    struct end publisher_end, viewer_end, up_end, down_end;
    struct lite_subscribe sub;
    lab_init(&lab);
    node_init(&relay, &lab);
    node_init(&far, &lab);
    far.env.local_publishers = false;
    far.seed = 77;
    far.model.hop_id = 12345;
    lab_join(&lab, &far, &relay, NULL, (enum lite_version)v, &down_end, &up_end);
    raw_join(&publisher, &lab, &relay, NULL, LITE_05, &publisher_end);
    raw_setup(&publisher, 7);
    raw_publish(&publisher, 7, demo, 1);
    raw_join(&viewer, &lab, &far, NULL, LITE_06, &viewer_end);
    raw_setup(&viewer, 9);
    struct raw_stream *list = raw_announce_request(&viewer, "");
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.hop, 12345);
    union lite_body start = raw_expect(list, LITE_ANNOUNCE_START);
    assert_int_equal(start.announce_start.hops.n, 2);
    assert_int_equal(start.announce_start.hops.id[0], 7);
    assert_int_equal(start.announce_start.hops.id[1], relay.model.hop_id);
    struct raw_stream *s = raw_subscribe(&viewer, 0, "demo", "video", WANT_LATEST);
    raw_answer_track(&publisher, 0);
    struct raw_stream *up = raw_hear_subscribe(&publisher, 0, &sub);
    raw_group(&publisher, sub.id, 0, "through two relays", true);
    assert_string_equal(raw_text(raw_incoming(&viewer, LITE_STREAM_GROUP, 0)), "through two relays ");
    raw_say(up, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {1}});
    raw_fin(up);
    (void)raw_expect(s, LITE_SUBSCRIBE_START);
    assert_int_equal(raw_expect(s, LITE_SUBSCRIBE_END).subscribe_end.group, 1);
    lab_run(&lab, 100);
    assert_true(s->fin);
    lab_destroy(&lab);
    node_destroy(&relay);
    node_destroy(&far);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_group_arrives_whole_05),
      cmocka_unit_test(a_group_arrives_whole_06),
      cmocka_unit_test(a_group_arrives_whole_07),
      cmocka_unit_test(frames_are_forwarded_before_the_group_ends),
      cmocka_unit_test(a_late_viewer_gets_the_newest_group_and_no_second_subscription_goes_upstream),
      cmocka_unit_test(the_last_viewer_that_leaves_ends_the_subscription_upstream),
      cmocka_unit_test(groups_come_in_order_to_a_viewer_that_keeps_up),
      cmocka_unit_test(a_cut_group_is_reset_with_its_code),
      cmocka_unit_test(a_viewer_that_does_not_read_skips_groups_and_disturbs_nobody),
      cmocka_unit_test(a_viewer_may_refuse_a_group),
      cmocka_unit_test(a_lost_publisher_that_comes_back_goes_on),
      cmocka_unit_test(a_lost_publisher_that_stays_away_ends_the_subscription),
      cmocka_unit_test(the_newest_publisher_takes_over_and_the_older_one_resumes),
      cmocka_unit_test(a_track_may_run_out_of_numbers_at_its_end),
      cmocka_unit_test(refusals_of_the_publisher_reach_the_viewer),
      cmocka_unit_test(what_is_outside_the_scope_is_not_there),
      cmocka_unit_test(a_group_is_fetched_from_the_cache_from_upstream_or_not_at_all),
      cmocka_unit_test(datagrams_go_to_everybody_and_never_become_streams),
      cmocka_unit_test(updates_change_what_goes_upstream),
      cmocka_unit_test(groups_wait_for_the_peer_to_allow_streams),
      cmocka_unit_test(an_update_reorders_what_waits),
      cmocka_unit_test(a_link_too_slow_costs_the_past),
      cmocka_unit_test(a_slow_viewer_gets_some_long_groups_whole),
      cmocka_unit_test(the_end_may_come_early),
      cmocka_unit_test(an_unannounced_track_may_be_finished),
      cmocka_unit_test(an_unannounced_track_that_is_not_finished_ends),
      cmocka_unit_test(malformed_answers_of_a_publisher_break_what_they_answer),
      cmocka_unit_test(a_publisher_is_slowed_down_when_live_edges_fill_the_cache),
      cmocka_unit_test(nothing_is_offered_or_served_back),
      cmocka_unit_test(older_groups_than_the_cache_has_are_fetched_for_a_viewer),
      cmocka_unit_test(our_session_at_both_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
