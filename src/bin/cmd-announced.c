/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/json_line.h"
#include "client/output.h"
#include "moq.h"
#include <string.h>
#include <unistd.h>

#define SETTLE_WAIT (300 * NS_PER_MS) /* --once: nothing more came for so long */

struct announced_options {
  struct connection_options connection;
  bool once;
};

#define AT(member) offsetof(struct announced_options, member)

static const struct option rows[] = {
    {"announced.once", "once", OPT_BOOL, AT(once), "false", "", "print what is announced now, and end"},
    CONNECTION_OPTION_ROWS(struct announced_options),
};
static const struct option_table table = {rows, sizeof rows / sizeof *rows};

struct announced {
  struct program program;
  const struct announced_options *options;
  struct watch *watch;
  struct output output;
  struct timer settled;
  bool over;
};

static void json_line(struct announced *a, bool active, const struct broadcast *b)
{
  struct buf line = {0};
  json_begin(&line);
  json_text(&line, "path", path_slice(&b->path));
  json_bool(&line, "active", active);
  json_end(&line);
  if (!line.failed)
    output_write(&a->output, buf_slice(&line));
  buf_destroy(&line);
}

static void text_line(struct announced *a, bool active, const struct broadcast *b)
{
  char text[4 * PATH_BYTES_MAX + 8] = {active ? '+' : '-', ' '};
  size_t n = 2 + program_printable(text + 2, sizeof text - 3, b->path.s);
  text[n++] = '\n';
  output_write(&a->output, slice_of(text, n));
}

static void line(struct announced *a, bool active, const struct broadcast *b)
{
  if (a->options->connection.json)
    json_line(a, active, b);
  else
    text_line(a, active, b);
  if (a->options->once && a->program.is_up)
    timers_set(&a->program.worker.timers, &a->settled, program_now(&a->program) + SETTLE_WAIT);
}

static void on_added(void *ctx, struct broadcast *b, struct slice suffix)
{
  line(ctx, true, b);
}

static void on_changed(void *ctx, struct broadcast *b, struct slice suffix) {}

static void on_removed(void *ctx, struct broadcast *b, struct slice suffix)
{
  struct announced *a = ctx;
  if (!a->program.closing)
    line(a, false, b);
}

static const struct watch_ops watch_ops = {on_added, on_changed, on_removed};

static void on_up(void *ctx)
{
  struct announced *a = ctx;
  if (a->options->once)
    timers_set(&a->program.worker.timers, &a->settled, program_now(&a->program) + SETTLE_WAIT);
}

static void leave_if_out(struct announced *a)
{
  if (a->over && a->output.queued == 0)
    program_exit(&a->program, EXIT_DONE);
}

static void on_settled(struct timer *t, uint64_t now)
{
  struct announced *a = container_of(t, struct announced, settled);
  a->over = true;
  leave_if_out(a);
}

static void drained(void *ctx)
{
  leave_if_out(ctx);
}

static void failed(void *ctx, int error)
{
  struct announced *a = ctx;
  if (error != UV_EPIPE)
    program_error(&a->program, "stdout: %s", uv_strerror(error));
  program_exit(&a->program, error == UV_EPIPE ? EXIT_DONE : EXIT_FAILED);
}

static const struct output_events output_events = {drained, failed};
static const struct program_events program_events = {.up = on_up};

static enum exit_code start(struct announced *a, const struct program_config *config, const char *prefix)
{
  struct path path;
  enum exit_code code = program_init(&a->program, config);
  if (code != EXIT_DONE)
    return code;
  int rc = path_parse(&path, slice_str(prefix));
  if (rc == 0)
    rc = output_open(&a->output, &a->program.worker, STDOUT_FILENO, &output_events, a);
  if (rc == 0)
    rc = watch_new(a->program.origin, path_slice(&path), &watch_ops, a, &a->watch);
  if (rc < 0)
    program_error(&a->program, "prefix \"%s\": %s", prefix, uv_strerror(rc));
  return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int watch_all(const struct announced_options *o, const char *url, const char *prefix)
{
  static struct announced a;
  a.options = o;
  timer_init(&a.settled, on_settled);
  struct program_config config = {
      .url = url, .options = &o->connection, .role = LITE_ROLE_SUBSCRIBER, .events = &program_events, .ctx = &a};
  int code = start(&a, &config, prefix);
  if (code == EXIT_DONE)
    code = program_run(&a.program);
  watch_free(a.watch);
  timers_cancel(&a.program.worker.timers, &a.settled);
  output_close(&a.output);
  program_destroy(&a.program);
  return code;
}

static int run(const struct command *c, int argc, char **argv)
{
  struct announced_options o = {0};
  const char *args[2];
  size_t n;
  int code = command_parse(c, argc, argv, &o, args, 1, 2, &n);
  o.connection.once = o.once;
  if (code == 0)
    code = watch_all(&o, args[0], n > 1 ? args[1] : "");
  options_free(&table, &o);
  return code;
}

const struct command command_announced = {
    .name = "announced",
    .usage = "announced URL [PREFIX] [OPTIONS]",
    .summary = "Lists the broadcasts that are announced, live",
    .details = "A line \"+ PATH\" for each broadcast that is there or comes, \"- PATH\" for each "
               "that goes. PREFIX limits them\n"
               "to those under a path. With --json a line is {\"path\":\"PATH\",\"active\":true}. When the relay is "
               "lost and found again, only what changed "
               "meanwhile is printed.\n",
    .options = &table,
    .run = run,
};
