/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reads and writes messages by their rows in tables.c. Each kind of field has a reader and a
 * writer; what a reader refuses, the writer refuses too. */
#include "wire/lite/lite.h"
#include "base/cursor.h"
#include "base/path.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "wire/lite/tables.h"
#include <errno.h>

/* ---- What both directions check ---- */

static bool path_ok(struct slice s)
{
  size_t parts = 0;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] != '/' && (i == 0 || s.p[i - 1] == '/'))
      parts++;
  }
  return parts <= PATH_PARTS_MAX;
}

static bool text_ok(const struct lite_field *f, struct slice s)
{
  if (f->max && s.n > f->max)
    return false;
  return f->kind == KIND_PATH ? path_ok(s) : true;
}

bool lite_hops_ok(const struct lite_hops *h)
{
  if (h->n > LITE_HOPS_MAX)
    return false;
  for (size_t i = 1; i < h->n; i++) {
    for (size_t j = 0; j < i; j++) {
      if (h->id[i] != 0 && h->id[i] == h->id[j])
        return false;
    }
  }
  return true;
}

/* Leading-ones varints can write more than 62 bits; nothing here has them. */
static uint64_t get_number(struct cursor *c)
{
  uint64_t v = cursor_varint(c);
  if (v <= VARINT_MAX)
    return v;
  cursor_fail(c);
  return 0;
}

static bool int_ok(const struct lite_field *f, uint64_t v)
{
  return v >= f->min && v <= (f->max ? f->max : VARINT_MAX);
}

/* Passes over the items of a list; fails the cursor where one is malformed. */
static void pass_items(struct cursor *c, const struct lite_field *f, uint64_t count)
{
  for (uint64_t i = 0; i < count && !c->failed; i++) {
    if (f->kind == KIND_INTS)
      get_number(c);
    else if (!path_ok(cursor_string(c)))
      cursor_fail(c);
  }
}

/* ---- Parameters ---- */

static const struct lite_parameter *parameter(const struct lite_parameter_set *set, lite_mask v, uint64_t id)
{
  for (size_t i = 0; i < set->n; i++) {
    if (set->rows[i].id == id && set->rows[i].versions & v)
      return &set->rows[i];
  }
  return NULL;
}

static bool is_number(const struct lite_parameter *p)
{
  return p->kind == KIND_INT || p->kind == KIND_U8;
}

static void keep_number(const struct lite_parameter *p, uint64_t value, void *body)
{
  char *at = (char *)body + p->offset;
  if (p->kind == KIND_U8)
    *(uint8_t *)at = value > p->max ? p->over : (uint8_t)value;
  else
    *(uint64_t *)at = value;
}

/* p is NULL for an id we do not know. */
static void get_parameter(struct cursor *c, const struct lite_parameter *p, bool bare, void *body)
{
  if (bare) {
    uint64_t value = get_number(c);
    if (p)
      keep_number(p, value, body);
    return;
  }
  struct slice s = cursor_prefixed(c);
  if (c->failed || !p)
    return;
  if (is_number(p)) {
    struct cursor inner = cursor_of_ints(s, c->ints);
    uint64_t value = get_number(&inner);
    if (!cursor_done(&inner))
      cursor_fail(c);
    else
      keep_number(p, value, body);
  } else if (p->kind == KIND_STRING && !utf8_valid(s)) {
    cursor_fail(c);
  } else {
    *(struct slice *)((char *)body + p->offset) = s;
  }
}

static void get_parameters(struct cursor *c, const struct lite_parameter_set *set, lite_mask v, void *body)
{
  for (size_t i = 0; i < set->n; i++) {
    if (is_number(&set->rows[i]))
      keep_number(&set->rows[i], set->rows[i].absent, body);
  }
  uint64_t seen[LITE_PARAMETERS_MAX];
  uint64_t count = get_number(c);
  if (count > LITE_PARAMETERS_MAX)
    cursor_fail(c);
  for (size_t i = 0; i < count && !c->failed; i++) {
    seen[i] = get_number(c);
    for (size_t j = 0; j < i; j++) {
      if (seen[j] == seen[i])
        cursor_fail(c);
    }
    get_parameter(c, parameter(set, v, seen[i]), set->by_parity && seen[i] % 2 == 0, body);
  }
}

static uint64_t number_of(const struct lite_parameter *p, const void *body)
{
  const char *at = (const char *)body + p->offset;
  return p->kind == KIND_U8 ? *(const uint8_t *)at : *(const uint64_t *)at;
}

static struct slice slice_at(const void *body, uint16_t offset)
{
  return *(const struct slice *)((const char *)body + offset);
}

static bool is_absent(const struct lite_parameter *p, lite_mask v, const void *body)
{
  if (!(p->versions & v))
    return true;
  return is_number(p) ? number_of(p, body) == p->absent : slice_at(body, p->offset).p == NULL;
}

static int put_parameter(struct buf *out, const struct lite_parameter *p, bool bare, const void *body)
{
  buf_varint(out, p->id);
  if (!is_number(p)) {
    struct slice s = slice_at(body, p->offset);
    if (p->kind == KIND_STRING && !utf8_valid(s))
      return -EINVAL;
    buf_prefixed(out, s);
    return 0;
  }
  uint64_t value = number_of(p, body);
  if (value > (p->kind == KIND_U8 ? p->max : VARINT_MAX))
    return -EINVAL;
  if (!bare)
    buf_varint(out, out->ints->size(value));
  buf_varint(out, value);
  return 0;
}

static int put_parameters(struct buf *out, const struct lite_parameter_set *set, lite_mask v, const void *body)
{
  size_t count = 0;
  for (size_t i = 0; i < set->n; i++)
    count += !is_absent(&set->rows[i], v, body);
  buf_varint(out, count);
  int rc = 0;
  for (size_t i = 0; i < set->n && rc == 0; i++) {
    const struct lite_parameter *p = &set->rows[i];
    if (!is_absent(p, v, body))
      rc = put_parameter(out, p, set->by_parity && p->id % 2 == 0, body);
  }
  return rc;
}

/* ---- Fields ---- */

static void get_hops(struct cursor *c, enum lite_hop_form form, struct lite_hops *h)
{
  uint64_t n = get_number(c);
  if (n > LITE_HOPS_MAX) {
    cursor_fail(c);
    return;
  }
  h->n = (size_t)n;
  for (size_t i = 0; i < h->n; i++)
    h->id[i] = form == LITE_HOPS_COUNT ? 0 : get_number(c);
  if (!lite_hops_ok(h))
    cursor_fail(c);
}

static void get_list(struct cursor *c, const struct lite_field *f, struct lite_list *list)
{
  list->count = get_number(c);
  if (f->max && list->count > f->max)
    cursor_fail(c);
  list->items.p = c->p;
  pass_items(c, f, list->count);
  list->items.n = c->failed ? 0 : (size_t)(c->p - list->items.p);
}

static void get_int(struct cursor *c, const struct lite_field *f, uint64_t *at)
{
  uint64_t v = get_number(c);
  if (!int_ok(f, v))
    cursor_fail(c);
  *at = f->kind != KIND_OPT ? v : v == 0 ? LITE_NONE : v - 1;
}

static void get_u8(struct cursor *c, const struct lite_field *f, uint8_t *at)
{
  *at = cursor_u8(c);
  if (f->max && *at > f->max)
    cursor_fail(c);
}

static void get_text(struct cursor *c, const struct lite_field *f, struct slice *at)
{
  *at = cursor_string(c);
  if (!text_ok(f, *at))
    cursor_fail(c);
}

static void get_field(struct cursor *c, const struct lite_field *f, enum lite_version v, union lite_body *body)
{
  void *at = (char *)body + f->offset;
  switch (f->kind) {
  case KIND_INT:
  case KIND_FLOOR:
  case KIND_OPT:
    get_int(c, f, at);
    break;
  case KIND_U8:
    get_u8(c, f, at);
    break;
  case KIND_STRING:
  case KIND_PATH:
    get_text(c, f, at);
    break;
  case KIND_HOPS:
    get_hops(c, lite_info(v)->hops, at);
    break;
  case KIND_PATHS:
  case KIND_INTS:
    get_list(c, f, at);
    break;
  case KIND_PARAMETERS:
    get_parameters(c, f->parameters, V(v), body);
    break;
  case KIND_BYTES:
    break;
  }
}

static int put_hops(struct buf *out, enum lite_hop_form form, const struct lite_hops *h)
{
  if (!lite_hops_ok(h))
    return -EINVAL;
  buf_varint(out, h->n);
  for (size_t i = 0; i < h->n && form != LITE_HOPS_COUNT; i++) {
    if (h->id[i] > VARINT_MAX)
      return -EINVAL;
    buf_varint(out, h->id[i]);
  }
  return 0;
}

static int put_list(struct buf *out, const struct lite_field *f, const struct lite_list *list)
{
  struct cursor c = cursor_of_ints(list->items, out->ints);
  pass_items(&c, f, list->count);
  if (!cursor_done(&c) || (f->max && list->count > f->max))
    return -EINVAL;
  buf_varint(out, list->count);
  buf_bytes(out, list->items);
  return 0;
}

static int put_int(struct buf *out, const struct lite_field *f, uint64_t v)
{
  if (v == LITE_NONE && f->kind != KIND_INT)
    v = 0;
  else if (f->kind == KIND_OPT)
    v++;
  if (!int_ok(f, v))
    return -EINVAL;
  buf_varint(out, v);
  return 0;
}

static int put_u8(struct buf *out, const struct lite_field *f, uint8_t v)
{
  if (f->max && v > f->max)
    return -EINVAL;
  buf_u8(out, v);
  return 0;
}

static int put_text(struct buf *out, const struct lite_field *f, struct slice s)
{
  if (!text_ok(f, s) || !utf8_valid(s))
    return -EINVAL;
  buf_prefixed(out, s);
  return 0;
}

static int put_field(struct buf *out, const struct lite_field *f, enum lite_version v, const union lite_body *body)
{
  const void *at = (const char *)body + f->offset;
  switch (f->kind) {
  case KIND_INT:
  case KIND_FLOOR:
  case KIND_OPT:
    return put_int(out, f, *(const uint64_t *)at);
  case KIND_U8:
    return put_u8(out, f, *(const uint8_t *)at);
  case KIND_STRING:
  case KIND_PATH:
    return put_text(out, f, *(const struct slice *)at);
  case KIND_HOPS:
    return put_hops(out, lite_info(v)->hops, at);
  case KIND_PATHS:
  case KIND_INTS:
    return put_list(out, f, at);
  case KIND_PARAMETERS:
    return put_parameters(out, f->parameters, V(v), body);
  case KIND_BYTES:
    break;
  }
  return 0;
}

/* ---- Messages ---- */

int lite_decode(enum lite_version v, enum lite_msg m, struct slice body, union lite_body *ret_body)
{
  const struct lite_message *msg = lite_message(m);
  if (!lite_has(v, m))
    return -EPROTO;
  union lite_body b;
  memset(&b, 0, msg->size);
  for (size_t i = 0; i < msg->n_fields; i++) {
    if (msg->fields[i].none_if_absent)
      *(uint64_t *)((char *)&b + msg->fields[i].offset) = LITE_NONE;
  }
  struct cursor c = cursor_of_ints(body, lite_info(v)->ints);
  for (size_t i = 0; i < msg->n_fields; i++) {
    if (msg->fields[i].versions & V(v))
      get_field(&c, &msg->fields[i], v, &b);
  }
  if (!cursor_done(&c) || (msg->valid && !msg->valid(lite_info(v), &b)))
    return -EPROTO;
  memcpy(ret_body, &b, msg->size);
  return 0;
}

static int put_body(struct buf *out, const struct lite_message *msg, enum lite_version v, const union lite_body *in)
{
  if (msg->valid && !msg->valid(lite_info(v), in))
    return -EINVAL;
  int rc = 0;
  for (size_t i = 0; i < msg->n_fields && rc == 0; i++) {
    if (msg->fields[i].versions & V(v))
      rc = put_field(out, &msg->fields[i], v, in);
  }
  return rc;
}

/* Inserts the length of what lies from `at` to the end in front of it. */
static int put_length(struct buf *out, const struct lite_message *msg, size_t at)
{
  size_t n = out->n - at;
  if (n > (msg->max ? msg->max : LITE_MESSAGE_MAX) || (msg->u16_length && n > UINT16_MAX))
    return -EINVAL;
  size_t head = msg->u16_length ? 2 : out->ints->size(n);
  if (!buf_reserve(out, head))
    return -ENOMEM;
  memmove(out->p + at + head, out->p + at, n);
  if (msg->u16_length) {
    out->p[at] = (uint8_t)(n >> 8);
    out->p[at + 1] = (uint8_t)n;
  } else {
    out->ints->write(out->p + at, n);
  }
  out->n += head;
  return 0;
}

static int put_message(struct buf *out, const struct lite_form *form, enum lite_version v, const union lite_body *in)
{
  const struct lite_message *msg = lite_message(form->msg);
  if (form->type != LITE_NO_TYPE)
    buf_varint(out, (uint64_t)form->type);
  size_t at = out->n;
  int rc = put_body(out, msg, v, in);
  if (out->failed)
    rc = -ENOMEM;
  return rc == 0 ? put_length(out, msg, at) : rc;
}

int lite_encode(enum lite_version v, enum lite_msg m, const union lite_body *in, struct buf *out)
{
  const struct lite_form *form = lite_form(v, m);
  if (!form)
    return -EINVAL;
  const struct varint_form *ints = out->ints;
  size_t start = out->n;
  out->ints = lite_info(v)->ints;
  int rc = put_message(out, form, v, in);
  out->ints = ints;
  if (rc < 0)
    out->n = start;
  return rc;
}

/* ---- Lists ---- */

bool lite_next_string(struct slice *rest, struct slice *ret_s)
{
  struct cursor c = cursor_of(*rest);
  struct slice s = cursor_prefixed(&c);
  if (c.failed)
    return false;
  *rest = cursor_rest(&c);
  *ret_s = s;
  return true;
}

bool lite_next_varint(struct slice *rest, uint64_t *ret_v)
{
  struct cursor c = cursor_of(*rest);
  uint64_t v = cursor_varint(&c);
  if (c.failed)
    return false;
  *rest = cursor_rest(&c);
  *ret_v = v;
  return true;
}
