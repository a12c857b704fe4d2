/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/program.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void names_forge_no_lines(void **state)
{
  char out[64];
  assert_int_equal(program_printable(out, sizeof out, "a/b\n- c\x1b[2J\x7f"), 21);
  assert_string_equal(out, "a/b\\x0a- c\\x1b[2J\\x7f");
  program_printable(out, sizeof out, "caf\xc3\xa9");
  assert_string_equal(out, "caf\xc3\xa9");
}

static void long_names_are_cut(void **state)
{
  char out[16], text[100];
  memset(text, '\n', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  size_t n = program_printable(out, sizeof out, text);
  assert_int_equal(n, strlen(out));
  assert_true(n < sizeof out && n % 4 == 0);
}

static void codes_of_tracks(void **state)
{
  assert_int_equal(program_code_of(CODE_NOT_FOUND, false), EXIT_NOT_FOUND);
  assert_int_equal(program_code_of(CODE_NOT_FOUND, true), EXIT_ENDED);
  assert_int_equal(program_code_of(CODE_UNROUTABLE, false), EXIT_NOT_FOUND);
  assert_int_equal(program_code_of(CODE_UNROUTABLE, true), EXIT_ENDED);
  assert_int_equal(program_code_of(CODE_SESSION, false), EXIT_ENDED);
  assert_int_equal(program_code_of(CODE_INTERNAL, true), EXIT_FAILED);
}

static void exit_codes_are_distinct_and_named(void **state)
{
  int code = 0;
  const struct exit_meaning *m = program_exit_codes;
  for (; m->text; m++, code++) {
    assert_int_equal(m->code, code);
    assert_non_null(m->name);
  }
  assert_int_equal(code, EXIT_ENDED + 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_forge_no_lines),
      cmocka_unit_test(long_names_are_cut),
      cmocka_unit_test(codes_of_tracks),
      cmocka_unit_test(exit_codes_are_distinct_and_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
