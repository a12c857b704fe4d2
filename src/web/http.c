/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libmicrohttpd without a thread: its epoll descriptor is polled by the worker's loop. The
 * descriptors inside it are edge-triggered and resumed connections are looked at by MHD_run alone,
 * so `pump` runs after every event, resume and timeout, and re-arms the timeout each time. */
#include "auth/authorization.h"
#include "web/exchange.h"
#include "web/listen.h"
#include "web/uri.h"
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define GONE_EVENTS 64 /* taken from the kernel at once */

struct http_server {
  struct http_config config;
  char *web_root; /* owned; config.web_root points here */
  struct sockaddr_storage address;
  struct MHD_Daemon *daemon;
  uv_poll_t poll, gone_poll;
  int gone_fd;          /* epoll of the sockets of suspended exchanges: libmicrohttpd is not watching those
                */
  unsigned handles;     /* of libuv, open */
  struct timer timeout; /* MHD_get_timeout */
  struct deferred pump;
  struct list exchanges;
  unsigned clients;        /* now */
  void (*idle)(void *ctx); /* after http_server_stop */
  void *idle_ctx;
};

/* One connection, between its requests. */
struct client {
  struct http_server *server;
  struct MHD_Connection *connection;
  struct timer deadline;
};

const struct http_config *exchange_config(const struct exchange *x)
{
  return &x->server->config;
}

/* ---- the loop ---- */

static void pump(struct http_server *h)
{
  MHD_UNSIGNED_LONG_LONG ms;
  struct worker *w = h->config.worker;
  MHD_run(h->daemon);
  if (MHD_get_timeout(h->daemon, &ms) == MHD_NO)
    timers_cancel(&w->timers, &h->timeout);
  else if (ms == 0)
    worker_defer(w, &h->pump);
  else
    timers_set(&w->timers, &h->timeout, w->now + ms * NS_PER_MS);
}

static void on_pump(struct deferred *d, uint64_t now)
{
  (void)now;
  pump(container_of(d, struct http_server, pump));
}

static void on_timeout(struct timer *t, uint64_t now)
{
  (void)now;
  pump(container_of(t, struct http_server, timeout));
}

static void on_poll(uv_poll_t *p, int status, int events)
{
  struct http_server *h = p->data;
  (void)status, (void)events;
  worker_enter(h->config.worker);
  pump(h);
}

static void on_gone(uv_poll_t *p, int status, int events)
{
  struct http_server *h = p->data;
  struct epoll_event ready[GONE_EVENTS];
  (void)status, (void)events;
  worker_enter(h->config.worker);
  int n = epoll_wait(h->gone_fd, ready, GONE_EVENTS, 0);
  for (int i = 0; i < n; i++) {
    exchange_abort(ready[i].data.ptr);
  }
}

/* ---- suspending ---- */

static int socket_of(struct MHD_Connection *c)
{
  return MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* A client that shuts down its sending side counts as gone: the kernel shows no difference until we
 * send. */
void exchange_suspend(struct exchange *x)
{
  struct epoll_event e = {.events = EPOLLRDHUP, .data.ptr = x};
  MHD_suspend_connection(x->connection);
  epoll_ctl(x->server->gone_fd, EPOLL_CTL_ADD, socket_of(x->connection), &e);
  x->suspended = true;
}

void exchange_wake(struct exchange *x)
{
  if (!x->suspended)
    return;
  x->suspended = false;
  epoll_ctl(x->server->gone_fd, EPOLL_CTL_DEL, socket_of(x->connection), NULL);
  MHD_resume_connection(x->connection);
  worker_defer(x->server->config.worker, &x->server->pump);
}

/* ---- answers ---- */

/* For `body` of static storage: an answer that needs no memory of its own beyond libmicrohttpd's.
 */
static struct MHD_Response *fixed_response(const char *body)
{
  return MHD_create_response_from_buffer(strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
}

void exchange_answer(struct exchange *x, unsigned status, struct MHD_Response *response)
{
  if (!response) {
    response = fixed_response("");
    status = MHD_HTTP_INTERNAL_SERVER_ERROR;
  }
  if (response && x->method == HTTP_GET && !x->server->config.metrics)
    cors_allow(x, response);
  log_debug(x->server->config.log, "http request path=%s status=%u", x->path ? x->path : "", status);
  x->response = response;
  x->status = status;
  if (!response)
    x->gone = true; /* not even that: the connection closes */
  exchange_wake(x);
}

void exchange_abort(struct exchange *x)
{
  x->gone = true;
  exchange_wake(x);
}

void exchange_status(struct exchange *x, unsigned status)
{
  exchange_answer(x, status, fixed_response(""));
}

static void answer_typed(struct exchange *x, unsigned status, const char *body, const char *type)
{
  struct MHD_Response *r =
      MHD_create_response_from_buffer(strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
  if (r)
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  exchange_answer(x, status, r);
}

void exchange_text(struct exchange *x, unsigned status, const char *text)
{
  answer_typed(x, status, text, "text/plain; charset=utf-8");
}

void exchange_html(struct exchange *x, unsigned status, const char *text)
{
  answer_typed(x, status, text, "text/html; charset=utf-8");
}

static enum MHD_Result count_credentials(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
  unsigned *n = ctx;
  (void)kind, (void)value;
  *n += strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0;
  return MHD_YES;
}

/* There is one such header at most (RFC 9110, section 5.3): of several, a proxy might look at another one than we. */
static bool many_credentials(const struct exchange *x)
{
  unsigned n = 0;
  MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_credentials, &n);
  return n > 1;
}

/* Where the client reached us: a socket that is bound to all addresses has that of the connection. */
static void local_address(const struct exchange *x, struct sockaddr_storage *ret)
{
  socklen_t n = sizeof *ret;
  *ret = (struct sockaddr_storage){0};
  if (getsockname(socket_of(x->connection), (struct sockaddr *)ret, &n) < 0)
    *ret = (struct sockaddr_storage){0};
}

void exchange_admit(struct exchange *x, const char *path, enum admission_use use, struct admission_ticket *ticket)
{
  struct sockaddr_storage peer = {0}, local;
  const struct sockaddr *sa = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
  local_address(x, &local);
  const char *host = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
  const char *authorization =
      MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
  if (sa)
    memcpy(&peer, sa, sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
  const struct http_config *config = &x->server->config;
  if (config->full && config->full(config->full_ctx)) {
    ticket->done(ticket, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "memory is short");
    return;
  }
  if (many_credentials(x)) {
    ticket->done(ticket, MHD_HTTP_BAD_REQUEST, NULL, "more than one Authorization");
    return;
  }
  struct admission_request request = {.transport = "http",
                                      .url = path,
                                      .query = x->query,
                                      .host = host ? host : "",
                                      .bearer = authorization_bearer(authorization),
                                      .private_token = authorization_private_token(authorization),
                                      .use = use,
                                      .peer = &peer,
                                      .local = &local};
  admission_start(x->server->config.admission, &request, ticket);
}

/* ---- routes ---- */

static void health_endpoint(struct exchange *x, char *rest)
{
  (void)rest;
  exchange_text(x, MHD_HTTP_OK, "ok\n");
}

static void certificate_endpoint(struct exchange *x, char *rest)
{
  (void)rest;
  char hex[65];
  if (!x->server->config.tls) {
    exchange_text(x, MHD_HTTP_NOT_FOUND, "no certificate\n");
    return;
  }
  tls_server_fingerprint(x->server->config.tls, hex);
  exchange_text(x, MHD_HTTP_OK, hex);
}

struct route_row {
  const char *path;
  bool below; /* also path/ANYTHING */
  void (*endpoint)(struct exchange *x, char *rest);
};

/* Not for the public. */
static const struct route_row internal_routes[] = {
    {"/health", false, health_endpoint},
    {"/metrics", false, metrics_endpoint},
};

static const struct route_row routes[] = {
    {"/health", false, health_endpoint},       {"/certificate.sha256", false, certificate_endpoint},
    {"/announced", true, announced_endpoint},  {"/fetch", true, fetch_endpoint},
    {"/challenge", false, challenge_endpoint},
};

static bool matches(const struct route_row *r, const char *path, size_t *ret_rest)
{
  size_t n = strlen(r->path);
  if (strncmp(path, r->path, n) != 0)
    return false;
  *ret_rest = n;
  return path[n] == '\0' || (r->below && path[n] == '/');
}

static bool internal(const struct exchange *x)
{
  return x->server->config.metrics != NULL;
}

static const struct route_row *find_route(const struct exchange *x, size_t *ret_rest)
{
  const struct route_row *rows = internal(x) ? internal_routes : routes;
  size_t n = internal(x) ? sizeof internal_routes / sizeof *rows : sizeof routes / sizeof *rows;
  for (size_t i = 0; i < n; i++) {
    if (matches(&rows[i], x->path, ret_rest))
      return &rows[i];
  }
  return NULL;
}

static void refuse_method(struct exchange *x)
{
  struct MHD_Response *r = fixed_response("");
  if (r)
    MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET,HEAD");
  exchange_answer(x, MHD_HTTP_METHOD_NOT_ALLOWED, r);
}

static bool wants_websocket(const struct exchange *x)
{
  const char *upgrade = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_UPGRADE);
  return upgrade && strcasecmp(upgrade, "websocket") == 0;
}

static void dispatch(struct exchange *x)
{
  size_t at = 0;
  const struct route_row *route = x->refused ? NULL : find_route(x, &at);
  if (x->refused)
    exchange_status(x, x->refused);
  else if (x->method == HTTP_OPTIONS && !internal(x))
    cors_preflight(x);
  else if (route && x->method >= HTTP_OPTIONS)
    refuse_method(x);
  else if (route)
    route->endpoint(x, x->path + at);
  else if (internal(x))
    exchange_text(x, MHD_HTTP_NOT_FOUND, "not found\n");
  else if (wants_websocket(x))
    exchange_text(x, MHD_HTTP_NOT_IMPLEMENTED, "this relay has no WebSocket; use WebTransport\n");
  else
    file_endpoint(x, x->path);
}

/* ---- libmicrohttpd's callbacks ---- */

static enum http_method method_of(const char *name)
{
  static const char *const names[] = {"GET", "HEAD", "OPTIONS"};
  for (int i = 0; i < HTTP_OTHER; i++) {
    if (strcmp(name, names[i]) == 0)
      return (enum http_method)i;
  }
  return HTTP_OTHER;
}

/* Keeps the path percent-encoded: it is split before it is decoded. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *c, char *s)
{
  (void)ctx, (void)c;
  return strlen(s);
}

static size_t request_bytes(const struct http_server *h)
{
  return h->config.request_bytes > 0 ? h->config.request_bytes : HTTP_REQUEST_BYTES;
}

static void too_large(struct http_server *h)
{
  limit_hit(h->config.counts, LIMIT_HTTP_REQUEST_BYTES, h->config.worker->now, "kind=http");
}

static void split_target(struct exchange *x, const char *target)
{
  x->target_n = strlen(target);
  if (x->target_n > request_bytes(x->server)) {
    too_large(x->server);
    x->refused = MHD_HTTP_URI_TOO_LONG;
    return;
  }
  x->target = strdup(target);
  if (!x->target) {
    x->refused = MHD_HTTP_INTERNAL_SERVER_ERROR;
  } else if (strcmp(target, "*") == 0) {
    x->path = x->target; /* OPTIONS * */
    x->query = x->target + 1;
  } else if (uri_split(x->target, &x->path, &x->query) < 0) {
    x->refused = MHD_HTTP_BAD_REQUEST;
  }
}

/* The first that is heard of a request; what it returns is the exchange of the calls that follow.
 */
static void *on_target(void *ctx, const char *target, struct MHD_Connection *c)
{
  struct http_server *h = ctx;
  (void)c;
  struct exchange *x = calloc(1, sizeof *x);
  if (!x)
    return NULL;
  x->server = h;
  list_append(&h->exchanges, &x->link);
  split_target(x, target);
  return x;
}

static enum MHD_Result queue(struct exchange *x)
{
  enum MHD_Result rc = MHD_queue_response(x->connection, x->status, x->response);
  MHD_destroy_response(x->response);
  x->response = NULL;
  return rc;
}

static bool has_body(const struct exchange *x)
{
  const char *length = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return (length && strcmp(length, "0") != 0) ||
         MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static void *client_of(struct MHD_Connection *c)
{
  return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

const struct http_config *connection_config(struct MHD_Connection *c)
{
  const struct client *client = client_of(c);
  return client ? &client->server->config : NULL;
}

static void check_header(struct exchange *x, struct MHD_Connection *c)
{
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  if (!info || x->refused || info->header_size <= request_bytes(x->server) + x->target_n)
    return;
  too_large(x->server);
  x->refused = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
}

/* Nothing here takes a body, so one ends the connection: it is answered before it is read. */
static enum MHD_Result on_header(struct exchange *x, struct MHD_Connection *c, const char *method)
{
  struct client *client = client_of(c);
  x->connection = c;
  x->method = method_of(method);
  if (client)
    timers_cancel(&x->server->config.worker->timers, &client->deadline);
  check_header(x, c);
  if (!has_body(x))
    return MHD_YES;
  if (x->method != HTTP_OTHER && !x->refused)
    x->refused = MHD_HTTP_CONTENT_TOO_LARGE;
  x->started = true;
  dispatch(x);
  if (!x->response)
    return MHD_NO;
  MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
  return queue(x);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **request)
{
  struct exchange *x = *request;
  (void)ctx, (void)url, (void)version, (void)upload;
  if (!x)
    return MHD_NO;
  if (!x->connection)
    return on_header(x, c, method);
  if (*upload_size > 0)
    return MHD_NO;
  if (!x->started) {
    x->started = true;
    dispatch(x);
  }
  if (x->response)
    return queue(x);
  if (x->gone)
    return MHD_NO;
  exchange_suspend(x);
  return MHD_YES;
}

static void exchange_free(struct exchange *x)
{
  if (x->cancel)
    x->cancel(x);
  if (x->response)
    MHD_destroy_response(x->response);
  struct http_server *h = x->server;
  list_remove(&x->link);
  free(x->target);
  free(x);
  if (h->idle && list_empty(&h->exchanges))
    h->idle(h->idle_ctx);
}

static void await_header(struct client *client)
{
  struct worker *w = client->server->config.worker;
  timers_set(&w->timers, &client->deadline, w->now + HTTP_HEADER_NS);
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode why)
{
  struct client *client = client_of(c);
  (void)ctx, (void)why;
  if (*request)
    exchange_free(*request);
  *request = NULL;
  if (client)
    await_header(client);
}

/* libmicrohttpd's own timeout starts anew with each byte; this one does not. */
static void on_deadline(struct timer *t, uint64_t now)
{
  struct client *client = container_of(t, struct client, deadline);
  (void)now;
  shutdown(socket_of(client->connection), SHUT_RDWR);
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
  struct http_server *h = ctx;
  struct client *client = *context;
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    client = calloc(1, sizeof *client);
    *context = client;
    if (!client)
      return; /* the idle timeout still bounds it */
    client->server = h;
    client->connection = c;
    timer_init(&client->deadline, on_deadline);
    await_header(client);
    if (++h->clients == h->config.clients) /* whoever comes next waits in the kernel's queue */
      limit_hit(h->config.counts, LIMIT_HTTP_CLIENTS, h->config.worker->now, "kind=http");
  } else if (client) {
    timers_cancel(&h->config.worker->timers, &client->deadline);
    h->clients--;
    free(client);
    *context = NULL;
  }
  /* At the limit the library stops listening, and begins again in the run after the one that closed
   * a connection. */
  if (what == MHD_CONNECTION_NOTIFY_CLOSED)
    worker_defer(h->config.worker, &h->pump);
}

static void on_library_log(void *ctx, const char *format, va_list ap)
{
  struct http_server *h = ctx;
  char text[256];
  vsnprintf(text, sizeof text, format, ap);
  if (strstr(text, "response code is 414") || strstr(text, "response code is 431")) /* did not even fit its memory */
    too_large(h);
  text[strcspn(text, "\n")] = '\0';
  log_debug(h->config.log, "http library: %s", text);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
  struct http_server *h = handle->data;
  if (--h->handles > 0)
    return;
  if (h->gone_fd >= 0)
    close(h->gone_fd);
  free(h->web_root);
  free(h);
}

static int start_daemon(struct http_server *h, int fd, struct err *ret_err)
{
  bool tls = h->config.https != NULL;
  unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  struct MHD_OptionItem secure[] = {
      {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)https_certificate},
      {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)HTTPS_PRIORITIES},
      {MHD_OPTION_END, 0, NULL},
  };
  struct MHD_OptionItem options[] = {
      {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_library_log, h},
      {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
      {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)h->config.clients, NULL},
      {MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S, NULL},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)(HTTP_CLIENT_MEMORY + 2 * request_bytes(h)), NULL},
      {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
      {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, h},
      {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
      {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, h},
      {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, h},
      {MHD_OPTION_END, 0, NULL},
  };
  h->daemon = MHD_start_daemon(tls ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, on_request, h, MHD_OPTION_ARRAY,
                               options, tls ? MHD_OPTION_ARRAY : MHD_OPTION_END, secure, MHD_OPTION_END);
  if (h->daemon)
    return 0;
  close(fd);
  return err_set(ret_err, -EIO, "%s: the HTTP server cannot start (descriptors or memory)", h->config.listen);
}

static int poll_fd(struct http_server *h, uv_poll_t *poll, int fd, uv_poll_cb cb)
{
  int rc = uv_poll_init(h->config.worker->loop, poll, fd);
  if (rc < 0)
    return rc;
  poll->data = h;
  h->handles++;
  return uv_poll_start(poll, UV_READABLE, cb);
}

static int start_polling(struct http_server *h, struct err *ret_err)
{
  int fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, rc = 0;
  h->gone_fd = epoll_create1(EPOLL_CLOEXEC);
  if (h->gone_fd < 0)
    rc = -errno;
  if (rc == 0)
    rc = poll_fd(h, &h->poll, fd, on_poll);
  if (rc == 0)
    rc = poll_fd(h, &h->gone_poll, h->gone_fd, on_gone);
  return rc < 0 ? err_set(ret_err, rc, "%s: the HTTP server cannot start: %s", h->config.listen, strerror(-rc)) : 0;
}

/* The page may be put there later: its files are opened when they are asked for. */
static void check_web_root(const struct http_server *h)
{
  struct stat st;
  if (h->web_root && (stat(h->web_root, &st) < 0 || !S_ISDIR(st.st_mode)))
    log_warn(h->config.log, "web.root: there is no folder \"%.200s\" (yet)", h->web_root);
}

static int start(struct http_server *h, struct err *ret_err)
{
  int fd, rc = tcp_listen(h->config.listen, &fd, &h->address, ret_err);
  if (rc < 0)
    return rc;
  check_web_root(h);
  rc = start_daemon(h, fd, ret_err);
  return rc < 0 ? rc : start_polling(h, ret_err);
}

int http_server_new(const struct http_config *config, struct http_server **ret_http, struct err *ret_err)
{
  struct http_server *h = calloc(1, sizeof *h);
  if (!h)
    return err_set(ret_err, -ENOMEM, "out of memory");
  h->config = *config;
  h->gone_fd = -1;
  list_init(&h->exchanges);
  timer_init(&h->timeout, on_timeout);
  deferred_init(&h->pump, on_pump);
  int rc = 0;
  if (config->web_root) {
    h->config.web_root = h->web_root = strdup(config->web_root);
    rc = h->web_root ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
  }
  if (rc == 0)
    rc = start(h, ret_err);
  if (rc < 0) {
    http_server_free(h);
    return rc;
  }
  h->config.listen = NULL; /* borrowed for this call alone */
  pump(h);
  *ret_http = h;
  return 0;
}

#define TLS_BYTES (48u << 10) /* of a connection with TLS */

size_t http_server_memory(const struct http_server *h)
{
  if (!h)
    return 0;
  size_t each = HTTP_CLIENT_MEMORY + 2 * request_bytes(h) + sizeof(struct client) + (h->config.https ? TLS_BYTES : 0);
  return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections * each;
}

const struct http_config *http_server_config(const struct http_server *h)
{
  return &h->config;
}

const struct sockaddr_storage *http_server_address(const struct http_server *h)
{
  return &h->address;
}

bool http_server_stop(struct http_server *h, void (*idle)(void *ctx), void *ctx)
{
  int fd = MHD_quiesce_daemon(h->daemon);
  if (fd >= 0)
    close(fd);
  h->idle = idle;
  h->idle_ctx = ctx;
  return !list_empty(&h->exchanges);
}

/* libmicrohttpd may not be stopped while a connection is suspended. */
static void stop_daemon(struct http_server *h)
{
  h->idle = NULL;
  list_for_each (l, &h->exchanges) {
    exchange_abort(container_of(l, struct exchange, link));
  }
  MHD_stop_daemon(h->daemon);
}

void http_server_free(struct http_server *h)
{
  if (!h)
    return;
  if (h->handles > 0)
    uv_poll_stop(&h->poll);
  if (h->handles > 1)
    uv_poll_stop(&h->gone_poll);
  if (h->daemon)
    stop_daemon(h);
  worker_defer_cancel(&h->pump);
  timers_cancel(&h->config.worker->timers, &h->timeout);
  if (h->handles > 1)
    uv_close((uv_handle_t *)&h->gone_poll, on_closed);
  if (h->handles > 0) {
    uv_close((uv_handle_t *)&h->poll, on_closed);
    return;
  }
  if (h->gone_fd >= 0)
    close(h->gone_fd);
  free(h->web_root);
  free(h);
}
