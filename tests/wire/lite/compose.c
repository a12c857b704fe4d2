/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "compose.h"
#include "base/varint.h"
#include <errno.h>

const char *const compose_names[] = {"room", "room/well", "wild",  "wild/one", "wild/two", "video", "audio", "catalog",
                                     "one",  "/",         "a//b/", "\xc3\xa9", "..",       "-",     "two",   ""};
#define NAMES (sizeof compose_names / sizeof *compose_names)

uint64_t compose_number(struct cursor *c)
{
  static const uint64_t edges[] = {VARINT_MAX,       VARINT_MAX - 1, LITE_NONE,  LITE_TIMESTAMP_MAX, LITE_NONE - 1,
                                   UINT32_MAX,       1ULL << 32,     1ULL << 31, (1ULL << 53) - 1,   1ULL << 53,
                                   LITE_MESSAGE_MAX, 1000000,        0xff0dad01, 0xff0dad02};
  uint8_t b = cursor_u8(c);
  if (b < 0xc0)
    return b;
  if (b < 0xf0)
    return edges[b % (sizeof edges / sizeof *edges)];
  return cursor_varint(c);
}

struct slice compose_text(struct cursor *c)
{
  uint8_t b = cursor_u8(c);
  return b < 0xe0 ? slice_str(compose_names[b % NAMES]) : cursor_bytes(c, b - 0xe0);
}

static uint64_t within(uint64_t v, uint64_t min, uint64_t max)
{
  return max > 0 && max < 256 ? min + v % (max - min + 1) : v;
}

static void compose_hops(struct lite_hops *h, struct cursor *c)
{
  h->n = cursor_u8(c) % 6;
  for (size_t i = 0; i < h->n; i++)
    h->id[i] = compose_number(c);
}

/* The items stay in `space` until the message is encoded. */
static void compose_list(struct lite_list *l, enum lite_kind kind, struct cursor *c, struct buf *space)
{
  l->count = cursor_u8(c) % 8;
  for (uint64_t i = 0; i < l->count; i++) {
    if (kind == KIND_PATHS)
      buf_prefixed(space, compose_text(c));
    else
      buf_varint(space, compose_number(c) & VARINT_MAX);
  }
  l->items = buf_slice(space);
}

static void compose_parameters(const struct lite_parameter_set *set, void *body, struct cursor *c)
{
  uint8_t which = cursor_u8(c);
  for (size_t i = 0; i < set->n; i++) {
    const struct lite_parameter *p = &set->rows[i];
    void *at = (char *)body + p->offset;
    bool wanted = which >> (i % 8) & 1;
    if (p->kind == KIND_INT)
      *(uint64_t *)at = wanted ? compose_number(c) : p->absent;
    else if (p->kind == KIND_U8)
      *(uint8_t *)at = (uint8_t)(wanted ? within(cursor_u8(c), 0, p->max) : p->absent);
    else
      *(struct slice *)at = wanted ? compose_text(c) : slice_of(NULL, 0);
  }
}

static void compose_field(const struct lite_field *f, void *body, struct cursor *c, struct buf *space)
{
  void *at = (char *)body + f->offset;
  switch (f->kind) {
  case KIND_INT:
  case KIND_FLOOR:
  case KIND_OPT:
    *(uint64_t *)at = within(compose_number(c), f->min, f->max);
    break;
  case KIND_U8:
    *(uint8_t *)at = (uint8_t)within(cursor_u8(c), 0, f->max);
    break;
  case KIND_STRING:
  case KIND_BYTES:
  case KIND_PATH:
    *(struct slice *)at = compose_text(c);
    break;
  case KIND_HOPS:
    compose_hops(at, c);
    break;
  case KIND_PATHS:
  case KIND_INTS:
    compose_list(at, f->kind, c, space);
    break;
  case KIND_PARAMETERS:
    compose_parameters(f->parameters, body, c);
    break;
  }
}

int compose_message(enum lite_version v, enum lite_msg m, struct cursor *c, struct buf *out)
{
  union lite_body body = {0};
  struct buf space = {0};
  if (m == LITE_UNKNOWN || !lite_has(v, m))
    return -EINVAL;
  const struct lite_message *message = lite_message(m);
  for (size_t i = 0; i < message->n_fields; i++) {
    if (message->fields[i].versions & V(v))
      compose_field(&message->fields[i], &body, c, &space);
  }
  int rc = space.failed ? -ENOMEM : lite_encode(v, m, &body, out);
  buf_destroy(&space);
  return rc;
}
