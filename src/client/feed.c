/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/feed.h"
#include "client/progress.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define POLL_INTERVAL (20 * NS_PER_MS)
#define QUIET (200 * NS_PER_MS) /* all tracks watched, nothing under way for so long: who wanted something has got it */
#define LEAVE_WAIT (50 * NS_PER_MS) /* between the unannouncement and the end of the session */

static uint64_t now_of(const struct feed *f)
{
  return program_now(&f->program);
}

static size_t behind(const struct feed *f)
{
  return f->publisher ? publisher_behind(f->publisher) : 0;
}

static void poll_soon(struct feed *f)
{
  timers_set(&f->program.worker.timers, &f->timer, now_of(f) + POLL_INTERVAL);
}

/* ---- the end ---- */

static void finish(struct feed *f, uint64_t wait, uint64_t most)
{
  if (f->ending)
    return;
  f->ending = true;
  input_close(&f->input);
  if (!f->publisher) {
    program_exit(&f->program, EXIT_DONE);
    return;
  }
  f->quiet_since = now_of(f);
  f->give_up_at = now_of(f) + wait;
  f->give_up_last = now_of(f) + most;
  f->left = behind(f);
  publisher_finish(f->publisher, now_of(f));
  poll_soon(f);
}

static void leave(struct feed *f)
{
  if (!f->program.is_up)
    program_error(&f->program, "the end of the broadcast was not delivered: not connected");
  f->leaving = true;
  publisher_free(f->publisher, now_of(f));
  f->publisher = NULL;
  timers_set(&f->program.worker.timers, &f->timer, now_of(f) + LEAVE_WAIT);
}

/* Viewers that take bytes get more time. */
static void look_for_progress(struct feed *f)
{
  size_t left = behind(f);
  uint64_t until = now_of(f) + FEED_END_WAIT;
  if (left < f->left && until > f->give_up_at)
    f->give_up_at = until < f->give_up_last ? until : f->give_up_last;
  f->left = left;
}

static void look_for_end(struct feed *f)
{
  look_for_progress(f);
  bool served = f->program.is_up && publisher_delivered(f->publisher);
  if (!served)
    f->quiet_since = now_of(f);
  bool quiet = publisher_watched(f->publisher) && now_of(f) - f->quiet_since >= QUIET;
  if (quiet || now_of(f) >= f->give_up_at)
    leave(f);
  else
    poll_soon(f);
}

static void fail(struct feed *f)
{
  f->program.exit_code = EXIT_FAILED;
  finish(f, FEED_STOP_WAIT, FEED_STOP_WAIT);
}

static void on_stop(void *ctx)
{
  struct feed *f = ctx;
  if (!f->program.is_up)
    program_exit(&f->program, EXIT_DONE);
  else
    finish(f, FEED_STOP_WAIT, FEED_STOP_WAIT);
}

/* ---- stdin ---- */

static void on_data(void *ctx, struct slice data)
{
  struct feed *f = ctx;
  if (!f->began)
    f->began = now_of(f);
  if (f->ops->data(f, data) < 0) {
    fail(f);
  } else if (behind(f) > FEED_BEHIND_MAX) {
    input_pause(&f->input);
    poll_soon(f);
  }
}

static void on_end(void *ctx, int error)
{
  struct feed *f = ctx;
  if (error < 0) {
    program_error(&f->program, "stdin: %s", uv_strerror(error));
    f->program.exit_code = EXIT_FAILED;
  }
  if (f->ops->end(f) < 0)
    f->program.exit_code = EXIT_FAILED;
  finish(f, FEED_END_WAIT, FEED_END_MAX);
}

static const struct input_events input_events = {on_data, on_end};

static void on_timer(struct timer *t, uint64_t now)
{
  struct feed *f = container_of(t, struct feed, timer);
  if (f->leaving)
    program_exit(&f->program, f->program.is_up ? EXIT_DONE : EXIT_ENDED);
  else if (f->ending)
    look_for_end(f);
  else if (behind(f) <= FEED_BEHIND_MAX / 2)
    input_resume(&f->input);
  else
    poll_soon(f);
}

/* Only now: what is read before anybody could have it would be lost. */
static void on_up(void *ctx)
{
  struct feed *f = ctx;
  if (f->reading)
    return;
  f->reading = true;
  int rc = input_open(&f->input, &f->program.worker, STDIN_FILENO, &input_events, f);
  if (rc < 0)
    on_end(f, rc);
}

static bool on_progress(void *ctx, struct progress *ret_progress)
{
  struct feed *f = ctx;
  struct publisher_stats s;
  if (!f->publisher)
    return false;
  publisher_stats(f->publisher, &s);
  *ret_progress = (struct progress){.seconds = f->began ? (now_of(f) - f->began) / NS_PER_S : 0,
                                    .groups = s.groups,
                                    .dropped = s.dropped,
                                    .bitrate = progress_rate(&f->rate, s.bytes, now_of(f))};
  return true;
}

/* ---- life ---- */

static const struct program_events program_events = {.up = on_up, .stop = on_stop, .progress = on_progress};

int feed_announce(struct feed *f)
{
  int rc = publisher_new(f->program.origin, slice_str(f->broadcast), now_of(f), &f->publisher);
  if (rc < 0)
    program_error(&f->program, "broadcast \"%s\": %s", f->broadcast, uv_strerror(rc));
  return rc;
}

static enum exit_code start(struct feed *f, const struct program_config *config)
{
  enum exit_code code = program_init(&f->program, config);
  if (code != EXIT_DONE)
    return code;
  return f->ops->begin(f) < 0 ? EXIT_FAILED : EXIT_DONE;
}

int feed_run(struct feed *f, const struct feed_ops *ops, const struct connection_options *options, const char *url,
             const char *broadcast)
{
  f->ops = ops;
  f->broadcast = broadcast;
  timer_init(&f->timer, on_timer);
  struct program_config config = {.url = url,
                                  .options = options,
                                  .role = LITE_ROLE_PUBLISHER,
                                  .broadcast = broadcast,
                                  .events = &program_events,
                                  .ctx = f};
  int code = start(f, &config);
  if (code == EXIT_DONE)
    code = program_run(&f->program);
  input_close(&f->input);
  timers_cancel(&f->program.worker.timers, &f->timer);
  publisher_free(f->publisher, now_of(f));
  program_destroy(&f->program);
  return code;
}
