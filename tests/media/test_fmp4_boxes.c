/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The reader on streams put together by hand: the forms that ffmpeg does not write by itself. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "media/mp4_init.h"

#define NON_SYNC 0x10000

static const uint8_t asc[] = {0x12, 0x10};
static const uint8_t vpcc[] = {1, 0, 0, 0, 0, 10, 0x82, 1, 1, 1, 0, 0};

/* Track 1 is VP9 at 1000 ticks per second, track 2 AAC at 44100. */
static void put_head(struct media_buf *b)
{
  struct media_track tracks[2] = {
      {.kind = MEDIA_VIDEO, .codec = MEDIA_VP9, .timescale = 1000, .width = 64, .height = 48},
      {.kind = MEDIA_AUDIO, .codec = MEDIA_AAC, .timescale = 44100, .sample_rate = 44100},
  };
  assert_int_equal(media_track_set_config(&tracks[0], vpcc, sizeof(vpcc)), 0);
  assert_int_equal(media_track_set_config(&tracks[1], asc, sizeof(asc)), 0);
  assert_int_equal(mp4_put_init(b, tracks, 2), 0);
  media_track_destroy(&tracks[0]);
  media_track_destroy(&tracks[1]);
}

/* The n-th (from 0) box of that type in the bytes: the offset of its body. */
static size_t find(const struct media_buf *b, const char *type, int n)
{
  for (size_t i = 0; i + 4 <= b->len; i++)
    if (memcmp(b->data + i, type, 4) == 0 && n-- == 0)
      return i + 4;
  fail_msg("no %s", type);
  return 0;
}

static size_t put_tfhd(struct media_buf *b, uint32_t flags, uint32_t track)
{
  size_t box = media_buf_full_box(b, "tfhd", 0, flags);
  media_buf_u32(b, track);
  return box;
}

static void put_tfdt(struct media_buf *b, uint64_t time)
{
  size_t box = media_buf_full_box(b, "tfdt", 1, 0);
  media_buf_u64(b, time);
  media_buf_end_box(b, box);
}

/* A run with durations and sizes; `offset` is where its data offset is to be set, if not NULL. */
static void put_trun(struct media_buf *b, size_t *offset, uint32_t count, uint32_t duration, uint32_t size)
{
  size_t box = media_buf_full_box(b, "trun", 0, 0x300 | (offset ? 1 : 0));
  media_buf_u32(b, count);
  if (offset) {
    *offset = b->len;
    media_buf_u32(b, 0);
  }
  for (uint32_t i = 0; i < count; i++) {
    media_buf_u32(b, duration);
    media_buf_u32(b, size);
  }
  media_buf_end_box(b, box);
}

static void put_bytes(struct media_buf *b, const char *text)
{
  media_buf_put(b, text, strlen(text));
}

static void put_mdat(struct media_buf *b, const char *text)
{
  size_t box = media_buf_box(b, "mdat");
  put_bytes(b, text);
  media_buf_end_box(b, box);
}

static void put_box(struct media_buf *b, const char *type, const char *text)
{
  size_t box = media_buf_box(b, type);
  put_bytes(b, text);
  media_buf_end_box(b, box);
}

/* A moof of one traf and one run whose samples are right behind the next box header. */
static void put_moof(struct media_buf *b, uint32_t track, uint64_t time, uint32_t count, uint32_t duration,
                     uint32_t size)
{
  size_t offset, moof = media_buf_box(b, "moof");
  size_t traf = media_buf_box(b, "traf");
  media_buf_end_box(b, put_tfhd(b, 0x20000, track));
  put_tfdt(b, time);
  put_trun(b, &offset, count, duration, size);
  media_buf_end_box(b, traf);
  media_buf_end_box(b, moof);
  media_buf_set_u32(b, offset, (uint32_t)(b->len - moof + 8));
}

/* Reads it whole and byte by byte, which must agree, and frees it. */
static size_t cut_one(void *arg)
{
  return 1;
}

static struct clip_samples read_all(struct media_buf *b)
{
  struct clip_samples whole, bytes;
  assert_int_equal(media_buf_error(b), 0);
  clip_read(b->data, b->len, NULL, NULL, NULL, &whole);
  clip_read(b->data, b->len, NULL, cut_one, NULL, &bytes);
  assert_int_equal(whole.result, bytes.result);
  assert_string_equal(whole.error, bytes.error);
  assert_int_equal(whole.count, bytes.count);
  clip_assert_same(&whole, &bytes, whole.count);
  clip_samples_destroy(&bytes);
  media_buf_destroy(b);
  return whole;
}

static void expect(const struct clip_samples *s, size_t i, size_t track, int64_t pts, const char *text)
{
  if (s->result != 0)
    fail_msg("%s", s->error);
  assert_true(i < s->count);
  assert_int_equal(s->items[i].track, track);
  assert_int_equal(s->items[i].pts, pts);
  assert_int_equal(s->items[i].len, strlen(text));
  assert_memory_equal(s->bytes.data + s->items[i].at, text, strlen(text));
}

static void expect_error(struct media_buf *b, int code, const char *word)
{
  struct clip_samples s = read_all(b);
  assert_int_equal(s.result, code);
  if (!strstr(s.error, word))
    fail_msg("\"%s\" lacks \"%s\"", s.error, word);
  clip_samples_destroy(&s);
}

static void large_size(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_moof(&b, 1, 100, 2, 40, 3);
  media_buf_set_u32(&b, find(&b, "trun", 0) + 8, (uint32_t)(b.len - find(&b, "moof", 0) + 8 + 16));
  media_buf_u32(&b, 1);
  put_bytes(&b, "mdat");
  media_buf_u64(&b, 16 + 6);
  put_bytes(&b, "abcdef");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 2);
  expect(&s, 0, 0, 100, "abc");
  expect(&s, 1, 0, 140, "def");
  clip_samples_destroy(&s);
}

static void mdat_to_the_end(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_moof(&b, 1, 0, 2, 40, 3);
  media_buf_u32(&b, 0);
  put_bytes(&b, "mdatabcdef and more that nobody announced");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 2);
  expect(&s, 1, 0, 40, "def");
  clip_samples_destroy(&s);
}

static void other_boxes_are_skipped(void **state)
{
  struct media_buf b = {0};
  put_box(&b, "free", "");
  put_head(&b);
  put_box(&b, "styp", "msdh");
  put_box(&b, "sidx", "whatever");
  put_moof(&b, 2, 0, 1, 1024, 2);
  put_mdat(&b, "ab");
  put_box(&b, "emsg", "mdat moof moov");
  put_box(&b, "what", "");
  put_moof(&b, 2, 1024, 1, 1024, 2);
  put_mdat(&b, "cd");
  put_box(&b, "free", "");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 2);
  expect(&s, 0, 1, 0, "ab");
  expect(&s, 1, 1, 1024, "cd");
  clip_samples_destroy(&s);
}

static void runs_follow_each_other(void **state)
{
  struct media_buf b = {0};
  size_t offset;
  put_head(&b);
  size_t moof = media_buf_box(&b, "moof");
  size_t traf = media_buf_box(&b, "traf");
  /* Default duration 40 and size 2 in the tfhd, used by a run without fields. */
  size_t tfhd = put_tfhd(&b, 0x20018, 1);
  media_buf_u32(&b, 40);
  media_buf_u32(&b, 2);
  media_buf_end_box(&b, tfhd);
  put_tfdt(&b, 0);
  put_trun(&b, &offset, 1, 10, 3);
  size_t trun = media_buf_full_box(&b, "trun", 0, 0);
  media_buf_u32(&b, 2);
  media_buf_end_box(&b, trun);
  put_trun(&b, NULL, 1, 10, 1);
  media_buf_end_box(&b, traf);
  media_buf_end_box(&b, moof);
  media_buf_set_u32(&b, offset, (uint32_t)(b.len - moof + 8));
  put_mdat(&b, "aaabbccd");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 4);
  expect(&s, 0, 0, 0, "aaa");
  expect(&s, 1, 0, 10, "bb");
  expect(&s, 2, 0, 50, "cc");
  expect(&s, 3, 0, 90, "d");
  clip_samples_destroy(&s);
}

/* Old style: the first track fragment counts from the moof, the second from the first's end. */
static void fragments_without_base(void **state)
{
  struct media_buf b = {0};
  size_t offset;
  put_head(&b);
  size_t moof = media_buf_box(&b, "moof");
  size_t traf = media_buf_box(&b, "traf");
  media_buf_end_box(&b, put_tfhd(&b, 0, 1));
  put_trun(&b, &offset, 2, 40, 2);
  media_buf_end_box(&b, traf);
  traf = media_buf_box(&b, "traf");
  media_buf_end_box(&b, put_tfhd(&b, 0, 2));
  put_trun(&b, NULL, 1, 1024, 3);
  media_buf_end_box(&b, traf);
  media_buf_end_box(&b, moof);
  media_buf_set_u32(&b, offset, (uint32_t)(b.len - moof + 8));
  put_mdat(&b, "v0v1aud");
  /* Without a tfdt time goes on where it was. */
  put_moof(&b, 1, 0, 1, 40, 2);
  memcpy(b.data + find(&b, "tfdt", 0) - 4, "free", 4);
  put_mdat(&b, "v2");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 4);
  expect(&s, 0, 0, 0, "v0");
  expect(&s, 1, 0, 40, "v1");
  expect(&s, 2, 1, 0, "aud");
  expect(&s, 3, 0, 80, "v2");
  clip_samples_destroy(&s);
}

static void base_data_offset(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  size_t moof = media_buf_box(&b, "moof");
  size_t traf = media_buf_box(&b, "traf");
  size_t tfhd = put_tfhd(&b, 1, 1);
  size_t base = b.len;
  media_buf_u64(&b, 0);
  media_buf_end_box(&b, tfhd);
  put_trun(&b, NULL, 2, 40, 2);
  media_buf_end_box(&b, traf);
  media_buf_end_box(&b, moof);
  media_buf_set_u32(&b, base + 4, (uint32_t)(b.len + 8));
  put_mdat(&b, "v0v1");
  struct clip_samples s = read_all(&b);
  expect(&s, 0, 0, 0, "v0");
  expect(&s, 1, 0, 40, "v1");
  clip_samples_destroy(&s);
}

/* Sizes, durations and flags from trex; flags of the first sample; signed composition offsets. */
static void defaults_and_flags(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  size_t trex = find(&b, "trex", 0) + 12;
  media_buf_set_u32(&b, trex, 40);
  media_buf_set_u32(&b, trex + 4, 2);
  media_buf_set_u32(&b, trex + 8, NON_SYNC);
  size_t moof = media_buf_box(&b, "moof");
  size_t traf = media_buf_box(&b, "traf");
  media_buf_end_box(&b, put_tfhd(&b, 0x20000, 1));
  put_tfdt(&b, 1000);
  size_t trun = media_buf_full_box(&b, "trun", 0, 0x805);
  media_buf_u32(&b, 3);
  size_t offset = b.len;
  media_buf_u32(&b, 0);
  media_buf_u32(&b, 0); /* the first one is a keyframe */
  media_buf_u32(&b, 80);
  media_buf_u32(&b, (uint32_t)-40);
  media_buf_u32(&b, 0);
  media_buf_end_box(&b, trun);
  media_buf_end_box(&b, traf);
  media_buf_end_box(&b, moof);
  media_buf_set_u32(&b, offset, (uint32_t)(b.len - moof + 8));
  put_mdat(&b, "aabbcc");
  struct clip_samples s = read_all(&b);
  expect(&s, 0, 0, 1080, "aa");
  expect(&s, 1, 0, 1000, "bb");
  expect(&s, 2, 0, 1080, "cc");
  assert_true(s.items[0].keyframe && !s.items[1].keyframe && !s.items[2].keyframe);
  assert_int_equal(s.items[1].dts, 1040);
  assert_int_equal(s.items[1].duration, 40);
  clip_samples_destroy(&s);
}

static void two_moofs_before_their_data(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  size_t first = b.len;
  put_moof(&b, 1, 0, 1, 40, 2);
  size_t second = b.len;
  put_moof(&b, 2, 0, 1, 1024, 3);
  media_buf_set_u32(&b, find(&b, "trun", 0) + 8, (uint32_t)(b.len - first + 8));
  media_buf_set_u32(&b, find(&b, "trun", 1) + 8, (uint32_t)(b.len - second + 10 + 8));
  put_mdat(&b, "v0");
  put_mdat(&b, "aud");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 2);
  expect(&s, 0, 0, 0, "v0");
  expect(&s, 1, 1, 0, "aud");
  clip_samples_destroy(&s);
}

static void empty_samples_pass_time(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_moof(&b, 1, 0, 2, 40, 0);
  put_mdat(&b, "");
  put_moof(&b, 1, 80, 1, 40, 2);
  put_mdat(&b, "v2");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 1);
  expect(&s, 0, 0, 80, "v2");
  clip_samples_destroy(&s);
}

static void repeated_header(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_head(&b);
  put_moof(&b, 1, 0, 1, 40, 2);
  put_mdat(&b, "v0");
  put_head(&b);
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.count, 1);
  expect(&s, 0, 0, 0, "v0");
  clip_samples_destroy(&s);
  put_head(&b);
  put_head(&b);
  media_buf_set_u32(&b, find(&b, "mdhd", 2) + 12, 90000);
  expect_error(&b, -EPROTO, "second, different movie header");
}

static void unknown_codec_is_left_out(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  memcpy(b.data + find(&b, "vp09", 0) - 4, "xyz1", 4);
  put_moof(&b, 1, 0, 2, 40, 2);
  put_mdat(&b, "v0v1");
  put_moof(&b, 2, 0, 1, 1024, 3);
  put_mdat(&b, "aud");
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.track_count, 1);
  assert_int_equal(s.count, 1);
  expect(&s, 0, 0, 0, "aud");
  clip_samples_destroy(&s);
  put_head(&b);
  memcpy(b.data + find(&b, "vp09", 0) - 4, "xyz1", 4);
  memcpy(b.data + find(&b, "mp4a", 0) - 4, "ac-3", 4);
  put_moof(&b, 1, 0, 1, 40, 2);
  expect_error(&b, -ENOTSUP, "xyz1");
}

static void samples_in_wrong_places(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_moof(&b, 1, 0, 2, 40, 3);
  put_mdat(&b, "v0v1");
  expect_error(&b, -EPROTO, "beyond the end of the box");

  put_head(&b);
  put_moof(&b, 1, 0, 1, 40, 2);
  media_buf_set_u32(&b, find(&b, "trun", 0) + 8, 4);
  put_mdat(&b, "v0");
  expect_error(&b, -EPROTO, "which has passed");

  put_head(&b);
  put_moof(&b, 1, 0, 1, 40, 2);
  media_buf_set_u32(&b, find(&b, "trun", 0) + 8, (uint32_t)-100000);
  put_mdat(&b, "v0");
  expect_error(&b, -EPROTO, "trun at byte");

  put_head(&b);
  put_moof(&b, 1, 0, 1, 40, 2);
  put_moof(&b, 1, 40, 1, 40, 2);
  media_buf_set_u32(&b, find(&b, "trun", 0) + 8, (uint32_t)(b.len - find(&b, "moof", 0) + 8 + 8));
  put_mdat(&b, "v0v1");
  expect_error(&b, -EPROTO, "overlap");

  put_head(&b);
  put_moof(&b, 3, 0, 1, 40, 2);
  expect_error(&b, -EPROTO, "track 3 is not in the movie header");
}

static void impossible_numbers(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_moof(&b, 1, UINT64_MAX, 1, 40, 2);
  expect_error(&b, -EPROTO, "tfdt at byte");

  put_head(&b);
  put_moof(&b, 1, 0, 1, 40, 2);
  media_buf_set_u32(&b, find(&b, "trun", 0) + 4, UINT32_MAX);
  expect_error(&b, -EPROTO, "trun at byte");

  put_head(&b);
  media_buf_set_u32(&b, find(&b, "mdhd", 0) + 12, 0);
  expect_error(&b, -EPROTO, "timescale is 0");

  put_head(&b);
  media_buf_u32(&b, 7);
  put_bytes(&b, "free");
  expect_error(&b, -EPROTO, "free at byte");

  put_head(&b);
  put_moof(&b, 1, 0, 1, 40, 2);
  media_buf_set_u32(&b, find(&b, "traf", 0) - 8, 5000);
  expect_error(&b, -EPROTO, "does not fit in its parent");
}

static void input_that_ends_early(void **state)
{
  struct media_buf b = {0};
  put_head(&b);
  put_moof(&b, 1, 0, 2, 40, 2);
  put_mdat(&b, "v0v1");
  b.len--;
  struct clip_samples s = read_all(&b);
  assert_int_equal(s.result, -ENODATA);
  assert_int_equal(s.count, 1);
  clip_samples_destroy(&s);
  put_head(&b);
  s = read_all(&b);
  assert_int_equal(s.result, 0);
  assert_int_equal(s.track_count, 2);
  clip_samples_destroy(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(large_size),
      cmocka_unit_test(mdat_to_the_end),
      cmocka_unit_test(other_boxes_are_skipped),
      cmocka_unit_test(runs_follow_each_other),
      cmocka_unit_test(fragments_without_base),
      cmocka_unit_test(base_data_offset),
      cmocka_unit_test(defaults_and_flags),
      cmocka_unit_test(two_moofs_before_their_data),
      cmocka_unit_test(empty_samples_pass_time),
      cmocka_unit_test(repeated_header),
      cmocka_unit_test(unknown_codec_is_left_out),
      cmocka_unit_test(samples_in_wrong_places),
      cmocka_unit_test(impossible_numbers),
      cmocka_unit_test(input_that_ends_early),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
