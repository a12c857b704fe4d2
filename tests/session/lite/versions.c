/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is told of broadcasts, and how older versions differ. */
#include "lab.h"
#include <stdio.h>
#include <string.h>

static const char *const demo[] = {"demo"};

struct stage {
  struct lab lab;
  struct node relay;
  struct raw publisher, viewer;
  struct end publisher_end, viewer_end;
};

static void lab_up(struct stage *st)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
}

static void stage_down(struct stage *st)
{
  lab_destroy(&st->lab);
  node_destroy(&st->relay);
}

/* Joins and gets through whatever setup the version has. */
static void join(struct stage *st, struct raw *r, struct end *e, enum lite_version v, uint64_t hop)
{
  raw_join(r, &st->lab, &st->relay, NULL, v, e);
  if (lite_info(v)->setup_stream)
    raw_setup(r, hop);
  if (lite_info(v)->legacy_setup) {
    uint8_t code[8];
    struct buf b = {0};
    buf_varint(&b, lite_info(v)->code);
    memcpy(code, b.p, b.n);
    union lite_body body = {.client_setup = {.version_count = 1, .versions = slice_of(code, b.n)}};
    struct raw_stream *s = raw_request(r, LITE_STREAM_LEGACY, LITE_CLIENT_SETUP, &body);
    assert_int_equal(raw_expect(s, LITE_SERVER_SETUP).server_setup.version, lite_info(v)->code);
    buf_destroy(&b);
  }
  lab_run(&st->lab, 20);
}

/* Takes the relay's request, answers whatever opens the set in this version, with nothing in it. */
static struct raw_stream *announcing(struct raw *r, uint64_t hop)
{
  struct raw_stream *a = raw_incoming(r, LITE_STREAM_ANNOUNCE, 0);
  assert_non_null(a);
  (void)raw_expect(a, LITE_ANNOUNCE_REQUEST);
  if (lite_info(r->version)->announce_ok)
    raw_say(a, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {hop, 0}});
  if (lite_info(r->version)->announce_init)
    raw_say(a, LITE_ANNOUNCE_INIT, &(union lite_body){.announce_init = {0}});
  return a;
}

/* How a publisher with hop 7 says that it has something. */
static void announce_own(struct raw_stream *a, const char *path)
{
  static const uint64_t own[] = {7}, unknown[] = {0};
  switch (lite_info(a->raw->version)->hops) {
  case LITE_HOPS_COUNT:
    raw_start(a, path, unknown, 1);
    break;
  case LITE_HOPS_WITH_SENDER:
    raw_start(a, path, own, 1);
    break;
  default:
    raw_start(a, path, NULL, 0);
  }
}

static void check_hops(const struct stage *st, const struct lite_hops *h, enum lite_version from, enum lite_version to)
{
  bool known = lite_info(from)->hops == LITE_HOPS_WITH_SENDER || lite_info(from)->hops == LITE_HOPS_WITHOUT_SENDER;
  if (lite_info(to)->hops == LITE_HOPS_NONE)
    return;
  if (lite_info(to)->hops == LITE_HOPS_COUNT) {
    assert_in_range(h->n, 2, 3); /* what names no publisher has a stamp in front */
    return;
  }
  bool with_us = lite_info(to)->hops == LITE_HOPS_WITH_SENDER;
  assert_true(h->n >= (with_us ? 2u : 1u));
  if (known)
    assert_int_equal(h->id[0], 7);
  else
    assert_int_not_equal(h->id[0], 0);
  if (with_us)
    assert_int_equal(h->id[h->n - 1], st->relay.model.hop_id);
}

/* A second viewer changes what is wanted: the publisher hears of it, unless its version would have it end the subscription. */
static void another_viewer_joins(struct stage *st, struct raw_stream *upsub)
{
  struct lite_want want = *WANT_LATEST;
  want.priority = 200;
  (void)raw_subscribe(&st->viewer, 1, "demo", "video", &want);
  lab_run(&st->lab, 200);
  if (lite_info(upsub->raw->version)->max_age)
    assert_int_equal(raw_expect(upsub, LITE_SUBSCRIBE_UPDATE).subscribe_update.want.priority, 200);
  else
    assert_true(raw_silent(upsub) && !upsub->fin);
}

static void a_group_goes_from(enum lite_version from, enum lite_version to)
{
  struct stage st;
  struct lite_subscribe up;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, from, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  announce_own(a, "demo");
  join(&st, &st.viewer, &st.viewer_end, to, 9);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  if (lite_info(to)->announce_init) {
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE_INIT).announce_init.count, 1);
  } else {
    if (lite_info(to)->announce_ok)
      assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, 1);
    enum lite_msg m = lite_info(to)->typed_announces ? LITE_ANNOUNCE_START : LITE_ANNOUNCE;
    union lite_body body = raw_expect(list, m);
    const struct lite_hops *h = m == LITE_ANNOUNCE ? &body.announce.hops : &body.announce_start.hops;
    check_hops(&st, h, from, to);
  }
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  if (lite_info(from)->track)
    raw_answer_track(&st.publisher, 0);
  struct raw_stream *upsub = raw_hear_subscribe(&st.publisher, 0, &up);
  if (lite_info(from)->subscribe_ok)
    raw_say(upsub, LITE_SUBSCRIBE_OK,
            &(union lite_body){.subscribe_ok = {.group_start = LITE_NONE, .group_end = LITE_NONE}});
  if (lite_info(to)->subscribe_ok)
    (void)raw_expect(sub, LITE_SUBSCRIBE_OK);
  raw_group(&st.publisher, up.id, 3, "a bb", true);
  struct raw_stream *g = raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0);
  assert_non_null(g);
  assert_string_equal(raw_text(g), "a bb ");
  assert_true(g->fin);
  another_viewer_joins(&st, upsub);
  if (!lite_info(from)->subscribe_ok)
    raw_say(upsub, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {4}});
  raw_fin(upsub);
  lab_run(&st.lab, 2000);
  assert_true(sub->fin && !sub->was_reset);
  if (!lite_info(to)->subscribe_ok) {
    assert_int_equal(raw_expect(sub, LITE_SUBSCRIBE_START).subscribe_start.group, 3);
    struct lite_subscribe_end end = raw_expect(sub, LITE_SUBSCRIBE_END).subscribe_end;
    assert_int_equal(end.group, 4);
    assert_int_equal(end.streams, lite_info(to)->stream_count);
  }
  raw_unstart(a, "demo", 0);
  if (lite_info(to)->typed_announces)
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE_END).announce_end.id, 0);
  else
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE).announce.status, LITE_ENDED);
  stage_down(&st);
}

static void every_version_to_every_version(void **state)
{
  for (int from = LITE_01; from < LITE_VERSIONS; from++)
    for (int to = LITE_01; to < LITE_VERSIONS; to++)
      a_group_goes_from((enum lite_version)from, (enum lite_version)to);
}

static void our_sessions_at_both_ends(void **state)
{
  for (int v = LITE_01; v < LITE_VERSIONS; v++) {
    struct stage st;
    struct node far;
    struct end up_end, down_end;
    struct lite_subscribe up;
    lab_up(&st);
    node_init(&far, &st.lab);
    far.env.local_publishers = false;
    far.seed = 77;
    far.model.hop_id = 12345;
    lab_join(&st.lab, &far, &st.relay, NULL,
             lite_info((enum lite_version)v)->legacy_setup ? LITE_02 : (enum lite_version)v, &down_end, &up_end);
    join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
    announce_own(announcing(&st.publisher, 7), "demo");
    lab_run(&st.lab, 50);
    assert_int_equal(far.model.broadcasts_now, 1);
    raw_join(&st.viewer, &st.lab, &far, NULL, LITE_06, &st.viewer_end);
    raw_setup(&st.viewer, 9);
    struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
    raw_answer_track(&st.publisher, 0);
    struct raw_stream *upsub = raw_hear_subscribe(&st.publisher, 0, &up);
    raw_group(&st.publisher, up.id, 0, "through two", true);
    assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0)), "through two ");
    raw_say(upsub, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {1}});
    raw_fin(upsub);
    lab_run(&st.lab, 3000);
    assert_true(sub->fin);
    lab_destroy(&st.lab);
    node_destroy(&st.relay);
    node_destroy(&far);
  }
}

static void a_client_without_a_common_version_is_told(void **state)
{
  static const uint8_t codes[] = {0xc0, 0, 0, 0, 0xff, 0, 0, 0x0e, 0xc0, 0, 0, 0, 0xff, 0x0d, 0xad, 0x01};
  struct stage st;
  lab_up(&st);
  raw_join(&st.viewer, &st.lab, &st.relay, NULL, LITE_02, &st.viewer_end);
  union lite_body body = {.client_setup = {.version_count = 1, .versions = slice_of(codes, 8)}};
  raw_request(&st.viewer, LITE_STREAM_LEGACY, LITE_CLIENT_SETUP, &body);
  lab_run(&st.lab, 20);
  assert_true(st.viewer_end.closed);
  assert_int_equal(st.viewer_end.code, LITE_CLOSE_VERSION);
  /* the first of the client's list that is spoken */
  raw_join(&st.publisher, &st.lab, &st.relay, NULL, LITE_02, &st.publisher_end);
  body.client_setup = (struct lite_client_setup){.version_count = 2, .versions = slice_of(codes, 16)};
  struct raw_stream *s = raw_request(&st.publisher, LITE_STREAM_LEGACY_OLDEST, LITE_CLIENT_SETUP_OLDEST, &body);
  assert_int_equal(raw_expect(s, LITE_SERVER_SETUP_OLDEST).server_setup.version, 0xff0dad01);
  raw_write(s, "\x01\x00", 2, false); /* SESSION_INFO */
  lab_run(&st.lab, 20);
  assert_false(st.publisher_end.closed);
  raw_write(s, "\x00", 1, false);
  lab_run(&st.lab, 20);
  stage_down(&st);
}

static void what_comes_to_lead_through_the_viewer_is_taken_back(void **state)
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  raw_start(a, "demo", NULL, 0);
  join(&st, &st.viewer, &st.viewer_end, LITE_06, 9);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  (void)raw_expect(list, LITE_ANNOUNCE_OK);
  (void)raw_expect(list, LITE_ANNOUNCE_START);
  union lite_body update = {.announce_update = {.id = 0, .hops = {.n = 2, .id = {5, 9}}}};
  raw_say(a, LITE_ANNOUNCE_UPDATE, &update);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_END).announce_end.id, 0);
  update.announce_update.hops.id[1] = 8;
  raw_say(a, LITE_ANNOUNCE_UPDATE, &update);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_START).announce_start.hops.n, 3);
  /* and what comes to lead through us is not used any more */
  update.announce_update.hops.id[1] = st.relay.model.hop_id;
  raw_say(a, LITE_ANNOUNCE_UPDATE, &update);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_END).announce_end.id, 1);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  update.announce_update.hops.id[1] = 8;
  raw_say(a, LITE_ANNOUNCE_UPDATE, &update);
  (void)raw_expect(list, LITE_ANNOUNCE_START);
  stage_down(&st);
}

/* 04 has no SETUP: who asks says who it is with its request for announcements. */
static void what_came_through_the_asker_is_not_served_to_it_in_04(void **state)
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  raw_start(announcing(&st.publisher, 7), "demo", (const uint64_t[]){5, 9}, 2);
  join(&st, &st.viewer, &st.viewer_end, LITE_04, 0);
  union lite_body request = {.announce_request = {slice_str(""), 9}};
  struct raw_stream *list = raw_request(&st.viewer, LITE_STREAM_ANNOUNCE, LITE_ANNOUNCE_REQUEST, &request);
  assert_true(raw_silent(list));
  struct raw_stream *sub = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  lab_run(&st.lab, LAB_WAIT_MS);
  assert_true(sub->was_reset);
  assert_int_equal(sub->reset_code, LITE_RESET_UNROUTABLE);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_SUBSCRIBE), 0);
  stage_down(&st);
}

static void a_viewer_leaves_with_news_still_due(void **state)
{
  struct stage st;
  struct mem_config config = mem_config_default();
  char name[64];
  lab_up(&st);
  st.relay.env.limits.announces = 10000;
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  for (unsigned i = 0; i < 2000; i++) { /* more than is made ahead */
    snprintf(name, sizeof name, "a-rather-long-name-for-a-broadcast/%u", i);
    raw_start(a, name, NULL, 0);
  }
  config.window = 1000;
  raw_join(&st.viewer, &st.lab, &st.relay, &config, LITE_06, &st.viewer_end);
  raw_setup(&st.viewer, 9);
  lab_run(&st.lab, 50);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  lab_run(&st.lab, 5);
  raw_fin(list);
  lab_run(&st.lab, 5);
  raw_close(&st.publisher, LITE_CLOSE_DONE); /* all of it goes, while the viewer still reads */
  lab_run(&st.lab, 2000);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  assert_true(list->fin);
  assert_null(list->st);
  stage_down(&st);
}

static void the_legacy_exchange_happens_once(void **state)
{
  struct stage st;
  lab_up(&st);
  st.relay.manual = true;
  raw_join(&st.viewer, &st.lab, &st.relay, NULL, LITE_02, &st.viewer_end);
  uint8_t code[] = {0xc0, 0, 0, 0, 0xff, 0x0d, 0xad, 0x02};
  union lite_body body = {.client_setup = {.version_count = 1, .versions = slice_of(code, 8)}};
  struct raw_stream *first = raw_begin(&st.viewer, LITE_STREAM_LEGACY);
  raw_write(first, "\x20", 1, false);
  lab_run(&st.lab, 20);
  struct raw_stream *second = raw_request(&st.viewer, LITE_STREAM_LEGACY, LITE_CLIENT_SETUP, &body);
  lab_run(&st.lab, 20);
  assert_true(second->was_reset);
  assert_false(st.viewer_end.setup);
  /* a client that gives up in the middle */
  raw_reset(first, 0);
  lab_run(&st.lab, 20);
  assert_true(st.viewer_end.closed);
  assert_int_equal(st.viewer_end.code, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

static void the_end_of_the_legacy_stream_ends_the_session(void **state)
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.viewer, &st.viewer_end, LITE_02, 0);
  assert_true(st.viewer_end.setup);
  raw_fin(container_of(st.viewer.streams.next, struct raw_stream, link));
  lab_run(&st.lab, 20);
  assert_true(st.viewer_end.closed);
  assert_int_equal(st.viewer_end.code, LITE_CLOSE_DONE);
  stage_down(&st);
}

/* ---- announcing ---- */

static void live(enum lite_version v)
{
  struct stage st;
  bool typed = lite_info(v)->typed_announces;
  enum lite_msg start = typed ? LITE_ANNOUNCE_START : LITE_ANNOUNCE;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, v, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  raw_start(a, "room/one", NULL, 0);
  raw_start(a, "/room//two/", NULL, 0);
  raw_start(a, "elsewhere", NULL, 0);
  join(&st, &st.viewer, &st.viewer_end, v, 9);
  struct raw_stream *list = raw_announce_request(&st.viewer, "room");
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, 2);
  union lite_body one = raw_expect(list, start), two = raw_expect(list, start);
  assert_true(slice_eq(typed ? one.announce_start.suffix : one.announce.suffix, slice_str("one")));
  assert_true(slice_eq(typed ? two.announce_start.suffix : two.announce.suffix, slice_str("two")));
  if (typed)
    assert_int_equal(one.announce_start.warm_cost, 1);
  raw_start(a, "room/three", NULL, 0);
  (void)raw_expect(list, start);
  /* another way to the same place */
  uint64_t hops[] = {7, 3};
  if (typed) {
    union lite_body update = {
        .announce_update = {.id = 1, .hops = {.n = 2, .id = {7, 3}}, .warm_cost = 2, .cold_cost = 3}};
    update.announce_update.hops.id[0] = 21;
    raw_say(a, LITE_ANNOUNCE_UPDATE, &update);
    union lite_body heard = raw_expect(list, LITE_ANNOUNCE_UPDATE);
    assert_int_equal(heard.announce_update.id, 1);
    assert_int_equal(heard.announce_update.hops.n, 3);
    assert_int_equal(heard.announce_update.warm_cost, 3);
    assert_int_equal(heard.announce_update.cold_cost, 4);
  } else {
    hops[0] = 21;
    raw_start(a, "room/two", hops, 2);
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE).announce.hops.n, 3);
  }
  raw_unstart(a, "room/one", 0);
  if (typed)
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE_END).announce_end.id, 0);
  else
    assert_true(slice_eq(raw_expect(list, LITE_ANNOUNCE).announce.suffix, slice_str("one")));
  raw_start(a, "room/one", NULL, 0);
  (void)raw_expect(list, start); /* the next id */
  raw_unstart(a, "room/one", 4);
  if (typed)
    assert_int_equal(raw_expect(list, LITE_ANNOUNCE_END).announce_end.id, 3);
  else
    (void)raw_expect(list, LITE_ANNOUNCE);
  raw_fin(list);
  lab_run(&st.lab, 20);
  assert_true(list->fin);
  assert_null(list->st);
  /* a clean end of the publisher's stream withdraws all */
  list = raw_announce_request(&st.viewer, "");
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, 3);
  raw_fin(a);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  stage_down(&st);
}

static void announcements_are_live_05(void **state)
{
  live(LITE_05);
}

static void announcements_are_live_06(void **state)
{
  live(LITE_06);
}

static void announcements_are_live_07(void **state)
{
  live(LITE_07);
}

static void refused_by_hops(const uint64_t *hops, size_t n, uint64_t sender, bool refused)
{
  struct stage st;
  uint64_t list[32];
  lab_up(&st);
  for (size_t i = 0; i < n; i++)
    list[i] = hops[i] == 1 ? st.relay.model.hop_id : hops[i];
  join(&st, &st.publisher, &st.publisher_end, LITE_06, sender);
  struct raw_stream *a = announcing(&st.publisher, sender == 1 ? st.relay.model.hop_id : sender);
  raw_start(a, "demo", list, n);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, refused ? 0 : 1);
  assert_false(st.publisher_end.closed);
  raw_unstart(a, "demo", 0); /* ids count all the same */
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  assert_false(st.publisher_end.closed);
  stage_down(&st);
}

static void announcements_that_came_by_here_are_not_used(void **state)
{
  uint64_t full[32];
  for (size_t i = 0; i < 32; i++)
    full[i] = 100 + i;
  refused_by_hops((const uint64_t[]){5, 1}, 2, 7, true);    /* our own */
  refused_by_hops((const uint64_t[]){5, 7, 6}, 3, 7, true); /* the sender's */
  refused_by_hops((const uint64_t[]){5, 6}, 2, 1, true);    /* the sender says it is us */
  refused_by_hops(full, 32, 7, true);                       /* no room for the sender */
  refused_by_hops(full, 31, 7, false);
  refused_by_hops((const uint64_t[]){0, 0, 5}, 3, 0, false);
}

static void a_viewer_is_not_offered_what_came_through_it(void **state)
{
  static const uint64_t through[] = {5, 9};
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  raw_start(a, "demo", through, 2);
  raw_start(a, "other", NULL, 0);
  join(&st, &st.viewer, &st.viewer_end, LITE_06, 9);
  struct raw_stream *list = raw_announce_request(&st.viewer, "");
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, 1);
  assert_true(slice_eq(raw_expect(list, LITE_ANNOUNCE_START).announce_start.suffix, slice_str("other")));
  struct raw_stream *info = raw_track(&st.viewer, "demo", "video");
  lab_run(&st.lab, 20);
  assert_true(info->was_reset && info->reset_code == LITE_RESET_UNROUTABLE);
  /* in 05 the request says who must not be on the way */
  struct raw old;
  struct end old_end;
  join(&st, &old, &old_end, LITE_05, 0);
  union lite_body body = {.announce_request = {slice_str(""), 9}};
  list = raw_request(&old, LITE_STREAM_ANNOUNCE, LITE_ANNOUNCE_REQUEST, &body);
  assert_int_equal(raw_expect(list, LITE_ANNOUNCE_OK).announce_ok.active, 1);
  stage_down(&st);
}

static void announced_what_may_not_be_published(void **state)
{
  struct stage st;
  lab_up(&st);
  st.relay.publish = "mine";
  st.relay.root = "root";
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  raw_start(a, "yours/x", NULL, 0);
  raw_start(a, "mine/x", NULL, 0);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 1);
  assert_non_null(origin_find(st.relay.origin, slice_str("root/mine/x")));
  raw_unstart(a, "yours/x", 0);
  raw_unstart(a, "mine/x", 1);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  assert_false(st.publisher_end.closed);
  /* one that may publish nothing is not asked */
  st.relay.publish = NULL;
  join(&st, &st.viewer, &st.viewer_end, LITE_06, 9);
  assert_null(raw_incoming(&st.viewer, LITE_STREAM_ANNOUNCE, 0));
  stage_down(&st);
}

static void violation(enum lite_version v, void (*breach)(struct raw *r, struct raw_stream *a))
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, v, 7);
  struct raw_stream *a = raw_incoming(&st.publisher, LITE_STREAM_ANNOUNCE, 0);
  assert_non_null(a);
  breach(&st.publisher, a);
  lab_run(&st.lab, 20);
  assert_true(st.publisher_end.closed && !st.publisher_end.by_peer);
  assert_int_equal(st.publisher_end.code, LITE_CLOSE_PROTOCOL);
  stage_down(&st);
}

static void say_ok(struct raw_stream *a)
{
  raw_say(a, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {7, 0}});
}

static void start_first(struct raw *r, struct raw_stream *a)
{
  raw_start(a, "x", NULL, 0);
}

static void start_twice(struct raw *r, struct raw_stream *a)
{
  say_ok(a);
  raw_start(a, "x", NULL, 0);
  raw_start(a, "/x", NULL, 0);
}

static void end_unknown(struct raw *r, struct raw_stream *a)
{
  say_ok(a);
  raw_unstart(a, "x", 0);
}

static void end_twice(struct raw *r, struct raw_stream *a)
{
  say_ok(a);
  raw_start(a, "x", NULL, 0);
  raw_unstart(a, "x", 0);
  raw_unstart(a, "x", 0);
}

static void update_unknown(struct raw *r, struct raw_stream *a)
{
  say_ok(a);
  raw_say(a, LITE_ANNOUNCE_UPDATE, &(union lite_body){.announce_update = {.id = 3}});
}

static void hop_twice(struct raw *r, struct raw_stream *a)
{
  say_ok(a);
  raw_write(a, "\x00\x07\x01x\x02\x05\x05\x00\x00", 9, false);
}

static void start_again_04(struct raw *r, struct raw_stream *a)
{
  static const uint64_t own[] = {7};
  raw_start(a, "x", own, 1);
  raw_start(a, "x", own, 1);
}

static void announcements_that_are_violations(void **state)
{
  violation(LITE_06, start_first);
  violation(LITE_05, start_first);
  violation(LITE_06, start_twice);
  violation(LITE_06, end_unknown);
  violation(LITE_06, end_twice);
  violation(LITE_06, update_unknown);
  violation(LITE_06, hop_twice);
  violation(LITE_04, start_again_04);
  violation(LITE_07, start_first);
  violation(LITE_07, start_twice);
  violation(LITE_07, end_unknown);
  violation(LITE_07, end_twice);
  violation(LITE_07, update_unknown);
}

static void unknown_types_are_skipped_and_take_no_id(void **state)
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  struct raw_stream *a = announcing(&st.publisher, 7);
  raw_write(a, "\x2f\x03xyz", 5, false);
  raw_start(a, "demo", NULL, 0);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 1);
  raw_unstart(a, "demo", 0);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  assert_false(st.publisher_end.closed);
  stage_down(&st);
}

static void a_clean_end_of_the_session_withdraws_at_once(void **state)
{
  struct stage st;
  (void)demo;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  raw_start(announcing(&st.publisher, 7), "demo", NULL, 0);
  lab_run(&st.lab, 20);
  raw_close(&st.publisher, LITE_CLOSE_DONE);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  /* an error of the peer's is a loss */
  join(&st, &st.viewer, &st.viewer_end, LITE_06, 7);
  raw_start(announcing(&st.viewer, 7), "demo", NULL, 0);
  lab_run(&st.lab, 20);
  raw_close(&st.viewer, LITE_CLOSE_INTERNAL);
  lab_run(&st.lab, 20);
  assert_int_equal(st.relay.model.broadcasts_now, 1);
  lab_run(&st.lab, 6000);
  assert_int_equal(st.relay.model.broadcasts_now, 0);
  stage_down(&st);
}

/* -- a relay that names no hop is known by its session -- */

static void what_came_from_a_relay_without_hop_is_not_served_to_it(enum lite_version v)
{
  static const uint64_t far[] = {7, 8};
  struct stage st;
  struct lite_subscribe up;
  lab_up(&st);
  st.relay.env.local_publishers = false;
  join(&st, &st.viewer, &st.viewer_end, v, 0);
  announce_own(announcing(&st.viewer, 0), "demo");
  lab_run(&st.lab, 20);
  struct raw_stream *alone = raw_subscribe(&st.viewer, 0, "demo", "video", WANT_LATEST);
  lab_run(&st.lab, LAB_WAIT_MS);
  assert_true(alone->was_reset || alone->fin);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 9);
  raw_start(announcing(&st.publisher, 9), "demo", far, 2); /* further away than the viewer's own */
  lab_run(&st.lab, 20);
  (void)raw_subscribe(&st.viewer, 1, "demo", "video", WANT_LATEST);
  raw_answer_track(&st.publisher, 0);
  (void)raw_hear_subscribe(&st.publisher, 0, &up);
  raw_group(&st.publisher, up.id, 3, "x", true);
  assert_string_equal(raw_text(raw_incoming(&st.viewer, LITE_STREAM_GROUP, 0)), "x ");
  assert_int_equal(raw_count(&st.viewer, LITE_STREAM_SUBSCRIBE), 0);
  stage_down(&st);
}

static void a_relay_without_hop_is_not_served_its_own(void **state)
{
  for (int v = LITE_01; v <= LITE_03; v++)
    what_came_from_a_relay_without_hop_is_not_served_to_it((enum lite_version)v);
}

/* -- an announce stream that breaks off -- */

/* The n-th request for announcements, answered with "demo". */
static struct raw_stream *asked_again(struct stage *st, unsigned n)
{
  lab_run(&st->lab, 1000);
  struct raw_stream *a = raw_incoming(&st->publisher, LITE_STREAM_ANNOUNCE, n);
  assert_non_null(a);
  (void)raw_expect(a, LITE_ANNOUNCE_REQUEST);
  if (lite_info(a->raw->version)->announce_ok)
    raw_say(a, LITE_ANNOUNCE_OK, &(union lite_body){.announce_ok = {7, 0}});
  if (lite_info(a->raw->version)->announce_init)
    raw_say(a, LITE_ANNOUNCE_INIT, &(union lite_body){.announce_init = {0}});
  announce_own(a, "demo");
  lab_run(&st->lab, 50);
  assert_non_null(origin_find(st->relay.origin, slice_str("demo")));
  assert_non_null(broadcast_route(origin_find(st->relay.origin, slice_str("demo"))));
  return a;
}

static void it_is_asked_again(enum lite_version v)
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, v, 7);
  struct raw_stream *a = asked_again(&st, 0);
  raw_write(a, "\x05", 1, false); /* of a message whose rest never comes */
  lab_run(&st.lab, st.relay.env.limits.message_timeout_ns / NS_PER_MS + 50);
  assert_true(a->was_reset && a->stopped);
  assert_null(broadcast_route(origin_find(st.relay.origin, slice_str("demo")))); /* it lingers */
  raw_reset(a, 0);
  a = asked_again(&st, 1);
  raw_reset(a, LITE_RESET_INTERNAL);
  a = asked_again(&st, 2);
  raw_fin(a); /* that is final */
  lab_run(&st.lab, 200000);
  assert_int_equal(raw_count(&st.publisher, LITE_STREAM_ANNOUNCE), 3);
  assert_false(st.publisher_end.closed);
  stage_down(&st);
}

static void announcements_that_broke_off_are_asked_for_again(void **state)
{
  for (int v = LITE_01; v <= LITE_07; v++)
    it_is_asked_again((enum lite_version)v);
}

static void who_always_refuses_is_asked_seldom(void **state)
{
  struct stage st;
  lab_up(&st);
  join(&st, &st.publisher, &st.publisher_end, LITE_06, 7);
  unsigned n = 0;
  for (unsigned i = 0; i < 600; i++) { /* a second each */
    struct raw_stream *a = raw_count(&st.publisher, LITE_STREAM_ANNOUNCE) > n
                               ? raw_incoming(&st.publisher, LITE_STREAM_ANNOUNCE, n)
                               : NULL;
    raw_reset(a, LITE_RESET_UNROUTABLE);
    n += a != NULL;
    lab_run(&st.lab, 1000);
  }
  assert_in_range(n, 12, 17); /* 1, 2, 4 up to 60 s apart */
  stage_down(&st);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_version_to_every_version),
      cmocka_unit_test(our_sessions_at_both_ends),
      cmocka_unit_test(a_client_without_a_common_version_is_told),
      cmocka_unit_test(what_comes_to_lead_through_the_viewer_is_taken_back),
      cmocka_unit_test(what_came_through_the_asker_is_not_served_to_it_in_04),
      cmocka_unit_test(a_viewer_leaves_with_news_still_due),
      cmocka_unit_test(the_legacy_exchange_happens_once),
      cmocka_unit_test(the_end_of_the_legacy_stream_ends_the_session),
      cmocka_unit_test(announcements_are_live_05),
      cmocka_unit_test(announcements_are_live_06),
      cmocka_unit_test(announcements_are_live_07),
      cmocka_unit_test(announcements_that_came_by_here_are_not_used),
      cmocka_unit_test(a_viewer_is_not_offered_what_came_through_it),
      cmocka_unit_test(announced_what_may_not_be_published),
      cmocka_unit_test(announcements_that_are_violations),
      cmocka_unit_test(unknown_types_are_skipped_and_take_no_id),
      cmocka_unit_test(a_clean_end_of_the_session_withdraws_at_once),
      cmocka_unit_test(a_relay_without_hop_is_not_served_its_own),
      cmocka_unit_test(announcements_that_broke_off_are_asked_for_again),
      cmocka_unit_test(who_always_refuses_is_asked_seldom),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
