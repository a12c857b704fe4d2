/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/relay_config.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void log_renamed(void *ctx, const char *where, const char *old_name, const char *new_name)
{
  (void)old_name; /* part of where */
  log_info(ctx, "%s: older name, now called %s", where, new_name);
}

/* The names that listen.version may list. */
static int check_version(const char *name, struct err *ret_err)
{
  static const char *const known[] = {"moq-lite-01", "moq-lite-02", "moq-lite-03",
                                      "moq-lite-04", "moq-lite-05", "moq-lite-06"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i]) == 0)
      return 0;
  }
  return err_set(ret_err, -ENOTSUP, "listen.version: \"%.60s\" is not one of moq-lite-01 to moq-lite-06", name);
}

/* Contradictions between options, each with what would be right. */
static int check(const struct relay_config *c, struct err *ret_err)
{
  if (c->tls_cert.n != c->tls_key.n)
    return err_set(ret_err, -EINVAL,
                   "listen.tls: %zu certificates but %zu keys; give one key for each certificate",
                   c->tls_cert.n, c->tls_key.n);
  if (c->tls_cert.n + c->tls_generate.n == 0)
    return err_set(
        ret_err, -EINVAL,
        "no certificate: give listen.tls.cert and listen.tls.key, or listen.tls.generate = "
        "[\"localhost\"] for a self-signed one");
  if (c->auth_public.n + c->auth_public_subscribe.n + c->auth_public_publish.n == 0)
    return err_set(
        ret_err, -EINVAL,
        "nobody may connect: write public = \"\" under [auth] (or --auth-public \"\") to let "
        "anyone publish and watch everything, or public = \"anon\" for paths under anon/");
  if (c->listen.n == 0)
    return err_set(ret_err, -EINVAL,
                   "listen.bind: no address to listen on; write for example \"[::]:443\"");
  for (size_t i = 0; i < c->listen_version.n; i++) {
    int rc = check_version(c->listen_version.v[i], ret_err);
    if (rc < 0)
      return rc;
  }
  return 0;
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
static int find_file(int argc, char *const *argv, char *const *env, char **ret_file,
                     struct err *ret_err)
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
    rc = err_set(ret_err, -EINVAL, "two configuration files: \"%.100s\" and \"%.100s\"", positional,
                 scratch.file);
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

static int load(struct relay_config *c, struct option_state *st, const char *file, int argc,
                char *const *argv, char *const *env, struct err *ret_err)
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
  if (c->congestion > CONGESTION_RENO)
    c->congestion -= CONGESTION_RENO + 1; /* loss and delay */
  c->http_listen_set = options_source(st, "web.http.listen") != FROM_DEFAULT;
  return check(c, ret_err);
}

int relay_config_load(struct relay_config *c, int argc, char *const *argv, char *const *env,
                      const struct log *log, enum relay_command *ret_command, struct err *ret_err)
{
  memset(c, 0, sizeof *c);
  *ret_command = early_command(argc, argv);
  if (*ret_command != RELAY_RUN)
    return 0;
  char *file = NULL;
  int rc = find_file(argc, argv, env, &file, ret_err);
  if (rc < 0)
    return rc;
  struct option_state st = {.renamed = log_renamed, .ctx = (void *)(uintptr_t)log};
  rc = load(c, &st, file, argc, argv, env, ret_err);
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
  memset(c, 0, sizeof *c);
}
