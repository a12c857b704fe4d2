/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/relay_check.h"
#include "config/rust_log.h"
#include "config/values.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Remarks are kept until the log knows how it is to be written. */
static void note_renamed(void *ctx, const char *where, const char *old_name, const char *new_name)
{
  struct strlist *remarks = ctx;
  struct err line;
  (void)old_name; /* part of where */
  err_set(&line, 0, "%.300s: older name, now called %s", where, new_name);
  (void)strlist_add(remarks, line.text, strlen(line.text)); /* without memory there is worse to come */
}

static void tell(struct strlist *remarks, const struct relay_config *c, struct log *log, bool loaded)
{
  if (log && loaded) {
    log->level = (enum log_level)c->log_level;
    log->format = (enum log_format)c->log_format;
  }
  for (size_t i = 0; i < remarks->n; i++)
    log_info(log, "%s", remarks->v[i]);
  strlist_clear(remarks);
}

/* The words that need no configuration. */
static enum relay_command early_command(int argc, char *const *argv)
{
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return RELAY_HELP;
    if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0)
      return RELAY_VERSION;
  }
  return RELAY_RUN;
}

/* The file is named by the positional, --file or MOQ_FILE, but read before flags and environment
 * take effect: they are parsed once into a scratch target to find it, then everything is applied in
 * order of precedence. */
static int find_file(int argc, char *const *argv, char *const *env, char **ret_file, struct err *ret_err)
{
  struct relay_config scratch = {0};
  struct option_state st = {0};
  const char *positional = NULL;
  size_t count = 0;
  int rc = options_begin(&st, &relay_options, &scratch, ret_err);
  if (rc == 0)
    rc = options_environment(&st, env, ret_err);
  if (rc == 0)
    rc = options_flags(&st, argc - 1, argv + 1, &positional, 1, &count, ret_err);
  bool both = rc == 0 && count == 1 && options_source(&st, "file") == FROM_FLAG;
  if (both && strcmp(scratch.file, positional) != 0)
    rc = err_set(ret_err, -EINVAL, "two configuration files: \"%.100s\" and \"%.100s\"", positional, scratch.file);
  if (rc == 0) {
    const char *file = count == 1 ? positional : scratch.file;
    *ret_file = file ? strdup(file) : NULL;
    if (file && !*ret_file)
      rc = err_set(ret_err, -ENOMEM, "out of memory");
  }
  options_end(&st);
  options_free(&relay_options, &scratch);
  return rc;
}

static int note_missing(struct relay_config *c, const struct err *note, struct err *ret_err)
{
  return strlist_add(&c->missing, note->text, strlen(note->text)) < 0 ? err_set(ret_err, -ENOMEM, "out of memory") : 0;
}

static int check_later_versions(struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < c->listen_version.n; i++) {
    struct err note;
    if (!relay_config_later_version(c->listen_version.v[i]))
      continue;
    err_set(&note, 0, "%s: MoQ version \"%.60s\" is not supported by this version of moq-relay",
            options_where(st, "listen.version"), c->listen_version.v[i]);
    rc = note_missing(c, &note, ret_err);
  }
  return rc;
}

/* Features that are not there and are turned on: those of later versions are errors only for a
 * start. */
static int check_features(struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  struct err note;
  size_t at = 0;
  if (options_missing(st, OPT_ABSENT, &at, ret_err))
    return -ENOTSUP;
  int rc = check_later_versions(c, st, ret_err);
  for (at = 0; rc == 0 && options_missing(st, OPT_LATER, &at, &note);)
    rc = note_missing(c, &note, ret_err);
  if (rc < 0)
    return rc;
  if (c->check_config || c->missing.n == 0)
    return 0;
  err_set(&note, 0, " (and %zu more, --check-config lists them)", c->missing.n - 1);
  return err_set(ret_err, -ENOTSUP, "%s%s", c->missing.v[0], c->missing.n > 1 ? note.text : "");
}

/* As the Rust relays have it: over the file, MOQ_LOG_LEVEL and the flag. */
static void obey_rust_log(struct relay_config *c, char *const *env)
{
  enum log_level level;
  for (; env && *env; env++) {
    if (strncmp(*env, "RUST_LOG=", 9) == 0 && rust_log_level(*env + 9, &level))
      c->log_level = level;
  }
}

static int load(struct relay_config *c, struct option_state *st, const char *file, int argc, char *const *argv,
                char *const *env, struct err *ret_err)
{
  const char *positional;
  size_t count;
  int rc = options_begin(st, &relay_options, c, ret_err);
  if (rc == 0 && file)
    rc = options_file(st, file, ret_err);
  if (rc == 0)
    rc = options_environment(st, env, ret_err);
  if (rc == 0)
    rc = options_flags(st, argc - 1, argv + 1, &positional, 1, &count, ret_err);
  if (rc < 0)
    return rc;
  free(c->file); /* a file may have a "file" of its own, which means nothing */
  c->file = file ? strdup(file) : NULL;
  if (file && !c->file)
    return err_set(ret_err, -ENOMEM, "out of memory");
  c->log_level %= LOG_TRACE + 1; /* the numbers follow the names */
  obey_rust_log(c, env);
  if (c->congestion > CONGESTION_RENO)
    c->congestion -= CONGESTION_RENO + 1; /* loss and delay */
  c->http_listen_set = options_source(st, "web.http.listen") != FROM_DEFAULT;
  rc = check_features(c, st, ret_err);
  return rc < 0 ? rc : relay_config_check(c, st, ret_err);
}

int relay_config_load(struct relay_config *c, int argc, char *const *argv, char *const *env, struct log *log,
                      enum relay_command *ret_command, struct err *ret_err)
{
  memset(c, 0, sizeof *c);
  *ret_command = early_command(argc, argv);
  if (*ret_command != RELAY_RUN)
    return 0;
  char *file = NULL;
  int rc = find_file(argc, argv, env, &file, ret_err);
  if (rc < 0)
    return rc;
  struct strlist remarks = {0};
  struct option_state st = {.renamed = note_renamed, .ctx = &remarks};
  rc = load(c, &st, file, argc, argv, env, ret_err);
  tell(&remarks, c, log, rc == 0);
  options_end(&st);
  free(file);
  if (rc < 0) {
    relay_config_free(c);
    return rc;
  }
  if (c->check_config)
    *ret_command = RELAY_CHECK;
  return 0;
}

void relay_config_free(struct relay_config *c)
{
  options_free(&relay_options, c);
  strlist_clear(&c->missing);
  memset(c, 0, sizeof *c);
}
