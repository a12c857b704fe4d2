/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "scenario.h"
#include <stdio.h>
#include <string.h>

static void end_session(struct end *e)
{
  if (e->session)
    lite_session_close(e->session, LITE_CLOSE_INTERNAL, "enough");
}

static void end_raw(struct scenario *s, struct raw *r, struct end *e)
{
  switch (s->death) {
  case CUT:
    if (r->pair)
      lab_cut(&s->lab, r->pair);
    break;
  case KILLED:
    if (r->pair)
      mem_kill(r->pair->mem);
    break;
  case CLOSED_BY_PEER:
    raw_close(r, LITE_CLOSE_DONE);
    break;
  default:
    end_session(e);
  }
}

static void end_link(struct scenario *s, struct end *near, struct end *far)
{
  if (s->death == CUT && s->link)
    lab_cut(&s->lab, s->link);
  else if (s->death == KILLED && s->link)
    mem_kill(s->link->mem);
  else if (s->death == CLOSED_BY_PEER)
    end_session(near);
  else
    end_session(far);
}

static void kill_victim(struct lab *lab)
{
  struct scenario *s = lab->kill_ctx;
  switch (s->victim) {
  case RAW_PUBLISHER:
    end_raw(s, &s->publisher, &s->publisher_end);
    break;
  case RAW_VIEWER:
    end_raw(s, &s->viewer, &s->viewer_end);
    break;
  case OUR_PUBLISHER:
    end_link(s, &s->up_end, &s->down_end);
    break;
  case OUR_VIEWER:
    end_link(s, &s->down_end, &s->up_end);
    break;
  default:
    break;
  }
}

static const char *const paths[] = {"live/one", "live/two"};

static void begin(struct scenario *s, enum lite_version v)
{
  struct mem_config config = mem_config_default();
  config.jitter_ns = 400000; /* spreads what happens over many steps */
  if (s->tight) {
    config.streams_bidi = 2;
    config.streams_uni = 2;
    config.stream_window = 40;
    config.window = 200;
    config.segment = 7;
  }
  lab_init(&s->lab);
  s->lab.quiet = true;
  node_init(&s->relay, &s->lab);
  node_init(&s->far, &s->lab);
  s->far.seed = 5;
  s->far.model.hop_id = 4711;
  s->far.env.local_publishers = false;
  s->lab.kill_ctx = s;
  s->link = lab_join(&s->lab, &s->far, &s->relay, &config, v, &s->down_end, &s->up_end);
  raw_join(&s->publisher, &s->lab, &s->relay, &config, v, &s->publisher_end);
  raw_join(&s->viewer, &s->lab, &s->far, &config, v, &s->viewer_end);
  for (int bidi = 0; s->tight && bidi < 2; bidi++) { /* for us alone: the raw peers do not wait */
    mem_allow_streams(mem_server(s->publisher.pair->mem), bidi, 100);
    mem_allow_streams(mem_server(s->viewer.pair->mem), bidi, 100);
  }
  lab_run(&s->lab, 5);
  raw_setup(&s->publisher, 7);
  raw_setup(&s->viewer, 9);
}

static void publish_some(struct scenario *s, uint64_t id, uint64_t base)
{
  struct raw *p = &s->publisher;
  raw_group(p, id, base, "one two three", true);
  lab_run(&s->lab, 3);
  struct raw_stream *open = raw_group(p, id, base + 1, "half", false);
  lab_run(&s->lab, 3);
  raw_frames(open, 3, "more", false);
  raw_datagram(p, id, base + 3, 7, "datagram");
  struct raw_stream *cut = raw_group(p, id, base + 2, "to be cut", false);
  lab_run(&s->lab, 3);
  raw_reset(cut, LITE_RESET_CANCELLED);
  raw_fin(open);
  lab_run(&s->lab, 3);
}

static void watch(struct scenario *s)
{
  struct raw *p = &s->publisher, *w = &s->viewer;
  struct lite_subscribe up = {0};
  struct raw_stream *list = raw_announce_request(w, "");
  raw_track(w, "live/one", "video");
  raw_track(w, "nowhere", "video");
  struct raw_stream *sub = raw_subscribe(w, 0, "live/one", "video", WANT_LATEST);
  raw_subscribe(w, 1, "live/two", "audio", WANT_PAST);
  raw_answer_track(p, 0);
  struct raw_stream *upsub = raw_hear_subscribe(p, 0, &up);
  publish_some(s, up.id, 0);
  raw_fetch(w, "live/one", "video", 0);
  raw_fetch(w, "live/one", "video", 900);
  struct raw_stream *upf = raw_incoming(p, LITE_STREAM_FETCH, 0);
  raw_frames(upf, 1, "fetched", false);
  lab_run(&s->lab, 5);
  raw_frames(upf, 1, "whole", true);
  struct lite_want want = *WANT_LATEST;
  want.priority = 3;
  raw_say(sub, LITE_SUBSCRIBE_UPDATE, &(union lite_body){.subscribe_update = {want}});
  lab_run(&s->lab, 150);
  publish_some(s, up.id, 10);
  raw_fin(list);
  raw_say(upsub, LITE_SUBSCRIBE_END, &(union lite_body){.subscribe_end = {13}});
  raw_fin(upsub);
  lab_run(&s->lab, 50);
  raw_stop(sub, 1);
}

void scenario_run(struct scenario *s, enum lite_version v, unsigned long kill_at)
{
  begin(s, v);
  if (kill_at) {
    s->lab.kill = kill_victim;
    s->lab.kill_at = kill_at;
  }
  struct raw_stream *a = raw_publish(&s->publisher, 7, paths, 2);
  struct raw_stream *probe = raw_begin(&s->viewer, LITE_STREAM_PROBE);
  lab_run(&s->lab, 10);
  watch(s);
  if (s->up_end.session)
    lite_session_goaway(s->up_end.session, "");
  raw_unstart(a, "live/two", 1);
  lab_run(&s->lab, 20);
  raw_fin(probe);
  raw_reset(a, 0);
  lab_run(&s->lab, 20);
  lab_destroy(&s->lab);
  node_destroy(&s->relay);
  node_destroy(&s->far);
}
