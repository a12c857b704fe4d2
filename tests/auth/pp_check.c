/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The checks of a token and their order: every token of the vectors has its verdict. */
#include "auth/pp_check.h"
#include "auth/pp_budget.h"
#include "base/clock.h"
#include "pp_vectors.h"
#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

static json_t *root;

/* A relay that trusts one key and knows the challenges that the vectors say it knows. */
struct world {
  struct pp_key *key;
  struct pp_spent *spent;
  uint64_t random;
  bool may_nothing, no_budget;
  unsigned signatures; /* that were about to be checked */
};

static const struct pp_key *find_key(void *ctx, const uint8_t *id, const void **ret_issuer)
{
  struct world *w = ctx;
  *ret_issuer = w;
  return memcmp(pp_key_id(w->key), id, PP_KEY_ID_BYTES) == 0 ? w->key : NULL;
}

static enum pp_verdict find_challenge(void *ctx, const void *issuer, const uint8_t *digest, struct pp_known *ret_known)
{
  const json_t *list = json_object_get(root, "challenges");
  assert_ptr_equal(issuer, ctx);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i);
    struct buf bytes = pp_hex(o, "bytes"), named = pp_hex(o, "digest");
    uint8_t sum[32];
    gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.p, bytes.n, sum);
    assert_memory_equal(sum, named.p, sizeof sum);
    buf_destroy(&bytes);
    buf_destroy(&named);
    if (memcmp(sum, digest, sizeof sum) != 0 || !json_is_true(json_object_get(o, "known")))
      continue;
    *ret_known = (struct pp_known){.expires_s = 1000};
    assert_int_equal(pp_scope_parse(slice_str(pp_text(o, "origin_info")), &ret_known->scope), 0);
    return PP_OK;
  }
  return PP_NO_CHALLENGE;
}

static bool may(void *ctx, const void *issuer, enum pp_op op)
{
  return !((struct world *)ctx)->may_nothing;
}

static bool budget(void *ctx)
{
  struct world *w = ctx;
  w->signatures++;
  return !w->no_budget;
}

static const struct pp_check_ops ops = {find_key, find_challenge, may, budget};

static int start(void **state)
{
  struct world *w = calloc(1, sizeof *w);
  struct buf spki = pp_hex(json_object_get(root, "key"), "spki");
  struct pp_spent_config config = {.max = 100, .rng = rng_seeded(&w->random)};
  assert_int_equal(pp_key_new(buf_slice(&spki), &w->key, NULL), 0);
  assert_int_equal(pp_spent_new(&config, 0, &w->spent, NULL), 0);
  buf_destroy(&spki);
  *state = w;
  return 0;
}

static int stop(void **state)
{
  struct world *w = *state;
  pp_key_free(w->key);
  pp_spent_free(w->spent);
  free(w);
  return 0;
}

/* Asks for just what the challenge's scope is about. */
static enum pp_verdict judge(struct world *w, const json_t *o, enum pp_op *ret_op)
{
  const json_t *c = pp_named(json_object_get(root, "challenges"), pp_text(o, "challenge"));
  struct buf token = pp_hex(o, "token");
  struct pp_scope scope;
  assert_int_equal(pp_scope_parse(slice_str(pp_text(c, "origin_info")), &scope), 0);
  struct pp_check check = {.ops = &ops, .ctx = w, .spent = w->spent, .wanted = scope.ops, .wall_s = 10};
  check.namespace = scope.namespace;
  check.track = scope.tracks ? &scope.track : NULL;
  enum pp_verdict v = pp_check(&check, buf_slice(&token), ret_op);
  buf_destroy(&token);
  return v;
}

static json_t *token_named(const char *name)
{
  return pp_named(json_object_get(root, "tokens"), name);
}

static void test_every_token(void **state)
{
  const json_t *list = json_object_get(root, "tokens");
  assert_int_equal(json_array_size(list), 41);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i), *after = json_object_get(o, "after");
    enum pp_op op;
    void *own;
    start(&own);
    for (size_t k = 0; k < json_array_size(after); k++)
      assert_int_equal(judge(own, token_named(json_string_value(json_array_get(after, k))), &op), PP_OK);
    enum pp_verdict v = judge(own, o, &op);
    if (strcmp(pp_verdict_row(v)->name, pp_text(o, "verdict")) != 0)
      fail_msg("%s: %s, not %s", pp_text(o, "name"), pp_verdict_row(v)->name, pp_text(o, "verdict"));
    stop(&own);
  }
}

static void test_good_tokens_in_one_store(void **state)
{
  const json_t *list = json_object_get(root, "tokens");
  size_t good = 0;
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < json_array_size(list); i++) {
      const json_t *o = json_array_get(list, i);
      enum pp_op op;
      if (strcmp(pp_text(o, "verdict"), "ok") != 0)
        continue;
      assert_int_equal(judge(*state, o, &op), round ? PP_REPLAYED : PP_OK);
      good += round == 0;
    }
  }
  assert_int_equal(pp_spent_count(((struct world *)*state)->spent), good);
}

static void test_the_operation_that_is_granted(void **state)
{
  enum pp_op op = PP_OPS;
  assert_int_equal(judge(*state, token_named("publish-room"), &op), PP_OK);
  assert_int_equal(op, PP_PUBLISH);
  assert_int_equal(judge(*state, token_named("subscribe-room"), &op), PP_OK);
  assert_int_equal(op, PP_SUBSCRIBE);
}

/* A token that fails is not spent, and costs no signature where something cheaper tells. */
static void test_order(void **state)
{
  struct world *w = *state;
  enum pp_op op;
  w->may_nothing = true;
  assert_int_equal(judge(w, token_named("subscribe-room"), &op), PP_OTHER_SCOPE);
  assert_int_equal(w->signatures, 0);
  w->may_nothing = false;
  w->no_budget = true;
  assert_int_equal(judge(w, token_named("subscribe-room"), &op), PP_BUSY);
  assert_int_equal(judge(w, token_named("signature-zero"), &op), PP_BUSY);
  w->no_budget = false;
  w->signatures = 0;
  assert_int_equal(judge(w, token_named("signature-zero"), &op), PP_BAD_SIGNATURE);
  assert_int_equal(pp_spent_count(w->spent), 0);
  assert_int_equal(judge(w, token_named("subscribe-room"), &op), PP_OK);
  assert_int_equal(w->signatures, 2);
  w->no_budget = true;
  assert_int_equal(judge(w, token_named("replay"), &op), PP_REPLAYED);
}

/* -- the budget -- */

static struct sockaddr_storage address(const char *text)
{
  struct sockaddr_storage a = {0};
  struct sockaddr_in *v4 = (void *)&a;
  struct sockaddr_in6 *v6 = (void *)&a;
  a.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
  assert_int_equal(
      inet_pton(a.ss_family, text, a.ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr), 1);
  return a;
}

static unsigned takes(struct pp_budget *b, const char *peer, uint64_t now, unsigned tries)
{
  struct sockaddr_storage a = address(peer);
  unsigned n = 0;
  for (unsigned i = 0; i < tries; i++)
    n += pp_budget_take(b, &a, now);
  return n;
}

static void test_budget_of_an_address(void **state)
{
  static struct pp_budget b;
  uint64_t random = 1, t = 77 * NS_PER_S;
  struct rng rng = rng_seeded(&random);
  pp_budget_init(&b, 50, &rng);
  assert_int_equal(takes(&b, "192.0.2.1", t, 10000), 50);
  assert_int_equal(takes(&b, "192.0.2.1", t, 10000), 0);
  assert_int_equal(takes(&b, "::ffff:192.0.2.1", t, 10000), 0);
  assert_int_equal(takes(&b, "192.0.2.2", t, 10000), 50);
  assert_int_equal(takes(&b, "192.0.2.1", t + NS_PER_S / 10, 10000), 5);
  assert_int_equal(takes(&b, "192.0.2.1", t + 10 * NS_PER_S, 10000), 50);
  assert_int_equal(takes(&b, "2001:db8::1", t, 10000), 50);
  assert_int_equal(takes(&b, "2001:db8::ffff:2", t, 10000), 0);
  assert_int_equal(takes(&b, "2001:db8:0:1::1", t, 10000), 50);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_token),
      cmocka_unit_test_setup_teardown(test_good_tokens_in_one_store, start, stop),
      cmocka_unit_test_setup_teardown(test_the_operation_that_is_granted, start, stop),
      cmocka_unit_test_setup_teardown(test_order, start, stop),
      cmocka_unit_test(test_budget_of_an_address),
  };
  root = pp_vectors();
  int rc = cmocka_run_group_tests_name("checks of a token", tests, NULL, NULL);
  json_decref(root);
  return rc;
}
