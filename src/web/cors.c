/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which pages may read the answers. Without a list every page may, and "*" says so to all caches;
 * with a list the answer depends on who asks. */
#include "web/exchange.h"

static bool everybody(const struct http_config *c)
{
  for (size_t i = 0; i < c->allow_origin_count; i++) {
    if (strcmp(c->allow_origin[i], "*") == 0)
      return true;
  }
  return false;
}

/* What access-control-allow-origin should say; NULL = nothing. */
static const char *allowed(const struct exchange *x)
{
  const struct http_config *c = exchange_config(x);
  if (everybody(c))
    return "*";
  const char *origin = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
  for (size_t i = 0; origin && i < c->allow_origin_count; i++) {
    if (strcmp(c->allow_origin[i], origin) == 0)
      return origin;
  }
  return NULL;
}

void cors_allow(const struct exchange *x, struct MHD_Response *response)
{
  const char *origin = allowed(x);
  if (origin)
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
  if (!everybody(exchange_config(x)))
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "origin");
}

static void grant(const struct exchange *x, struct MHD_Response *r, const char *origin)
{
  const char *headers =
      MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCESS_CONTROL_REQUEST_HEADERS);
  MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
  MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, "GET");
  if (headers && *headers)
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS, headers);
}

void cors_preflight(struct exchange *x)
{
  struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
  const char *origin = allowed(x);
  if (r)
    MHD_add_response_header(r, MHD_HTTP_HEADER_VARY,
                            "origin, access-control-request-method, access-control-request-headers");
  if (r && origin)
    grant(x, r, origin);
  exchange_answer(x, MHD_HTTP_OK, r);
}
