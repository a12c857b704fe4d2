/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs a fuzz target over the files of the directories that are named, for compilers without
 * libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* On the heap at its exact size, so that a sanitizer sees a read past the end. */
static int run_file(const char *path)
{
  static uint8_t space[FILE_MAX];
  FILE *f = fopen(path, "rb");
  if (!f) {
    perror(path);
    return 1;
  }
  size_t n = fread(space, 1, sizeof space, f);
  fclose(f);
  uint8_t *data = malloc(n ? n : 1);
  if (!data)
    return 1;
  memcpy(data, space, n);
  LLVMFuzzerTestOneInput(data, n);
  free(data);
  return 0;
}

static int run_directory(const char *name, size_t *files)
{
  DIR *d = opendir(name);
  if (!d) {
    perror(name);
    return 1;
  }
  int bad = 0;
  for (struct dirent *e; (e = readdir(d));) {
    char path[4096];
    if (e->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "%s/%s", name, e->d_name);
    bad |= run_file(path);
    ++*files;
  }
  closedir(d);
  return bad;
}

int main(int argc, char **argv)
{
  size_t files = 0;
  int bad = 0;
  for (int i = 1; i < argc; i++)
    bad |= run_directory(argv[i], &files);
  printf("%zu files\n", files);
  return bad || files == 0;
}
