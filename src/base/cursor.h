/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A reader over borrowed bytes that cannot overrun and remembers that it failed: read field after field, then ask once
 * (cursor_done) whether the message was well formed and consumed whole. After a failure every read returns zero. */
#pragma once
#include "base/slice.h"
#include "base/varint.h"

struct cursor {
  const uint8_t *p, *end;
  bool failed;
  const struct varint_form *ints; /* how varints are written */
};

static inline struct cursor cursor_of_ints(struct slice s, const struct varint_form *ints)
{
  if (!s.p)
    s = slice_str(""); /* no arithmetic on NULL from here on */
  return (struct cursor){s.p, s.p + s.n, false, ints};
}

/* With QUIC's varints. */
static inline struct cursor cursor_of(struct slice s)
{
  return cursor_of_ints(s, &varint_quic);
}

static inline size_t cursor_left(const struct cursor *c)
{
  return c->failed ? 0 : (size_t)(c->end - c->p);
}

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c); /* big-endian */
uint32_t cursor_u32(struct cursor *c); /* big-endian */
uint64_t cursor_varint(struct cursor *c);

/* The next n bytes, borrowed from the input. */
struct slice cursor_bytes(struct cursor *c, uint64_t n);

/* Varint length, then that many bytes. */
struct slice cursor_prefixed(struct cursor *c);

/* cursor_prefixed that also requires valid UTF-8. */
struct slice cursor_string(struct cursor *c);

/* Everything that is left. */
struct slice cursor_rest(struct cursor *c);

/* Marks the message as malformed. */
void cursor_fail(struct cursor *c);

/* True when nothing failed and nothing is left. */
static inline bool cursor_done(const struct cursor *c)
{
  return !c->failed && c->p == c->end;
}
