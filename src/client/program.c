/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/program.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRESS_INTERVAL (200 * NS_PER_MS)
#define PROGRESS_JSON_INTERVAL NS_PER_S
#define ASKED_WAIT (2 * NS_PER_S) /* for a relay that lets us publish to ask what we announce */
#define HOP_ID_MAX ((1ULL << 53) - 1)

/* A client serves and watches few tracks, but may publish a file at once: its own bounds are those
 * of its memory. */
#define GROUPS_PER_TRACK 65536
#define OBJECTS_PER_GROUP 65536
#define BYTES_PER_GROUP (128ULL << 20)
#define BYTES_PER_OBJECT (64ULL << 20)
#define BEHIND_BYTES (64ULL << 20)
#define LINGER (10 * NS_PER_S) /* a broadcast, while we connect again */
#define ANNOUNCES 100000

static void on_progress(struct timer *t, uint64_t now)
{
  struct program *p = container_of(t, struct program, progress);
  struct progress progress;
  bool json = p->config.options->json;
  timers_set(&p->worker.timers, t, now + (json ? PROGRESS_JSON_INTERVAL : PROGRESS_INTERVAL));
  if (p->is_up && p->config.events->progress(p->config.ctx, &progress))
    program_show_progress(p, &progress);
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
  p->model.asks_history = true;
  p->model.hop_id = 1 + rng_below(&rng, HOP_ID_MAX);
  p->origin = origin_new(&p->model);
  return p->origin ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
}

/* ---- the connection ---- */

static void on_up(void *ctx, enum lite_version version)
{
  struct program *p = ctx;
  p->version = version;
  program_tell_up(p);
  p->is_up = p->was_up = true;
  p->asked = false;
  if (p->config.role == LITE_ROLE_PUBLISHER)
    timers_set(&p->worker.timers, &p->unasked, program_now(p) + ASKED_WAIT);
  if (p->config.events->up)
    p->config.events->up(p->config.ctx);
}

static enum exit_code code_of_end(enum connection_end end)
{
  static const enum exit_code codes[] = {
      [CONNECTION_FAILED] = EXIT_FAILED,           [CONNECTION_UNKNOWN_HOST] = EXIT_UNKNOWN_HOST,
      [CONNECTION_UNREACHABLE] = EXIT_UNREACHABLE, [CONNECTION_CERTIFICATE] = EXIT_CERTIFICATE,
      [CONNECTION_VERSION] = EXIT_VERSION,         [CONNECTION_DENIED] = EXIT_DENIED,
      [CONNECTION_NOT_FOUND] = EXIT_NOT_FOUND,     [CONNECTION_ENDED] = EXIT_ENDED};
  return codes[end];
}

static void on_down(void *ctx, enum connection_end end, const char *why, uint64_t retry_ns)
{
  struct program *p = ctx;
  bool was_up = p->is_up;
  p->is_up = false;
  timers_cancel(&p->worker.timers, &p->unasked);
  if (p->closing)
    return;
  if (retry_ns == UINT64_MAX) {
    program_fail(p, code_of_end(end), "%s: %s", p->shown_url, why);
    return;
  }
  program_warn(p, "%s: %s; next try in %.1f s", p->shown_url, why, (double)retry_ns / NS_PER_S);
  if (was_up && p->config.events->down)
    p->config.events->down(p->config.ctx);
}

/* ---- whether the relay wants what we announce ---- */

static void on_asked(void *ctx, struct slice prefix)
{
  struct program *p = ctx;
  struct path mine;
  if (p->config.broadcast && path_parse(&mine, slice_str(p->config.broadcast)) == 0 &&
      !path_under(path_slice(&mine), prefix, NULL))
    return;
  p->asked = true;
  timers_cancel(&p->worker.timers, &p->unasked);
}

static void on_unasked(struct timer *t, uint64_t now)
{
  struct program *p = container_of(t, struct program, unasked);
  if (p->config.options->once)
    program_fail(p, EXIT_DENIED, "%s does not ask for \"%s\": it is not allowed there", p->shown_url,
                 p->config.broadcast);
  else
    program_warn(p, "%s does not ask for \"%s\": nobody will see it; is it allowed to be published?", p->shown_url,
                 p->config.broadcast);
}

static const struct connection_events connection_events = {on_up, on_down, on_asked};

/* Names as relays list them. A mask; 0 after a line on stderr. */
static unsigned parse_versions(struct program *p, const struct strlist *names)
{
  unsigned mask = names->n ? 0 : lite_default_versions();
  for (size_t i = 0; i < names->n; i++) {
    unsigned v = 0;
    char name[32] = "";
    for (; v < LITE_VERSIONS; v++) {
      snprintf(name, sizeof name, "moq-lite-%s", lite_info((enum lite_version)v)->name);
      if (strcmp(names->v[i], name) == 0)
        break;
    }
    if (v == LITE_VERSIONS) {
      program_error(p, "--connect-version: \"%.60s\" is not one of moq-lite-01 to moq-lite-06, moq-lite-07-wip",
                    names->v[i]);
      return 0;
    }
    mask |= 1u << v;
  }
  return mask;
}

static enum exit_code start_connection(struct program *p)
{
  const struct connection_options *o = p->config.options;
  struct err err;
  unsigned versions = parse_versions(p, &o->versions);
  if (!versions)
    return EXIT_USAGE;
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
      .versions = versions,
      .race_ns = o->race,
      .timeout_ns = o->timeout,
      .role = p->config.role,
      .watch = p->config.role == LITE_ROLE_SUBSCRIBER,
      .serve = p->config.role == LITE_ROLE_PUBLISHER,
      .announces = ANNOUNCES,
      .model = &p->model,
      .origin = p->origin,
      .events = &connection_events,
      .ctx = p,
  };
  int rc = connection_new(&config, &p->connection, &err);
  if (rc < 0)
    program_error(p, "%s", err.text);
  return rc == 0 ? EXIT_DONE : rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static void connection_closed(void *ctx)
{
  struct program *p = ctx;
  uv_stop(&p->loop);
}

void program_exit(struct program *p, enum exit_code code)
{
  p->exit_code = p->exit_code ? p->exit_code : (int)code;
  if (p->closing)
    return;
  p->closing = true;
  timers_cancel(&p->worker.timers, &p->progress);
  timers_cancel(&p->worker.timers, &p->unasked);
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

static int start_loop(struct program *p, struct err *ret_err)
{
  uv_loop_init(&p->loop);
  int rc = worker_init(&p->worker, &p->loop, clock_system());
  if (rc < 0) {
    uv_loop_close(&p->loop);
    return err_set(ret_err, rc, "the event loop cannot be set up: %s", strerror(-rc));
  }
  p->loop_ready = true;
  return 0;
}

/* Where a line would not be written over by our own output. */
static bool shows_progress(const struct program *p)
{
  bool both = p->config.role == LITE_ROLE_SUBSCRIBER && isatty(STDOUT_FILENO);
  if (!p->config.events->progress || p->log.level < LOG_INFO)
    return false;
  return p->config.options->json || (isatty(STDERR_FILENO) && !both);
}

enum exit_code program_init(struct program *p, const struct program_config *config)
{
  struct err err;
  p->config = *config;
  snprintf(p->shown_url, sizeof p->shown_url, "%.*s", (int)strcspn(config->url, "?"), config->url);
  p->log = (struct log){(enum log_level)config->options->log_level, clock_system(), program_log_sink, p};
  timer_init(&p->progress, on_progress);
  timer_init(&p->unasked, on_unasked);
  int rc = start_loop(p, &err);
  if (rc == 0)
    rc = start_model(p, &err);
  if (rc < 0) {
    program_error(p, "%s", err.text);
    return EXIT_FAILED;
  }
  enum exit_code code = start_connection(p);
  if (code != EXIT_DONE)
    return code;
  watch_signals(p);
  if (shows_progress(p))
    timers_set(&p->worker.timers, &p->progress, p->worker.now + PROGRESS_INTERVAL);
  return EXIT_DONE;
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
  timers_cancel(&p->worker.timers, &p->unasked);
  worker_defer_cancel(&p->model_work);
  if (p->origin)
    origin_free(p->origin);
  model_destroy(&p->model);
  worker_destroy(&p->worker);
  uv_run(&p->loop, UV_RUN_DEFAULT); /* its handles live in *p */
  uv_loop_close(&p->loop);
  p->loop_ready = false;
}
