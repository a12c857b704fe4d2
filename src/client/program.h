/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every command of the client runs on: a loop, a model with one origin, a connection that is
 * kept up, signals, and lines on stderr. A command fills in events and puts its own parts on top.
 */
#pragma once
#include "client/connect.h"
#include "client/progress.h"
#include "config/options.h"
#include <stddef.h>

/* Exit codes, for scripts. The table with their meaning (program_exit_codes) is what --help and the
 * manual page print. */
enum exit_code {
  EXIT_DONE = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_UNKNOWN_HOST = 3,
  EXIT_UNREACHABLE = 4,
  EXIT_CERTIFICATE = 5,
  EXIT_VERSION = 6,
  EXIT_DENIED = 7,
  EXIT_NOT_FOUND = 8,
  EXIT_ENDED = 9
};
struct exit_meaning {
  enum exit_code code;
  const char *name; /* "error" of JSON lines */
  const char *text;
};
extern const struct exit_meaning program_exit_codes[]; /* ends with text NULL */

/* How a track that ended with a model_code ends the program; begun: something of it had come. */
enum exit_code program_code_of(uint64_t code, bool begun);

/* The options that all commands share: embedded as `connection` by each command's own options. */
struct connection_options {
  bool insecure, once, json;
  struct strlist fingerprints, roots, versions;
  unsigned log_level;
  uint64_t cache, race, timeout;
};

extern const char *const log_level_choices[];

#define CONNECTION_OPTION(type, member) offsetof(type, connection.member)
/* clang-format off */
#define CONNECTION_OPTION_ROWS(type)                                                               \
  {"connect.version", "connect-version", OPT_LIST, CONNECTION_OPTION(type, versions), NULL,         \
   "VERSION",                                                                                      \
   "speak only these: moq-lite-01 to moq-lite-06, moq-lite-07-wip; repeat or separate by commas",  \
   .names = {"--client-version"}},                                                                 \
  {"connect.timeout", "connect-timeout", OPT_DURATION, CONNECTION_OPTION(type, timeout), "10s",     \
   "TIME", "how long to try all addresses of the relay",                                            \
   .names = {"--client-connect-timeout"}},                                                         \
  {"connect.race", "connect-race", OPT_DURATION, CONNECTION_OPTION(type, race), "250ms", "TIME",    \
   "how long to wait for an address before the next one is tried as well",                          \
   .names = {"--client-failover-delay"}},                                                          \
  {"connect.tls.insecure", "tls-disable-verify", OPT_BOOL, CONNECTION_OPTION(type, insecure),       \
   "false", "", "accept any certificate",                                                          \
   .names = {"--connect-tls-insecure", "--client-tls-disable-verify"}},                            \
  {"connect.tls.fingerprint", "tls-fingerprint", OPT_LIST, CONNECTION_OPTION(type, fingerprints),   \
   NULL, "HEX", "SHA-256 of the certificate to accept; repeat for several",                        \
   .names = {"--connect-tls-fingerprint", "--client-tls-fingerprint"}},                            \
  {"connect.tls.root", "tls-root", OPT_LIST, CONNECTION_OPTION(type, roots), NULL, "FILE",          \
   "PEM file of root certificates to trust instead of the system's",                               \
   .names = {"--connect-tls-root", "--client-tls-root"}},                                          \
  {"json", "json", OPT_BOOL, CONNECTION_OPTION(type, json), "false", "",                            \
   "write for programs: a JSON object a line, on stderr as well"},                                 \
  {"log.level", "log-level", OPT_CHOICE, CONNECTION_OPTION(type, log_level), "info", "LEVEL",       \
   "what to say on stderr: error, warn, info, debug or trace", .choices = log_level_choices},      \
  {"cache.capacity", "cache-capacity", OPT_SIZE, CONNECTION_OPTION(type, cache), "256MiB",          \
   "BYTES", "memory for media that waits to be sent or written"}
/* clang-format on */

struct program;

/* All optional. */
struct program_events {
  void (*up)(void *ctx);   /* a session with the relay is up; again after each reconnect */
  void (*down)(void *ctx); /* it has gone, another try follows */
  /* A signal asks for the end: finish, then program_exit. NULL: program_exit at once. */
  void (*stop)(void *ctx);
  /* For the progress line, at most 5 times a second, when stderr is a terminal or JSON. False when
   * there is nothing to tell yet. */
  bool (*progress)(void *ctx, struct progress *ret_progress);
};

struct program_config {
  const char *url;
  const struct connection_options *options;
  enum lite_role role; /* a publisher announces, a subscriber asks for announcements */
  /* Of a publisher: a relay that does not ask for it is told of, and with --once the end. */
  const char *broadcast;
  const struct program_events *events;
  void *ctx;
};

#define PROGRAM_URL_SHOWN 256 /* bytes of the URL in messages */

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
  struct timer progress, unasked;
  uv_signal_t signals[2];
  int signal_count;
  int exit_code;
  enum lite_version version; /* while is_up */
  char shown_url[PROGRAM_URL_SHOWN + 1]; /* for people: without the query, which may hold a token */
  bool loop_ready, is_up, was_up, asked, stopping, closing, line_shown;
};

/* EXIT_DONE, or another code after a line on stderr. */
enum exit_code program_init(struct program *p, const struct program_config *config);

/* Runs until program_exit; the exit code. */
int program_run(struct program *p);

/* Ends the session cleanly (bounded in time), then the loop. The first code that is not EXIT_DONE
 * stands. */
void program_exit(struct program *p, enum exit_code code);

/* The command's own parts have gone. */
void program_destroy(struct program *p);

/* Copies text with control characters as \xNN, so that no name from a peer can forge a line or
 * steer a terminal. Cut to what fits. The length. */
size_t program_printable(char *out, size_t cap, const char *text);

/* One line on stderr, "moq: " in front or as JSON: facts (from level info on), what is not as it
 * should be but goes on, and what went wrong. */
void program_say(struct program *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void program_warn(struct program *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void program_error(struct program *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* program_error, then program_exit with the code, whose name a JSON line carries. */
void program_fail(struct program *p, enum exit_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Of program_lines.c, for program.c. */
void program_log_sink(void *ctx, enum log_level level, const char *line, size_t n);
void program_tell_up(struct program *p);
void program_show_progress(struct program *p, const struct progress *progress);

static inline uint64_t program_now(const struct program *p)
{
  return p->worker.now;
}
