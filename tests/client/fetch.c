/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/fetch.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void latest_or_a_number(void **state)
{
  bool numbered = true;
  uint64_t sequence = 1;
  assert_int_equal(fetch_parse_group("latest", &numbered, &sequence), 0);
  assert_false(numbered);
  assert_int_equal(fetch_parse_group("0", &numbered, &sequence), 0);
  assert_true(numbered);
  assert_int_equal(sequence, 0);
  assert_int_equal(fetch_parse_group("4611686018427387903", &numbered, &sequence), 0);
  assert_int_equal(sequence, (1ULL << 62) - 1);
}

static void nothing_else(void **state)
{
  static const char *const bad[] = {
      "", "-1", "+1", " 1", "1 ", "1x", "Latest", "newest", "4611686018427387904", "99999999999999999999"};
  bool numbered = false;
  uint64_t sequence = 5;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(fetch_parse_group(bad[i], &numbered, &sequence), -EINVAL);
  assert_false(numbered);
  assert_int_equal(sequence, 5);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(latest_or_a_number),
      cmocka_unit_test(nothing_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
