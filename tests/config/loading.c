/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "loading.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 32

static void keep_line(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct loading *l = ctx;
  size_t have = strlen(l->log);
  (void)level;
  snprintf(l->log + have, sizeof l->log - have, "%.*s\n", (int)n, line);
}

static void run(struct loading *l, const char *file, const char *const *env, const char *const *args)
{
  char *argv[ARGS_MAX] = {(char *)(uintptr_t) "moq-relay", NULL};
  int argc = 1;
  if (file)
    argv[argc++] = (char *)(uintptr_t)file;
  for (; args && *args && argc < ARGS_MAX - 1; args++)
    argv[argc++] = (char *)(uintptr_t)*args;
  struct log log = {LOG_INFO, clock_system(), keep_line, l};
  l->log[0] = l->err.text[0] = '\0';
  l->rc = relay_config_load(&l->config, argc, argv, (char *const *)(uintptr_t)env, &log, &l->command, &l->err);
  if (l->rc < 0)
    assert_true(l->err.text[0] != '\0');
}

void loading_do(struct loading *l, const char *text, const char *const *env, const char *const *args)
{
  if (!text) {
    run(l, NULL, env, args);
    return;
  }
  char folder[] = "/tmp/moq-config-XXXXXX", path[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/relay.toml", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
  run(l, path, env, args);
  unlink(path);
  rmdir(folder);
}

void loading_path(struct loading *l, const char *path, const char *const *args)
{
  run(l, path, NULL, args);
}

void loading_end(struct loading *l)
{
  if (l->rc == 0)
    relay_config_free(&l->config);
}

void refused(const char *text, const char *const *env, const char *const *args, const char *const *pieces)
{
  struct loading l;
  loading_do(&l, text, env, args);
  if (l.rc == 0)
    fail_msg("accepted, but should be refused with \"%s\"", pieces[0]);
  for (; *pieces; pieces++) {
    if (!strstr(l.err.text, *pieces))
      fail_msg("\"%s\" is not in: %s", *pieces, l.err.text);
  }
}
