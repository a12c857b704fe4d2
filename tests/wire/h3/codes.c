/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/codes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct {
  uint32_t code;
  uint64_t wire;
} known[] = {
    {0, 0x52e4a40fa8db},    {1, 0x52e4a40fa8dc},    {2, 0x52e4a40fa8dd},
    {9, 0x52e4a40fa8e4},    {29, 0x52e4a40fa8f8},   {30, 0x52e4a40fa8fa},
    {0x33, 0x52e4a40fa90f}, {0x36, 0x52e4a40fa912}, {UINT32_MAX, 0x52e5ac983162},
};

static void known_values(void **state)
{
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    uint32_t code = ~known[i].code;
    assert_int_equal(wt_code_to_h3(known[i].code), known[i].wire);
    assert_true(h3_code_to_wt(known[i].wire, &code));
    assert_int_equal(code, known[i].code);
  }
}

static void round_trip(void **state)
{
  for (uint64_t c = 0; c <= UINT32_MAX; c += c < 2000 ? 1 : 65521) {
    uint32_t back = 0;
    assert_true(h3_code_to_wt(wt_code_to_h3((uint32_t)c), &back));
    assert_int_equal(back, c);
  }
}

static void outside(void **state)
{
  static const uint64_t wire[] = {0,
                                  0x100,
                                  0x3994bd84,
                                  WT_CODE_FIRST - 1,
                                  WT_CODE_LAST + 1,
                                  0x52e4a40fa8f9, /* between 29 and 30: reserved */
                                  UINT64_MAX};
  for (size_t i = 0; i < sizeof wire / sizeof wire[0]; i++) {
    uint32_t code = 77;
    assert_false(h3_code_to_wt(wire[i], &code));
    assert_int_equal(code, 77);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_values),
      cmocka_unit_test(round_trip),
      cmocka_unit_test(outside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
