/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the options engine with the relay's table. The input is the text of a
 * configuration file, then, each after a NUL, words: MOQ_NAME=VALUE goes to the environment, the
 * rest to the command line. */
#include "config/relay_config.h"
#include "support/fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS_MAX 32

struct input {
  char *argv[WORDS_MAX + 3], *env[WORDS_MAX + 1];
  int argc, envc;
};

static void put_file(int fd, const char *text, size_t n)
{
  check(ftruncate(fd, 0) == 0 && pwrite(fd, text, n, 0) == (ssize_t)n);
}

static void take_word(struct input *in, char *word)
{
  if (strncmp(word, "MOQ_", 4) == 0 && in->envc < WORDS_MAX)
    in->env[in->envc++] = word;
  else if (in->argc < WORDS_MAX + 2)
    in->argv[in->argc++] = word;
}

static void check_config(const struct relay_config *c)
{
  check(c->log_level <= LOG_TRACE && c->congestion <= CONGESTION_RENO);
  check(c->file && c->max_streams >= 16 && c->max_streams <= 1000000);
  check(c->check_config || c->missing.n == 0);
}

static void ignore_line(void *ctx, enum log_level level, const char *line, size_t n)
{
  (void)ctx, (void)level, (void)line, (void)n;
}

static void load(struct input *in)
{
  struct relay_config c;
  enum relay_command command;
  struct err err = {""};
  struct log log = {LOG_TRACE, clock_system(), ignore_line, NULL};
  if (relay_config_load(&c, in->argc, in->argv, in->env, &log, &command, &err) < 0) {
    check(err.text[0] != '\0');
  } else {
    if (command == RELAY_RUN || command == RELAY_CHECK)
      check_config(&c);
    relay_config_free(&c);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static int fd = -1;
  static char path[64];
  struct input in = {.argv = {(char *)(uintptr_t) "moq-relay", path}, .argc = 2};
  if (fd < 0) {
    fd = memfd_create("relay.toml", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    check(fd >= 0);
  }
  char *text = fuzz_text(data, size);
  put_file(fd, text, strlen(text));
  for (char *at = text + strlen(text); at < text + size; at += strlen(at))
    take_word(&in, ++at);
  load(&in);
  free(text);
  return 0;
}
