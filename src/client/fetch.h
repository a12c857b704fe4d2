/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `moq fetch`: one group of a track to stdout. Runs a program to its end and returns its exit code. */
#pragma once
#include "client/program.h"

struct fetch_options {
  struct connection_options connection;
  char *group;   /* a number, or "latest" */
  bool lines;    /* each frame as a line */
  uint64_t wait; /* ns, until the group begins */
};

/* "latest" (false in *ret_numbered) or a sequence. 0 or -EINVAL. */
int fetch_parse_group(const char *text, bool *ret_numbered, uint64_t *ret_sequence);

int fetch_group(const struct fetch_options *o, const char *url, const char *broadcast, const char *track);
