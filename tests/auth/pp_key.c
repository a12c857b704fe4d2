/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Issuers' keys: which may be used, their ids, and the tokens of RFC 9578 A.2. */
#include "auth/pp_key.h"
#include "auth/pp_header.h"
#include "pp_vectors.h"
#include <errno.h>
#include <gnutls/abstract.h>

static json_t *root;

static struct pp_key *key_of(const json_t *o)
{
  struct buf spki = pp_hex(o, "spki");
  struct pp_key *key = NULL;
  struct err err = {""};
  if (pp_key_new(buf_slice(&spki), &key, &err) < 0)
    fail_msg("%s: %s", pp_text(o, "name"), err.text);
  assert_true(slice_eq(pp_key_spki(key), buf_slice(&spki)));
  buf_destroy(&spki);
  return key;
}

static void assert_id(const struct pp_key *key, const json_t *o)
{
  struct buf id = pp_hex(o, "token_key_id");
  assert_int_equal(id.n, PP_KEY_ID_BYTES);
  assert_memory_equal(pp_key_id(key), id.p, id.n);
  buf_destroy(&id);
}

static void test_tokens_of_the_rfc(void **state)
{
  const json_t *rfc = json_object_get(root, "rfc9578"), *list = json_object_get(rfc, "vectors");
  struct pp_key *key = key_of(rfc), *other = key_of(json_object_get(root, "key"));
  assert_id(key, rfc);
  assert_int_equal(json_array_size(list), 5);
  for (size_t i = 0; i < json_array_size(list); i++) {
    struct buf bytes = pp_hex(json_array_get(list, i), "token");
    struct pp_token t;
    assert_int_equal(pp_token_decode(buf_slice(&bytes), &t), 0);
    assert_memory_equal(t.key_id.p, pp_key_id(key), PP_KEY_ID_BYTES);
    assert_true(pp_key_verify(key, t.input, t.signature));
    assert_false(pp_key_verify(other, t.input, t.signature));
    assert_false(pp_key_verify(key, t.input, slice_of(t.signature.p, t.signature.n - 1)));
    bytes.p[5] ^= 1;
    assert_false(pp_key_verify(key, t.input, t.signature));
    buf_destroy(&bytes);
  }
  pp_key_free(key);
  pp_key_free(other);
}

static void test_keys_that_may_be_used(void **state)
{
  static const struct {
    const char *name, *why;
  } rows[] = {
      {"trailing-byte", "not a public key"},
      {"truncated", "not a public key"},
      {"not-der", "not a public key"},
      {"rsa-encryption", "not an RSASSA-PSS key"},
      {"salt-0", "salt has 0 bytes"},
      {"sha-256", "hash is SHA256"},
      {"3072-bits", "3072 bits"},
  };
  const json_t *list = json_object_get(root, "spkis");
  size_t refused = 0;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *o = json_array_get(list, i);
    struct buf spki = pp_hex(o, "spki");
    struct pp_key *key = NULL;
    struct err err = {""};
    int rc = pp_key_new(buf_slice(&spki), &key, &err);
    if (json_is_true(json_object_get(o, "use"))) {
      assert_int_equal(rc, 0);
      assert_id(key, o);
    } else {
      assert_int_equal(rc, -EINVAL);
      assert_null(key);
      size_t k = 0;
      while (k < sizeof rows / sizeof *rows && strcmp(rows[k].name, pp_text(o, "name")) != 0)
        k++;
      if (k == sizeof rows / sizeof *rows || !strstr(err.text, rows[k].why))
        fail_msg("%s: %s", pp_text(o, "name"), err.text);
      refused++;
    }
    pp_key_free(key);
    buf_destroy(&spki);
  }
  assert_int_equal(refused, sizeof rows / sizeof *rows);
}

static void test_every_prefix(void **state)
{
  struct buf spki = pp_hex(json_object_get(root, "key"), "spki");
  for (size_t n = 0; n < spki.n; n++) {
    struct pp_key *key = NULL;
    assert_int_equal(pp_key_new(slice_of(spki.p, n), &key, NULL), -EINVAL);
  }
  buf_destroy(&spki);
}

static void assert_file(const char *text, const json_t *o)
{
  struct pp_key *key = NULL;
  struct err err = {""};
  if (pp_key_parse(slice_str(text), &key, &err) < 0)
    fail_msg("%s: %s", text, err.text);
  assert_id(key, o);
  pp_key_free(key);
}

static void pem_of(const char *spki_name, struct buf *out)
{
  struct buf spki = pp_hex(pp_named(json_object_get(root, "spkis"), spki_name), "spki");
  gnutls_datum_t der = {spki.p, (unsigned)spki.n}, pem;
  assert_int_equal(gnutls_pem_base64_encode2("PUBLIC KEY", &der, &pem), 0);
  buf_bytes(out, slice_of(pem.data, pem.size));
  buf_u8(out, 0);
  gnutls_free(pem.data);
  buf_destroy(&spki);
}

static void test_key_files(void **state)
{
  const json_t *key = json_object_get(root, "key"), *spkis = json_object_get(root, "spkis");
  struct buf text = {0}, nulls = pp_hex(pp_named(spkis, "null-parameters"), "spki");
  assert_file(pp_text(key, "spki_base64url"), key);
  buf_printf(&text, "\n %s \n", pp_text(key, "spki_base64url"));
  buf_u8(&text, 0);
  assert_file((const char *)text.p, key);
  buf_clear(&text);
  pp_base64_encode(&text, buf_slice(&nulls));
  assert_true(text.p[text.n - 1] == '=');
  buf_u8(&text, 0);
  assert_file((const char *)text.p, pp_named(spkis, "null-parameters"));
  buf_clear(&text);
  pem_of("null-parameters", &text); /* as it is, not as a library would write it anew */
  assert_file((const char *)text.p, pp_named(spkis, "null-parameters"));
  buf_clear(&text);
  pem_of("rsa-encryption", &text);
  assert_file((const char *)text.p, key);
  buf_destroy(&text);
  buf_destroy(&nulls);
}

static void test_files_that_are_none(void **state)
{
  static const struct {
    const char *text, *why;
  } rows[] = {
      {"", "empty"},
      {"hello world", "neither base64url nor PEM"},
      {"AAAA", "not a public key"},
      {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM PUBLIC KEY"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct pp_key *key = NULL;
    struct err err = {""};
    assert_int_equal(pp_key_parse(slice_str(rows[i].text), &key, &err), -EINVAL);
    if (!strstr(err.text, rows[i].why))
      fail_msg("%s: %s", rows[i].text, err.text);
  }
  struct buf pem = {0};
  struct pp_key *key = NULL;
  struct err err = {""};
  pem_of("salt-0", &pem);
  assert_int_equal(pp_key_parse(slice_of(pem.p, pem.n - 1), &key, &err), -EINVAL);
  assert_non_null(strstr(err.text, "salt has 0 bytes"));
  buf_destroy(&pem);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tokens_of_the_rfc),   cmocka_unit_test(test_keys_that_may_be_used),
      cmocka_unit_test(test_every_prefix),        cmocka_unit_test(test_key_files),
      cmocka_unit_test(test_files_that_are_none),
  };
  root = pp_vectors();
  int rc = cmocka_run_group_tests_name("keys of issuers", tests, NULL, NULL);
  json_decref(root);
  return rc;
}
