/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "web/uri.h"
#include "base/utf8.h"
#include <errno.h>
#include <strings.h>

/* Absolute form is for proxies, but a server has to accept it. */
static char *skip_authority(char *target)
{
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t n = strlen(schemes[i]);
    if (strncasecmp(target, schemes[i], n) == 0)
      return target + n + strcspn(target + n, "/?");
  }
  return target;
}

int uri_split(char *target, char **ret_path, char **ret_query)
{
  char *path = skip_authority(target);
  char *query = path + strcspn(path, "?");
  if (path[0] != '/')
    return -EINVAL;
  if (*query)
    *query++ = '\0';
  *ret_path = path;
  *ret_query = query;
  return 0;
}

static int hex(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uri_decode(char *text)
{
  char *out = text;
  for (const char *in = text; *in; in++) {
    char c = *in;
    if (c == '%') {
      int high = hex(in[1]), low = high < 0 ? -1 : hex(in[2]);
      if (low < 0 || (high | low) == 0)
        return -EINVAL;
      c = (char)(high << 4 | low);
      in += 2;
    }
    *out++ = c;
  }
  *out = '\0';
  return utf8_valid(slice_of(text, (size_t)(out - text))) ? 0 : -EINVAL;
}

bool uri_query_value(const char *query, const char *name, struct slice *ret_value)
{
  size_t n = strlen(name);
  for (const char *at = query; *at;) {
    size_t len = strcspn(at, "&");
    if (len > n && memcmp(at, name, n) == 0 && at[n] == '=') {
      *ret_value = slice_of(at + n + 1, len - n - 1);
      return true;
    }
    at += len + (at[len] == '&');
  }
  return false;
}
