/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every command of the client runs on: a loop, a model with one origin, a connection that is
 * kept up, signals, and lines on stderr. A command fills in events and puts its own parts on top.
 */
#pragma once
#include "client/connect.h"
#include "config/options.h"
#include <stddef.h>

/* Exit codes, documented in --help. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The options that all commands share: embedded as `connection` by each command's own options. */
struct connection_options {
  bool insecure, once;
  struct strlist fingerprints, roots;
  unsigned log_level;
  uint64_t cache;
};

extern const char *const log_level_choices[];

#define CONNECTION_OPTION(type, member) offsetof(type, connection.member)
#define CONNECTION_OPTION_ROWS(type)                                                               \
  {"tls.disable_verify",                                                                           \
   "tls-disable-verify",                                                                           \
   OPT_BOOL,                                                                                       \
   CONNECTION_OPTION(type, insecure),                                                              \
   "false",                                                                                        \
   "",                                                                                             \
   "accept any certificate"},                                                                      \
      {"tls.fingerprint",                                                                          \
       "tls-fingerprint",                                                                          \
       OPT_LIST,                                                                                   \
       CONNECTION_OPTION(type, fingerprints),                                                      \
       NULL,                                                                                       \
       "HEX",                                                                                      \
       "SHA-256 of the certificate to accept; repeat for several"},                                \
      {"tls.root",                                                                                 \
       "tls-root",                                                                                 \
       OPT_LIST,                                                                                   \
       CONNECTION_OPTION(type, roots),                                                             \
       NULL,                                                                                       \
       "FILE",                                                                                     \
       "PEM file of root certificates to trust instead of the system's"},                          \
      {"log.level",                                                                                \
       "log-level",                                                                                \
       OPT_CHOICE,                                                                                 \
       CONNECTION_OPTION(type, log_level),                                                         \
       "info",                                                                                     \
       "LEVEL",                                                                                    \
       "what to say on stderr: error, warn, info, debug or trace",                                 \
       .choices = log_level_choices},                                                              \
  {                                                                                                \
    "cache.capacity", "cache-capacity", OPT_SIZE, CONNECTION_OPTION(type, cache), "256MiB",        \
        "BYTES", "memory for media that waits to be sent or written"                               \
  }

struct program;

/* All optional. */
struct program_events {
  void (*up)(void *ctx);   /* a session with the relay is up; again after each reconnect */
  void (*down)(void *ctx); /* it has gone, another try follows */
  /* A signal asks for the end: finish, then program_exit. NULL: program_exit at once. */
  void (*stop)(void *ctx);
  /* Text for the progress line, at most 5 times a second, only when stderr is a terminal. */
  void (*progress)(void *ctx, char *text, size_t cap);
};

struct program_config {
  const char *url;
  const struct connection_options *options;
  enum lite_role role; /* a publisher announces, a subscriber asks for announcements */
  const struct program_events *events;
  void *ctx;
};

/* Embedded by the command; zero-initialise. Fields are for reading. */
struct program {
  struct program_config config;
  uv_loop_t loop;
  struct worker worker;
  struct log log;
  struct model model;
  struct origin *origin;
  struct connection *connection;
  struct deferred model_work;
  struct timer progress;
  uv_signal_t signals[2];
  int signal_count;
  int exit_code;
  bool loop_ready, is_up, was_up, stopping, closing, terminal, line_shown;
};

int program_init(struct program *p, const struct program_config *config, struct err *ret_err);

/* Runs until program_exit; the exit code. */
int program_run(struct program *p);

/* Ends the session cleanly (bounded in time), then the loop. Later calls only make the code worse.
 */
void program_exit(struct program *p, int code);

/* The command's own parts have gone. */
void program_destroy(struct program *p);

/* Copies text with control characters as \xNN, so that no name from a peer can forge a line or
 * steer a terminal. Cut to what fits. The length. */
size_t program_printable(char *out, size_t cap, const char *text);

/* One line on stderr, "moq: " in front: facts (from level info on), and what went wrong. */
void program_say(struct program *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void program_error(struct program *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline uint64_t program_now(const struct program *p)
{
  return p->worker.now;
}
