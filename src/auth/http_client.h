/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP to one server of the operator's choice: JSON that is posted, documents that are got, by libcurl's multi interface on libuv's loop, so that nothing waits.
 * https, http to the own host alone, or http on a UNIX socket. No redirect is followed, no proxy is used, an answer has
 * bounds in size and time. Worker's thread. */
#pragma once
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/timers.h"
#include "base/clock.h"
#include <uv.h>

#define HTTP_ANSWER_MAX (64u << 10) /* bytes of an answer's body; more is a failure */

struct http_client_config {
  /* https://HOST[:PORT]/PATH, http:// of a loopback address or localhost, unix:PATH (also unix://PATH). */
  const char *url;
  /* For https; PEM files, NULL = the system's roots, no certificate of ours. */
  const char *tls_root, *tls_cert, *tls_key;
  bool tls_insecure;   /* any certificate will do */
  const char *accept;  /* type of a document that is got; NULL = JSON */
  uint64_t timeout_ns; /* of one request, from start to end */
  unsigned requests;   /* at a time */
  uv_loop_t *loop;
  struct timers *timers;
  struct clock clock;
  void (*enter)(void *ctx); /* called first in each callback of the loop; may be NULL */
  void *ctx;
};

struct http_client;

/* Strings are borrowed for the life of the client. -EINVAL and a text that says what is wrong with the URL, -EACCES and the
 * like for a file that cannot be read; -ENOMEM. */
int http_client_new(const struct http_client_config *config, struct http_client **ret_client, struct err *ret_err);
/* Cancels what is under way. The loop must run once more. */
void http_client_free(struct http_client *c);

/* What is wrong with a URL; NULL: nothing. */
const char *http_client_url_fault(const char *url);

struct http_answer {
  int status;                /* 0: there was none */
  struct slice body;         /* borrowed for the call */
  const char *cache_control; /* "" = none; cut when it is long */
  const char *error;         /* status 0: what went wrong, for the log; else NULL */
};

/* One request; embedded by who asks. A zeroed one is idle. */
struct http_post {
  /* Once, never from inside http_client_post; it may start the next request or free the struct. */
  void (*done)(struct http_post *p, const struct http_answer *answer);
  struct list link;
  struct http_client *client; /* while it is under way */
  struct http_transfer *transfer;
};

/* Sends `body`, JSON, which is copied. 0; -EBUSY when too many are under way; -ENOMEM. */
int http_client_post(struct http_client *c, struct http_post *p, struct slice body);
/* Gets the document at the URL. Returns as above. */
int http_client_get(struct http_client *c, struct http_post *p);
/* No answer is wanted; an idle one is fine. */
void http_post_cancel(struct http_post *p);

static inline bool http_post_busy(const struct http_post *p)
{
  return p->client != NULL;
}
