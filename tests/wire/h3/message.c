/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/message.h"
#include "wire/h3/frame.h"
#include "wire/h3/sfv.h"
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- structured fields ---- */

static int list_of(const char *field, const char **items, size_t max)
{
  static char text[1024];
  return sfv_string_list(slice_str(field), text, items, max);
}

static void string_lists(void **state)
{
  const char *items[4];
  assert_int_equal(list_of("\"moq-lite-05\", \"moq-lite-04\"", items, 4), 2);
  assert_string_equal(items[0], "moq-lite-05");
  assert_string_equal(items[1], "moq-lite-04");
  assert_int_equal(list_of("  \"a\"\t ,\t\"b\\\"c\\\\\"  ", items, 4), 2);
  assert_string_equal(items[1], "b\"c\\");
  assert_int_equal(list_of("", items, 4), 0);
  assert_int_equal(list_of("\"\"", items, 4), 1);
  assert_string_equal(items[0], "");
  assert_int_equal(list_of("\"a\";q=0.5;x;y=?1;*z=:aGk=:;k=tok/en;t=@-5;s=\"q\", \"b\"", items, 4), 2);
  assert_string_equal(items[1], "b");
  assert_int_equal(list_of("\"1\",\"2\",\"3\",\"4\",\"5\"", items, 4), 4);
}

static void not_string_lists(void **state)
{
  static const char *const bad[] = {
      "token",    "\"a\", b",  "(\"a\" \"b\")", "\"a\",",     "\"a\" \"b\"", "\"a",    "\"a\\",
      "\"a\\n\"", "\"\x01\"",  "\"\xc3\xa9\"",  "1",          "?1",          "\"a\";", "\"a\";Q=1",
      "\"a\";q=", "\"a\";q=-", "\"a\";q=1.",    "\"a\";q=?2", "\"a\";q=:x",  ",\"a\"", "\"a\",,\"b\"",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const char *items[4];
    if (list_of(bad[i], items, 4) != -EINVAL)
      fail_msg("accepted: %s", bad[i]);
  }
}

static void single_strings(void **state)
{
  char text[64];
  struct buf out = {0};
  assert_int_equal(sfv_string(slice_str(" \"moq-lite-04\";a=1 "), text), 0);
  assert_string_equal(text, "moq-lite-04");
  assert_int_equal(sfv_string(slice_str("\"a\", \"b\""), text), -EINVAL);
  assert_int_equal(sfv_string(slice_str("moq"), text), -EINVAL);
  assert_int_equal(sfv_string(slice_str(""), text), -EINVAL);
  sfv_string_write(&out, "a\"b\\c");
  assert_true(slice_eq(buf_slice(&out), slice_str("\"a\\\"b\\\\c\"")));
  sfv_string_write(&out, "\n");
  assert_true(out.failed);
  buf_destroy(&out);
}

/* ---- field sections ---- */

static struct h3_qpack qpack;

static int setup(void **state)
{
  return h3_qpack_init(&qpack);
}

static int teardown(void **state)
{
  h3_qpack_destroy(&qpack);
  return 0;
}

/* The payload of the first frame, which must be HEADERS. */
static struct slice headers_of(struct slice wire)
{
  struct h3_frame_reader r = {0};
  struct h3_frame_part part;
  assert_int_equal(h3_frame_read(&r, &wire, &part), H3_READ_BEGIN);
  assert_int_equal(h3_frame_read(&r, &wire, &part), H3_READ_PART);
  assert_int_equal(part.type, H3_HEADERS);
  assert_true(part.end);
  return part.data;
}

static void our_request_reads_back(void **state)
{
  static const char *const protocols[] = {"moq-lite-06", "moq-lite-05", NULL};
  struct buf out = {0};
  struct h3_fields fields;
  struct h3_request r;
  struct wt_protocols p;
  wt_request_write(&qpack, 0, "localhost:4443", "/room?jwt=abc", protocols, &out);
  assert_false(out.failed);
  assert_int_equal(h3_qpack_decode(0, headers_of(buf_slice(&out)), &fields), 0);
  assert_int_equal(h3_request_check(&fields, &r), 0);
  assert_int_equal(r.kind, H3_REQUEST_WEBTRANSPORT);
  assert_true(slice_eq(r.path, slice_str("/room?jwt=abc")));
  assert_true(slice_eq(r.authority, slice_str("localhost:4443")));
  assert_int_equal(wt_protocols_from(&fields, &p), 0);
  assert_string_equal(p.items[0], "moq-lite-06");
  assert_string_equal(p.items[1], "moq-lite-05");
  assert_null(p.items[2]);
  wt_protocols_destroy(&p);
  h3_fields_destroy(&fields);
  buf_destroy(&out);
}

static void our_response_reads_back(void **state)
{
  static const struct {
    int status;
    const char *protocol;
  } cases[] = {{200, "moq-lite-04"}, {200, ""}, {404, ""}, {429, ""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct buf out = {0};
    struct h3_fields fields;
    char protocol[WT_PROTOCOL_MAX] = "?";
    int status = 0;
    h3_response_write(&qpack, 0, cases[i].status, cases[i].protocol, &out);
    assert_int_equal(h3_qpack_decode(0, headers_of(buf_slice(&out)), &fields), 0);
    assert_int_equal(h3_response_check(&fields, &status, protocol), 0);
    assert_int_equal(status, cases[i].status);
    assert_string_equal(protocol, cases[i].protocol);
    h3_fields_destroy(&fields);
    buf_destroy(&out);
  }
}

static void truncated_sections(void **state)
{
  struct buf out = {0};
  struct h3_fields fields;
  h3_response_write(&qpack, 0, 200, "moq-lite-04", &out);
  struct slice whole = headers_of(buf_slice(&out));
  for (size_t n = 0; n < whole.n; n++) {
    int rc = h3_qpack_decode(0, slice_of(whole.p, n), &fields);
    assert_true(rc == 0 || rc == -EPROTO);
    if (rc == 0) /* a cut between two fields */
      h3_fields_destroy(&fields);
  }
  buf_destroy(&out);
}

/* Encodes the fields (name, value, ..., NULL), decodes them again and checks them as a request. */
static int check(enum h3_request_kind *ret_kind, ...)
{
  struct h3_field list[16];
  size_t n = 0;
  va_list ap;
  va_start(ap, ret_kind);
  for (const char *name; (name = va_arg(ap, const char *)) != NULL; n++)
    list[n] = H3_FIELD(name, va_arg(ap, const char *));
  va_end(ap);
  struct buf out = {0};
  struct h3_fields fields;
  struct h3_request r = {0};
  h3_qpack_encode(&qpack, 0, list, n, &out);
  assert_false(out.failed);
  assert_int_equal(h3_qpack_decode(0, buf_slice(&out), &fields), 0);
  int rc = h3_request_check(&fields, &r);
  if (rc == 0)
    *ret_kind = r.kind;
  h3_fields_destroy(&fields);
  buf_destroy(&out);
  return rc;
}

#define CONNECT_FIELDS ":method", "CONNECT", ":scheme", "https", ":authority", "h", ":path", "/"

static void requests_that_are_well_formed(void **state)
{
  enum h3_request_kind kind;
  assert_int_equal(check(&kind, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/", NULL), 0);
  assert_int_equal(kind, H3_REQUEST_PLAIN);
  assert_int_equal(check(&kind, ":method", "OPTIONS", ":scheme", "https", ":path", "*", "te", "trailers", NULL), 0);
  assert_int_equal(kind, H3_REQUEST_PLAIN);
  assert_int_equal(check(&kind, ":method", "CONNECT", ":authority", "h:1", NULL), 0);
  assert_int_equal(kind, H3_REQUEST_CONNECT);
  assert_int_equal(check(&kind, CONNECT_FIELDS, ":protocol", "websocket", NULL), 0);
  assert_int_equal(kind, H3_REQUEST_EXTENDED);
  assert_int_equal(check(&kind, CONNECT_FIELDS, ":protocol", "webtransport", "origin", "https://x", NULL), 0);
  /* which of two would count is nobody's guess */
  assert_int_equal(check(&kind, CONNECT_FIELDS, ":protocol", "webtransport", "authorization", "a", NULL), 0);
  assert_int_equal(
      check(&kind, CONNECT_FIELDS, ":protocol", "webtransport", "authorization", "a", "authorization", "a", NULL),
      -EPROTO);
  assert_int_equal(check(&kind, CONNECT_FIELDS, ":protocol", "webtransport", "origin", "a", "origin", "b", NULL),
                   -EPROTO);
  assert_int_equal(kind, H3_REQUEST_WEBTRANSPORT);
  assert_int_equal(check(&kind, CONNECT_FIELDS, ":protocol", "webtransport-h3", NULL), 0);
  assert_int_equal(kind, H3_REQUEST_WEBTRANSPORT);
}

static void requests_that_are_not(void **state)
{
  enum h3_request_kind k;
  int rc[] = {
      check(&k, NULL),
      check(&k, ":method", "GET", ":scheme", "https", NULL),
      check(&k, ":method", "GET", ":path", "/", NULL),
      check(&k, ":scheme", "https", ":path", "/", NULL),
      check(&k, ":method", "GET", ":scheme", "https", ":path", "", NULL),
      check(&k, ":method", "GET", ":scheme", "https", ":path", "x", NULL),
      check(&k, ":method", "GET", ":scheme", "https", ":path", "/", ":path", "/", NULL),
      check(&k, ":method", "GET", ":scheme", "https", "a", "b", ":path", "/", NULL),
      check(&k, ":method", "GET", ":scheme", "https", ":path", "/", "a", "b", ":method", "GET", NULL),
      check(&k, ":method", "GET", ":scheme", "https", ":path", "/", ":status", "200", NULL),
      check(&k, ":method", "GET", ":scheme", "https", ":path", "/", ":protocol", "webtransport", NULL),
      check(&k, ":method", "CONNECT", NULL),
      check(&k, CONNECT_FIELDS, NULL),
      check(&k, CONNECT_FIELDS, ":protocol", "", NULL),
      check(&k, ":method", "CONNECT", ":scheme", "https", ":path", "/", ":protocol", "webtransport", NULL),
      check(&k, CONNECT_FIELDS, ":protocol", "webtransport", "Origin", "x", NULL),
      check(&k, CONNECT_FIELDS, ":protocol", "webtransport", "connection", "close", NULL),
      check(&k, CONNECT_FIELDS, ":protocol", "webtransport", "te", "gzip", NULL),
      check(&k, CONNECT_FIELDS, ":protocol", "webtransport", "a b", "x", NULL),
      check(&k, CONNECT_FIELDS, ":protocol", "webtransport", "x", "a\r\nb: c", NULL),
  };
  for (size_t i = 0; i < sizeof rc / sizeof rc[0]; i++)
    if (rc[i] != -EPROTO)
      fail_msg("case %zu was accepted", i);
}

static void sections_without_a_table(void **state)
{
  struct h3_fields fields;
  /* Required Insert Count 1; an indexed line of the dynamic table; a static index that does not
   * exist */
  assert_int_equal(h3_qpack_decode(0, slice_of("\x02\x00\x80", 3), &fields), -EPROTO);
  assert_int_equal(h3_qpack_decode(0, slice_of("\x00\x00\x80", 3), &fields), -EPROTO);
  assert_int_equal(h3_qpack_decode(0, slice_of("\x00\x00\xff\x50", 4), &fields), -EPROTO);
  assert_int_equal(h3_qpack_decode(0, slice_of("\x00\x00", 2), &fields), 0);
  assert_int_equal(fields.n, 0);
  h3_fields_destroy(&fields);
}

static void sections_have_a_limit(void **state)
{
  struct buf section = {0};
  struct h3_fields fields;
  buf_bytes(&section, slice_of("\0\0", 2));
  for (int i = 0; i < H3_FIELD_SECTION_MAX / 42; i++) /* :status 200 counts 7 + 3 + 32 */
    buf_u8(&section, 0xd9);
  assert_int_equal(h3_qpack_decode(0, buf_slice(&section), &fields), 0);
  assert_int_equal(fields.n, H3_FIELD_SECTION_MAX / 42);
  h3_fields_destroy(&fields);
  buf_u8(&section, 0xd9);
  assert_int_equal(h3_qpack_decode(0, buf_slice(&section), &fields), -EMSGSIZE);
  buf_destroy(&section);
}

static void qpack_streams(void **state)
{
  assert_int_equal(h3_qpack_read_encoder(&qpack, slice_of("\x20", 1)), 0);                   /* capacity 0 */
  assert_int_equal(h3_qpack_read_encoder(&qpack, slice_of("\x41\x61\x01\x62", 4)), -EPROTO); /* an insert */
  assert_int_equal(h3_qpack_read_decoder(&qpack, slice_of("\x48", 1)), 0);                   /* stream cancellation */
  assert_int_equal(h3_qpack_read_decoder(&qpack, slice_of("\x01", 1)), -EPROTO);             /* insert count */
}

/* ---- what others put on the wire ---- */

static json_t *load(const char *name)
{
  char path[1024];
  json_error_t error;
  snprintf(path, sizeof path, "%s/%s", VECTORS_DIR, name);
  json_t *all = json_load_file(path, 0, &error);
  assert_non_null(all);
  return all;
}

static void unhex(const char *hex, struct buf *out)
{
  for (; hex[0] && hex[1]; hex += 2) {
    char pair[3] = {hex[0], hex[1], 0};
    buf_u8(out, (uint8_t)strtoul(pair, NULL, 16));
  }
}

static void check_settings(struct slice wire)
{
  struct h3_frame_reader r = {0};
  struct h3_frame_part part;
  struct h3_settings s;
  assert_int_equal(wire.p[0], H3_STREAM_CONTROL);
  wire = slice_from(wire, 1);
  assert_int_equal(h3_frame_read(&r, &wire, &part), H3_READ_BEGIN);
  assert_int_equal(h3_frame_read(&r, &wire, &part), H3_READ_PART);
  assert_int_equal(part.type, H3_SETTINGS);
  assert_int_equal(h3_settings_decode(part.data, &s), 0);
  assert_true(s.connect_protocol && s.datagrams && s.webtransport);
}

static void check_request(struct slice wire)
{
  struct h3_fields fields;
  struct h3_request r;
  struct wt_protocols p;
  assert_int_equal(h3_qpack_decode(0, headers_of(wire), &fields), 0);
  assert_int_equal(h3_request_check(&fields, &r), 0);
  assert_int_equal(r.kind, H3_REQUEST_WEBTRANSPORT);
  assert_true(slice_eq(r.path, slice_str("/room?jwt=abc")));
  assert_true(slice_eq(r.scheme, slice_str("https")));
  assert_int_equal(wt_protocols_from(&fields, &p), 0);
  size_t n = 0;
  while (p.items[n])
    n++;
  assert_int_equal(n, 14);
  assert_string_equal(p.items[0], "moq-lite-06");
  assert_string_equal(p.items[13], "moq-00");
  wt_protocols_destroy(&p);
  h3_fields_destroy(&fields);
}

static void check_response(struct slice wire, const char *want)
{
  struct h3_fields fields;
  char protocol[WT_PROTOCOL_MAX];
  int status;
  assert_int_equal(h3_qpack_decode(0, headers_of(wire), &fields), 0);
  assert_int_equal(h3_response_check(&fields, &status, protocol), 0);
  assert_int_equal(status, 200);
  assert_string_equal(protocol, want);
  h3_fields_destroy(&fields);
}

static const char *field(json_t *vector, const char *name)
{
  const char *s = json_string_value(json_object_get(json_object_get(vector, "fields"), name));
  return s ? s : "";
}

static int check_vector(json_t *vector, const char *protocol)
{
  struct buf wire = {0};
  const char *name = json_string_value(json_object_get(vector, "name"));
  int stream = (int)json_integer_value(json_object_get(json_object_get(vector, "fields"), "stream"));
  bool client = strcmp(field(vector, "sender"), "client") == 0;
  unhex(json_string_value(json_object_get(vector, "hex")), &wire);
  int checked = 1;
  if (wire.n == 0 || strncmp(name, "session", 7) == 0)
    checked = 0;
  else if (stream == 0 && wire.p[0] == H3_HEADERS)
    client ? check_request(buf_slice(&wire)) : check_response(buf_slice(&wire), protocol);
  else if ((stream == 2 || stream == 3) && wire.p[0] == H3_STREAM_CONTROL)
    check_settings(buf_slice(&wire));
  else
    checked = 0;
  buf_destroy(&wire);
  return checked;
}

static void vectors_of_the_rust_stack(void **state)
{
  static const struct {
    const char *file, *protocol;
    int checks;
  } files[] = {{"webtransport-rust.json", "moq-lite-04", 6}, {"session-rust-webtransport-06.json", "moq-lite-06", 4}};
  for (size_t i = 0; i < 2; i++) {
    json_t *all = load(files[i].file), *vector;
    size_t at;
    int checked = 0;
    json_array_foreach(all, at, vector) checked += check_vector(vector, files[i].protocol);
    assert_int_equal(checked, files[i].checks);
    json_decref(all);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(string_lists),
      cmocka_unit_test(not_string_lists),
      cmocka_unit_test(single_strings),
      cmocka_unit_test_setup_teardown(our_request_reads_back, setup, teardown),
      cmocka_unit_test_setup_teardown(our_response_reads_back, setup, teardown),
      cmocka_unit_test_setup_teardown(truncated_sections, setup, teardown),
      cmocka_unit_test_setup_teardown(requests_that_are_well_formed, setup, teardown),
      cmocka_unit_test_setup_teardown(requests_that_are_not, setup, teardown),
      cmocka_unit_test_setup_teardown(sections_without_a_table, setup, teardown),
      cmocka_unit_test_setup_teardown(sections_have_a_limit, setup, teardown),
      cmocka_unit_test_setup_teardown(qpack_streams, setup, teardown),
      cmocka_unit_test_setup_teardown(vectors_of_the_rust_stack, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
