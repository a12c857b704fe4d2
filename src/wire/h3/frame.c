/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/frame.h"
#include <errno.h>

bool h3_varint_read(struct h3_varint *v, struct slice *in, uint64_t *ret_value)
{
  while (in->n > 0) {
    v->bytes[v->n++] = in->p[0];
    *in = slice_from(*in, 1);
    if (varint_read(v->bytes, v->n, ret_value)) {
      v->n = 0;
      return true;
    }
  }
  return false;
}

size_t wt_prefix_write(uint8_t out[WT_PREFIX_MAX], bool bidi, uint64_t session_id)
{
  size_t n = varint_write(out, bidi ? WT_STREAM_BIDI : WT_STREAM_UNI);
  return n + varint_write(out + n, session_id);
}

/* Types 0x02, 0x06, 0x08 and 0x09 were HTTP/2's and are errors everywhere. We have no pushes: what
 * is about them may come on the control stream and is ignored, but not on a request. */
static const struct {
  uint64_t type;
  uint8_t places;
  bool reserved;
} rules[] = {
    {H3_DATA, H3_ON_REQUEST, false},
    {H3_HEADERS, H3_ON_REQUEST, false},
    {0x02, 0, true},
    {H3_CANCEL_PUSH, H3_ON_CONTROL, false},
    {H3_SETTINGS, H3_ON_CONTROL, false},
    {H3_PUSH_PROMISE, 0, false},
    {0x06, 0, true},
    {H3_GOAWAY, H3_ON_CONTROL, false},
    {0x08, 0, true},
    {0x09, 0, true},
    {H3_MAX_PUSH_ID, H3_ON_CONTROL, false},
};

bool h3_frame_allowed(uint64_t type, enum h3_place place)
{
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    if (rules[i].type == type)
      return (rules[i].places & place) != 0;
  return true;
}

bool h3_frame_known(uint64_t type)
{
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    if (rules[i].type == type)
      return !rules[i].reserved;
  return false;
}

void h3_frame_reader_start(struct h3_frame_reader *r, uint64_t type)
{
  *r = (struct h3_frame_reader){.want = H3_WANT_LENGTH, .type = type};
}

static enum h3_read read_payload(struct h3_frame_reader *r, struct slice *in, struct h3_frame_part *ret_part)
{
  if (in->n == 0 && r->left > 0)
    return H3_READ_MORE;
  size_t n = in->n < r->left ? in->n : (size_t)r->left;
  r->left -= n;
  *ret_part = (struct h3_frame_part){r->type, r->length, slice_of(in->p, n), r->left == 0};
  *in = slice_from(*in, n);
  if (r->left == 0)
    r->want = H3_WANT_TYPE;
  return H3_READ_PART;
}

enum h3_read h3_frame_read(struct h3_frame_reader *r, struct slice *in, struct h3_frame_part *ret_part)
{
  if (r->want == H3_WANT_PAYLOAD)
    return read_payload(r, in, ret_part);
  if (r->want == H3_WANT_TYPE) {
    if (!h3_varint_read(&r->v, in, &r->type))
      return H3_READ_MORE;
    r->want = H3_WANT_LENGTH;
  }
  if (!h3_varint_read(&r->v, in, &r->length))
    return H3_READ_MORE;
  r->left = r->length;
  r->want = H3_WANT_PAYLOAD;
  *ret_part = (struct h3_frame_part){.type = r->type, .length = r->length};
  return H3_READ_BEGIN;
}

void h3_frame_write(struct buf *out, uint64_t type, struct slice payload)
{
  buf_varint(out, type);
  buf_prefixed(out, payload);
}

#define QUARTER_ID_MAX ((1ULL << 60) - 1)

int wt_datagram_decode(struct slice in, uint64_t *ret_session_id, struct slice *ret_payload)
{
  uint64_t quarter;
  size_t n = varint_read(in.p, in.n, &quarter);
  if (n == 0 || quarter > QUARTER_ID_MAX)
    return -EPROTO;
  *ret_session_id = quarter * 4;
  *ret_payload = slice_from(in, n);
  return 0;
}

size_t wt_datagram_prefix(uint8_t out[VARINT_MAX_BYTES], uint64_t session_id)
{
  return varint_write(out, session_id / 4);
}
