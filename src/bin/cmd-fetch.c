/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/fetch.h"
#include "moq.h"

#define AT(member) offsetof(struct fetch_options, member)

static const struct option rows[] = {
    {"fetch.group", "group", OPT_STRING, AT(group), "latest", "N",
     "number of the group, or latest: the one that is going on"},
    {"fetch.lines", "lines", OPT_BOOL, AT(lines), "false", "", "write each frame as a line"},
    {"fetch.timeout", "timeout", OPT_DURATION, AT(wait), "10s", "TIME", "how long to wait for broadcast and group"},
    {"client.once", "once", OPT_BOOL, AT(connection.once), "true", "", "do not connect again when the relay is lost",
     .names = {"--connect-once"}},
    CONNECTION_OPTION_ROWS(struct fetch_options),
};
static const struct option_table table = {rows, sizeof rows / sizeof *rows};

static int start(const struct command *c, const struct fetch_options *o, const char *const *args)
{
  bool numbered;
  uint64_t sequence;
  if (fetch_parse_group(o->group, &numbered, &sequence) < 0)
    return command_usage_error(c, "--group: must be a number or \"latest\"");
  return fetch_group(o, args[0], args[1], args[2]);
}

static int run(const struct command *c, int argc, char **argv)
{
  struct fetch_options o = {0};
  const char *args[3];
  size_t n;
  int code = command_parse(c, argc, argv, &o, args, 3, 3, &n);
  if (code == 0)
    code = start(c, &o, args);
  options_free(&table, &o);
  return code;
}

const struct command command_fetch = {
    .name = "fetch",
    .usage = "fetch URL BROADCAST TRACK [OPTIONS] > OUTPUT",
    .summary = "Writes one group of a track to stdout",
    .details = "The payload of its frames, one after the other. With --json a line is\n"
               "{\"group\":N,\"frame\":N,\"timestamp\":N,\"payload\":\"BASE64\"}, in the "
               "track's own units of time.\n"
               "The latest group is written as it comes, until its end. A group by its number "
               "needs moq-lite-05 or later.\n",
    .options = &table,
    .run = run,
};
