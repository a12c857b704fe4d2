/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void check(uint64_t wall_s, const char *minute, const char *second)
{
  char m[CLOCK_MINUTE_TEXT], s[CLOCK_SECOND_TEXT];
  clock_texts(wall_s, m, s);
  assert_string_equal(m, minute);
  assert_string_equal(s, second);
}

static void times_are_utc_and_padded(void **state)
{
  check(0, "1970-01-01 00:00:", "00");
  check(1769860809, "2026-01-31 12:00:", "09");
  check(951782399, "2000-02-28 23:59:", "59");
  check(951782400, "2000-02-29 00:00:", "00");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(times_are_utc_and_padded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
