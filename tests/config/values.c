/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "loading.h"
#include "config/values.h"
#include <errno.h>

struct row {
  const char *text;
  uint64_t value;
  bool good;
};

static void check(const struct row *rows, size_t n, int (*parse)(const char *, uint64_t *))
{
  for (size_t i = 0; i < n; i++) {
    uint64_t v = 77;
    int rc = parse(rows[i].text, &v);
    if ((rc == 0) != rows[i].good || v != (rows[i].good ? rows[i].value : 77))
      fail_msg("\"%s\": rc %d, value %llu", rows[i].text, rc, (unsigned long long)v);
  }
}

#define CHECK(rows, parse) check(rows, sizeof(rows) / sizeof *(rows), parse)

static void durations(void **state)
{
  static const struct row rows[] = {
      {"10s", 10000000000, true},
      {"500ms", 500000000, true},
      {"1.5s", 1500000000, true},
      {"2m", 120000000000, true},
      {"1h", 3600000000000, true},
      {"1h 30m", 5400000000000, true},
      {"1h30m", 5400000000000, true},
      {"2 min", 120000000000, true},
      {"7ns", 7, true},
      {"0", 0, true},
      {"0s", 0, true},
      {"", 0, false},
      {"10", 0, false},
      {"s", 0, false},
      {"-1s", 0, false},
      {"10 parsecs", 0, false},
      {"1.s", 0, false},
      {"0x10s", 0, false},
      {"1e3s", 0, false},
      {"10s ago", 0, false},
      {"inf", 0, false},
      {"99999999999999h", 0, false},
      {" 1s", 0, false},
  };
  (void)state;
  CHECK(rows, parse_duration);
}

static void sizes(void **state)
{
  static const struct row rows[] = {
      {"0", 0, true},
      {"1000", 1000, true},
      {"512MB", 512000000, true},
      {"8GiB", 8ULL << 30, true},
      {"64 MiB", 64 << 20, true},
      {"1.5KiB", 1536, true},
      {"3K", 3072, true},
      {"1B", 1, true},
      {"", 0, false},
      {"MB", 0, false},
      {"-5", 0, false},
      {"5 furlongs", 0, false},
      {"0x20", 0, false},
      {"1MB 2KB", 0, false},
      {"99999999999GiB", 0, false},
      {"1mb", 0, false},
  };
  (void)state;
  CHECK(rows, parse_size);
}

static void shares_of_the_memory(void **state)
{
  uint64_t whole = 0, half = 0;
  (void)state;
  assert_int_equal(parse_size("100%", &whole), 0);
  assert_int_equal(parse_size("50%", &half), 0);
  assert_true(whole > 1 << 20);
  assert_true(half >= whole / 2 && half <= whole / 2 + 1);
  assert_int_equal(parse_size("0%", &half), 0);
  assert_int_equal(half, 0);
  half = 7;
  assert_true(parse_size("101%", &half) < 0);
  assert_true(parse_size("%", &half) < 0);
  assert_true(parse_size("5%%", &half) < 0);
  assert_true(parse_size("-5%", &half) < 0);
  assert_int_equal(half, 7);
}

static void integers(void **state)
{
  uint64_t v = 1;
  (void)state;
  assert_int_equal(parse_integer("42", 0, 0, &v), 0);
  assert_int_equal(v, 42);
  assert_int_equal(parse_integer("18446744073709551615", 0, 0, &v), 0);
  assert_true(v == UINT64_MAX);
  v = 5;
  const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.5", "0x10", "18446744073709551616", "one"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_true(parse_integer(bad[i], 0, 0, &v) < 0);
  assert_true(parse_integer("3", 4, 9, &v) < 0);
  assert_true(parse_integer("10", 4, 9, &v) < 0);
  assert_int_equal(v, 5);
  assert_int_equal(parse_integer("9", 4, 9, &v), 0);
}

static void booleans(void **state)
{
  bool v;
  (void)state;
  const char *const on[] = {"true", "1", "yes", "on"}, *const off[] = {"false", "0", "no", "off"};
  for (size_t i = 0; i < 4; i++) {
    v = false;
    assert_int_equal(parse_bool(on[i], &v), 0);
    assert_true(v);
    assert_int_equal(parse_bool(off[i], &v), 0);
    assert_false(v);
  }
  assert_true(parse_bool("", &v) < 0);
  assert_true(parse_bool("maybe", &v) < 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(durations), cmocka_unit_test(sizes),    cmocka_unit_test(shares_of_the_memory),
      cmocka_unit_test(integers),  cmocka_unit_test(booleans),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
