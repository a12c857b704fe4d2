/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP/1.1 on TCP, with TLS or without, by libmicrohttpd on the worker's loop (its epoll descriptor
 * in uv_poll; a timer from MHD_get_timeout after every MHD_run). GET and HEAD of
 *
 *   /                       the demo page of `web_root`, else a plain page that says what this is
 *   /FILE                   its files
 *   /certificate.sha256     hex SHA-256 of the QUIC certificate, 64 digits, no newline
 *   /announced[/PREFIX]     paths relative to PREFIX, one a line
 *   /fetch/BROADCAST/TRACK  the newest group's frames, raw, streamed as they arrive
 *   /challenge?path=P&op=O  what a Privacy Pass token has to be for, as JSON
 *   /health                 "ok"
 * with CORS; an internal listener has /health and /metrics alone. /announced and /fetch ask the admission function. A server is one listener. Worker's
 * thread. */
#pragma once
#include "auth/admission.h"
#include "base/log.h"
#include "model/origin.h"
#include "net/tls.h"
#include "net/worker.h"
#include "web/metrics.h"

struct http_server;

struct http_config {
  struct worker *worker;
  const struct log *log;
  const char *listen; /* "127.0.0.1:4443", "[::]:4443" (dual-stack) */
  struct model *model;
  struct origin *origin;
  struct admission *admission;
  const struct tls_server *tls; /* for the fingerprint */
  struct tls_server *https;     /* the certificates of HTTPS, outlives the server; NULL = plain HTTP */
  /* Whose pages may read the answers; "*" = all. Outlives the server. */
  const char *const *allow_origin;
  size_t allow_origin_count;
  const char *web_root; /* folder of the page, NULL = none */
  bool (*full)(void *ctx); /* whether memory is short: then /announced and /fetch are answered 503. NULL = never */
  void *full_ctx;
  const struct metrics_source *metrics; /* not NULL: an internal listener. Outlives the server */
  struct limits *counts;                /* hears of limits that are reached; may be NULL */
  unsigned clients;                     /* connections at once */
  size_t request_bytes; /* of a request's target, else 414; of its header beside that, else 431; 0 = 8 KiB */
  uint64_t wait_ns;     /* bound on waiting for a broadcast, track or group: then 504 */
};

/* Errors name the address and the cause (port in use). */
int http_server_new(const struct http_config *config, struct http_server **ret_http, struct err *ret_err);
/* The configuration in force; `listen` is NULL. */
const struct http_config *http_server_config(const struct http_server *h);
/* Bytes that its connections hold, by estimate; 0 for NULL. */
size_t http_server_memory(const struct http_server *h);
/* The bound address. */
const struct sockaddr_storage *http_server_address(const struct http_server *h);
/* Takes no further connection; those that are open go on. `idle` is called when the last request
 * has been answered, never from inside. Returns whether there is any; if not, it is not called. */
bool http_server_stop(struct http_server *h, void (*idle)(void *ctx), void *ctx);
/* Ends all connections. Before the origin goes. */
void http_server_free(struct http_server *h);
