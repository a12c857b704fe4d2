/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static int lines;
static char last[LOG_LINE_MAX * 2];

static void keep(void *ctx, enum log_level level, const char *line, size_t n)
{
  assert_true(n < sizeof last);
  memcpy(last, line, n);
  last[n] = '\0';
  lines++;
}

static struct limits with_log(struct log *ret_log)
{
  *ret_log = log_stderr(LOG_INFO, clock_system());
  ret_log->sink = keep;
  lines = 0;
  return (struct limits){.log = ret_log};
}

static void test_every_limit_has_a_name_of_its_own(void **state)
{
  for (enum limit i = 0; i < LIMITS; i++) {
    assert_non_null(limit_name(i));
    for (enum limit j = 0; j < i; j++)
      assert_string_not_equal(limit_name(i), limit_name(j));
  }
}

static void test_hits_are_counted_and_told_once_in_a_while(void **state)
{
  struct log log;
  struct limits l = with_log(&log);
  uint64_t now = NS_PER_S;
  limit_hit(&l, LIMIT_ANNOUNCES, now, "session=%d", 7);
  assert_int_equal(lines, 1);
  assert_non_null(strstr(last, "limit reached limit=limits.announces hits=1 since_last=1 session=7"));
  for (int i = 0; i < 50; i++)
    limit_hit(&l, LIMIT_ANNOUNCES, now + 1, "session=%d", i);
  assert_int_equal(lines, 1);
  limit_hit(&l, LIMIT_GROUPS, now + 2, "session=1");
  assert_int_equal(lines, 2); /* another limit has a line of its own */
  limit_hit(&l, LIMIT_ANNOUNCES, now + LIMIT_LOG_NS, "session=8");
  assert_int_equal(lines, 3);
  assert_non_null(strstr(last, "hits=52 since_last=51 session=8"));
  assert_int_equal(l.hits[LIMIT_ANNOUNCES], 52);
  assert_int_equal(l.hits[LIMIT_GROUPS], 1);
}

static void test_nobody_listens(void **state)
{
  limit_hit(NULL, LIMIT_GROUPS, 0, "x");
  struct limits l = {0};
  limit_hit(&l, LIMIT_GROUPS, 0, "x");
  assert_int_equal(l.hits[LIMIT_GROUPS], 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_limit_has_a_name_of_its_own),
      cmocka_unit_test(test_hits_are_counted_and_told_once_in_a_while),
      cmocka_unit_test(test_nobody_listens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
