/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/clock.h"
#include "client/publisher.h"
#include <errno.h>
#include <time.h>

#define US_PER_S 1000000ULL
#define PRIORITY 60
#define MAX_AGE_MS 120000
#define SERVE_WAIT (300 * NS_PER_MS) /* at the end, for viewers to get the last second */
#define LEAVE_WAIT (50 * NS_PER_MS)  /* between the unannouncement and the end of the session */

#define LATE (2 * NS_PER_MS) /* deadlines are not of the wall clock: none falls before its second */

enum phase { RUNNING, FINISHED, LEAVING };

struct clock_feed {
  struct program program;
  const struct clock_options *options;
  const char *broadcast;
  struct publisher *publisher;
  struct publisher_track *track;
  struct timer timer;
  enum phase phase;
  uint64_t minute; /* of the group that was begun last, since 1970; 0 = none */
  uint64_t first_us;
  uint64_t last; /* second that was told last, since 1970 */
  uint64_t told; /* seconds */
};

void clock_texts(uint64_t wall_s, char ret_minute[CLOCK_MINUTE_TEXT], char ret_second[CLOCK_SECOND_TEXT])
{
  time_t t = (time_t)wall_s;
  struct tm tm;
  gmtime_r(&t, &tm);
  strftime(ret_minute, CLOCK_MINUTE_TEXT, "%Y-%m-%d %H:%M:", &tm);
  strftime(ret_second, CLOCK_SECOND_TEXT, "%S", &tm);
}

static uint64_t now_of(const struct clock_feed *c)
{
  return program_now(&c->program);
}

static void wait_for(struct clock_feed *c, uint64_t ns)
{
  timers_set(&c->program.worker.timers, &c->timer, now_of(c) + ns);
}

/* ---- the end ---- */

static void finish(struct clock_feed *c)
{
  if (c->phase != RUNNING)
    return;
  c->phase = FINISHED;
  if (!c->publisher) {
    program_exit(&c->program, EXIT_DONE);
    return;
  }
  publisher_finish(c->publisher, now_of(c));
  wait_for(c, SERVE_WAIT);
}

static void leave(struct clock_feed *c)
{
  c->phase = LEAVING;
  publisher_free(c->publisher, now_of(c));
  c->publisher = NULL;
  wait_for(c, LEAVE_WAIT);
}

/* ---- seconds ---- */

static int frame(struct clock_feed *c, uint64_t wall_us, const char *text)
{
  struct slice part = slice_str(text);
  return publisher_frame(c->track, wall_us - c->first_us, &part, 1);
}

static int tell(struct clock_feed *c, uint64_t wall_us)
{
  char minute[CLOCK_MINUTE_TEXT], second[CLOCK_SECOND_TEXT];
  uint64_t wall_s = wall_us / US_PER_S;
  int rc = 0;
  clock_texts(wall_s, minute, second);
  if (wall_s / 60 != c->minute) {
    c->minute = wall_s / 60;
    rc = publisher_group(c->track, now_of(c));
    if (rc == 0)
      rc = frame(c, wall_us, minute);
  }
  c->last = wall_s;
  c->told++;
  return rc == 0 ? frame(c, wall_us, second) : rc;
}

static void tick(struct clock_feed *c)
{
  uint64_t wall_us = clock_wall_us(&c->program.worker.clock);
  if (c->first_us == 0 || wall_us < c->first_us)
    c->first_us = wall_us; /* the latter: somebody set the clock back */
  /* The loop's time may be a little old when a deadline is set: then it falls into the second before. */
  int rc = wall_us / US_PER_S == c->last ? 0 : tell(c, wall_us);
  if (rc < 0)
    program_fail(&c->program, EXIT_FAILED, "%s", uv_strerror(rc));
  else if (c->told == c->options->count)
    finish(c);
  else
    wait_for(c, (US_PER_S - wall_us % US_PER_S) * 1000 + LATE);
}

static void on_timer(struct timer *t, uint64_t now)
{
  struct clock_feed *c = container_of(t, struct clock_feed, timer);
  if (c->phase == RUNNING)
    tick(c);
  else if (c->phase == FINISHED)
    leave(c);
  else
    program_exit(&c->program, EXIT_DONE);
}

/* ---- life ---- */

static const struct track_info info = {.priority = PRIORITY, .max_age_ms = MAX_AGE_MS, .timescale = US_PER_S};

static int announce(struct clock_feed *c)
{
  int rc = publisher_new(c->program.origin, slice_str(c->broadcast), now_of(c), &c->publisher);
  if (rc == 0)
    rc = publisher_track(c->publisher, c->options->track, &info, now_of(c), &c->track);
  return rc;
}

static void on_up(void *ctx)
{
  struct clock_feed *c = ctx;
  if (c->publisher || c->phase != RUNNING)
    return;
  int rc = announce(c);
  if (rc < 0)
    program_fail(&c->program, EXIT_FAILED, "broadcast \"%s\": %s", c->broadcast, uv_strerror(rc));
  else
    tick(c);
}

static void on_stop(void *ctx)
{
  finish(ctx);
}

static const struct program_events program_events = {.up = on_up, .stop = on_stop};

int clock_publish(const struct clock_options *o, const char *url, const char *broadcast)
{
  static struct clock_feed c;
  c.options = o;
  c.broadcast = broadcast;
  timer_init(&c.timer, on_timer);
  struct program_config config = {.url = url,
                                  .options = &o->connection,
                                  .role = LITE_ROLE_PUBLISHER,
                                  .broadcast = broadcast,
                                  .events = &program_events,
                                  .ctx = &c};
  int code = program_init(&c.program, &config);
  if (code == EXIT_DONE)
    code = program_run(&c.program);
  timers_cancel(&c.program.worker.timers, &c.timer);
  publisher_free(c.publisher, now_of(&c));
  program_destroy(&c.program);
  return code;
}
