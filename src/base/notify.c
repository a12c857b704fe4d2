/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/notify.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(const char *path)
{
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t n = strlen(path);
  if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof to.sun_path)
    return -EINVAL;
  memcpy(to.sun_path, path, n);
  if (path[0] == '@')
    to.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -errno;
  socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
  if (connect(fd, (const struct sockaddr *)&to, len) == 0)
    return fd;
  int rc = -errno;
  close(fd);
  return rc;
}

static bool number(const char *text, uint64_t *ret)
{
  char *end;
  if (!text || text[0] < '0' || text[0] > '9')
    return false;
  errno = 0;
  *ret = strtoull(text, &end, 10);
  return errno == 0 && *end == '\0';
}

int notify_init(struct notify *n, const char *socket_path, const char *watchdog_usec, const char *watchdog_pid)
{
  uint64_t usec, pid;
  *n = (struct notify){.fd = -1};
  if (!socket_path || !*socket_path)
    return 0;
  int fd = open_socket(socket_path);
  if (fd < 0)
    return fd;
  n->fd = fd;
  bool ours = !watchdog_pid || (number(watchdog_pid, &pid) && pid == (uint64_t)getpid());
  if (ours && number(watchdog_usec, &usec) && usec < UINT64_MAX / 1000)
    n->watchdog_ns = usec * 1000;
  return 0;
}

void notify_send(const struct notify *n, const char *text)
{
  if (n->fd < 0)
    return;
  ssize_t sent = send(n->fd, text, strlen(text), MSG_NOSIGNAL);
  (void)sent;
}

void notify_destroy(struct notify *n)
{
  if (n->fd >= 0)
    close(n->fd);
  n->fd = -1;
}
