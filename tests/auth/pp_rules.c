/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What issuers may grant, and where a request may carry a token. */
#include "auth/pp_carried.h"
#include "auth/pp_header.h"
#include "auth/pp_rules.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* -- rules -- */

struct row {
  const char *rules[3], *issuer, *root;
  enum pp_op op;
  const char *granted; /* the one pattern; NULL: nothing */
};

static void check_row(const struct row *row)
{
  struct pp_rules rules;
  struct err err = {""};
  size_t n = 0;
  while (n < 3 && row->rules[n])
    n++;
  if (pp_rules_init(&rules, row->rules, n, &err) < 0)
    fail_msg("%s", err.text);
  struct grant g = {.root = slice_str(row->root)};
  assert_true(pp_rules_grant(&rules, slice_str(row->issuer), row->op, &g));
  bool publishes = row->op == PP_PUBLISH || row->op == PP_ANNOUNCE;
  assert_int_equal(publishes ? g.subscribe_count : g.publish_count, 0);
  size_t count = publishes ? g.publish_count : g.subscribe_count;
  struct slice first = publishes ? g.publish[0] : g.subscribe[0];
  if (count != (row->granted != NULL) || (count && !slice_eq(first, slice_str(row->granted))))
    fail_msg("%s at %s: %zu %.*s", row->rules[0], row->root, count, SLICE_FMT(first));
  pp_rules_destroy(&rules);
}

static void test_rules(void **state)
{
  static const struct row rows[] = {
      {{"*:**"}, "a", "x/y", PP_PUBLISH, "**"},
      {{"subscribe:**"}, "a", "x", PP_SUBSCRIBE, "**"},
      {{"subscribe:**"}, "a", "x", PP_PUBLISH, NULL},
      {{"subscribe:**"}, "a", "x", PP_FETCH, NULL},
      {{"SUBSCRIBE:x"}, "a", "x/y", PP_SUBSCRIBE, "**"},
      {{"subscribe:x"}, "a", "xy", PP_SUBSCRIBE, NULL},
      {{"subscribe:x"}, "a", "", PP_SUBSCRIBE, "x/**"},
      {{"publish:rooms/*/chat"}, "a", "rooms/1", PP_PUBLISH, "chat"},
      {{"publish:"}, "a", "x", PP_PUBLISH, "**"},
      {{"b *:**"}, "a", "x", PP_PUBLISH, NULL},
      {{"b *:**"}, "b", "x", PP_PUBLISH, "**"},
      {{"b:8443 fetch:x"}, "b:8443", "x", PP_FETCH, "**"},
      {{"b publish:**", "publish:y"}, "a", "x", PP_PUBLISH, NULL},
      {{"b publish:**", "publish:y"}, "a", "y", PP_PUBLISH, "**"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check_row(&rows[i]);
}

static void test_rules_that_are_none(void **state)
{
  static const char *const texts[] = {"", "subscribe", "watch:**", ":**", "subscribe:a**b", "b", "b subscribe"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct pp_rules rules;
    struct err err = {""};
    assert_int_equal(pp_rules_init(&rules, &texts[i], 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "privacypass.grant: \""));
  }
}

/* -- tokens -- */

#define TOKEN "AAEC"
#define BYTES "\0\1\2"

static void test_where_a_token_may_be(void **state)
{
  static const struct {
    struct pp_carried carried;
    int rc;
  } rows[] = {
      {{{0}, NULL, NULL}, -ENOENT},
      {{{0}, NULL, ""}, -ENOENT},
      {{{0}, NULL, "pp="}, -ENOENT},
      {{{0}, NULL, "app=" TOKEN}, -ENOENT},
      {{{0}, NULL, "jwt=x&pp=" TOKEN "&y"}, 0},
      {{{0}, NULL, "pp=" TOKEN "&pp=" TOKEN}, 0},
      {{{0}, NULL, "pp=" TOKEN "&pp=AAED"}, -EINVAL},
      {{{0}, NULL, "pp=%41AEC"}, -EINVAL},
      {{{0}, "PrivateToken token=" TOKEN, NULL}, 0},
      {{{0}, "PrivateToken token=" TOKEN, "pp=" TOKEN}, 0},
      {{{0}, "PrivateToken token=" TOKEN, "pp=AAED"}, -EINVAL},
      {{{0}, "PrivateToken", NULL}, -EINVAL},
      {{{(const uint8_t *)"\1\0\3" BYTES, 6}, NULL, NULL}, 0},
      {{{(const uint8_t *)"\1\0\3" BYTES, 6}, "PrivateToken token=" TOKEN, "pp=" TOKEN}, 0},
      {{{(const uint8_t *)"\1\0\3" BYTES, 6}, "PrivateToken token=AAED", NULL}, -EINVAL},
      {{{(const uint8_t *)"\1\0\3" BYTES, 5}, NULL, NULL}, -EINVAL},
      {{{(const uint8_t *)"\1\0\0", 3}, NULL, NULL}, -EINVAL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct buf token = {0};
    int rc = pp_carried_read(&rows[i].carried, &token);
    if (rc != rows[i].rc)
      fail_msg("row %zu: %d", i, rc);
    if (rc == 0)
      assert_true(slice_eq(buf_slice(&token), slice_of(BYTES, 3)));
    buf_destroy(&token);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rules),
      cmocka_unit_test(test_rules_that_are_none),
      cmocka_unit_test(test_where_a_token_may_be),
  };
  return cmocka_run_group_tests_name("rules and carriers", tests, NULL, NULL);
}
