/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/base64url.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_known_pairs(void **state)
{
  static const char *const rows[][2] = {
      {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xfb\xff", "-_8"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct buf text = {0}, bytes = {0};
    base64url_encode(&text, slice_str(rows[i][0]));
    assert_true(slice_eq(buf_slice(&text), slice_str(rows[i][1])));
    assert_int_equal(base64url_decode(&bytes, slice_str(rows[i][1])), 0);
    assert_true(slice_eq(buf_slice(&bytes), slice_str(rows[i][0])));
    buf_destroy(&text);
    buf_destroy(&bytes);
  }
}

static void test_every_length(void **state)
{
  uint8_t data[100];
  for (size_t n = 0; n <= sizeof data; n++) {
    struct buf text = {0}, bytes = {0};
    for (size_t i = 0; i < n; i++)
      data[i] = (uint8_t)(i * 37 + n * 101);
    base64url_encode(&text, slice_of(data, n));
    assert_int_equal(text.n, (n * 4 + 2) / 3);
    assert_int_equal(base64url_decode(&bytes, buf_slice(&text)), 0);
    assert_true(slice_eq(buf_slice(&bytes), slice_of(data, n)));
    buf_destroy(&text);
    buf_destroy(&bytes);
  }
}

static void test_one_text_for_each_value(void **state)
{
  static const char *const bad[] = {"A", "AAAAA", "Zh", "Zm9", "Zg==", "Zg=", "Zm 9v", "Zm9v\n", "a+b/", "Z\xc3\xa4", "Zm8."};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct buf bytes = {0};
    if (base64url_decode(&bytes, slice_str(bad[i])) != -EINVAL)
      fail_msg("\"%s\" was taken", bad[i]);
    buf_destroy(&bytes);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_pairs),
      cmocka_unit_test(test_every_length),
      cmocka_unit_test(test_one_text_for_each_value),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
