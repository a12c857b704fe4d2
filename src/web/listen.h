/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#pragma once
#include "base/err.h"
#include <sys/socket.h>

/* A listening TCP socket on "host:port" ("[::]:4443" takes IPv4 as well; "*" and "" are the same
 * host; names are resolved). Non-blocking, closed on exec. Errors name the address and say what is
 * wrong with it. */
int tcp_listen(const char *address, int *ret_fd, struct sockaddr_storage *ret_bound, struct err *ret_err);
