/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Field sections, RFC 9204, by nghttp3's QPACK with no dynamic table in either direction. One
 * `struct h3_qpack` per connection. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"
#include "wire/h3/settings.h"
#include <nghttp3/nghttp3.h>

struct h3_field {
  struct slice name, value;
};

#define H3_FIELD(name, value)                                                                                          \
  (struct h3_field)                                                                                                    \
  {                                                                                                                    \
    slice_str(name), slice_str(value)                                                                                  \
  }

/* A decoded section. Fields and bytes are owned by it; a zeroed struct is an empty one. */
struct h3_fields {
  struct h3_field *list;
  size_t n, cap;
  size_t size; /* as H3_FIELD_SECTION_MAX counts */
  struct buf text;
};

void h3_fields_destroy(struct h3_fields *f);

/* The first field of that name, or NULL. Names are lower case. */
const struct h3_field *h3_fields_find(const struct h3_fields *f, const char *name);

struct h3_qpack {
  nghttp3_qpack_encoder *encoder;
  nghttp3_qpack_decoder *decoder;
};

/* 0 or -ENOMEM. */
int h3_qpack_init(struct h3_qpack *q);
void h3_qpack_destroy(struct h3_qpack *q);

/* Appends the encoded section of the fields to out: the payload of a HEADERS frame. Failure is
 * out->failed. */
void h3_qpack_encode(struct h3_qpack *q, uint64_t stream_id, const struct h3_field *fields, size_t n, struct buf *out);

/* Decodes the whole payload of a HEADERS frame. 0; -ENOMEM; -EPROTO (QPACK_DECOMPRESSION_FAILED of
 * the connection); -EMSGSIZE above H3_FIELD_SECTION_MAX (the request is refused, the connection
 * goes on). */
int h3_qpack_decode(uint64_t stream_id, struct slice section, struct h3_fields *ret_fields);

/* Bytes of the peer's QPACK streams. 0, -ENOMEM, or -EPROTO: an instruction that has no sense
 * without a dynamic table. */
int h3_qpack_read_encoder(struct h3_qpack *q, struct slice in);
int h3_qpack_read_decoder(struct h3_qpack *q, struct slice in);
