/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The splitter's own rules, and frames and datagrams at their bounds. Whole sessions are in
 * session.c. */
#include "base/varint.h"
#include "cmocka_all.h"
#include "vectors.h"
#include <errno.h>

static struct slice lit(const char *s, size_t n)
{
  return slice_of(s, n);
}
#define LIT(s) lit((s), sizeof(s) - 1)

static enum lite_stream open_as(enum lite_version v, bool uni, struct slice in, size_t *ret_n)
{
  enum lite_stream s = LITE_STREAMS;
  assert_int_equal(lite_stream_open(v, uni, in, &s, ret_n), 1);
  return s;
}

static void stream_types(void **state)
{
  size_t n = 0;
  enum lite_stream s = LITE_STREAMS;
  assert_int_equal(open_as(LITE_06, false, LIT("\1"), &n), LITE_STREAM_ANNOUNCE);
  assert_int_equal(n, 1);
  assert_int_equal(open_as(LITE_06, false, LIT("\x40\x06"), &n), LITE_STREAM_TRACK);
  assert_int_equal(n, 2);
  assert_int_equal(open_as(LITE_06, true, LIT("\0"), &n), LITE_STREAM_GROUP);
  assert_int_equal(open_as(LITE_06, true, LIT("\1"), &n), LITE_STREAM_SETUP);
  assert_int_equal(open_as(LITE_04, true, LIT("\1"), &n), LITE_STREAM_UNKNOWN);
  assert_int_equal(open_as(LITE_06, false, LIT("\0"), &n), LITE_STREAM_UNKNOWN);
  assert_int_equal(open_as(LITE_06, false, LIT("\x20"), &n), LITE_STREAM_UNKNOWN);
  assert_int_equal(open_as(LITE_02, false, LIT("\x20"), &n), LITE_STREAM_LEGACY);
  assert_int_equal(n, 0);
  assert_int_equal(open_as(LITE_02, false, LIT("\x40\x40"), &n), LITE_STREAM_LEGACY_OLDER);
  assert_int_equal(n, 0);
  assert_int_equal(open_as(LITE_06, false, LIT("\x40\x40"), &n), LITE_STREAM_UNKNOWN);
  assert_int_equal(lite_stream_open(LITE_02, false, LIT("\x40"), &s, &n), 0);
  assert_int_equal(open_as(LITE_04, false, LIT("\3"), &n), LITE_STREAM_UNKNOWN);
  assert_int_equal(open_as(LITE_05, false, LIT("\3"), &n), LITE_STREAM_FETCH);
  assert_int_equal(lite_stream_open(LITE_06, false, LIT(""), &s, &n), 0);
  assert_int_equal(lite_stream_open(LITE_06, false, LIT("\x80\0\0"), &s, &n), 0);
  assert_int_equal(s, LITE_STREAMS);
}

static void stream_begin(void **state)
{
  struct buf out = {0};
  assert_int_equal(lite_stream_begin(LITE_06, LITE_STREAM_PROBE, &out), 0);
  assert_bytes(buf_slice(&out), LIT("\4"), "probe");
  assert_int_equal(lite_stream_begin(LITE_02, LITE_STREAM_LEGACY, &out), 0);
  assert_int_equal(out.n, 1);
  assert_int_equal(lite_stream_begin(LITE_02, LITE_STREAM_PROBE, &out), -EINVAL);
  assert_int_equal(lite_stream_begin(LITE_06, LITE_STREAM_UNKNOWN, &out), -EINVAL);
  buf_destroy(&out);
}

static int next(enum lite_version v, enum lite_stream s, enum lite_side side, struct slice in, struct lite_raw *ret_raw)
{
  struct lite_reader r;
  lite_reader_init(&r, v, s, side, LITE_MESSAGE_MAX);
  return lite_reader_next(&r, in, ret_raw);
}

static void surplus(void **state)
{
  struct lite_reader r;
  struct lite_raw raw;
  struct slice track = LIT("\2\0\0");
  lite_reader_init(&r, LITE_06, LITE_STREAM_TRACK, LITE_OPENER, LITE_MESSAGE_MAX);
  assert_int_equal(lite_reader_next(&r, track, &raw), 1);
  assert_int_equal(raw.msg, LITE_TRACK);
  assert_int_equal(lite_reader_next(&r, LIT(""), &raw), 0);
  assert_int_equal(lite_reader_next(&r, LIT("\0"), &raw), -EPROTO);
  assert_int_equal(next(LITE_06, LITE_STREAM_GOAWAY, LITE_ACCEPTOR, LIT("\0"), &raw), -EPROTO);
  assert_int_equal(next(LITE_06, LITE_STREAM_SETUP, LITE_ACCEPTOR, LIT("\0"), &raw), -EPROTO);
  assert_int_equal(next(LITE_04, LITE_STREAM_TRACK, LITE_OPENER, track, &raw), -EPROTO);
}

static void unknown_type(void **state)
{
  struct lite_reader r;
  struct lite_raw raw;
  struct slice in = LIT("\x09\x03zzz\1\1\0");
  lite_reader_init(&r, LITE_06, LITE_STREAM_ANNOUNCE, LITE_ACCEPTOR, LITE_MESSAGE_MAX);
  r.started = true;
  assert_int_equal(lite_reader_next(&r, in, &raw), 1);
  assert_int_equal(raw.msg, LITE_UNKNOWN);
  assert_int_equal(raw.type, 9);
  assert_int_equal(raw.n, 5);
  assert_int_equal(lite_reader_next(&r, slice_from(in, raw.n), &raw), 1);
  assert_int_equal(raw.msg, LITE_ANNOUNCE_END);
  /* The type of a SETUP is not one of several. */
  assert_int_equal(next(LITE_02, LITE_STREAM_LEGACY, LITE_ACCEPTOR, LIT("\x22\0\0"), &raw), -EPROTO);
}

static void types_by_version(void **state)
{
  struct lite_raw raw;
  struct slice in = LIT("\1\1\5");
  assert_int_equal(next(LITE_06, LITE_STREAM_SUBSCRIBE, LITE_ACCEPTOR, in, &raw), 1);
  assert_int_equal(raw.msg, LITE_SUBSCRIBE_END);
  assert_int_equal(next(LITE_04, LITE_STREAM_SUBSCRIBE, LITE_ACCEPTOR, in, &raw), 1);
  assert_int_equal(raw.msg, LITE_SUBSCRIBE_DROP);
  assert_int_equal(next(LITE_01, LITE_STREAM_SUBSCRIBE, LITE_ACCEPTOR, in, &raw), 1);
  assert_int_equal(raw.msg, LITE_SUBSCRIBE_OK);
  assert_int_equal(raw.n, 2);
}

/* In 07 a first byte from 0x80 on has more to come, also of types and lengths. */
static void leading_ones(void **state)
{
  size_t n = 0;
  struct lite_raw raw;
  enum lite_stream s = LITE_STREAMS;
  assert_int_equal(open_as(LITE_07, false, LIT("\x40\x06"), &n), LITE_STREAM_UNKNOWN);
  assert_int_equal(n, 1);
  assert_int_equal(open_as(LITE_07, false, LIT("\x80\x06"), &n), LITE_STREAM_TRACK);
  assert_int_equal(n, 2);
  assert_int_equal(open_as(LITE_07, true, LIT("\xff\0\0\0\0\0\0\0\1"), &n), LITE_STREAM_SETUP);
  assert_int_equal(n, 9);
  assert_int_equal(lite_stream_open(LITE_07, false, LIT("\xff\0\0\0\0\0\0\0"), &s, &n), 0);
  assert_int_equal(next(LITE_07, LITE_STREAM_SUBSCRIBE, LITE_ACCEPTOR, LIT("\x80\1\x80\2\5\6"), &raw), 1);
  assert_int_equal(raw.msg, LITE_SUBSCRIBE_END);
  assert_int_equal(raw.n, 6);
  /* what was SUBSCRIBE_DROP is unknown */
  assert_int_equal(next(LITE_07, LITE_STREAM_SUBSCRIBE, LITE_ACCEPTOR, LIT("\2\3\1\1\0"), &raw), 1);
  assert_int_equal(raw.msg, LITE_UNKNOWN);
  assert_int_equal(next(LITE_07, LITE_STREAM_TRACK, LITE_OPENER, LIT("\xff\xff\0\0\0\0\0\0\0"), &raw), -EMSGSIZE);
  /* a length of 64 is one byte */
  struct buf out = {0};
  uint8_t name[61];
  memset(name, 'x', sizeof name);
  union lite_body b = {.track = {slice_str("p"), slice_of(name, sizeof name)}};
  assert_int_equal(lite_encode(LITE_07, LITE_TRACK, &b, &out), 0);
  assert_int_equal(out.n, 1 + 2 + 1 + 61);
  assert_int_equal(out.p[0], 64);
  buf_destroy(&out);
}

/* Too long is found out from the length alone. */
static void too_long(void **state)
{
  struct lite_reader r;
  struct lite_raw raw;
  lite_reader_init(&r, LITE_06, LITE_STREAM_TRACK, LITE_OPENER, 100);
  assert_int_equal(lite_reader_next(&r, LIT("\x40\x64"), &raw), 0);
  assert_int_equal(lite_reader_next(&r, LIT("\x40\x65"), &raw), -EMSGSIZE);
  assert_int_equal(lite_reader_next(&r, LIT("\xff\xff\xff\xff\xff\xff\xff\xff"), &raw), -EMSGSIZE);
  /* Some have a bound of their own, below the session's. */
  assert_int_equal(next(LITE_06, LITE_STREAM_SETUP, LITE_OPENER, LIT("\x80\x01\0\0"), &raw), 0);
  assert_int_equal(next(LITE_06, LITE_STREAM_SETUP, LITE_OPENER, LIT("\x80\x01\0\1"), &raw), -EMSGSIZE);
  assert_int_equal(next(LITE_06, LITE_STREAM_GOAWAY, LITE_OPENER, LIT("\x80\0\x21\0"), &raw), -EMSGSIZE);
  assert_int_equal(next(LITE_06, LITE_STREAM_TRACK, LITE_OPENER, LIT("\x80\x10\0\0"), &raw), 0);
  assert_int_equal(next(LITE_06, LITE_STREAM_TRACK, LITE_OPENER, LIT("\x80\x10\0\1"), &raw), -EMSGSIZE);
}

static void when_frames(void **state)
{
  struct lite_reader r;
  struct lite_raw raw;
  lite_reader_init(&r, LITE_06, LITE_STREAM_FETCH, LITE_ACCEPTOR, LITE_MESSAGE_MAX);
  assert_true(lite_reader_frames(&r));
  lite_reader_init(&r, LITE_06, LITE_STREAM_FETCH, LITE_OPENER, LITE_MESSAGE_MAX);
  assert_false(lite_reader_frames(&r));
  lite_reader_init(&r, LITE_06, LITE_STREAM_GROUP, LITE_OPENER, LITE_MESSAGE_MAX);
  assert_false(lite_reader_frames(&r));
  assert_int_equal(lite_reader_next(&r, LIT("\3\0\0\0"), &raw), 1);
  assert_true(lite_reader_frames(&r));
}

/* ---- Frames ---- */

static void check_step(enum lite_version v, uint64_t prev, uint64_t t, uint64_t size)
{
  uint8_t header[LITE_FRAME_HEADER_MAX];
  struct lite_frame f;
  int n = lite_frame_header(v, prev, t, size, header);
  assert_in_range(n, 1, LITE_FRAME_HEADER_MAX);
  for (int k = 0; k < n; k++)
    assert_int_equal(lite_frame_read(v, slice_of(header, (size_t)k), prev, &f), 0);
  assert_int_equal(lite_frame_read(v, slice_of(header, (size_t)n), prev, &f), n);
  assert_int_equal(f.timestamp, t);
  assert_int_equal(f.size, size);
}

static void frames(void **state)
{
  static const uint64_t times[] = {0, 1, 2, 31, 32, 1000, 1ULL << 40, LITE_TIMESTAMP_MAX - 1, LITE_TIMESTAMP_MAX};
  static const size_t n = sizeof times / sizeof times[0];
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < n; j++) {
      check_step(LITE_06, times[i], times[j], times[(i + j) % n]);
      check_step(LITE_07, times[i], times[j], times[(i + j) % n]);
    }
  }
}

static void zigzag_bytes(void **state)
{
  uint8_t h[LITE_FRAME_HEADER_MAX];
  assert_int_equal(lite_frame_header(LITE_06, 0, 2, 3, h), 2);
  assert_int_equal(h[0], 4);
  assert_int_equal(lite_frame_header(LITE_06, 2, 1, 0, h), 2);
  assert_int_equal(h[0], 1);
  assert_int_equal(lite_frame_header(LITE_06, 2, 0, 0, h), 2);
  assert_int_equal(h[0], 3);
  assert_int_equal(lite_frame_header(LITE_04, 2, 0, 9, h), 1);
  assert_int_equal(h[0], 9);
}

static void frame_bounds(void **state)
{
  uint8_t h[LITE_FRAME_HEADER_MAX];
  struct lite_frame f;
  assert_int_equal(lite_frame_header(LITE_06, 0, LITE_TIMESTAMP_MAX + 1, 0, h), -EINVAL);
  assert_int_equal(lite_frame_header(LITE_06, LITE_NONE, 0, 0, h), -EINVAL);
  assert_int_equal(lite_frame_header(LITE_06, 0, 0, VARINT_MAX + 1, h), -EINVAL);
  assert_int_equal(lite_frame_header(LITE_04, LITE_NONE, LITE_NONE, 5, h), 1);
  assert_int_equal(lite_frame_read(LITE_06, LIT("\1\0"), 0, &f), -EPROTO); /* below zero */
  assert_int_equal(lite_frame_read(LITE_06, LIT("\1\0"), 1, &f), 2);
  assert_int_equal(f.timestamp, 0);
  assert_int_equal(lite_frame_read(LITE_06, LIT("\2\0"), LITE_TIMESTAMP_MAX, &f), -EPROTO);
  assert_int_equal(lite_frame_read(LITE_06, LIT("\xff\xff\xff\xff\xff\xff\xff\xff\0"), LITE_TIMESTAMP_MAX, &f),
                   -EPROTO); /* one further down than any timestamp */
  assert_int_equal(lite_frame_read(LITE_04, LIT("\5"), 0, &f), 1);
  assert_int_equal(f.timestamp, LITE_NONE);
  assert_int_equal(f.size, 5);
}

static void datagrams(void **state)
{
  struct lite_datagram d = {1, 2, 3, LIT("")};
  uint8_t h[LITE_DATAGRAM_HEADER_MAX];
  assert_int_equal(lite_datagram_header(LITE_05, &d, h), 3);
  assert_int_equal(lite_datagram_header(LITE_04, &d, h), -EINVAL);
  assert_int_equal(lite_datagram_decode(LITE_04, LIT("\1\2\3"), &d), -EPROTO);
  assert_int_equal(lite_datagram_decode(LITE_05, LIT("\1\2\3x"), &d), 0);
  assert_bytes(d.payload, LIT("x"), "payload");
  assert_int_equal(lite_datagram_decode(LITE_05, LIT("\1\2\3"), &d), 0);
  assert_int_equal(d.payload.n, 0);
  assert_int_equal(lite_datagram_decode(LITE_05, LIT("\1\2"), &d), -EPROTO);
  assert_int_equal(lite_datagram_decode(LITE_05, LIT(""), &d), -EPROTO);
  d = (struct lite_datagram){VARINT_MAX, VARINT_MAX, LITE_TIMESTAMP_MAX, LIT("")};
  assert_int_equal(lite_datagram_header(LITE_05, &d, h), 3 * VARINT_MAX_BYTES);
  assert_int_equal(lite_datagram_header(LITE_07, &d, h), LITE_DATAGRAM_HEADER_MAX);
  assert_int_equal(lite_datagram_decode(LITE_07, slice_of(h, LITE_DATAGRAM_HEADER_MAX), &d), 0);
  assert_true(d.subscribe_id == VARINT_MAX && d.sequence == VARINT_MAX && d.timestamp == LITE_TIMESTAMP_MAX);
  for (size_t n = 0; n < LITE_DATAGRAM_HEADER_MAX; n++)
    assert_int_equal(lite_datagram_decode(LITE_07, slice_of(h, n), &d), -EPROTO);
  d.timestamp++;
  assert_int_equal(lite_datagram_header(LITE_05, &d, h), -EINVAL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stream_types), cmocka_unit_test(stream_begin), cmocka_unit_test(surplus),
      cmocka_unit_test(unknown_type), cmocka_unit_test(too_long),     cmocka_unit_test(types_by_version),
      cmocka_unit_test(when_frames),  cmocka_unit_test(frames),       cmocka_unit_test(zigzag_bytes),
      cmocka_unit_test(frame_bounds), cmocka_unit_test(datagrams),    cmocka_unit_test(leading_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
