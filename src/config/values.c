/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Text to values: durations, sizes, numbers. */
#include "config/options.h"
#include "config/values.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct unit {
  const char *name;
  uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}, {NULL, 0}};

static const struct unit size_units[] = {{"", 1},          {"B", 1},           {"KB", 1000},        {"MB", 1000000},
                                         {"GB", 1000000000}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30},
                                         {"K", 1ULL << 10},  {"M", 1ULL << 20},   {"G", 1ULL << 30},   {NULL, 0}};

/* A decimal number with an optional fraction, then a unit of the table. */
static int number_with_unit(const char *text, const struct unit *units, uint64_t *ret)
{
  if (!isdigit((unsigned char)text[0]))
    return -EINVAL;
  char *end;
  errno = 0;
  double number = strtod(text, &end);
  while (*end == ' ')
    end++;
  if (number == 0 && *end == '\0' && errno == 0) {
    *ret = 0;
    return 0;
  }
  for (; units->name; units++) {
    if (strcmp(end, units->name) != 0)
      continue;
    double v = number * (double)units->factor;
    if (errno || !(v < 9.2e18))
      return -EINVAL;
    *ret = (uint64_t)(v + 0.5);
    return 0;
  }
  return -EINVAL;
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
  return number_with_unit(text, duration_units, ret_ns);
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
  return number_with_unit(text, size_units, ret_bytes);
}

int parse_integer(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
  if (!isdigit((unsigned char)text[0]))
    return -EINVAL;
  char *end;
  errno = 0;
  unsigned long long v = strtoull(text, &end, 10);
  if (errno || *end || v < min || (max && v > max))
    return -ERANGE;
  *ret = v;
  return 0;
}

int parse_bool(const char *text, bool *ret)
{
  static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(text, words[i]) == 0) {
      *ret = i & 1;
      return 0;
    }
  }
  return -EINVAL;
}

int strlist_add(struct strlist *l, const char *text, size_t n)
{
  char **v = realloc(l->v, (l->n + 1) * sizeof *v);
  if (!v)
    return -ENOMEM;
  l->v = v;
  char *copy = strndup(text, n);
  if (!copy)
    return -ENOMEM;
  v[l->n++] = copy;
  return 0;
}

void strlist_clear(struct strlist *l)
{
  for (size_t i = 0; i < l->n; i++)
    free(l->v[i]);
  free(l->v);
  *l = (struct strlist){0};
}
