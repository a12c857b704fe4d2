/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/options.h"
#include "config/values.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One value on its way into a row: from where, under which name, said where. */
struct setting {
  const struct option *row;
  enum option_source source;
  const char *where; /* "relay.toml:3:1: server.listen", "--listen", "MOQ_LISTEN" */
  const char *text;
};

static void *field(const struct option_state *st, const struct option *row)
{
  return (char *)st->target + row->offset;
}

static size_t row_index(const struct option_state *st, const struct option *row)
{
  return (size_t)(row - st->table->rows);
}

static int set_string(void *out, const char *text)
{
  char *copy = strdup(text);
  if (!copy)
    return -ENOMEM;
  free(*(char **)out);
  *(char **)out = copy;
  return 0;
}

/* Flags and the environment may hold several elements separated by commas; a file's string is one
 * element. */
static int add_elements(struct strlist *l, const struct setting *s)
{
  const char *at = s->text;
  bool split = s->source >= FROM_ENVIRONMENT;
  for (;;) {
    size_t n = split ? strcspn(at, ",") : strlen(at);
    int rc = strlist_add(l, at, n);
    if (rc < 0 || at[n] == '\0')
      return rc;
    at += n + 1;
  }
}

static int bad_value(const struct setting *s, const char *want, struct err *ret_err)
{
  return err_set(ret_err, -EINVAL, "%s: \"%.100s\" is not %s", s->where, s->text, want);
}

static int set_choice(void *out, const struct setting *s, struct err *ret_err)
{
  char list[200] = "";
  for (unsigned i = 0; s->row->choices[i]; i++) {
    if (strcasecmp(s->row->choices[i], s->text) == 0) {
      *(unsigned *)out = i;
      return 0;
    }
    size_t n = strlen(list);
    snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "one of ", s->row->choices[i]);
  }
  return bad_value(s, list, ret_err);
}

static int set_integer(void *out, const struct setting *s, struct err *ret_err)
{
  char want[96];
  if (parse_integer(s->text, s->row->min, s->row->max, out) == 0)
    return 0;
  if (s->row->max)
    snprintf(want, sizeof want, "a whole number from %llu to %llu", (unsigned long long)s->row->min,
             (unsigned long long)s->row->max);
  else
    snprintf(want, sizeof want, "a whole number of at least %llu", (unsigned long long)s->row->min);
  return bad_value(s, want, ret_err);
}

static int set_size(void *out, const struct setting *s, struct err *ret_err)
{
  uint64_t bytes;
  char want[96];
  if (parse_size(s->text, &bytes) < 0)
    return bad_value(s, "a size such as \"512MB\", \"8GiB\" or \"75%\"", ret_err);
  if (bytes >= s->row->min && (!s->row->max || bytes <= s->row->max)) {
    *(uint64_t *)out = bytes;
    return 0;
  }
  if (s->row->max)
    snprintf(want, sizeof want, "between %llu and %llu bytes", (unsigned long long)s->row->min,
             (unsigned long long)s->row->max);
  else
    snprintf(want, sizeof want, "at least %llu bytes", (unsigned long long)s->row->min);
  return bad_value(s, want, ret_err);
}

static bool is_feature(const struct option *row)
{
  return row->type == OPT_LATER || row->type == OPT_ABSENT;
}

/* A feature that is not there may be named to say that it is off. */
static bool turned_off(const struct setting *s)
{
  return strcmp(s->text, "false") == 0 || strcmp(s->text, "0") == 0 || s->text[0] == '\0';
}

static int set_value(void *out, const struct setting *s, struct err *ret_err)
{
  switch (s->row->type) {
  case OPT_STRING:
    return set_string(out, s->text);
  case OPT_LIST:
    return add_elements(out, s);
  case OPT_BOOL:
    return parse_bool(s->text, out) < 0 ? bad_value(s, "true or false", ret_err) : 0;
  case OPT_INT:
    return set_integer(out, s, ret_err);
  case OPT_DURATION:
    return parse_duration(s->text, out) < 0 ? bad_value(s, "a duration such as \"10s\" or \"500ms\"", ret_err) : 0;
  case OPT_SIZE:
    return set_size(out, s, ret_err);
  case OPT_CHOICE:
    return set_choice(out, s, ret_err);
  case OPT_LATER:
  case OPT_ABSENT:
  case OPT_IGNORED:
    return 0;
  }
  return -EINVAL;
}

/* Notes the place of a value. A feature that is off has none; off does not undo what the same
 * source has turned on: a list may hold an empty text. */
static int set_where(struct option_state *st, const struct setting *s, bool same_source)
{
  char **where = &st->where[row_index(st, s->row)];
  bool off = is_feature(s->row) && turned_off(s);
  if (s->source == FROM_DEFAULT || (same_source && (off || *where)))
    return 0;
  char *copy = off ? NULL : strdup(s->where);
  if (!off && !copy)
    return -ENOMEM;
  free(*where);
  *where = copy;
  return 0;
}

/* A list given by a stronger source replaces the weaker one's; further elements of the same source
 * add to it. */
static int apply(struct option_state *st, const struct setting *s, struct err *ret_err)
{
  unsigned char *source = &st->source[row_index(st, s->row)];
  if (s->row->type == OPT_LIST && *source != s->source)
    strlist_clear(field(st, s->row));
  int rc = set_value(field(st, s->row), s, ret_err);
  if (rc == 0)
    rc = set_where(st, s, *source == s->source);
  if (rc == -ENOMEM)
    err_set(ret_err, rc, "out of memory");
  if (rc == 0)
    *source = (unsigned char)s->source;
  return rc;
}

int options_begin(struct option_state *st, const struct option_table *table, void *target, struct err *ret_err)
{
  st->table = table;
  st->target = target;
  st->source = calloc(table->count + 1, 1);
  st->where = calloc(table->count + 1, sizeof *st->where);
  if (!st->source || !st->where)
    return err_set(ret_err, -ENOMEM, "out of memory");
  for (size_t i = 0; i < table->count; i++) {
    const struct option *row = &table->rows[i];
    struct setting s = {row, FROM_DEFAULT, row->key, row->value};
    int rc = row->value && row->type < OPT_LATER ? apply(st, &s, ret_err) : 0;
    if (rc < 0)
      return rc;
  }
  return 0;
}

void options_end(struct option_state *st)
{
  for (size_t i = 0; st->where && i < st->table->count; i++)
    free(st->where[i]);
  free(st->where);
  free(st->source);
  st->where = NULL;
  st->source = NULL;
}

static const struct option *by_key(const struct option_table *t, const char *key, bool *ret_old)
{
  for (size_t i = 0; i < t->count; i++) {
    const struct option *row = &t->rows[i];
    *ret_old = false;
    if (row->key && strcmp(row->key, key) == 0)
      return row;
    *ret_old = true;
    for (size_t k = 0; k < OPT_NAMES_MAX && row->names[k]; k++) {
      if (strncmp(row->names[k], "--", 2) != 0 && strcmp(row->names[k], key) == 0)
        return row;
    }
  }
  return NULL;
}

static const struct option *by_flag(const struct option_table *t, const char *flag, size_t n, bool *ret_old)
{
  for (size_t i = 0; i < t->count; i++) {
    const struct option *row = &t->rows[i];
    *ret_old = false;
    if (row->flag && strlen(row->flag) == n && memcmp(row->flag, flag, n) == 0)
      return row;
    *ret_old = true;
    for (size_t k = 0; k < OPT_NAMES_MAX && row->names[k]; k++) {
      const char *name = row->names[k];
      if (strncmp(name, "--", 2) == 0 && strlen(name + 2) == n && memcmp(name + 2, flag, n) == 0)
        return row;
    }
  }
  return NULL;
}

enum option_source options_source(const struct option_state *st, const char *key)
{
  bool old;
  const struct option *row = by_key(st->table, key, &old);
  return row ? (enum option_source)st->source[row_index(st, row)] : FROM_DEFAULT;
}

const char *options_where(const struct option_state *st, const char *key)
{
  bool old;
  const struct option *row = by_key(st->table, key, &old);
  const char *where = row ? st->where[row_index(st, row)] : NULL;
  return where ? where : key;
}

bool options_missing(const struct option_state *st, enum option_type type, size_t *at, struct err *ret_err)
{
  while (*at < st->table->count) {
    const struct option *row = &st->table->rows[*at];
    const char *where = st->where[(*at)++];
    if (row->type != type || !where)
      continue;
    err_set(ret_err, -ENOTSUP, "%s: %s is not supported by this version of moq-relay; remove it or turn it off", where,
            row->help);
    return true;
  }
  return false;
}

static void tell_renamed(struct option_state *st, const char *where, const char *old_name, const char *new_name)
{
  if (st->renamed)
    st->renamed(st->ctx, where, old_name, new_name);
}

/* Edit distance of two short names, by rows; names longer than the bound are never close. */
#define NAME_MAX_LEN 48
static size_t distance(const char *a, const char *b)
{
  size_t n = strlen(a), m = strlen(b), row[NAME_MAX_LEN + 1];
  if (n > NAME_MAX_LEN || m > NAME_MAX_LEN)
    return NAME_MAX_LEN;
  for (size_t k = 0; k <= m; k++)
    row[k] = k;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t k = 1; k <= m; k++) {
      size_t best = diagonal + (a[i - 1] != b[k - 1]);
      diagonal = row[k];
      best = row[k] + 1 < best ? row[k] + 1 : best;
      row[k] = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
    }
  }
  return row[m];
}

static const char *nearest(const struct option_table *t, const char *name, bool flags)
{
  const char *best = NULL;
  size_t limit = strlen(name) / 3 + 1;
  for (size_t i = 0; i < t->count; i++) {
    const char *candidate = flags ? t->rows[i].flag : t->rows[i].key;
    size_t d = candidate ? distance(name, candidate) : NAME_MAX_LEN;
    if (d <= limit) {
      limit = d;
      best = candidate;
    }
  }
  return best;
}

/* A key of the section `name`, NULL when it is none. */
static const char *in_section(const struct option_table *t, const char *name)
{
  size_t n = strlen(name);
  for (size_t i = 0; i < t->count; i++) {
    const char *key = t->rows[i].key;
    if (key && strncmp(key, name, n) == 0 && key[n] == '.')
      return key;
  }
  return NULL;
}

static int unknown(const struct option_table *t, const char *where, const char *name, bool flag, struct err *ret_err)
{
  const char *member = flag ? NULL : in_section(t, name);
  const char *hint = nearest(t, name, flag);
  const char *what = flag ? "option" : "key";
  if (member)
    return err_set(ret_err, -EINVAL, "%s: is a section; a key in it is for example %s", where, member);
  if (hint)
    return err_set(ret_err, -EINVAL, "%s: unknown %s; did you mean %s%s?", where, what, flag ? "--" : "", hint);
  return err_set(ret_err, -EINVAL, "%s: unknown %s", where, what);
}

/* ---- file ---- */

static bool kind_fits(const struct option *row, const struct toml_value *v)
{
  switch (row->type) {
  case OPT_BOOL:
    return v->kind == TOML_BOOL && !v->in_array;
  case OPT_INT:
    return v->kind == TOML_INTEGER && !v->in_array;
  case OPT_SIZE:
  case OPT_DURATION:
  case OPT_CHOICE: /* levels may be numbers */
    return (v->kind == TOML_STRING || v->kind == TOML_INTEGER) && !v->in_array;
  case OPT_LIST:
    return v->kind == TOML_STRING;
  case OPT_STRING:
    return v->kind == TOML_STRING && !v->in_array;
  case OPT_LATER:
  case OPT_ABSENT:
  case OPT_IGNORED:
    return true;
  }
  return false;
}

static int wrong_kind(const struct option *row, const char *where, struct err *ret_err)
{
  static const char *const want[] = {[OPT_STRING] = "a string",
                                     [OPT_LIST] = "a string or a list of strings",
                                     [OPT_BOOL] = "true or false",
                                     [OPT_INT] = "a whole number",
                                     [OPT_DURATION] = "a duration such as \"10s\"",
                                     [OPT_SIZE] = "a size such as \"512MB\"",
                                     [OPT_CHOICE] = "a string"};
  return err_set(ret_err, -EINVAL, "%s: must be %s", where, want[row->type]);
}

/* Whether two keys of a file hold the same values in the same order. */
static bool same_values(const struct toml_list *list, const char *a, const char *b)
{
  size_t i = 0, k = 0;
  for (;; i++, k++) {
    while (i < list->n && strcmp(list->v[i].key, a) != 0)
      i++;
    while (k < list->n && strcmp(list->v[k].key, b) != 0)
      k++;
    if (i == list->n || k == list->n)
      return i == list->n && k == list->n;
    if (strcmp(list->v[i].text, list->v[k].text) != 0)
      return false;
  }
}

/* A file on its way into the rows. */
struct file_reading {
  const char *path;
  struct toml_list list;
  const char **key; /* per row: the name it was set under, NULL = not yet */
};

static int set_from_file(struct option_state *st, const struct option *row, const char *where,
                         const struct toml_value *v, struct err *ret_err)
{
  if (v->kind == TOML_EMPTY_ARRAY) {
    if (row->type != OPT_LIST)
      return row->type >= OPT_LATER ? 0 : wrong_kind(row, where, ret_err);
    struct setting s = {row, FROM_FILE, where, ""};
    strlist_clear(field(st, row));
    st->source[row_index(st, row)] = FROM_FILE;
    return set_where(st, &s, false) < 0 ? err_set(ret_err, -ENOMEM, "out of memory") : 0;
  }
  if (!kind_fits(row, v))
    return wrong_kind(row, where, ret_err);
  struct setting s = {row, FROM_FILE, where, v->text};
  return apply(st, &s, ret_err);
}

static int from_file(struct option_state *st, const struct file_reading *f, const struct toml_value *v,
                     struct err *ret_err)
{
  char where[300];
  bool old;
  snprintf(where, sizeof where, "%.160s:%u:%u: %.100s", f->path, v->line, v->column, v->key);
  const struct option *row = by_key(st->table, v->key, &old);
  if (!row)
    return unknown(st->table, where, v->key, false, ret_err);
  const char **name = &f->key[row_index(st, row)];
  bool again = *name && strcmp(*name, v->key) == 0;
  if (*name && !again && row->type < OPT_LATER) {
    if (same_values(&f->list, *name, v->key))
      return 0;
    return err_set(ret_err, -EINVAL, "%s: is the same option as %s, which has another value; keep one of them", where,
                   *name);
  }
  if (old && !again)
    tell_renamed(st, where, v->key, row->key);
  *name = v->key;
  return set_from_file(st, row, where, v, ret_err);
}

int options_file(struct option_state *st, const char *path, struct err *ret_err)
{
  struct file_reading f = {.path = path};
  int rc = toml_read(path, &f.list, ret_err);
  if (rc < 0)
    return rc;
  f.key = calloc(st->table->count + 1, sizeof *f.key);
  if (!f.key)
    rc = err_set(ret_err, -ENOMEM, "out of memory");
  for (size_t i = 0; i < f.list.n && rc == 0; i++)
    rc = from_file(st, &f, &f.list.v[i], ret_err);
  free(f.key);
  toml_list_free(&f.list);
  return rc;
}

/* ---- environment ---- */

void option_env_name(const char *flag, char out[OPTION_ENV_MAX])
{
  size_t n = (size_t)snprintf(out, OPTION_ENV_MAX, "MOQ_");
  for (; *flag && n + 1 < OPTION_ENV_MAX; flag++)
    out[n++] = *flag == '-' ? '_' : (char)toupper((unsigned char)*flag);
  out[n] = '\0';
}

static const char *env_get(char *const *env, const char *flag, char name[OPTION_ENV_MAX])
{
  option_env_name(flag, name);
  size_t n = strlen(name);
  for (; env && *env; env++) {
    if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
      return *env + n + 1;
  }
  return NULL;
}

/* The row's own name wins over its older ones. */
static int row_environment(struct option_state *st, char *const *env, const struct option *row, struct err *ret_err)
{
  char name[OPTION_ENV_MAX], current[OPTION_ENV_MAX];
  const char *text = row->flag ? env_get(env, row->flag, name) : NULL;
  for (size_t k = 0; !text && k < OPT_NAMES_MAX && row->names[k]; k++) {
    if (strncmp(row->names[k], "--", 2) != 0)
      continue;
    text = env_get(env, row->names[k] + 2, name);
    if (text && row->flag) {
      option_env_name(row->flag, current);
      tell_renamed(st, name, name, current);
    }
  }
  if (!text)
    return 0;
  struct setting s = {row, FROM_ENVIRONMENT, name, text};
  return apply(st, &s, ret_err);
}

int options_environment(struct option_state *st, char *const *env, struct err *ret_err)
{
  int rc = 0;
  for (size_t i = 0; i < st->table->count && rc == 0; i++)
    rc = row_environment(st, env, &st->table->rows[i], ret_err);
  return rc;
}

/* ---- command line ---- */

static bool takes_bare(const struct option *row)
{
  return row->type == OPT_BOOL || (row->type >= OPT_LATER && row->arg[0] == '\0');
}

static void tell_flag(struct option_state *st, const char *where, const struct option *row)
{
  char name[OPTION_ENV_MAX];
  snprintf(name, sizeof name, "--%s", row->flag);
  tell_renamed(st, where, where, name);
}

/* Handles argv[i]; returns how many words it took, or a negative error. */
static int one_flag(struct option_state *st, int argc, char *const *argv, int i, struct err *ret_err)
{
  char where[96];
  const char *name = argv[i] + 2, *equals = strchr(name, '=');
  size_t n = equals ? (size_t)(equals - name) : strlen(name);
  bool old;
  snprintf(where, sizeof where, "--%.*s", (int)(n < 80 ? n : 80), name);
  const struct option *row = by_flag(st->table, name, n, &old);
  if (!row)
    return unknown(st->table, where, where + 2, true, ret_err);
  if (old && row->flag)
    tell_flag(st, where, row);
  if (row->type != OPT_LIST && row->type < OPT_LATER && st->source[row_index(st, row)] == FROM_FLAG)
    return err_set(ret_err, -EINVAL, "%s: given twice", where);
  struct setting s = {row, FROM_FLAG, where, equals ? equals + 1 : "true"};
  int words = 1;
  if (!equals && !takes_bare(row)) {
    if (i + 1 >= argc || strncmp(argv[i + 1], "--", 2) == 0)
      return err_set(ret_err, -EINVAL, "%s: needs a value", where);
    s.text = argv[i + 1];
    words = 2;
  }
  int rc = apply(st, &s, ret_err);
  return rc < 0 ? rc : words;
}

int options_flags(struct option_state *st, int argc, char *const *argv, const char **ret_positional, size_t max,
                  size_t *ret_count, struct err *ret_err)
{
  size_t count = 0;
  bool flags = true;
  for (int i = 0; i < argc;) {
    if (flags && strcmp(argv[i], "--") == 0) {
      flags = false;
      i++;
    } else if (flags && strncmp(argv[i], "--", 2) == 0) {
      int words = one_flag(st, argc, argv, i, ret_err);
      if (words < 0)
        return words;
      i += words;
    } else if (count < max) {
      ret_positional[count++] = argv[i++];
    } else {
      return err_set(ret_err, -EINVAL, "unexpected argument \"%.100s\"", argv[i]);
    }
  }
  *ret_count = count;
  return 0;
}

void options_free(const struct option_table *table, void *target)
{
  for (size_t i = 0; i < table->count; i++) {
    void *out = (char *)target + table->rows[i].offset;
    if (table->rows[i].type == OPT_LIST)
      strlist_clear(out);
    if (table->rows[i].type == OPT_STRING) {
      free(*(char **)out);
      *(char **)out = NULL;
    }
  }
}

void options_help(const struct option_table *table)
{
  for (size_t i = 0; i < table->count; i++) {
    const struct option *row = &table->rows[i];
    char name[OPTION_ENV_MAX], left[96];
    if (!row->flag || row->type >= OPT_LATER)
      continue;
    option_env_name(row->flag, name);
    snprintf(left, sizeof left, "--%s %s", row->flag, row->arg ? row->arg : "");
    printf("  %-38s %s", left, row->help);
    if (row->value && row->value[0])
      printf(" [default: %s]", row->value);
    printf(" [env: %s]\n", name);
  }
}
