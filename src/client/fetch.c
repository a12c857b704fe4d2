/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/fetch.h"
#include "client/json_line.h"
#include "client/output.h"
#include "client/payload.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SEQUENCE_MAX ((1ULL << 62) - 1)

struct job {
  struct program program;
  const struct fetch_options *options;
  const char *name; /* of the track */
  struct path path; /* of the broadcast */
  bool numbered;
  uint64_t sequence;
  struct watch *watch;
  struct deferred work;
  struct timer deadline;
  struct track *track;
  struct fetch fetch;
  struct sub keeper;
  struct reader reader; /* tells that there is more; the frames are read off its group */
  struct group *group;
  size_t next; /* frame */
  struct buf scratch;
  struct output output;
  bool over;
  enum exit_code code;
};

int fetch_parse_group(const char *text, bool *ret_numbered, uint64_t *ret_sequence)
{
  char *end;
  if (strcmp(text, "latest") == 0) {
    *ret_numbered = false;
    return 0;
  }
  errno = 0;
  unsigned long long v = strtoull(text, &end, 10);
  if (!isdigit((unsigned char)text[0]) || *end || errno || v > SEQUENCE_MAX)
    return -EINVAL;
  *ret_numbered = true;
  *ret_sequence = v;
  return 0;
}

static void soon(struct job *j)
{
  worker_defer(&j->program.worker, &j->work);
}

/* ---- the end ---- */

/* What is on its way out decides when to go. */
static void finish(struct job *j, enum exit_code code)
{
  if (j->over)
    return;
  j->over = true;
  j->code = code;
  timers_cancel(&j->program.worker.timers, &j->deadline);
  if (j->output.queued == 0)
    program_exit(&j->program, code);
}

static void refused(struct job *j, uint64_t code)
{
  const char *why = lite_reset_name(code);
  if (j->numbered && !lite_info(j->program.version)->fetch)
    why = "this version of the protocol cannot fetch a group by its number (05 and later can)";
  program_error(&j->program, "group %s of track \"%s\": %s", j->options->group, j->name, why);
  finish(j, program_code_of(code, false));
}

static void on_deadline(struct timer *t, uint64_t now)
{
  struct job *j = container_of(t, struct job, deadline);
  bool there = origin_find(j->program.origin, path_slice(&j->path)) != NULL;
  if (!there)
    program_error(&j->program, "broadcast \"%s\" is not announced", j->path.s);
  else
    program_error(&j->program, "group %s of track \"%s\" has not come in time", j->options->group, j->name);
  finish(j, EXIT_NOT_FOUND);
}

/* ---- frames ---- */

static void write_json(struct job *j, uint64_t timestamp, struct slice payload)
{
  struct buf line = {0};
  json_begin(&line);
  json_number(&line, "group", j->group->sequence);
  json_number(&line, "frame", j->next);
  json_number(&line, "timestamp", timestamp);
  json_base64(&line, "payload", payload);
  json_end(&line);
  if (line.failed) {
    program_error(&j->program, "out of memory");
    finish(j, EXIT_FAILED);
  } else {
    output_write(&j->output, buf_slice(&line));
  }
  buf_destroy(&line);
}

static void write_frame(struct job *j, struct slice payload)
{
  if (j->options->connection.json) {
    write_json(j, group_object_at(j->group, 0, j->next)->timestamp, payload);
    return;
  }
  output_write(&j->output, payload);
  if (j->options->lines)
    output_write(&j->output, slice_of("\n", 1));
}

static void pump(struct job *j)
{
  struct slice payload;
  while (!j->over && !output_full(&j->output) && payload_frame(j->group, j->next, &j->scratch, &payload)) {
    write_frame(j, payload);
    j->next++;
  }
  if (j->over || output_full(&j->output) || j->group->state == GROUP_OPEN)
    return;
  if (j->group->state == GROUP_WHOLE) {
    finish(j, EXIT_DONE);
    return;
  }
  program_error(&j->program, "group %s of track \"%s\" broke off: %s", j->options->group, j->name,
                lite_reset_name(j->group->code));
  finish(j, EXIT_ENDED);
}

static void on_bytes(struct reader *r)
{
  soon(container_of(r, struct job, reader));
}

static void on_group(struct fetch *f, struct group *g, uint64_t code)
{
  struct job *j = container_of(f, struct job, fetch);
  if (!g) {
    if (!j->program.closing)
      refused(j, code);
    return;
  }
  timers_cancel(&j->program.worker.timers, &j->deadline);
  j->group = g;
  if (reader_begin(&j->reader, g, 0, &payload_framing, 0, UINT64_MAX, on_bytes) < 0)
    refused(j, CODE_EVICTED);
  else
    soon(j);
}

/* ---- the subscription that keeps a live group coming ---- */

static void keep_group(struct sub *s, struct delivery *d)
{
  delivery_done(d);
}

static void keep_wake(struct delivery *d) {}

static void keep_drop(struct delivery *d, uint64_t code) {}

static void keep_datagram(struct sub *s, uint64_t sequence, uint64_t timestamp, struct slice payload) {}

static void keep_end(struct sub *s, bool finished, uint64_t final, uint64_t code) {}

static const struct sub_ops keeper_ops = {keep_group, keep_wake, keep_drop, keep_datagram, keep_end};

static int keep(struct job *j)
{
  struct sub_params params = {.from_latest = true, .group_end = UINT64_MAX, .frame_end = UINT64_MAX};
  return sub_open(&j->keeper, j->track, &params, &payload_framing, &keeper_ops, j, program_now(&j->program));
}

/* ---- getting there ---- */

static void ask(struct job *j, struct broadcast *b)
{
  j->track = broadcast_track(b, slice_str(j->name));
  if (!j->track || (!j->numbered && keep(j) < 0)) {
    program_error(&j->program, "track \"%s\": out of memory", j->name);
    finish(j, EXIT_FAILED);
    return;
  }
  j->fetch.sequence = j->sequence;
  track_fetch(j->track, &j->fetch, !j->numbered, program_now(&j->program));
}

static void work(struct deferred *d, uint64_t now)
{
  struct job *j = container_of(d, struct job, work);
  struct broadcast *b = origin_find(j->program.origin, path_slice(&j->path));
  if (j->over || j->program.closing)
    return;
  if (j->group)
    pump(j);
  else if (!j->track && b)
    ask(j, b);
}

static void on_added(void *ctx, struct broadcast *b, struct slice suffix)
{
  if (suffix.n == 0)
    soon(ctx);
}

static void on_other(void *ctx, struct broadcast *b, struct slice suffix) {}

static const struct watch_ops watch_ops = {on_added, on_other, on_other};

/* ---- stdout ---- */

static void drained(void *ctx)
{
  struct job *j = ctx;
  if (!j->over)
    soon(j);
  else if (j->output.queued == 0)
    program_exit(&j->program, j->code);
}

static void failed(void *ctx, int error)
{
  struct job *j = ctx;
  j->over = true;
  if (error != UV_EPIPE)
    program_error(&j->program, "stdout: %s", uv_strerror(error));
  program_exit(&j->program, error == UV_EPIPE ? EXIT_DONE : EXIT_FAILED);
}

static const struct output_events output_events = {drained, failed};

/* ---- life ---- */

static void on_up(void *ctx)
{
  struct job *j = ctx;
  if (!timer_armed(&j->deadline) && !j->group && !j->over)
    timers_set(&j->program.worker.timers, &j->deadline, program_now(&j->program) + j->options->wait);
}

static const struct program_events program_events = {.up = on_up};

static enum exit_code start(struct job *j, const struct program_config *config, const char *broadcast)
{
  enum exit_code code = program_init(&j->program, config);
  if (code != EXIT_DONE)
    return code;
  j->program.model.limits.fetch_timeout_ns = j->options->wait;
  int rc = path_parse(&j->path, slice_str(broadcast));
  if (rc == 0)
    rc = output_open(&j->output, &j->program.worker, STDOUT_FILENO, &output_events, j);
  if (rc == 0)
    rc = watch_new(j->program.origin, path_slice(&j->path), &watch_ops, j, &j->watch);
  if (rc < 0)
    program_error(&j->program, "broadcast \"%s\": %s", broadcast, uv_strerror(rc));
  return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

static void destroy(struct job *j)
{
  uint64_t now = program_now(&j->program);
  output_close(&j->output);
  timers_cancel(&j->program.worker.timers, &j->deadline);
  worker_defer_cancel(&j->work);
  reader_end(&j->reader);
  group_unref(j->group);
  if (j->track) {
    fetch_cancel(&j->fetch, now);
    sub_close(&j->keeper, now);
    track_unref(j->track);
  }
  watch_free(j->watch);
  buf_destroy(&j->scratch);
  program_destroy(&j->program);
}

int fetch_group(const struct fetch_options *o, const char *url, const char *broadcast, const char *track)
{
  static struct job j;
  j.options = o;
  j.name = track;
  if (fetch_parse_group(o->group, &j.numbered, &j.sequence) < 0)
    return EXIT_USAGE;
  list_init(&j.fetch.link);
  j.fetch.done = on_group;
  timer_init(&j.deadline, on_deadline);
  deferred_init(&j.work, work);
  struct program_config config = {
      .url = url, .options = &o->connection, .role = LITE_ROLE_SUBSCRIBER, .events = &program_events, .ctx = &j};
  int code = start(&j, &config, broadcast);
  if (code == EXIT_DONE)
    code = program_run(&j.program);
  destroy(&j);
  return code;
}
