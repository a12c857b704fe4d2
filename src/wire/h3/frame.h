/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP/3 streams and frames, read as the bytes come: stream types, frame headers, where a frame may
 * appear, the prefix of a WebTransport stream, and datagrams. RFC 9114 sections 6 and 7, RFC 9297
 * section 2.1, draft-ietf-webtrans-http3 section 4. Nothing here allocates. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"
#include "base/varint.h"

/* ---- varints that arrive in pieces ---- */

struct h3_varint {
  uint8_t n;
  uint8_t bytes[VARINT_MAX_BYTES];
};

/* Takes bytes from the front of *in until the varint is whole; true when it is, and then the reader
 * is ready for the next one. */
bool h3_varint_read(struct h3_varint *v, struct slice *in, uint64_t *ret_value);

/* ---- streams ---- */

enum h3_stream_type {
  H3_STREAM_CONTROL = 0x00,
  H3_STREAM_PUSH = 0x01,
  H3_STREAM_QPACK_ENCODER = 0x02,
  H3_STREAM_QPACK_DECODER = 0x03,
  WT_STREAM_UNI = 0x54,
};

/* The first varint of a bidirectional stream that belongs to a WebTransport session; on other ones
 * it is a frame type. */
#define WT_STREAM_BIDI 0x41

/* A session is named by the id of its CONNECT stream, so it is the id of a client's bidirectional
 * stream. */
static inline bool wt_session_id_valid(uint64_t id)
{
  return (id & 3) == 0;
}

/* What the opener of a session's stream writes first. Returns the bytes written. */
#define WT_PREFIX_MAX 10
size_t wt_prefix_write(uint8_t out[WT_PREFIX_MAX], bool bidi, uint64_t session_id);

/* ---- frames ---- */

enum h3_frame_type {
  H3_DATA = 0x00,
  H3_HEADERS = 0x01,
  H3_CANCEL_PUSH = 0x03,
  H3_SETTINGS = 0x04,
  H3_PUSH_PROMISE = 0x05,
  H3_GOAWAY = 0x07,
  H3_MAX_PUSH_ID = 0x0d,
};

enum h3_place { H3_ON_CONTROL = 1, H3_ON_REQUEST = 2 };

/* Whether a frame of that type may appear there at all. Unknown types may: they are skipped. */
bool h3_frame_allowed(uint64_t type, enum h3_place place);

/* Whether the type is one that this file names (the rest is skipped by length). */
bool h3_frame_known(uint64_t type);

enum h3_read {
  H3_READ_MORE,  /* all of the input is taken */
  H3_READ_BEGIN, /* a frame's type and length are known */
  H3_READ_PART,  /* some of its payload, perhaps empty; `end` with the last, of which there is one
                    per frame */
};

struct h3_frame_part {
  uint64_t type, length;
  struct slice data; /* borrowed from the input */
  bool end;
};

/* A zeroed reader waits for a frame. */
struct h3_frame_reader {
  struct h3_varint v;
  enum { H3_WANT_TYPE, H3_WANT_LENGTH, H3_WANT_PAYLOAD } want;
  uint64_t type, length, left;
};

/* Takes the next step from the front of *in. */
enum h3_read h3_frame_read(struct h3_frame_reader *r, struct slice *in, struct h3_frame_part *ret_part);

/* Continues with a type that was read elsewhere (the first varint of a bidirectional stream). */
void h3_frame_reader_start(struct h3_frame_reader *r, uint64_t type);

/* True between frames: where a stream may end. */
static inline bool h3_frame_reader_idle(const struct h3_frame_reader *r)
{
  return r->want == H3_WANT_TYPE && r->v.n == 0;
}

/* Type, length, payload. */
void h3_frame_write(struct buf *out, uint64_t type, struct slice payload);

/* ---- datagrams ---- */

/* The session that a datagram is for, and its payload (borrowed). -EPROTO: no valid quarter stream
 * id. */
int wt_datagram_decode(struct slice in, uint64_t *ret_session_id, struct slice *ret_payload);

/* The quarter stream id that goes before a datagram's payload. Returns the bytes written. */
size_t wt_datagram_prefix(uint8_t out[VARINT_MAX_BYTES], uint64_t session_id);
