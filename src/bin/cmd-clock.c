/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/clock.h"
#include "moq.h"
#include <string.h>

#define AT(member) offsetof(struct clock_options, member)

static const struct option rows[] = {
    {"clock.track", "track", OPT_STRING, AT(track), "seconds", "NAME", "the track"},
    {"clock.count", "count", OPT_INT, AT(count), "0", "N", "end after N seconds, 0 = go on"},
    {"client.once", "once", OPT_BOOL, AT(connection.once), "false", "", "do not connect again when the relay is lost",
     .names = {"--connect-once"}},
    CONNECTION_OPTION_ROWS(struct clock_options),
};
static const struct option_table table = {rows, sizeof rows / sizeof *rows};

static int start(const struct command *c, const struct clock_options *o, const char *const *args)
{
  if (strcmp(args[0], "publish") == 0)
    return clock_publish(o, args[1], args[2]);
  if (strcmp(args[0], "subscribe") == 0)
    return clock_subscribe(o, args[1], args[2]);
  return command_usage_error(c, "the first argument is publish or subscribe");
}

static int run(const struct command *c, int argc, char **argv)
{
  struct clock_options o = {0};
  const char *args[3];
  size_t n;
  int code = command_parse(c, argc, argv, &o, args, 3, 3, &n);
  if (code == 0)
    code = start(c, &o, args);
  options_free(&table, &o);
  return code;
}

const struct command command_clock = {
    .name = "clock",
    .usage = "clock publish|subscribe URL BROADCAST [OPTIONS]",
    .summary = "Publishes the time of day, or prints such a broadcast",
    .details = "For trying a relay out: a group each minute, a frame each second, in UTC. "
               "Understood by moq-clock and the other way\n"
               "round.\n",
    .options = &table,
    .run = run,
};
