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

static const struct unit duration_units[] = {{"ns", 1},
                                             {"nsec", 1},
                                             {"us", 1000},
                                             {"usec", 1000},
                                             {"ms", 1000000},
                                             {"msec", 1000000},
                                             {"s", 1000000000},
                                             {"sec", 1000000000},
                                             {"second", 1000000000},
                                             {"seconds", 1000000000},
                                             {"m", 60000000000},
                                             {"min", 60000000000},
                                             {"minute", 60000000000},
                                             {"minutes", 60000000000},
                                             {"h", 3600000000000},
                                             {"hr", 3600000000000},
                                             {"hour", 3600000000000},
                                             {"hours", 3600000000000},
                                             {"d", 86400000000000},
                                             {"day", 86400000000000},
                                             {"days", 86400000000000},
                                             {NULL, 0}};

static const struct unit size_units[] = {{"", 1},
                                         {"B", 1},
                                         {"KB", 1000},
                                         {"MB", 1000000},
                                         {"GB", 1000000000},
                                         {"KiB", 1ULL << 10},
                                         {"MiB", 1ULL << 20},
                                         {"GiB", 1ULL << 30},
                                         {"K", 1ULL << 10},
                                         {"M", 1ULL << 20},
                                         {"G", 1ULL << 30},
                                         {NULL, 0}};

/* Digits with an optional fraction, and nothing else that strtod would take (hex, exponents,
 * "inf"). */
static const char *decimal(const char *at, double *ret)
{
  double v = 0, place = 1;
  if (!isdigit((unsigned char)*at))
    return NULL;
  for (; isdigit((unsigned char)*at); at++)
    v = v * 10 + (*at - '0');
  if (*at == '.') {
    if (!isdigit((unsigned char)*++at))
      return NULL;
    for (; isdigit((unsigned char)*at); at++)
      v += (*at - '0') * (place /= 10);
  }
  *ret = v;
  return at;
}

static const struct unit *find_unit(const struct unit *units, const char *name, size_t n)
{
  for (; units->name; units++) {
    if (strlen(units->name) == n && memcmp(units->name, name, n) == 0)
      return units;
  }
  return NULL;
}

/* One "NUMBER UNIT" at *at, which moves behind it and the blanks that follow. */
static int quantity(const char **at, const struct unit *units, double *ret)
{
  double number;
  const char *name = decimal(*at, &number);
  if (!name)
    return -EINVAL;
  name += strspn(name, " ");
  size_t n = strcspn(name, " 0123456789");
  const struct unit *unit = find_unit(units, name, n);
  if (!unit)
    return -EINVAL;
  *ret = number * (double)unit->factor;
  *at = name + n + strspn(name + n, " ");
  return 0;
}

#define QUANTITY_MAX 9.2e18

int parse_duration(const char *text, uint64_t *ret_ns)
{
  double sum = 0, part;
  if (strcmp(text, "0") == 0) {
    *ret_ns = 0;
    return 0;
  }
  do {
    if (quantity(&text, duration_units, &part) < 0)
      return -EINVAL;
    sum += part;
  } while (*text);
  if (!(sum < QUANTITY_MAX))
    return -EINVAL;
  *ret_ns = (uint64_t)(sum + 0.5);
  return 0;
}

/* A share of the memory: "75%". */
static bool percentage(const char *text, double *ret)
{
  const char *end = decimal(text, ret);
  return end && strcmp(end, "%") == 0 && *ret <= 100;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
  double v;
  if (percentage(text, &v))
    v *= (double)memory_total() / 100;
  else if (quantity(&text, size_units, &v) < 0 || *text || !(v < QUANTITY_MAX))
    return -EINVAL;
  *ret_bytes = (uint64_t)(v + 0.5);
  return 0;
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
