/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/path.h"
#include <errno.h>

bool path_part(struct slice *rest, struct slice *ret_part)
{
  while (rest->n > 0 && rest->p[0] == '/')
    *rest = slice_from(*rest, 1);
  if (rest->n == 0)
    return false;
  const uint8_t *end = memchr(rest->p, '/', rest->n);
  size_t n = end ? (size_t)(end - rest->p) : rest->n;
  *ret_part = slice_of(rest->p, n);
  *rest = slice_from(*rest, n);
  return true;
}

static int append(struct path *p, int parts, struct slice s)
{
  struct slice part;
  while (path_part(&s, &part)) {
    size_t sep = p->n > 0;
    if (memchr(part.p, '\0', part.n))
      return -EINVAL;
    if (++parts > PATH_PARTS_MAX || p->n + sep + part.n > PATH_BYTES_MAX)
      return -ENAMETOOLONG;
    if (sep)
      p->s[p->n++] = '/';
    memcpy(p->s + p->n, part.p, part.n);
    p->n += (uint16_t)part.n;
  }
  p->s[p->n] = '\0';
  return parts;
}

int path_join(struct path *ret_path, struct slice a, struct slice b)
{
  struct path p;
  p.n = 0;
  int parts = append(&p, 0, a);
  if (parts >= 0)
    parts = append(&p, parts, b);
  if (parts < 0)
    return parts;
  ret_path->n = p.n;
  memcpy(ret_path->s, p.s, p.n + 1u);
  return 0;
}

int path_parse(struct path *ret_path, struct slice s)
{
  return path_join(ret_path, s, slice_of(NULL, 0));
}

bool path_under(struct slice path, struct slice prefix, struct slice *ret_suffix)
{
  if (path.n < prefix.n || (prefix.n > 0 && memcmp(path.p, prefix.p, prefix.n) != 0))
    return false;
  size_t at = prefix.n;
  if (prefix.n > 0 && path.n > prefix.n) {
    if (path.p[at] != '/')
      return false;
    at++;
  }
  if (ret_suffix)
    *ret_suffix = slice_from(path, at);
  return true;
}
