/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "web/listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void refused(const char *address, int rc, const char *piece)
{
  int fd = -7;
  struct sockaddr_storage bound;
  struct err err;
  int got = tcp_listen(address, &fd, &bound, &err);
  if (got != rc || !strstr(err.text, piece) || !strstr(err.text, address))
    fail_msg("%s: rc %d: %s", address, got, err.text);
  assert_int_equal(fd, -7);
}

static void bad_addresses(void **state)
{
  (void)state;
  refused("4443", -EINVAL, "is not an address such as");
  refused("127.0.0.1", -EINVAL, "is not an address such as");
  refused("127.0.0.1:", -EINVAL, "is not an address such as");
  refused("127.0.0.1:70000", -EINVAL, "is not an address such as");
  refused("127.0.0.1:-1", -EINVAL, "is not an address such as");
  refused("127.0.0.1:http", -EINVAL, "is not an address such as");
  refused("::1:4443", -EINVAL, "is not an address such as");
  refused("192.0.2.1:0", -EADDRNOTAVAIL, "no such address");
}

static int connects(int family, const void *sa, socklen_t len)
{
  int fd = socket(family, SOCK_STREAM, 0), rc = connect(fd, sa, len);
  close(fd);
  return rc;
}

static void both_families(void **state)
{
  int fd;
  struct sockaddr_storage bound;
  struct err err;
  (void)state;
  assert_int_equal(tcp_listen("[::]:0", &fd, &bound, &err), 0);
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&bound;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bound.ss_family == AF_INET6) {
    v6->sin6_addr = in6addr_loopback;
    assert_int_equal(connects(AF_INET6, v6, sizeof *v6), 0);
  }
  assert_int_equal(connects(AF_INET, &v4, sizeof v4), 0);
  close(fd);
}

static void names_and_shorthands(void **state)
{
  static const char *const good[] = {"localhost:0", ":0", "*:0", "127.0.0.1:0"};
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    int fd;
    struct sockaddr_storage bound;
    struct err err;
    assert_int_equal(tcp_listen(good[i], &fd, &bound, &err), 0);
    close(fd);
  }
}

static void port_in_use(void **state)
{
  int fd;
  char address[32];
  struct sockaddr_storage bound;
  struct err err;
  (void)state;
  assert_int_equal(tcp_listen("127.0.0.1:0", &fd, &bound, &err), 0);
  snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(((struct sockaddr_in *)&bound)->sin_port));
  refused(address, -EADDRINUSE, "in use by another program");
  close(fd);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(bad_addresses), cmocka_unit_test(both_families),
                                     cmocka_unit_test(names_and_shorthands), cmocka_unit_test(port_in_use)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
