/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/message.h"
#include "wire/h3/frame.h"
#include "wire/h3/sfv.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what any field must be like ---- */

/* Lower-case token characters, RFC 9110 section 5.6.2. */
static bool name_valid(struct slice name)
{
  if (name.n > 0 && name.p[0] == ':')
    name = slice_from(name, 1);
  for (size_t i = 0; i < name.n; i++) {
    uint8_t c = name.p[i];
    bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
    if (!ok)
      return false;
  }
  return name.n > 0;
}

static bool value_valid(struct slice value)
{
  for (size_t i = 0; i < value.n; i++)
    if ((value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
      return false;
  return true;
}

static bool of_connection(const struct h3_field *f)
{
  static const char *const names[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (slice_eq(f->name, slice_str(names[i])))
      return true;
  return slice_eq(f->name, slice_str("te")) && !slice_eq(f->value, slice_str("trailers"));
}

static bool is_pseudo(const struct h3_field *f)
{
  return f->name.n > 0 && f->name.p[0] == ':';
}

static bool fields_valid(const struct h3_fields *fields)
{
  bool regular = false;
  for (size_t i = 0; i < fields->n; i++) {
    const struct h3_field *f = &fields->list[i];
    if (!name_valid(f->name) || !value_valid(f->value) || of_connection(f))
      return false;
    if (regular && is_pseudo(f))
      return false;
    regular = !is_pseudo(f);
  }
  return true;
}

/* Sets *out to the value; false when it was there before, or is empty. */
static bool once(struct slice *out, struct slice value)
{
  if (out->p || value.n == 0)
    return false;
  *out = value;
  return true;
}

/* ---- requests ---- */

static bool take_pseudo(struct h3_request *r, const struct h3_field *f)
{
  const struct {
    const char *name;
    struct slice *out;
  } pseudo[] = {{":method", &r->method},
                {":scheme", &r->scheme},
                {":authority", &r->authority},
                {":path", &r->path},
                {":protocol", &r->protocol}};
  for (size_t i = 0; i < sizeof pseudo / sizeof pseudo[0]; i++)
    if (slice_eq(f->name, slice_str(pseudo[i].name)))
      return once(pseudo[i].out, f->value);
  return false;
}

static bool is(struct slice s, const char *text)
{
  return slice_eq(s, slice_str(text));
}

static bool path_valid(const struct h3_request *r)
{
  return r->path.n > 0 && (r->path.p[0] == '/' || (is(r->method, "OPTIONS") && is(r->path, "*")));
}

/* RFC 9114 sections 4.3.1 and 4.4, RFC 8441 section 4. */
static int classify(struct h3_request *r)
{
  bool connect = is(r->method, "CONNECT");
  if (r->method.n == 0 || (r->protocol.n > 0 && !connect))
    return -EPROTO;
  if (connect && r->protocol.n == 0) {
    r->kind = H3_REQUEST_CONNECT;
    return r->authority.n > 0 && r->scheme.n == 0 && r->path.n == 0 ? 0 : -EPROTO;
  }
  if (r->scheme.n == 0 || !path_valid(r))
    return -EPROTO;
  if (!connect) {
    r->kind = H3_REQUEST_PLAIN;
    return 0;
  }
  bool wt = is(r->protocol, "webtransport") || is(r->protocol, "webtransport-h3");
  r->kind = wt ? H3_REQUEST_WEBTRANSPORT : H3_REQUEST_EXTENDED;
  return r->authority.n > 0 ? 0 : -EPROTO;
}

/* A field that is no list may come once (RFC 9110, section 5.3). False when it comes again. */
static bool take_single(const struct h3_fields *fields, const char *name, struct slice *ret)
{
  size_t n = 0;
  for (size_t i = 0; i < fields->n; i++) {
    if (!is(fields->list[i].name, name))
      continue;
    *ret = fields->list[i].value;
    n++;
  }
  return n <= 1;
}

int h3_request_check(const struct h3_fields *fields, struct h3_request *ret_request)
{
  struct h3_request r = {0};
  if (!fields_valid(fields))
    return -EPROTO;
  for (size_t i = 0; i < fields->n && is_pseudo(&fields->list[i]); i++)
    if (!take_pseudo(&r, &fields->list[i]))
      return -EPROTO;
  if (!take_single(fields, "origin", &r.origin) || !take_single(fields, "authorization", &r.authorization))
    return -EPROTO;
  int rc = classify(&r);
  if (rc == 0)
    *ret_request = r;
  return rc;
}

/* ---- protocols ---- */

static const char available[] = "wt-available-protocols";

/* A field that comes in several lines is one list. */
static void join_lines(const struct h3_fields *fields, const char *name, struct buf *out)
{
  for (size_t i = 0; i < fields->n; i++) {
    if (!is(fields->list[i].name, name))
      continue;
    if (out->n > 0)
      buf_bytes(out, slice_str(", "));
    buf_bytes(out, fields->list[i].value);
  }
}

int wt_protocols_from(const struct h3_fields *fields, struct wt_protocols *ret_protocols)
{
  struct wt_protocols p = {0};
  struct buf joined = {0};
  join_lines(fields, available, &joined);
  if (!joined.failed)
    p.text = malloc(joined.n + 1);
  if (!p.text) {
    buf_destroy(&joined);
    return -ENOMEM;
  }
  int n = sfv_string_list(buf_slice(&joined), p.text, p.items, WT_PROTOCOLS_MAX);
  p.items[n < 0 ? 0 : n] = NULL;
  buf_destroy(&joined);
  *ret_protocols = p;
  return 0;
}

void wt_protocols_destroy(struct wt_protocols *p)
{
  free(p->text);
  *p = (struct wt_protocols){0};
}

/* ---- writing ---- */

static void write_headers(struct h3_qpack *q, uint64_t stream_id, const struct h3_field *fields, size_t n,
                          struct buf *out)
{
  struct buf section = {0};
  h3_qpack_encode(q, stream_id, fields, n, &section);
  out->failed |= section.failed;
  h3_frame_write(out, H3_HEADERS, buf_slice(&section));
  buf_destroy(&section);
}

void h3_response_write(struct h3_qpack *q, uint64_t stream_id, int status, const char *protocol, struct buf *out)
{
  char digits[16];
  struct buf quoted = {0};
  snprintf(digits, sizeof digits, "%03d", status);
  sfv_string_write(&quoted, protocol);
  out->failed |= quoted.failed;
  struct h3_field fields[] = {H3_FIELD(":status", digits), {slice_str("wt-protocol"), buf_slice(&quoted)}};
  write_headers(q, stream_id, fields, protocol[0] ? 2 : 1, out);
  buf_destroy(&quoted);
}

void h3_refusal_write(struct h3_qpack *q, uint64_t stream_id, int status, struct slice www_authenticate,
                      struct buf *out)
{
  char digits[16];
  snprintf(digits, sizeof digits, "%03d", status);
  struct h3_field fields[] = {H3_FIELD(":status", digits), {slice_str("www-authenticate"), www_authenticate}};
  write_headers(q, stream_id, fields, www_authenticate.n > 0 ? 2 : 1, out);
}

void wt_request_write(struct h3_qpack *q, uint64_t stream_id, const char *authority, const char *path,
                      const char *const *protocols, struct buf *out)
{
  struct buf list = {0};
  for (size_t i = 0; protocols[i]; i++) {
    if (i > 0)
      buf_bytes(&list, slice_str(", "));
    sfv_string_write(&list, protocols[i]);
  }
  out->failed |= list.failed;
  struct h3_field fields[] = {H3_FIELD(":method", "CONNECT"),        H3_FIELD(":scheme", "https"),
                              H3_FIELD(":authority", authority),     H3_FIELD(":path", path),
                              H3_FIELD(":protocol", "webtransport"), {slice_str(available), buf_slice(&list)}};
  write_headers(q, stream_id, fields, list.n > 0 ? 6 : 5, out);
  buf_destroy(&list);
}

/* ---- responses ---- */

static int parse_status(struct slice s)
{
  if (s.n != 3)
    return -1;
  int status = 0;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9')
      return -1;
    status = status * 10 + s.p[i] - '0';
  }
  return status >= 100 ? status : -1;
}

int h3_response_check(const struct h3_fields *fields, int *ret_status, char ret_protocol[WT_PROTOCOL_MAX])
{
  if (!fields_valid(fields) || fields->n == 0 || !is(fields->list[0].name, ":status"))
    return -EPROTO;
  if (fields->n > 1 && is_pseudo(&fields->list[1]))
    return -EPROTO;
  int status = parse_status(fields->list[0].value);
  if (status < 0)
    return -EPROTO;
  *ret_status = status;
  ret_protocol[0] = '\0';
  const struct h3_field *f = h3_fields_find(fields, "wt-protocol");
  if (f && f->value.n < WT_PROTOCOL_MAX && sfv_string(f->value, ret_protocol) < 0)
    ret_protocol[0] = '\0';
  return 0;
}
