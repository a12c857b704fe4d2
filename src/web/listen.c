/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "web/listen.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 512
#define HOST_MAX 256

struct target {
  char host[HOST_MAX], port[8];
  bool any;
};

static int bad_address(const char *address, struct err *ret_err)
{
  return err_set(ret_err, -EINVAL, "\"%.100s\" is not an address such as \"127.0.0.1:4443\" or \"[::]:4443\"", address);
}

static bool valid_port(const char *port)
{
  size_t n = strspn(port, "0123456789");
  return n > 0 && n <= 5 && port[n] == '\0' && (n < 5 || strcmp(port, "65535") <= 0);
}

static int split(const char *address, struct target *t, struct err *ret_err)
{
  const char *colon = strrchr(address, ':'), *host = address;
  size_t n = colon ? (size_t)(colon - address) : 0;
  if (!colon || !valid_port(colon + 1))
    return bad_address(address, ret_err);
  if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
    host++;
    n -= 2;
  } else if (memchr(host, ':', n)) {
    return bad_address(address, ret_err); /* an IPv6 address needs its brackets */
  }
  if (n >= HOST_MAX)
    return bad_address(address, ret_err);
  memcpy(t->host, host, n);
  t->host[n] = '\0';
  if (strcmp(t->host, "*") == 0 || n == 0)
    strcpy(t->host, "::");
  t->any = strcmp(t->host, "::") == 0;
  snprintf(t->port, sizeof t->port, "%s", colon + 1);
  return 0;
}

static int cannot(const char *address, int error, struct err *ret_err)
{
  const char *why = strerror(error);
  if (error == EADDRINUSE)
    why = "the TCP port is in use by another program";
  else if (error == EACCES)
    why = "ports below 1024 need privileges (CAP_NET_BIND_SERVICE)";
  else if (error == EADDRNOTAVAIL)
    why = "this machine has no such address";
  return err_set(ret_err, -error, "%s: cannot listen for HTTP: %s", address, why);
}

/* Accepted sockets inherit it: a client that is gone without a word while it waits is noticed. */
static void keep_alive(int fd)
{
  int on = 1, idle_s = 30, interval_s = 10, count = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static int open_socket(const struct sockaddr *sa, socklen_t len, int *ret_fd)
{
  int one = 1, zero = 0, error;
  int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  keep_alive(fd);
  if (sa->sa_family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  if (bind(fd, sa, len) == 0 && listen(fd, BACKLOG) == 0) {
    *ret_fd = fd;
    return 0;
  }
  error = errno;
  close(fd);
  return -error;
}

/* The first address of a name that can be bound. */
static int resolve_and_open(const char *address, const struct target *t, int *ret_fd, struct err *ret_err)
{
  struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *list;
  int rc = getaddrinfo(t->host, t->port, &hints, &list);
  if (rc != 0)
    return err_set(ret_err, -EINVAL, "%s: cannot listen for HTTP: %s", address, gai_strerror(rc));
  rc = -EADDRNOTAVAIL;
  for (struct addrinfo *ai = list; ai && rc < 0; ai = ai->ai_next)
    rc = open_socket(ai->ai_addr, ai->ai_addrlen, ret_fd);
  freeaddrinfo(list);
  return rc < 0 ? cannot(address, -rc, ret_err) : 0;
}

int tcp_listen(const char *address, int *ret_fd, struct sockaddr_storage *ret_bound, struct err *ret_err)
{
  struct target t;
  int fd, rc = split(address, &t, ret_err);
  if (rc < 0)
    return rc;
  rc = resolve_and_open(address, &t, &fd, ret_err);
  if (rc == -EAFNOSUPPORT && t.any) {
    strcpy(t.host, "0.0.0.0"); /* a kernel without IPv6 */
    rc = resolve_and_open(address, &t, &fd, ret_err);
  }
  if (rc < 0)
    return rc;
  socklen_t len = sizeof *ret_bound;
  memset(ret_bound, 0, sizeof *ret_bound);
  if (getsockname(fd, (struct sockaddr *)ret_bound, &len) < 0) {
    rc = cannot(address, errno, ret_err);
    close(fd);
    return rc;
  }
  *ret_fd = fd;
  return 0;
}
