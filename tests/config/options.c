/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The engine, over a table of the test's own: each type from each source, precedence, older names.
 */
#include "loading.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct target {
  char *name;
  struct strlist hosts;
  bool on, off;
  uint64_t count, wait, size;
  unsigned color;
};

static const char *const colors[] = {"red", "green", "blue", NULL};

#define AT(member) offsetof(struct target, member)
/* clang-format off */
static const struct option rows[] = {
    {"t.name", "name", OPT_STRING, AT(name), "nobody", "NAME", "a name", 0, 0, 0, {"old.name", "--old-name"}},
    {"t.hosts", "hosts", OPT_LIST, AT(hosts), "a", "HOST", "hosts", 0, 0, 0, {"old.hosts", "--old-hosts"}},
    {"t.on", "on", OPT_BOOL, AT(on), NULL, "", "on", 0, 0, 0, {0}},
    {"t.off", "off", OPT_BOOL, AT(off), "true", "", "off", 0, 0, 0, {0}},
    {"t.count", "count", OPT_INT, AT(count), "3", "N", "a count", 0, 1, 9, {0}},
    {"t.wait", "wait", OPT_DURATION, AT(wait), "1s", "TIME", "a wait", 0, 0, 0, {0}},
    {"t.size", "size", OPT_SIZE, AT(size), "1KiB", "SIZE", "a size", 0, 0, 0, {0}},
    {"t.color", "color", OPT_CHOICE, AT(color), "green", "COLOR", "a color", colors, 0, 0, {0}},
    {"t.later", "later", OPT_LATER, 0, NULL, "VALUE", "teleport (t.later)", 0, 0, 0, {"old.later"}},
    {"t.later_flag", "later-flag", OPT_LATER, 0, NULL, "", "teleport (t.later_flag)", 0, 0, 0, {0}},
    {"t.absent", "absent", OPT_ABSENT, 0, NULL, "", "a time machine", 0, 0, 0, {0}},
    {"t.ignored", "ignored", OPT_IGNORED, 0, NULL, "VALUE", "", 0, 0, 0, {0}},
    {"t.ignored_flag", "ignored-flag", OPT_IGNORED, 0, NULL, "", "", 0, 0, 0, {0}},
};
/* clang-format on */
static const struct option_table table = {rows, sizeof rows / sizeof *rows};

struct fixture {
  struct target t;
  struct option_state st;
  struct err err;
  char renamed[512];
  const char *positional[2];
  size_t positionals;
};

static void on_renamed(void *ctx, const char *where, const char *old_name, const char *new_name)
{
  struct fixture *f = ctx;
  size_t n = strlen(f->renamed);
  const char *base = strrchr(where, '/');
  snprintf(f->renamed + n, sizeof f->renamed - n, "[%s|%s|%s]", base ? base + 1 : where, old_name, new_name);
}

static void begin(struct fixture *f)
{
  *f = (struct fixture){.st = {.renamed = on_renamed, .ctx = f}};
  assert_int_equal(options_begin(&f->st, &table, &f->t, &f->err), 0);
}

static void end(struct fixture *f)
{
  options_end(&f->st);
  options_free(&table, &f->t);
}

static int file(struct fixture *f, const char *text)
{
  char path[] = "/tmp/moq-options-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
  int rc = options_file(&f->st, path, &f->err);
  unlink(path);
  return rc;
}

static int env(struct fixture *f, const char *const *words)
{
  return options_environment(&f->st, (char *const *)(uintptr_t)words, &f->err);
}

static int flags(struct fixture *f, const char *const *words)
{
  int n = 0;
  while (words[n])
    n++;
  return options_flags(&f->st, n, (char *const *)(uintptr_t)words, f->positional, 2, &f->positionals, &f->err);
}

static void hosts_are(const struct fixture *f, const char *const *want)
{
  size_t n = 0;
  for (; want[n]; n++) {
    assert_true(n < f->t.hosts.n);
    assert_string_equal(f->t.hosts.v[n], want[n]);
  }
  assert_int_equal(f->t.hosts.n, n);
}

static void defaults(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_string_equal(f.t.name, "nobody");
  hosts_are(&f, WORDS("a"));
  assert_false(f.t.on);
  assert_true(f.t.off);
  assert_int_equal(f.t.count, 3);
  assert_int_equal(f.t.wait, 1000000000);
  assert_int_equal(f.t.size, 1024);
  assert_int_equal(f.t.color, 1);
  assert_int_equal(options_source(&f.st, "t.name"), FROM_DEFAULT);
  end(&f);
}

static void each_type_from_a_file(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "[t]\nname = \"n\"\nhosts = [\"x\", \"y,z\"]\non = true\noff = false\ncount = 9\n"
                            "wait = \"250ms\"\nsize = 4096\ncolor = \"BLUE\"\nlater = \"\"\nlater_flag = false\n"
                            "ignored = 3.5\n"),
                   0);
  assert_string_equal(f.t.name, "n");
  hosts_are(&f, WORDS("x", "y,z"));
  assert_true(f.t.on);
  assert_false(f.t.off);
  assert_int_equal(f.t.count, 9);
  assert_int_equal(f.t.wait, 250000000);
  assert_int_equal(f.t.size, 4096);
  assert_int_equal(f.t.color, 2);
  assert_int_equal(options_source(&f.st, "t.count"), FROM_FILE);
  assert_string_equal(f.renamed, "");
  end(&f);
}

static void each_type_from_the_environment(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(env(&f, WORDS("HOME=/", "MOQ_NAME=e", "MOQ_HOSTS=x,y", "MOQ_ON=1", "MOQ_OFF=no", "MOQ_COUNT=1",
                                 "MOQ_WAIT=2m", "MOQ_SIZE=3KB", "MOQ_COLOR=red", "MOQ_LATER=", "MOQ_LATER_FLAG=0",
                                 "MOQ_IGNORED=x", "MOQ_UNKNOWN=1")),
                   0);
  assert_string_equal(f.t.name, "e");
  hosts_are(&f, WORDS("x", "y"));
  assert_true(f.t.on);
  assert_false(f.t.off);
  assert_int_equal(f.t.count, 1);
  assert_int_equal(f.t.wait, 120000000000);
  assert_int_equal(f.t.size, 3000);
  assert_int_equal(f.t.color, 0);
  end(&f);
}

static void each_type_from_flags(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(flags(&f, WORDS("--name", "fl", "--hosts", "x", "--hosts=y,z", "--on", "--off=false", "--count=2",
                                   "--wait=1h", "--size", "1MiB", "--color", "red", "--later=", "--later-flag=false",
                                   "--ignored", "v", "--ignored-flag", "file")),
                   0);
  assert_string_equal(f.t.name, "fl");
  hosts_are(&f, WORDS("x", "y", "z"));
  assert_true(f.t.on);
  assert_false(f.t.off);
  assert_int_equal(f.t.count, 2);
  assert_int_equal(f.t.wait, 3600000000000);
  assert_int_equal(f.t.size, 1 << 20);
  assert_int_equal(f.positionals, 1);
  assert_string_equal(f.positional[0], "file");
  end(&f);
}

static void a_stronger_source_wins(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "t.name = \"file\"\nt.hosts = [\"f1\", \"f2\"]\nt.count = 5\nt.on = true\n"), 0);
  assert_int_equal(env(&f, WORDS("MOQ_NAME=env", "MOQ_HOSTS=e1")), 0);
  hosts_are(&f, WORDS("e1"));
  assert_int_equal(flags(&f, WORDS("--name=flag", "--hosts=l1,l2")), 0);
  assert_string_equal(f.t.name, "flag");
  hosts_are(&f, WORDS("l1", "l2"));
  assert_int_equal(f.t.count, 5);
  assert_true(f.t.on); /* what the command line does not name keeps the file's value */
  assert_int_equal(options_source(&f.st, "t.name"), FROM_FLAG);
  assert_int_equal(options_source(&f.st, "t.count"), FROM_FILE);
  assert_int_equal(options_source(&f.st, "t.wait"), FROM_DEFAULT);
  end(&f);
}

static void lists_in_files(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "t.hosts = \"one\"\n"), 0);
  hosts_are(&f, WORDS("one"));
  end(&f);
  begin(&f);
  assert_int_equal(file(&f, "t.hosts = []\n"), 0);
  hosts_are(&f, NONE);
  assert_int_equal(options_source(&f.st, "t.hosts"), FROM_FILE);
  end(&f);
  begin(&f);
  assert_int_equal(file(&f, "t.hosts = [\"\"]\n"), 0);
  hosts_are(&f, WORDS(""));
  end(&f);
}

static void older_names(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "[old]\nhosts = [\"x\", \"y\"]\n"), 0);
  hosts_are(&f, WORDS("x", "y"));
  assert_non_null(strstr(f.renamed, ":2:10: old.hosts|old.hosts|t.hosts]"));
  assert_ptr_equal(strrchr(f.renamed, '['), f.renamed); /* told once, not for each element */
  f.renamed[0] = '\0';
  assert_int_equal(env(&f, WORDS("MOQ_OLD_NAME=e")), 0);
  assert_string_equal(f.t.name, "e");
  assert_string_equal(f.renamed, "[MOQ_OLD_NAME|MOQ_OLD_NAME|MOQ_NAME]");
  f.renamed[0] = '\0';
  assert_int_equal(flags(&f, WORDS("--old-name=fl")), 0);
  assert_string_equal(f.t.name, "fl");
  assert_string_equal(f.renamed, "[--old-name|--old-name|--name]");
  end(&f);
}

static void the_new_variable_wins_over_the_old(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(env(&f, WORDS("MOQ_OLD_NAME=old", "MOQ_NAME=new")), 0);
  assert_string_equal(f.t.name, "new");
  assert_string_equal(f.renamed, "");
  end(&f);
}

static void both_names_in_a_file(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "t.hosts = [\"x\", \"y\"]\nold.hosts = [\"x\", \"y\"]\nold.name = "
                            "\"n\"\nt.name = \"n\"\n"),
                   0);
  hosts_are(&f, WORDS("x", "y"));
  end(&f);
  begin(&f);
  assert_int_equal(file(&f, "t.hosts = [\"x\", \"y\"]\nold.hosts = [\"x\"]\n"), -EINVAL);
  assert_non_null(strstr(f.err.text, ":2:14: old.hosts: is the same option as t.hosts"));
  end(&f);
  begin(&f);
  assert_int_equal(file(&f, "old.name = \"a\"\nt.name = \"b\"\n"), -EINVAL);
  assert_non_null(strstr(f.err.text, "t.name: is the same option as old.name"));
  end(&f);
}

static void bad_file(const char *text, const char *piece)
{
  struct fixture f;
  begin(&f);
  int rc = file(&f, text);
  if (rc >= 0 || !strstr(f.err.text, piece))
    fail_msg("rc %d, \"%s\" is not in: %s", rc, piece, f.err.text);
  end(&f);
}

static void refused_in_files(void **state)
{
  (void)state;
  bad_file("t.name = 3\n", ":1:10: t.name: must be a string");
  bad_file("t.name = [\"a\"]\n", "t.name: must be a string");
  bad_file("t.name = []\n", "t.name: must be a string");
  bad_file("t.name = \"a\\u0000b\"\n", "t.name: must be a string");
  bad_file("t.hosts = 3\n", "t.hosts: must be a string or a list of strings");
  bad_file("t.hosts = [\"a\", 3]\n", ":1:17: t.hosts: must be a string or a list of strings");
  bad_file("t.on = \"true\"\n", "t.on: must be true or false");
  bad_file("t.on = 1\n", "t.on: must be true or false");
  bad_file("t.count = \"3\"\n", "t.count: must be a whole number");
  bad_file("t.count = 3.0\n", "t.count: must be a whole number");
  bad_file("t.count = 10\n", "t.count: \"10\" is not a whole number from 1 to 9");
  bad_file("t.count = -1\n", "t.count: \"-1\" is not a whole number from 1 to 9");
  bad_file("t.wait = 10\n", "t.wait: \"10\" is not a duration such as");
  bad_file("t.wait = true\n", "t.wait: must be a duration such as");
  bad_file("t.size = \"big\"\n", "t.size: \"big\" is not a size such as");
  bad_file("t.size = 1979-05-27\n", "t.size: must be a size");
  bad_file("t.color = \"pink\"\n", "t.color: \"pink\" is not one of red, green, blue");
  bad_file("t.color = [\"red\"]\n", "t.color: must be a string");
  bad_file("\n\n  t.nam = 1\n", ":3:11: t.nam: unknown key; did you mean t.name?");
  bad_file("quite.different = 1\n", "quite.different: unknown key");
  bad_file("\"--old-name\" = \"x\"\n", "unknown key");
  bad_file("t.name = \"a\"\nt.name = \"b\"\n", ":2:");
  bad_file("t.name = \"a\"\n[t]\nname = \"b\"\n", "may be given once");
  bad_file("t.name = \"a\"\nt.name = \"b\"\n", "may be given once: join the two");
  bad_file("t.name = a\n", ":1:10: Error while parsing value: could not determine value type; a text needs");
  bad_file("t.name = \"a\n", "is the closing quote missing?");
  bad_file("t = 1\n", ":1:5: t: is a section; a key in it is for example t.name");
  bad_file("[t\n", ":1:");
  bad_file("t.name = \n", ":1:");
  bad_file("t.name = \"\xff\"\n", ":1:");
}

/* The texts of the features that are on, one a line. */
static const char *missing(struct fixture *f, enum option_type type)
{
  static char out[1024];
  struct err err;
  size_t at = 0, n = 0;
  out[0] = '\0';
  while (options_missing(&f->st, type, &at, &err)) {
    const char *base = strrchr(err.text, '/');
    n += (size_t)snprintf(out + n, sizeof out - n, "%.80s\n", base ? base + 1 : err.text);
  }
  return out;
}

static void later_features_may_be_off(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "t.later = []\nt.later_flag = false\nt.absent = 0\n"), 0);
  assert_int_equal(flags(&f, WORDS("--later=false", "--later-flag=false")), 0);
  assert_string_equal(missing(&f, OPT_LATER), "");
  assert_string_equal(missing(&f, OPT_ABSENT), "");
  end(&f);
}

static void later_features_that_are_on(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(file(&f, "old.later = [\"x\", \"\"]\nt.later_flag = true\nt.absent = true\n"), 0);
  assert_non_null(strstr(missing(&f, OPT_LATER), ":1:14: old.later: teleport (t.later) is not "));
  assert_non_null(strstr(missing(&f, OPT_LATER), ":2:16: t.later_flag: teleport (t.later_flag) is "));
  assert_non_null(strstr(missing(&f, OPT_ABSENT), ":3:12: t.absent: a time machine is not "));
  /* A stronger source has the last word, either way. */
  assert_int_equal(flags(&f, WORDS("--later=", "--later-flag=true", "--absent=false")), 0);
  assert_null(strstr(missing(&f, OPT_LATER), "(t.later)"));
  assert_non_null(strstr(missing(&f, OPT_LATER), "--later-flag: teleport (t.later_flag) is not "));
  assert_string_equal(missing(&f, OPT_ABSENT), "");
  end(&f);
}

static void places(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_string_equal(options_where(&f.st, "t.name"), "t.name");
  assert_int_equal(file(&f, "\nt.name = \"a\"\nold.hosts = [\"b\",\n \"c\"]\n"), 0);
  assert_non_null(strstr(options_where(&f.st, "t.name"), ":2:10: t.name"));
  assert_non_null(strstr(options_where(&f.st, "t.hosts"), ":3:14: old.hosts"));
  assert_int_equal(env(&f, WORDS("MOQ_NAME=x")), 0);
  assert_string_equal(options_where(&f.st, "t.name"), "MOQ_NAME");
  assert_int_equal(flags(&f, WORDS("--name=y")), 0);
  assert_string_equal(options_where(&f.st, "t.name"), "--name");
  end(&f);
}

static void bad_flags(const char *const *words, const char *piece)
{
  struct fixture f;
  begin(&f);
  int rc = flags(&f, words);
  if (rc >= 0 || !strstr(f.err.text, piece))
    fail_msg("%s: rc %d, \"%s\" is not in: %s", words[0], rc, piece, f.err.text);
  end(&f);
}

static void refused_flags(void **state)
{
  (void)state;
  bad_flags(WORDS("--nam=x"), "--nam: unknown option; did you mean --name?");
  bad_flags(WORDS("--entirely-else"), "--entirely-else: unknown option");
  bad_flags(WORDS("--name"), "--name: needs a value");
  bad_flags(WORDS("--name", "--on"), "--name: needs a value");
  bad_flags(WORDS("--name=a", "--name=b"), "--name: given twice");
  bad_flags(WORDS("--name=a", "--old-name=b"), "--old-name: given twice");
  bad_flags(WORDS("--on=perhaps"), "--on: \"perhaps\" is not true or false");
  bad_flags(WORDS("--count=ten"), "--count: \"ten\" is not a whole number from 1 to 9");
  bad_flags(WORDS("a", "b", "c"), "unexpected argument \"c\"");
  bad_flags(WORDS("--"
                  "=x"),
            "unknown option");
}

/* A flag without a value must not take the word that follows it. */
static void flags_and_positionals(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(flags(&f, WORDS("--on", "first", "--", "--second")), 0);
  assert_true(f.t.on);
  assert_int_equal(f.positionals, 2);
  assert_string_equal(f.positional[0], "first");
  assert_string_equal(f.positional[1], "--second");
  end(&f);
  begin(&f);
  assert_int_equal(flags(&f, WORDS("--ignored-flag", "first")), 0);
  assert_int_equal(f.positionals, 1);
  end(&f);
}

static void bad_environment(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(env(&f, WORDS("MOQ_COUNT=0")), -EINVAL);
  assert_string_equal(f.err.text, "MOQ_COUNT: \"0\" is not a whole number from 1 to 9");
  assert_int_equal(env(&f, WORDS("MOQ_LATER=x")), 0);
  assert_string_equal(missing(&f, OPT_LATER),
                      "MOQ_LATER: teleport (t.later) is not supported by this version of moq-relay; rem\n");
  assert_int_equal(env(&f, NULL), 0);
  end(&f);
}

static void unreadable_files(void **state)
{
  struct fixture f;
  (void)state;
  begin(&f);
  assert_int_equal(options_file(&f.st, "/nonexistent/relay.toml", &f.err), -ENOENT);
  assert_string_equal(f.err.text, "/nonexistent/relay.toml: cannot be read: No such file or directory");
  assert_int_equal(options_file(&f.st, "/tmp", &f.err), -EISDIR);
  assert_int_equal(options_file(&f.st, "/dev/zero", &f.err), -EFBIG);
  assert_int_equal(options_file(&f.st, "/dev/null", &f.err), 0);
  end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults),
      cmocka_unit_test(each_type_from_a_file),
      cmocka_unit_test(each_type_from_the_environment),
      cmocka_unit_test(each_type_from_flags),
      cmocka_unit_test(a_stronger_source_wins),
      cmocka_unit_test(lists_in_files),
      cmocka_unit_test(older_names),
      cmocka_unit_test(the_new_variable_wins_over_the_old),
      cmocka_unit_test(both_names_in_a_file),
      cmocka_unit_test(refused_in_files),
      cmocka_unit_test(later_features_may_be_off),
      cmocka_unit_test(later_features_that_are_on),
      cmocka_unit_test(places),
      cmocka_unit_test(refused_flags),
      cmocka_unit_test(flags_and_positionals),
      cmocka_unit_test(bad_environment),
      cmocka_unit_test(unreadable_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
