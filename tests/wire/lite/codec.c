/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages of our own: random round trips, every truncated prefix, surplus bytes, and each bound.
 */
#include "vectors.h"
#include "base/cursor.h"
#include "base/path.h"
#include "base/rng.h"
#include "base/varint.h"
#include "cmocka_all.h"
#include <errno.h>
#include <stdlib.h>

#define ROUNDS 200
#define BODY_MAX 8192

/* A body at the very end of an allocation, so that a sanitizer sees one byte too many read. */
static int decode_exact(enum lite_version v, enum lite_msg m, struct slice body, union lite_body *ret)
{
  uint8_t *p = malloc(body.n ? body.n : 1);
  assert_non_null(p);
  if (body.n > 0)
    memcpy(p, body.p, body.n);
  int rc = lite_decode(v, m, slice_of(p, body.n), ret);
  free(p);
  return rc;
}

/* ---- Random messages ---- */

static uint64_t random_int(const struct rng *r)
{
  return rng_u64(r) >> (2 + rng_below(r, 62));
}

static uint64_t random_opt(const struct rng *r)
{
  return rng_below(r, 3) == 0 ? LITE_NONE : random_int(r) / 2;
}

static struct slice random_path(const struct rng *r)
{
  static const char *const paths[] = {"", "demo", "room/1/alice", "/a//b/", "caf\xc3\xa9/\xf0\x9f\x8e\xa5"};
  return slice_str(paths[rng_below(r, sizeof paths / sizeof paths[0])]);
}

static struct lite_hops random_hops(const struct rng *r)
{
  struct lite_hops h = {.n = (size_t)rng_below(r, LITE_HOPS_MAX + 1)};
  for (size_t i = 0; i < h.n; i++)
    h.id[i] = rng_below(r, 4) == 0 ? 0 : rng_u64(r) >> 10;
  return h;
}

/* For tests that re-encode: any distance may stand in a message, only a session knows which are live. */
static struct lite_base random_base(const struct rng *r)
{
  struct lite_base b = {random_int(r) >> rng_below(r, 62), 0};
  b.keep = b.distance > 0 ? random_int(r) : 0;
  return b;
}

static struct lite_want random_want(const struct rng *r)
{
  struct lite_want w = {(uint8_t)rng_u64(r),
                        (uint8_t)rng_below(r, 2),
                        random_int(r),
                        random_int(r) / 2,
                        random_opt(r),
                        random_int(r),
                        LITE_NONE};
  if (w.group_end != LITE_NONE)
    w.frame_end = random_opt(r);
  return w;
}

static void random_announce(const struct rng *r, enum lite_msg m, union lite_body *b)
{
  switch (m) {
  case LITE_ANNOUNCE_REQUEST:
    b->announce_request = (struct lite_announce_request){random_path(r), random_int(r), (uint8_t)rng_below(r, 2)};
    break;
  case LITE_ANNOUNCE_OK:
    b->announce_ok = (struct lite_announce_ok){random_int(r), random_int(r)};
    break;
  case LITE_ANNOUNCE:
    b->announce = (struct lite_announce){(uint8_t)rng_below(r, 2), random_path(r), random_hops(r)};
    break;
  case LITE_ANNOUNCE_START:
    b->announce_start =
        (struct lite_announce_start){random_path(r), random_hops(r), random_int(r), 7, random_base(r), random_base(r)};
    break;
  case LITE_ANNOUNCE_UPDATE:
    b->announce_update = (struct lite_announce_update){random_int(r), random_hops(r), 1, random_int(r), random_base(r)};
    break;
  default:
    b->announce_end.id = random_int(r);
  }
}

static void random_subscribe(const struct rng *r, enum lite_msg m, union lite_body *b)
{
  switch (m) {
  case LITE_SUBSCRIBE:
    b->subscribe = (struct lite_subscribe){random_int(r), random_path(r), random_path(r), random_want(r)};
    break;
  case LITE_SUBSCRIBE_UPDATE:
    b->subscribe_update.want = random_want(r);
    break;
  case LITE_SUBSCRIBE_OK:
    b->subscribe_ok = (struct lite_subscribe_ok){9, 1, random_int(r), random_opt(r), random_opt(r)};
    break;
  case LITE_SUBSCRIBE_DROP:
    b->subscribe_drop = (struct lite_subscribe_drop){random_int(r), random_int(r), random_int(r)};
    break;
  default:
    b->subscribe_end = (struct lite_subscribe_end){random_int(r), random_int(r)}; /* and subscribe_start */
  }
}

static void random_other(const struct rng *r, enum lite_msg m, union lite_body *b)
{
  switch (m) {
  case LITE_TRACK:
    b->track = (struct lite_track){random_path(r), random_path(r)};
    break;
  case LITE_TRACK_INFO:
    b->track_info = (struct lite_track_info){200, 1, random_int(r), 1 + rng_below(r, 90000)};
    break;
  case LITE_FETCH:
    b->fetch = (struct lite_fetch){random_path(r), random_path(r), 1, random_int(r), 3, 3 + random_int(r) / 2};
    break;
  case LITE_PROBE:
    b->probe = (struct lite_probe){random_int(r), random_int(r)};
    break;
  case LITE_GROUP:
    b->group = (struct lite_group){random_int(r), random_int(r), random_int(r)};
    break;
  default:
    b->goaway.uri = slice_str("https://example.com/next");
  }
}

static void random_setup(const struct rng *r, enum lite_msg m, union lite_body *b, struct buf *space)
{
  switch (m) {
  case LITE_CLIENT_SETUP:
  case LITE_CLIENT_SETUP_OLDER:
  case LITE_CLIENT_SETUP_OLDEST:
    for (int i = 0; i < 3; i++)
      buf_varint(space, 0xff0dad01u + (unsigned)i);
    b->client_setup = (struct lite_client_setup){
        3, buf_slice(space), slice_str("/room"), slice_str("token"), slice_str("h:1"), {NULL, 0}, random_int(r)};
    break;
  case LITE_SETUP:
    b->setup = (struct lite_setup){slice_str("/p?q"), random_int(r), random_int(r), 2, LITE_ROLE_PUBLISHER};
    break;
  case LITE_ANNOUNCE_INIT:
    for (int i = 0; i < 4; i++)
      buf_prefixed(space, random_path(r));
    b->announce_init = (struct lite_announce_init){4, buf_slice(space)};
    break;
  case LITE_SESSION_INFO:
    b->session_info.bitrate = random_int(r);
    break;
  default:
    b->server_setup.version = random_int(r);
  }
}

static void random_body(const struct rng *r, enum lite_msg m, union lite_body *b, struct buf *space)
{
  memset(b, 0, sizeof *b);
  buf_clear(space);
  if (m <= LITE_SETUP || m == LITE_ANNOUNCE_INIT)
    random_setup(r, m, b, space);
  else if (m <= LITE_ANNOUNCE_UPDATE)
    random_announce(r, m, b);
  else if (m <= LITE_SUBSCRIBE_DROP)
    random_subscribe(r, m, b);
  else
    random_other(r, m, b);
}

/* The stream whose one side starts with the message, to get at its body as a session does. */
static struct slice body_of(enum lite_version v, enum lite_msg m, struct slice message)
{
  for (enum lite_stream s = LITE_STREAM_UNKNOWN + 1; s < LITE_STREAMS; s++) {
    for (enum lite_side side = LITE_OPENER; side <= LITE_ACCEPTOR; side++) {
      struct lite_reader r;
      struct lite_raw raw;
      for (int started = 0; started < 2; started++) {
        lite_reader_init(&r, v, s, side, LITE_MESSAGE_MAX);
        r.started = started;
        if (lite_reader_next(&r, message, &raw) == 1 && raw.msg == m && raw.n == message.n)
          return raw.body;
      }
    }
  }
  fail_msg("%s of %s is on no stream", lite_msg_name(m), lite_info(v)->name);
  return slice_of(NULL, 0);
}

/* A shorter body must fail; a longer one too. */
static void check_lengths(enum lite_version v, enum lite_msg m, struct slice body)
{
  union lite_body b;
  uint8_t longer[BODY_MAX + 1] = {0};
  for (size_t n = 0; n < body.n; n++)
    assert_int_equal(decode_exact(v, m, slice_of(body.p, n), &b), -EPROTO);
  assert_true(body.n <= BODY_MAX);
  if (body.n > 0)
    memcpy(longer, body.p, body.n);
  assert_int_equal(decode_exact(v, m, slice_of(longer, body.n + 1), &b), -EPROTO);
}

static void check_round_trip(enum lite_version v, enum lite_msg m, const union lite_body *in)
{
  struct buf once = {0}, twice = {0};
  union lite_body back;
  if (lite_encode(v, m, in, &once) < 0)
    fail_msg("%s does not encode", lite_msg_name(m));
  struct slice body = body_of(v, m, buf_slice(&once));
  assert_int_equal(lite_decode(v, m, body, &back), 0);
  assert_int_equal(lite_encode(v, m, &back, &twice), 0);
  assert_bytes(buf_slice(&once), buf_slice(&twice), lite_msg_name(m));
  check_lengths(v, m, body);
  buf_destroy(&once);
  buf_destroy(&twice);
}

/* FETCH is written down for 03 and 04, but no stream of theirs carries it. */
static bool on_a_stream(enum lite_version v, enum lite_msg m)
{
  return lite_has(v, m) && (m != LITE_FETCH || lite_info(v)->fetch);
}

static void round_trips(void **state)
{
  uint64_t seed = 1;
  struct rng r = rng_seeded(&seed);
  struct buf space = {0};
  size_t pairs = 0;
  for (enum lite_version v = LITE_01; v < LITE_VERSIONS; v++) {
    for (enum lite_msg m = LITE_UNKNOWN + 1; m < LITE_MSGS; m++) {
      pairs += on_a_stream(v, m);
      for (int i = 0; i < ROUNDS && on_a_stream(v, m); i++) {
        union lite_body b;
        random_body(&r, m, &b, &space);
        check_round_trip(v, m, &b);
      }
    }
  }
  assert_int_equal(pairs, 14 + 14 + 8 + 9 + 15 + 17 + 16);
  buf_destroy(&space);
}

/* No bytes, whatever they are, may trip a decoder, and what it accepts the encoder takes. */
static bool check_noise(enum lite_version v, enum lite_msg m, struct slice bytes)
{
  union lite_body b;
  struct buf out = {0};
  if (decode_exact(v, m, bytes, &b) < 0)
    return false;
  assert_int_equal(lite_decode(v, m, bytes, &b), 0);
  assert_int_equal(lite_encode(v, m, &b, &out), 0);
  buf_destroy(&out);
  return true;
}

static void noise(void **state)
{
  uint64_t seed = 2;
  struct rng r = rng_seeded(&seed);
  size_t accepted = 0;
  for (int i = 0; i < 200000; i++) {
    uint8_t bytes[24];
    enum lite_version v = (enum lite_version)rng_below(&r, LITE_VERSIONS);
    enum lite_msg m = (enum lite_msg)rng_below(&r, LITE_MSGS);
    rng_fill(&r, bytes, sizeof bytes);
    for (size_t k = 0; k < sizeof bytes; k++)
      bytes[k] &= rng_below(&r, 2) ? 0x07 : 0x3f;
    accepted += check_noise(v, m, slice_of(bytes, (size_t)rng_below(&r, sizeof bytes)));
  }
  assert_true(accepted > 1000);
}

/* ---- Bounds ---- */

static int encode(enum lite_version v, enum lite_msg m, const union lite_body *b)
{
  struct buf out = {0};
  buf_u8(&out, 0x77);
  int rc = lite_encode(v, m, b, &out);
  if (rc < 0)
    assert_int_equal(out.n, 1);
  assert_false(out.failed);
  buf_destroy(&out);
  return rc;
}

static int decode_hops(size_t n, uint64_t (*id)(size_t))
{
  struct buf body = {0};
  union lite_body b;
  buf_prefixed(&body, slice_str("x"));
  buf_varint(&body, n);
  for (size_t i = 0; i < n; i++)
    buf_varint(&body, id(i));
  buf_u16(&body, 0); /* costs */
  int rc = decode_exact(LITE_06, LITE_ANNOUNCE_START, buf_slice(&body), &b);
  buf_destroy(&body);
  return rc;
}

static uint64_t hop_own(size_t i)
{
  return i + 1;
}

static uint64_t hop_zero(size_t i)
{
  return 0;
}

static uint64_t hop_twice(size_t i)
{
  return 1 + i % 4;
}

static void hop_lists(void **state)
{
  assert_int_equal(decode_hops(LITE_HOPS_MAX, hop_own), 0);
  assert_int_equal(decode_hops(LITE_HOPS_MAX + 1, hop_own), -EPROTO);
  assert_int_equal(decode_hops(LITE_HOPS_MAX, hop_zero), 0);
  assert_int_equal(decode_hops(4, hop_twice), 0);
  assert_int_equal(decode_hops(5, hop_twice), -EPROTO);

  union lite_body b = {.announce_start = {.suffix = slice_str("x"), .hops = {.n = 2, .id = {7, 7}}}};
  assert_int_equal(encode(LITE_06, LITE_ANNOUNCE_START, &b), -EINVAL);
  b.announce_start.hops = (struct lite_hops){.n = LITE_HOPS_MAX + 1};
  assert_int_equal(encode(LITE_06, LITE_ANNOUNCE_START, &b), -EINVAL);
  b.announce_start.hops = (struct lite_hops){.n = 1, .id = {VARINT_MAX + 1}};
  assert_int_equal(encode(LITE_06, LITE_ANNOUNCE_START, &b), -EINVAL);
}

/* 03 has the count alone; the ids are unknown. */
static void hop_count(void **state)
{
  union lite_body b;
  assert_int_equal(lite_decode(LITE_03, LITE_ANNOUNCE, slice_of("\x01\x01x\x20", 4), &b), 0);
  assert_int_equal(b.announce.hops.n, 32);
  assert_int_equal(b.announce.hops.id[31], 0);
  assert_int_equal(lite_decode(LITE_03, LITE_ANNOUNCE, slice_of("\x01\x01x\x21", 4), &b), -EPROTO);
}

static void make_path(struct buf *out, size_t parts)
{
  buf_clear(out);
  for (size_t i = 0; i < parts; i++)
    buf_bytes(out, slice_str(i ? "//p" : "/p")); /* repeated slashes count once */
  buf_u8(out, '/');
}

static void paths(void **state)
{
  struct buf path = {0}, body = {0};
  union lite_body b;
  for (size_t parts = PATH_PARTS_MAX; parts <= PATH_PARTS_MAX + 1; parts++) {
    bool fits = parts == PATH_PARTS_MAX;
    make_path(&path, parts);
    buf_clear(&body);
    buf_prefixed(&body, buf_slice(&path));
    assert_int_equal(decode_exact(LITE_06, LITE_ANNOUNCE_REQUEST, buf_slice(&body), &b), fits ? 0 : -EPROTO);
    b = (union lite_body){.announce_request = {.prefix = buf_slice(&path)}};
    assert_int_equal(encode(LITE_06, LITE_ANNOUNCE_REQUEST, &b), fits ? 0 : -EINVAL);
    buf_clear(&body);
    buf_varint(&body, 1);
    buf_prefixed(&body, buf_slice(&path));
    assert_int_equal(decode_exact(LITE_02, LITE_ANNOUNCE_INIT, buf_slice(&body), &b), fits ? 0 : -EPROTO);
  }
  buf_destroy(&path);
  buf_destroy(&body);
}

static void not_utf8(void **state)
{
  union lite_body b;
  assert_int_equal(decode_exact(LITE_06, LITE_ANNOUNCE_REQUEST, slice_of("\x02\xc3\xa9", 3), &b), 0);
  assert_int_equal(decode_exact(LITE_06, LITE_ANNOUNCE_REQUEST, slice_of("\x02\xc3\x28", 3), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_TRACK, slice_of("\x01p\x01\xff", 4), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_GOAWAY, slice_of("\x01\x80", 2), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_01, LITE_ANNOUNCE_INIT, slice_of("\x01\x01\xc0", 3), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_SETUP, slice_of("\x01\x02\x01\xff", 4), &b), -EPROTO);
  b = (union lite_body){.track = {slice_str("p"), slice_str("\xff")}};
  assert_int_equal(encode(LITE_06, LITE_TRACK, &b), -EINVAL);
}

static void numbers(void **state)
{
  union lite_body b = {.group = {.sequence = VARINT_MAX}};
  assert_int_equal(encode(LITE_06, LITE_GROUP, &b), 0);
  b.group.sequence++;
  assert_int_equal(encode(LITE_06, LITE_GROUP, &b), -EINVAL);

  b = (union lite_body){.subscribe_ok = {.group_end = VARINT_MAX - 1}};
  assert_int_equal(encode(LITE_04, LITE_SUBSCRIBE_OK, &b), 0);
  b.subscribe_ok.group_end++;
  assert_int_equal(encode(LITE_04, LITE_SUBSCRIBE_OK, &b), -EINVAL);
  b.subscribe_ok = (struct lite_subscribe_ok){.max_age = LITE_NONE};
  assert_int_equal(encode(LITE_04, LITE_SUBSCRIBE_OK, &b), -EINVAL);

  b = (union lite_body){.track_info = {.timescale = 0}};
  assert_int_equal(encode(LITE_06, LITE_TRACK_INFO, &b), -EINVAL);
  assert_int_equal(decode_exact(LITE_06, LITE_TRACK_INFO, slice_of("\0\0\0", 3), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_TRACK_INFO, slice_of("\0\0\1", 3), &b), 0);
}

static void status_byte(void **state)
{
  static const uint8_t body[] = {LITE_RESTART, 0, 0};
  union lite_body b;
  assert_int_equal(decode_exact(LITE_04, LITE_ANNOUNCE, slice_of(body, 3), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_05, LITE_ANNOUNCE, slice_of(body, 3), &b), 0);
  assert_int_equal(b.announce.status, LITE_RESTART);
  assert_int_equal(decode_exact(LITE_05, LITE_ANNOUNCE, slice_of("\3\0\0", 3), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_ANNOUNCE, slice_of(body, 3), &b), -EPROTO);
  b = (union lite_body){.announce = {.status = LITE_RESTART}};
  assert_int_equal(encode(LITE_04, LITE_ANNOUNCE, &b), -EINVAL);
}

static void goaway_uri(void **state)
{
  struct buf uri = {0};
  for (int i = 0; i < LITE_GOAWAY_URI_MAX; i++)
    buf_u8(&uri, 'x');
  union lite_body b = {.goaway = {buf_slice(&uri)}};
  assert_int_equal(encode(LITE_06, LITE_GOAWAY, &b), 0);
  buf_u8(&uri, 'x');
  b.goaway.uri = buf_slice(&uri);
  assert_int_equal(encode(LITE_06, LITE_GOAWAY, &b), -EINVAL);
  buf_destroy(&uri);
}

/* Rules between fields. */
static void frame_bounds(void **state)
{
  union lite_body b = {.subscribe = {.want = LITE_WANT_INIT}};
  assert_int_equal(encode(LITE_06, LITE_SUBSCRIBE, &b), 0);
  b.subscribe.want.frame_end = 4;
  assert_int_equal(encode(LITE_06, LITE_SUBSCRIBE, &b), -EINVAL);
  assert_int_equal(encode(LITE_05, LITE_SUBSCRIBE, &b), 0);
  b.subscribe.want.group_end = 9;
  assert_int_equal(encode(LITE_06, LITE_SUBSCRIBE, &b), 0);
  /* priority, max age, start, end absent, frame start, frame end 4 */
  assert_int_equal(decode_exact(LITE_06, LITE_SUBSCRIBE_UPDATE, slice_of("\1\0\0\0\0\5", 6), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_SUBSCRIBE_UPDATE, slice_of("\1\0\0\1\0\5", 6), &b), 0);

  b = (union lite_body){.fetch = {.frame_start = 5, .frame_end = 5}};
  assert_int_equal(encode(LITE_06, LITE_FETCH, &b), 0);
  b.fetch.frame_end = 4;
  assert_int_equal(encode(LITE_06, LITE_FETCH, &b), -EINVAL);
  assert_int_equal(decode_exact(LITE_06, LITE_FETCH, slice_of("\0\0\0\0\5\5", 6), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_FETCH, slice_of("\0\0\0\0\5\6", 6), &b), 0);
}

static void group_start(void **state)
{
  union lite_body b;
  assert_int_equal(decode_exact(LITE_05, LITE_SUBSCRIBE_UPDATE, slice_of("\1\0\0\0\0", 5), &b), 0);
  assert_int_equal(b.subscribe_update.want.group_start, LITE_NONE);
  assert_int_equal(b.subscribe_update.want.frame_end, LITE_NONE);
  assert_int_equal(decode_exact(LITE_05, LITE_SUBSCRIBE_UPDATE, slice_of("\1\0\0\7\0", 5), &b), 0);
  assert_int_equal(b.subscribe_update.want.group_start, 6);
  assert_int_equal(decode_exact(LITE_06, LITE_SUBSCRIBE_UPDATE, slice_of("\1\0\7\0\0\0", 6), &b), 0);
  assert_int_equal(b.subscribe_update.want.group_start, 7);
  assert_int_equal(decode_exact(LITE_02, LITE_SUBSCRIBE, slice_of("\0\0\0\1", 4), &b), 0);
  assert_int_equal(b.subscribe.want.max_age, LITE_NONE);
  assert_int_equal(b.subscribe.want.group_start, LITE_NONE);
}

/* ---- What 07 has of its own ---- */

/* A varint of 07 may have 64 bits, but no number here has more than 62. */
static void wide_numbers(void **state)
{
  static const uint8_t most[] = {0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  uint8_t body[12] = {0}, more[12] = {0, 0xff, 0x40};
  union lite_body b;
  struct lite_frame f;
  memcpy(body + 1, most, sizeof most);
  assert_int_equal(decode_exact(LITE_07, LITE_GROUP, slice_of(body, 11), &b), 0);
  assert_true(b.group.sequence == VARINT_MAX);
  assert_int_equal(decode_exact(LITE_07, LITE_GROUP, slice_of(more, 11), &b), -EPROTO);
  assert_int_equal(encode(LITE_07, LITE_GROUP, &(union lite_body){.group = {.sequence = VARINT_MAX + 1}}), -EINVAL);
  /* an empty path, one hop */
  static const uint8_t hop[] = {0, 0, 0, 0, 1, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_START, slice_of(hop, sizeof hop), &b), -EPROTO);
  static const uint8_t cost[] = {1, 4, 9, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0};
  assert_int_equal(decode_exact(LITE_07, LITE_SETUP, slice_of(cost, sizeof cost), &b), -EPROTO);
  static const uint8_t time[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
  assert_int_equal(lite_frame_read(LITE_07, slice_of(time, sizeof time), 0, &f), -EPROTO);
  assert_int_equal(lite_frame_read(LITE_07, slice_of(time, sizeof time), LITE_TIMESTAMP_MAX, &f), -EPROTO);
}

static void fields_of_07(void **state)
{
  union lite_body b;
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_REQUEST, slice_of("\1x\1", 3), &b), 0);
  assert_int_equal(b.announce_request.hidden, 1);
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_REQUEST, slice_of("\1x\2", 3), &b), -EPROTO);
  b.announce_request = (struct lite_announce_request){.prefix = slice_str("x"), .hidden = 2};
  assert_int_equal(encode(LITE_07, LITE_ANNOUNCE_REQUEST, &b), -EINVAL);

  assert_int_equal(decode_exact(LITE_07, LITE_SUBSCRIBE_END, slice_of("\7\3", 2), &b), 0);
  assert_int_equal(b.subscribe_end.streams, 3);
  assert_int_equal(decode_exact(LITE_06, LITE_SUBSCRIBE_END, slice_of("\7", 1), &b), 0);
  assert_int_equal(b.subscribe_end.streams, 0);
  assert_false(lite_has(LITE_07, LITE_SUBSCRIBE_DROP));

  static const uint8_t start[] = {2, 1, 1, 'x', 3, 1, 7, 2, 8, 9};
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_START, slice_of(start, sizeof start), &b), 0);
  assert_int_equal(b.announce_start.path_base.distance, 2);
  assert_int_equal(b.announce_start.path_base.keep, 1);
  assert_int_equal(b.announce_start.hop_base.distance, 3);
  assert_int_equal(b.announce_start.hop_base.keep, 2);
  assert_int_equal(b.announce_start.hops.id[0], 7);
  assert_int_equal(b.announce_start.cold_cost, 9);
}

/* To keep something takes a base. */
static void keep_without_base(void **state)
{
  union lite_body b;
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_START, slice_of("\0\1\0\0\0\0\0\0", 8), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_START, slice_of("\0\0\0\0\0\1\0\0", 8), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_START, slice_of("\1\0\0\1\0\0\0\0", 8), &b), 0);
  assert_int_equal(decode_exact(LITE_07, LITE_ANNOUNCE_UPDATE, slice_of("\0\0\0\1\0\0", 6), &b), -EPROTO);
  b = (union lite_body){.announce_start = {.path_base = {0, 1}}};
  assert_int_equal(encode(LITE_07, LITE_ANNOUNCE_START, &b), -EINVAL);
  assert_int_equal(encode(LITE_06, LITE_ANNOUNCE_START, &b), 0);
}

/* ---- Parameters ---- */

static int decode_setup(enum lite_version v, const char *bytes, size_t n, struct lite_setup *ret)
{
  union lite_body b = {.setup = {.cost = 99}};
  int rc = decode_exact(v, LITE_SETUP, slice_of(bytes, n), &b);
  *ret = b.setup;
  return rc;
}

static void parameters(void **state)
{
  struct lite_setup s;
  assert_int_equal(decode_setup(LITE_06, "\0", 1, &s), 0);
  assert_int_equal(s.cost, 1);
  assert_null(s.path.p);
  assert_int_equal(decode_setup(LITE_06, "\1\1\1\7", 4, &s), 0); /* more than 2 is 2 */
  assert_int_equal(s.probe, 2);
  assert_int_equal(decode_setup(LITE_06, "\1\3\1\7", 4, &s), 0); /* a role we do not know is both */
  assert_int_equal(s.role, LITE_ROLE_BOTH);
  assert_int_equal(decode_setup(LITE_06, "\1\4\1\0", 4, &s), 0);
  assert_int_equal(s.cost, 0);
  assert_int_equal(decode_setup(LITE_05, "\1\4\1\0", 4, &s), 0); /* 05 has no cost */
  assert_int_equal(s.cost, 1);
  assert_int_equal(decode_setup(LITE_06, "\2\x3f\2zz\1\1\1", 8, &s), 0); /* unknown ids are skipped */
  assert_int_equal(s.probe, 1);
  assert_int_equal(decode_setup(LITE_06, "\2\1\1\1\1\1\1", 7, &s), -EPROTO); /* twice */
  assert_int_equal(decode_setup(LITE_06, "\2\x3f\0\x3f\0", 5, &s), -EPROTO); /* twice, unknown */
  assert_int_equal(decode_setup(LITE_06, "\1\1\2\1\1", 5, &s), -EPROTO);     /* more than a varint */
  assert_int_equal(decode_setup(LITE_06, "\1\1\0", 3, &s), -EPROTO);
  assert_int_equal(s.cost, 99); /* untouched */
}

static void parameter_count(void **state)
{
  for (size_t n = LITE_PARAMETERS_MAX; n <= LITE_PARAMETERS_MAX + 1; n++) {
    struct buf body = {0};
    union lite_body b;
    buf_varint(&body, n);
    for (size_t i = 0; i < n; i++) {
      buf_varint(&body, 100 + i);
      buf_varint(&body, 0);
    }
    int rc = decode_exact(LITE_06, LITE_SETUP, buf_slice(&body), &b);
    assert_int_equal(rc, n == LITE_PARAMETERS_MAX ? 0 : -EPROTO);
    buf_destroy(&body);
  }
}

static void setup_encode(void **state)
{
  union lite_body b = {.setup = LITE_SETUP_INIT};
  struct buf out = {0};
  assert_int_equal(lite_encode(LITE_06, LITE_SETUP, &b, &out), 0);
  assert_bytes(buf_slice(&out), slice_of("\1\0", 2), "empty SETUP");
  b.setup.role = LITE_ROLE_SUBSCRIBER + 1;
  assert_int_equal(encode(LITE_06, LITE_SETUP, &b), -EINVAL);
  buf_destroy(&out);
}

static void client_versions(void **state)
{
  struct buf list = {0};
  for (int i = 0; i < LITE_SETUP_VERSIONS_MAX; i++)
    buf_varint(&list, 1);
  union lite_body b = {.client_setup = {.version_count = LITE_SETUP_VERSIONS_MAX, .versions = buf_slice(&list)}};
  assert_int_equal(encode(LITE_02, LITE_CLIENT_SETUP, &b), 0);
  b.client_setup.version_count--; /* does not match what is there */
  assert_int_equal(encode(LITE_02, LITE_CLIENT_SETUP, &b), -EINVAL);
  buf_varint(&list, 1);
  b.client_setup.versions = buf_slice(&list);
  b.client_setup.version_count = LITE_SETUP_VERSIONS_MAX + 1;
  assert_int_equal(encode(LITE_02, LITE_CLIENT_SETUP, &b), -EINVAL);
  buf_destroy(&list);
}

/* A buffer that has failed before takes nothing more. */
static void no_memory(void **state)
{
  struct buf out = {.failed = true};
  union lite_body b = {.goaway = {slice_str("x")}};
  assert_int_equal(lite_encode(LITE_06, LITE_GOAWAY, &b, &out), -ENOMEM);
  assert_int_equal(out.n, 0);
  assert_int_equal(lite_stream_begin(LITE_06, LITE_STREAM_GOAWAY, &out), -ENOMEM);
  buf_destroy(&out);
}

static void other_versions(void **state)
{
  union lite_body b = {0};
  assert_int_equal(encode(LITE_04, LITE_TRACK, &b), -EINVAL);
  assert_int_equal(decode_exact(LITE_04, LITE_TRACK, slice_of("\0\0", 2), &b), -EPROTO);
  assert_int_equal(decode_exact(LITE_06, LITE_UNKNOWN, slice_of("", 0), &b), -EPROTO);
  assert_false(lite_has(LITE_06, LITE_UNKNOWN));
}

/* ---- The version table ---- */

static void versions(void **state)
{
  enum lite_version v;
  for (enum lite_version i = LITE_01; i < LITE_VERSIONS; i++) {
    assert_int_equal(lite_info(i)->version, i);
    assert_int_equal(lite_info(i)->code, 0xff0dad01u + (unsigned)i);
    assert_true(lite_from_alpn(slice_str(lite_info(i)->alpn), &v));
    assert_int_equal(v, i == LITE_01 ? LITE_02 : i);
    assert_int_equal(lite_from_code(lite_info(i)->code, &v), i <= LITE_02);
  }
  assert_false(lite_from_alpn(slice_str("moq-lite-06-wip"), &v));
  assert_false(lite_from_alpn(slice_str("moq-lite-0"), &v));
  assert_false(lite_from_alpn(slice_of(NULL, 0), &v));
}

/* What the table promises and the messages that there are agree. */
static void versions_agree(void **state)
{
  for (enum lite_version v = LITE_01; v < LITE_VERSIONS; v++) {
    const struct lite_version_info *i = lite_info(v);
    assert_int_equal(i->legacy_setup, lite_has(v, LITE_CLIENT_SETUP));
    assert_int_equal(i->setup_stream, lite_has(v, LITE_SETUP));
    assert_int_equal(i->announce_init, lite_has(v, LITE_ANNOUNCE_INIT));
    assert_int_equal(i->announce_ok, lite_has(v, LITE_ANNOUNCE_OK));
    assert_int_equal(i->typed_announces, lite_has(v, LITE_ANNOUNCE_START));
    assert_int_equal(i->typed_announces, !lite_has(v, LITE_ANNOUNCE));
    assert_int_equal(i->subscribe_ok, lite_has(v, LITE_SUBSCRIBE_OK));
    assert_int_equal(i->subscribe_ok, !lite_has(v, LITE_SUBSCRIBE_START));
    assert_int_equal(i->track, lite_has(v, LITE_TRACK));
    assert_int_equal(i->probe, lite_has(v, LITE_PROBE));
    assert_int_equal(i->goaway, lite_has(v, LITE_GOAWAY));
    assert_int_equal(lite_default_versions() >> v & 1, v != LITE_07);
  }
}

static void codes(void **state)
{
  assert_string_equal(lite_reset_name(LITE_RESET_CANCELLED), "cancelled");
  assert_string_equal(lite_reset_name(0x39), "timestamp does not fit the timescale");
  assert_string_equal(lite_reset_name(0x3f), "unknown");
  assert_string_equal(lite_reset_name(0x40), "application");
  assert_string_equal(lite_reset_name(0x40 + 65535), "application");
  assert_string_equal(lite_reset_name(0x40 + 65536), "unknown");
  assert_string_equal(lite_reset_name(UINT64_MAX), "unknown");
  assert_string_equal(lite_close_name(LITE_CLOSE_PROTOCOL), "protocol violation");
  assert_string_equal(lite_close_name(0x4), "unknown");
  assert_int_equal(lite_reset_relayed(LITE_RESET_NOT_FOUND), LITE_RESET_NOT_FOUND);
  assert_int_equal(lite_reset_relayed(0x41), 0x41);
  assert_int_equal(lite_reset_relayed(0x6), LITE_RESET_INTERNAL);
  assert_int_equal(lite_reset_relayed(UINT64_MAX), LITE_RESET_INTERNAL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trips),
      cmocka_unit_test(noise),
      cmocka_unit_test(hop_lists),
      cmocka_unit_test(hop_count),
      cmocka_unit_test(paths),
      cmocka_unit_test(not_utf8),
      cmocka_unit_test(numbers),
      cmocka_unit_test(status_byte),
      cmocka_unit_test(goaway_uri),
      cmocka_unit_test(frame_bounds),
      cmocka_unit_test(group_start),
      cmocka_unit_test(parameters),
      cmocka_unit_test(parameter_count),
      cmocka_unit_test(setup_encode),
      cmocka_unit_test(client_versions),
      cmocka_unit_test(other_versions),
      cmocka_unit_test(versions),
      cmocka_unit_test(versions_agree),
      cmocka_unit_test(codes),
      cmocka_unit_test(no_memory),
      cmocka_unit_test(wide_numbers),
      cmocka_unit_test(fields_of_07),
      cmocka_unit_test(keep_without_base),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
