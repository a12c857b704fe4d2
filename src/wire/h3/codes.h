/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Error codes of HTTP/3, QPACK and WebTransport, and the mapping of application codes into HTTP/3's
 * space. RFC 9114 section 8.1, RFC 9204 section 6, draft-ietf-webtrans-http3 "Application Error
 * Codes". */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum h3_code {
  H3_NO_ERROR = 0x100,
  H3_GENERAL_PROTOCOL_ERROR = 0x101,
  H3_INTERNAL_ERROR = 0x102,
  H3_STREAM_CREATION_ERROR = 0x103,
  H3_CLOSED_CRITICAL_STREAM = 0x104,
  H3_FRAME_UNEXPECTED = 0x105,
  H3_FRAME_ERROR = 0x106,
  H3_EXCESSIVE_LOAD = 0x107,
  H3_ID_ERROR = 0x108,
  H3_SETTINGS_ERROR = 0x109,
  H3_MISSING_SETTINGS = 0x10a,
  H3_REQUEST_REJECTED = 0x10b,
  H3_REQUEST_CANCELLED = 0x10c,
  H3_REQUEST_INCOMPLETE = 0x10d,
  H3_MESSAGE_ERROR = 0x10e,
  H3_CONNECT_ERROR = 0x10f,
  H3_VERSION_FALLBACK = 0x110,
  H3_DATAGRAM_ERROR = 0x33,
  QPACK_DECOMPRESSION_FAILED = 0x200,
  QPACK_ENCODER_STREAM_ERROR = 0x201,
  QPACK_DECODER_STREAM_ERROR = 0x202,
  WT_BUFFERED_STREAM_REJECTED = 0x3994bd84,
  WT_SESSION_GONE = 0x170d7b68,
  WT_FLOW_CONTROL_ERROR = 0x045d4487,
  WT_ALPN_ERROR = 0x0817b3dd,
  WT_REQUIREMENTS_NOT_MET = 0x212c0d48,
};

/* The 32-bit application codes occupy this range, less the points 0x1f * N + 0x21 that HTTP/3
 * reserves for GREASE. */
#define WT_CODE_FIRST 0x52e4a40fa8dbULL
#define WT_CODE_LAST 0x52e5ac983162ULL

/* The wire form of an application code of a stream's reset or stop, or of a connection's close. */
uint64_t wt_code_to_h3(uint32_t code);

/* The application code that a wire code stands for. False (and *ret_code untouched) when it stands
 * for none: outside the range, or a reserved point. */
bool h3_code_to_wt(uint64_t wire, uint32_t *ret_code);
