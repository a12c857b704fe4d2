/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The SETTINGS frame's payload. RFC 9114 section 7.2.4, RFC 9204 section 5, RFC 9220, RFC 9297
 * section 2.1.1, and the ids of the drafts of WebTransport that clients in use speak. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"

/* Uncompressed size of a field section that we accept: names, values and 32 for each. */
#define H3_FIELD_SECTION_MAX 16384
/* Settings of one frame, and its payload. Clients send about ten. */
#define H3_SETTINGS_MAX 64
#define H3_SETTINGS_BYTES_MAX 1024

struct h3_settings {
  bool connect_protocol;      /* extended CONNECT */
  bool datagrams;             /* in any of its drafts */
  bool webtransport;          /* in any of its drafts */
  uint64_t field_section_max; /* UINT64_MAX when the peer names none */
};

/* The payload that Chromium, Firefox, Safari and the Rust stack all accept from a server, and
 * servers from a client. Ids of newer drafts are left out: they make clients choose session flow
 * control. */
void h3_settings_encode(struct buf *out);

/* 0; -EPROTO when the payload is cut short (H3_FRAME_ERROR); -EINVAL for a repeated or forbidden id
 * or a value that is not allowed (H3_SETTINGS_ERROR); -E2BIG above H3_SETTINGS_MAX. */
int h3_settings_decode(struct slice payload, struct h3_settings *ret_settings);
