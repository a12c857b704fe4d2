/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/capsule.h"
#include "base/cursor.h"
#include "base/utf8.h"
#include <errno.h>

#define CODE_BYTES 4

static int check_header(const struct wt_capsule_reader *r)
{
  switch (r->type) {
  case WT_CAPSULE_CLOSE:
    return r->left >= CODE_BYTES && r->left <= sizeof r->value ? 0 : -EPROTO;
  case WT_CAPSULE_MAX_STREAM_DATA:
  case WT_CAPSULE_STREAM_DATA_BLOCKED:
    return -EPROTO;
  default:
    return 0;
  }
}

static void take_value(struct wt_capsule_reader *r, struct slice *in)
{
  size_t n = in->n < r->left ? in->n : (size_t)r->left;
  if (r->type == WT_CAPSULE_CLOSE && n > 0) {
    memcpy(r->value + r->n, in->p, n);
    r->n += n;
  }
  r->left -= n;
  *in = slice_from(*in, n);
}

/* The value is whole. True when the capsule means something to the caller. */
static bool finish(struct wt_capsule_reader *r, struct wt_capsule *ret_capsule)
{
  r->want = WT_WANT_TYPE;
  if (r->type == WT_CAPSULE_DRAIN) {
    *ret_capsule = (struct wt_capsule){.type = WT_CAPSULE_DRAIN};
    return true;
  }
  if (r->type != WT_CAPSULE_CLOSE)
    return false;
  struct cursor c = cursor_of(slice_of(r->value, r->n));
  uint32_t code = cursor_u32(&c);
  struct slice reason = cursor_rest(&c);
  if (!utf8_valid(reason))
    reason.n = 0;
  *ret_capsule = (struct wt_capsule){WT_CAPSULE_CLOSE, code, reason};
  return true;
}

int wt_capsule_read(struct wt_capsule_reader *r, struct slice *in, struct wt_capsule *ret_capsule)
{
  for (;;) {
    if (r->want == WT_WANT_TYPE) {
      if (!h3_varint_read(&r->v, in, &r->type))
        return 0;
      r->want = WT_WANT_LENGTH;
    }
    if (r->want == WT_WANT_LENGTH) {
      if (!h3_varint_read(&r->v, in, &r->left))
        return 0;
      if (check_header(r) < 0)
        return -EPROTO;
      r->n = 0;
      r->want = WT_WANT_VALUE;
    }
    take_value(r, in);
    if (r->left > 0)
      return 0;
    if (finish(r, ret_capsule))
      return 1;
  }
}

/* The longest prefix of at most `max` bytes that ends between characters. */
static size_t cut_utf8(const char *s, size_t max)
{
  size_t n = strlen(s);
  if (n <= max)
    return n;
  n = max;
  while (n > 0 && ((uint8_t)s[n] & 0xc0) == 0x80)
    n--;
  return n;
}

void wt_close_write(struct buf *out, uint32_t code, const char *reason)
{
  size_t n = cut_utf8(reason, WT_REASON_MAX), value = CODE_BYTES + n;
  buf_varint(out, H3_DATA);
  buf_varint(out, varint_size(WT_CAPSULE_CLOSE) + varint_size(value) + value);
  buf_varint(out, WT_CAPSULE_CLOSE);
  buf_varint(out, value);
  buf_u32(out, code);
  buf_bytes(out, slice_of(reason, n));
}

void wt_drain_write(struct buf *out)
{
  buf_varint(out, H3_DATA);
  buf_varint(out, varint_size(WT_CAPSULE_DRAIN) + 1);
  buf_varint(out, WT_CAPSULE_DRAIN);
  buf_varint(out, 0);
}
