/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/progress.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void text(void **state)
{
  char out[100];
  progress_text(&(struct progress){.seconds = 3725, .bitrate = 2543210, .groups = 12, .dropped = 3}, out, sizeof out);
  assert_string_equal(out, "01:02:05  2.5 Mbit/s  12 groups  3 dropped");
  progress_text(&(struct progress){.seconds = 1, .bitrate = 64499, .groups = 1}, out, sizeof out);
  assert_string_equal(out, "00:00:01  64 kbit/s  1 groups  0 dropped");
}

static void json(void **state)
{
  static const char want[] = "\"seconds\":3725,\"bitrate\":2543210,\"groups\":12,\"dropped\":3";
  struct buf b = {0};
  progress_json(&(struct progress){.seconds = 3725, .bitrate = 2543210.7, .groups = 12, .dropped = 3}, &b);
  assert_int_equal(b.n, sizeof want - 1);
  assert_memory_equal(b.p, want, b.n);
  buf_destroy(&b);
}

static void rate(void **state)
{
  struct progress_rate r = {0};
  double v = progress_rate(&r, 0, NS_PER_S);
  assert_true(v == 0);
  for (uint64_t i = 1; i <= 100; i++)
    v = progress_rate(&r, i * 25000, NS_PER_S + i * 200 * NS_PER_MS);
  assert_true(v > 0.99e6 && v < 1.01e6);
  v = progress_rate(&r, 2500000, 1000 * NS_PER_S); /* nothing for long */
  assert_true(v < 1e4);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(text), cmocka_unit_test(json), cmocka_unit_test(rate)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
