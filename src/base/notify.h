/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tells a service manager how we are: sd_notify(3)'s protocol, datagrams of VARIABLE=value lines to
 * the UNIX socket named in $NOTIFY_SOCKET. Written here rather than taken from libsystemd: the
 * protocol is documented as stable and is these few lines, and the library would bring more code
 * into the process than the whole of it needs. All functions do nothing when there is no such
 * socket. */
#pragma once
#include <stdint.h>

struct notify {
  int fd;               /* -1 = nobody listens */
  uint64_t watchdog_ns; /* send "WATCHDOG=1" more often than this; 0 = nobody waits for it */
};

/* The values of $NOTIFY_SOCKET ("/path" or "@abstract"), $WATCHDOG_USEC and $WATCHDOG_PID, each may
 * be NULL. 0; a negative errno when the socket cannot be used: then *n is as without one. */
int notify_init(struct notify *n, const char *socket_path, const char *watchdog_usec, const char *watchdog_pid);

/* "READY=1", "STOPPING=1", ...; several with a newline between them. A manager that does not listen
 * is no reason to fail. */
void notify_send(const struct notify *n, const char *text);
void notify_destroy(struct notify *n);
