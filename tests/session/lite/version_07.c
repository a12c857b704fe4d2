/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What moq-lite-07 has of its own: announcements that lean on others, hidden paths, the count of streams at the end. */
#include "lab.h"
#include <string.h>

struct stage {
  struct lab lab;
  struct node relay;
  struct raw publisher, viewer;
  struct end publisher_end, viewer_end;
  struct raw_stream *announce; /* the publisher's */
};

/* A publisher of 07 that has announced nothing yet, and a viewer. */
static void stage_up(struct stage *st, enum lite_version viewer, const struct mem_config *config)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
  raw_join(&st->publisher, &st->lab, &st->relay, NULL, LITE_07, &st->publisher_end);
  raw_setup(&st->publisher, 7);
  st->announce = raw_publish(&st->publisher, 7, NULL, 0);
  raw_join(&st->viewer, &st->lab, &st->relay, config, viewer, &st->viewer_end);
  raw_setup(&st->viewer, 9);
  lab_run(&st->lab, 20);
}

static void stage_down(struct stage *st)
{
  lab_destroy(&st->lab);
  node_destroy(&st->relay);
}

static void say_start(struct stage *st, struct lite_announce_start start)
{
  raw_say(st->announce, LITE_ANNOUNCE_START, &(union lite_body){.announce_start = start});
}

/* The next START at the viewer has this suffix and these hops, and the publisher's after them. */
static void hears(struct raw_stream *list, const char *suffix, const struct lite_hops *hops)
{
  union lite_body b = raw_expect(list, LITE_ANNOUNCE_START);
  assert_true(slice_eq(b.announce_start.suffix, slice_str(suffix)));
  assert_int_equal(b.announce_start.hops.n, hops->n + 1);
  assert_memory_equal(b.announce_start.hops.id, hops->id, hops->n * sizeof *hops->id);
  assert_int_equal(b.announce_start.hops.id[hops->n], 7);
}

static void announcements_lean_on_live_ones(void **state)
{
  struct stage st;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  const struct lite_hops first = {3, {101, 102, 103}}, second = {3, {55, 102, 103}}, third = {2, {66, 103}};
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("room/a/cam"), .hops = first});
  hears(list, "room/a/cam", &first);
  say_start(&st, (struct lite_announce_start){
                     .suffix = slice_str("mic"), .hops = {1, {55}}, .path_base = {1, 2}, .hop_base = {1, 2}});
  hears(list, "room/a/mic", &second);
  /* two back: the first */
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("b"), .path_base = {2, 1}, .hop_base = {1, 3}});
  hears(list, "room/b", &second);
  /* an update may keep some of the list that it replaces, and is then what others keep */
  raw_say(st.announce, LITE_ANNOUNCE_UPDATE,
          &(union lite_body){.announce_update = {.id = 0, .hops = {1, {66}}, .hop_base = {3, 1}}});
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_UPDATE).announce_update.hops.id[0], 66);
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("c"), .path_base = {3, 3}, .hop_base = {3, 2}});
  hears(list, "room/a/cam/c", &third);
  /* a base without anything kept */
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("d"), .path_base = {4, 0}, .hop_base = {4, 0}});
  hears(list, "d", &(struct lite_hops){0});
  assert_false(st.publisher_end.closed);
  stage_down(&st);
}

/* One that got no route counts as well. */
static void a_base_need_not_be_of_use(void **state)
{
  struct stage st;
  stage_up(&st, LITE_06, NULL);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  const struct lite_hops own = {2, {st.relay.model.hop_id, 103}}, kept = {1, {103}};
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("room/a"), .hops = own});
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("b"), .path_base = {1, 1}, .hop_base = {1, 1}});
  hears(list, "room/b", &kept);
  stage_down(&st);
}

static void is_violation(struct lite_announce_start start, bool retire)
{
  struct stage st;
  stage_up(&st, LITE_06, NULL);
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("room/a"), .hops = {2, {101, 102}}});
  say_start(&st, (struct lite_announce_start){.suffix = slice_str("other"), .hops = {1, {103}}});
  if (retire)
    raw_unstart(st.announce, "room/a", 0);
  lab_run(&st.lab, 20);
  assert_false(st.publisher_end.closed);
  say_start(&st, start);
  lab_run(&st.lab, 20);
  assert_true(st.publisher_end.closed && !st.publisher_end.by_peer);
  assert_int_equal(st.publisher_end.code, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

#define WITH(...) ((struct lite_announce_start){.suffix = slice_str("x"), __VA_ARGS__})

static void bases_that_are_violations(void **state)
{
  is_violation(WITH(.path_base = {2, 1}), true); /* retired */
  is_violation(WITH(.hop_base = {2, 1}), true);
  is_violation(WITH(.path_base = {3, 0}), false); /* there never was one */
  is_violation(WITH(.hop_base = {3, 0}), false);
  is_violation(WITH(.path_base = {VARINT_MAX, 0}), false);
  is_violation(WITH(.path_base = {2, 3}), false); /* more than it has */
  is_violation(WITH(.hop_base = {2, 3}), false);
  is_violation(WITH(.hops = {1, {102}}, .hop_base = {2, 1}), false);      /* a hop twice */
  is_violation((struct lite_announce_start){.path_base = {2, 2}}, false); /* the base itself again */
}

static void an_update_on_no_base(void **state)
{
  struct stage st;
  stage_up(&st, LITE_06, NULL);
  say_start(&st, WITH(.hops = {1, {101}}));
  raw_say(st.announce, LITE_ANNOUNCE_UPDATE, &(union lite_body){.announce_update = {.id = 0, .hop_base = {1, 2}}});
  lab_run(&st.lab, 20);
  assert_true(st.publisher_end.closed);
  assert_int_equal(st.publisher_end.code, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

/* ---- hidden paths ---- */

static struct raw_stream *ask(struct stage *st, const char *prefix, bool hidden, uint64_t active)
{
  union lite_body body = {.announce_request = {.prefix = slice_str(prefix), .hidden = hidden}};
  struct raw_stream *list = raw_request(&st->viewer, LITE_STREAM_ANNOUNCE, LITE_ANNOUNCE_REQUEST, &body);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, active);
  return list;
}

static void hidden_paths_are_told_to_who_asks(void **state)
{
  struct stage st;
  stage_up(&st, LITE_07, NULL);
  raw_start(st.announce, "room/.stats/node", NULL, 0);
  raw_start(st.announce, "room/a.b", NULL, 0);
  raw_start(st.announce, ".top", NULL, 0);
  lab_run(&st.lab, 20);
  struct raw_stream *open = ask(&st, "", false, 1);
  assert_true(slice_eq(raw_expect(open, LITE_ANNOUNCE_START).announce_start.suffix, slice_str("room/a.b")));
  struct raw_stream *all = ask(&st, "", true, 3);
  for (int i = 0; i < 3; i++)
    (void)raw_expect(all, LITE_ANNOUNCE_START);
  /* what is hidden above the prefix is not hidden from who knows it */
  struct raw_stream *below = ask(&st, "room/.stats", false, 1);
  assert_true(slice_eq(raw_expect(below, LITE_ANNOUNCE_START).announce_start.suffix, slice_str("node")));
  (void)ask(&st, ".top", false, 1);
  /* later ones as well, and their ends */
  raw_start(st.announce, "room/.late", NULL, 0);
  (void)raw_expect(all, LITE_ANNOUNCE_START);
  raw_unstart(st.announce, "room/.late", 3);
  assert_int_equal(raw_expect(all, LITE_ANNOUNCE_END).announce_end.id, 3);
  raw_unstart(st.announce, "room/.stats/node", 0);
  (void)raw_expect(all, LITE_ANNOUNCE_END);
  assert_true(raw_silent(open));
  stage_down(&st);
}

/* Hiding is about being told of; who knows the name may watch. */
static void hidden_paths_can_be_watched(void **state)
{
  struct stage st;
  stage_up(&st, LITE_07, NULL);
  raw_start(st.announce, ".top", NULL, 0);
  lab_run(&st.lab, 20);
  struct raw_stream *info = raw_track(&st.viewer, ".top", "t");
  raw_answer_track(&st.publisher, 0);
  (void)raw_expect(info, LITE_TRACK_INFO);
  stage_down(&st);
}

/* We ask for all of them. */
static void we_ask_for_hidden_paths(void **state)
{
  struct stage st;
  struct raw other;
  struct end other_end;
  stage_up(&st, LITE_06, NULL);
  raw_join(&other, &st.lab, &st.relay, NULL, LITE_07, &other_end);
  raw_setup(&other, 8);
  assert_int_equal(
      raw_expect(raw_incoming(&other, LITE_STREAM_ANNOUNCE, 0), LITE_ANNOUNCE_REQUEST).announce_request.hidden, 1);
  stage_down(&st);
}

/* ---- the end of a subscription ---- */

/* Four groups have begun, the newest first, and the track has ended, for a viewer that allows two streams at a time. */
static struct raw_stream *end_with_groups_waiting(struct stage *st, const struct lite_want *want,
                                                  struct raw_stream **in)
{
  struct lite_subscribe up;
  struct mem_config few = mem_config_default();
  few.streams_uni = 2;
  stage_up(st, LITE_07, &few);
  raw_start(st->announce, "demo", NULL, 0);
  lab_run(&st->lab, 20);
  struct raw_stream *sub = raw_subscribe(&st->viewer, 0, "demo", "video", want);
  raw_answer_track(&st->publisher, 0);
  struct raw_stream *upsub = raw_hear_subscribe(&st->publisher, 0, &up);
  for (unsigned i = 0; i < 4; i++) {
    in[i] = raw_group(&st->publisher, up.id, (i + 3) % 4, "word", false);
    if (i == 0)
      lab_run(&st->lab, 20);
  }
  (void)raw_expect(sub, LITE_SUBSCRIBE_START);
  raw_say(upsub, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {4, 4}});
  raw_fin(upsub);
  lab_run(&st->lab, 200);
  assert_int_equal(raw_count(&st->viewer, LITE_STREAM_GROUP), 2);
  assert_true(raw_silent(sub));
  return sub;
}

static void ends_with(struct stage *st, struct raw_stream *sub, struct raw_stream **in, uint64_t streams)
{
  struct lite_subscribe_end end = raw_expect(sub, LITE_SUBSCRIBE_END).subscribe_end;
  assert_int_equal(end.group, 4);
  assert_int_equal(end.streams, streams);
  assert_int_equal(raw_count(&st->viewer, LITE_STREAM_GROUP), streams);
  for (unsigned i = 0; i < 4; i++)
    raw_fin(in[i]);
  lab_run(&st->lab, 200);
  assert_true(sub->fin && !sub->was_reset);
  stage_down(st);
}

static void the_end_waits_for_streams(void **state)
{
  struct stage st;
  struct raw_stream *in[4], *sub = end_with_groups_waiting(&st, WANT_PAST, in);
  mem_allow_streams(mem_client(st.viewer.pair->mem), false, 1);
  lab_run(&st.lab, 200);
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_GROUP), 3);
  assert_true(raw_silent(sub));
  mem_allow_streams(mem_client(st.viewer.pair->mem), false, 1);
  ends_with(&st, sub, in, 4);
}

/* All but the newest grow too old, the last of them before there is a stream for it. */
static void a_group_that_was_given_up_is_not_counted(void **state)
{
  struct stage st;
  struct lite_want want = *WANT_PAST;
  want.max_age = 200;
  struct raw_stream *in[4], *sub = end_with_groups_waiting(&st, &want, in);
  raw_fin(in[0]); /* the newest; else it would be cut as well */
  in[0] = NULL;
  lab_run(&st.lab, 1500);
  ends_with(&st, sub, in, 3);
}

/* A publisher whose groups have gaps: the count tells that no more will come. */
static void the_count_ends_the_wait(bool too_high)
{
  struct stage st;
  struct lite_subscribe up;
  stage_up(&st, LITE_06, NULL);
  raw_start(st.announce, "demo", NULL, 0);
  lab_run(&st.lab, 20);
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_PAST);
  raw_answer_track(&st.publisher, 0);
  struct raw_stream *upsub = raw_hear_subscribe(&st.publisher, 0, &up);
  raw_group(&st.publisher, up.id, 2, "a", true);
  (void)raw_expect(sub, LITE_SUBSCRIBE_START);
  raw_group(&st.publisher, up.id, 2, "again", true); /* of no use, and counts */
  raw_say(upsub, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {9, too_high ? 4 : 3}});
  raw_fin(upsub);
  lab_run(&st.lab, LAB_WAIT_MS);
  assert_true(raw_silent(sub));
  raw_group(&st.publisher, up.id, 5, "b", true);
  if (too_high) { /* one that was reset before its first byte: it is waited for, but not for long */
    lab_run(&st.lab, LAB_WAIT_MS);
    assert_true(raw_silent(sub));
    lab_run(&st.lab, 1000);
  }
  assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_END).subscribe_end.group, 9);
  lab_run(&st.lab, 50);
  assert_true(sub->fin && !sub->was_reset);
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_GROUP), 2);
  stage_down(&st);
}

static void no_more_is_waited_for_than_was_counted(void **state)
{
  the_count_ends_the_wait(false);
}

static void a_count_that_never_comes_about(void **state)
{
  the_count_ends_the_wait(true);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_more_is_waited_for_than_was_counted),
      cmocka_unit_test(a_count_that_never_comes_about),
      cmocka_unit_test(announcements_lean_on_live_ones),
      cmocka_unit_test(a_base_need_not_be_of_use),
      cmocka_unit_test(bases_that_are_violations),
      cmocka_unit_test(an_update_on_no_base),
      cmocka_unit_test(hidden_paths_are_told_to_who_asks),
      cmocka_unit_test(hidden_paths_can_be_watched),
      cmocka_unit_test(we_ask_for_hidden_paths),
      cmocka_unit_test(the_end_waits_for_streams),
      cmocka_unit_test(a_group_that_was_given_up_is_not_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
