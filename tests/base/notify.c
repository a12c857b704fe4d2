/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a service manager gets: its socket is ours here, by path and abstract. */
#include "base/notify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager(const char *name, bool abstract)
{
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  assert_true(fd >= 0);
  memcpy(at.sun_path + abstract, name, strlen(name));
  socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name));
  assert_int_equal(bind(fd, (const struct sockaddr *)&at, len), 0);
  return fd;
}

static void got(int fd, const char *text)
{
  char in[128] = "";
  ssize_t n = recv(fd, in, sizeof in - 1, 0);
  assert_int_equal(n, strlen(text));
  assert_string_equal(in, text);
}

static void by_path(void **state)
{
  char folder[] = "/tmp/moq-notify-XXXXXX", path[64];
  struct notify n;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/socket", folder);
  int fd = manager(path, false);
  assert_int_equal(notify_init(&n, path, NULL, NULL), 0);
  assert_int_equal(n.watchdog_ns, 0);
  notify_send(&n, "READY=1");
  got(fd, "READY=1");
  notify_send(&n, "RELOADING=1\nMONOTONIC_USEC=5");
  got(fd, "RELOADING=1\nMONOTONIC_USEC=5");
  close(fd);
  notify_send(&n, "STOPPING=1"); /* nobody is there any more */
  notify_destroy(&n);
  unlink(path);
  assert_int_equal(notify_init(&n, path, NULL, NULL), -ENOENT);
  notify_send(&n, "READY=1");
  notify_destroy(&n);
  rmdir(folder);
}

static void by_abstract_name(void **state)
{
  char name[64], path[66];
  struct notify n;
  snprintf(name, sizeof name, "moq-notify-%d", (int)getpid());
  snprintf(path, sizeof path, "@%s", name);
  int fd = manager(name, true);
  assert_int_equal(notify_init(&n, path, "3000000", NULL), 0);
  assert_int_equal(n.watchdog_ns, 3000000000);
  notify_send(&n, "WATCHDOG=1");
  got(fd, "WATCHDOG=1");
  notify_destroy(&n);
  close(fd);
}

static void nobody_and_nonsense(void **state)
{
  char long_path[200] = "/";
  struct notify n;
  memset(long_path + 1, 'x', sizeof long_path - 2);
  assert_int_equal(notify_init(&n, NULL, "1", "1"), 0);
  notify_send(&n, "READY=1");
  notify_destroy(&n);
  assert_int_equal(notify_init(&n, "", NULL, NULL), 0);
  assert_int_equal(notify_init(&n, "relative", NULL, NULL), -EINVAL);
  assert_int_equal(notify_init(&n, "@", NULL, NULL), -EINVAL);
  assert_int_equal(notify_init(&n, long_path, NULL, NULL), -EINVAL);
  assert_int_equal(n.fd, -1);
}

static uint64_t watchdog(const char *usec, const char *pid)
{
  char name[64], path[66];
  struct notify n;
  snprintf(name, sizeof name, "moq-watchdog-%d", (int)getpid());
  snprintf(path, sizeof path, "@%s", name);
  int fd = manager(name, true);
  assert_int_equal(notify_init(&n, path, usec, pid), 0);
  uint64_t ns = n.watchdog_ns;
  notify_destroy(&n);
  close(fd);
  return ns;
}

static void watchdogs(void **state)
{
  char me[20];
  snprintf(me, sizeof me, "%d", (int)getpid());
  assert_int_equal(watchdog("10", me), 10000);
  assert_int_equal(watchdog("10", "1"), 0); /* meant for another process */
  assert_int_equal(watchdog("10", "x"), 0);
  assert_int_equal(watchdog("-10", NULL), 0);
  assert_int_equal(watchdog("10s", NULL), 0);
  assert_int_equal(watchdog("99999999999999999999999", NULL), 0);
  assert_int_equal(watchdog("18446744073709551615", NULL), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_path),
      cmocka_unit_test(by_abstract_name),
      cmocka_unit_test(nobody_and_nonsense),
      cmocka_unit_test(watchdogs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
