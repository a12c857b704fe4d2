/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules without memory are none: an error, never a shorter list. */
#include "auth/admission.h"
#include "support/oom.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void every_allocation_may_fail(void **state)
{
  static const char *const prefixes[] = {"a", "b/**", "c"};
  struct admission_config config = {
      .publish = prefixes, .publish_count = 3, .subscribe = prefixes, .subscribe_count = 2};
  bool failed = true;
  long n = 0;
  (void)state;
  for (; failed; n++) {
    struct admission *a = NULL;
    struct err err = {""};
    assert_true(n < 100);
    oom_after(n, 1);
    int rc = admission_new(&config, &a, &err);
    failed = oom_end();
    assert_int_equal(rc, failed ? -ENOMEM : 0);
    assert_true((rc == 0) == (err.text[0] == '\0'));
    admission_free(a);
  }
  assert_true(n > 5);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
