/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whole sessions of other implementations: every byte of every stream and datagram is cut into
 * messages and frames, decoded, and encoded to the same bytes again; once with all bytes there,
 * once as they come one by one. */
#include "vectors.h"
#include "cmocka_all.h"
#include <errno.h>

#define MESSAGES_MAX 64 /* in one direction of one stream */

struct replay {
  enum lite_version version;
  size_t messages, frames, unknown_streams, datagrams;
  const char *name; /* of the stream */
};

/* The parameters of these are in any order. */
static bool any_order(enum lite_msg m)
{
  return m == LITE_SETUP || m == LITE_CLIENT_SETUP || m == LITE_SERVER_SETUP;
}

static void check_message(struct replay *rp, enum lite_version v, const struct lite_raw *raw, struct slice in)
{
  union lite_body b;
  struct buf out = {0};
  if (raw->msg == LITE_UNKNOWN)
    fail_msg("%s: unknown message", rp->name);
  if (lite_decode(v, raw->msg, raw->body, &b) < 0)
    fail_msg("%s: %s does not decode", rp->name, lite_msg_name(raw->msg));
  assert_int_equal(lite_encode(v, raw->msg, &b, &out), 0);
  if (!any_order(raw->msg))
    assert_bytes(buf_slice(&out), slice_of(in.p, raw->n), rp->name);
  buf_destroy(&out);
  rp->messages++;
}

/* One byte more at a time gives the same messages at the same places. */
static void check_slowly(struct lite_reader r, struct slice in, const size_t *ends, size_t n)
{
  size_t at = 0, found = 0;
  struct lite_raw raw;
  for (size_t have = 0; have <= in.n && !lite_reader_frames(&r); have++) {
    int rc = lite_reader_next(&r, slice_of(in.p + at, have - at), &raw);
    assert_true(rc == 0 || rc == 1);
    if (rc == 0)
      continue;
    assert_true(found < n);
    at += raw.n;
    assert_int_equal(at, ends[found++]);
    assert_int_equal(at, have);
  }
  assert_int_equal(found, n);
}

static void check_frames(struct replay *rp, struct slice in)
{
  uint64_t prev = 0;
  while (in.n > 0) {
    struct lite_frame f;
    uint8_t header[LITE_FRAME_HEADER_MAX];
    int n = lite_frame_read(rp->version, in, prev, &f);
    assert_true(n > 0);
    for (int k = 0; k < n; k++)
      assert_int_equal(lite_frame_read(rp->version, slice_of(in.p, (size_t)k), prev, &f), 0);
    int m = lite_frame_header(rp->version, prev, f.timestamp, f.size, header);
    assert_true(m > 0);
    assert_bytes(slice_of(header, (size_t)m), slice_of(in.p, (size_t)n), rp->name);
    assert_true(f.size <= in.n - (size_t)n);
    in = slice_from(in, (size_t)n + (size_t)f.size);
    prev = f.timestamp;
    rp->frames++;
  }
}

static void check_direction(struct replay *rp, enum lite_stream s, enum lite_side side, struct slice in)
{
  struct lite_reader r;
  size_t ends[MESSAGES_MAX], n = 0, at = 0;
  struct lite_raw raw;
  lite_reader_init(&r, rp->version, s, side, LITE_MESSAGE_MAX);
  struct lite_reader again = r;
  while (at < in.n && !lite_reader_frames(&r)) {
    struct slice left = slice_from(in, at);
    int rc = lite_reader_next(&r, left, &raw);
    if (rc != 1)
      fail_msg("%s: %d at byte %zu of %zu", rp->name, rc, at, in.n);
    check_message(rp, rp->version, &raw, left);
    assert_true(n < MESSAGES_MAX);
    ends[n++] = at += raw.n;
  }
  check_slowly(again, slice_of(in.p, at), ends, n);
  check_frames(rp, slice_from(in, at));
}

/* The other direction of an entry's stream: same name up to "_from_". */
static struct slice opener_bytes(const json_t *root, const json_t *entry, struct hex *space)
{
  const char *name = vector_text(entry, "name");
  size_t n = (size_t)(strstr(name, "_from_") - name), i;
  json_t *other;
  json_array_foreach(root, i, other)
  {
    const json_t *f = json_object_get(other, "fields");
    if (strncmp(vector_text(other, "name"), name, n + 6) == 0 &&
        strcmp(vector_text(f, "opener"), vector_text(f, "sender")) == 0)
      return vector_bytes(other, space);
  }
  return slice_of(NULL, 0);
}

/* 0x41 or 0x54 and the session id, before everything else of a WebTransport stream. False for
 * streams of HTTP/3 itself. */
static bool skip_webtransport(struct slice *in)
{
  uint64_t type, session;
  return lite_next_varint(in, &type) && (type == 0x41 || type == 0x54) && lite_next_varint(in, &session);
}

static void check_stream(struct replay *rp, const json_t *root, const json_t *entry, bool webtransport)
{
  struct hex open_space, space;
  const json_t *f = json_object_get(entry, "fields");
  struct slice opening = opener_bytes(root, entry, &open_space), in = vector_bytes(entry, &space);
  bool is_opener = strcmp(vector_text(f, "opener"), vector_text(f, "sender")) == 0;
  bool uni = strcmp(vector_text(f, "kind"), "uni") == 0;
  if (webtransport && (!skip_webtransport(&opening) || (is_opener && !skip_webtransport(&in))))
    return;
  enum lite_stream s;
  size_t n;
  if (lite_stream_open(rp->version, uni, opening, &s, &n) != 1)
    fail_msg("%s: no stream type", rp->name);
  if (s == LITE_STREAM_UNKNOWN) {
    rp->unknown_streams++;
    return;
  }
  check_direction(rp, s, is_opener ? LITE_OPENER : LITE_ACCEPTOR, is_opener ? slice_from(in, n) : in);
}

static void check_datagram(struct replay *rp, const json_t *entry, bool webtransport)
{
  struct hex space;
  struct lite_datagram d;
  uint8_t header[LITE_DATAGRAM_HEADER_MAX];
  uint64_t quarter_id;
  struct slice in = vector_bytes(entry, &space);
  if (webtransport)
    assert_true(lite_next_varint(&in, &quarter_id));
  assert_int_equal(lite_datagram_decode(rp->version, in, &d), 0);
  int n = lite_datagram_header(rp->version, &d, header);
  assert_true(n > 0);
  assert_bytes(slice_of(header, (size_t)n), slice_of(in.p, (size_t)n), rp->name);
  rp->datagrams++;
}

static struct replay replay(const char *file)
{
  json_t *root = vectors_load(file);
  bool webtransport = strstr(file, "webtransport") != NULL;
  struct replay rp = {0};
  size_t i;
  json_t *entry;
  json_array_foreach(root, i, entry)
  {
    rp.name = vector_text(entry, "name");
    assert_true(vector_version(entry, &rp.version));
    if (strncmp(rp.name, "datagram_", 9) == 0)
      check_datagram(&rp, entry, webtransport);
    else if (strstr(rp.name, "_from_"))
      check_stream(&rp, root, entry, webtransport);
  }
  json_decref(root);
  return rp;
}

static void rust(void **state)
{
  struct replay rp = replay(*state);
  assert_true(rp.messages >= 10);
  assert_true(rp.frames >= 5);
  assert_true(rp.unknown_streams >= 1);
  assert_int_equal(rp.datagrams > 0, lite_info(rp.version)->datagrams);
}

static void js(void **state)
{
  struct replay rp = replay(*state);
  assert_true(rp.messages >= 7);
  assert_true(rp.frames >= 4);
  assert_int_equal(rp.unknown_streams, 0);
}

/* Spot checks that decoding gives the numbers that the session was made with. */
static void values_of_06(void **state)
{
  json_t *root = vectors_load("session-rust-06.json");
  size_t i, seen = 0;
  json_t *entry;
  json_array_foreach(root, i, entry)
  {
    struct hex space;
    struct slice in = vector_bytes(entry, &space);
    union lite_body b;
    if (strcmp(vector_text(entry, "name"), "stream_2_from_client") == 0) {
      assert_int_equal(lite_decode(LITE_06, LITE_SETUP, slice_from(in, 2), &b), 0);
      assert_bytes(b.setup.path, slice_str("/room?jwt=abc"), "path");
      assert_int_equal(b.setup.hop, 0x1eb3cc63bf3dba);
      assert_int_equal(b.setup.probe, 1);
      assert_int_equal(b.setup.cost, 1);
      assert_int_equal(b.setup.role, LITE_ROLE_BOTH);
      seen++;
    } else if (strcmp(vector_text(entry, "name"), "stream_4_from_server") == 0) {
      assert_int_equal(lite_decode(LITE_06, LITE_TRACK_INFO, slice_from(in, 1), &b), 0);
      assert_int_equal(b.track_info.priority, 7);
      assert_int_equal(b.track_info.max_age, 5000);
      assert_int_equal(b.track_info.timescale, 1000);
      seen++;
    }
  }
  assert_int_equal(seen, 2);
  json_decref(root);
}

/* Announcements that lean on those before them, as the relay of the Rust stack compresses them. */
static void bases_of_07(void **state)
{
  static const char *const announced[] = {"room/.hid/x", "room/a/cam", "room/a/mic", "room/b"};
  json_t *root = vectors_load("session-rust-07-wip.json");
  struct path paths[4];
  size_t i, n = 0, leaning = 0;
  json_t *entry;
  json_array_foreach(root, i, entry)
  {
    struct hex space;
    struct slice in = vector_bytes(entry, &space);
    struct lite_reader r;
    struct lite_raw raw;
    union lite_body b;
    if (strcmp(vector_text(entry, "name"), "stream_0_from_server") != 0)
      continue;
    lite_reader_init(&r, LITE_07, LITE_STREAM_ANNOUNCE, LITE_ACCEPTOR, LITE_MESSAGE_MAX);
    for (; lite_reader_next(&r, in, &raw) == 1; in = slice_from(in, raw.n)) {
      assert_int_equal(lite_decode(LITE_07, raw.msg, raw.body, &b), 0);
      if (raw.msg != LITE_ANNOUNCE_START || n == 4)
        continue;
      const struct lite_base *base = &b.announce_start.path_base;
      assert_true(base->distance <= n);
      struct slice from = base->distance ? path_slice(&paths[n - base->distance]) : slice_str("");
      assert_int_equal(lite_join_path(from, base->keep, b.announce_start.suffix, &paths[n]), 0);
      assert_string_equal(paths[n].s, announced[n]);
      leaning += base->keep > 0;
      n++;
    }
  }
  assert_int_equal(n, 4);
  assert_int_equal(leaning, 3);
  json_decref(root);
}

#define FILE_TEST(fn, file)                                                                                            \
  {                                                                                                                    \
    file, fn, NULL, NULL, (void *)(uintptr_t)file                                                                      \
  }

int main(void)
{
  const struct CMUnitTest tests[] = {
      FILE_TEST(rust, "session-rust-01.json"),
      FILE_TEST(rust, "session-rust-02.json"),
      FILE_TEST(rust, "session-rust-03.json"),
      FILE_TEST(rust, "session-rust-04.json"),
      FILE_TEST(rust, "session-rust-05.json"),
      FILE_TEST(rust, "session-rust-06.json"),
      FILE_TEST(rust, "session-rust-webtransport-06.json"),
      FILE_TEST(js, "session-js-01.json"),
      FILE_TEST(js, "session-js-02.json"),
      FILE_TEST(js, "session-js-03.json"),
      FILE_TEST(js, "session-js-04.json"),
      FILE_TEST(js, "session-js-05.json"),
      FILE_TEST(rust, "session-rust-07-wip.json"),
      cmocka_unit_test(values_of_06),
      cmocka_unit_test(bases_of_07),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
