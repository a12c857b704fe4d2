/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/clock.h"
#include "client/output.h"
#include "client/viewer.h"
#include <unistd.h>

#define PRIORITY 60
#define MINUTE_MAX 64 /* bytes of the first frame that are printed */

struct watcher {
  struct program program;
  const struct clock_options *options;
  struct viewer *viewer;
  struct output output;
  char minute[MINUTE_MAX + 1];
  uint64_t told;
  bool over;
  enum exit_code code;
};

static void finish(struct watcher *w, enum exit_code code)
{
  w->over = true;
  w->code = code;
  if (w->output.queued == 0)
    program_exit(&w->program, code);
}

/* A publisher's bytes go to a terminal: only what prints. */
static size_t printable(char *out, size_t cap, struct slice text)
{
  char copy[MINUTE_MAX + 1];
  size_t n = text.n < MINUTE_MAX ? text.n : MINUTE_MAX;
  memcpy(copy, text.p, n);
  copy[n] = '\0';
  return program_printable(out, cap, copy);
}

static void write_second(struct watcher *w, struct slice second)
{
  char line[8 * MINUTE_MAX + 2];
  size_t n = strlen(w->minute);
  memcpy(line, w->minute, n);
  n += printable(line + n, sizeof line - n - 1, second);
  line[n++] = '\n';
  output_write(&w->output, slice_of(line, n));
  w->told++;
}

static void ready(void *ctx, struct viewer *v)
{
  struct watcher *w = ctx;
  struct viewer_frame f;
  uint64_t code;
  while (!w->over && !output_full(&w->output) && viewer_peek(v, &f)) {
    if (f.index == 0)
      printable(w->minute, sizeof w->minute, f.payload);
    else
      write_second(w, f.payload);
    viewer_take(v);
    if (w->options->count && w->told == w->options->count)
      finish(w, EXIT_DONE);
  }
  if (w->over || w->program.closing || !viewer_done(v, &code))
    return;
  if (code)
    program_error(&w->program, "track \"%s\": %s", w->options->track, lite_reset_name(code));
  finish(w, code ? program_code_of(code, w->told > 0) : EXIT_DONE);
}

static void lost(void *ctx, struct viewer *v, uint64_t code)
{
  struct watcher *w = ctx;
  program_say(&w->program, "the broadcast ended (%s); waiting for it to come back", lite_reset_name(code));
}

static const struct viewer_events viewer_events = {.ready = ready, .lost = lost};

static void drained(void *ctx)
{
  struct watcher *w = ctx;
  if (!w->over)
    ready(w, w->viewer);
  else if (w->output.queued == 0)
    program_exit(&w->program, w->code);
}

static void failed(void *ctx, int error)
{
  struct watcher *w = ctx;
  w->over = true;
  if (error != UV_EPIPE)
    program_error(&w->program, "stdout: %s", uv_strerror(error));
  program_exit(&w->program, error == UV_EPIPE ? EXIT_DONE : EXIT_FAILED);
}

static const struct output_events output_events = {drained, failed};
static const struct program_events program_events = {0};

static enum exit_code start(struct watcher *w, const struct program_config *config, const char *broadcast)
{
  enum exit_code code = program_init(&w->program, config);
  if (code != EXIT_DONE)
    return code;
  struct viewer_config viewer = {.worker = &w->program.worker,
                                 .origin = w->program.origin,
                                 .path = slice_str(broadcast),
                                 .track = slice_str(w->options->track),
                                 .priority = PRIORITY,
                                 .once = w->options->connection.once,
                                 .events = &viewer_events,
                                 .ctx = w};
  int rc = output_open(&w->output, &w->program.worker, STDOUT_FILENO, &output_events, w);
  if (rc == 0)
    rc = viewer_new(&viewer, &w->viewer);
  if (rc < 0)
    program_error(&w->program, "broadcast \"%s\": %s", broadcast, uv_strerror(rc));
  return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

int clock_subscribe(const struct clock_options *o, const char *url, const char *broadcast)
{
  static struct watcher w;
  w.options = o;
  struct program_config config = {
      .url = url, .options = &o->connection, .role = LITE_ROLE_SUBSCRIBER, .events = &program_events, .ctx = &w};
  int code = start(&w, &config, broadcast);
  if (code == EXIT_DONE)
    code = program_run(&w.program);
  output_close(&w.output);
  viewer_free(w.viewer);
  program_destroy(&w.program);
  return code;
}
