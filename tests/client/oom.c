/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A publisher, a viewer, and a recording of frames, with each allocation failing in turn: nothing crashes or leaks, and
 * whoever made it is told. */
#include "client/json_line.h"
#include "client/mux.h"
#include "client/publisher.h"
#include "client/viewer.h"
#include "support/oom.h"
#include "support/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <cmocka.h>

#define POINTS_MAX 2000

/* ---- a publisher and a viewer on one origin ---- */

struct world {
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct deferred work;
  uint64_t seed;
  unsigned frames;
};

static void defer(void *ctx)
{
  struct world *w = ctx;
  worker_defer(&w->worker, &w->work);
}

static void run_model(struct deferred *d, uint64_t now)
{
  struct world *w = container_of(d, struct world, work);
  model_run(&w->model, now);
}

static void ready(void *ctx, struct viewer *v)
{
  struct world *w = ctx;
  struct viewer_frame f;
  while (viewer_peek(v, &f)) {
    assert_true(slice_eq(f.payload, slice_str("frame")));
    w->frames++;
    viewer_take(v);
  }
}

static int watch(struct world *w, struct viewer **ret_v)
{
  static const struct viewer_events events = {.ready = ready};
  struct viewer_config config = {.worker = &w->worker,
                                 .origin = w->origin,
                                 .path = slice_str("room/a"),
                                 .track = slice_str("t"),
                                 .max_age_ms = 10000,
                                 .events = &events,
                                 .ctx = w};
  return viewer_new(&config, ret_v);
}

static int publish(struct world *w, struct publisher **ret_p)
{
  static const struct track_info info = {.priority = 1, .max_age_ms = 30000, .timescale = 1000};
  struct publisher_track *t;
  struct slice frame[] = {slice_str("fra"), slice_str("me")};
  int rc = publisher_new(w->origin, slice_str("room/a"), w->worker.now, ret_p);
  if (rc == 0)
    rc = publisher_track(*ret_p, "t", &info, w->worker.now, &t);
  for (int i = 0; i < 3 && rc == 0; i++) {
    rc = publisher_group(t, w->worker.now);
    for (int k = 0; k < 3 && rc == 0; k++)
      rc = publisher_frame(t, 5, frame, 2);
    sim_run(&w->worker, 10 * NS_PER_MS);
  }
  return rc;
}

static bool broadcast(long point)
{
  struct world w = {.seed = 1};
  struct viewer *v = NULL;
  struct publisher *p = NULL;
  sim_init(&w.worker);
  deferred_init(&w.work, run_model);
  model_init(&w.model, &w.worker.timers, rng_seeded(&w.seed), 64 << 20, defer, &w);
  w.origin = origin_new(&w.model);
  assert_non_null(w.origin);
  oom_after(point, 1);
  int rc = watch(&w, &v);
  if (rc == 0)
    rc = publish(&w, &p);
  if (p)
    publisher_finish(p, w.worker.now);
  sim_run(&w.worker, 20 * NS_PER_S);
  bool failed = oom_end();
  assert_true(rc == 0 || failed);
  assert_true(failed || w.frames == 9);
  viewer_free(v);
  publisher_free(p, w.worker.now);
  worker_defer_cancel(&w.work);
  origin_free(w.origin);
  assert_int_equal(w.model.tracks_now, 0);
  model_destroy(&w.model);
  return failed;
}

static void broadcasts(void **state)
{
  long point = 0;
  while (broadcast(point))
    assert_true(++point < POINTS_MAX);
  assert_true(point > 10);
}

/* ---- a recording ---- */

static int put(struct mux *m, size_t track, int64_t ms, bool first)
{
  uint8_t bytes[CONTAINER_HEADER_MAX + 2];
  int n = container_legacy_header(ms * 1000, bytes);
  assert_true(n > 0);
  memcpy(bytes + n, "xy", 2);
  return mux_frame(m, track, slice_of(bytes, (size_t)n + 2), first);
}

static int record(struct mux *m, struct media_buf *out)
{
  uint64_t at;
  int rc = 0;
  for (int i = 0; i < 6 && rc == 0; i++) {
    rc = put(m, 0, 40 * i, i % 3 == 0);
    if (rc == 0)
      rc = put(m, 1, 20 * i, true);
    while (rc == 0 && (rc = mux_write(m, 1, out, &at)) == 1)
      rc = 0;
  }
  return rc == 0 ? mux_finish(m, out) : rc;
}

static bool recording(long point)
{
  struct catalog_entry video = {.track = {.kind = MEDIA_VIDEO,
                                          .codec = MEDIA_VP9,
                                          .codec_string = "vp09.00.10.08",
                                          .width = 16,
                                          .height = 16,
                                          .timescale = 1000}},
                       audio = {.track = {.kind = MEDIA_AUDIO,
                                          .codec = MEDIA_OPUS,
                                          .codec_string = "opus",
                                          .sample_rate = 48000,
                                          .channels = 2}};
  const struct catalog_entry *entries[] = {&video, &audio};
  struct mux *m = NULL;
  struct media_buf out = {0};
  oom_after(point, 1);
  int rc = mux_new(entries, 2, &m);
  if (rc == 0)
    rc = record(m, &out);
  bool failed = oom_end();
  assert_int_equal(rc, failed ? -ENOMEM : 0);
  mux_free(m);
  media_buf_destroy(&out);
  return failed;
}

static void recordings(void **state)
{
  long point = 0;
  while (recording(point))
    assert_true(++point < POINTS_MAX);
  assert_true(point > 10);
}

/* ---- lines for programs ---- */

static void lines(void **state)
{
  static const char text[] =
      "a text with \x01 and \xff that is longer than what a buffer begins with, as it has to be here";
  bool failed = true;
  for (long point = 0; failed; point++) {
    struct buf b = {0};
    assert_true(point < POINTS_MAX);
    oom_after(point, 1);
    json_begin(&b);
    json_text(&b, "text", slice_str(text));
    json_base64(&b, "bytes", slice_str(text));
    json_number(&b, "n", 5);
    json_end(&b);
    failed = oom_end();
    assert_int_equal(b.failed, failed);
    buf_destroy(&b);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcasts),
      cmocka_unit_test(recordings),
      cmocka_unit_test(lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
