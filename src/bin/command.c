/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "moq.h"
#include <stdio.h>

extern char **environ;

int command_usage_error(const struct command *c, const char *what)
{
  fprintf(stderr, "moq %s: %s; see \"moq %s --help\"\n", c->name, what, c->name);
  return EXIT_USAGE;
}

int command_parse(const struct command *c, int argc, char **argv, void *target, const char **ret_positional, size_t min,
                  size_t max, size_t *ret_count)
{
  struct option_state st = {0};
  struct err err;
  int rc = options_begin(&st, c->options, target, &err);
  if (rc == 0)
    rc = options_environment(&st, environ, &err);
  if (rc == 0)
    rc = options_flags(&st, argc, argv, ret_positional, max, ret_count, &err);
  options_end(&st);
  if (rc < 0)
    return command_usage_error(c, err.text);
  return *ret_count < min ? command_usage_error(c, "arguments are missing") : 0;
}
