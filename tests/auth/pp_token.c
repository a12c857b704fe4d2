/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Codecs of Privacy Pass: golden bytes of other implementations, there and back, every truncated prefix. */
#include "auth/pp_header.h"
#include "auth/pp_scope.h"
#include "auth/pp_token.h"
#include "pp_vectors.h"
#include <errno.h>
#include <stdlib.h>

static json_t *root;

static struct slice member(const json_t *o, const char *name, struct buf *space)
{
  *space = pp_hex(o, name);
  return buf_slice(space);
}

static void assert_same(struct slice a, struct slice b)
{
  assert_int_equal(a.n, b.n);
  if (a.n)
    assert_memory_equal(a.p, b.p, a.n);
}

/* A copy of exactly that size, so that a read beyond it is found. */
static int decode_prefix(struct slice bytes, size_t n, struct pp_challenge *ret)
{
  uint8_t *copy = malloc(n ? n : 1);
  assert_non_null(copy);
  memcpy(copy, bytes.p, n);
  int rc = pp_challenge_decode(slice_of(copy, n), ret);
  free(copy);
  return rc;
}

static void check_challenge(const json_t *o)
{
  struct buf space[3], out = {0};
  struct pp_challenge c, none;
  struct slice bytes = member(o, "bytes", &space[0]);
  assert_int_equal(pp_challenge_decode(bytes, &c), 0);
  assert_int_equal(c.type, PP_TYPE);
  assert_same(c.issuer, slice_str(pp_text(o, "issuer_name")));
  assert_same(c.context, member(o, "redemption_context", &space[1]));
  assert_same(c.origin_info, slice_str(pp_text(o, "origin_info")));
  pp_challenge_encode(&out, &c);
  assert_same(buf_slice(&out), bytes);
  for (size_t n = 0; n < bytes.n; n++)
    assert_int_equal(decode_prefix(bytes, n, &none), -EINVAL);
  buf_u8(&out, 0);
  assert_int_equal(pp_challenge_decode(buf_slice(&out), &none), -EINVAL);
  buf_destroy(&out);
  buf_destroy(&space[0]);
  buf_destroy(&space[1]);
}

static void test_challenges(void **state)
{
  const json_t *list = json_object_get(root, "challenges");
  assert_true(json_array_size(list) > 0);
  for (size_t i = 0; i < json_array_size(list); i++)
    check_challenge(json_array_get(list, i));
}

static void test_challenges_that_are_none(void **state)
{
  static const struct {
    const char *bytes;
    size_t n;
  } rows[] = {
      {"\0\2\0\0\0\0\0", 7},      /* no issuer */
      {"\0\2\0\1a\1x\0\0", 9},    /* a context of one byte */
      {"\0\2\377\377a\0\0\0", 8}, /* longer than all */
  };
  struct pp_challenge c;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(pp_challenge_decode(slice_of(rows[i].bytes, rows[i].n), &c), -EINVAL);
  struct buf out = {0};
  pp_challenge_encode(&out, &(struct pp_challenge){.type = PP_TYPE});
  assert_true(out.failed);
  buf_destroy(&out);
}

static int decoded(const char *verdict)
{
  return strcmp(verdict, "malformed") == 0 ? -EINVAL : strcmp(verdict, "type") == 0 ? -EPROTONOSUPPORT : 0;
}

static void test_tokens(void **state)
{
  const json_t *list = json_object_get(root, "tokens");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i);
    struct buf bytes = pp_hex(o, "token");
    struct pp_token t;
    int rc = pp_token_decode(buf_slice(&bytes), &t);
    if (rc != decoded(pp_text(o, "verdict")))
      fail_msg("%s: %d", pp_text(o, "name"), rc);
    if (rc == 0) {
      assert_int_equal(t.input.n, PP_SIGNED_BYTES);
      assert_ptr_equal(t.signature.p, bytes.p + PP_SIGNED_BYTES);
      for (size_t n = 0; n < bytes.n; n++)
        assert_int_equal(pp_token_decode(slice_of(bytes.p, n), &t), -EINVAL);
    }
    buf_destroy(&bytes);
  }
}

static void test_setup(void **state)
{
  const json_t *list = json_object_get(root, "setup");
  assert_true(json_array_size(list) > 0);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i), *type = json_object_get(o, "token_type");
    struct buf value = pp_hex(o, "value"), again = {0};
    struct slice token;
    struct pp_token t;
    int rc = pp_setup_decode(buf_slice(&value), type ? (uint64_t)json_integer_value(type) : PP_MOQT_TOKEN_TYPE, &token);
    if (rc == 0)
      rc = pp_token_decode(token, &t);
    if ((rc == 0) != (strcmp(pp_text(o, "verdict"), "ok") == 0))
      fail_msg("%s: %d", pp_text(o, "name"), rc);
    if (rc == 0 && !type) {
      pp_setup_encode(&again, token);
      assert_same(buf_slice(&again), buf_slice(&value));
    }
    buf_destroy(&again);
    buf_destroy(&value);
  }
}

/* Without a number for it the Token structure is not read. */
static void test_the_draft_is_off(void **state)
{
  struct buf value = pp_hex(pp_named(json_object_get(root, "setup"), "moqt-use-value"), "value");
  struct slice token;
  assert_int_equal(pp_setup_decode(buf_slice(&value), PP_MOQT_TOKEN_TYPE, &token), -EINVAL);
  buf_destroy(&value);
}

/* -- scopes -- */

static void test_asks(void **state)
{
  const json_t *list = json_object_get(root, "asks");
  assert_true(json_array_size(list) > 0);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i),
                 *c = pp_named(json_object_get(root, "challenges"), pp_text(o, "challenge"));
    struct slice track = slice_str(pp_text(o, "track"));
    struct pp_scope s;
    enum pp_op op;
    assert_true(pp_op_find(slice_str(pp_text(o, "operation")), &op));
    assert_int_equal(pp_scope_parse(slice_str(pp_text(c, "origin_info")), &s), 0);
    bool ok = pp_scope_covers(&s, op, slice_str(pp_text(o, "namespace")), json_object_get(o, "track") ? &track : NULL);
    if (ok != json_is_true(json_object_get(o, "ok")))
      fail_msg("%s: %s %s", pp_text(o, "challenge"), pp_text(o, "operation"), pp_text(o, "namespace"));
  }
}

static void test_scope_texts(void **state)
{
  static const struct {
    const char *scope, *namespace;
    bool parses, covers; /* subscribing */
  } rows[] = {
      {"", "any", true, true},
      {"SubScribe:a", "a", true, true},
      {"subscribe", "a", false, false},
      {"listen:a", "a", false, false},
      {":a", "a", false, false},
      {"subscribe:", "", true, true},
      {"subscribe:", "a", true, false},
      {"subscribe:*", "a/b", true, true},
      {"subscribe:/*", "a/b", true, true},
      {"subscribe:a/b/*", "a/b", true, false},
      {"subscribe:a/b/*", "a/b/", true, true},
      {"subscribe:a/b/*", "a/bc", true, false},
      {"subscribe:a*b", "a*b", true, true},
      {"subscribe:a*b", "axb", true, false},
      {"subscribe:/a", "a", true, true},
      {"subscribe:a", "/a", true, true},
      {"publish:a", "a", true, false},
      {"subscribe:a:t:u", "a", true, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct pp_scope s;
    int rc = pp_scope_parse(slice_str(rows[i].scope), &s);
    if ((rc == 0) != rows[i].parses ||
        (rc == 0 && pp_scope_covers(&s, PP_SUBSCRIBE, slice_str(rows[i].namespace), NULL) != rows[i].covers))
      fail_msg("%s: %s", rows[i].scope, rows[i].namespace);
  }
  assert_true(pp_scope_can_say(slice_str("a/b")));
  assert_false(pp_scope_can_say(slice_str("a:b")));
  assert_false(pp_scope_can_say(slice_str("*")));
  assert_false(pp_scope_can_say(slice_str("a*b")));
}

static unsigned match_number(const json_t *o)
{
  return (unsigned)json_integer_value(json_object_get(o, "type"));
}

static void check_binary_scope(const json_t *want, const struct pp_binary_scope *s)
{
  const json_t *actions = json_object_get(want, "actions"), *namespace = json_object_get(want, "namespace"),
               *track = json_object_get(want, "track"), *elements = json_object_get(namespace, "value");
  uint32_t bits = 0;
  for (size_t i = 0; i < json_array_size(actions); i++)
    bits |= 1u << json_integer_value(json_array_get(actions, i));
  assert_int_equal(s->actions, bits);
  assert_int_equal(s->namespace_match, match_number(namespace));
  assert_int_equal(s->track_match, match_number(track));
  assert_same(s->track, slice_str(pp_text(track, "value")));
  struct slice rest = s->elements, e, asked[8];
  size_t n = 0;
  while (pp_binary_element(&rest, &e)) {
    assert_same(e, slice_str(json_string_value(json_array_get(elements, n))));
    asked[n++] = e;
  }
  assert_int_equal(n, json_array_size(elements));
  unsigned action = (unsigned)json_integer_value(json_array_get(actions, 0));
  assert_true(pp_binary_covers(s, action, asked, n, s->track));
  assert_false(pp_binary_covers(s, 5, asked, n, s->track));
  assert_false(pp_binary_covers(s, action, asked, n - 1, s->track));
}

static void test_binary_scopes(void **state)
{
  const json_t *list = json_object_get(root, "scopes_binary");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i), *scopes = json_object_get(o, "scopes");
    struct buf bytes = pp_hex(o, "bytes");
    struct slice info;
    struct pp_binary_scope s;
    assert_int_equal(pp_binary_open(buf_slice(&bytes), &info), 0);
    for (size_t k = 0; k < json_array_size(scopes); k++) {
      assert_int_equal(pp_binary_next(&info, &s), 0);
      check_binary_scope(json_array_get(scopes, k), &s);
    }
    assert_int_equal(pp_binary_next(&info, &s), -ENOENT);
    for (size_t n = 0; n < bytes.n; n++)
      assert_int_equal(pp_binary_open(slice_of(bytes.p, n), &info), -EINVAL);
    for (size_t n = 1; n < bytes.n - 1; n++) { /* some prefixes end between two scopes */
      info = slice_of(bytes.p + 1, n);
      while (pp_binary_next(&info, &s) == 0)
        ;
    }
    buf_destroy(&bytes);
  }
}

/* -- HTTP -- */

static void test_headers_that_ask(void **state)
{
  const json_t *h = json_object_get(root, "headers"), *list = json_object_get(h, "www_authenticate");
  struct buf want = pp_hex(pp_named(json_object_get(root, "challenges"), pp_text(h, "challenge")), "bytes");
  struct buf key = pp_hex(json_object_get(root, "key"), "spki");
  bool written = false;
  struct buf ours = {0};
  pp_header_ask(&ours, buf_slice(&want), buf_slice(&key), 60);
  for (size_t i = 0; i < json_array_size(list); i++) {
    struct slice text = slice_str(pp_text(json_array_get(list, i), "header"));
    struct pp_asked a;
    assert_int_equal(pp_header_read_ask(text, &a), 0); /* we read more than a strict client does */
    assert_same(buf_slice(&a.challenge), buf_slice(&want));
    if (a.key.n)
      assert_same(buf_slice(&a.key), buf_slice(&key));
    pp_asked_destroy(&a);
    written = written || slice_eq(text, buf_slice(&ours));
  }
  assert_true(written);
  buf_destroy(&ours);
  buf_destroy(&want);
  buf_destroy(&key);
}

static void test_headers_with_a_token(void **state)
{
  const json_t *list = json_object_get(json_object_get(root, "headers"), "authorization");
  struct buf want = pp_hex(pp_named(json_object_get(root, "tokens"), "subscribe-room"), "token"), ours = {0};
  pp_header_token(&ours, buf_slice(&want));
  bool written = false;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i);
    struct slice text = slice_str(pp_text(o, "header"));
    struct buf token = {0};
    struct pp_token t;
    int rc = pp_header_read_token(text, &token);
    if (rc == 0)
      rc = pp_token_decode(buf_slice(&token), &t);
    if ((rc == 0) != json_is_true(json_object_get(o, "ok")))
      fail_msg("header %zu: %d", i, rc);
    if (rc == 0)
      assert_same(buf_slice(&token), buf_slice(&want));
    written = written || slice_eq(text, buf_slice(&ours));
    buf_destroy(&token);
  }
  assert_true(written);
  for (size_t n = 0; n < ours.n; n++) {
    struct buf token = {0};
    assert_true(pp_header_read_token(slice_of(ours.p, n), &token) < 0);
    assert_int_equal(token.n, 0);
    buf_destroy(&token);
  }
  buf_destroy(&ours);
  buf_destroy(&want);
}

static void test_headers_of_others(void **state)
{
  static const struct {
    const char *text;
    int rc;
  } rows[] = {
      {"", -ENOENT},
      {"Bearer abc", -ENOENT},
      {"PrivateToken", -EINVAL},
      {"PrivateToken challenge=\"AA\\\"", -EINVAL},
      {"PrivateToken challenge=\"AA=\"", -EINVAL},
      {"PrivateToken challenge=\"AA==\", challenge=\"AA==\"", -EINVAL},
      {"Basic realm=\"PrivateToken challenge\"", -ENOENT},
      {"PrivateToken challenge=\"AA==\", Basic realm=x", 0},
      {"Negotiate, PrivateToken  challenge = \"AA\"", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct pp_asked a = {0};
    int rc = pp_header_read_ask(slice_str(rows[i].text), &a);
    if (rc != rows[i].rc)
      fail_msg("%s: %d", rows[i].text, rc);
    pp_asked_destroy(&a);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_challenges),
      cmocka_unit_test(test_challenges_that_are_none),
      cmocka_unit_test(test_tokens),
      cmocka_unit_test(test_setup),
      cmocka_unit_test(test_the_draft_is_off),
      cmocka_unit_test(test_asks),
      cmocka_unit_test(test_scope_texts),
      cmocka_unit_test(test_binary_scopes),
      cmocka_unit_test(test_headers_that_ask),
      cmocka_unit_test(test_headers_with_a_token),
      cmocka_unit_test(test_headers_of_others),
  };
  root = pp_vectors();
  int rc = cmocka_run_group_tests_name("privacy pass on the wire", tests, NULL, NULL);
  json_decref(root);
  return rc;
}
