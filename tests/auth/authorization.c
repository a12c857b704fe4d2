/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/authorization.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_schemes(void **state)
{
  static const struct {
    const char *field, *bearer;
    int is_private;
  } rows[] = {
      {NULL, NULL, 0},
      {"", NULL, 0},
      {"Bearer abc", "abc", 0},
      {"bEARER \t abc", "abc", 0},
      {"Bearer\tabc", "abc", 0},
      {"Bearer", "", 0},
      {"Bearers abc", NULL, 0},
      {"Basic YTpi", NULL, 0},
      {" Bearer abc", NULL, 0},
      {"PrivateToken token=x", NULL, 1},
      {"privatetoken\ttoken=x", NULL, 1},
      {"PRIVATETOKEN", NULL, 1},
      {"PrivateTokens token=x", NULL, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *bearer = authorization_bearer(rows[i].field), *whole = authorization_private_token(rows[i].field);
    if (rows[i].bearer)
      assert_string_equal(bearer, rows[i].bearer);
    else
      assert_null(bearer);
    assert_ptr_equal(whole, rows[i].is_private ? rows[i].field : NULL);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_schemes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
