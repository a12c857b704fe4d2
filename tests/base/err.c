/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/err.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void an_error_says_what_is_wrong(void **state)
{
  (void)state;
  struct err e;
  assert_int_equal(err_set(&e, -EINVAL, "port %d: %s", 70000, "too large"), -EINVAL);
  assert_string_equal(e.text, "port 70000: too large");
}

static void nobody_has_to_listen(void **state)
{
  (void)state;
  assert_int_equal(err_set(NULL, -ENOMEM, "lost"), -ENOMEM);
}

static void long_text_is_cut(void **state)
{
  (void)state;
  struct err e;
  char text[2 * sizeof e.text];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  err_set(&e, -1, "%s", text);
  assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_error_says_what_is_wrong),
      cmocka_unit_test(nobody_has_to_listen),
      cmocka_unit_test(long_text_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
