/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The files of the page's folder: plain names in the folder itself, of types that a page is made
 * of. */
#include "web/exchange.h"
#include "web/uri.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME_MAX 128

static const char about[] =
    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>moq-relay</title>\n"
    "<h1>moq-relay</h1>\n<p>A Media over QUIC relay, version " MOQ_VERSION ".</p>\n"
    "<ul>\n<li><a href=\"/announced\">/announced</a>: what is being published\n"
    "<li>/announced/PREFIX: the same below a prefix\n"
    "<li>/fetch/BROADCAST/TRACK: the newest group of a track\n"
    "<li><a href=\"/certificate.sha256\">/certificate.sha256</a>: hash of the QUIC certificate\n"
    "<li><a href=\"/health\">/health</a>\n</ul>\n";

static const char not_found[] = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>moq-relay</title>\n"
                                "<h1>moq-relay</h1>\n<p>404: there is no such page.</p>\n";

struct file_type {
  const char *ending, *type;
};

static const struct file_type types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".wasm", "application/wasm"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
};

static const char *type_of(const char *name)
{
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++) {
    if (strcmp(dot, types[i].ending) == 0)
      return types[i].type;
  }
  return NULL;
}

static bool plain_name(const char *name)
{
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
  return n > 0 && n <= FILE_NAME_MAX && name[n] == '\0' && name[0] != '.';
}

/* The folder is opened each time: a new build of the page may have replaced it. */
static int open_file(const char *root, const char *name, struct stat *ret_stat)
{
  int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return -1;
  int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  close(folder);
  if (fd >= 0 && (fstat(fd, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode))) {
    close(fd);
    return -1;
  }
  return fd;
}

/* Changes with the file; two strings of the same text mean that the client has it. */
static void tag_of(const struct stat *st, char out[48])
{
  snprintf(out, 48, "\"%llx-%llx\"", (unsigned long long)st->st_size,
           (unsigned long long)st->st_mtim.tv_sec * 1000000000ULL + (unsigned long long)st->st_mtim.tv_nsec);
}

static bool client_has(const struct exchange *x, const char *tag)
{
  const char *have = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
  return have && strcmp(have, tag) == 0;
}

static void answer_file(struct exchange *x, const char *name, int fd, const struct stat *st)
{
  char tag[48];
  tag_of(st, tag);
  bool same = client_has(x, tag);
  struct MHD_Response *r = same ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
                                : MHD_create_response_from_fd64((uint64_t)st->st_size, fd);
  if (same || !r)
    close(fd);
  if (r) {
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type_of(name));
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, tag);
    MHD_add_response_header(r, "x-content-type-options", "nosniff");
  }
  exchange_answer(x, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r);
}

static bool send_file(struct exchange *x, const char *name)
{
  struct stat st;
  const char *root = exchange_config(x)->web_root;
  if (!root || x->method == HTTP_OTHER || !plain_name(name) || !type_of(name))
    return false;
  int fd = open_file(root, name, &st);
  if (fd < 0)
    return false;
  answer_file(x, name, fd, &st);
  return true;
}

void file_endpoint(struct exchange *x, char *rest)
{
  bool home = strcmp(rest, "/") == 0;
  if (uri_decode(rest) < 0)
    exchange_status(x, MHD_HTTP_BAD_REQUEST);
  else if (send_file(x, home ? "index.html" : rest + 1))
    return;
  else if (home && x->method != HTTP_OTHER)
    exchange_html(x, MHD_HTTP_OK, about);
  else
    exchange_html(x, MHD_HTTP_NOT_FOUND, not_found);
}
