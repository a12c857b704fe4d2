/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/utf8.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void good(const char *s, size_t n)
{
  assert_true(utf8_valid(slice_of(s, n)));
  /* Cut anywhere inside the last sequence it is not. */
  if (n > 0 && (unsigned char)s[n - 1] >= 0x80)
    assert_false(utf8_valid(slice_of(s, n - 1)));
}

static void bad(const char *s, size_t n)
{
  assert_false(utf8_valid(slice_of(s, n)));
}
#define GOOD(s) good(s, sizeof(s) - 1)
#define BAD(s) bad(s, sizeof(s) - 1)

static void valid(void **state)
{
  GOOD("");
  GOOD("plain");
  GOOD("a\0b");
  GOOD("\x7f");
  GOOD("\xc2\x80");
  GOOD("\xdf\xbf");
  GOOD("\xe0\xa0\x80");
  GOOD("\xed\x9f\xbf");
  GOOD("\xee\x80\x80");
  GOOD("\xef\xbf\xbf");
  GOOD("\xf0\x90\x80\x80");
  GOOD("\xf4\x8f\xbf\xbf");
}

static void invalid(void **state)
{
  BAD("\x80");
  BAD("a\xbf");
  BAD("\xc3");
  BAD("\xc3(");
  BAD("\xc0\x80");         /* overlong */
  BAD("\xc1\xbf");         /* overlong */
  BAD("\xe0\x9f\xbf");     /* overlong */
  BAD("\xf0\x8f\xbf\xbf"); /* overlong */
  BAD("\xed\xa0\x80");     /* surrogate */
  BAD("\xed\xbf\xbf");     /* surrogate */
  BAD("\xf4\x90\x80\x80"); /* above U+10FFFF */
  BAD("\xf5\x80\x80\x80");
  BAD("\xf8\x88\x80\x80\x80");
  BAD("\xfe");
  BAD("\xff");
  BAD("\xe2\x82");
}

/* Every two-byte string, against the definition. */
static void pairs(void **state)
{
  for (unsigned a = 0; a < 256; a++) {
    for (unsigned b = 0; b < 256; b++) {
      uint8_t s[2] = {(uint8_t)a, (uint8_t)b};
      bool want = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);
      assert_int_equal(utf8_valid(slice_of(s, 2)), want);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(valid),
      cmocka_unit_test(invalid),
      cmocka_unit_test(pairs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
