/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the values of options: durations, sizes, numbers. */
#include "config/values.h"
#include "support/fuzz.h"
#include <stdio.h>

#define EXACT_MAX (1ULL << 53) /* whole numbers that a double holds */
#define VALUE_MAX (1ULL << 63)

static void check_again(uint64_t value, const char *unit, int (*parse)(const char *, uint64_t *))
{
  char text[32];
  uint64_t again;
  snprintf(text, sizeof text, "%llu%s", (unsigned long long)value, unit);
  check(value < VALUE_MAX);
  if (value < EXACT_MAX)
    check(parse(text, &again) == 0 && again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = fuzz_text(data, size);
  uint64_t v = 0;
  bool b;
  if (parse_duration(text, &v) == 0)
    check_again(v, "ns", parse_duration);
  if (parse_size(text, &v) == 0)
    check_again(v, "B", parse_size);
  if (parse_integer(text, 3, 1000, &v) == 0)
    check(v >= 3 && v <= 1000);
  parse_integer(text, 0, 0, &v);
  parse_bool(text, &b);
  free(text);
  return 0;
}
