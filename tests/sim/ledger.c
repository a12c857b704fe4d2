/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ledger.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ledger_init(struct ledger *l, uint64_t seed)
{
  *l = (struct ledger){.seed = seed};
}

void ledger_destroy(struct ledger *l)
{
  for (uint32_t i = 0; i < l->n; i++)
    free(l->sendings[i]);
  free(l->sendings);
}

static void no_memory(void)
{
  fputs("sim: no memory\n", stderr);
  abort();
}

struct sending *ledger_new(struct ledger *l)
{
  if (l->n == l->cap) {
    l->cap = l->cap ? 2 * l->cap : 256;
    l->sendings = realloc(l->sendings, l->cap * sizeof *l->sendings);
    if (!l->sendings)
      no_memory();
  }
  struct sending *s = calloc(1, sizeof *s);
  if (!s)
    no_memory();
  s->id = l->n;
  return l->sendings[l->n++] = s;
}

static uint64_t word(const struct ledger *l, uint32_t id, uint32_t frame, size_t i)
{
  uint64_t x = l->seed ^ (uint64_t)id << 32 ^ (uint64_t)frame << 24 ^ i;
  x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9ULL;
  return x ^ x >> 29;
}

static void make_mark(const struct ledger *l, uint32_t id, uint32_t frame, uint32_t size, uint8_t out[FRAME_MARK])
{
  uint32_t v[4] = {id, frame, size, (uint32_t)l->seed};
  memcpy(out, v, sizeof v);
}

void ledger_fill(const struct ledger *l, const struct sending *s, uint32_t frame, size_t at, uint8_t *p, size_t n)
{
  uint8_t mark[FRAME_MARK];
  make_mark(l, s->id, frame, s->size[frame], mark);
  for (; n > 0 && at < FRAME_MARK; n--)
    *p++ = mark[at++];
  while (n > 0) {
    uint64_t w = word(l, s->id, frame, at / 8);
    size_t skip = at % 8, k = 8 - skip < n ? 8 - skip : n;
    memcpy(p, (uint8_t *)&w + skip, k);
    p += k;
    at += k;
    n -= k;
  }
}

/* -- checking -- */

/* The mark of the frame under way is complete. */
static const char *identify(struct frame_check *c)
{
  uint32_t v[4];
  memcpy(v, c->mark, sizeof v);
  if (v[3] != (uint32_t)c->ledger->seed || v[0] >= c->ledger->n)
    return "a frame's payload is none that was sent";
  const struct sending *s = c->ledger->sendings[v[0]];
  if (c->sending && c->sending != s)
    return "frames of two sendings in one group";
  c->sending = s;
  if (v[1] != c->index || c->index >= s->frames)
    return "a frame is out of order";
  if (v[2] != c->size || s->size[c->index] != c->size)
    return "a frame's size is not what was sent";
  if (c->exact_times && c->timestamp != s->timestamp + c->index)
    return "a frame's timestamp is not what was sent";
  return NULL;
}

static const char *payload(struct frame_check *c, struct slice data)
{
  uint8_t want[1024];
  while (data.n > 0) {
    if (c->at < FRAME_MARK) {
      c->mark[c->at++] = data.p[0];
      data = slice_from(data, 1);
      const char *wrong = c->at == FRAME_MARK ? identify(c) : NULL;
      if (wrong)
        return wrong;
      continue;
    }
    size_t n = data.n < sizeof want ? data.n : sizeof want;
    ledger_fill(c->ledger, c->sending, c->index, c->at, want, n);
    if (memcmp(want, data.p, n) != 0)
      return "a frame's bytes are not its own";
    c->at += n;
    data = slice_from(data, n);
  }
  return NULL;
}

static const char *begin_frame(struct frame_check *c, const struct lite_frame *f)
{
  c->head_n = 0;
  c->inside = f->size > 0;
  c->size = f->size;
  c->at = 0;
  c->timestamp = f->timestamp;
  if (f->size > 0)
    return f->size < FRAME_MARK ? "a frame is shorter than any that was sent" : NULL;
  if (c->sending && (c->index >= c->sending->frames || c->sending->size[c->index] != 0))
    return "an empty frame that was not sent";
  c->index++;
  return NULL;
}

/* *ret_n: bytes of `data` that the frame header took. */
static const char *header(struct frame_check *c, struct slice data, size_t *ret_n)
{
  struct lite_frame f;
  size_t had = c->head_n, add = sizeof c->head - had < data.n ? sizeof c->head - had : data.n;
  memcpy(c->head + had, data.p, add);
  int n = lite_frame_read(c->version, slice_of(c->head, had + add), c->timestamp, &f);
  if (n < 0 || (n == 0 && had + add == sizeof c->head))
    return "a malformed frame header";
  c->head_n = (uint8_t)(had + add);
  *ret_n = n > 0 ? (size_t)n - had : add;
  return n > 0 ? begin_frame(c, &f) : NULL;
}

const char *frame_check_feed(struct frame_check *c, struct slice data)
{
  const char *wrong = NULL;
  while (!wrong && data.n > 0) {
    size_t n = 0;
    if (!c->inside) {
      wrong = header(c, data, &n);
    } else {
      n = c->size - c->at < data.n ? (size_t)(c->size - c->at) : data.n;
      wrong = payload(c, slice_of(data.p, n));
    }
    data = slice_from(data, n);
    if (c->inside && c->at == c->size) {
      c->inside = false;
      c->index++;
    }
  }
  return wrong;
}

const char *frame_check_end(const struct frame_check *c)
{
  if (c->inside || c->head_n > 0)
    return "a clean end inside a frame";
  if (c->sending && !c->sending->whole)
    return "a clean end of a group that has none";
  if (c->sending && c->sending->frames != c->index)
    return "a clean end before the last frame";
  return NULL;
}
