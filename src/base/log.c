/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/log.h"
#include "base/utf8.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* What a byte may become is longest as "\u0001". */
#define ESCAPED_MAX 6
#define LINE_BYTES (LOG_LINE_MAX * ESCAPED_MAX + 128)

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
static const char *const tags[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

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
  char out[LINE_BYTES + 1];
  snprintf(out, sizeof out, "%.*s\n", (int)n, line);
  size_t len = n + 1 < sizeof out ? n + 1 : sizeof out - 1;
  ssize_t done = write(STDERR_FILENO, out, len); /* one write, so that lines of several threads do not mix */
  (void)done;
}

struct log log_stderr(enum log_level level, struct clock clock)
{
  return (struct log){.level = level, .clock = clock, .sink = to_stderr};
}

/* ---- one line ---- */

static size_t stamp(char *out, size_t cap, uint64_t wall_us)
{
  time_t s = (time_t)(wall_us / 1000000);
  struct tm tm;
  gmtime_r(&s, &tm);
  size_t n = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
  return n + (size_t)snprintf(out + n, cap - n, ".%06uZ", (unsigned)(wall_us % 1000000));
}

/* Length of the character at `in`; 0 when it is no UTF-8. */
static size_t character(const char *in)
{
  for (size_t n = 1; n <= 4; n++) {
    if (utf8_valid(slice_of(in, n)))
      return n;
    if (in[n] == '\0')
      break;
  }
  return 0;
}

/* Of both sets, C0 and C1, the latter in UTF-8: a terminal may obey either. */
static bool is_control(const char *in, size_t n)
{
  unsigned char c = (unsigned char)in[0], next = (unsigned char)in[1];
  return (n == 1 && (c < 0x20 || c == 0x7f)) || (n == 2 && c == 0xc2 && next < 0xa0);
}

static size_t escape_text(char *out, const char *in)
{
  size_t n = 0, step;
  for (; *in; in += step) {
    size_t found = character(in);
    step = found ? found : 1;
    if (found && !is_control(in, found)) {
      memcpy(out + n, in, step);
      n += step;
      continue;
    }
    for (size_t i = 0; i < step; i++)
      n += (size_t)sprintf(out + n, "\\x%02x", (unsigned char)in[i]);
  }
  return n;
}

static size_t escape_json(char *out, const char *in)
{
  size_t n = 0, step;
  for (; *in; in += step) {
    size_t found = character(in);
    step = found ? found : 1;
    if (!found)
      n += (size_t)sprintf(out + n, "\xef\xbf\xbd");
    else if (is_control(in, found))
      n += (size_t)sprintf(out + n, "\\u%04x", (unsigned char)in[found - 1]);
    else if (*in == '"' || *in == '\\')
      n += (size_t)sprintf(out + n, "\\%c", *in);
    else
      n += (size_t)sprintf(out + n, "%.*s", (int)found, in);
  }
  return n;
}

static void put(const struct log *l, enum log_level level, const char *text)
{
  char line[LINE_BYTES], when[40];
  size_t n;
  stamp(when, sizeof when, clock_wall_us(&l->clock));
  if (l->format == LOG_JSON) {
    n = (size_t)sprintf(line, "{\"timestamp\":\"%s\",\"level\":\"%s\",\"target\":\"moq_relay\",\"message\":\"", when,
                        tags[level]);
    n += escape_json(line + n, text);
    n += (size_t)sprintf(line + n, "\"}");
  } else {
    n = (size_t)sprintf(line, "%s %5s moq_relay: ", when, tags[level]);
    n += escape_text(line + n, text);
  }
  l->sink(l->ctx, level, line, n);
}

/* ---- repeated lines ---- */

static void tell(const struct log *l, struct log_kind *kind)
{
  char text[LOG_LINE_MAX];
  uint32_t dropped = kind->dropped;
  const char *format = kind->format;
  *kind = (struct log_kind){.level = kind->level};
  if (dropped == 0)
    return;
  snprintf(text, sizeof text, "%u more lines like this were dropped: %.200s", (unsigned)dropped, format);
  put(l, kind->level, text);
}

void log_tell_dropped(const struct log *l, bool all)
{
  if (!l || !l->repeats)
    return;
  uint64_t now = clock_now(&l->clock);
  for (size_t i = 0; i < LOG_KINDS_MAX; i++) {
    struct log_kind *kind = &l->repeats->kinds[i];
    if (kind->format && (all || now - kind->since >= LOG_REPEAT_NS))
      tell(l, kind);
  }
}

/* The kind of `format`, perhaps a new one; NULL when there is no room. */
static struct log_kind *find(const struct log *l, enum log_level level, const char *format)
{
  struct log_kind *unused = NULL;
  for (size_t i = 0; i < LOG_KINDS_MAX; i++) {
    struct log_kind *kind = &l->repeats->kinds[i];
    if (kind->format == format)
      return kind;
    if (!kind->format && !unused)
      unused = kind;
  }
  if (unused)
    *unused = (struct log_kind){format, level, clock_now(&l->clock), 0, 0};
  return unused;
}

static bool drop(const struct log *l, enum log_level level, const char *format)
{
  struct log_kind *kind = l->repeats && level <= LOG_WARN ? find(l, level, format) : NULL;
  if (!kind || kind->lines++ < LOG_REPEAT_MAX)
    return false;
  kind->dropped++;
  return true;
}

void log_write(const struct log *l, enum log_level level, const char *fmt, ...)
{
  if (!log_on(l, level))
    return;
  log_tell_dropped(l, false);
  if (drop(l, level, fmt))
    return;
  char text[LOG_LINE_MAX];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put(l, level, text);
}
