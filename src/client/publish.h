/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The two ways in which `moq publish` makes a broadcast of stdin. Each runs a program to its end
 * and returns its exit code. */
#pragma once
#include "client/program.h"

struct publish_options {
  struct connection_options connection;
  uint64_t max_age;     /* ns that older groups stay to be had */
  char *track;          /* raw */
  uint64_t group_lines; /* raw: frames to a group */
  uint64_t priority;    /* raw */
};

int publish_fmp4(const struct publish_options *o, const char *url, const char *broadcast);
int publish_raw(const struct publish_options *o, const char *url, const char *broadcast);
