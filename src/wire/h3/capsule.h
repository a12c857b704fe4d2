/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Capsules of a WebTransport session: what the payloads of the CONNECT stream's DATA frames, joined
 * together, hold. RFC 9297 section 3.2, draft-ietf-webtrans-http3 sections 4.6 and 6. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"
#include "wire/h3/frame.h"

enum wt_capsule_type {
  WT_CAPSULE_CLOSE = 0x2843,
  WT_CAPSULE_DRAIN = 0x78ae,
  /* HTTP/2's flow control of streams: an error on HTTP/3. */
  WT_CAPSULE_MAX_STREAM_DATA = 0x190b4d3e,
  WT_CAPSULE_STREAM_DATA_BLOCKED = 0x190b4d42,
};

#define WT_REASON_MAX 1024 /* bytes of a CLOSE's reason */

struct wt_capsule {
  enum wt_capsule_type type; /* CLOSE or DRAIN */
  uint32_t code;             /* of a CLOSE */
  struct slice reason;       /* of a CLOSE, valid UTF-8; borrowed from the reader until its next use */
};

/* A zeroed reader waits for a capsule. Holds one CLOSE at most; other values are skipped as they
 * come. */
struct wt_capsule_reader {
  struct h3_varint v;
  enum { WT_WANT_TYPE, WT_WANT_LENGTH, WT_WANT_VALUE } want;
  uint64_t type, left;
  size_t n;
  uint8_t value[4 + WT_REASON_MAX];
};

/* Reads on from the front of *in: 1 when a CLOSE or DRAIN is whole, 0 when the input is used up,
 * -EPROTO for a capsule that is malformed or not allowed. A reason that is not UTF-8 is read as
 * empty. */
int wt_capsule_read(struct wt_capsule_reader *r, struct slice *in, struct wt_capsule *ret_capsule);

/* True between capsules: where the stream may end. */
static inline bool wt_capsule_reader_idle(const struct wt_capsule_reader *r)
{
  return r->want == WT_WANT_TYPE && r->v.n == 0;
}

/* One capsule in a DATA frame. The reason is cut to WT_REASON_MAX bytes at a character's border. */
void wt_close_write(struct buf *out, uint32_t code, const char *reason);
void wt_drain_write(struct buf *out);
