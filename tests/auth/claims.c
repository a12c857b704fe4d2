/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What claims grant where. Rows of the table of compatible path rules, with today's reading of paths above the root and below
 * a prefix. */
#include "auth/claims.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static void put(char *out, size_t max, const struct slice *v, size_t n)
{
  for (size_t i = 0; i < n; i++)
    snprintf(out + strlen(out), max - strlen(out), "[%.*s]", SLICE_FMT(v[i]));
}

static struct claims claims_of(const char *json)
{
  struct claims c;
  const char *why = NULL;
  if (claims_parse(slice_str(json), &c, &why) < 0)
    fail_msg("%s: %s", json, why);
  return c;
}

static void test_what_is_granted(void **state)
{
  static const struct {
    const char *claims, *path, *want; /* subscribe / publish */
  } rows[] = {
      {"{\"root\":\"room/123\",\"get\":[\"\"],\"put\":[\"alice\"]}", "room/123", "[**] / [alice/**]"},
      {"{\"root\":\"room/123\",\"get\":\"\",\"put\":\"alice\"}", "room/123", "[**] / [alice/**]"},
      {"{\"root\":\"/room//123/\",\"get\":\"\",\"put\":\"/alice/\"}", "room/123", "[**] / [alice/**]"},
      {"{\"root\":\"room/123\",\"get\":\"\",\"put\":\"alice\"}", "room/123/alice", "[**] / [**]"},
      {"{\"root\":\"room/123\",\"get\":\"\",\"put\":\"alice\"}", "room/123/bob", "[**] / "},
      {"{\"root\":\"room/123\",\"get\":\"\",\"put\":\"alice\"}", "room", "[123/**] / [123/alice/**]"},
      {"{\"root\":\"room/123\",\"get\":\"\",\"put\":\"alice\"}", "room/1234", " / "},
      {"{\"root\":\"room/123\",\"get\":\"\",\"put\":\"alice\"}", "secret", " / "},
      {"{\"root\":\"room/123\",\"get\":\"bob\",\"put\":\"alice\"}", "room/123/bob", "[**] / "},
      {"{\"root\":\"room/123\",\"get\":\"bob\",\"put\":\"alice\"}", "room/123/carol", " / "},
      {"{\"root\":\"room/123\",\"put\":\"users/alice/camera\",\"get\":\"users/bob/screen\"}", "room/123/users",
       "[bob/screen/**] / [alice/camera/**]"},
      {"{\"root\":\"room/123\",\"put\":\"users/alice/camera\",\"get\":\"users/bob/screen\"}", "room/123/users/alice",
       " / [camera/**]"},
      {"{\"get\":\"a\",\"put\":\"a\"}", "a/b", "[**] / [**]"},
      {"{\"root\":\"demo\",\"get\":\"\"}", "demo/x", "[**] / "},
      {"{\"root\":\"demo\"}", "demo", " / "},
      {"{\"root\":\"demo\",\"put\":[],\"get\":null}", "demo", " / "},
      {"{\"root\":\"demo\",\"pub\":\"me\",\"sub\":[\"\"]}", "demo", "[**] / [me/**]"},
      {"{\"root\":\"demo\",\"put\":\"me\",\"sub\":\"everything\"}", "demo", " / [me/**]"}, /* a subject */
      {"{\"root\":\"demo\",\"put\":\"me\",\"pub\":\"all\"}", "demo", " / [me/**]"},
      {"{\"publish\":[\"rooms/*/chat\"],\"subscribe\":\"rooms/**\"}", "rooms/7", "[**] / [chat]"},
      {"{\"root\":\"a\",\"subscribe\":[\"x\",\"x/**\",\"**\",\"y\"]}", "a", "[**] / "},
      {"{\"root\":\"a\",\"subscribe\":\"\"}", "a", "[] / "},
      {"{\"root\":\"a\",\"other\":{\"deep\":[1]},\"iss\":\"me\",\"get\":\"\"}", "a", "[**] / "},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct claims c = claims_of(rows[i].claims);
    struct grant g = {.root = slice_str(rows[i].path)};
    char text[512] = "";
    assert_true(claims_grant(&c, &g));
    put(text, sizeof text, g.subscribe, g.subscribe_count);
    strcat(text, " / ");
    put(text, sizeof text, g.publish, g.publish_count);
    if (strcmp(text, rows[i].want) != 0)
      fail_msg("%s at \"%s\": \"%s\", expected \"%s\"", rows[i].claims, rows[i].path, text, rows[i].want);
    claims_destroy(&c);
  }
}

static void test_times_and_flags(void **state)
{
  struct claims c =
      claims_of("{\"exp\":1700000000,\"nbf\":-5,\"iat\":null,\"cluster\":true,\"sub\":\"me\",\"get\":\"\"}");
  assert_true(c.expires_given && c.expires == 1700000000);
  assert_true(c.not_before_given && c.not_before == -5);
  assert_false(c.issued_given);
  assert_true(c.cluster);
  assert_string_equal(c.subject, "me");
  claims_destroy(&c);
  c = claims_of("{\"sub\":\"me root=\\\"x\\\"\\n\\u00e9\",\"get\":\"\"}");
  assert_string_equal(c.subject, "me_root__x____");
  claims_destroy(&c);
}

static void test_what_is_refused(void **state)
{
  static const char *const bad[] = {
      "",
      "{",
      "[]",
      "7",
      "null",
      "{\"root\":7}",
      "{\"root\":\"a*\"}*",
      "{\"put\":7}",
      "{\"put\":[7]}",
      "{\"put\":{}}",
      "{\"put\":[\"a\",null]}",
      "{\"exp\":1.5}",
      "{\"exp\":\"1\"}",
      "{\"exp\":1e3}",
      "{\"nbf\":true}",
      "{\"cluster\":1}",
      "{\"put\":\"a*\"}",
      "{\"root\":\"*\",\"put\":\"\"}",
      "{\"publish\":\"**/**\"}",
      "{\"put\":\"a\",\"publish\":\"b\"}",
      "{\"get\":\"a\",\"publish\":\"b\"}",
      "{\"aud\":\"x\",\"get\":\"\"}",
      "{\"get\":\"\",\"get\":\"\"}",
      "{\"get\":\"a\\u0000b\"}",
      "{\"exp\":99999999999999999999}",
      "{\"get\":\"1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3\"}",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct claims c;
    const char *why = NULL;
    if (claims_parse(slice_str(bad[i]), &c, &why) != -EINVAL)
      fail_msg("%s was taken", bad[i]);
    assert_non_null(why);
  }
  char many[4096] = "{\"get\":[\"a\"";
  for (int i = 0; i < CLAIMS_PATTERNS_MAX; i++)
    strcat(many, ",\"a\"");
  strcat(many, "]}");
  struct claims c;
  const char *why = NULL;
  assert_int_equal(claims_parse(slice_str(many), &c, &why), -EINVAL);
  assert_string_equal(why, "too many paths in the claims");
}

static void test_a_scope_bounds(void **state)
{
  static const struct {
    const char *scope, *claims;
    bool within;
  } rows[] = {
      {"{\"root\":\"a\",\"put\":\"\",\"get\":\"\"}", "{\"root\":\"a/b\",\"put\":\"c\"}", true},
      {"{\"root\":\"a\",\"put\":\"\",\"get\":\"\"}", "{\"root\":\"\",\"put\":\"a/c\"}", true},
      {"{\"root\":\"a\",\"put\":\"\",\"get\":\"\"}", "{\"root\":\"ab\",\"put\":\"c\"}", false},
      {"{\"root\":\"a\",\"put\":\"\",\"get\":\"\"}", "{\"put\":\"\"}", false},
      {"{\"root\":\"a\",\"put\":\"x\"}", "{\"root\":\"a\",\"put\":\"x\",\"get\":\"x\"}", false},
      {"{\"root\":\"a\",\"put\":[\"x\",\"y\"]}", "{\"root\":\"a\",\"put\":[\"y/1\",\"x\"]}", true},
      {"{\"put\":\"\"}", "{\"put\":\"\",\"cluster\":true}", false},
      {"{\"put\":\"\",\"cluster\":true}", "{\"put\":\"\",\"cluster\":true}", true},
      {"{\"publish\":\"a/*\"}", "{\"publish\":\"a/b\"}", true},
      {"{\"publish\":\"a/*\"}", "{\"publish\":\"a/**\"}", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct claims scope = claims_of(rows[i].scope), c = claims_of(rows[i].claims);
    if (claims_within(&c, &scope) != rows[i].within)
      fail_msg("%s in %s", rows[i].claims, rows[i].scope);
    claims_destroy(&scope);
    claims_destroy(&c);
  }
}

static void test_what_is_written_is_read(void **state)
{
  static const char *const one[] = {"alice"}, *const two[] = {"", "bob"};
  struct buf text = {0};
  claims_write(&(struct claims_wanted){.root = "room",
                                       .publish = one,
                                       .publish_count = 1,
                                       .subscribe = two,
                                       .subscribe_count = 2,
                                       .expires_given = true,
                                       .expires = 9,
                                       .issued_given = true,
                                       .issued = 3},
               &text);
  assert_false(text.failed);
  assert_true(slice_eq(buf_slice(&text),
                       slice_str("{\"root\":\"room\",\"put\":\"alice\",\"get\":[\"\",\"bob\"],\"exp\":9,\"iat\":3}")));
  buf_destroy(&text);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_granted),         cmocka_unit_test(test_times_and_flags),
      cmocka_unit_test(test_what_is_refused),         cmocka_unit_test(test_a_scope_bounds),
      cmocka_unit_test(test_what_is_written_is_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
