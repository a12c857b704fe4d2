/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The two ways in which `moq subscribe` writes a broadcast to stdout. Each runs a program to its
 * end and returns its exit code. */
#pragma once
#include "client/program.h"

struct subscribe_options {
  struct connection_options connection;
  uint64_t max_age;  /* ns */
  char *track;       /* raw */
  uint64_t count;    /* raw: frames, 0 = no end */
  uint64_t priority; /* raw */
};

int subscribe_fmp4(const struct subscribe_options *o, const char *url, const char *broadcast);
int subscribe_raw(const struct subscribe_options *o, const char *url, const char *broadcast);
