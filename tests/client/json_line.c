/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/json_line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void check(struct buf *b, const char *text)
{
  assert_false(b->failed);
  assert_int_equal(b->n, strlen(text));
  assert_memory_equal(b->p, text, b->n);
  buf_destroy(b);
}

static void members(void **state)
{
  struct buf b = {0};
  json_begin(&b);
  json_text(&b, "path", slice_str("a/b"));
  json_bool(&b, "active", true);
  json_bool(&b, "old", false);
  json_number(&b, "n", UINT64_MAX);
  json_end(&b);
  check(&b, "{\"path\":\"a/b\",\"active\":true,\"old\":false,\"n\":18446744073709551615}\n");
}

static void empty(void **state)
{
  struct buf b = {0};
  json_begin(&b);
  json_end(&b);
  check(&b, "{}\n");
}

static void text_is_escaped(void **state)
{
  struct buf b = {0};
  json_begin(&b);
  json_text(&b, "t", slice_of("\"\\\n\0\x7f{", 6));
  json_end(&b);
  check(&b, "{\"t\":\"\\\"\\\\\\u000a\\u0000\\u007f{\"}\n");
}

static void only_utf8_comes_out(void **state)
{
  struct buf b = {0};
  json_begin(&b);
  json_text(&b, "t", slice_str("\xc3\xa9\xf0\x9f\x98\x80|\xc3|\xed\xa0\x80|\xff"));
  json_end(&b);
#define BAD "\xef\xbf\xbd"
  check(&b, "{\"t\":\"\xc3\xa9\xf0\x9f\x98\x80|" BAD "|" BAD BAD BAD "|" BAD "\"}\n");
}

/* The vectors of RFC 4648. */
static void base64(void **state)
{
  static const char *const rows[][2] = {{"", ""},
                                        {"f", "Zg=="},
                                        {"fo", "Zm8="},
                                        {"foo", "Zm9v"},
                                        {"foob", "Zm9vYg=="},
                                        {"fooba", "Zm9vYmE="},
                                        {"foobar", "Zm9vYmFy"},
                                        {"\xff\xfe\xfd", "//79"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct buf b = {0}, want = {0};
    json_begin(&b);
    json_base64(&b, "p", slice_str(rows[i][0]));
    buf_printf(&want, "{\"p\":\"%s\"", rows[i][1]);
    buf_u8(&want, 0);
    check(&b, (const char *)want.p);
    buf_destroy(&want);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members),         cmocka_unit_test(empty),
      cmocka_unit_test(text_is_escaped), cmocka_unit_test(only_utf8_comes_out),
      cmocka_unit_test(base64),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
