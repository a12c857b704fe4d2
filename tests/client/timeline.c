/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/timeline.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int64_t map(struct timeline *tl, struct timeline_track *t, int64_t us)
{
  return us + timeline_offset(tl, t, us);
}

static void leaves_rising_times_alone(void **state)
{
  struct timeline tl;
  struct timeline_track a = {0}, b = {0};
  timeline_init(&tl, 0);
  for (int64_t us = 0; us < 1000000; us += 33333) {
    assert_int_equal(map(&tl, &a, us), us);
    assert_int_equal(map(&tl, &b, us + 5), us + 5);
  }
}

static void tolerates_reordering(void **state)
{
  struct timeline tl;
  struct timeline_track a = {0};
  timeline_init(&tl, 100000);
  static const int64_t times[] = {0, 100000, 33000, 66000, 200000, 133000, 166000};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    assert_int_equal(map(&tl, &a, times[i]), times[i]);
}

/* A looped input: each loop goes on where the one before ended, both tracks moved by the same. */
static void goes_on_behind(void **state)
{
  struct timeline tl;
  struct timeline_track video = {0}, audio = {0};
  int64_t last = -1, shift = 0;
  timeline_init(&tl, 0);
  for (int loop = 0; loop < 3; loop++) {
    for (int64_t us = 0; us < 1000000; us += 50000) {
      int64_t v = map(&tl, &video, us), a = map(&tl, &audio, us + 7);
      assert_true(v > last);
      assert_int_equal(a - v, 7);
      if (us == 0 && loop > 0)
        assert_int_equal(v, last + 7 + 50000); /* one frame behind the latest of all */
      last = v;
      shift = v - us;
    }
  }
  assert_int_equal(shift, 2 * (1000000 + 7));
}

/* A track that jumps later than the other takes the offset of that one. */
static void tracks_share_a_beginning(void **state)
{
  struct timeline tl;
  struct timeline_track a = {0}, b = {0}, late = {0};
  timeline_init(&tl, 0);
  assert_int_equal(map(&tl, &a, 5000000), 5000000);
  assert_int_equal(map(&tl, &b, 5000000), 5000000);
  int64_t offset = timeline_offset(&tl, &a, 1000000);
  assert_int_equal(offset, 4000000 + 20000);
  assert_int_equal(timeline_offset(&tl, &b, 5020000), 0); /* not there yet */
  assert_int_equal(timeline_offset(&tl, &b, 1000000), offset);
  assert_int_equal(timeline_offset(&tl, &late, 1000000), offset);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(leaves_rising_times_alone),
      cmocka_unit_test(tolerates_reordering),
      cmocka_unit_test(goes_on_behind),
      cmocka_unit_test(tracks_share_a_beginning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
