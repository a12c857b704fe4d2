/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One line a fact: "2026-01-31T12:00:00.000000Z  INFO moq_relay: listening addr=[::]:4443 kind=quic".
 * Libraries return errors; only the edges (sessions, listeners, programs) log. A log is passed by pointer; its sink is
 * called on the thread that logs. Control characters of a message are escaped, so nothing a peer names can forge a
 * line; secrets are the caller's to leave out. */
#pragma once
#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

struct log {
  enum log_level level;
  struct clock clock;
  void (*sink)(void *ctx, enum log_level level, const char *line, size_t n); /* line has no newline */
  void *ctx;
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
void log_write(const struct log *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(l, ...) log_write((l), LOG_ERROR, __VA_ARGS__)
#define log_warn(l, ...) log_write((l), LOG_WARN, __VA_ARGS__)
#define log_info(l, ...) log_write((l), LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...) (log_on((l), LOG_DEBUG) ? log_write((l), LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_trace(l, ...) (log_on((l), LOG_TRACE) ? log_write((l), LOG_TRACE, __VA_ARGS__) : (void)0)
