/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/server_request.h"
#include "base/base64url.h"
#include "base/utf8.h"
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define ADDRESS_MAX (INET6_ADDRSTRLEN + 8)

/* A server knows QUIC alone: WebTransport is that. */
static const char *transport_name(const char *ours)
{
  return strcmp(ours, "webtransport") == 0 ? "quic" : ours;
}

/* "192.0.2.1:4443", "[2001:db8::1]:4443"; false when there is none. */
static bool address_text(const struct sockaddr_storage *a, char out[ADDRESS_MAX])
{
  char host[INET6_ADDRSTRLEN];
  if (a && a->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)a;
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    snprintf(out, ADDRESS_MAX, "%s:%u", host, ntohs(in->sin_port));
    return true;
  }
  if (!a || a->ss_family != AF_INET6)
    return false;
  const struct sockaddr_in6 *in = (const void *)a;
  bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
  if (mapped)
    inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], host, sizeof host);
  else
    inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
  snprintf(out, ADDRESS_MAX, mapped ? "%s:%u" : "[%s]:%u", host, ntohs(in->sin6_port));
  return true;
}

static int put_always(json_t *o, const char *name, struct slice text)
{
  if (!utf8_valid(text))
    return -EINVAL;
  return json_object_set_new(o, name, json_stringn((const char *)text.p, text.n)) < 0 ? -ENOMEM : 0;
}

/* Empty: left out. */
static int put(json_t *o, const char *name, struct slice text)
{
  return text.n > 0 ? put_always(o, name, text) : 0;
}

static int put_address(json_t *o, const char *name, const struct sockaddr_storage *a)
{
  char text[ADDRESS_MAX];
  return address_text(a, text) ? put(o, name, slice_str(text)) : 0;
}

/* The name without a port. */
static struct slice name_of(const char *host)
{
  const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
  if (host[0] == '[' && end)
    return slice_of(host + 1, (size_t)(end - host - 1));
  return end && !strchr(end + 1, ':') ? slice_of(host, (size_t)(end - host)) : slice_str(host);
}

static int put_place(json_t *o, const struct admission_request *r)
{
  struct buf path = {0};
  size_t n = r->query ? strlen(r->url) : strcspn(r->url, "?");
  struct slice query = slice_str(r->query ? r->query : r->url[n] == '?' ? r->url + n + 1 : "");
  if (r->url[0] != '/')
    buf_u8(&path, '/');
  buf_bytes(&path, slice_of(r->url, n));
  int rc = path.failed ? -ENOMEM : put(o, "path", buf_slice(&path));
  buf_destroy(&path);
  return rc == 0 ? put(o, "query", query) : rc;
}

/* A token beside the URL: of kind 0, which says nothing of its format. */
static int put_token(json_t *o, const char *bearer)
{
  struct buf text = {0};
  if (!bearer || !*bearer)
    return 0;
  base64url_encode(&text, slice_str(bearer));
  json_t *token = text.failed ? NULL : json_pack("{s:i,s:s%}", "kind", 0, "value", text.p, text.n);
  buf_destroy(&text);
  return token && json_object_set_new(o, "token", token) == 0 ? 0 : -ENOMEM;
}

static int put_all(json_t *o, const struct admission_request *r, const char *node)
{
  int rc = put_always(o, "node", slice_str(node));
  if (rc == 0)
    rc = put(o, "transport", slice_str(transport_name(r->transport)));
  if (rc == 0)
    rc = put_address(o, "remote", r->peer);
  if (rc == 0)
    rc = put_address(o, "local", r->local);
  if (rc == 0)
    rc = put(o, "server_name", name_of(r->host));
  if (rc == 0)
    rc = put(o, "alpn", slice_str(r->alpn ? r->alpn : ""));
  if (rc == 0)
    rc = put_place(o, r);
  if (rc == 0)
    rc = put_token(o, r->bearer);
  return rc == 0 ? put(o, "role", slice_str(r->role ? r->role : "")) : rc;
}

int server_facts(const struct admission_request *r, const char *node, struct buf *out)
{
  json_t *o = json_object();
  int rc = o ? put_all(o, r, node) : -ENOMEM;
  char *text = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  if (rc == 0 && !text)
    return -ENOMEM;
  if (text)
    buf_bytes(out, slice_str(text + 1));
  free(text);
  return out->failed ? -ENOMEM : rc;
}

void server_body(enum server_event event, const char *id, struct slice facts, const struct admission_end *end,
                 uint64_t duration_ns, struct buf *out)
{
  static const char *const names[] = {"connect", "revalidate", "end"};
  buf_printf(out, "{\"id\":\"%s\",\"event\":\"%s\",", id, names[event]);
  if (event == SERVER_END)
    buf_printf(out, "\"reason\":\"%s\",\"duration\":%llu.%09llu,\"bytes\":{\"sent\":%llu,\"received\":%llu},",
               end->reason, (unsigned long long)(duration_ns / NS_PER_S), (unsigned long long)(duration_ns % NS_PER_S),
               (unsigned long long)end->bytes_sent, (unsigned long long)end->bytes_received);
  buf_bytes(out, facts);
}
