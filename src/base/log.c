/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const tags[] = {"ERROR", " WARN", " INFO", "DEBUG", "TRACE"};

int log_level_parse(const char *text, enum log_level *ret_level)
{
  for (int i = 0; i <= LOG_TRACE; i++) {
    if (strcasecmp(text, names[i]) == 0 || (text[0] == '1' + i && text[1] == '\0')) {
      *ret_level = (enum log_level)i;
      return 0;
    }
  }
  return -EINVAL;
}

static void to_stderr(void *ctx, enum log_level level, const char *line, size_t n)
{
  (void)ctx, (void)level;
  char out[LOG_LINE_MAX * 4 + 2];
  snprintf(out, sizeof out, "%.*s\n", (int)n, line);
  size_t len = n + 1 < sizeof out ? n + 1 : sizeof out - 1;
  ssize_t done = write(STDERR_FILENO, out, len); /* one write, so that lines of several threads do not mix */
  (void)done;
}

struct log log_stderr(enum log_level level, struct clock clock)
{
  return (struct log){level, clock, to_stderr, NULL};
}

static size_t stamp(char *out, size_t cap, uint64_t wall_us, enum log_level level)
{
  time_t s = (time_t)(wall_us / 1000000);
  struct tm tm;
  gmtime_r(&s, &tm);
  size_t n = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
  return n + (size_t)snprintf(out + n, cap - n, ".%06uZ %s moq_relay: ", (unsigned)(wall_us % 1000000), tags[level]);
}

static size_t escape(char *out, const char *in)
{
  size_t n = 0;
  for (; *in; in++) {
    unsigned char c = (unsigned char)*in;
    if (c < 0x20 || c == 0x7f)
      n += (size_t)sprintf(out + n, "\\x%02x", c);
    else
      out[n++] = (char)c;
  }
  return n;
}

void log_write(const struct log *l, enum log_level level, const char *fmt, ...)
{
  if (!log_on(l, level))
    return;
  char text[LOG_LINE_MAX], line[LOG_LINE_MAX * 4 + 64];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  size_t n = stamp(line, 64, clock_wall_us(&l->clock), level);
  n += escape(line + n, text);
  l->sink(l->ctx, level, line, n);
}
