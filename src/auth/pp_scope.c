/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_scope.h"
#include "base/cursor.h"
#include <errno.h>
#include <strings.h>

static const char *const names[PP_OPS] = {"subscribe", "fetch", "publish", "announce"};

const char *pp_op_name(enum pp_op op)
{
  return names[op];
}

bool pp_op_find(struct slice name, enum pp_op *ret_op)
{
  for (unsigned op = 0; op < PP_OPS; op++) {
    if (name.n == strlen(names[op]) && strncasecmp((const char *)name.p, names[op], name.n) == 0) {
      *ret_op = op;
      return true;
    }
  }
  return false;
}

static struct slice pattern_of(struct slice text, bool *ret_prefix)
{
  *ret_prefix = text.n > 0 && text.p[text.n - 1] == '*';
  return slice_of(text.p, text.n - *ret_prefix);
}

/* Takes what comes before the first ':' off; false when there is none: then it is all. */
static bool split(struct slice *rest, struct slice *ret_part)
{
  const uint8_t *colon = rest->n ? memchr(rest->p, ':', rest->n) : NULL;
  *ret_part = colon ? slice_of(rest->p, (size_t)(colon - rest->p)) : *rest;
  *rest = slice_from(*rest, ret_part->n + (colon != NULL));
  return colon != NULL;
}

int pp_scope_parse(struct slice text, struct pp_scope *ret_scope)
{
  struct pp_scope s = {0};
  struct slice part;
  enum pp_op op;
  if (text.n == 0) {
    *ret_scope = (struct pp_scope){.ops = PP_ALL_OPS, .prefix = true};
    return 0;
  }
  if (!split(&text, &part) || !pp_op_find(part, &op))
    return -EINVAL;
  s.ops = 1u << op;
  s.tracks = split(&text, &part);
  s.namespace = pattern_of(part, &s.prefix);
  if (s.tracks)
    s.track = pattern_of(text, &s.track_prefix);
  *ret_scope = s;
  return 0;
}

static struct slice bare(struct slice s)
{
  return s.n > 0 && s.p[0] == '/' ? slice_from(s, 1) : s;
}

static bool matches(struct slice pattern, bool prefix, struct slice s)
{
  if (prefix)
    return s.n >= pattern.n && (pattern.n == 0 || memcmp(s.p, pattern.p, pattern.n) == 0);
  return slice_eq(pattern, s);
}

bool pp_scope_covers(const struct pp_scope *s, enum pp_op op, struct slice namespace, const struct slice *track)
{
  if (!(s->ops >> op & 1) || !matches(bare(s->namespace), s->prefix, bare(namespace)))
    return false;
  return !s->tracks || (track && matches(s->track, s->track_prefix, *track));
}

bool pp_scope_can_say(struct slice path)
{
  return path.n == 0 || (!memchr(path.p, ':', path.n) && !memchr(path.p, '*', path.n));
}

/* -- binary -- */

int pp_binary_open(struct slice bytes, struct slice *ret_info)
{
  struct cursor c = cursor_of(bytes);
  struct slice info = cursor_bytes(&c, cursor_u8(&c));
  if (!cursor_done(&c))
    return -EINVAL;
  *ret_info = info;
  return 0;
}

static bool match_of(uint8_t v, enum pp_match *ret)
{
  *ret = v;
  return v <= PP_CONTAINS;
}

static bool elements_whole(struct slice elements)
{
  struct cursor c = cursor_of(elements);
  while (cursor_left(&c) > 0)
    cursor_bytes(&c, cursor_u16(&c));
  return cursor_done(&c);
}

int pp_binary_next(struct slice *info, struct pp_binary_scope *ret_scope)
{
  struct pp_binary_scope s = {0};
  struct cursor c = cursor_of(*info);
  if (info->n == 0)
    return -ENOENT;
  struct slice actions = cursor_bytes(&c, cursor_u8(&c));
  for (size_t i = 0; i < actions.n; i++)
    s.actions |= actions.p[i] < 32 ? 1u << actions.p[i] : 0; /* unknown ones allow nothing */
  bool ok = match_of(cursor_u8(&c), &s.namespace_match);
  s.elements = cursor_bytes(&c, cursor_u16(&c));
  ok = match_of(cursor_u8(&c), &s.track_match) && ok;
  s.track = cursor_bytes(&c, cursor_u16(&c));
  struct slice rest = cursor_rest(&c);
  if (!cursor_done(&c) || !ok || !elements_whole(s.elements))
    return -EINVAL;
  *info = rest;
  *ret_scope = s;
  return 0;
}

bool pp_binary_element(struct slice *elements, struct slice *ret_element)
{
  struct cursor c = cursor_of(*elements);
  if (elements->n == 0)
    return false;
  *ret_element = cursor_bytes(&c, cursor_u16(&c));
  *elements = cursor_rest(&c);
  return true;
}

static size_t count_of(struct slice elements)
{
  struct slice e;
  size_t n = 0;
  while (pp_binary_element(&elements, &e))
    n++;
  return n;
}

static bool elements_at(struct slice elements, const struct slice *namespace)
{
  struct slice e;
  for (size_t i = 0; pp_binary_element(&elements, &e); i++) {
    if (!slice_eq(e, namespace[i]))
      return false;
  }
  return true;
}

/* Where a pattern of `n` may begin in `all`: from *first to *last. False: nowhere. */
static bool places(enum pp_match match, size_t n, size_t all, size_t *first, size_t *last)
{
  *first = match == PP_SUFFIX ? all - n : 0;
  *last = match == PP_SUFFIX || match == PP_CONTAINS ? all - n : 0;
  return match == PP_EXACT ? n == all : n <= all;
}

static bool namespace_matches(const struct pp_binary_scope *s, const struct slice *namespace, size_t n)
{
  size_t first, last;
  if (!places(s->namespace_match, count_of(s->elements), n, &first, &last))
    return false;
  for (size_t at = first; at <= last; at++) {
    if (elements_at(s->elements, namespace + at))
      return true;
  }
  return false;
}

static bool track_matches(const struct pp_binary_scope *s, struct slice track)
{
  size_t first, last;
  if (!places(s->track_match, s->track.n, track.n, &first, &last))
    return false;
  for (size_t at = first; at <= last; at++) {
    if (slice_eq(s->track, slice_of(slice_from(track, at).p, s->track.n)))
      return true;
  }
  return false;
}

bool pp_binary_covers(const struct pp_binary_scope *s, unsigned action, const struct slice *namespace, size_t n,
                      struct slice track)
{
  return action < 32 && s->actions >> action & 1 && namespace_matches(s, namespace, n) && track_matches(s, track);
}
