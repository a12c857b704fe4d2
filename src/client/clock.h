/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `moq clock`: the time of day as a broadcast, for trying a relay out. A track has a group for each
 * minute: a frame with what stands before the seconds ("2026-01-31 12:00:"), then one for each
 * second ("07"), UTC. Each function runs a program to its end and returns its exit code. */
#pragma once
#include "client/program.h"

struct clock_options {
  struct connection_options connection;
  char *track;
  uint64_t count; /* seconds to publish or to print, 0 = no end */
};

int clock_publish(const struct clock_options *o, const char *url, const char *broadcast);
int clock_subscribe(const struct clock_options *o, const char *url, const char *broadcast);

/* The two frames' texts for a time: "YYYY-MM-DD HH:MM:" and "SS". */
#define CLOCK_MINUTE_TEXT 24
#define CLOCK_SECOND_TEXT 4
void clock_texts(uint64_t wall_s, char ret_minute[CLOCK_MINUTE_TEXT], char ret_second[CLOCK_SECOND_TEXT]);
