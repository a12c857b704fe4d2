/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails each allocation of loading a configuration in turn: refused with a text, nothing leaks. */
#include "loading.h"
#include "support/oom.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 2000

static void every_allocation(void **state)
{
  static const char text[] = "log.level = \"warn\"\nserver.bind = [\"[::]:1\", "
                             "\"[::]:2\"]\nlisten.bind = [\"[::]:1\", \"[::]:2\"]\n" BASE;
  char path[] = "/tmp/moq-config-oom-XXXXXX";
  char *argv[] = {(char *)(uintptr_t) "moq-relay", path, (char *)(uintptr_t) "--web-root=page", NULL};
  char *env[] = {(char *)(uintptr_t) "MOQ_LISTEN_TLS_GENERATE=a,b", NULL};
  int fd = mkstemp(path);
  long round = 0;
  (void)state;
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
  for (bool failed = true; failed; round++) {
    struct relay_config c;
    enum relay_command command;
    struct err err = {""};
    assert_true(round < ROUNDS_MAX);
    oom_after(round, 1);
    int rc = relay_config_load(&c, 3, argv, env, NULL, &command, &err);
    failed = oom_end();
    if (rc < 0) {
      assert_int_equal(rc, -ENOMEM);
      assert_true(failed);
      assert_non_null(strstr(err.text, "memory"));
    } else {
      relay_config_free(&c);
    }
  }
  assert_true(round > 20);
  unlink(path);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
