/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Privacy Pass over HTTP: GET /challenge?path=PATH[&op=OPERATION] tells what a token has to be for, and a refusal asks for
 * one (RFC 9577, section 2). */
#include "web/exchange.h"
#include "auth/privacypass.h"
#include "web/uri.h"
#include <errno.h>
#include <stdlib.h>

static const struct privacypass *privacypass_of(const struct exchange *x)
{
  return admission_privacypass(exchange_config(x)->admission);
}

/* -- refusals -- */

static enum pp_op op_of(enum admission_use use)
{
  return use == ADMISSION_FETCH ? PP_FETCH : PP_SUBSCRIBE;
}

static void add_challenge(struct MHD_Response *r, const struct privacypass *pp, const char *path, enum pp_op op)
{
  struct path parsed;
  struct buf text = {0};
  if (path_parse(&parsed, slice_str(path)) == 0 && privacypass_header(pp, op, path_slice(&parsed), &text) == 0) {
    MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, (const char *)text.p);
    MHD_add_response_header(r, "access-control-expose-headers", "www-authenticate");
  }
  buf_destroy(&text);
}

void exchange_refuse(struct exchange *x, unsigned status, const char *path, enum admission_use use)
{
  const struct privacypass *pp = privacypass_of(x);
  struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
  if (r && pp && status == MHD_HTTP_UNAUTHORIZED)
    add_challenge(r, pp, path, op_of(use));
  exchange_answer(x, status, r);
}

/* -- /challenge -- */

static void answer_json(struct exchange *x, struct buf *text)
{
  struct MHD_Response *r = MHD_create_response_from_buffer(text->n, text->p, MHD_RESPMEM_MUST_FREE);
  if (r) {
    *text = (struct buf){0};
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  }
  exchange_answer(x, MHD_HTTP_OK, r);
}

static void answer_challenge(struct exchange *x, const char *path, enum pp_op op)
{
  struct path parsed;
  struct buf text = {0};
  int rc = path_parse(&parsed, slice_str(path));
  if (rc == 0)
    rc = privacypass_json(privacypass_of(x), op, path_slice(&parsed), &text);
  if (rc == 0)
    answer_json(x, &text);
  else if (rc == -ENODATA)
    exchange_text(x, MHD_HTTP_SERVICE_UNAVAILABLE, "no key of the issuer is known\n");
  else if (rc == -ENOMEM)
    exchange_answer(x, 0, NULL);
  else
    exchange_text(x, MHD_HTTP_BAD_REQUEST, "path: no challenge can be made for it\n");
  buf_destroy(&text);
}

void challenge_endpoint(struct exchange *x, char *rest)
{
  struct slice path, name = slice_str("subscribe");
  enum pp_op op;
  (void)rest;
  if (!privacypass_of(x)) {
    exchange_text(x, MHD_HTTP_NOT_IMPLEMENTED, "Privacy Pass is off\n");
    return;
  }
  uri_query_value(x->query, "op", &name);
  if (!pp_op_find(name, &op)) {
    exchange_text(x, MHD_HTTP_BAD_REQUEST, "op: not one of subscribe, fetch, publish, announce\n");
    return;
  }
  if (!uri_query_value(x->query, "path", &path)) {
    exchange_text(x, MHD_HTTP_BAD_REQUEST, "write /challenge?path=PATH\n");
    return;
  }
  char *text = strndup((const char *)path.p, path.n);
  if (!text)
    exchange_answer(x, 0, NULL);
  else if (uri_decode(text) < 0)
    exchange_text(x, MHD_HTTP_BAD_REQUEST, "the path is not well-formed\n");
  else
    answer_challenge(x, text, op);
  free(text);
}
