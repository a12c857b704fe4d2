/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prints the manual page of a program from its option tables:
 *
 *   man-doc moq|moq-relay|moq-token [FILE]
 *
 * With a file it compares instead, and fails when the file is not what the tables say. */
#include "config/relay_config.h"
#include "moq.h"
#include "token.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- roff ---- */

/* Text, with what roff would take for its own escaped. `line` tells whether it begins one. */
static void put_text(FILE *f, const char *text, bool line)
{
  for (; *text; text++) {
    if (line && (*text == '.' || *text == '\''))
      fputs("\\&", f);
    if (*text == '\\')
      fputs("\\e", f);
    else if (*text == '-')
      fputs("\\-", f);
    else
      fputc(*text, f);
    line = *text == '\n';
  }
}

static void put_heading(FILE *f, const char *text)
{
  fprintf(f, ".SH %s\n", text);
}

/* A paragraph whose lines stay as they are. */
static void put_verbatim(FILE *f, const char *text)
{
  fputs(".nf\n", f);
  put_text(f, text, true);
  fputs(".fi\n", f);
}

static void put_title(FILE *f, const char *program, const char *what)
{
  fprintf(f, ".\\\" Printed from the tables of options (make doc); do not edit it.\n.TH ");
  for (const char *c = program; *c; c++)
    fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, f);
  fprintf(f, " 1 \"\" \"moq\\-relay\"\n.SH NAME\n");
  put_text(f, program, true);
  fputs(" \\- ", f);
  put_text(f, what, false);
  fputc('\n', f);
}

/* ---- options ---- */

static void put_option(FILE *f, const struct option *row)
{
  char name[OPTION_ENV_MAX];
  option_env_name(row->flag, name);
  fputs(".TP\n\\fB\\-\\-", f);
  put_text(f, row->flag, false);
  fputs("\\fR", f);
  if (row->arg && row->arg[0]) {
    fputs(" \\fI", f);
    put_text(f, row->arg, false);
    fputs("\\fR", f);
  }
  fputc('\n', f);
  put_text(f, row->help, true);
  fputs(".\n", f);
  if (row->value && row->value[0] && strcmp(row->value, "false") != 0) {
    fputs("Default: ", f);
    put_text(f, row->value, false);
    fputs(".\n", f);
  }
  fprintf(f, "(%s)\n", name);
}

static void put_options(FILE *f, const struct option_table *t)
{
  for (size_t i = 0; i < t->count; i++) {
    if (t->rows[i].flag && t->rows[i].type < OPT_LATER)
      put_option(f, &t->rows[i]);
  }
}

/* ---- moq(1) ---- */

static bool is_shared(const struct option *row)
{
  static const struct option shared[] = {CONNECTION_OPTION_ROWS(struct { struct connection_options connection; })};
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
    if (strcmp(shared[i].key, row->key) == 0)
      return true;
  }
  return false;
}

/* Those that are the command's own, or those that all commands have. */
static void put_command_options(FILE *f, const struct command *c, bool shared)
{
  const struct option_table *t = c->options;
  for (size_t i = 0; i < t->count; i++) {
    if (is_shared(&t->rows[i]) == shared)
      put_option(f, &t->rows[i]);
  }
}

static void put_synopsis(FILE *f)
{
  put_heading(f, "SYNOPSIS");
  for (const struct command *const *c = commands; *c; c++) {
    fputs(c == commands ? "\\fBmoq\\fR " : ".br\n\\fBmoq\\fR ", f);
    put_text(f, (*c)->usage, false);
    fputc('\n', f);
  }
}

static void put_command(FILE *f, const struct command *c)
{
  fputs(".SS ", f);
  put_text(f, c->usage, false);
  fputc('\n', f);
  put_text(f, c->summary, true);
  fputs(".\n.PP\n", f);
  put_verbatim(f, c->details);
  put_command_options(f, c, false);
}

static void put_codes(FILE *f)
{
  put_heading(f, "EXIT STATUS");
  fputs("A line on stderr says more; with \\fB\\-\\-json\\fR its member \"error\" is the name.\n", f);
  for (const struct exit_meaning *m = program_exit_codes; m->text; m++) {
    fprintf(f, ".TP\n\\fB%d\\fR ", (int)m->code);
    put_text(f, m->name, false);
    fputc('\n', f);
    put_text(f, m->text, true);
    fputs(".\n", f);
  }
}

static void put_moq(FILE *f)
{
  put_title(f, "moq", "publish live media to a Media over QUIC relay, and watch it");
  put_synopsis(f);
  put_heading(f, "DESCRIPTION");
  fputs("The \\fIURL\\fR of the relay is one of\n", f);
  put_verbatim(f, moq_url_help);
  fputs(".PP\nMedia come on stdin and go to stdout; everything else is said on stderr. Each option\n"
        "has an environment variable, named behind it, which the flag overrides.\n",
        f);
  put_heading(f, "COMMANDS");
  for (const struct command *const *c = commands; *c; c++)
    put_command(f, *c);
  put_heading(f, "OPTIONS OF ALL COMMANDS");
  put_command_options(f, commands[0], true);
  put_codes(f);
  put_heading(f, "SEE ALSO");
  fputs(".BR moq\\-relay (1)\n", f);
}

/* ---- moq-relay(1) ---- */

static void put_relay(FILE *f)
{
  put_title(f, "moq-relay", "forward live media from publishers to any number of viewers");
  put_heading(f, "SYNOPSIS");
  fputs("\\fBmoq\\-relay\\fR [\\fIFILE\\fR] [\\fIOPTIONS\\fR]\n", f);
  put_heading(f, "DESCRIPTION");
  fputs("\\fBmoq\\-relay\\fR speaks moq\\-lite over QUIC and WebTransport. \\fIFILE\\fR is a TOML "
        "configuration\n"
        "file. The command line wins over the environment variable, which is named behind each\n"
        "option, and that over the file. Keys of the file are in doc/config.md.\n"
        ".PP\n"
        "SIGTERM and SIGINT drain and end it, a second one ends it at once; SIGHUP and SIGUSR1 load\n"
        "the certificates again.\n",
        f);
  put_heading(f, "OPTIONS");
  put_options(f, &relay_options);
  fputs(".TP\n\\fB\\-\\-help\\fR\nPrint the options and end.\n"
        ".TP\n\\fB\\-\\-version\\fR\nPrint the version and end.\n",
        f);
  put_heading(f, "EXIT STATUS");
  fputs("0 after a signal, 1 when it could not start; a line on stderr says why.\n", f);
  put_heading(f, "SEE ALSO");
  fputs(".BR moq (1)\n", f);
}

/* ---- moq-token(1) ---- */

static bool takes(const struct token_command *c, const struct option *row)
{
  char word[64];
  snprintf(word, sizeof word, " %s ", row->flag);
  return strstr(c->options, word) != NULL;
}

static void put_token_command(FILE *f, const struct token_command *c)
{
  fputs(".SS ", f);
  put_text(f, c->name, false);
  fputc('\n', f);
  put_text(f, c->summary, true);
  fputs(".\n.PP\n", f);
  put_verbatim(f, c->details);
  fputs(".PP\nOptions:", f);
  for (size_t i = 0; i < token_option_table.count; i++) {
    if (takes(c, &token_option_table.rows[i])) {
      fputs(" \\fB\\-\\-", f);
      put_text(f, token_option_table.rows[i].flag, false);
      fputs("\\fR", f);
    }
  }
  fputc('\n', f);
}

static void put_token_option(FILE *f, const struct option *row)
{
  fputs(".TP\n\\fB\\-\\-", f);
  put_text(f, row->flag, false);
  fputs("\\fR \\fI", f);
  put_text(f, row->arg, false);
  fputs("\\fR\n", f);
  put_text(f, row->help, true);
  fputs(".\n", f);
}

static void put_token(FILE *f)
{
  put_title(f, "moq-token", "make keys, and the tokens that let clients into a relay");
  put_heading(f, "SYNOPSIS");
  for (const struct token_command *const *c = token_commands; *c; c++) {
    fputs(c == token_commands ? "\\fBmoq\\-token\\fR " : ".br\n\\fBmoq\\-token\\fR ", f);
    put_text(f, (*c)->usage, false);
    fputc('\n', f);
  }
  put_heading(f, "DESCRIPTION");
  fputs("Keys are JWKs, one to a file, as base64url; tokens are JWTs. Options may stand before the command.\n", f);
  put_heading(f, "COMMANDS");
  for (const struct token_command *const *c = token_commands; *c; c++)
    put_token_command(f, *c);
  put_heading(f, "OPTIONS");
  for (size_t i = 0; i < token_option_table.count; i++)
    put_token_option(f, &token_option_table.rows[i]);
  put_heading(f, "EXIT STATUS");
  fputs("0 done, 1 failed, 2 wrong usage; a line on stderr says more.\n", f);
  put_heading(f, "SEE ALSO");
  fputs(".BR moq\\-relay (1)\n", f);
}

/* ---- */

static const struct {
  const char *program;
  void (*put)(FILE *f);
} pages[] = {{"moq", put_moq}, {"moq-relay", put_relay}, {"moq-token", put_token}};

/* 1 when the file is not `page`. */
static int compare(const char *path, const char *page, size_t n)
{
  FILE *f = fopen(path, "r");
  size_t at = 0;
  while (f && at < n && getc(f) == (unsigned char)page[at])
    at++;
  bool same = f && at == n && getc(f) == EOF;
  if (f)
    fclose(f);
  if (!same)
    fprintf(stderr, "%s is not what the tables of options say; run 'make doc'\n", path);
  return same ? 0 : 1;
}

static int make(void (*put)(FILE *f), const char *file)
{
  char *page = NULL;
  size_t n = 0;
  int rc = 1;
  FILE *f = open_memstream(&page, &n);
  if (!f)
    return 1;
  put(f);
  if (fclose(f) == 0 && file)
    rc = compare(file, page, n);
  else if (page)
    rc = fwrite(page, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : 1;
  free(page);
  return rc;
}

int main(int argc, char **argv)
{
  for (size_t i = 0; argc > 1 && i < sizeof pages / sizeof *pages; i++) {
    if (strcmp(argv[1], pages[i].program) == 0)
      return make(pages[i].put, argv[2]);
  }
  fprintf(stderr, "usage: man-doc moq|moq-relay|moq-token [FILE]\n");
  return 2;
}
