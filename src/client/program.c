/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/program.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRESS_INTERVAL (200 * NS_PER_MS)
#define HOP_ID_MAX ((1ULL << 53) - 1)
#define LINE_MAX_TEXT 512

/* A client serves and watches few tracks, but may publish a file at once: its own bounds are those
 * of its memory. */
#define GROUPS_PER_TRACK 65536
#define OBJECTS_PER_GROUP 65536
#define BYTES_PER_GROUP (128ULL << 20)
#define BYTES_PER_OBJECT (64ULL << 20)
#define BEHIND_BYTES (64ULL << 20)
#define LINGER (10 * NS_PER_S) /* a broadcast, while we connect again */
#define ANNOUNCES 100000

const char *const log_level_choices[] = {"error", "warn", "info", "debug", "trace", NULL};

/* ---- stderr ---- */

size_t program_printable(char *out, size_t cap, const char *text)
{
  size_t n = 0;
  for (; *text && n + 5 < cap; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20 || c == 0x7f)
      n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
    else
      out[n++] = (char)c;
  }
  out[n] = '\0';
  return n;
}

static void put_line(struct program *p, const char *text)
{
  char printable[4 * LINE_MAX_TEXT + 1], line[sizeof printable + 32];
  program_printable(printable, sizeof printable, text);
  int n = snprintf(line, sizeof line, "%smoq: %s\n", p->line_shown ? "\r\x1b[K" : "", printable);
  p->line_shown = false;
  ssize_t done = write(STDERR_FILENO, line, (size_t)n);
  (void)done;
}

void program_say(struct program *p, const char *fmt, ...)
{
  char text[LINE_MAX_TEXT];
  va_list ap;
  if (p->log.level < LOG_INFO)
    return;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put_line(p, text);
}

void program_error(struct program *p, const char *fmt, ...)
{
  char text[LINE_MAX_TEXT];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put_line(p, text);
}

static void log_sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct program *p = ctx;
  fprintf(stderr, "%s%.*s\n", p->line_shown ? "\r\x1b[K" : "", (int)n, line);
  p->line_shown = false;
}

static void on_progress(struct timer *t, uint64_t now)
{
  struct program *p = container_of(t, struct program, progress);
  char text[160] = "";
  timers_set(&p->worker.timers, t, now + PROGRESS_INTERVAL);
  if (p->is_up)
    p->config.events->progress(p->config.ctx, text, sizeof text);
  if (text[0] == '\0')
    return;
  fprintf(stderr, "\r%s\x1b[K", text);
  p->line_shown = true;
}

/* ---- the model on the worker ---- */

static void model_defer(void *ctx)
{
  struct program *p = ctx;
  worker_defer(&p->worker, &p->model_work);
}

static void model_work(struct deferred *d, uint64_t now)
{
  struct program *p = container_of(d, struct program, model_work);
  model_run(&p->model, now);
}

static int start_model(struct program *p, struct err *ret_err)
{
  struct rng rng = rng_system();
  deferred_init(&p->model_work, model_work);
  model_init(&p->model, &p->worker.timers, rng, p->config.options->cache, model_defer, p);
  struct model_limits *l = &p->model.limits;
  l->groups_per_track = GROUPS_PER_TRACK;
  l->objects_per_group = OBJECTS_PER_GROUP;
  l->bytes_per_group = BYTES_PER_GROUP;
  l->bytes_per_object = BYTES_PER_OBJECT;
  l->sub_behind_bytes = BEHIND_BYTES;
  l->linger_ns = LINGER;
  p->model.hop_id = 1 + rng_below(&rng, HOP_ID_MAX);
  p->origin = origin_new(&p->model);
  return p->origin ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
}

/* ---- the connection ---- */

static void on_up(void *ctx, const char *version)
{
  struct program *p = ctx;
  program_say(p, "%s to %s (%s)", p->was_up ? "connected again" : "connected", p->config.url,
              version);
  p->is_up = p->was_up = true;
  if (p->config.events->up)
    p->config.events->up(p->config.ctx);
}

static void on_down(void *ctx, const char *why, uint64_t retry_ns)
{
  struct program *p = ctx;
  bool was_up = p->is_up;
  p->is_up = false;
  if (p->closing)
    return;
  if (retry_ns == UINT64_MAX) {
    program_error(p, "%s: %s", p->config.url, why);
    program_exit(p, EXIT_FAILED);
    return;
  }
  program_say(p, "%s: %s; next try in %.1f s", p->config.url, why, (double)retry_ns / NS_PER_S);
  if (was_up && p->config.events->down)
    p->config.events->down(p->config.ctx);
}

static const struct connection_events connection_events = {on_up, on_down};

static int start_connection(struct program *p, struct err *ret_err)
{
  const struct connection_options *o = p->config.options;
  struct connection_config config = {
      .worker = &p->worker,
      .log = &p->log,
      .rng = rng_system(),
      .url = p->config.url,
      .insecure = o->insecure,
      .fingerprints = (const char *const *)o->fingerprints.v,
      .fingerprint_count = o->fingerprints.n,
      .roots = (const char *const *)o->roots.v,
      .root_count = o->roots.n,
      .once = o->once,
      .role = p->config.role,
      .watch = p->config.role == LITE_ROLE_SUBSCRIBER,
      .serve = p->config.role == LITE_ROLE_PUBLISHER,
      .announces = ANNOUNCES,
      .model = &p->model,
      .origin = p->origin,
      .events = &connection_events,
      .ctx = p,
  };
  return connection_new(&config, &p->connection, ret_err);
}

static void connection_closed(void *ctx)
{
  struct program *p = ctx;
  uv_stop(&p->loop);
}

void program_exit(struct program *p, int code)
{
  p->exit_code = code > p->exit_code ? code : p->exit_code;
  if (p->closing)
    return;
  p->closing = true;
  timers_cancel(&p->worker.timers, &p->progress);
  connection_close(p->connection, connection_closed, p);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
  struct program *p = handle->data;
  worker_enter(&p->worker);
  bool again = p->stopping;
  p->stopping = true;
  if (again)
    _exit(EXIT_FAILED); /* whoever asks twice means now */
  if (p->config.events->stop)
    p->config.events->stop(p->config.ctx);
  else
    program_exit(p, EXIT_DONE);
}

static void watch_signals(struct program *p)
{
  static const int numbers[] = {SIGINT, SIGTERM};
  for (int i = 0; i < 2; i++) {
    uv_signal_init(&p->loop, &p->signals[i]);
    p->signals[i].data = p;
    uv_signal_start(&p->signals[i], on_signal, numbers[i]);
    p->signal_count = i + 1;
  }
  signal(SIGPIPE, SIG_IGN);
}

/* ---- life ---- */

int program_init(struct program *p, const struct program_config *config, struct err *ret_err)
{
  p->config = *config;
  bool both = config->role == LITE_ROLE_SUBSCRIBER &&
              isatty(STDOUT_FILENO); /* would overwrite each other */
  p->terminal = isatty(STDERR_FILENO) && !both;
  p->log = (struct log){(enum log_level)config->options->log_level, clock_system(), log_sink, p};
  timer_init(&p->progress, on_progress);
  uv_loop_init(&p->loop);
  int rc = worker_init(&p->worker, &p->loop, clock_system());
  if (rc < 0) {
    uv_loop_close(&p->loop);
    return err_set(ret_err, rc, "the event loop cannot be set up: %s", strerror(-rc));
  }
  p->loop_ready = true;
  rc = start_model(p, ret_err);
  if (rc == 0)
    rc = start_connection(p, ret_err);
  if (rc < 0)
    return rc;
  watch_signals(p);
  if (p->terminal && config->events->progress && p->log.level >= LOG_INFO)
    timers_set(&p->worker.timers, &p->progress, p->worker.now + PROGRESS_INTERVAL);
  return 0;
}

int program_run(struct program *p)
{
  uv_run(&p->loop, UV_RUN_DEFAULT);
  if (p->line_shown)
    fputc('\n', stderr);
  p->line_shown = false;
  return p->exit_code;
}

void program_destroy(struct program *p)
{
  if (!p->loop_ready)
    return;
  worker_enter(&p->worker);
  p->closing = true;
  connection_free(p->connection);
  for (int i = 0; i < p->signal_count; i++)
    uv_close((uv_handle_t *)&p->signals[i], NULL);
  timers_cancel(&p->worker.timers, &p->progress);
  worker_defer_cancel(&p->model_work);
  if (p->origin)
    origin_free(p->origin);
  model_destroy(&p->model);
  worker_destroy(&p->worker);
  uv_run(&p->loop, UV_RUN_DEFAULT); /* its handles live in *p */
  uv_loop_close(&p->loop);
  p->loop_ready = false;
}
