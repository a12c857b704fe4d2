/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One request and its answer. An endpoint is called once with the exchange; it answers at once or
 * later (exchange_answer), exactly once. Until then the connection is suspended in libmicrohttpd,
 * which does not look at it: the server watches its socket for the client going away. An endpoint
 * that keeps something for later hangs it on `job` with a `cancel`, which is called when the
 * exchange ends for whatever reason, answered or not.
 *
 *   uri callback --> headers --> endpoint --> [suspended <--> resumed] --> answer --> completed:
 * cancel, free
 */
#pragma once
#include "web/http.h"
#include <microhttpd.h>

/* Bounds of what a client can make the server hold or wait for. */
#define HTTP_REQUEST_BYTES (8u << 10)  /* http_config.request_bytes when that is 0 */
#define HTTP_CLIENT_MEMORY (16u << 10) /* libmicrohttpd's pool of a connection, beside twice that: answer in flight */
#define HTTP_IDLE_S 15                 /* a connection that neither sends nor takes a byte */
#define HTTP_HEADER_NS (15 * NS_PER_S) /* from the end of the last exchange to the end of the next header */
#define ANNOUNCED_BYTES_MAX (8u << 20) /* a listing */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OPTIONS, HTTP_OTHER };

struct exchange {
  struct http_server *server;
  struct MHD_Connection *connection; /* NULL until the header is complete */
  struct list link;                  /* server's exchanges */
  char *target;                      /* owned; holds path and query */
  size_t target_n;                   /* bytes of both, as they came */
  char *path, *query;                /* percent-encoded; query is "" when absent */
  unsigned refused;                  /* a status decided before any endpoint, else 0 */
  enum http_method method;
  bool started, suspended, gone; /* gone: the client has left while suspended */
  struct MHD_Response *response; /* decided, not queued yet */
  unsigned status;
  void *job;
  void (*cancel)(struct exchange *x);
};

/* Endpoints. `rest` is what follows the route's path, percent-encoded. */
void announced_endpoint(struct exchange *x, char *rest);
void fetch_endpoint(struct exchange *x, char *rest);
void challenge_endpoint(struct exchange *x, char *rest);
void metrics_endpoint(struct exchange *x, char *rest);
void file_endpoint(struct exchange *x, char *rest); /* the page and its files, else the plain page or 404 */

/* Takes the response; NULL means there was no memory for it: 500. */
void exchange_answer(struct exchange *x, unsigned status, struct MHD_Response *response);
void exchange_status(struct exchange *x, unsigned status);                 /* no body */
void exchange_text(struct exchange *x, unsigned status, const char *text); /* text/plain, copied */
void exchange_html(struct exchange *x, unsigned status, const char *text); /* text/html, copied */

/* Lets a suspended exchange go on: its content reader has something to say. */
void exchange_wake(struct exchange *x);
/* From a content reader that has nothing yet and will call exchange_wake. */
void exchange_suspend(struct exchange *x);

/* Ends the exchange without the rest of its answer: the connection closes. */
void exchange_abort(struct exchange *x);

/* Asks the admission function about a decoded path with the request's query. */
void exchange_admit(struct exchange *x, const char *path, enum admission_use use, struct admission_ticket *ticket);
/* The answer to who may not: no body; 401 with a challenge for the decoded path where Privacy Pass is on. */
void exchange_refuse(struct exchange *x, unsigned status, const char *path, enum admission_use use);

/* Adds what a page of another origin needs to read the answer (the Fetch standard's CORS protocol).
 */
void cors_allow(const struct exchange *x, struct MHD_Response *response);
/* Answers the question whether it may ask: any page may GET. */
void cors_preflight(struct exchange *x);

/* libmicrohttpd's MHD_OPTION_HTTPS_CERT_CALLBACK: the certificate for the name that the client
 * wants, from http_config.https as it is now. */
int https_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                      const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
                      unsigned *ret_n, gnutls_privkey_t *ret_key);
/* TLS 1.3 and 1.2 with forward secrecy. */
#define HTTPS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA"

/* The server's configuration, from a connection of libmicrohttpd's; NULL without memory for it. */
const struct http_config *connection_config(struct MHD_Connection *c);

const struct http_config *exchange_config(const struct exchange *x);
