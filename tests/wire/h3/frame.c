/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/capsule.h"
#include "wire/h3/frame.h"
#include "wire/h3/settings.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* ---- frames ---- */

struct seen {
  int begins, ends;
  uint64_t last_type;
  struct buf payload;
};

static void feed(struct h3_frame_reader *r, struct slice in, struct seen *seen)
{
  struct h3_frame_part part;
  for (;;) {
    switch (h3_frame_read(r, &in, &part)) {
    case H3_READ_MORE:
      assert_int_equal(in.n, 0);
      return;
    case H3_READ_BEGIN:
      seen->begins++;
      seen->last_type = part.type;
      break;
    case H3_READ_PART:
      assert_int_equal(part.type, seen->last_type);
      buf_bytes(&seen->payload, part.data);
      seen->ends += part.end;
      break;
    }
  }
}

static void frames_in_any_pieces(void **state)
{
  struct buf wire = {0};
  h3_frame_write(&wire, H3_HEADERS, slice_str("head"));
  h3_frame_write(&wire, H3_DATA, slice_str(""));
  h3_frame_write(&wire, 0x1f * 7 + 0x21, slice_str("grease grease"));
  h3_frame_write(&wire, 0x3fffffffffffffff, slice_str("x"));
  for (size_t step = 1; step <= wire.n; step++) {
    struct h3_frame_reader r = {0};
    struct seen seen = {0};
    for (size_t at = 0; at < wire.n; at += step)
      feed(&r, slice_of(wire.p + at, wire.n - at < step ? wire.n - at : step), &seen);
    assert_int_equal(seen.begins, 4);
    assert_int_equal(seen.ends, 4);
    assert_true(slice_eq(buf_slice(&seen.payload), slice_str("headgrease greasex")));
    assert_true(h3_frame_reader_idle(&r));
    buf_destroy(&seen.payload);
  }
  buf_destroy(&wire);
}

static void truncated_frames_are_not_idle(void **state)
{
  struct buf wire = {0};
  h3_frame_write(&wire, 0x4040, slice_str("payload"));
  for (size_t n = 1; n < wire.n; n++) {
    struct h3_frame_reader r = {0};
    struct seen seen = {0};
    feed(&r, slice_of(wire.p, n), &seen);
    assert_false(h3_frame_reader_idle(&r));
    assert_int_equal(seen.ends, 0);
    buf_destroy(&seen.payload);
  }
  buf_destroy(&wire);
}

static void a_type_read_elsewhere(void **state)
{
  struct h3_frame_reader r;
  struct seen seen = {0};
  h3_frame_reader_start(&r, H3_HEADERS);
  feed(&r, slice_of("\x02hi", 3), &seen);
  assert_int_equal(seen.last_type, H3_HEADERS);
  assert_int_equal(seen.ends, 1);
  buf_destroy(&seen.payload);
}

static void places(void **state)
{
  assert_true(h3_frame_allowed(H3_DATA, H3_ON_REQUEST));
  assert_false(h3_frame_allowed(H3_DATA, H3_ON_CONTROL));
  assert_false(h3_frame_allowed(H3_SETTINGS, H3_ON_REQUEST));
  assert_false(h3_frame_allowed(H3_PUSH_PROMISE, H3_ON_REQUEST));
  for (uint64_t type = 0; type < 64; type++)
    if (type == 2 || type == 6 || type == 8 || type == 9)
      assert_false(h3_frame_allowed(type, H3_ON_REQUEST) || h3_frame_allowed(type, H3_ON_CONTROL));
  assert_true(h3_frame_allowed(0x21, H3_ON_CONTROL));
  assert_false(h3_frame_known(0x21));
  assert_true(h3_frame_known(H3_GOAWAY));
}

static void prefixes_and_datagrams(void **state)
{
  uint8_t out[WT_PREFIX_MAX];
  assert_int_equal(wt_prefix_write(out, false, 0), 3);
  assert_memory_equal(out, "\x40\x54\x00", 3);
  assert_int_equal(wt_prefix_write(out, true, 0x100), 4);
  assert_memory_equal(out, "\x40\x41\x41\x00", 4);
  assert_int_equal(wt_prefix_write(out, true, VARINT_MAX - 3), 10);
  assert_true(wt_session_id_valid(4) && !wt_session_id_valid(5) && !wt_session_id_valid(2));

  uint64_t id = 99;
  struct slice payload;
  assert_int_equal(wt_datagram_decode(slice_of("\x02yo", 3), &id, &payload), 0);
  assert_int_equal(id, 8);
  assert_true(slice_eq(payload, slice_str("yo")));
  assert_int_equal(wt_datagram_decode(slice_of("\x00", 1), &id, &payload), 0);
  assert_int_equal(payload.n, 0);
  assert_int_equal(wt_datagram_decode(slice_of("", 0), &id, &payload), -EPROTO);
  assert_int_equal(wt_datagram_decode(slice_of("\xc0\x00", 2), &id, &payload), -EPROTO);
  /* 2^60 is the first quarter id that is too large. */
  assert_int_equal(wt_datagram_decode(slice_of("\xd0\0\0\0\0\0\0\0", 8), &id, &payload), -EPROTO);
  assert_int_equal(wt_datagram_decode(slice_of("\xcf\xff\xff\xff\xff\xff\xff\xff", 8), &id, &payload), 0);
  assert_int_equal(wt_datagram_prefix(out, 8), 1);
  assert_int_equal(out[0], 2);
}

/* ---- settings ---- */

static void our_settings(void **state)
{
  static const uint8_t want[] = {0x01, 0x00, 0x07, 0x00, 0x06, 0x80, 0x00, 0x40, 0x00, 0x08, 0x01, 0x33, 0x01,
                                 0x80, 0xff, 0xd2, 0x77, 0x01, 0xab, 0x60, 0x37, 0x42, 0x01, 0xab, 0x60, 0x37,
                                 0x43, 0x01, 0xc0, 0x00, 0x00, 0x00, 0xc6, 0x71, 0x70, 0x6a, 0x01};
  struct buf out = {0};
  struct h3_settings s;
  h3_settings_encode(&out);
  assert_int_equal(out.n, sizeof want);
  assert_memory_equal(out.p, want, sizeof want);
  assert_int_equal(h3_settings_decode(buf_slice(&out), &s), 0);
  assert_true(s.connect_protocol && s.datagrams && s.webtransport);
  assert_int_equal(s.field_section_max, 16384);
  /* A cut between two settings is another valid payload; any other cut is an error. */
  int valid = 0;
  for (size_t n = 0; n < out.n; n++) {
    int rc = h3_settings_decode(slice_of(out.p, n), &s);
    assert_true(rc == 0 || rc == -EPROTO);
    valid += rc == 0;
  }
  assert_int_equal(valid, 9);
  buf_destroy(&out);
}

static void settings_of_clients(void **state)
{
  struct h3_settings s;
  /* Firefox: no more than the draft-02 id */
  assert_int_equal(h3_settings_decode(slice_of("\xab\x60\x37\x42\x01\x33\x01\x08\x01", 9), &s), 0);
  assert_true(s.webtransport && s.datagrams && s.connect_protocol);
  assert_true(s.field_section_max == UINT64_MAX);
  assert_int_equal(h3_settings_decode(slice_of("\xab\x60\x37\x42\x00", 5), &s), 0);
  assert_false(s.webtransport);
  assert_int_equal(h3_settings_decode(slice_of("\xac\x7c\xf0\x00\x01", 5), &s), 0);
  assert_true(s.webtransport);
  assert_int_equal(h3_settings_decode(slice_of("", 0), &s), 0);
  assert_false(s.webtransport || s.datagrams || s.connect_protocol);
}

static void bad_settings(void **state)
{
  struct h3_settings s = {.field_section_max = 7};
  for (char id = 2; id <= 5; id++)
    assert_int_equal(h3_settings_decode(slice_of((char[]){id, 0}, 2), &s), -EINVAL);
  assert_int_equal(h3_settings_decode(slice_of("\x06\x01\x06\x01", 4), &s), -EINVAL);
  assert_int_equal(h3_settings_decode(slice_of("\x21\x01\x07\x01\x21\x01", 6), &s), -EINVAL);
  assert_int_equal(h3_settings_decode(slice_of("\x33\x02", 2), &s), -EINVAL);
  assert_int_equal(h3_settings_decode(slice_of("\x08\x02", 2), &s), -EINVAL);
  assert_int_equal(h3_settings_decode(slice_of("\x06", 1), &s), -EPROTO);
  struct buf many = {0};
  for (uint64_t i = 0; i <= H3_SETTINGS_MAX; i++) {
    buf_varint(&many, 0x100 + i);
    buf_u8(&many, 1);
  }
  assert_int_equal(h3_settings_decode(buf_slice(&many), &s), -E2BIG);
  assert_int_equal(s.field_section_max, 7); /* untouched */
  buf_destroy(&many);
}

/* ---- capsules ---- */

/* Reads a stream of capsules in steps; returns how many were reported, or the error. */
static int read_capsules(struct slice wire, size_t step, struct wt_capsule_reader *r, struct wt_capsule *last,
                         char reason[WT_REASON_MAX + 1])
{
  int n = 0;
  for (size_t at = 0; at < wire.n; at += step) {
    struct slice in = slice_of(wire.p + at, wire.n - at < step ? wire.n - at : step);
    for (;;) {
      struct wt_capsule capsule;
      int rc = wt_capsule_read(r, &in, &capsule);
      if (rc < 0)
        return rc;
      if (rc == 0)
        break;
      n++;
      *last = capsule;
      if (capsule.reason.n > 0)
        memcpy(reason, capsule.reason.p, capsule.reason.n);
      reason[capsule.reason.n] = '\0';
    }
  }
  return n;
}

static void close_capsule(void **state)
{
  struct buf out = {0};
  wt_close_write(&out, 9, "bye");
  assert_int_equal(out.n, 12);
  assert_memory_equal(out.p,
                      "\x00\x0a\x68\x43\x07\x00\x00\x00\x09"
                      "bye",
                      12);
  struct wt_capsule_reader r = {0};
  struct wt_capsule c;
  char reason[WT_REASON_MAX + 1];
  assert_int_equal(read_capsules(slice_of(out.p + 2, 10), 1, &r, &c, reason), 1);
  assert_int_equal(c.type, WT_CAPSULE_CLOSE);
  assert_int_equal(c.code, 9);
  assert_string_equal(reason, "bye");
  for (size_t n = 1; n < 10; n++) {
    struct wt_capsule_reader cut = {0};
    assert_int_equal(read_capsules(slice_of(out.p + 2, n), 3, &cut, &c, reason), 0);
    assert_false(wt_capsule_reader_idle(&cut));
  }
  buf_clear(&out);
  wt_drain_write(&out);
  assert_memory_equal(out.p, "\x00\x05\x80\x00\x78\xae\x00", 7);
  buf_destroy(&out);
}

static void capsules_between_unknown_ones(void **state)
{
  struct buf out = {0};
  buf_varint(&out, 0x29 * 5 + 0x17);
  buf_prefixed(&out, slice_str("grease that is skipped"));
  buf_varint(&out, WT_CAPSULE_DRAIN);
  buf_varint(&out, 0);
  buf_varint(&out, 0x190b4d3d);
  buf_prefixed(&out, slice_str("\x3f"));
  buf_varint(&out, WT_CAPSULE_CLOSE);
  buf_prefixed(&out, slice_of("\xff\xff\xff\xff\xff bad utf-8", 15));
  for (size_t step = 1; step <= out.n; step++) {
    struct wt_capsule_reader r = {0};
    struct wt_capsule c;
    char reason[WT_REASON_MAX + 1];
    assert_int_equal(read_capsules(buf_slice(&out), step, &r, &c, reason), 2);
    assert_int_equal(c.code, UINT32_MAX);
    assert_string_equal(reason, "");
    assert_true(wt_capsule_reader_idle(&r));
  }
  buf_destroy(&out);
}

static void bad_capsules(void **state)
{
  static const struct {
    const char *bytes;
    size_t n;
  } bad[] = {{"\x68\x43\x03", 3},         /* no room for the code */
             {"\x68\x43\x44\x05", 4},     /* a reason of 1025 */
             {"\x99\x0b\x4d\x3e\x01", 5}, /* HTTP/2's */
             {"\x99\x0b\x4d\x42\x01", 5}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct wt_capsule_reader r = {0};
    struct wt_capsule c;
    char reason[WT_REASON_MAX + 1];
    assert_int_equal(read_capsules(slice_of(bad[i].bytes, bad[i].n), 1, &r, &c, reason), -EPROTO);
  }
}

static void long_reasons_are_cut_between_characters(void **state)
{
  char text[2 * WT_REASON_MAX + 1], reason[WT_REASON_MAX + 1];
  text[0] = 'x'; /* so that the limit falls inside a two-byte character */
  for (size_t i = 1; i + 1 < sizeof text; i += 2)
    memcpy(text + i, "\xc3\xa9", 2);
  text[sizeof text - 2] = '\0';
  struct buf out = {0};
  wt_close_write(&out, 1, text);
  struct wt_capsule_reader r = {0};
  struct wt_capsule c;
  assert_int_equal(read_capsules(slice_of(out.p + 3, out.n - 3), out.n, &r, &c, reason), 1);
  assert_int_equal(strlen(reason), WT_REASON_MAX - 1);
  assert_memory_equal(reason, text, WT_REASON_MAX - 1);
  buf_destroy(&out);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_in_any_pieces),   cmocka_unit_test(truncated_frames_are_not_idle),
      cmocka_unit_test(a_type_read_elsewhere),  cmocka_unit_test(places),
      cmocka_unit_test(prefixes_and_datagrams), cmocka_unit_test(our_settings),
      cmocka_unit_test(settings_of_clients),    cmocka_unit_test(bad_settings),
      cmocka_unit_test(close_capsule),          cmocka_unit_test(capsules_between_unknown_ones),
      cmocka_unit_test(bad_capsules),           cmocka_unit_test(long_reasons_are_cut_between_characters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
