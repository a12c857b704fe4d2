/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* moq-relay: reads its configuration, runs a relay on one loop until a signal ends it. */
#include "base/notify.h"
#include "config/relay_config.h"
#include "relay/relay.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

struct program {
  uv_loop_t loop;
  struct relay *relay;
  struct log log;
  struct log_repeats repeats;
  struct notify notify;
  uv_timer_t tick;
  uv_signal_t signals[4];
  size_t signal_count;
};

#define TICK_MS 5000 /* or half of what the service manager's watchdog allows */

static void usage(void)
{
  printf("moq-relay forwards live media (Media over QUIC) from publishers to any number of "
         "viewers.\n\n"
         "Usage: moq-relay [FILE] [OPTIONS]\n\n"
         "FILE is a TOML configuration file. The command line wins over the environment, that over "
         "the file.\n\nOptions:\n");
  options_help(&relay_options);
  printf("  %-38s %s\n  %-38s %s\n", "-h, --help", "print this and end", "-V, --version", "print the version and end");
}

static void ended(void *ctx)
{
  struct program *p = ctx;
  uv_stop(&p->loop);
}

/* The manager wants to know when the reload began, by the clock it has in common with us. */
static void reload(struct program *p)
{
  char text[64];
  snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(uv_hrtime() / 1000));
  notify_send(&p->notify, text);
  relay_reload(p->relay);
  notify_send(&p->notify, "READY=1");
}

static void on_signal(uv_signal_t *handle, int number)
{
  struct program *p = handle->data;
  if (number == SIGTERM || number == SIGINT) {
    notify_send(&p->notify, "STOPPING=1");
    relay_drain(p->relay, ended, p);
  } else {
    reload(p);
  }
}

/* From the loop, so that a loop that hangs is noticed. */
static void on_tick(uv_timer_t *timer)
{
  const struct program *p = timer->data;
  notify_send(&p->notify, "WATCHDOG=1");
  log_tell_dropped(&p->log, false);
}

static void start_ticking(struct program *p)
{
  uint64_t ms = p->notify.watchdog_ns / 2 / NS_PER_MS;
  if (ms == 0 || ms > TICK_MS)
    ms = TICK_MS;
  uv_timer_init(&p->loop, &p->tick);
  p->tick.data = p;
  uv_timer_start(&p->tick, on_tick, ms, ms);
}

static void watch_signals(struct program *p)
{
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    uv_signal_init(&p->loop, &p->signals[i]);
    p->signals[i].data = p;
    uv_signal_start(&p->signals[i], on_signal, numbers[i]);
    p->signal_count = i + 1;
  }
  signal(SIGPIPE, SIG_IGN);
}

static void find_manager(struct program *p)
{
  int rc = notify_init(&p->notify, getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
  if (rc < 0)
    log_warn(&p->log, "NOTIFY_SOCKET: the service manager cannot be told: %s", strerror(-rc));
}

/* Whoever reads the log as JSON gets nothing else. */
static void complain(const struct program *p, const struct err *err)
{
  if (p->log.format == LOG_JSON)
    log_error(&p->log, "%s", err->text);
  else
    fprintf(stderr, "Error: %s\n", err->text);
}

static int run(struct program *p, const struct relay_config *config)
{
  struct err err;
  find_manager(p);
  uv_loop_init(&p->loop);
  int rc = relay_new(config, &p->loop, &p->log, rng_system(), &p->relay, &err);
  if (rc < 0) {
    complain(p, &err);
  } else {
    watch_signals(p);
    start_ticking(p);
    notify_send(&p->notify, "READY=1");
    uv_run(&p->loop, UV_RUN_DEFAULT);
    log_info(&p->log, "server shutdown");
    uv_close((uv_handle_t *)&p->tick, NULL);
    for (size_t i = 0; i < p->signal_count; i++)
      uv_close((uv_handle_t *)&p->signals[i], NULL);
    relay_free(p->relay);
  }
  uv_run(&p->loop, UV_RUN_DEFAULT);
  uv_loop_close(&p->loop);
  log_tell_dropped(&p->log, true);
  notify_destroy(&p->notify);
  return rc < 0 ? 1 : 0;
}

static void checked(const struct relay_config *config)
{
  for (size_t i = 0; i < config->missing.n; i++)
    printf("note: %s\n", config->missing.v[i]);
  printf(config->missing.n ? "the configuration is fine but for features that this version lacks: it does not "
                             "start with them\n"
                           : "the configuration is fine\n");
}

int main(int argc, char **argv)
{
  static struct program p;
  struct relay_config config;
  struct err err;
  enum relay_command command;
  p.log = log_stderr(LOG_INFO, clock_system());
  if (relay_config_load(&config, argc, argv, environ, &p.log, &command, &err) < 0) {
    fprintf(stderr, "Error: %s\n", err.text);
    return 1;
  }
  if (command == RELAY_HELP)
    usage();
  if (command == RELAY_VERSION)
    printf("moq-relay %s\n", MOQ_VERSION);
  if (command == RELAY_CHECK)
    checked(&config);
  p.log.repeats = &p.repeats;
  int rc = command == RELAY_RUN ? run(&p, &config) : 0;
  relay_config_free(&config);
  return rc;
}
