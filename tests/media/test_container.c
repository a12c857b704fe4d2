/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "media/container.h"

static void legacy_header(void **state)
{
  static const struct {
    int64_t us;
    int len;
    uint8_t bytes[8];
  } rows[] = {
      {0, 1, {0}},
      {63, 1, {63}},
      {64, 2, {0x40, 64}},
      {16383, 2, {0x7f, 0xff}},
      {16384, 4, {0x80, 0, 0x40, 0}},
      {1073741823, 4, {0xbf, 0xff, 0xff, 0xff}},
      {1073741824, 8, {0xc0, 0, 0, 0, 0x40, 0, 0, 0}},
      {CONTAINER_US_MAX, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    uint8_t out[CONTAINER_HEADER_MAX];
    struct container_frame f;
    assert_int_equal(container_legacy_header(rows[i].us, out), rows[i].len);
    assert_memory_equal(out, rows[i].bytes, (size_t)rows[i].len);
    assert_int_equal(container_legacy_parse(out, (size_t)rows[i].len, &f), 0);
    assert_int_equal(f.pts_us, rows[i].us);
    assert_int_equal(f.len, 0);
    for (int n = 0; n < rows[i].len; n++)
      assert_int_equal(container_legacy_parse(out, (size_t)n, &f), -EPROTO);
  }
  uint8_t out[CONTAINER_HEADER_MAX];
  assert_int_equal(container_legacy_header(-1, out), -ERANGE);
  assert_int_equal(container_legacy_header(CONTAINER_US_MAX + 1, out), -ERANGE);
}

static void legacy_payload(void **state)
{
  const uint8_t frame[] = {0x40, 100, 'a', 'b', 'c'};
  struct container_frame f;
  assert_int_equal(container_legacy_parse(frame, sizeof(frame), &f), 0);
  assert_int_equal(f.pts_us, 100);
  assert_int_equal(f.len, 3);
  assert_ptr_equal(f.data, frame + 2);
}

static void loc_frames(void **state)
{
  /* timescale (8) 1000, an unknown odd property (11) of two bytes, timestamp (16) 250 */
  const uint8_t frame[] = {11, 8, 0x43, 0xe8, 3, 2, 0xaa, 0xbb, 0x05, 0x40, 250, 0, 'h', 'i'};
  struct container_frame f;
  assert_int_equal(container_loc_parse(frame, sizeof(frame), &f), -EPROTO);
  const uint8_t good[] = {10, 8, 0x43, 0xe8, 3, 2, 0xaa, 0xbb, 0x05, 0x40, 250, 'h', 'i'};
  assert_int_equal(container_loc_parse(good, sizeof(good), &f), 0);
  assert_int_equal(f.pts_us, 250000);
  assert_int_equal(f.len, 2);
  assert_memory_equal(f.data, "hi", 2);
  for (size_t n = 0; n < 11; n++)
    assert_int_equal(container_loc_parse(good, n, &f), -EPROTO);
  const uint8_t early[] = {2, 6, 9, 'x'};
  assert_int_equal(container_loc_parse(early, sizeof(early), &f), 0);
  assert_int_equal(f.pts_us, 9);
  const uint8_t no_time[] = {2, 2, 9, 'x'};
  assert_int_equal(container_loc_parse(no_time, sizeof(no_time), &f), -EPROTO);
  const uint8_t no_scale[] = {4, 8, 0, 8, 9, 'x'};
  assert_int_equal(container_loc_parse(no_scale, sizeof(no_scale), &f), -EPROTO);
  const uint8_t long_property[] = {2, 1, 60, 'x'};
  assert_int_equal(container_loc_parse(long_property, sizeof(long_property), &f), -EPROTO);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(legacy_header),
      cmocka_unit_test(legacy_payload),
      cmocka_unit_test(loc_frames),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
