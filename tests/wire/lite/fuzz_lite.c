/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the whole codec. Byte 0 chooses the version, byte 1 the stream and side (or a
 * datagram), the rest is what the peer sent; or, from 0x80 on, a message, and the rest its fields. What decodes must encode,
 * to something that decodes and encodes to the same bytes. */
#include "compose.h"
#include "support/fuzz.h"

/* r is the reader as it was before the message. */
static void check_message(struct lite_reader r, enum lite_msg m, struct slice body)
{
  union lite_body b;
  struct lite_raw raw;
  struct buf once = {0}, twice = {0};
  if (lite_decode(r.version, m, body, &b) < 0)
    return;
  check(lite_encode(r.version, m, &b, &once) == 0);
  check(lite_reader_next(&r, buf_slice(&once), &raw) == 1);
  check(raw.msg == m && raw.n == once.n);
  check(lite_decode(r.version, m, raw.body, &b) == 0);
  check(lite_encode(r.version, m, &b, &twice) == 0);
  check(slice_eq(buf_slice(&once), buf_slice(&twice)));
  buf_destroy(&once);
  buf_destroy(&twice);
}

static void check_frames(enum lite_version v, struct slice in)
{
  uint64_t prev = 0;
  struct lite_frame f;
  for (int n; (n = lite_frame_read(v, in, prev, &f)) > 0;) {
    uint8_t header[LITE_FRAME_HEADER_MAX];
    bool writable = f.size <= VARINT_MAX; /* where varints have room for more, the caller bounds it */
    check((lite_frame_header(v, prev, f.timestamp, f.size, header) > 0) == writable);
    if (f.size > in.n - (size_t)n)
      return;
    in = slice_from(in, (size_t)n + (size_t)f.size);
    prev = f.timestamp;
  }
}

static void check_stream(struct lite_reader r, struct slice in)
{
  struct lite_raw raw;
  while (!lite_reader_frames(&r)) {
    struct lite_reader before = r;
    if (lite_reader_next(&r, in, &raw) != 1)
      return;
    check(raw.n > 0 && raw.n <= in.n);
    if (raw.msg != LITE_UNKNOWN)
      check_message(before, raw.msg, raw.body);
    in = slice_from(in, raw.n);
  }
  check_frames(r.version, in);
}

static void check_datagram(enum lite_version v, struct slice in)
{
  struct lite_datagram d;
  uint8_t header[LITE_DATAGRAM_HEADER_MAX];
  if (lite_datagram_decode(v, in, &d) == 0)
    check(lite_datagram_header(v, &d, header) > 0);
}

static void check_open(enum lite_version v, struct slice in)
{
  enum lite_stream s;
  size_t n;
  for (int uni = 0; uni < 2; uni++) {
    if (lite_stream_open(v, uni, in, &s, &n) == 1)
      check(s < LITE_STREAMS && n <= in.n);
  }
}

/* What encodes must decode. */
static void check_composed(enum lite_version v, enum lite_msg m, struct slice in)
{
  struct cursor c = cursor_of(in);
  struct buf out = {0}, again = {0};
  union lite_body b;
  if (compose_message(v, m, &c, &out) == 0) {
    /* The body is at the end, after a type and a length: where it begins is what decodes to the same message. */
    bool found = false;
    for (size_t at = 1; !found && at <= out.n && at <= 12; at++) {
      buf_clear(&again);
      found = lite_decode(v, m, slice_from(buf_slice(&out), at), &b) == 0 && lite_encode(v, m, &b, &again) == 0 &&
              slice_eq(buf_slice(&out), buf_slice(&again));
    }
    check(found);
  }
  buf_destroy(&out);
  buf_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  enum lite_version v = (enum lite_version)(data[0] % LITE_VERSIONS);
  unsigned what = data[1] % (2 * LITE_STREAMS);
  struct slice in = slice_of(data + 2, size - 2);
  struct lite_reader r;
  if (data[1] & 0x80) {
    check_composed(v, (enum lite_msg)((data[1] & 0x7f) % LITE_MSGS), in);
    return 0;
  }
  check_open(v, in);
  if (what / 2 == LITE_STREAM_UNKNOWN) {
    check_datagram(v, in);
    return 0;
  }
  lite_reader_init(&r, v, (enum lite_stream)(what / 2), (enum lite_side)(what % 2), LITE_MESSAGE_MAX);
  check_stream(r, in);
  return 0;
}
