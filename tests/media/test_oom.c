/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Fails each allocation in turn, in a clip's whole way: every one must come back as -ENOMEM and
 * nothing may leak (which the sanitizer sees). jansson's own allocations are not counted: where
 * they fail it loses characters without a word.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "media/catalog.h"
#include "media/fmp4_writer.h"
#include "support/oom.h"

#define ALLOCATIONS_MAX 5000

struct path {
  struct fmp4_writer *writer;
  struct media_buf out;
  const struct media_track *tracks;
};

static int through_catalog(const struct media_track *tracks, size_t count, struct catalog *ret_c)
{
  struct catalog c = {0};
  struct catalog_stream s = {0};
  char *json = NULL;
  size_t len;
  int rv = 0;
  for (size_t i = 0; i < count && rv == 0; i++)
    rv = catalog_add(&c, i ? "audio" : "video", &tracks[i], 0);
  if (rv == 0)
    rv = catalog_encode(&c, &json, &len);
  catalog_destroy(&c);
  if (rv == 0)
    rv = catalog_stream_frame(&s, 0, json, len, ret_c);
  catalog_stream_destroy(&s);
  free(json);
  return rv;
}

static int on_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  struct path *p = arg;
  struct catalog c;
  int rv = through_catalog(tracks, count, &c);
  if (rv < 0)
    return rv;
  assert_int_equal(c.count, count);
  catalog_destroy(&c);
  return fmp4_writer_new(tracks, count, NULL, &p->writer);
}

static int on_sample(void *arg, const struct fmp4_sample *s)
{
  struct path *p = arg;
  struct fmp4_writer_sample w = {
      .track = s->track, .pts = s->pts, .keyframe = s->keyframe, .data = s->data, .len = s->len};
  return fmp4_writer_add(p->writer, &w, &p->out);
}

static int run(const struct media_buf *in)
{
  static const struct fmp4_reader_events events = {.tracks = on_tracks, .sample = on_sample};
  struct path p = {0};
  struct fmp4_reader *r = fmp4_reader_new(NULL, &events, &p);
  int rv = r ? 0 : -ENOMEM;
  for (size_t at = 0; at < in->len && rv == 0; at += 500)
    rv = fmp4_reader_feed(r, in->data + at, in->len - at < 500 ? in->len - at : 500);
  if (rv == 0)
    rv = fmp4_reader_finish(r);
  if (rv == 0)
    rv = fmp4_writer_finish(p.writer, &p.out);
  if (rv < 0 && rv != -ENOMEM)
    fail_msg("%d: %s", rv, fmp4_reader_error(r));
  fmp4_reader_free(r);
  fmp4_writer_free(p.writer);
  media_buf_destroy(&p.out);
  return rv;
}

static void each_allocation_fails(void **state)
{
  static const char *const names[] = {"h264-aac.mp4", "vp9-opus.mp4"};
  for (size_t i = 0; i < 2; i++) {
    struct media_buf in = clip_load(names[i]);
    long k = 0;
    int rv;
    do {
      oom_after(k, 1);
      rv = run(&in);
      bool reached = oom_end();
      assert_true(reached ? rv == -ENOMEM : rv == 0);
    } while (rv != 0 && ++k < ALLOCATIONS_MAX);
    assert_true(k > 20 && k < ALLOCATIONS_MAX);
    media_buf_destroy(&in);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
