/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One track's frames as lines on stdout. */
#include "client/output.h"
#include "client/progress.h"
#include "client/subscribe.h"
#include "client/viewer.h"
#include <errno.h>
#include <unistd.h>

struct lines {
  struct program program;
  const struct subscribe_options *options;
  struct viewer *viewer;
  struct output output;
  uint64_t left; /* frames to write; UINT64_MAX = no end */
  uint64_t began;
  bool over;
  int code;
  struct progress_rate rate;
};

/* All is taken; what is on its way out decides when to go. */
static void finish(struct lines *l, int code)
{
  l->over = true;
  l->code = code;
  if (l->output.queued == 0)
    program_exit(&l->program, code);
}

static void write_frame(struct lines *l, const struct viewer_frame *f)
{
  if (!l->began)
    l->began = program_now(&l->program);
  output_write(&l->output, f->payload);
  output_write(&l->output, slice_of("\n", 1));
  viewer_take(l->viewer);
  if (l->left != UINT64_MAX)
    l->left--;
}

static void ready(void *ctx, struct viewer *v)
{
  struct lines *l = ctx;
  struct viewer_frame f;
  uint64_t code;
  while (!l->over && l->left > 0 && !output_full(&l->output) && viewer_peek(v, &f))
    write_frame(l, &f);
  if (l->over)
    return;
  if (l->left == 0) {
    finish(l, EXIT_DONE);
  } else if (viewer_done(v, &code)) {
    if (code)
      program_error(&l->program, "track \"%s\": %s", l->options->track, lite_reset_name(code));
    finish(l, code ? program_code_of(code, l->began > 0) : EXIT_DONE);
  }
}

static void found(void *ctx, struct viewer *v)
{
  struct lines *l = ctx;
  log_debug(&l->program.log, "subscribed track=%s", l->options->track);
}

static void lost(void *ctx, struct viewer *v, uint64_t code)
{
  struct lines *l = ctx;
  program_say(&l->program, "the broadcast ended (%s); waiting for it to come back", lite_reset_name(code));
}

static const struct viewer_events viewer_events = {ready, found, lost};

static void drained(void *ctx)
{
  struct lines *l = ctx;
  if (!l->over)
    ready(l, l->viewer);
  else if (l->output.queued == 0)
    program_exit(&l->program, l->code);
}

static void failed(void *ctx, int error)
{
  struct lines *l = ctx;
  l->over = true;
  if (error != UV_EPIPE)
    program_error(&l->program, "stdout: %s", uv_strerror(error));
  program_exit(&l->program, error == UV_EPIPE ? EXIT_DONE : EXIT_FAILED);
}

static const struct output_events output_events = {drained, failed};

static bool on_progress(void *ctx, struct progress *ret_progress)
{
  struct lines *l = ctx;
  struct viewer_stats s;
  viewer_stats(l->viewer, &s);
  struct progress p = {.seconds = l->began ? (program_now(&l->program) - l->began) / NS_PER_S : 0,
                       .groups = s.groups,
                       .dropped = s.dropped,
                       .bitrate = progress_rate(&l->rate, s.bytes, program_now(&l->program))};
  *ret_progress = p;
  return true;
}

static const struct program_events program_events = {.progress = on_progress};

static enum exit_code start(struct lines *l, const struct program_config *config, const char *broadcast)
{
  const struct subscribe_options *o = l->options;
  enum exit_code code = program_init(&l->program, config);
  if (code != EXIT_DONE)
    return code;
  struct viewer_config viewer = {.worker = &l->program.worker,
                                 .origin = l->program.origin,
                                 .path = slice_str(broadcast),
                                 .track = slice_str(o->track),
                                 .priority = (uint8_t)o->priority,
                                 .max_age_ms = o->max_age / NS_PER_MS,
                                 .once = o->connection.once,
                                 .events = &viewer_events,
                                 .ctx = l};
  int rc = output_open(&l->output, &l->program.worker, STDOUT_FILENO, &output_events, l);
  if (rc == 0)
    rc = viewer_new(&viewer, &l->viewer);
  if (rc < 0)
    program_error(&l->program, "broadcast \"%s\": %s", broadcast, uv_strerror(rc));
  return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

int subscribe_raw(const struct subscribe_options *o, const char *url, const char *broadcast)
{
  static struct lines l;
  l.options = o;
  l.left = o->count ? o->count : UINT64_MAX;
  struct program_config config = {
      .url = url, .options = &o->connection, .role = LITE_ROLE_SUBSCRIBER, .events = &program_events, .ctx = &l};
  int code = start(&l, &config, broadcast);
  if (code == EXIT_DONE)
    code = program_run(&l.program);
  output_close(&l.output);
  viewer_free(l.viewer);
  program_destroy(&l.program);
  return code;
}
