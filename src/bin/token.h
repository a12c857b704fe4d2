/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The commands of `moq-token`: one file and one row of the table in token-commands.c each. All share one table of options,
 * since older releases take them before the command as well. */
#pragma once
#include "auth/jwt.h"
#include "config/options.h"

struct token_options {
  char *key, *algorithm, *id, *out, *out_dir, *public_out, *public_dir, *root, *in;
  struct strlist publish, subscribe;
  bool cluster;
  uint64_t expires, issued;
  bool expires_given, issued_given;
};

enum { TOKEN_OK = 0, TOKEN_FAILED = 1, TOKEN_USAGE = 2 }; /* exit codes */

struct token_command {
  const char *name, *usage, *summary, *details;
  const char *options; /* flags it takes, each between spaces */
  int (*run)(const struct token_options *o);
};

extern const struct token_command token_generate, token_sign, token_verify;
extern const struct token_command *const token_commands[]; /* in the order of the help; ends with NULL */
extern const struct option_table token_option_table;

/* "Error: what" on stderr; TOKEN_FAILED. */
int token_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The content of a file, "-" = stdin. 0, or TOKEN_FAILED after a line on stderr. */
int token_slurp(const char *path, size_t max, struct buf *out);

/* Reads --key ("-" = stdin) and runs `act` with it. Its exit code, or TOKEN_FAILED after a line on stderr. */
int token_with_key(const struct token_options *o, int (*act)(const struct token_options *o, const struct jwk *key));
