/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Options, each declared once in a table: TOML key, flag, environment name, type, default, help.
 * Three sources fill a struct in rising precedence: file, environment, command line. The engine
 * knows no particular option, so every program has its own table. Environment name: MOQ_ and the
 * flag in upper case with '_'. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "config/toml.h"

enum option_type {
  OPT_STRING,   /* char *, NULL when unset */
  OPT_LIST,     /* struct strlist; a string stands for a list of one; flags repeat, ',' separates */
  OPT_BOOL,     /* bool */
  OPT_INT,      /* uint64_t, within min..max */
  OPT_DURATION, /* uint64_t nanoseconds: "10s", "500ms", "2m", "1h 30m", "0" */
  OPT_SIZE,     /* uint64_t bytes: "64MiB", "512MB", 1000, "50%" of the memory */
  OPT_CHOICE,   /* unsigned, index into choices */
  /* Known features that are not there. "false", "0", "" and an empty list are accepted as "off";
   * what is left on when all sources have spoken is for options_missing to tell. */
  OPT_LATER,  /* comes with a later version */
  OPT_ABSENT, /* is not planned */
  OPT_IGNORED /* known, has no meaning here, accepted silently */
};

#define OPT_NAMES_MAX 8

struct option {
  const char *key;  /* dotted TOML key */
  const char *flag; /* without "--" */
  enum option_type type;
  size_t offset;
  const char *value; /* default, as text; NULL = unset */
  const char *arg;   /* placeholder in --help; "" = the flag alone means true, a value needs '=' */
  const char *help;
  const char *const *choices;       /* OPT_CHOICE, NULL-terminated */
  uint64_t min, max;                /* OPT_INT, OPT_SIZE; max 0 = no bound */
  const char *names[OPT_NAMES_MAX]; /* older names: TOML keys as they are, flags with "--" */
};

struct strlist {
  char **v;
  size_t n;
};

struct option_table {
  const struct option *rows;
  size_t count;
};

/* Which source a value came from, and so which may override it. */
enum option_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG, OPTION_SOURCES };

struct option_state {
  void *target; /* the struct that offsets refer to, zeroed before options_begin */
  const struct option_table *table;
  unsigned char *source; /* per row: enum option_source */
  char **where;          /* per row: "relay.toml:3:1: listen.bind", "--listen", "MOQ_LISTEN"; NULL =
                            never set, or a feature that is off */
  /* Called for an older name in use; may be NULL. Names are of the same kind: keys, "--flags" or
   * MOQ_ variables. */
  void (*renamed)(void *ctx, const char *where, const char *old_name, const char *new_name);
  void *ctx;
};

/* Sets the defaults. 0, -ENOMEM, -EINVAL (a bad default is our own bug). */
int options_begin(struct option_state *st, const struct option_table *table, void *target, struct err *ret_err);
/* The same option under two of its names is fine when both say the same, else an error. */
int options_file(struct option_state *st, const char *path, struct err *ret_err);
/* environ-like array; only MOQ_* names are looked at; unknown ones are left alone. */
int options_environment(struct option_state *st, char *const *env, struct err *ret_err);
/* Long flags, "--x value", "--x=value", "-x" is not a flag; up to `max` positionals go to
 * ret_positional. "--" ends flags. */
int options_flags(struct option_state *st, int argc, char *const *argv, const char **ret_positional, size_t max,
                  size_t *ret_count, struct err *ret_err);
/* The value's source, by key. */
enum option_source options_source(const struct option_state *st, const char *key);
/* Where the value was set, by key, for messages; the key itself when nothing set it. Borrowed. */
const char *options_where(const struct option_state *st, const char *key);

/* The next row from *at on of `type` (OPT_LATER or OPT_ABSENT) that is turned on: fills ret_err
 * with a text that names place and feature, moves *at behind it and returns true. False when there
 * is none. */
bool options_missing(const struct option_state *st, enum option_type type, size_t *at, struct err *ret_err);
void options_end(struct option_state *st);
/* Frees strings and lists of a filled target. */
void options_free(const struct option_table *table, void *target);

/* Text of --help for the table, to stdout: a line per option with default and environment name. */
void options_help(const struct option_table *table);

/* Name of the environment variable for a flag. */
#define OPTION_ENV_MAX 96
void option_env_name(const char *flag, char ret_name[OPTION_ENV_MAX]);

/* Parsers of single values, for tests and other users. 0 or -EINVAL. */
int parse_duration(const char *text, uint64_t *ret_ns);
int parse_size(const char *text, uint64_t *ret_bytes);
