/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of QPACK and of what is read from field sections. Byte 0 chooses: a section as a
 * peer encoded it, bytes of its encoder or decoder stream, or fields ("name\0value\0" ...) that are
 * encoded by us and must decode to themselves. */
#include "base/cursor.h"
#include "support/fuzz.h"
#include "wire/h3/message.h"

#define FIELDS_MAX 16 /* as many as we ever send */

static void check_protocols(const struct h3_fields *fields)
{
  struct wt_protocols protocols;
  size_t n = 0;
  if (wt_protocols_from(fields, &protocols) < 0)
    return;
  while (protocols.items[n])
    n++;
  check(n <= WT_PROTOCOLS_MAX);
  wt_protocols_destroy(&protocols);
}

static void check_messages(const struct h3_fields *fields)
{
  struct h3_request request;
  char protocol[WT_PROTOCOL_MAX];
  int status;
  if (h3_request_check(fields, &request) == 0)
    check(request.method.n > 0 && (request.kind != H3_REQUEST_WEBTRANSPORT || request.path.p[0] == '/'));
  if (h3_response_check(fields, &status, protocol) == 0)
    check(status >= 100 && status <= 999);
  check_protocols(fields);
}

static void fuzz_section(struct slice in)
{
  struct h3_fields fields;
  if (h3_qpack_decode(0, in, &fields) < 0)
    return;
  check(fields.size <= H3_FIELD_SECTION_MAX);
  check_messages(&fields);
  h3_fields_destroy(&fields);
}

/* In two pieces, for instructions that are cut. */
static void read_stream(struct slice in, int (*read)(struct h3_qpack *, struct slice))
{
  struct h3_qpack q;
  size_t half = in.n / 2;
  check(h3_qpack_init(&q) == 0);
  if (read(&q, slice_of(in.p, half)) == 0)
    read(&q, slice_from(in, half));
  h3_qpack_destroy(&q);
}

static void fuzz_encoder_stream(struct slice in)
{
  read_stream(in, h3_qpack_read_encoder);
}

static void fuzz_decoder_stream(struct slice in)
{
  read_stream(in, h3_qpack_read_decoder);
}

static struct slice until_nul(struct slice *rest)
{
  const uint8_t *end = rest->n > 0 ? memchr(rest->p, 0, rest->n) : NULL;
  struct slice s = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
  *rest = slice_from(*rest, s.n + (end != NULL));
  return s;
}

static void check_same(const struct h3_fields *got, const struct h3_field *want, size_t n)
{
  check(got->n == n);
  for (size_t i = 0; i < n; i++)
    check(slice_eq(got->list[i].name, want[i].name) && slice_eq(got->list[i].value, want[i].value));
}

static void fuzz_round_trip(struct slice in)
{
  struct h3_field list[FIELDS_MAX];
  struct h3_fields back;
  struct h3_qpack q;
  struct buf out = {0};
  size_t n = 0;
  for (; n < FIELDS_MAX && in.n > 0; n++) {
    list[n].name = until_nul(&in);
    list[n].value = until_nul(&in);
  }
  check(h3_qpack_init(&q) == 0);
  h3_qpack_encode(&q, 0, list, n, &out);
  check(!out.failed);
  int rc = h3_qpack_decode(0, buf_slice(&out), &back);
  if (rc == 0) {
    check_same(&back, list, n);
    check_messages(&back);
    h3_fields_destroy(&back);
  }
  buf_destroy(&out);
  h3_qpack_destroy(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static void (*const parts[])(struct slice) = {fuzz_section, fuzz_encoder_stream, fuzz_decoder_stream,
                                                fuzz_round_trip};
  if (size > 0)
    parts[data[0] % 4](slice_of(data + 1, size - 1));
  return 0;
}
