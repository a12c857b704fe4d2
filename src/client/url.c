/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/url.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *scheme, *port;
  bool webtransport, fetch_fingerprint;
} schemes[] = {
    {"https://", "443", true, false},
    {"http://", "80", true, true},
    {"moql://", "443", false, false},
    {"moqt://", "443", false, false},
};

static int copy(char *out, size_t cap, const char *p, size_t n, const char *what, struct err *ret_err)
{
  if (n == 0 || n >= cap)
    return err_set(ret_err, -EINVAL, "URL: bad %s \"%.*s\"", what, (int)(n < 100 ? n : 100), p);
  memcpy(out, p, n);
  out[n] = '\0';
  return 0;
}

static int parse_port(const char *p, size_t n, char out[6], struct err *ret_err)
{
  int rc = copy(out, 6, p, n, "port", ret_err);
  if (rc < 0)
    return rc;
  for (const char *c = out; *c; c++) {
    if (!isdigit((unsigned char)*c))
      return err_set(ret_err, -EINVAL, "URL: bad port \"%s\"", out);
  }
  long v = strtol(out, NULL, 10);
  return v > 0 && v < 65536 ? 0 : err_set(ret_err, -EINVAL, "URL: bad port \"%s\"", out);
}

/* host, host:port, [v6], [v6]:port */
static int parse_authority(const char *p, size_t n, struct relay_url *u, struct err *ret_err)
{
  const char *end = p + n, *host_end, *host = p;
  if (n > 0 && *p == '[') {
    host = p + 1;
    host_end = memchr(p, ']', n);
    if (!host_end)
      return err_set(ret_err, -EINVAL, "URL: \"%.*s\" has no ]", (int)(n < 100 ? n : 100), p);
    p = host_end + 1;
  } else {
    const char *colon = memchr(p, ':', n);
    host_end = p = colon ? colon : end;
  }
  int rc = copy(u->host, sizeof u->host, host, (size_t)(host_end - host), "host", ret_err);
  if (rc < 0 || p == end)
    return rc;
  if (*p != ':')
    return err_set(ret_err, -EINVAL, "URL: unexpected \"%.*s\" after the host", (int)(end - p), p);
  return parse_port(p + 1, (size_t)(end - p - 1), u->port, ret_err);
}

int relay_url_parse(const char *text, struct relay_url *ret_url, struct err *ret_err)
{
  struct relay_url u = {0};
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t n = strlen(schemes[i].scheme);
    if (strncasecmp(text, schemes[i].scheme, n) != 0)
      continue;
    const char *rest = text + n;
    size_t authority = strcspn(rest, "/?#");
    const char *path = rest + authority;
    u.webtransport = schemes[i].webtransport;
    u.fetch_fingerprint = schemes[i].fetch_fingerprint;
    strcpy(u.port, schemes[i].port);
    if (snprintf(u.path, sizeof u.path, "%s%.*s", *path == '/' ? "" : "/", (int)strcspn(path, "#"), path) >=
        (int)sizeof u.path)
      return err_set(ret_err, -EINVAL, "URL: the path is too long");
    int rc = parse_authority(rest, authority, &u, ret_err);
    if (rc == 0)
      *ret_url = u;
    return rc;
  }
  return err_set(ret_err, -EINVAL, "URL: \"%.100s\" does not begin with https://, http://, moql:// or moqt://", text);
}
