/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages written by other implementations: what we encode from the same values is what they
 * wrote, and what we decode encodes to the same bytes again. */
#include "vectors.h"
#include "cmocka_all.h"
#include <errno.h>

static uint64_t number(const json_t *f, const char *key, uint64_t absent)
{
  const json_t *v = json_object_get(f, key);
  if (json_is_boolean(v))
    return json_is_true(v);
  return json_is_integer(v) ? (uint64_t)json_integer_value(v) : absent;
}

static struct slice text(const json_t *f, const char *key)
{
  const char *s = json_string_value(json_object_get(f, key));
  return s ? slice_str(s) : slice_of(NULL, 0);
}

static struct lite_hops hops(const json_t *f)
{
  const json_t *list = json_object_get(f, "hops");
  struct lite_hops h = {.n = json_array_size(list)};
  for (size_t i = 0; i < h.n; i++)
    h.id[i] = (uint64_t)json_integer_value(json_array_get(list, i));
  return h;
}

static void announce_request(const json_t *f, union lite_body *b, struct buf *space)
{
  b->announce_request = (struct lite_announce_request){text(f, "prefix"), number(f, "exclude_hop", 0)};
}

static void announce_init(const json_t *f, union lite_body *b, struct buf *space)
{
  const json_t *list = json_object_get(f, "suffixes");
  for (size_t i = 0; i < json_array_size(list); i++)
    buf_prefixed(space, slice_str(json_string_value(json_array_get(list, i))));
  b->announce_init = (struct lite_announce_init){json_array_size(list), buf_slice(space)};
}

static void announce_ok(const json_t *f, union lite_body *b, struct buf *space)
{
  b->announce_ok = (struct lite_announce_ok){number(f, "hop", 0), number(f, "active", 0)};
}

/* In "ended" they write no hops, whatever is given to their encoder. */
static void announce(const json_t *f, union lite_body *b, struct buf *space)
{
  const char *status = vector_text(f, "status");
  b->announce = (struct lite_announce){.suffix = text(f, "suffix")};
  if (strcmp(status, "active") == 0) {
    b->announce.status = LITE_ACTIVE;
    b->announce.hops = hops(f);
  } else {
    assert_string_equal(status, "ended");
  }
}

static void announce_end(const json_t *f, union lite_body *b, struct buf *space)
{
  b->announce_end.id = number(f, "id", 0);
}

static struct lite_want want(const json_t *f)
{
  return (struct lite_want){
      .priority = (uint8_t)number(f, "priority", 0),
      .ordered = (uint8_t)number(f, "ordered", 0),
      .max_age = number(f, "maxLatency", 0),
      .group_start = number(f, "startGroup", LITE_NONE),
      .group_end = number(f, "endGroup", LITE_NONE),
      .frame_end = LITE_NONE,
  };
}

static void subscribe(const json_t *f, union lite_body *b, struct buf *space)
{
  b->subscribe = (struct lite_subscribe){number(f, "id", 0), text(f, "broadcast"), text(f, "track"), want(f)};
}

static void subscribe_update(const json_t *f, union lite_body *b, struct buf *space)
{
  b->subscribe_update.want = want(f);
}

static void subscribe_ok(const json_t *f, union lite_body *b, struct buf *space)
{
  struct lite_want w = want(f);
  b->subscribe_ok = (struct lite_subscribe_ok){w.priority, w.ordered, w.max_age, w.group_start, w.group_end};
}

static void subscribe_start(const json_t *f, union lite_body *b, struct buf *space)
{
  b->subscribe_start.group = number(f, "group", 0);
}

static void subscribe_end(const json_t *f, union lite_body *b, struct buf *space)
{
  b->subscribe_end.group = number(f, "group", 0);
}

static void subscribe_drop(const json_t *f, union lite_body *b, struct buf *space)
{
  b->subscribe_drop = (struct lite_subscribe_drop){number(f, "start", 0), number(f, "end", 0), number(f, "error", 0)};
}

static void track(const json_t *f, union lite_body *b, struct buf *space)
{
  b->track = (struct lite_track){text(f, "broadcast"), text(f, "track")};
}

static void track_info(const json_t *f, union lite_body *b, struct buf *space)
{
  b->track_info = (struct lite_track_info){(uint8_t)number(f, "priority", 0), (uint8_t)number(f, "ordered", 0),
                                           number(f, "latencyMax", 0), number(f, "timescale", 0)};
}

static void fetch(const json_t *f, union lite_body *b, struct buf *space)
{
  b->fetch = (struct lite_fetch){
      text(f, "broadcast"), text(f, "track"), (uint8_t)number(f, "priority", 0), number(f, "group", 0), 0, LITE_NONE};
}

static void probe(const json_t *f, union lite_body *b, struct buf *space)
{
  b->probe = (struct lite_probe){number(f, "bitrate", 0), number(f, "rtt", 0)};
}

static void goaway(const json_t *f, union lite_body *b, struct buf *space)
{
  b->goaway.uri = text(f, "uri");
}

static void group(const json_t *f, union lite_body *b, struct buf *space)
{
  b->group = (struct lite_group){number(f, "subscribe", 0), number(f, "sequence", 0), 0};
}

static void session_info(const json_t *f, union lite_body *b, struct buf *space)
{
  b->session_info.bitrate = number(f, "bitrate", 0);
}

static void setup(const json_t *f, union lite_body *b, struct buf *space)
{
  b->setup = (struct lite_setup){text(f, "path"), number(f, "origin", 0), 1, (uint8_t)number(f, "probe", 0),
                                 (uint8_t)number(f, "role", 0)};
}

static const struct {
  const char *name;
  enum lite_msg msg;
  void (*fill)(const json_t *fields, union lite_body *b, struct buf *space);
} rows[] = {
    {"announce", LITE_ANNOUNCE, announce},
    {"announce_end", LITE_ANNOUNCE_END, announce_end},
    {"announce_init", LITE_ANNOUNCE_INIT, announce_init},
    {"announce_ok", LITE_ANNOUNCE_OK, announce_ok},
    {"announce_request", LITE_ANNOUNCE_REQUEST, announce_request},
    {"fetch", LITE_FETCH, fetch},
    {"goaway", LITE_GOAWAY, goaway},
    {"group", LITE_GROUP, group},
    {"probe", LITE_PROBE, probe},
    {"session_info", LITE_SESSION_INFO, session_info},
    {"setup", LITE_SETUP, setup},
    {"subscribe", LITE_SUBSCRIBE, subscribe},
    {"subscribe_drop", LITE_SUBSCRIBE_DROP, subscribe_drop},
    {"subscribe_end", LITE_SUBSCRIBE_END, subscribe_end},
    {"subscribe_ok", LITE_SUBSCRIBE_OK, subscribe_ok},
    {"subscribe_start", LITE_SUBSCRIBE_START, subscribe_start},
    {"subscribe_update", LITE_SUBSCRIBE_UPDATE, subscribe_update},
    {"track", LITE_TRACK, track},
    {"track_info", LITE_TRACK_INFO, track_info},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

/* The body within a whole message that has a varint length and perhaps a Type. */
static struct slice body_of(struct slice message, bool typed)
{
  uint64_t v;
  if (typed)
    assert_true(lite_next_varint(&message, &v));
  assert_true(lite_next_varint(&message, &v));
  assert_int_equal(v, message.n);
  return message;
}

/* Whether the version's golden bytes start with a Type: those of an unchanged reader say it. */
static bool typed(enum lite_version v, enum lite_msg m)
{
  switch (m) {
  case LITE_SUBSCRIBE_OK:
    return v >= LITE_03;
  case LITE_SUBSCRIBE_START:
  case LITE_SUBSCRIBE_END:
  case LITE_SUBSCRIBE_DROP:
  case LITE_ANNOUNCE_END:
    return true;
  default:
    return false;
  }
}

static void check_encode(enum lite_version v, enum lite_msg m, const union lite_body *in, struct slice golden)
{
  struct buf out = {0};
  assert_int_equal(lite_encode(v, m, in, &out), 0);
  assert_bytes(buf_slice(&out), golden, lite_msg_name(m));
  buf_destroy(&out);
}

static void check_decode(enum lite_version v, enum lite_msg m, struct slice golden)
{
  union lite_body b;
  assert_int_equal(lite_decode(v, m, body_of(golden, typed(v, m)), &b), 0);
  check_encode(v, m, &b, golden);
}

/* Where their encoders choose bytes by themselves: a measured zero goes out as 1, and an update
 * that does not say has an order of its own. Ours sends what it is given. */
static bool own_rule(enum lite_msg m, const json_t *f)
{
  if (m == LITE_SUBSCRIBE_UPDATE || m == LITE_SUBSCRIBE_OK)
    return !json_is_boolean(json_object_get(f, "ordered"));
  return m == LITE_PROBE && number(f, "bitrate", 1) == 0;
}

static void check_datagram(enum lite_version v, const json_t *f, struct slice golden)
{
  struct lite_datagram d;
  uint8_t header[LITE_DATAGRAM_HEADER_MAX];
  assert_int_equal(lite_datagram_decode(v, golden, &d), 0);
  assert_int_equal(d.subscribe_id, number(f, "subscribe", 0));
  assert_int_equal(d.sequence, number(f, "sequence", 0));
  assert_int_equal(d.timestamp, number(f, "timestamp", 0));
  assert_int_equal(d.payload.n * 2, strlen(vector_text(f, "payload")));
  int n = lite_datagram_header(v, &d, header);
  assert_true(n > 0);
  assert_bytes(slice_of(header, (size_t)n), slice_of(golden.p, golden.n - d.payload.n), "datagram");
}

static void check_entry(enum lite_version v, const json_t *entry)
{
  struct hex space;
  struct buf strings = {0};
  const char *name = vector_text(entry, "name");
  const json_t *fields = json_object_get(entry, "fields");
  struct slice golden = vector_bytes(entry, &space);
  if (strcmp(name, "datagram") == 0) {
    check_datagram(v, fields, golden);
    return;
  }
  size_t i = 0;
  while (i < N_ROWS && strcmp(rows[i].name, name) != 0)
    i++;
  if (i == N_ROWS)
    fail_msg("no row for %s", name);
  union lite_body b = {0};
  rows[i].fill(fields, &b, &strings);
  if (!own_rule(rows[i].msg, fields))
    check_encode(v, rows[i].msg, &b, golden);
  check_decode(v, rows[i].msg, golden);
  buf_destroy(&strings);
}

static void lite_file(void **state)
{
  json_t *root = vectors_load(*state);
  size_t i, checked = 0;
  json_t *entry;
  json_array_foreach(root, i, entry)
  {
    enum lite_version v;
    assert_true(vector_version(entry, &v));
    check_entry(v, entry);
    checked++;
  }
  assert_true(checked >= 20);
  json_decref(root);
}

/* 06-wip of JS is 05 with the announcements of 06, which lack a cost there. */
static void lite_06_wip(void **state)
{
  json_t *root = vectors_load("lite-06-wip.json");
  size_t i, refused = 0;
  json_t *entry;
  json_array_foreach(root, i, entry)
  {
    const char *name = vector_text(entry, "name");
    struct hex space;
    struct slice golden = vector_bytes(entry, &space);
    union lite_body b;
    if (strcmp(name, "announce_start") == 0) {
      assert_int_equal(lite_decode(LITE_06, LITE_ANNOUNCE_START, body_of(golden, true), &b), -EPROTO);
      refused++;
    } else if (strcmp(name, "announce_update") == 0) {
      assert_int_equal(lite_decode(LITE_06, LITE_ANNOUNCE_UPDATE, body_of(golden, true), &b), -EPROTO);
      refused++;
    } else {
      bool of_06 = strcmp(name, "announce_end") == 0 || strcmp(name, "announce_request") == 0;
      check_entry(of_06 ? LITE_06 : LITE_05, entry);
    }
  }
  assert_true(refused > 1);
  json_decref(root);
}

/* ---- Legacy SETUP: what they wrote, read by the splitter ---- */

static struct lite_raw first_message(enum lite_stream s, enum lite_side side, struct slice in)
{
  struct lite_reader r;
  struct lite_raw raw;
  lite_reader_init(&r, LITE_02, s, side, LITE_MESSAGE_MAX);
  assert_int_equal(lite_reader_next(&r, in, &raw), 1);
  assert_int_equal(raw.n, in.n);
  return raw;
}

static void check_versions(const struct lite_client_setup *setup, const json_t *list)
{
  struct slice rest = setup->versions;
  assert_int_equal(setup->version_count, json_array_size(list));
  for (size_t i = 0; i < json_array_size(list); i++) {
    uint64_t code;
    assert_true(lite_next_varint(&rest, &code));
    assert_int_equal(code, strtoull(json_string_value(json_array_get(list, i)), NULL, 16));
  }
  assert_int_equal(rest.n, 0);
}

static void check_parameters(const struct lite_client_setup *setup, const char *text_)
{
  if (strstr(text_, "max_request_id")) {
    assert_int_equal(setup->max_request_id, 42069);
    assert_bytes(setup->implementation, slice_str("moq-lite-js"), "implementation");
  } else if (strstr(text_, "path")) {
    assert_bytes(setup->path, slice_str("/room"), "path");
    assert_bytes(setup->authorization, slice_str("token"), "authorization");
  } else {
    assert_string_equal(text_, "none");
    assert_null(setup->path.p);
    assert_int_equal(setup->max_request_id, 0);
  }
}

static void legacy_entry(const json_t *entry)
{
  const char *name = vector_text(entry, "name");
  const json_t *f = json_object_get(entry, "fields");
  struct hex space;
  union lite_body b;
  struct slice golden = vector_bytes(entry, &space);
  bool oldest = strncmp(name, "session_", 8) == 0, client = strstr(name, "client") != NULL;
  enum lite_stream stream;
  size_t n = 0;
  if (client)
    assert_int_equal(lite_stream_open(LITE_02, false, golden, &stream, &n), 1);
  else
    stream = oldest ? LITE_STREAM_LEGACY_OLDEST : LITE_STREAM_LEGACY;
  assert_int_equal(stream, oldest ? LITE_STREAM_LEGACY_OLDEST : LITE_STREAM_LEGACY);
  golden = slice_from(golden, n);
  struct lite_raw raw = first_message(stream, client ? LITE_OPENER : LITE_ACCEPTOR, golden);
  assert_int_equal(lite_decode(LITE_02, raw.msg, raw.body, &b), 0);
  if (client) {
    check_versions(&b.client_setup, json_object_get(f, "versions"));
    check_parameters(&b.client_setup, oldest ? "none" : vector_text(f, "parameters"));
  } else {
    assert_int_equal(b.server_setup.version, strtoull(vector_text(f, "version"), NULL, 16));
  }
  check_encode(LITE_02, raw.msg, &b, golden);
}

static void legacy_setup(void **state)
{
  json_t *root = vectors_load("setup-legacy.json");
  size_t i;
  json_t *entry;
  json_array_foreach(root, i, entry) legacy_entry(entry);
  json_decref(root);
}

#define FILE_TEST(name, file)                                                                                          \
  {                                                                                                                    \
    name, lite_file, NULL, NULL, (void *)(uintptr_t)file                                                               \
  }

int main(void)
{
  const struct CMUnitTest tests[] = {
      FILE_TEST("lite_01", "lite-01.json"), FILE_TEST("lite_02", "lite-02.json"), FILE_TEST("lite_03", "lite-03.json"),
      FILE_TEST("lite_04", "lite-04.json"), FILE_TEST("lite_05", "lite-05.json"), cmocka_unit_test(lite_06_wip),
      cmocka_unit_test(legacy_setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
