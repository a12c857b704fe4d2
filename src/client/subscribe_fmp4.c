/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A hang broadcast as one fragmented MP4 on stdout: the catalog names the tracks, each has a
 * viewer, the mux puts their frames together. */
#include "client/mux.h"
#include "client/output.h"
#include "client/progress.h"
#include "client/subscribe.h"
#include "client/viewer.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct recording;

struct rendition {
  struct recording *recording;
  struct viewer *viewer;
  char *name;
  enum media_codec codec;
  bool done;
};

struct recording {
  struct program program;
  const struct subscribe_options *options;
  const char *broadcast;
  struct viewer *catalog;
  struct catalog_stream catalog_stream;
  struct rendition *renditions;
  size_t count;
  struct mux *mux; /* NULL before the first catalog */
  struct media_buf out;
  struct output output;
  struct timer timer; /* the mux waits no longer */
  bool over;
  enum exit_code broken; /* what the first track that broke ends with */
  int code;
  struct progress_rate rate;
};

/* ---- the end ---- */

static void write_out(struct recording *r)
{
  output_write(&r->output, slice_of(r->out.data, r->out.len));
  media_buf_clear(&r->out);
}

static void finish(struct recording *r, int code)
{
  if (r->over)
    return;
  r->over = true;
  r->code = code;
  timers_cancel(&r->program.worker.timers, &r->timer);
  if (r->mux && mux_finish(r->mux, &r->out) < 0)
    r->code = EXIT_FAILED;
  write_out(r);
  if (r->output.queued == 0)
    program_exit(&r->program, r->code);
}

static void fail(struct recording *r, const char *what, int rc)
{
  program_error(&r->program, "%s: %s", what, uv_strerror(rc));
  finish(r, EXIT_FAILED);
}

static void on_stop(void *ctx)
{
  finish(ctx, EXIT_DONE);
}

/* ---- frames ---- */

/* Gives the mux each hungry track's next frame, if it is there. 0 or -ENOMEM. */
static int feed(struct recording *r)
{
  struct viewer_frame f;
  int rc = 0;
  for (size_t i = 0; i < r->count && rc == 0; i++) {
    while (rc == 0 && mux_hungry(r->mux, i) && viewer_peek(r->renditions[i].viewer, &f)) {
      rc = mux_frame(r->mux, i, f.payload, f.index == 0);
      viewer_take(r->renditions[i].viewer);
    }
  }
  return rc;
}

/* Tracks that are over; true when all are. */
static bool note_ends(struct recording *r)
{
  size_t done = 0;
  for (size_t i = 0; i < r->count; i++) {
    struct rendition *x = &r->renditions[i];
    uint64_t code;
    if (!x->done && viewer_done(x->viewer, &code)) {
      x->done = true;
      if (code && r->broken == EXIT_DONE)
        r->broken = program_code_of(code, mux_time_us(r->mux) > 0);
      mux_end(r->mux, i);
      if (code)
        program_error(&r->program, "track \"%s\": %s", x->name, lite_reset_name(code));
    }
    done += x->done;
  }
  return done == r->count;
}

static void pump(struct recording *r)
{
  uint64_t at = UINT64_MAX;
  int rc = 1;
  while (rc == 1 && !r->over && !output_full(&r->output)) {
    rc = feed(r);
    bool all = note_ends(r);
    rc = rc < 0 ? rc : mux_write(r->mux, program_now(&r->program), &r->out, &at);
    if (rc >= 0)
      write_out(r);
    if (rc == 0 && all && at == UINT64_MAX) {
      finish(r, r->broken);
      return;
    }
  }
  if (rc < 0)
    fail(r, "recording", rc);
  else if (!r->over)
    timers_set(&r->program.worker.timers, &r->timer, at);
}

static void track_ready(void *ctx, struct viewer *v)
{
  struct rendition *x = ctx;
  if (!x->recording->over)
    pump(x->recording);
}

static void on_timer(struct timer *t, uint64_t now)
{
  pump(container_of(t, struct recording, timer));
}

static void track_lost(void *ctx, struct viewer *v, uint64_t code)
{
  struct rendition *x = ctx;
  program_say(&x->recording->program, "track \"%s\" ended (%s); waiting for it to come back", x->name,
              lite_reset_name(code));
}

static const struct viewer_events track_events = {.ready = track_ready, .lost = track_lost};

/* ---- the catalog ---- */

static struct viewer_config viewer_config(struct recording *r, const char *track, uint8_t priority)
{
  return (struct viewer_config){.worker = &r->program.worker,
                                .origin = r->program.origin,
                                .path = slice_str(r->broadcast),
                                .track = slice_str(track),
                                .priority = priority,
                                .max_age_ms = r->options->max_age / NS_PER_MS,
                                .once = r->options->connection.once};
}

static int add_rendition(struct recording *r, const struct catalog_entry *e)
{
  struct rendition *x = &r->renditions[r->count];
  bool video = e->track.kind == MEDIA_VIDEO;
  struct viewer_config config = viewer_config(r, e->name, video ? CATALOG_PRIORITY_VIDEO : CATALOG_PRIORITY_AUDIO);
  config.events = &track_events;
  config.ctx = x;
  *x = (struct rendition){.recording = r, .name = strdup(e->name), .codec = e->track.codec};
  if (!x->name)
    return -ENOMEM;
  r->count++;
  program_say(&r->program, "%s: %s", e->name, e->track.codec_string);
  return viewer_new(&config, &x->viewer);
}

static int start_recording(struct recording *r, const struct catalog *c)
{
  const struct catalog_entry *entries[CATALOG_ENTRIES_MAX];
  size_t n = 0;
  for (size_t i = 0; i < c->count; i++) {
    if (mux_can(&c->entries[i]))
      entries[n++] = &c->entries[i];
    else
      program_say(&r->program, "%s: %s is left out: it cannot be written to an MP4", c->entries[i].name,
                  c->entries[i].track.codec_string);
  }
  if (n == 0)
    return 0; /* a later catalog may have something */
  r->renditions = calloc(n, sizeof *r->renditions);
  if (!r->renditions)
    return -ENOMEM;
  int rc = mux_new(entries, n, &r->mux);
  for (size_t i = 0; i < n && rc == 0; i++)
    rc = add_rendition(r, entries[i]);
  return rc;
}

/* One MP4 header serves for the whole file: a codec cannot change in it. */
static void check_catalog(struct recording *r, const struct catalog *c)
{
  for (size_t i = 0; i < r->count; i++) {
    for (size_t k = 0; k < c->count; k++) {
      if (strcmp(r->renditions[i].name, c->entries[k].name) == 0 &&
          r->renditions[i].codec != c->entries[k].track.codec) {
        program_error(&r->program, "track \"%s\" changed its codec to %s", r->renditions[i].name,
                      c->entries[k].track.codec_string);
        finish(r, EXIT_FAILED);
        return;
      }
    }
  }
}

static void catalog_frame(struct recording *r, const struct viewer_frame *f)
{
  struct catalog c = {0};
  int rc = catalog_stream_frame(&r->catalog_stream, f->index, (const char *)f->payload.p, f->payload.n, &c);
  if (rc < 0) {
    program_error(&r->program, "the catalog makes no sense: %s", uv_strerror(rc));
    return;
  }
  if (r->mux)
    check_catalog(r, &c);
  else if ((rc = start_recording(r, &c)) < 0)
    fail(r, "recording", rc);
  catalog_destroy(&c);
}

static void catalog_ready(void *ctx, struct viewer *v)
{
  struct recording *r = ctx;
  struct viewer_frame f;
  uint64_t code;
  while (!r->over && viewer_peek(v, &f)) {
    catalog_frame(r, &f);
    viewer_take(v);
  }
  if (r->over || r->mux || !viewer_done(v, &code))
    return;
  program_error(&r->program, "no catalog that could be recorded: track \"%s\": %s", CATALOG_TRACK,
                code ? lite_reset_name(code) : "ended");
  finish(r, code ? program_code_of(code, false) : EXIT_FAILED);
}

static void catalog_lost(void *ctx, struct viewer *v, uint64_t code)
{
  struct recording *r = ctx;
  program_say(&r->program, "the broadcast ended (%s); waiting for it to come back", lite_reset_name(code));
}

static const struct viewer_events catalog_events = {.ready = catalog_ready, .lost = catalog_lost};

/* ---- stdout ---- */

static void drained(void *ctx)
{
  struct recording *r = ctx;
  if (r->over && r->output.queued == 0)
    program_exit(&r->program, r->code);
  else if (!r->over && r->mux)
    pump(r);
}

static void failed(void *ctx, int error)
{
  struct recording *r = ctx;
  r->over = true;
  if (error != UV_EPIPE)
    program_error(&r->program, "stdout: %s", uv_strerror(error));
  program_exit(&r->program, error == UV_EPIPE ? EXIT_DONE : EXIT_FAILED);
}

static const struct output_events output_events = {drained, failed};

static bool on_progress(void *ctx, struct progress *ret_progress)
{
  struct recording *r = ctx;
  struct progress p = {0};
  uint64_t bytes = 0;
  if (!r->mux)
    return false;
  for (size_t i = 0; i < r->count; i++) {
    struct viewer_stats s;
    viewer_stats(r->renditions[i].viewer, &s);
    p.groups += s.groups;
    p.dropped += s.dropped;
    bytes += s.bytes;
  }
  p.seconds = (uint64_t)mux_time_us(r->mux) / MEDIA_US;
  p.bitrate = progress_rate(&r->rate, bytes, program_now(&r->program));
  *ret_progress = p;
  return true;
}

/* ---- life ---- */

static const struct program_events program_events = {.stop = on_stop, .progress = on_progress};

static enum exit_code start(struct recording *r, const struct program_config *config)
{
  enum exit_code code = program_init(&r->program, config);
  if (code != EXIT_DONE)
    return code;
  struct viewer_config catalog = viewer_config(r, CATALOG_TRACK, CATALOG_PRIORITY);
  catalog.events = &catalog_events;
  catalog.ctx = r;
  int rc = output_open(&r->output, &r->program.worker, STDOUT_FILENO, &output_events, r);
  if (rc == 0)
    rc = viewer_new(&catalog, &r->catalog);
  if (rc < 0)
    program_error(&r->program, "broadcast \"%s\": %s", r->broadcast, uv_strerror(rc));
  return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

static void destroy(struct recording *r)
{
  output_close(&r->output);
  timers_cancel(&r->program.worker.timers, &r->timer);
  viewer_free(r->catalog);
  for (size_t i = 0; i < r->count; i++) {
    viewer_free(r->renditions[i].viewer);
    free(r->renditions[i].name);
  }
  free(r->renditions);
  mux_free(r->mux);
  media_buf_destroy(&r->out);
  catalog_stream_destroy(&r->catalog_stream);
  program_destroy(&r->program);
}

int subscribe_fmp4(const struct subscribe_options *o, const char *url, const char *broadcast)
{
  static struct recording r;
  r.options = o;
  r.broadcast = broadcast;
  timer_init(&r.timer, on_timer);
  struct program_config config = {
      .url = url, .options = &o->connection, .role = LITE_ROLE_SUBSCRIBER, .events = &program_events, .ctx = &r};
  int code = start(&r, &config);
  if (code == EXIT_DONE)
    code = program_run(&r.program);
  destroy(&r);
  return code;
}
