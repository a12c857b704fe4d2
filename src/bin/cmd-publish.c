/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/publish.h"
#include "moq.h"
#include <string.h>

#define AT(member) offsetof(struct publish_options, member)

static const struct option rows[] = {
    {"publish.track", "track", OPT_STRING, AT(track), NULL, "NAME", "raw: the track (required)"},
    {"publish.group", "group", OPT_INT, AT(group_lines), "1", "N", "raw: frames to a group", .min = 1, .max = 8192},
    {"publish.priority", "priority", OPT_INT, AT(priority), "60", "N", "raw: 0 to 255, higher is sent first",
     .max = 255},
    {"publish.max_age", "max-age", OPT_DURATION, AT(max_age), "30s", "TIME", "how long older groups stay to be had"},
    {"client.once", "once", OPT_BOOL, AT(connection.once), "false", "", "do not connect again when the relay is lost",
     .names = {"--connect-once"}},
    CONNECTION_OPTION_ROWS(struct publish_options),
};
static const struct option_table table = {rows, sizeof rows / sizeof *rows};

static int start(const struct command *c, const struct publish_options *o, const char *const *args)
{
  if (strcmp(args[2], "fmp4") == 0)
    return publish_fmp4(o, args[0], args[1]);
  if (strcmp(args[2], "raw") != 0)
    return command_usage_error(c, "the format is fmp4 or raw");
  if (!o->track)
    return command_usage_error(c, "raw needs --track");
  return publish_raw(o, args[0], args[1]);
}

static int run(const struct command *c, int argc, char **argv)
{
  struct publish_options o = {0};
  const char *args[3];
  size_t n;
  int code = command_parse(c, argc, argv, &o, args, 3, 3, &n);
  if (code == 0)
    code = start(c, &o, args);
  options_free(&table, &o);
  return code;
}

const struct command command_publish = {
    .name = "publish",
    .usage = "publish URL BROADCAST fmp4|raw [OPTIONS] < INPUT",
    .summary = "Publishes stdin as a broadcast, at the pace at which it arrives",
    .details = "fmp4  Fragmented MP4 with H.264, H.265, VP9 or AV1 video and AAC or Opus audio, as "
               "a broadcast that browsers\n"
               "      play: a catalog (hang), a track for each one of the MP4, a new group at each "
               "keyframe. For example:\n"
               "      ffmpeg -re -i in.mp4 -c copy -f mp4 -movflags empty_moov+default_base_moof "
               "-frag_duration 33000 - |\n"
               "        moq publish http://localhost:4443/ demo/clip fmp4\n"
               "raw   Each line is a frame of one track.\n\n"
               "It goes on until the end of its input, and connects again when the relay is lost. "
               "At the end it finishes its\n"
               "tracks and stays while viewers take the rest, until nothing has moved for two seconds.\n",
    .options = &table,
    .run = run,
};
