/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/subscribe.h"
#include "moq.h"
#include <string.h>

#define AT(member) offsetof(struct subscribe_options, member)

static const struct option rows[] = {
    {"subscribe.track", "track", OPT_STRING, AT(track), NULL, "NAME", "raw: the track (required)"},
    {"subscribe.count", "count", OPT_INT, AT(count), "0", "N", "raw: end after N frames, 0 = go on"},
    {"subscribe.priority", "priority", OPT_INT, AT(priority), "60", "N", "raw: 0 to 255, higher is sent first",
     .max = 255},
    {"subscribe.max_age", "max-age", OPT_DURATION, AT(max_age), "10s", "TIME",
     "how far back to begin, and how late a group may be before it is skipped; 0s = the newest "
     "group only"},
    {"client.once", "once", OPT_BOOL, AT(connection.once), "false", "",
     "do not connect again when the relay is lost, nor wait for a broadcast that broke off",
     .names = {"--connect-once"}},
    CONNECTION_OPTION_ROWS(struct subscribe_options),
};
static const struct option_table table = {rows, sizeof rows / sizeof *rows};

static int start(const struct command *c, const struct subscribe_options *o, const char *const *args)
{
  if (strcmp(args[2], "fmp4") == 0)
    return subscribe_fmp4(o, args[0], args[1]);
  if (strcmp(args[2], "raw") != 0)
    return command_usage_error(c, "the format is fmp4 or raw");
  if (!o->track)
    return command_usage_error(c, "raw needs --track");
  return subscribe_raw(o, args[0], args[1]);
}

static int run(const struct command *c, int argc, char **argv)
{
  struct subscribe_options o = {0};
  const char *args[3];
  size_t n;
  int code = command_parse(c, argc, argv, &o, args, 3, 3, &n);
  if (code == 0)
    code = start(c, &o, args);
  options_free(&table, &o);
  return code;
}

const struct command command_subscribe = {
    .name = "subscribe",
    .usage = "subscribe URL BROADCAST fmp4|raw [OPTIONS] > OUTPUT",
    .summary = "Writes a broadcast to stdout",
    .details = "fmp4  All video and audio of the broadcast's catalog as one fragmented MP4, frames "
               "in order. For example:\n"
               "      moq subscribe http://localhost:4443/ demo/clip fmp4 --max-age 1s | ffplay -\n"
               "raw   Each frame of one track as a line.\n\n"
               "It waits for the broadcast to be announced, goes on until its publisher finishes "
               "it, and waits for one that\n"
               "broke off to come back. After Ctrl-C the file is complete as far as it goes.\n",
    .options = &table,
    .run = run,
};
