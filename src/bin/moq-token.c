/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* moq-token: keys and tokens for a relay's auth.key and auth.key_dir. */
#include "token.h"
#include <stdio.h>
#include <string.h>

static void help(void)
{
  printf("moq-token makes keys, and the tokens that let clients into a relay.\n\nUsage:\n");
  for (const struct token_command *const *c = token_commands; *c; c++)
    printf("  moq-token %s\n      %s.\n", (*c)->usage, (*c)->summary);
  printf("\nOptions:\n");
  options_help(&token_option_table);
  printf("\nExit codes: 0 done, 1 failed, 2 wrong usage; a line on stderr says more.\n");
}

static const struct token_command *find(const char *name)
{
  for (const struct token_command *const *c = token_commands; *c; c++) {
    if (strcmp(name, (*c)->name) == 0)
      return *c;
  }
  return NULL;
}

static int usage(const char *what, const char *which)
{
  fprintf(stderr, "error: %s%s; see \"moq-token --help\"\n", what, which);
  return TOKEN_USAGE;
}

/* Options of other commands, and what cannot be left out. */
static int check(const struct token_command *c, const struct option_state *st, const struct token_options *o)
{
  char word[64];
  for (size_t i = 0; i < st->table->count; i++) {
    const struct option *row = &st->table->rows[i];
    snprintf(word, sizeof word, " %s ", row->flag);
    if (options_source(st, row->key) != FROM_DEFAULT && !strstr(c->options, word))
      return usage("this command does not take --", row->flag);
  }
  if (c != &token_generate && !o->key)
    return usage("--key is missing", "");
  if (c == &token_verify && strcmp(o->key, "-") == 0 && strcmp(o->in, "-") == 0)
    return usage("the key and the token cannot both come from stdin", "");
  return TOKEN_OK;
}

static int parse_and_run(struct option_state *st, struct token_options *o, int argc, char **argv)
{
  const char *positional[1] = {NULL};
  size_t n = 0;
  struct err err = {""};
  if (options_begin(st, &token_option_table, o, &err) < 0 || options_flags(st, argc, argv, positional, 1, &n, &err) < 0)
    return usage(err.text, "");
  if (n == 0)
    return usage("a command is missing", "");
  const struct token_command *c = find(positional[0]);
  if (!c)
    return usage("unknown command ", positional[0]);
  o->expires_given = options_source(st, "token.expires") != FROM_DEFAULT;
  o->issued_given = options_source(st, "token.issued") != FROM_DEFAULT;
  int rc = check(c, st, o);
  return rc == TOKEN_OK ? c->run(o) : rc;
}

int main(int argc, char **argv)
{
  struct option_state st = {0};
  struct token_options o = {0};
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return help(), TOKEN_OK;
    if (strcmp(argv[i], "--version") == 0)
      return printf("moq-token %s\n", MOQ_VERSION) < 0;
  }
  int rc = parse_and_run(&st, &o, argc - 1, argv + 1);
  options_end(&st);
  options_free(&token_option_table, &o);
  return rc;
}
