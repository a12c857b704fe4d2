/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a program says on stderr: lines for people, with a progress line below them on a terminal,
 * or JSON lines. */
#include "client/json_line.h"
#include "client/program.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_TEXT 512
#define PROGRESS_TEXT 160

const char *const log_level_choices[] = {"error", "warn", "info", "debug", "trace", NULL};

const struct exit_meaning program_exit_codes[] = {
    {EXIT_DONE, "done", "done, also after Ctrl-C"},
    {EXIT_FAILED, "failed", "it failed for another reason"},
    {EXIT_USAGE, "usage", "wrong usage"},
    {EXIT_UNKNOWN_HOST, "unknown-host", "the relay's name is unknown"},
    {EXIT_UNREACHABLE, "unreachable", "the relay does not answer, or refuses the connection"},
    {EXIT_CERTIFICATE, "certificate", "the relay's certificate is not one to accept"},
    {EXIT_VERSION, "version", "no common version of the protocol"},
    {EXIT_DENIED, "denied", "the relay does not allow it"},
    {EXIT_NOT_FOUND, "not-found", "there is no such broadcast, track or group"},
    {EXIT_ENDED, "ended", "the connection, broadcast or track broke off"},
    {0, NULL, NULL},
};

enum exit_code program_code_of(uint64_t code, bool begun)
{
  switch (code) {
  case CODE_NOT_FOUND:
  case CODE_OLD:
  case CODE_EVICTED:
  case CODE_UNROUTABLE:
    return begun ? EXIT_ENDED : EXIT_NOT_FOUND;
  case CODE_CANCELLED:
  case CODE_SESSION:
  case CODE_GOING_AWAY:
  case CODE_TIMEOUT:
  case CODE_CONTROL_TIMEOUT:
    return EXIT_ENDED;
  default:
    return EXIT_FAILED;
  }
}

/* ---- lines ---- */

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

static void put(const void *data, size_t n)
{
  ssize_t done = write(STDERR_FILENO, data, n);
  (void)done; /* there is nowhere else to say so */
}

static void put_json(const char *event, const char *error, const char *text)
{
  struct buf b = {0};
  json_begin(&b);
  json_text(&b, "event", slice_str(event));
  if (error)
    json_text(&b, "error", slice_str(error));
  json_text(&b, "text", slice_str(text));
  json_end(&b);
  if (!b.failed)
    put(b.p, b.n);
  buf_destroy(&b);
}

static void put_line(struct program *p, const char *event, const char *error, const char *text)
{
  char printable[4 * LINE_MAX_TEXT + 1], line[sizeof printable + 32];
  if (p->config.options && p->config.options->json) {
    put_json(event, error, text);
    return;
  }
  program_printable(printable, sizeof printable, text);
  int n = snprintf(line, sizeof line, "%smoq: %s\n", p->line_shown ? "\r\x1b[K" : "", printable);
  p->line_shown = false;
  put(line, (size_t)n);
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
  put_line(p, "info", NULL, text);
}

void program_warn(struct program *p, const char *fmt, ...)
{
  char text[LINE_MAX_TEXT];
  va_list ap;
  if (p->log.level < LOG_WARN)
    return;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put_line(p, "warning", NULL, text);
}

void program_error(struct program *p, const char *fmt, ...)
{
  char text[LINE_MAX_TEXT];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put_line(p, "error", NULL, text);
}

static const char *name_of(enum exit_code code)
{
  const struct exit_meaning *m = program_exit_codes;
  while (m->text && m->code != code)
    m++;
  return m->name;
}

void program_fail(struct program *p, enum exit_code code, const char *fmt, ...)
{
  char text[LINE_MAX_TEXT];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  put_line(p, "error", name_of(code), text);
  program_exit(p, code);
}

void program_log_sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct program *p = ctx;
  char text[LOG_LINE_MAX + 1];
  if (!p->config.options->json) {
    fprintf(stderr, "%s%.*s\n", p->line_shown ? "\r\x1b[K" : "", (int)n, line);
    p->line_shown = false;
    return;
  }
  snprintf(text, sizeof text, "%.*s", (int)n, line);
  put_json("log", NULL, text);
}

/* ---- events ---- */

static void put_connected(const struct program *p, const char *alpn)
{
  struct buf b = {0};
  json_begin(&b);
  json_text(&b, "event", slice_str("connected"));
  json_text(&b, "url", slice_str(p->shown_url));
  json_text(&b, "version", slice_str(alpn));
  json_end(&b);
  if (!b.failed)
    put(b.p, b.n);
  buf_destroy(&b);
}

void program_tell_up(struct program *p)
{
  char version[32];
  snprintf(version, sizeof version, "moq-lite-%s", lite_info(p->version)->name);
  if (p->log.level < LOG_INFO)
    return;
  if (p->config.options->json)
    put_connected(p, version);
  else
    program_say(p, "%s to %s (%s)", p->was_up ? "connected again" : "connected", p->shown_url, version);
}

/* ---- progress ---- */

void program_show_progress(struct program *p, const struct progress *progress)
{
  char text[PROGRESS_TEXT];
  struct buf b = {0};
  if (!p->config.options->json) {
    progress_text(progress, text, sizeof text);
    fprintf(stderr, "\r%s\x1b[K", text);
    p->line_shown = true;
    return;
  }
  json_begin(&b);
  json_text(&b, "event", slice_str("progress"));
  progress_json(progress, &b);
  json_end(&b);
  if (!b.failed)
    put(b.p, b.n);
  buf_destroy(&b);
}
