/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Configurations of the Rust relays, old and new. The first line of each says what is expected:
 *   # starts             accepted
 *   # later: KEY         fine for --check-config; a start names the key
 *   # refused: TEXT      an error that holds the text, either way */
#include "loading.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define EXAMPLES_AT_LEAST 9

static void first_line(const char *path, char *out, int cap)
{
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(out, cap, f));
  fclose(f);
  out[strcspn(out, "\n")] = '\0';
}

static void expect(const char *path, const char *const *args, const char *error)
{
  struct loading l;
  loading_path(&l, path, args);
  if (l.rc == 0 && error)
    fail_msg("%s: expected \"%s\", but it is accepted", path, error);
  if (l.rc != 0 && (!error || !strstr(l.err.text, error)))
    fail_msg("%s: expected %s, got: %s", path, error ? error : "no error", l.err.text);
  loading_end(&l);
}

static void check(const char *path)
{
  char line[200];
  first_line(path, line, sizeof line);
  const char *text = strchr(line, ':') ? strchr(line, ':') + 2 : "";
  if (strcmp(line, "# starts") == 0) {
    expect(path, NONE, NULL);
    expect(path, WORDS("--check-config"), NULL);
  } else if (strncmp(line, "# later: ", 9) == 0) {
    expect(path, NONE, text);
    expect(path, WORDS("--check-config"), NULL);
  } else if (strncmp(line, "# refused: ", 11) == 0) {
    expect(path, NONE, text);
    expect(path, WORDS("--check-config"), text);
  } else {
    fail_msg("%s: the first line does not say what is expected", path);
  }
}

static void every_example(void **state)
{
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

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_example)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
