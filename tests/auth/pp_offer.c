/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Challenges that are made and known again, without keeping any. */
#include "auth/pp_offer.h"
#include "pp_vectors.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>

#define ISSUER "issuer.example"
#define NOW 1000000u

static const struct pp_offer plain = {.window_s = 0}, timed = {.window_s = 600, .secret = {1, 2, 3}},
                             wide = {.wide = true};

static void digest_of(struct slice bytes, uint8_t ret[PP_DIGEST_BYTES])
{
  assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.p, bytes.n, ret), 0);
}

/* A challenge made at one time and looked for at another, for another path. */
static enum pp_verdict again(const struct pp_offer *o, enum pp_op op, const char *made, uint64_t made_at,
                             const char *path, uint64_t now, struct pp_known *ret_known)
{
  struct buf b = {0};
  uint8_t digest[PP_DIGEST_BYTES];
  assert_int_equal(pp_offer_write(o, slice_str(ISSUER), op, slice_str(made), made_at, &b), 0);
  digest_of(buf_slice(&b), digest);
  buf_destroy(&b);
  return pp_offer_find(o, slice_str(ISSUER), slice_str(path), digest, now, ret_known);
}

static void test_for_the_same_path(void **state)
{
  static const char *const rows[][2] = {{"a/b", "a/b"}, {"/a/b/", "a/b"}, {"", ""}, {"/", ""}, {"x", "x"}};
  const struct pp_offer *const offers[] = {&plain, &timed, &wide};
  for (size_t k = 0; k < 3; k++) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      for (enum pp_op op = 0; op < PP_OPS; op++) {
        struct pp_known known;
        assert_int_equal(again(offers[k], op, rows[i][0], NOW, rows[i][1], NOW, &known), PP_OK);
        assert_int_equal(known.scope.ops, 1u << op);
        assert_true(pp_scope_covers(&known.scope, op, slice_str(rows[i][1]), NULL));
      }
    }
  }
}

static void test_for_other_paths(void **state)
{
  static const char *const others[] = {"a/c", "a", "a/b/c", "A/b", "", "a/bb"};
  struct pp_known known;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_int_equal(again(&wide, PP_SUBSCRIBE, "a/b", NOW, others[i], NOW, &known), PP_NO_CHALLENGE);
}

static void test_windows(void **state)
{
  struct pp_known known;
  uint64_t start = NOW / 600 * 600;
  assert_int_equal(again(&timed, PP_FETCH, "a", start, "a", start + 599, &known), PP_OK);
  assert_int_equal(known.expires_s, start + 1200);
  assert_int_equal(again(&timed, PP_FETCH, "a", start + 599, "a", start + 1199, &known), PP_OK);
  assert_int_equal(known.expires_s, start + 1200);
  assert_int_equal(again(&timed, PP_FETCH, "a", start + 599, "a", start + 1200, &known), PP_EXPIRED);
  assert_int_equal(again(&timed, PP_FETCH, "a", start, "a", start + 2399, &known), PP_EXPIRED);
  assert_int_equal(again(&timed, PP_FETCH, "a", start, "a", start + 2400, &known), PP_NO_CHALLENGE);
  assert_int_equal(again(&timed, PP_FETCH, "a", start + 600, "a", start, &known), PP_NO_CHALLENGE); /* not yet made */
  assert_int_equal(again(&plain, PP_FETCH, "a", start, "a", start + 1000000, &known), PP_OK);
  assert_true(known.expires_s == PP_SPENT_NEVER);
}

/* What a relay with another secret, or another issuer, has made. */
static void test_of_others(void **state)
{
  struct pp_offer stranger = timed;
  struct buf b = {0};
  uint8_t digest[PP_DIGEST_BYTES];
  struct pp_known known;
  stranger.secret[31] = 1;
  assert_int_equal(pp_offer_write(&stranger, slice_str(ISSUER), PP_FETCH, slice_str("a"), NOW, &b), 0);
  digest_of(buf_slice(&b), digest);
  assert_int_equal(pp_offer_find(&timed, slice_str(ISSUER), slice_str("a"), digest, NOW, &known), PP_NO_CHALLENGE);
  assert_int_equal(pp_offer_find(&plain, slice_str(ISSUER), slice_str("a"), digest, NOW, &known), PP_NO_CHALLENGE);
  buf_clear(&b);
  assert_int_equal(pp_offer_write(&timed, slice_str("other.example"), PP_FETCH, slice_str("a"), NOW, &b), 0);
  digest_of(buf_slice(&b), digest);
  assert_int_equal(pp_offer_find(&timed, slice_str(ISSUER), slice_str("a"), digest, NOW, &known), PP_NO_CHALLENGE);
  buf_destroy(&b);
}

/* Those of deployed relays and clients. */
static void test_vectors(void **state)
{
  static const struct {
    const char *challenge, *path;
    const struct pp_offer *offer;
    enum pp_verdict verdict;
  } rows[] = {
      {"subscribe-room", "test/room", &plain, PP_OK},
      {"subscribe-room-slash", "test/room", &plain, PP_OK},
      {"publish-room", "test/room", &plain, PP_OK},
      {"subscribe-below", "test/room", &wide, PP_OK},
      {"subscribe-below", "test/room", &plain, PP_NO_CHALLENGE},
      {"subscribe-below", "test", &wide, PP_NO_CHALLENGE},
      {"subscribe-track", "test/room", &wide, PP_NO_CHALLENGE},
      {"subscribe-sibling", "test/room", &wide, PP_NO_CHALLENGE},
      {"subscribe-context", "test/room", &timed, PP_NO_CHALLENGE},
      {"subscribe-room", "test/room", &timed, PP_NO_CHALLENGE},
      {"empty-info", "", &wide, PP_NO_CHALLENGE},
      {"other-issuer", "test/room", &wide, PP_NO_CHALLENGE},
  };
  json_t *root = pp_vectors();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct buf digest = pp_hex(pp_named(json_object_get(root, "challenges"), rows[i].challenge), "digest");
    struct pp_known known;
    if (pp_offer_find(rows[i].offer, slice_str(ISSUER), slice_str(rows[i].path), digest.p, NOW, &known) !=
        rows[i].verdict)
      fail_msg("%s at %s", rows[i].challenge, rows[i].path);
    buf_destroy(&digest);
  }
  struct buf bytes = pp_hex(pp_named(json_object_get(root, "challenges"), "subscribe-room"), "bytes"), ours = {0};
  assert_int_equal(pp_offer_write(&plain, slice_str(ISSUER), PP_SUBSCRIBE, slice_str("/test/room"), NOW, &ours), 0);
  assert_true(slice_eq(buf_slice(&ours), buf_slice(&bytes)));
  buf_destroy(&ours);
  buf_destroy(&bytes);
  json_decref(root);
}

static void test_what_no_scope_can_say(void **state)
{
  static const char *const rows[] = {"*", "/*", "a:b", "a*b", "a/b*", "**", "a/**"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct buf b = {0};
    assert_int_equal(pp_offer_write(&plain, slice_str(ISSUER), PP_FETCH, slice_str(rows[i]), NOW, &b), -EINVAL);
    assert_int_equal(b.n, 0);
    buf_destroy(&b);
  }
  struct pp_known known;
  assert_int_equal(again(&wide, PP_FETCH, "*", NOW, "x/y", NOW, &known), PP_OK);
  assert_int_equal(again(&wide, PP_FETCH, "/*", NOW, "", NOW, &known), PP_OK);
  assert_int_equal(again(&wide, PP_FETCH, "x/*", NOW, "x/y", NOW, &known), PP_OK);
  assert_int_equal(again(&wide, PP_FETCH, "x/*", NOW, "x/*", NOW, &known), PP_NO_CHALLENGE);
  for (size_t i = 2; i < sizeof rows / sizeof *rows; i++) {
    struct buf b = {0};
    assert_int_equal(pp_offer_write(&wide, slice_str(ISSUER), PP_FETCH, slice_str(rows[i]), NOW, &b), -EINVAL);
    buf_destroy(&b);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_for_the_same_path), cmocka_unit_test(test_for_other_paths),
      cmocka_unit_test(test_windows),           cmocka_unit_test(test_of_others),
      cmocka_unit_test(test_vectors),           cmocka_unit_test(test_what_no_scope_can_say),
  };
  return cmocka_run_group_tests_name("challenges", tests, NULL, NULL);
}
