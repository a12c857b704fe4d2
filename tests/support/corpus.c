/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs a fuzz target over the files of a directory, without libFuzzer: each once as it is, then up to FAILURES times with
 * one allocation that fails. Where an input has more allocations than that, they are spread over it.
 *
 *   corpus FAILURES DIRECTORY */
#include "support/oom.h"
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the sanitizers, where there are any. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* What is being run, for whoever has to mend it. */
static char current[PATH_MAX + 64];

static void tell_current(void)
{
  if (write(STDERR_FILENO, current, strlen(current)) < 0)
    return;
}

static void on_abort(int number)
{
  (void)number;
  tell_current();
}

/* On the heap at its exact size, so that a sanitizer sees a read past the end. */
static bool run_input(const void *bytes, size_t n)
{
  uint8_t *data = malloc(n ? n : 1);
  if (!data)
    return false;
  memcpy(data, bytes, n);
  LLVMFuzzerTestOneInput(data, n);
  free(data);
  return true;
}

static bool leaks(void)
{
  bool any = __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0;
  if (any)
    tell_current();
  return any;
}

/* The first run counts the allocations. Its own one comes before those of the target, hence 1. */
static bool run_file(const char *path, long failures)
{
  static uint8_t space[FILE_MAX];
  FILE *f = fopen(path, "rb");
  if (!f) {
    perror(path);
    return false;
  }
  size_t n = fread(space, 1, sizeof space, f);
  fclose(f);
  snprintf(current, sizeof current, "in %s\n", path);
  oom_after(LONG_MAX, 0);
  bool good = run_input(space, n);
  long count = oom_count(), points = count - 1 < failures ? count - 1 : failures;
  for (long i = 0; good && i < points; i++) {
    long at = 1 + i * (count - 1) / points;
    snprintf(current, sizeof current, "in %s, where allocation %ld of %ld fails\n", path, at, count);
    oom_after(at, 1);
    good = run_input(space, n);
    oom_end();
  }
  return good && !leaks();
}

static bool run_directory(const char *name, long failures, size_t *files)
{
  DIR *d = opendir(name);
  if (!d) {
    perror(name);
    return false;
  }
  bool good = true;
  for (struct dirent *e; (e = readdir(d));) {
    char path[PATH_MAX];
    if (e->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "%s/%s", name, e->d_name);
    good &= run_file(path, failures);
    ++*files;
  }
  closedir(d);
  return good;
}

int main(int argc, char **argv)
{
  size_t files = 0;
  if (argc != 3)
    return 2;
  if (__sanitizer_set_death_callback)
    __sanitizer_set_death_callback(tell_current);
  signal(SIGABRT, on_abort);
  bool good = run_directory(argv[2], strtol(argv[1], NULL, 10), &files);
  printf("%zu files\n", files);
  return !good || files == 0;
}
