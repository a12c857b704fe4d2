/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Configurations of the Rust relays, old and new. The first line of each says what is expected: "#
 * accepted", or
 * "# refused: TEXT" with a text that the error must hold. */
#include "loading.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define EXAMPLES_AT_LEAST 9

static void first_line(const char *path, char *out, int cap) {
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(out, cap, f));
  fclose(f);
  out[strcspn(out, "\n")] = '\0';
}

static void check(const char *path) {
  static const char refused_mark[] = "# refused: ";
  char line[200];
  struct loading l;
  first_line(path, line, sizeof line);
  loading_path(&l, path);
  const char *got = l.rc == 0 ? "accepted" : l.err.text;
  if (strcmp(line, "# accepted") == 0) {
    if (l.rc != 0)
      fail_msg("%s: %s", path, got);
  } else {
    assert_memory_equal(line, refused_mark, sizeof refused_mark - 1);
    if (l.rc == 0 || !strstr(got, line + sizeof refused_mark - 1))
      fail_msg("%s: expected \"%s\", got: %s", path, line, got);
  }
  loading_end(&l);
}

static void every_example(void **state) {
  DIR *d = opendir(EXAMPLES);
  struct dirent *e;
  int count = 0;
  (void)state;
  assert_non_null(d);
  while ((e = readdir(d))) {
    char path[512];
    size_t n = strlen(e->d_name);
    if (n < 6 || strcmp(e->d_name + n - 5, ".toml") != 0)
      continue;
    snprintf(path, sizeof path, "%s/%s", EXAMPLES, e->d_name);
    check(path);
    count++;
  }
  closedir(d);
  assert_true(count >= EXAMPLES_AT_LEAST);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_example)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
