/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/log.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

struct seen {
  int lines;
  enum log_level level;
  char text[LOG_LINE_MAX * 7];
  size_t n;
};

static void keep(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct seen *s = ctx;
  assert_true(n < sizeof s->text);
  memcpy(s->text, line, n);
  s->text[n] = '\0';
  s->n = n;
  s->level = level;
  s->lines++;
}

static uint64_t now_ns = 1;

static uint64_t zero(void *ctx)
{
  return now_ns;
}

static uint64_t wall(void *ctx)
{
  return 1769860800000042; /* 2026-01-31 12:00:00.000042 */
}

static struct log to(struct seen *s, enum log_level level)
{
  return (struct log){level, {zero, wall, NULL}, keep, s};
}

static void one_line(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  log_info(&l, "listening addr=%s", "[::]:4443");
  assert_string_equal(s.text, "2026-01-31T12:00:00.000042Z  INFO moq_relay: listening addr=[::]:4443");
  assert_int_equal(s.level, LOG_INFO);
}

static void levels(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_WARN);
  log_error(&l, "1");
  log_warn(&l, "2");
  log_info(&l, "3");
  log_debug(&l, "4");
  log_trace(&l, "5");
  assert_int_equal(s.lines, 2);
  l.level = LOG_TRACE;
  log_debug(&l, "6");
  log_trace(&l, "7");
  assert_int_equal(s.lines, 4);
  log_error((const struct log *)NULL, "no log is fine");
}

/* What a peer names cannot end the line, start another or drive a terminal. */
static void escapes(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  log_info(&l, "path=%s", "a\nb\r\x1b[31m\t\x7f caf\xc3\xa9");
  assert_non_null(strstr(s.text, "path=a\\x0ab\\x0d\\x1b[31m\\x09\\x7f caf\xc3\xa9"));
  for (size_t i = 0; i < s.n; i++)
    assert_true((unsigned char)s.text[i] >= 0x20 && s.text[i] != 0x7f);
}

static void long_lines(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  char text[3 * LOG_LINE_MAX];
  memset(text, '\n', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  log_info(&l, "%s", text); /* each becomes four */
  assert_int_equal(s.lines, 1);
  assert_true(s.n < LOG_LINE_MAX * 4 + 64);
  memset(text, 1, sizeof text - 1);
  l.format = LOG_JSON;
  log_info(&l, "%s", text); /* each becomes six */
  assert_true(s.n > LOG_LINE_MAX * 5);
}

static void invalid_utf8(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  log_info(&l, "%s", "a\xff\xc3(\xc2\x9b\xf0\x9f\x98\x80\xe2\x82");
  assert_non_null(strstr(s.text, ": a\\xff\\xc3(\\xc2\\x9b\xf0\x9f\x98\x80\\xe2\\x82"));
  l.format = LOG_JSON;
  log_info(&l, "%s", "a\xff\xc3(\xc2\x9b\xf0\x9f\x98\x80\xe2\x82");
  assert_non_null(strstr(s.text, ":\"a\xef\xbf\xbd\xef\xbf\xbd(\\u009b\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\"}"));
}

static void json(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  l.format = LOG_JSON;
  log_warn(&l, "a \"b\" c\\d %s", "\n\t caf\xc3\xa9");
  assert_string_equal(s.text,
                      "{\"timestamp\":\"2026-01-31T12:00:00.000042Z\",\"level\":\"WARN\",\"target\":\"moq_relay\","
                      "\"message\":\"a \\\"b\\\" c\\\\d \\u000a\\u0009 caf\xc3\xa9\"}");
}

static void warn_a(const struct log *l)
{
  log_warn(l, "kind a %d", 1);
}

static void repeats(void **state)
{
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  struct log_repeats r = {0};
  l.repeats = &r;
  now_ns = 1;
  for (int i = 0; i < LOG_REPEAT_MAX + 5; i++)
    warn_a(&l);
  assert_int_equal(s.lines, LOG_REPEAT_MAX);
  log_warn(&l, "kind b"); /* has its own count */
  for (int i = 0; i < 2 * LOG_REPEAT_MAX; i++)
    log_info(&l, "facts are never dropped");
  assert_int_equal(s.lines, 3 * LOG_REPEAT_MAX + 1);
  now_ns += LOG_REPEAT_NS - 1;
  log_tell_dropped(&l, false);
  assert_int_equal(s.lines, 3 * LOG_REPEAT_MAX + 1);
  now_ns += 1;
  log_info(&l, "later");
  assert_int_equal(s.lines, 3 * LOG_REPEAT_MAX + 3);
  warn_a(&l);
  assert_non_null(strstr(s.text, "kind a 1"));
  now_ns += LOG_REPEAT_NS;
  log_tell_dropped(&l, false); /* nothing was */
  assert_int_equal(s.lines, 3 * LOG_REPEAT_MAX + 4);
  for (int i = 0; i < LOG_REPEAT_MAX + 7; i++)
    log_error(&l, "kind c");
  log_tell_dropped(&l, true);
  assert_non_null(strstr(s.text, "ERROR moq_relay: 7 more lines like this were dropped: kind c"));
  now_ns = 1;
}

/* More kinds than are counted: then none is lost. */
static void many_kinds(void **state)
{
  static char formats[LOG_KINDS_MAX + 10][8];
  struct seen s = {0};
  struct log l = to(&s, LOG_INFO);
  struct log_repeats r = {0};
  l.repeats = &r;
  for (size_t i = 0; i < LOG_KINDS_MAX + 10; i++) {
    strcpy(formats[i], "x");
    log_write(&l, LOG_WARN, formats[i], 0);
  }
  assert_int_equal(s.lines, LOG_KINDS_MAX + 10);
}

static void parses_levels(void **state)
{
  enum log_level level = LOG_TRACE;
  assert_int_equal(log_level_parse("error", &level), 0);
  assert_int_equal(level, LOG_ERROR);
  assert_int_equal(log_level_parse("WARN", &level), 0);
  assert_int_equal(level, LOG_WARN);
  assert_int_equal(log_level_parse("5", &level), 0);
  assert_int_equal(level, LOG_TRACE);
  assert_int_equal(log_level_parse("1", &level), 0);
  assert_int_equal(level, LOG_ERROR);
  assert_int_equal(log_level_parse("", &level), -EINVAL);
  assert_int_equal(log_level_parse("0", &level), -EINVAL);
  assert_int_equal(log_level_parse("6", &level), -EINVAL);
  assert_int_equal(log_level_parse("11", &level), -EINVAL);
  assert_int_equal(log_level_parse("infos", &level), -EINVAL);
  assert_int_equal(level, LOG_ERROR);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_line),   cmocka_unit_test(levels),       cmocka_unit_test(escapes),
      cmocka_unit_test(long_lines), cmocka_unit_test(invalid_utf8), cmocka_unit_test(json),
      cmocka_unit_test(repeats),    cmocka_unit_test(many_kinds),   cmocka_unit_test(parses_levels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
