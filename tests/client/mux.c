/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/mux.h"
#include "media/fmp4_reader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

/* What a reader finds in the file: "track@ms " for each sample. The writer holds the latest one of
 * each track back, so a sample comes after those that were earlier than the next of its track. */
struct found {
  struct fmp4_reader *reader;
  uint32_t timescale[4];
  char text[512];
};

static int on_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  struct found *f = arg;
  for (size_t i = 0; i < count; i++)
    f->timescale[i] = tracks[i].timescale;
  return 0;
}

static int on_sample(void *arg, const struct fmp4_sample *s)
{
  struct found *f = arg;
  size_t n = strlen(f->text);
  int64_t ms = media_rescale(s->pts, f->timescale[s->track], MEDIA_US) / 1000;
  snprintf(f->text + n, sizeof f->text - n, "%c%s@%d ", s->track ? 'a' : 'v', s->track || s->keyframe ? "" : "-",
           (int)ms);
  return 0;
}

static void read_file(const struct media_buf *file, struct found *f)
{
  static const struct fmp4_reader_events events = {on_tracks, on_sample};
  *f = (struct found){0};
  f->reader = fmp4_reader_new(NULL, &events, f);
  assert_non_null(f->reader);
  assert_int_equal(fmp4_reader_feed(f->reader, file->data, file->len), 0);
  assert_int_equal(fmp4_reader_finish(f->reader), 0);
  fmp4_reader_free(f->reader);
}

static struct catalog_entry video(void)
{
  return (struct catalog_entry){.track = {.kind = MEDIA_VIDEO,
                                          .codec = MEDIA_VP9,
                                          .codec_string = "vp09.00.10.08",
                                          .width = 16,
                                          .height = 16,
                                          .timescale = 1000}};
}

static struct catalog_entry audio(void)
{
  return (struct catalog_entry){
      .track = {.kind = MEDIA_AUDIO, .codec = MEDIA_OPUS, .codec_string = "opus", .sample_rate = 48000, .channels = 2}};
}

struct fixture {
  struct mux *mux;
  struct media_buf out;
  uint64_t now, at;
};

static void open_mux(struct fixture *x)
{
  struct catalog_entry v = video(), a = audio();
  const struct catalog_entry *entries[] = {&v, &a};
  *x = (struct fixture){.now = 1};
  assert_true(mux_can(&v) && mux_can(&a));
  assert_int_equal(mux_new(entries, 2, &x->mux), 0);
}

static void close_mux(struct fixture *x, const char *expected)
{
  struct found f;
  assert_int_equal(mux_finish(x->mux, &x->out), 0);
  read_file(&x->out, &f);
  assert_string_equal(f.text, expected);
  mux_free(x->mux);
  media_buf_destroy(&x->out);
}

static void put(struct fixture *x, size_t track, int64_t ms, bool first)
{
  uint8_t bytes[CONTAINER_HEADER_MAX + 2];
  int n = container_legacy_header(ms * 1000, bytes);
  assert_true(n > 0);
  memcpy(bytes + n, "xy", 2);
  assert_int_equal(mux_frame(x->mux, track, slice_of(bytes, (size_t)n + 2), first), 0);
}

static int go(struct fixture *x)
{
  return mux_write(x->mux, x->now, &x->out, &x->at);
}

static void orders_by_time(void **state)
{
  struct fixture x;
  open_mux(&x);
  put(&x, 1, 0, true);
  assert_int_equal(go(&x), 0); /* waits for video */
  assert_int_equal(x.at, x.now + MUX_WAIT);
  assert_false(mux_hungry(x.mux, 1));
  assert_true(mux_hungry(x.mux, 0));
  put(&x, 0, 0, true);
  assert_int_equal(go(&x), 1);
  put(&x, 0, 33, false);
  assert_int_equal(go(&x), 1);
  put(&x, 1, 20, true);
  assert_int_equal(go(&x), 1);
  put(&x, 1, 40, true);
  assert_int_equal(go(&x), 1);
  close_mux(&x, "a@0 v@0 a@20 v-@33 a@40 ");
}

/* A track that has nothing holds the other one up once, not for each frame. */
static void silent_track(void **state)
{
  struct fixture x;
  open_mux(&x);
  put(&x, 0, 0, true);
  assert_int_equal(go(&x), 0);
  x.now = x.at;
  assert_int_equal(go(&x), 1);
  for (int ms = 40; ms < 200; ms += 40) {
    put(&x, 0, ms, false);
    assert_int_equal(go(&x), 1);
  }
  mux_end(x.mux, 1);
  assert_int_equal(go(&x), 0);
  assert_int_equal(x.at, UINT64_MAX);
  assert_int_equal(mux_time_us(x.mux), 160000);
  close_mux(&x, "v@0 v-@40 v-@80 v-@120 v-@160 ");
}

/* Joined an hour in: the file begins at zero, tracks in step; a publisher that begins anew goes on
 * behind. */
static void moves_times(void **state)
{
  struct fixture x;
  open_mux(&x);
  put(&x, 0, 3600000, true);
  put(&x, 1, 3600010, true);
  assert_int_equal(go(&x), 1);
  put(&x, 0, 3600040, false);
  assert_int_equal(go(&x), 1);
  put(&x, 1, 3600050, true);
  assert_int_equal(go(&x), 1);
  put(&x, 0, 0, true);
  assert_int_equal(go(&x), 1);
  put(&x, 0, 40, false);
  assert_int_equal(go(&x), 1);
  mux_end(x.mux, 0);
  assert_int_equal(go(&x), 1);
  put(&x, 1, 10, true);
  assert_int_equal(go(&x), 1);
  close_mux(&x, "v@0 v-@40 v@80 a@10 a@50 v-@120 a@90 ");
}

static void drops_what_is_malformed(void **state)
{
  struct fixture x;
  open_mux(&x);
  static const uint8_t cut[] = {0xc0, 0};
  assert_int_equal(mux_frame(x.mux, 0, slice_of(cut, sizeof cut), true), 0);
  assert_int_equal(mux_dropped(x.mux), 1);
  static const uint8_t marker[] = {0};
  assert_int_equal(mux_frame(x.mux, 0, slice_of(marker, 1), true), 0);
  assert_int_equal(mux_dropped(x.mux), 1);
  assert_true(mux_hungry(x.mux, 0));
  put(&x, 0, 0, true);
  close_mux(&x, "v@0 ");
}

static void says_what_it_cannot(void **state)
{
  struct catalog_entry e = video();
  e.container = CONTAINER_UNKNOWN;
  assert_false(mux_can(&e));
  e.container = CONTAINER_CMAF; /* without init */
  assert_false(mux_can(&e));
  e = video();
  e.broadcast = (char[]){"elsewhere"};
  assert_false(mux_can(&e));
  e = video();
  e.track.codec = MEDIA_CODEC_NONE;
  assert_false(mux_can(&e));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(orders_by_time),          cmocka_unit_test(silent_track),        cmocka_unit_test(moves_times),
      cmocka_unit_test(drops_what_is_malformed), cmocka_unit_test(says_what_it_cannot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
