/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/qpack.h"
#include <errno.h>
#include <stdlib.h>

#define FIELD_OVERHEAD 32 /* RFC 9114 section 4.2.2 */
#define FIELDS_FIRST_CAP 16

int h3_qpack_init(struct h3_qpack *q)
{
  *q = (struct h3_qpack){0};
  if (nghttp3_qpack_encoder_new(&q->encoder, 0, nghttp3_mem_default()) != 0 ||
      nghttp3_qpack_decoder_new(&q->decoder, 0, 0, nghttp3_mem_default()) != 0) {
    h3_qpack_destroy(q);
    return -ENOMEM;
  }
  return 0;
}

void h3_qpack_destroy(struct h3_qpack *q)
{
  nghttp3_qpack_encoder_del(q->encoder);
  nghttp3_qpack_decoder_del(q->decoder);
  *q = (struct h3_qpack){0};
}

void h3_fields_destroy(struct h3_fields *f)
{
  free(f->list);
  buf_destroy(&f->text);
  *f = (struct h3_fields){0};
}

const struct h3_field *h3_fields_find(const struct h3_fields *f, const char *name)
{
  for (size_t i = 0; i < f->n; i++)
    if (slice_eq(f->list[i].name, slice_str(name)))
      return &f->list[i];
  return NULL;
}

static void append_buf(struct buf *out, nghttp3_buf *b)
{
  buf_bytes(out, slice_of(b->pos, nghttp3_buf_len(b)));
  nghttp3_buf_free(b, nghttp3_mem_default());
}

static nghttp3_nv to_nv(const struct h3_field *f)
{
  return (nghttp3_nv){
      .name = (uint8_t *)f->name.p, .namelen = f->name.n, .value = (uint8_t *)f->value.p, .valuelen = f->value.n};
}

#define FIELDS_SENT_MAX 16 /* a request has at most eight */

void h3_qpack_encode(struct h3_qpack *q, uint64_t stream_id, const struct h3_field *fields, size_t n, struct buf *out)
{
  nghttp3_nv nv[FIELDS_SENT_MAX];
  if (n > FIELDS_SENT_MAX) {
    out->failed = true;
    return;
  }
  for (size_t i = 0; i < n; i++)
    nv[i] = to_nv(&fields[i]);
  nghttp3_buf prefix, section, encoder_stream;
  nghttp3_buf_init(&prefix);
  nghttp3_buf_init(&section);
  nghttp3_buf_init(&encoder_stream);
  int rc = nghttp3_qpack_encoder_encode(q->encoder, &prefix, &section, &encoder_stream, (int64_t)stream_id, nv, n);
  append_buf(out, &prefix);
  append_buf(out, &section);
  /* Without a table there is nothing to say on the encoder stream, which we do not even open. */
  if (rc != 0 || nghttp3_buf_len(&encoder_stream) > 0)
    out->failed = true;
  nghttp3_buf_free(&encoder_stream, nghttp3_mem_default());
}

/* ---- decoding ---- */

static int grow(struct h3_fields *f)
{
  size_t cap = f->cap ? f->cap * 2 : FIELDS_FIRST_CAP;
  struct h3_field *list = realloc(f->list, cap * sizeof *list);
  if (!list)
    return -ENOMEM;
  f->list = list;
  f->cap = cap;
  return 0;
}

/* Until the section is whole the text may move, so that slices hold only lengths; fix_slices sets
 * their pointers. */
static int add_field(struct h3_fields *f, struct slice name, struct slice value)
{
  f->size += name.n + value.n + FIELD_OVERHEAD;
  if (f->size > H3_FIELD_SECTION_MAX)
    return -EMSGSIZE;
  if (f->n == f->cap && grow(f) < 0)
    return -ENOMEM;
  buf_bytes(&f->text, name);
  buf_bytes(&f->text, value);
  f->list[f->n++] = (struct h3_field){slice_of(NULL, name.n), slice_of(NULL, value.n)};
  return f->text.failed ? -ENOMEM : 0;
}

static void fix_slices(struct h3_fields *f)
{
  const uint8_t *p = f->text.p;
  for (size_t i = 0; i < f->n; i++) {
    f->list[i].name.p = p;
    p += f->list[i].name.n;
    f->list[i].value.p = p;
    p += f->list[i].value.n;
  }
}

static int add_nv(struct h3_fields *f, nghttp3_qpack_nv *nv)
{
  nghttp3_vec name = nghttp3_rcbuf_get_buf(nv->name), value = nghttp3_rcbuf_get_buf(nv->value);
  int rc = add_field(f, slice_of(name.base, name.len), slice_of(value.base, value.len));
  nghttp3_rcbuf_decref(nv->name);
  nghttp3_rcbuf_decref(nv->value);
  return rc;
}

static int section_error(nghttp3_ssize rc)
{
  switch (rc) {
  case NGHTTP3_ERR_NOMEM:
    return -ENOMEM;
  case NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE:
    return -EMSGSIZE;
  default:
    return -EPROTO;
  }
}

static int read_fields(nghttp3_qpack_decoder *decoder, nghttp3_qpack_stream_context *context, struct slice in,
                       struct h3_fields *f)
{
  for (;;) {
    uint8_t flags = 0;
    nghttp3_qpack_nv nv;
    nghttp3_ssize n = nghttp3_qpack_decoder_read_request(decoder, context, &nv, &flags, in.p, in.n, 1);
    if (n < 0)
      return section_error(n);
    in = slice_from(in, (size_t)n);
    bool emit = flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT;
    int rc = emit ? add_nv(f, &nv) : 0;
    if (rc < 0)
      return rc;
    if (flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL)
      return in.n == 0 ? 0 : -EPROTO;
    if ((flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED) || (n == 0 && !emit))
      return -EPROTO;
  }
}

/* A decoder that has failed once is of no more use, and one section that is too large shall not
 * fail the next request. Without a table decoders share no state, so each section gets its own. */
int h3_qpack_decode(uint64_t stream_id, struct slice section, struct h3_fields *ret_fields)
{
  nghttp3_qpack_decoder *decoder = NULL;
  nghttp3_qpack_stream_context *context = NULL;
  const nghttp3_mem *mem = nghttp3_mem_default();
  struct h3_fields f = {0};
  int rc = -ENOMEM;
  if (nghttp3_qpack_decoder_new(&decoder, 0, 0, mem) == 0 &&
      nghttp3_qpack_stream_context_new(&context, (int64_t)stream_id, mem) == 0)
    rc = read_fields(decoder, context, section, &f);
  nghttp3_qpack_stream_context_del(context);
  nghttp3_qpack_decoder_del(decoder);
  if (rc < 0) {
    h3_fields_destroy(&f);
    return rc;
  }
  fix_slices(&f);
  *ret_fields = f;
  return 0;
}

static int stream_result(nghttp3_ssize n)
{
  return n >= 0 ? 0 : n == NGHTTP3_ERR_NOMEM ? -ENOMEM : -EPROTO;
}

int h3_qpack_read_encoder(struct h3_qpack *q, struct slice in)
{
  return stream_result(nghttp3_qpack_decoder_read_encoder(q->decoder, in.p, in.n));
}

int h3_qpack_read_decoder(struct h3_qpack *q, struct slice in)
{
  return stream_result(nghttp3_qpack_encoder_read_decoder(q->encoder, in.p, in.n));
}
