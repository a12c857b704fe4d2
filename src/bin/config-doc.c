/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prints doc/config.md, or dev/full.toml with --toml, from the relay's option table. With a file's
 * name as last argument it compares instead, and fails when the file is not what the table says. */
#include "config/relay_config.h"
#include <stdio.h>
#include <stdlib.h>

static const char intro[] =
    "# Options of moq-relay\n"
    "\n"
    "This page is printed from the table in `src/config/relay_options.c` (`make doc`); do not edit "
    "it.\n"
    "\n"
    "Every option has one place in a TOML file, one flag and one environment variable:\n"
    "\n"
    "- The file is the first argument (`moq-relay relay.toml`), or `--file`, or `MOQ_FILE`. A key "
    "`listen.tls.cert` is `cert`\n"
    "  in the section `[listen.tls]`, or written with dots.\n"
    "- The flag is `--name VALUE` or `--name=VALUE`. Switches are `--name`, or `--name=true` and "
    "`--name=false`.\n"
    "- The variable is `MOQ_` and the flag in capitals: `--listen-tls-cert` is "
    "`MOQ_LISTEN_TLS_CERT`.\n"
    "\n"
    "A flag is stronger than the environment, which is stronger than the file. Lists are a string\n"
    "or an array of strings in the file; on the command line the flag is repeated, or commas "
    "separate\n"
    "(also in the environment); a list replaces the one of a weaker source. Times are written "
    "`10s`,\n"
    "`500ms`, `2m`, `1h 30m`; sizes `1000`, `512MB`, `8GiB`, `50%` (of the memory). An unknown key "
    "or\n"
    "flag is an error. `moq-relay --check-config relay.toml` says whether a file is fine.\n"
    "\n"
    "`RUST_LOG`, where it is set, is stronger than `log.level` from wherever, as in the Rust relays: a level, or\n"
    "`moq_relay=LEVEL` among its directives.\n";

static const char *type_name(const struct option *row)
{
  static const char *const names[] = {
      [OPT_STRING] = "text",   [OPT_LIST] = "list", [OPT_BOOL] = "switch",  [OPT_INT] = "number",
      [OPT_DURATION] = "time", [OPT_SIZE] = "size", [OPT_CHOICE] = "choice"};
  return names[row->type];
}

/* Up to the first dot; options of the top level come under their own heading. */
static size_t section_length(const struct option *row)
{
  const char *dot = row->key ? strchr(row->key, '.') : NULL;
  return dot ? (size_t)(dot - row->key) : 0;
}

static bool same_section(const struct option *a, const struct option *b)
{
  size_t n = section_length(a);
  return n == section_length(b) && (n == 0 || memcmp(a->key, b->key, n) == 0);
}

static void put_default(FILE *f, const struct option *row)
{
  if (row->value && row->value[0])
    fprintf(f, "`%s`", row->value);
}

/* A cell: '|' would end it. */
static void put_text(FILE *f, const char *text)
{
  for (; *text; text++)
    fprintf(f, *text == '|' ? "\\|" : "%c", *text);
}

static void put_row(FILE *f, const struct option *row)
{
  if (row->key)
    fprintf(f, "| `%s` | `--%s`", row->key, row->flag);
  else
    fprintf(f, "| | `--%s`", row->flag);
  fprintf(f, " | %s | ", type_name(row));
  put_default(f, row);
  fprintf(f, " | ");
  put_text(f, row->help);
  fprintf(f, " |\n");
}

static void put_heading(FILE *f, const struct option *row)
{
  int n = (int)section_length(row);
  if (n > 0)
    fprintf(f, "\n## %.*s\n", n, row->key);
  else
    fprintf(f, "\n## Top level\n");
  fprintf(f, "\n| key | flag | type | default | what |\n| --- | --- | --- | --- | --- |\n");
}

/* Rows of a section are not all neighbours in the table. */
static void put_section(FILE *f, const struct option_table *t, size_t first)
{
  const struct option *head = &t->rows[first];
  for (size_t i = 0; i < first; i++) {
    if (t->rows[i].type < OPT_LATER && same_section(&t->rows[i], head))
      return;
  }
  put_heading(f, head);
  for (size_t i = first; i < t->count; i++) {
    if (t->rows[i].type < OPT_LATER && same_section(&t->rows[i], head))
      put_row(f, &t->rows[i]);
  }
}

static void put_features(FILE *f, const struct option_table *t, enum option_type type)
{
  fprintf(f, "\n| key | flag | feature |\n| --- | --- | --- |\n");
  for (size_t i = 0; i < t->count; i++) {
    if (t->rows[i].type == type)
      fprintf(f, "| `%s` | `--%s` | %s |\n", t->rows[i].key, t->rows[i].flag, t->rows[i].help);
  }
}

static void put_later(FILE *f, const struct option_table *t)
{
  fprintf(f, "\n## Not there yet\n\nKnown names of features that this version has not got. Turned "
             "on they are an error that "
             "names them; `false`, `\"\"`, `0`\nand `[]` are fine. `--check-config` lists them and "
             "passes.\n");
  put_features(f, t, OPT_LATER);
  fprintf(f, "\n## Not planned\n\nKnown names of features that this relay has not got; "
             "`--check-config` refuses them too.\n");
  put_features(f, t, OPT_ABSENT);
}

static void put_ignored(FILE *f, const struct option_table *t)
{
  fprintf(f, "\n## Accepted without a meaning\n\nSettings of features that are not there, which do "
             "nothing by themselves:\n\n");
  for (size_t i = 0; i < t->count; i++) {
    if (t->rows[i].type == OPT_IGNORED)
      fprintf(f, "- `%s`, `--%s`\n", t->rows[i].key, t->rows[i].flag);
  }
}

static void put_names(FILE *f, const struct option *row)
{
  for (size_t k = 0; k < OPT_NAMES_MAX && row->names[k]; k++) {
    bool flag = strncmp(row->names[k], "--", 2) == 0;
    fprintf(f, "| `%s` | `%s%s` |\n", row->names[k], flag ? "--" : "", flag ? row->flag : row->key);
  }
}

static void put_older(FILE *f, const struct option_table *t)
{
  fprintf(f, "\n## Older names\n\nNames of earlier relays still work; the log says what they are "
             "called now. The variable of an "
             "older flag works too.\n\n| older | now |\n| --- | --- |\n");
  for (size_t i = 0; i < t->count; i++)
    put_names(f, &t->rows[i]);
}

static void put_page(FILE *f, const struct option_table *t)
{
  fputs(intro, f);
  for (size_t i = 0; i < t->count; i++) {
    if (t->rows[i].type < OPT_LATER)
      put_section(f, t, i);
  }
  put_later(f, t);
  put_ignored(f, t);
  put_older(f, t);
}

/* ---- the example file ---- */

static const char example_intro[] =
    "# Every option of moq-relay with its default; what has none is a comment with an example.\n"
    "# Printed from the table in src/config/relay_options.c ('make doc'); do not edit it.\n"
    "# doc/config.md has the flags, the variables and the older names.\n";

/* Values for what has no default. `live`: a relay needs it to start. */
static const struct {
  const char *key, *value;
  bool live;
} examples[] = {
    {"listen.version", "[\"moq-lite-05\", \"moq-lite-06\"]", false},
    {"listen.tls.cert", "[\"/etc/moq-relay/cert.pem\"]", false},
    {"listen.tls.key", "[\"/etc/moq-relay/key.pem\"]", false},
    {"listen.tls.generate", "[\"localhost\"]", true},
    {"auth.public", "\"\"", true},
    {"auth.public_subscribe", "[\"demo\"]", false},
    {"auth.public_publish", "[\"anon\"]", false},
    {"web.http.listen", "\"127.0.0.1:443\"", false},
    {"web.https.listen", "\"[::]:443\"", false},
    {"web.https.cert", "[\"/etc/moq-relay/cert.pem\"]", false},
    {"web.https.key", "[\"/etc/moq-relay/key.pem\"]", false},
    {"web.root", "\"/usr/share/moq-relay/web\"", false},
    {"state_dir", "\"/var/lib/moq-relay\"", false},
};

/* Up to the last dot. */
static size_t table_length(const struct option *row)
{
  const char *dot = strrchr(row->key, '.');
  return dot ? (size_t)(dot - row->key) : 0;
}

/* The file's own name is no setting. */
static bool in_example(const struct option *row)
{
  return row->key && row->type < OPT_LATER && strcmp(row->key, "file") != 0;
}

static void put_value(FILE *f, const struct option *row)
{
  bool plain = row->type == OPT_BOOL || row->type == OPT_INT;
  fprintf(f, plain ? "%s\n" : "\"%s\"\n", row->value);
}

static void put_setting(FILE *f, const struct option *row)
{
  const char *name = row->key + table_length(row) + (table_length(row) > 0);
  fprintf(f, "\n# %s\n", row->help);
  if (row->value) {
    fprintf(f, "%s = ", name);
    put_value(f, row);
    return;
  }
  size_t i = 0, count = sizeof examples / sizeof *examples;
  while (i < count && strcmp(examples[i].key, row->key) != 0)
    i++;
  bool live = i < count && examples[i].live;
  fprintf(f, "%s%s = %s\n", live ? "" : "# ", name, i < count ? examples[i].value : "\"\"");
}

static bool same_table(const struct option *a, const struct option *b)
{
  size_t n = table_length(a);
  return n == table_length(b) && memcmp(a->key, b->key, n) == 0;
}

static void put_table(FILE *f, const struct option_table *t, size_t first)
{
  const struct option *head = &t->rows[first];
  for (size_t i = 0; i < first; i++) {
    if (in_example(&t->rows[i]) && same_table(&t->rows[i], head))
      return;
  }
  if (table_length(head) > 0)
    fprintf(f, "\n[%.*s]\n", (int)table_length(head), head->key);
  for (size_t i = first; i < t->count; i++) {
    if (in_example(&t->rows[i]) && same_table(&t->rows[i], head))
      put_setting(f, &t->rows[i]);
  }
}

/* Settings of the top level have to come before the first table. */
static void put_example(FILE *f, const struct option_table *t)
{
  fputs(example_intro, f);
  for (int top = 1; top >= 0; top--) {
    for (size_t i = 0; i < t->count; i++) {
      if (in_example(&t->rows[i]) && (table_length(&t->rows[i]) == 0) == top)
        put_table(f, t, i);
    }
  }
}

/* 1 when the file is not `page`. */
static int compare(const char *path, const char *page, size_t n)
{
  FILE *f = fopen(path, "r");
  size_t at = 0;
  int c = EOF;
  while (f && at < n && (c = getc(f)) == (unsigned char)page[at])
    at++;
  bool same = f && at == n && getc(f) == EOF;
  if (f)
    fclose(f);
  if (!same)
    fprintf(stderr, "%s is not what the option table says; run 'make doc'\n", path);
  return same ? 0 : 1;
}

int main(int argc, char **argv)
{
  bool example = argc > 1 && strcmp(argv[1], "--toml") == 0;
  const char *file = argc > 1 + example ? argv[1 + example] : NULL;
  char *page = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&page, &n);
  if (!f)
    return 1;
  if (example)
    put_example(f, &relay_options);
  else
    put_page(f, &relay_options);
  if (fclose(f) != 0)
    return 1;
  int rc = 0;
  if (file)
    rc = compare(file, page, n);
  else if (fwrite(page, 1, n, stdout) != n || fflush(stdout) != 0)
    rc = 1;
  free(page);
  return rc;
}
