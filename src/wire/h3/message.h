/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests and responses: which field sections are well formed, and what of them WebTransport
 * needs. RFC 9114 section 4.3, RFC 9220, draft-ietf-webtrans-http3 section 3. */
#pragma once
#include "wire/h3/qpack.h"

enum h3_request_kind {
  H3_REQUEST_PLAIN,        /* GET and the like */
  H3_REQUEST_CONNECT,      /* a CONNECT without :protocol */
  H3_REQUEST_EXTENDED,     /* an extended CONNECT for a protocol that is not WebTransport */
  H3_REQUEST_WEBTRANSPORT, /* :protocol is webtransport (drafts to 14) or webtransport-h3 */
};

/* Slices are borrowed from the fields; empty when absent. */
struct h3_request {
  enum h3_request_kind kind;
  struct slice method, scheme, authority, path, protocol, origin, authorization;
};

/* 0, or -EPROTO for a malformed request (H3_MESSAGE_ERROR of its stream): pseudo-header fields that
 * are missing, repeated, unknown, empty or late, names or values with bytes that HTTP forbids,
 * fields of HTTP/1.1 connections. */
int h3_request_check(const struct h3_fields *fields, struct h3_request *ret_request);

/* The values of wt-available-protocols, joined. */
#define WT_PROTOCOLS_MAX 32 /* entries that are looked at; the Rust client sends 15 */

/* A list of protocols with its text. Zeroed = empty. */
struct wt_protocols {
  char *text;
  const char *items[WT_PROTOCOLS_MAX + 1]; /* NULL-terminated */
};

/* What the request offers; empty when it offers nothing, or the field is not a list of strings
 * (then it is to be ignored). 0 or -ENOMEM. */
int wt_protocols_from(const struct h3_fields *fields, struct wt_protocols *ret_protocols);
void wt_protocols_destroy(struct wt_protocols *p);

/* The HEADERS frame of a response: :status, and wt-protocol unless it is "". */
void h3_response_write(struct h3_qpack *q, uint64_t stream_id, int status, const char *protocol, struct buf *out);

/* The HEADERS frame of a refusal, with www-authenticate unless it is empty. */
void h3_refusal_write(struct h3_qpack *q, uint64_t stream_id, int status, struct slice www_authenticate,
                      struct buf *out);

/* The HEADERS frame of a client's CONNECT; protocols is NULL-terminated and may be empty. */
void wt_request_write(struct h3_qpack *q, uint64_t stream_id, const char *authority, const char *path,
                      const char *const *protocols, struct buf *out);

/* A response: its status (100 to 999), and wt-protocol unescaped into the caller's buffer ("" when
 * absent or malformed). 0, or -EPROTO. */
#define WT_PROTOCOL_MAX 64 /* bytes of a protocol's name with its NUL; longer ones are read as absent */
int h3_response_check(const struct h3_fields *fields, int *ret_status, char ret_protocol[WT_PROTOCOL_MAX]);
