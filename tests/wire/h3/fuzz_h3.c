/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the HTTP/3 codecs but QPACK. Byte 0 chooses the codec, the rest is what the peer sent.
 * What is read as the bytes come must be the same however they are cut. */
#include "wire/h3/capsule.h"
#include "wire/h3/frame.h"
#include "wire/h3/settings.h"
#include "wire/h3/sfv.h"
#include "support/fuzz.h"

/* ---- frames ---- */

static void read_frames(struct slice in, size_t step, struct buf *out)
{
  struct h3_frame_reader r = {0};
  struct h3_frame_part part;
  for (size_t at = 0; at < in.n; at += step) {
    struct slice piece = slice_of(in.p + at, in.n - at < step ? in.n - at : step);
    for (enum h3_read got; (got = h3_frame_read(&r, &piece, &part)) != H3_READ_MORE;) {
      if (got == H3_READ_BEGIN) {
        buf_varint(out, part.type);
        buf_varint(out, part.length);
      } else {
        buf_bytes(out, part.data);
      }
    }
    check(piece.n == 0);
  }
  buf_u8(out, h3_frame_reader_idle(&r));
}

static void fuzz_frames(struct slice in)
{
  struct buf whole = {0}, bytes = {0};
  read_frames(in, in.n, &whole);
  read_frames(in, 1, &bytes);
  check(slice_eq(buf_slice(&whole), buf_slice(&bytes)));
  buf_destroy(&whole);
  buf_destroy(&bytes);
}

/* ---- capsules ---- */

static void read_capsules(struct slice in, size_t step, struct buf *out)
{
  static struct wt_capsule_reader r;
  struct wt_capsule c;
  r = (struct wt_capsule_reader){0};
  for (size_t at = 0; at < in.n; at += step) {
    struct slice piece = slice_of(in.p + at, in.n - at < step ? in.n - at : step);
    for (int rc; (rc = wt_capsule_read(&r, &piece, &c)) != 0;) {
      buf_u8(out, rc < 0);
      if (rc < 0)
        return;
      buf_u32(out, c.type);
      buf_u32(out, c.code);
      buf_prefixed(out, c.reason);
    }
    check(piece.n == 0);
  }
}

static void fuzz_capsules(struct slice in)
{
  struct buf whole = {0}, bytes = {0};
  read_capsules(in, in.n, &whole);
  read_capsules(in, 1, &bytes);
  check(slice_eq(buf_slice(&whole), buf_slice(&bytes)));
  buf_destroy(&whole);
  buf_destroy(&bytes);
}

/* ---- settings, structured fields, datagrams ---- */

static void fuzz_settings(struct slice in)
{
  struct h3_settings s;
  h3_settings_decode(in, &s);
}

/* A list that is accepted reads back from what is written of it. */
static void fuzz_list(struct slice in)
{
  const char *items[4], *again[4];
  struct buf out = {0};
  char *text = malloc(in.n + 1);
  check(text != NULL);
  int n = sfv_string_list(in, text, items, 4);
  for (int i = 0; i < n; i++) {
    if (i > 0)
      buf_bytes(&out, slice_str(", "));
    sfv_string_write(&out, items[i]);
  }
  check(!out.failed);
  char *back = malloc(out.n + 1);
  check(back != NULL);
  check(n <= 0 || sfv_string_list(buf_slice(&out), back, again, 4) == n);
  for (int i = 0; i < n; i++)
    check(strcmp(items[i], again[i]) == 0);
  sfv_string(in, text);
  free(back);
  free(text);
  buf_destroy(&out);
}

static void fuzz_datagram(struct slice in)
{
  uint64_t id;
  struct slice payload;
  if (wt_datagram_decode(in, &id, &payload) == 0)
    check(wt_session_id_valid(id) && payload.n < in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static void (*const codecs[])(struct slice) = {fuzz_frames, fuzz_capsules, fuzz_settings, fuzz_list, fuzz_datagram};
  if (size > 0)
    codecs[data[0] % (sizeof codecs / sizeof codecs[0])](slice_of(data + 1, size - 1));
  return 0;
}
