/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Directories of issuers, good and bad. */
#include "auth/pp_directory.h"
#include "auth/pp_header.h"
#include "pp_vectors.h"
#include <errno.h>

static json_t *root;

static void put_entry(struct buf *b, const json_t *o, const char *more)
{
  struct buf spki = pp_hex(o, "spki");
  buf_printf(b, "%s{\"token-type\":2,\"token-key\":\"", b->p[b->n - 1] == '[' ? "" : ",");
  pp_base64_encode(b, buf_slice(&spki));
  buf_printf(b, "\"%s}", more);
  buf_destroy(&spki);
}

static int parse(struct buf *b, struct pp_directory *d, struct err *err)
{
  buf_printf(b, "]}");
  assert_false(b->failed);
  int rc = pp_directory_parse(buf_slice(b), d, err);
  buf_destroy(b);
  return rc;
}

static void begin(struct buf *b)
{
  buf_printf(b, "{\"issuer-request-uri\":\"/token-request\",\"new\":{},\"token-keys\":[");
}

static void test_usable_keys_are_kept_in_order(void **state)
{
  const json_t *spkis = json_object_get(root, "spkis");
  struct buf b = {0};
  struct pp_directory d;
  struct err err = {""};
  begin(&b);
  for (size_t i = 0; i < json_array_size(spkis); i++)
    put_entry(&b, json_array_get(spkis, i), "");
  put_entry(&b, json_object_get(root, "other_key"), ",\"not-before\":1234");
  buf_printf(&b, ",{\"token-type\":1,\"token-key\":\"AAAA\"},{\"token-type\":2},7,null");
  if (parse(&b, &d, &err) < 0)
    fail_msg("%s", err.text);
  assert_int_equal(d.count, 3);
  assert_int_equal(d.skipped, 8);
  assert_non_null(strstr(d.why.text, "not a public key"));
  struct buf id = pp_hex(pp_named(spkis, "as-published"), "token_key_id"),
             last = pp_hex(json_object_get(root, "other_key"), "token_key_id");
  assert_memory_equal(pp_key_id(d.keys[0]), id.p, id.n);
  assert_memory_equal(pp_key_id(d.keys[2]), last.p, last.n);
  assert_int_equal(d.not_before[0], 0);
  assert_int_equal(d.not_before[2], 1234);
  buf_destroy(&id);
  buf_destroy(&last);
  pp_directory_destroy(&d);
}

static void test_bounds(void **state)
{
  struct buf b = {0};
  struct pp_directory d;
  begin(&b);
  for (int i = 0; i < 100; i++)
    put_entry(&b, json_object_get(root, "key"), "");
  assert_int_equal(parse(&b, &d, NULL), 0);
  assert_int_equal(d.count, PP_DIRECTORY_KEYS_MAX);
  pp_directory_destroy(&d);
}

static void test_no_directories(void **state)
{
  static const struct {
    const char *text, *why;
  } rows[] = {
      {"", "not JSON"},
      {"<html>", "not JSON"},
      {"[]", "not a directory"},
      {"{}", "not a directory"},
      {"{\"token-keys\":{}}", "not a directory"},
      {"{\"token-keys\":[]}", "no key of type 2"},
      {"{\"token-keys\":[{\"token-type\":1,\"token-key\":\"AA\"}]}", "no key of type 2"},
      {"{\"token-keys\":[{\"token-type\":2,\"token-key\":\"AA!\"}]}", "not base64url"},
      {"{\"token-keys\":[],\"token-keys\":[]}", "not JSON"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct pp_directory d;
    struct err err = {""};
    assert_int_equal(pp_directory_parse(slice_str(rows[i].text), &d, &err), -EINVAL);
    if (!strstr(err.text, rows[i].why))
      fail_msg("%s: %s", rows[i].text, err.text);
  }
  struct buf b = {0};
  struct pp_directory d;
  struct err err = {""};
  begin(&b);
  put_entry(&b, pp_named(json_object_get(root, "spkis"), "salt-0"), "");
  assert_int_equal(parse(&b, &d, &err), -EINVAL);
  assert_non_null(strstr(err.text, "salt has 0 bytes"));
}

static void test_life(void **state)
{
  static const struct {
    const char *header;
    unsigned life;
  } rows[] = {
      {"", 3600},           {"max-age=600", 600}, {"public, Max-Age=700", 700},      {"max-age=1", 60},
      {"max-age=x", 60},    {"no-store", 3600},   {"max-age=99999999999999", 86400}, {"max-age=600,", 600},
      {"s-maxage=5", 3600},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (pp_directory_life(rows[i].header) != rows[i].life)
      fail_msg("%s: %u", rows[i].header, pp_directory_life(rows[i].header));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_usable_keys_are_kept_in_order),
      cmocka_unit_test(test_bounds),
      cmocka_unit_test(test_no_directories),
      cmocka_unit_test(test_life),
  };
  root = pp_vectors();
  int rc = cmocka_run_group_tests_name("directories of issuers", tests, NULL, NULL);
  json_decref(root);
  return rc;
}
