/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/lite/lite.h"
#include "wire/lite/tables.h"
#include <assert.h>
#include <errno.h>

static const struct {
  const char *name;
  uint64_t type;
  lite_mask versions;
  bool uni;
  bool type_in_message; /* the type is that of the first message, which the reader takes */
} streams[LITE_STREAMS] = {
    [LITE_STREAM_UNKNOWN] = {.name = "unknown"},
    [LITE_STREAM_LEGACY] = {"setup exchange", 0x20, V01 | V02, .type_in_message = true},
    [LITE_STREAM_LEGACY_OLDEST] = {"setup exchange", 0x0, V01 | V02},
    [LITE_STREAM_ANNOUNCE] = {"announce", 0x1, V_ALL},
    [LITE_STREAM_SUBSCRIBE] = {"subscribe", 0x2, V_ALL},
    [LITE_STREAM_FETCH] = {"fetch", 0x3, V05_UP}, /* deployed peers refuse it in 03 and 04 */
    [LITE_STREAM_PROBE] = {"probe", 0x4, V03_UP},
    [LITE_STREAM_GOAWAY] = {"goaway", 0x5, V04_UP},
    [LITE_STREAM_TRACK] = {"track", 0x6, V05_UP},
    [LITE_STREAM_GROUP] = {"group", 0x0, V_ALL, .uni = true},
    [LITE_STREAM_SETUP] = {"setup", 0x1, V05_UP, .uni = true},
    [LITE_STREAM_LEGACY_OLDER] = {"setup exchange", 0x40, V01 | V02, .type_in_message = true},
};

const char *lite_stream_name(enum lite_stream s)
{
  assert((unsigned)s < LITE_STREAMS);
  return streams[s].name;
}

int lite_stream_open(enum lite_version v, bool uni, struct slice in, enum lite_stream *ret_stream, size_t *ret_n)
{
  uint64_t type;
  size_t n = lite_info(v)->ints->read(in.p, in.n, &type);
  if (n == 0)
    return 0;
  *ret_stream = LITE_STREAM_UNKNOWN;
  *ret_n = n;
  for (size_t i = LITE_STREAM_UNKNOWN + 1; i < LITE_STREAMS; i++) {
    if (streams[i].type != type || streams[i].uni != uni || !(streams[i].versions & V(v)))
      continue;
    *ret_stream = (enum lite_stream)i;
    *ret_n = streams[i].type_in_message ? 0 : n;
  }
  return 1;
}

int lite_stream_begin(enum lite_version v, enum lite_stream s, struct buf *out)
{
  assert((unsigned)s < LITE_STREAMS);
  if (!(streams[s].versions & V(v)))
    return -EINVAL;
  const struct varint_form *ints = out->ints;
  out->ints = lite_info(v)->ints;
  if (!streams[s].type_in_message)
    buf_varint(out, streams[s].type);
  out->ints = ints;
  return out->failed ? -ENOMEM : 0;
}

void lite_reader_init(struct lite_reader *r, enum lite_version v, enum lite_stream s, enum lite_side side, size_t max)
{
  *r = (struct lite_reader){.version = v, .stream = s, .side = side, .max = max};
}

/* The messages that may come now: the first alone, or any of the rest. */
static const enum lite_msg *expected(const struct lite_reader *r, const struct lite_flow *flow, size_t *ret_n)
{
  if (!r->started && flow->first != LITE_UNKNOWN) {
    *ret_n = 1;
    return &flow->first;
  }
  size_t n = 0;
  while (n < LITE_REST_MAX && flow->rest[n] != LITE_UNKNOWN)
    n++;
  *ret_n = n;
  return flow->rest;
}

/* Among typed messages an unknown type is not an error; a first message of the wrong type is. */
static int match_type(enum lite_version v, const enum lite_msg *set, size_t n, bool first, struct lite_raw *raw)
{
  for (size_t i = 0; i < n; i++) {
    if ((uint64_t)lite_form(v, set[i])->type == raw->type) {
      raw->msg = set[i];
      return 0;
    }
  }
  raw->msg = LITE_UNKNOWN;
  return first ? -EPROTO : 0;
}

/* Length bytes taken, 0 when more are needed. */
static size_t read_length(const struct lite_reader *r, struct slice in, const struct lite_message *msg,
                          uint64_t *ret_len)
{
  if (!msg->u16_length)
    return lite_info(r->version)->ints->read(in.p, in.n, ret_len);
  if (in.n < 2)
    return 0;
  *ret_len = (uint64_t)in.p[0] << 8 | in.p[1];
  return 2;
}

static size_t body_max(const struct lite_reader *r, const struct lite_message *msg)
{
  size_t max = msg->max ? msg->max : LITE_MESSAGE_MAX;
  return max < r->max ? max : r->max;
}

static int read_body(const struct lite_reader *r, struct slice in, size_t at, struct lite_raw *raw)
{
  const struct lite_message *msg = lite_message(raw->msg);
  uint64_t len;
  size_t n = read_length(r, slice_from(in, at), msg, &len);
  if (n == 0)
    return 0;
  at += n;
  if (len > body_max(r, msg))
    return -EMSGSIZE;
  if (len > in.n - at)
    return 0;
  raw->body = slice_of(in.p + at, (size_t)len);
  raw->n = at + (size_t)len;
  return 1;
}

int lite_reader_next(struct lite_reader *r, struct slice in, struct lite_raw *ret_raw)
{
  if (in.n == 0)
    return 0;
  const struct lite_flow *flow = lite_flow(r->version, r->stream, r->side);
  size_t n_set = 0;
  const enum lite_msg *set = flow ? expected(r, flow, &n_set) : NULL;
  if (n_set == 0)
    return -EPROTO;
  struct lite_raw raw = {.msg = set[0]};
  size_t at = 0;
  if (lite_form(r->version, set[0])->type != LITE_NO_TYPE) {
    at = lite_info(r->version)->ints->read(in.p, in.n, &raw.type);
    if (at == 0)
      return 0;
    if (match_type(r->version, set, n_set, set == &flow->first, &raw) < 0)
      return -EPROTO;
  }
  int rc = read_body(r, in, at, &raw);
  if (rc == 1) {
    r->started = true;
    *ret_raw = raw;
  }
  return rc;
}

bool lite_reader_frames(const struct lite_reader *r)
{
  const struct lite_flow *flow = lite_flow(r->version, r->stream, r->side);
  return flow && flow->frames && (r->started || flow->first == LITE_UNKNOWN);
}
