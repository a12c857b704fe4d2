/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One line a fact: "2026-01-31T12:00:00.000000Z  INFO moq_relay: listening addr=[::]:4443
 * kind=quic", or an object of JSON:
 * {"timestamp":"...","level":"INFO","target":"moq_relay","message":"listening addr=[::]:4443
 * kind=quic"}. Libraries return errors; only the edges (sessions, listeners, programs) log. A log
 * is passed by pointer; its sink is called on the thread that logs. Control characters of a message
 * are escaped, so nothing a peer names can forge a line; secrets are the caller's to leave out. */
#pragma once
#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

enum log_format { LOG_TEXT, LOG_JSON };

/* Warnings and errors that a peer can cause again and again: of one kind (one format string) at
 * most LOG_REPEAT_MAX lines are written per LOG_REPEAT_NS; what more there was is told in one line
 * when that time is over. */
/* Counted per thread: each has a log_repeats of its own. */
#define LOG_REPEAT_MAX 10
#define LOG_REPEAT_NS (10 * NS_PER_S)
#define LOG_KINDS_MAX 64 /* kinds that are counted at a time; there are fewer in the source */

struct log_kind {
  const char *format; /* compared by address; NULL = free */
  enum log_level level;
  uint64_t since; /* ns, of the first line */
  uint32_t lines, dropped;
};

struct log_repeats {
  struct log_kind kinds[LOG_KINDS_MAX];
};

struct log {
  enum log_level level;
  struct clock clock;
  void (*sink)(void *ctx, enum log_level level, const char *line, size_t n); /* line has no newline */
  void *ctx;
  enum log_format format;
  struct log_repeats *repeats; /* zeroed at first; NULL = nothing is dropped */
};

/* Lines go to stderr. */
struct log log_stderr(enum log_level level, struct clock clock);

/* "error", "warn", "info", "debug", "trace", any case, or 1 to 5. Returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);

static inline bool log_on(const struct log *l, enum log_level level)
{
  return l && level <= l->level;
}

/* l may be NULL (no log). Lines longer than LOG_LINE_MAX are cut. */
#define LOG_LINE_MAX 1024
void log_write(const struct log *l, enum log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Tells what was dropped in times that are over; log_write does it too, so this is for a log that
 * has fallen silent. With `all` also those that are not over, for the end of a program. */
void log_tell_dropped(const struct log *l, bool all);

#define log_error(l, ...) log_write((l), LOG_ERROR, __VA_ARGS__)
#define log_warn(l, ...) log_write((l), LOG_WARN, __VA_ARGS__)
#define log_info(l, ...) log_write((l), LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...) (log_on((l), LOG_DEBUG) ? log_write((l), LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_trace(l, ...) (log_on((l), LOG_TRACE) ? log_write((l), LOG_TRACE, __VA_ARGS__) : (void)0)
