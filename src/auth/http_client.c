/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libcurl tells which sockets it waits for and when it wants to be called again; its multi handle never blocks. Names are
 * looked up on a thread of its own. */
#include "auth/http_client.h"
#include "base/buf.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define IDLE_CONNECTIONS 32 /* kept for the next requests */
#define CACHE_CONTROL_MAX 255

/* GnuTLS reads the roots anew for each connection: some ten milliseconds for a system's bundle, six times that for its folder
 * of single files, which is what libcurl may have been built to use. So the bundle it is where there is one, and further
 * requests wait for one of so many connections. */
#define TLS_CONNECTIONS 32
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};

#define UNIX_TARGET "http://localhost/"

struct http_client {
  struct http_client_config config;
  const char *socket_path; /* NULL: TCP */
  const char *roots;       /* a file; NULL: as libcurl was built */
  CURLM *multi;
  struct curl_slist *headers;
  struct timer timer;
  struct list posts;
  unsigned count;
};

struct http_transfer {
  struct http_post *post;
  CURL *curl;
  struct buf body;
  char cache_control[CACHE_CONTROL_MAX + 1];
  bool too_large;
  struct timer deadline; /* also of a request that waits for a connection */
};

/* A socket of libcurl's. Outlives the client until the loop has let go of it. */
struct watch {
  uv_poll_t poll;
  struct http_client *client;
  curl_socket_t fd;
};

/* -- URLs -- */

static bool has_scheme(const char *url, const char *scheme)
{
  return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

static const char *unix_path(const char *url)
{
  if (!has_scheme(url, "unix:"))
    return NULL;
  return strncmp(url + 5, "//", 2) == 0 ? url + 7 : url + 5;
}

static bool is_loopback(const char *host)
{
  unsigned a, b, c, d;
  char rest;
  return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
         (sscanf(host, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4 && a == 127 && b < 256 && c < 256 && d < 256);
}

static const char *scheme_fault(const char *scheme, const char *host)
{
  if (strcmp(scheme, "https") == 0)
    return NULL;
  if (strcmp(scheme, "http") != 0)
    return "write https://, http:// of this host, or unix:PATH";
  return is_loopback(host) ? NULL : "http is for this host alone (127.0.0.1, [::1], localhost); write https://";
}

/* As libcurl will read it: two parsers could disagree about the host. */
static const char *parsed_fault(CURLU *u, const char *url)
{
  char *scheme = NULL, *host = NULL;
  const char *fault = "not a URL";
  if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
      curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
      curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
    fault = scheme_fault(scheme, host);
  curl_free(scheme);
  curl_free(host);
  return fault;
}

const char *http_client_url_fault(const char *url)
{
  const char *path = unix_path(url);
  if (path)
    return *path ? NULL : "the path of the socket is missing";
  CURLU *u = curl_url();
  const char *fault = u ? parsed_fault(u, url) : "out of memory";
  curl_url_cleanup(u);
  return fault;
}

/* -- the end of a request -- */

static void transfer_free(struct http_transfer *t)
{
  if (!t)
    return;
  curl_easy_cleanup(t->curl);
  buf_destroy(&t->body);
  free(t);
}

/* Takes the transfer away from its request. */
static struct http_transfer *take(struct http_post *p)
{
  struct http_transfer *t = p->transfer;
  curl_multi_remove_handle(p->client->multi, t->curl);
  timers_cancel(p->client->config.timers, &t->deadline);
  list_remove(&p->link);
  p->client->count--;
  p->client = NULL;
  p->transfer = NULL;
  return t;
}

void http_post_cancel(struct http_post *p)
{
  if (p->client)
    transfer_free(take(p));
}

static void finish(CURL *curl, CURLcode code)
{
  struct http_post *p = NULL;
  struct http_answer answer = {0};
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&p);
  struct http_transfer *t = take(p);
  if (code == CURLE_OK && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status > 0)
    answer.status = (int)status;
  else
    answer.error = t->too_large ? "the answer is too large" : curl_easy_strerror(code);
  if (answer.status)
    answer.body = buf_slice(&t->body);
  answer.cache_control = t->cache_control;
  p->done(p, &answer); /* p may be gone */
  transfer_free(t);
}

static void on_deadline(struct timer *timer, uint64_t now)
{
  struct http_post *p = container_of(timer, struct http_transfer, deadline)->post;
  struct http_answer answer = {.error = "no answer in time"};
  (void)now;
  transfer_free(take(p));
  p->done(p, &answer); /* p may be gone */
}

static void look_for_ends(struct http_client *c)
{
  int left;
  for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
    if (m->msg == CURLMSG_DONE)
      finish(m->easy_handle, m->data.result);
  }
}

/* -- the loop -- */

static void act(struct http_client *c, curl_socket_t fd, int what)
{
  int running;
  curl_multi_socket_action(c->multi, fd, what, &running);
  look_for_ends(c);
}

static void on_timer(struct timer *t, uint64_t now)
{
  (void)now;
  act(container_of(t, struct http_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long ms, void *user)
{
  struct http_client *c = user;
  (void)multi;
  timers_set(c->config.timers, &c->timer,
             ms < 0 ? TIMERS_NONE : clock_now(&c->config.clock) + (uint64_t)ms * NS_PER_MS);
  return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
  struct watch *w = container_of(poll, struct watch, poll);
  struct http_client *c = w->client;
  int what = status < 0 ? CURL_CSELECT_ERR : 0;
  if (c->config.enter)
    c->config.enter(c->config.ctx);
  what |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
  what |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
  act(c, w->fd, what);
}

static void on_watch_closed(uv_handle_t *h)
{
  free(container_of((uv_poll_t *)h, struct watch, poll));
}

static struct watch *watch_new(struct http_client *c, curl_socket_t fd)
{
  struct watch *w = calloc(1, sizeof *w);
  if (!w)
    return NULL;
  w->client = c;
  w->fd = fd;
  if (uv_poll_init(c->config.loop, &w->poll, fd) == 0)
    return w;
  free(w);
  return NULL;
}

/* libcurl closes the socket after it has said REMOVE: the loop forgets it here. */
static int want_socket(CURL *curl, curl_socket_t fd, int what, void *user, void *own)
{
  struct http_client *c = user;
  struct watch *w = own;
  (void)curl;
  if (what == CURL_POLL_REMOVE) {
    if (w)
      uv_close((uv_handle_t *)&w->poll, on_watch_closed);
    return 0;
  }
  if (!w) {
    w = watch_new(c, fd);
    if (!w)
      return -1;
    curl_multi_assign(c->multi, fd, w);
  }
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  return uv_poll_start(&w->poll, events, on_poll) < 0 ? -1 : 0;
}

/* -- requests -- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
  struct http_transfer *t = user;
  size_t n = size * count;
  if (n > HTTP_ANSWER_MAX - t->body.n) {
    t->too_large = true;
    return 0;
  }
  buf_bytes(&t->body, slice_of(data, n));
  return t->body.failed ? 0 : n;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
  static const char name[] = "cache-control:";
  struct http_transfer *t = user;
  size_t n = size * count, skip = sizeof name - 1;
  if (n > skip && strncasecmp(data, name, skip) == 0)
    snprintf(t->cache_control, sizeof t->cache_control, "%.*s", (int)(n - skip), data + skip);
  return n;
}

static void set_tls(CURL *e, const struct http_client *c)
{
  curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, c->config.tls_insecure ? 0L : 1L);
  curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, c->config.tls_insecure ? 0L : 2L);
  if (c->roots) {
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_CAINFO, c->roots);
  }
  if (c->config.tls_cert) {
    curl_easy_setopt(e, CURLOPT_SSLCERT, c->config.tls_cert);
    curl_easy_setopt(e, CURLOPT_SSLKEY, c->config.tls_key);
  }
}

/* What is posted; nothing: a document is got. */
static bool set_body(CURL *e, const struct slice *body)
{
  if (!body)
    return curl_easy_setopt(e, CURLOPT_HTTPGET, 1L) == CURLE_OK;
  return curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)body->n) == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, body->p) == CURLE_OK;
}

static bool set_up(struct http_client *c, struct http_transfer *t, const struct slice *body)
{
  CURL *e = t->curl;
  curl_easy_setopt(e, CURLOPT_PRIVATE, t->post);
  curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name that is being looked up */
  curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
  curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
  set_tls(e, c);
  return curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->socket_path) == CURLE_OK &&
         curl_easy_setopt(e, CURLOPT_URL, c->socket_path ? UNIX_TARGET : c->config.url) == CURLE_OK &&
         set_body(e, body);
}

static int start_transfer(struct http_client *c, struct http_post *p, const struct slice *body)
{
  if (c->count >= c->config.requests)
    return -EBUSY;
  struct http_transfer *t = calloc(1, sizeof *t);
  if (!t)
    return -ENOMEM;
  t->post = p;
  timer_init(&t->deadline, on_deadline);
  t->curl = curl_easy_init();
  if (!t->curl || !set_up(c, t, body) || curl_multi_add_handle(c->multi, t->curl) != CURLM_OK) {
    transfer_free(t);
    return -ENOMEM;
  }
  p->client = c;
  p->transfer = t;
  timers_set(c->config.timers, &t->deadline, clock_now(&c->config.clock) + c->config.timeout_ns);
  list_append(&c->posts, &p->link);
  c->count++;
  return 0;
}

int http_client_post(struct http_client *c, struct http_post *p, struct slice body)
{
  return start_transfer(c, p, &body);
}

int http_client_get(struct http_client *c, struct http_post *p)
{
  return start_transfer(c, p, NULL);
}

/* -- life -- */

static bool add_header(struct http_client *c, const char *text)
{
  struct curl_slist *more = curl_slist_append(c->headers, text);
  if (more)
    c->headers = more;
  return more != NULL;
}

static int check_file(const char *path, struct err *ret_err)
{
  if (!path || access(path, R_OK) == 0)
    return 0;
  int rc = -errno;
  return err_set(ret_err, rc, "%.300s: %s", path, strerror(-rc));
}

static int check(const struct http_client_config *config, struct err *ret_err)
{
  const char *fault = http_client_url_fault(config->url);
  if (fault)
    return err_set(ret_err, -EINVAL, "URL: %s", fault);
  int rc = check_file(config->tls_root, ret_err);
  if (rc == 0)
    rc = check_file(config->tls_cert, ret_err);
  return rc < 0 ? rc : check_file(config->tls_key, ret_err);
}

static const char *find_roots(const struct http_client_config *config)
{
  if (config->tls_root)
    return config->tls_root;
  for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
    if (access(bundles[i], R_OK) == 0)
      return bundles[i];
  }
  return NULL;
}

static bool start(struct http_client *c)
{
  c->multi = curl_multi_init();
  if (!c->multi)
    return false;
  curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
  curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
  curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, want_timer);
  curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
  curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
  if (has_scheme(c->config.url, "https:"))
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)TLS_CONNECTIONS);
  char accept[128];
  snprintf(accept, sizeof accept, "Accept: %s", c->config.accept ? c->config.accept : "application/json");
  /* Nobody waits for "100 Continue". */
  return (c->config.accept || add_header(c, "Content-Type: application/json")) && add_header(c, accept) &&
         add_header(c, "Expect:");
}

int http_client_new(const struct http_client_config *config, struct http_client **ret_client, struct err *ret_err)
{
  int rc = check(config, ret_err);
  if (rc < 0)
    return rc;
  struct http_client *c = calloc(1, sizeof *c);
  if (!c)
    return err_set(ret_err, -ENOMEM, "out of memory");
  c->config = *config;
  c->socket_path = unix_path(config->url);
  c->roots = find_roots(config);
  list_init(&c->posts);
  timer_init(&c->timer, on_timer);
  curl_global_init(CURL_GLOBAL_DEFAULT); /* counted */
  if (!start(c)) {
    http_client_free(c);
    return err_set(ret_err, -ENOMEM, "out of memory");
  }
  *ret_client = c;
  return 0;
}

void http_client_free(struct http_client *c)
{
  if (!c)
    return;
  while (!list_empty(&c->posts))
    http_post_cancel(container_of(c->posts.next, struct http_post, link));
  curl_multi_cleanup(c->multi);
  timers_cancel(c->config.timers, &c->timer);
  curl_slist_free_all(c->headers);
  curl_global_cleanup();
  free(c);
}
