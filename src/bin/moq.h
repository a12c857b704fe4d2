/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The commands of `moq`: one file and one row of the table in moq.c each. */
#pragma once
#include "client/program.h"

struct command {
  const char *name, *usage, *summary;
  const char *details; /* of its own --help, before the options */
  const struct option_table *options;
  /* argv without program and command names. The exit code. */
  int (*run)(const struct command *c, int argc, char **argv);
};

extern const struct command command_publish, command_subscribe, command_fetch, command_announced, command_clock;

/* All of them, in the order of the help; ends with NULL. */
extern const struct command *const commands[];

/* The parts of the help that are about the whole program. */
extern const char moq_url_help[];

/* Environment and flags into *target; `min` to `max` positional arguments. 0, or an exit code after
 * a line on stderr. */
int command_parse(const struct command *c, int argc, char **argv, void *target, const char **ret_positional, size_t min,
                  size_t max, size_t *ret_count);

/* "moq publish: what" on stderr; EXIT_USAGE. */
int command_usage_error(const struct command *c, const char *what);
