/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the whole codec. The first byte chooses version and what the rest is: a
 * stream's side, or a datagram. What decodes must encode, and decode again to the same bytes. */
#include "base/cursor.h"
#include "wire/lite/lite.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
  if (!ok)
    abort();
}

static void check_message(enum lite_version v, enum lite_msg m, struct slice body) {
  union lite_body b, again;
  struct buf once = {0}, twice = {0};
  if (m == LITE_UNKNOWN || lite_decode(v, m, body, &b) < 0)
    return;
  check(lite_encode(v, m, &b, &once) == 0);
  /* Type and length cannot be told apart here, so the encoder's body is what the shortest form of
   * it re-decodes to. */
  for (size_t at = 0; at <= 16 && at <= once.n; at++) {
    if (lite_decode(v, m, slice_from(buf_slice(&once), at), &again) < 0)
      continue;
    buf_clear(&twice);
    check(lite_encode(v, m, &again, &twice) == 0);
    if (slice_eq(buf_slice(&once), buf_slice(&twice)))
      goto out;
  }
  abort();
out:
  buf_destroy(&once);
  buf_destroy(&twice);
}

static void check_frames(enum lite_version v, struct slice in) {
  uint64_t prev = 0;
  struct lite_frame f;
  for (int n; (n = lite_frame_read(v, in, prev, &f)) > 0;) {
    uint8_t header[LITE_FRAME_HEADER_MAX];
    check(lite_frame_header(v, prev, f.timestamp, f.size, header) > 0);
    if (f.size > in.n - (size_t)n)
      return;
    in = slice_from(in, (size_t)n + (size_t)f.size);
    prev = f.timestamp;
  }
}

static void check_stream(enum lite_version v, enum lite_stream s, enum lite_side side,
                         struct slice in) {
  struct lite_reader r;
  struct lite_raw raw;
  lite_reader_init(&r, v, s, side, LITE_MESSAGE_MAX);
  while (!lite_reader_frames(&r)) {
    if (lite_reader_next(&r, in, &raw) != 1)
      return;
    check(raw.n > 0 && raw.n <= in.n);
    check_message(v, raw.msg, raw.body);
    in = slice_from(in, raw.n);
  }
  check_frames(v, in);
}

static void check_datagram(enum lite_version v, struct slice in) {
  struct lite_datagram d;
  uint8_t header[LITE_DATAGRAM_HEADER_MAX];
  if (lite_datagram_decode(v, in, &d) == 0)
    check(lite_datagram_header(v, &d, header) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1)
    return 0;
  enum lite_version v = (enum lite_version)(data[0] % LITE_VERSIONS);
  unsigned what = data[0] / LITE_VERSIONS;
  struct slice in = slice_of(data + 1, size - 1);
  enum lite_stream s;
  size_t n;
  if (what % 4 == 3)
    check_datagram(v, in);
  else if (lite_stream_open(v, what % 4 == 2, in, &s, &n) == 1)
    check_stream(v, s, what % 4 == 1 ? LITE_ACCEPTOR : LITE_OPENER, slice_from(in, n));
  return 0;
}
