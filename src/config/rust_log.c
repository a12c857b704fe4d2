/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/rust_log.h"
#include "base/slice.h"
#include <string.h>
#include <strings.h>

#define LEVEL_MAX 8 /* characters */

static bool parse_level(struct slice text, enum log_level *ret_level)
{
  char level[LEVEL_MAX + 1];
  if (text.n == 0 || text.n > LEVEL_MAX)
    return false;
  memcpy(level, text.p, text.n);
  level[text.n] = '\0';
  if (strcasecmp(level, "off") == 0) {
    *ret_level = LOG_ERROR;
    return true;
  }
  return log_level_parse(level, ret_level) == 0;
}

static struct slice trim(struct slice s)
{
  while (s.n > 0 && s.p[0] == ' ')
    s = slice_from(s, 1);
  while (s.n > 0 && s.p[s.n - 1] == ' ')
    s.n--;
  return s;
}

/* TARGET=LEVEL or LEVEL. */
static struct slice split(struct slice directive, struct slice *ret_target)
{
  const uint8_t *equals = directive.n ? memchr(directive.p, '=', directive.n) : NULL;
  size_t at = equals ? (size_t)(equals - directive.p) : 0;
  *ret_target = trim(slice_of(directive.p, at));
  return trim(equals ? slice_from(directive, at + 1) : directive);
}

bool rust_log_level(const char *directives, enum log_level *ret_level)
{
  bool found = false, named = false;
  while (*directives) {
    size_t n = strcspn(directives, ",");
    struct slice target, level = split(slice_of(directives, n), &target);
    bool ours = slice_eq(target, slice_str("moq_relay"));
    if ((ours || (target.n == 0 && !named)) && parse_level(level, ret_level)) {
      found = true;
      named |= ours;
    }
    directives += n + (directives[n] == ',');
  }
  return found;
}
