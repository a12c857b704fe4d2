/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prints doc/config.md from the relay's option table. With a file's name as argument it compares
 * instead, and fails when the file is not what the table says. */
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
    "or an array of strings in the file; on the command line the flag is repeated, or commas separate\n"
    "(also in the environment); a list replaces the one of a weaker source. Times are written `10s`,\n"
    "`500ms`, `2m`, `1h 30m`; sizes `1000`, `512MB`, `8GiB`, `50%` (of the memory). An unknown key or\n"
    "flag is an error. `moq-relay --check-config relay.toml` says whether a file is fine.\n";

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

static void put_later(FILE *f, const struct option_table *t)
{
  fprintf(f, "\n## Not there yet\n\nKnown names of features that this version has not got. Turned "
             "on they are an error that "
             "names them; `false`, `\"\"`, `0`\nand `[]` are fine.\n\n| key | flag | feature |\n| "
             "--- | --- | --- |\n");
  for (size_t i = 0; i < t->count; i++) {
    if (t->rows[i].type == OPT_LATER)
      fprintf(f, "| `%s` | `--%s` | %s |\n", t->rows[i].key, t->rows[i].flag, t->rows[i].help);
  }
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
  char *page = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&page, &n);
  if (!f)
    return 1;
  put_page(f, &relay_options);
  if (fclose(f) != 0)
    return 1;
  int rc = 0;
  if (argc > 1)
    rc = compare(argv[1], page, n);
  else if (fwrite(page, 1, n, stdout) != n || fflush(stdout) != 0)
    rc = 1;
  free(page);
  return rc;
}
