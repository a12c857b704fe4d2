/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The relay's own table and checks. */
#include "loading.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ---- */

#define NAMES_MAX 2000

struct name_set {
  const char *kind[NAMES_MAX];
  char *name[NAMES_MAX];
  size_t n;
};

static void add_name(struct name_set *set, const char *kind, const char *name)
{
  for (size_t i = 0; i < set->n; i++) {
    if (strcmp(set->kind[i], kind) == 0 && strcmp(set->name[i], name) == 0)
      fail_msg("two options have the %s %s", kind, name);
  }
  assert_true(set->n < NAMES_MAX);
  set->kind[set->n] = kind;
  set->name[set->n++] = strdup(name);
}

static void add_flag(struct name_set *set, const char *flag)
{
  char env[OPTION_ENV_MAX];
  add_name(set, "flag", flag);
  option_env_name(flag, env);
  add_name(set, "variable", env);
}

static void names_are_unique(void **state)
{
  struct name_set *set = calloc(1, sizeof *set);
  (void)state;
  assert_non_null(set);
  for (size_t i = 0; i < relay_options.count; i++) {
    const struct option *row = &relay_options.rows[i];
    if (row->key)
      add_name(set, "key", row->key);
    if (row->flag)
      add_flag(set, row->flag);
    for (size_t k = 0; k < OPT_NAMES_MAX && row->names[k]; k++) {
      if (strncmp(row->names[k], "--", 2) == 0)
        add_flag(set, row->names[k] + 2);
      else
        add_name(set, "key", row->names[k]);
    }
  }
  for (size_t i = 0; i < set->n; i++)
    free(set->name[i]);
  free(set);
}

static bool flag_is_well_formed(const char *flag)
{
  size_t n = strspn(flag, "abcdefghijklmnopqrstuvwxyz0123456789-");
  return n > 0 && flag[n] == '\0' && flag[0] != '-' && flag[n - 1] != '-';
}

static void rows_are_well_formed(void **state)
{
  (void)state;
  for (size_t i = 0; i < relay_options.count; i++) {
    const struct option *row = &relay_options.rows[i];
    assert_true(row->flag && flag_is_well_formed(row->flag));
    assert_non_null(row->arg);
    assert_true(row->type == OPT_IGNORED || row->help[0] != '\0');
    assert_int_equal(row->type == OPT_CHOICE, row->choices != NULL);
    if (row->type == OPT_BOOL)
      assert_string_equal(row->arg, "");
    else if (row->type < OPT_LATER)
      assert_true(row->arg[0] != '\0');
  }
}

static void every_default_parses(void **state)
{
  struct relay_config c = {0};
  struct option_state st = {0};
  struct err err;
  (void)state;
  assert_int_equal(options_begin(&st, &relay_options, &c, &err), 0);
  options_end(&st);
  options_free(&relay_options, &c);
}

/* ---- loading ---- */

static void nothing_configured(void **state)
{
  (void)state;
  refused(NULL, NONE, NONE, WORDS("no certificate", "listen.tls.generate"));
  refused(NULL, NONE, WORDS("--tls-generate", "localhost"), WORDS("nobody may connect", "--auth-public \"\""));
}

static void flags_alone(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, NULL, NONE, WORDS(BASE_FLAGS));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.command, RELAY_RUN);
  assert_null(l.config.file);
  assert_string_equal(l.config.listen.v[0], "[::]:443");
  assert_int_equal(l.config.auth_public.n, 1);
  assert_string_equal(l.config.auth_public.v[0], "");
  assert_false(l.config.http_listen_set);
  assert_null(l.config.http_listen);
  assert_int_equal(l.config.congestion, CONGESTION_CUBIC);
  assert_int_equal(l.config.log_level, LOG_INFO);
  loading_end(&l);
}

static void file_environment_and_flags(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, BASE "listen.bind = \"[::]:1\"\n[log]\nlevel = \"debug\"\n[web.http]\nlisten = \"\"\n",
             WORDS("MOQ_LISTEN=[::]:2", "MOQ_LOG_LEVEL=warn"), WORDS("--listen", "[::]:3", "--listen=[::]:4"));
  assert_int_equal(l.rc, 0);
  assert_non_null(strstr(l.config.file, "/relay.toml"));
  assert_int_equal(l.config.listen.n, 2);
  assert_string_equal(l.config.listen.v[1], "[::]:4");
  assert_int_equal(l.config.log_level, LOG_WARN);
  assert_true(l.config.http_listen_set);
  assert_string_equal(l.config.http_listen, "");
  assert_string_equal(l.log, "");
  loading_end(&l);
}

static void numbers_and_synonyms(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, BASE "log.level = 4\nquic.congestion_control = \"delay\"\n", NONE, NONE);
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.log_level, LOG_DEBUG);
  assert_int_equal(l.config.congestion, CONGESTION_BBR);
  loading_end(&l);
  loading_do(&l, BASE, NONE, WORDS("--log-level=TRACE", "--quic-congestion-control=loss"));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.log_level, LOG_TRACE);
  assert_int_equal(l.config.congestion, CONGESTION_CUBIC);
  loading_end(&l);
  loading_do(&l, BASE "publish.takeover = \"never\"\n", NONE, NONE);
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.takeover, 1);
  loading_end(&l);
  loading_do(&l, BASE, NONE, WORDS("--quic-congestion-control=reno"));
  assert_int_equal(l.config.congestion, CONGESTION_RENO);
  loading_end(&l);
}

static void older_names_are_told(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l,
             "[server]\nlisten = \"[::]:4443\"\ntls.generate = [\"localhost\"]\n[auth]\npublic = "
             "\"anon\"\n",
             WORDS("MOQ_SERVER_TLS_GENERATE=a,b"), WORDS("--server-bind=[::]:5"));
  assert_int_equal(l.rc, 0);
  assert_string_equal(l.config.listen.v[0], "[::]:5");
  assert_int_equal(l.config.tls_generate.n, 2);
  assert_non_null(strstr(l.log, "relay.toml:2:10: server.listen: older name, now called listen.bind\n"));
  assert_non_null(strstr(l.log, "MOQ_SERVER_TLS_GENERATE: older name, now called MOQ_LISTEN_TLS_GENERATE\n"));
  assert_non_null(strstr(l.log, "--server-bind: older name, now called --listen\n"));
  loading_end(&l);
}

static void tables_of_public_prefixes(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, "listen.tls.generate = \"x\"\n[auth.public]\nsubscribe = [\"a\", \"b\"]\npublish = \"a\"\n", NONE,
             NONE);
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.auth_public.n, 0);
  assert_int_equal(l.config.auth_public_subscribe.n, 2);
  assert_int_equal(l.config.auth_public_publish.n, 1);
  loading_end(&l);
  loading_do(&l, "listen.tls.generate = \"x\"\n[auth]\npublic = [\"a\", \"b/c\"]\n", NONE, NONE);
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.auth_public.n, 2);
  loading_end(&l);
  refused("listen.tls.generate = \"x\"\nauth.public = []\n", NONE, NONE, WORDS("relay.toml: nobody may connect"));
}

static void contradictions(void **state)
{
  (void)state;
  refused(BASE "web.https.listen = \"[::]:443\"\n", NONE, NONE,
          WORDS("relay.toml:3:20: web.https.listen", "needs a certificate", "web.https.key"));
  refused(BASE "web.https.cert = \"a\"\n", NONE, NONE,
          WORDS("relay.toml:3:18: web.https.cert", "1 certificates but 0 keys"));
  refused(BASE "listen.bind = \"4443\"\n", NONE, NONE,
          WORDS("relay.toml:3:15: listen.bind: \"4443\" is not an address", "\"[::]:4443\""));
  refused(BASE, NONE, WORDS("--web-http-listen=::1:80"), WORDS("--web-http-listen: \"::1:80\" is not an address"));
  refused(BASE, WORDS("MOQ_WEB_ALLOW_ORIGIN=https://a.example/x"), NONE,
          WORDS("MOQ_WEB_ALLOW_ORIGIN: \"https://a.example/x\" is not an origin", "without a path"));
  refused(BASE "limits.frame_bytes = \"64MiB\"\n", NONE, NONE,
          WORDS("relay.toml:3:22: limits.frame_bytes", "limits.group_bytes"));
  refused(BASE, NONE, WORDS("--quic-receive-window=1KiB"),
          WORDS("--quic-receive-window: \"1KiB\" is not at least 65536 bytes"));
  refused(BASE "limits.message_bytes = \"2MiB\"\n", NONE, NONE,
          WORDS("relay.toml:3:24: limits.message_bytes: \"2MiB\" is not between 1024 and 1048576 bytes"));
  refused(BASE "log.format = \"xml\"\n", NONE, NONE, WORDS("log.format", "one of text, json"));
  refused("listen.tls.cert = [\"a\", \"b\"]\nlisten.tls.key = \"a\"\nauth.public = \"\"\n", NONE, NONE,
          WORDS("2 certificates but 1 keys"));
  refused(BASE "listen.bind = []\n", NONE, NONE, WORDS("no address to listen on"));
  refused(BASE, NONE, WORDS("--listen-version=moq-lite-09"),
          WORDS("--listen-version: \"moq-lite-09\" is not one of moq-lite-01 to", "moq-lite-07-wip"));
  refused(BASE "listen.version = [\"moq-lite-06\", \"moq-lite-07\"]\n", NONE, NONE,
          WORDS("relay.toml:3:19: listen.version: \"moq-lite-07\" is not one of", "moq-lite-07-wip"));
  refused(BASE "server.bind = \"[::]:1\"\nlisten.bind = \"[::]:2\"\n", NONE, NONE,
          WORDS("listen.bind: is the same option as server.bind"));
  refused(BASE "quic.max_streams = 1\n", NONE, NONE, WORDS("quic.max_streams: \"1\" is not a whole number from 16"));
}

/* A version that is spoken only when it is named is one that may be named. */
static void unfinished_versions_may_be_named(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, BASE, NONE, WORDS("--listen-version=moq-lite-07-wip"));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.listen_version.n, 1);
  assert_int_equal(l.config.missing.n, 0);
  loading_end(&l);
}

static void wrong_files(void **state)
{
  (void)state;
  refused(NULL, NONE, WORDS("/nonexistent.toml"), WORDS("/nonexistent.toml: cannot be read: No such file"));
  refused(NULL, WORDS("MOQ_FILE=/nonexistent.toml"), NONE, WORDS("/nonexistent.toml: cannot be read"));
  refused(BASE "[listen\n", NONE, NONE, WORDS("relay.toml:3:"));
  refused(BASE, NONE, WORDS("--file=/other.toml"), WORDS("two configuration files", "/other.toml"));
  refused(BASE, NONE, WORDS("second.toml"), WORDS("unexpected argument \"second.toml\""));
}

static void the_file_by_flag_or_variable(void **state)
{
  char path[] = "/tmp/moq-config-file-XXXXXX", flag[64], variable[64];
  int fd = mkstemp(path);
  struct loading l;
  (void)state;
  assert_true(fd >= 0);
  assert_int_equal(write(fd, BASE, strlen(BASE)), strlen(BASE));
  close(fd);
  snprintf(flag, sizeof flag, "--file=%s", path);
  snprintf(variable, sizeof variable, "MOQ_FILE=%s", path);
  loading_do(&l, NULL, NONE, WORDS(flag));
  assert_int_equal(l.rc, 0);
  assert_string_equal(l.config.file, path);
  loading_end(&l);
  loading_do(&l, NULL, NONE, WORDS(flag, path)); /* the same twice */
  assert_int_equal(l.rc, 0);
  loading_end(&l);
  loading_do(&l, NULL, WORDS(variable), NONE);
  assert_int_equal(l.rc, 0);
  assert_string_equal(l.config.file, path);
  loading_end(&l);
  loading_do(&l, NULL, WORDS("MOQ_FILE=/nonexistent"), WORDS(path)); /* the command line is stronger */
  assert_int_equal(l.rc, 0);
  loading_end(&l);
  unlink(path);
}

static void commands(void **state)
{
  struct loading l;
  static const struct {
    const char *flag;
    enum relay_command want;
  } rows[] = {{"--help", RELAY_HELP}, {"-h", RELAY_HELP}, {"--version", RELAY_VERSION}, {"-V", RELAY_VERSION}};
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    loading_do(&l, NULL, NONE, WORDS("--no-such-thing", rows[i].flag));
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.command, rows[i].want);
    loading_end(&l);
  }
  loading_do(&l, BASE, NONE, WORDS("--check-config"));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.command, RELAY_CHECK);
  loading_end(&l);
  refused("listen.tls.generate = \"x\"\n", NONE, WORDS("--check-config"), WORDS("nobody may connect"));
}

/* Every option of a later version is refused by name when it is on, from each source, and accepted
 * when it is off. */
static void later_options(void **state)
{
  (void)state;
  for (size_t i = 0; i < relay_options.count; i++) {
    const struct option *row = &relay_options.rows[i];
    char flag[128], off[128], variable[OPTION_ENV_MAX], env[160], text[256];
    struct loading l;
    if (row->type != OPT_LATER && row->type != OPT_ABSENT)
      continue;
    snprintf(flag, sizeof flag, "--%s=true", row->flag);
    refused(BASE, NONE, WORDS(flag), WORDS(row->flag, row->help, "not supported"));
    option_env_name(row->flag, variable);
    snprintf(env, sizeof env, "%s=1", variable);
    refused(BASE, WORDS(env), NONE, WORDS(variable, row->help, "not supported"));
    snprintf(text, sizeof text, BASE "%s = true\n", row->key);
    if (strcmp(row->key, "auth.public.api") == 0) /* public cannot be a string as well */
      snprintf(text, sizeof text, "listen.tls.generate = \"x\"\nauth.public.publish = \"\"\n%s = true\n", row->key);
    refused(text, NONE, NONE, WORDS(row->key, row->help, "not supported"));
    snprintf(off, sizeof off, "--%s=false", row->flag);
    loading_do(&l, BASE, NONE, WORDS(off));
    assert_int_equal(l.rc, 0);
    loading_end(&l);
  }
}

/* An auth server decides alone, and what is for it needs one. */
static void an_auth_server_is_alone(void **state)
{
  static const char *const beside[] = {"key", "key_dir", "public", "public_subscribe", "public_publish"};
  static const char *const lost[] = {"node = \"x\"", "tls.root = \"x\"", "tls.cert = \"x\"", "tls.key = \"x\"",
                                     "tls.disable_verify = true"};
  struct loading l;
  char text[200];
  (void)state;
#define SERVER "listen.tls.generate = \"x\"\n[auth]\nurl = \"https://x\"\n"
  for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
    snprintf(text, sizeof text, SERVER "%s = \"a\"\n", beside[i]);
    refused(text, NONE, NONE, WORDS("relay.toml:4:", beside[i], "together with auth.url", "leave one of the two out"));
  }
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
    snprintf(text, sizeof text, "listen.tls.generate = \"x\"\n[auth]\npublic = \"a\"\n%s\n", lost[i]);
    refused(text, NONE, NONE, WORDS("relay.toml:4:", "name one with auth.url"));
  }
  refused(SERVER "tls.cert = \"a\"\n", NONE, NONE, WORDS("relay.toml:4:", "give both"));
  refused(SERVER "tls.key = \"a\"\n", NONE, NONE, WORDS("relay.toml:4:", "give both"));
  refused(SERVER "tls.root = \"a\"\ntls.disable_verify = true\n", NONE, NONE, WORDS("relay.toml:5:", "leave one"));
  refused("listen.tls.generate = \"x\"\nauth.url = \"127.0.0.1:4440\"\n", NONE, WORDS("--check-config"),
          WORDS("relay.toml:2:", "unix:PATH"));
  refused(SERVER "timeout = \"11s\"\n", NONE, NONE, WORDS("relay.toml:4:", "from 100ms to 10s"));
  loading_do(&l, SERVER "public = []\ntls.cert = \"a\"\ntls.key = \"b\"\n", NONE, NONE);
  assert_int_equal(l.rc, 0);
  loading_end(&l);
#undef SERVER
}

/* --check-config takes features of later versions and says so; what is not planned it refuses. */
static void checking_notes_later_options(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, "listen.tls.generate = \"x\"\nauth.api = \"k\"\n[stats]\nenabled = true\n", NONE,
             WORDS("--check-config"));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.command, RELAY_CHECK);
  assert_int_equal(l.config.missing.n, 2);
  assert_non_null(strstr(l.config.missing.v[0], "relay.toml:2:12: auth.api: "));
  assert_non_null(strstr(l.config.missing.v[1], "relay.toml:4:11: stats.enabled: "));
  loading_end(&l);
  loading_do(&l, BASE, NONE, WORDS("--check-config", "--listen-version=moq-lite-06,moq-transport-16,moq-lite-07-wip"));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.missing.n, 1);
  assert_non_null(strstr(l.config.missing.v[0], "--listen-version: MoQ version \"moq-transport-16\" is not"));
  loading_end(&l);
  refused(BASE, NONE, WORDS("--listen-version=moq-transport-16"), WORDS("--listen-version", "moq-transport-16"));
  refused(BASE "iroh.enabled = true\n", NONE, WORDS("--check-config"),
          WORDS("relay.toml:3:16: iroh.enabled: iroh", "not supported"));
  refused(BASE "cluster.lan.enabled = true\n", NONE, WORDS("--check-config"), WORDS("LAN discovery"));
}

static void new_options(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l,
             BASE "state_dir = \"/var/lib/x\"\nlog.format = \"JSON\"\n[web]\nallow_origin = "
                  "[\"https://a.example\", \"http://localhost:8080\"]\n[web.https]\nlisten = "
                  "\"[::]:443\"\ncert = \"c\"\nkey = [\"k\"]\n",
             NONE, NONE);
  assert_int_equal(l.rc, 0);
  assert_string_equal(l.config.state_dir, "/var/lib/x");
  assert_int_equal(l.config.log_format, 1);
  assert_int_equal(l.config.allow_origin.n, 2);
  assert_string_equal(l.config.https_listen, "[::]:443");
  assert_string_equal(l.config.https_cert.v[0], "c");
  assert_string_equal(l.config.https_key.v[0], "k");
  loading_end(&l);
  loading_do(&l, BASE, NONE, NONE);
  assert_int_equal(l.config.allow_origin.n, 1);
  assert_string_equal(l.config.allow_origin.v[0], "*");
  assert_int_equal(l.config.log_format, 0);
  loading_end(&l);
}

/* Flags without a value that are ignored do not swallow the file's name. */
static void ignored_flags(void **state)
{
  struct loading l;
  (void)state;
  loading_do(&l, NULL, NONE, WORDS("--tls-disable-verify", "/nonexistent.toml"));
  assert_true(l.rc < 0);
  assert_non_null(strstr(l.err.text, "/nonexistent.toml: cannot be read"));
  loading_do(&l, BASE "client.tls.disable_verify = true\niroh.secret = \"x\"\n", WORDS("MOQ_CLIENT_BIND=[::]:0"),
             WORDS("--tls-root", "a.pem"));
  assert_int_equal(l.rc, 0);
  loading_end(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_unique),
      cmocka_unit_test(rows_are_well_formed),
      cmocka_unit_test(every_default_parses),
      cmocka_unit_test(nothing_configured),
      cmocka_unit_test(flags_alone),
      cmocka_unit_test(file_environment_and_flags),
      cmocka_unit_test(numbers_and_synonyms),
      cmocka_unit_test(older_names_are_told),
      cmocka_unit_test(tables_of_public_prefixes),
      cmocka_unit_test(contradictions),
      cmocka_unit_test(unfinished_versions_may_be_named),
      cmocka_unit_test(wrong_files),
      cmocka_unit_test(the_file_by_flag_or_variable),
      cmocka_unit_test(commands),
      cmocka_unit_test(later_options),
      cmocka_unit_test(checking_notes_later_options),
      cmocka_unit_test(an_auth_server_is_alone),
      cmocka_unit_test(new_options),
      cmocka_unit_test(ignored_flags),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
