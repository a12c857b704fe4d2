/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys and tokens: the examples of RFC 7515 and 8037, every algorithm there and back, and what must be refused. */
#include "auth/jwt.h"
#include "base/base64url.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define RFC_CLAIMS "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define HS_KEY                                                                                                         \
  "{\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"                           \
  "1qS0gZH75aKtMN3Yj0iPS4hcgUuTw"                                                                                      \
  "jAzZr1Z9CAow\"}"
#define HS_TOKEN "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define ES_KEY                                                                                                         \
  "{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"   \
  "\"x_"                                                                                                               \
  "FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define ES_TOKEN                                                                                                       \
  "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS                                                                                   \
  ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define ED_KEY                                                                                                         \
  "{\"alg\":\"EdDSA\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define ED_TOKEN                                                                                                       \
  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"                              \
  "09PGcvMg3AIbQR6dWbhijcNR4ki4iylG"                                                                                   \
  "jg5BhVsPt9g7sVvpAr_MuM0KAg"

static struct jwk *key_of(const char *text)
{
  struct jwk *key;
  struct err err = {""};
  if (jwk_parse(slice_str(text), &key, &err) < 0)
    fail_msg("%s: %s", text, err.text);
  return key;
}

/* NULL when the key has made the token, else why not. */
static const char *judge(struct slice token, const struct jwk *key)
{
  struct jwt t;
  const char *why = NULL;
  if (jwt_open(token, &t, &why) < 0) {
    assert_non_null(why);
    return why;
  }
  bool ok = jwt_check(&t, key, &why);
  assert_true(ok == (why == NULL));
  jwt_destroy(&t);
  return why;
}

static void test_examples_of_the_standards(void **state)
{
  static const char *const rows[][2] = {{HS_KEY, HS_TOKEN}, {ES_KEY, ES_TOKEN}, {ED_KEY, ED_TOKEN}};
  for (size_t i = 0; i < 3; i++) {
    struct jwk *key = key_of(rows[i][0]);
    const char *why = judge(slice_str(rows[i][1]), key);
    if (why)
      fail_msg("%s: %s", rows[i][1], why);
    for (size_t k = 0; k < 3; k++) {
      if (k != i)
        assert_non_null(judge(slice_str(rows[k][1]), key));
    }
    jwk_free(key);
  }
}

static struct buf sign(const struct jwk *key, const char *claims)
{
  struct buf token = {0};
  assert_int_equal(jwt_sign(key, slice_str(claims), &token), 0);
  return token;
}

/* No byte of a token can be another one. */
static void no_change_passes(const struct jwk *key, struct buf *token, size_t every)
{
  for (size_t i = 0; i < token->n; i += every) {
    uint8_t was = token->p[i];
    token->p[i] = was == 'A' ? 'B' : 'A';
    assert_non_null(judge(buf_slice(token), key));
    token->p[i] = was;
  }
  for (size_t n = 0; n < token->n; n += every)
    assert_non_null(judge(slice_of(token->p, n), key));
}

static void test_every_algorithm_there_and_back(void **state)
{
  for (enum jwk_alg alg = 0; alg < JWK_ALGS; alg++) {
    struct buf private_key = {0}, public_key = {0};
    assert_int_equal(jwk_generate(&(struct jwk_new){.alg = alg, .kid = "k-1"}, &private_key, &public_key), 0);
    buf_u8(&private_key, '\0');
    struct jwk *key = key_of((const char *)private_key.p);
    assert_int_equal(jwk_alg(key), alg);
    assert_string_equal(jwk_kid(key), "k-1");
    struct buf token = sign(key, "{\"root\":\"x\"}");
    assert_null(judge(buf_slice(&token), key));
    if (!jwk_alg_is_symmetric(alg)) {
      buf_u8(&public_key, '\0');
      struct jwk *half = key_of((const char *)public_key.p);
      assert_null(judge(buf_slice(&token), half));
      assert_false(jwk_can(half, JWK_SIGN));
      assert_int_equal(jwt_sign(half, slice_str("{}"), &public_key), -EPERM);
      assert_null(strstr((const char *)public_key.p, "\"d\""));
      jwk_free(half);
    } else {
      assert_int_equal(public_key.n, 0);
    }
    no_change_passes(key, &token, jwk_alg_is_symmetric(alg) ? 1 : 17);
    buf_destroy(&token);
    jwk_free(key);
    buf_destroy(&private_key);
    buf_destroy(&public_key);
  }
}

/* About one P-256 key in 128 has a coordinate that begins with a zero byte. */
static void test_coordinates_keep_their_zeros(void **state)
{
  for (int i = 0; i < 300; i++) {
    struct buf text = {0};
    assert_int_equal(jwk_generate(&(struct jwk_new){.alg = JWK_ES256}, &text, NULL), 0);
    buf_u8(&text, '\0');
    jwk_free(key_of((const char *)text.p)); /* refuses any other length */
    buf_destroy(&text);
  }
}

static void test_key_files_come_in_two_forms(void **state)
{
  struct buf text = {0};
  buf_bytes(&text, slice_str(" \n"));
  base64url_encode(&text, slice_str(HS_KEY));
  buf_bytes(&text, slice_str("\r\n"));
  buf_u8(&text, '\0');
  struct jwk *key = key_of((const char *)text.p);
  assert_null(judge(slice_str(HS_TOKEN), key));
  jwk_free(key);
  buf_destroy(&text);
}

#define SECRET "\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==\""

static void test_what_a_key_may_do(void **state)
{
  struct jwk *key = key_of("{\"alg\":\"HS256\",\"key_ops\":[\"sign\"]," SECRET "}");
  struct buf token = sign(key, "{}");
  assert_string_equal(judge(buf_slice(&token), key), "the key may not verify");
  buf_destroy(&token);
  jwk_free(key);
  key = key_of("{\"alg\":\"HS256\",\"key_ops\":[\"verify\",\"encrypt\"],\"kid\":null," SECRET "}");
  token = (struct buf){0};
  assert_int_equal(jwt_sign(key, slice_str("{}"), &token), -EPERM);
  assert_null(judge(slice_str(HS_TOKEN), key));
  assert_null(jwk_scope(key));
  buf_destroy(&token);
  jwk_free(key);
  key = key_of("{\"alg\":\"HS256\",\"scope\":{\"root\":\"room\",\"put\":\"a\",\"get\":\"\"}," SECRET "}");
  assert_non_null(jwk_scope(key));
  assert_string_equal(jwk_scope(key)->publish[0], "room/a/**");
  jwk_free(key);
}

static void test_what_is_no_key(void **state)
{
  static const struct {
    const char *text, *why;
  } rows[] = {
      {"", "neither a JWK nor"},
      {"{", "neither a JWK nor"},
      {"{}x", "neither a JWK nor"},
      {"=", "neither a JWK nor"},
      {"[]", "not a JSON object"},
      {"W10", "not a JSON object"},
      {"{\"keys\":[]}", "a set of keys"},
      {"{\"alg\":\"HS256\"}", "\"k\" has 0 bytes"},
      {"{\"alg\":\"none\"," SECRET "}", "\"alg\" is not one of"},
      {"{\"alg\":\"ES512\"," SECRET "}", "\"alg\" is not one of"},
      {"{" SECRET "}", "\"alg\" is not one of"},
      {"{\"alg\":\"HS256\",\"alg\":\"HS256\"," SECRET "}", "neither a JWK nor"},
      {"{\"alg\":\"HS256\",\"kty\":\"RSA\"," SECRET "}", "\"kty\" of HS256 is \"oct\""},
      {"{\"alg\":\"HS256\",\"k\":\"c2hvcnQ\"}", "\"k\" has 5 bytes"},
      {"{\"alg\":\"HS256\",\"k\":\"a b\"}", "\"k\" is not base64url"},
      {"{\"alg\":\"HS256\",\"k\":7}", "\"k\" is not base64url"},
      {"{\"alg\":\"HS256\",\"key_ops\":[\"encrypt\"]," SECRET "}", "\"key_ops\" has neither"},
      {"{\"alg\":\"HS256\",\"key_ops\":\"sign\"," SECRET "}", "\"key_ops\" is not a list"},
      {"{\"alg\":\"HS256\",\"use\":\"enc\"," SECRET "}", "\"use\""},
      {"{\"alg\":\"HS256\",\"kid\":\"../x\"," SECRET "}", "\"kid\""},
      {"{\"alg\":\"HS256\",\"x5u\":\"http://127.0.0.1/\"," SECRET "}", "\"x5u\" is not supported"},
      {"{\"alg\":\"HS256\",\"x5c\":[]," SECRET "}", "\"x5c\" is not supported"},
      {"{\"alg\":\"HS256\",\"scope\":{\"put\":7}," SECRET "}", "\"scope\": a path in the claims is not a string"},
      {"{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}", "\"crv\" of ES256"},
      {"{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
       "\"x\" has 3 bytes, not 32"},
      {"{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
       "\"y\" is missing"},
      {"{\"alg\":\"RS256\",\"kty\":\"RSA\",\"e\":\"AQAB\"}", "\"n\" is missing"},
      {"{\"alg\":\"RS256\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\"}", "the modulus has 24 bits"},
      {"{\"alg\":\"RS256\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\",\"oth\":[]}", "\"oth\" is not supported"},
      {"{\"alg\":\"EdDSA\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
       "\"d\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
       "do not belong together"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct jwk *key = NULL;
    struct err err = {""};
    int rc = jwk_parse(slice_str(rows[i].text), &key, &err);
    if (rc != -EINVAL || key || !strstr(err.text, rows[i].why))
      fail_msg("%s: %d \"%s\", expected \"%s\"", rows[i].text, rc, err.text, rows[i].why);
  }
}

/* A modulus of `zeros` zero bytes and `rest` others, base64url. */
static void put_modulus(struct buf *out, size_t zeros, size_t rest)
{
  struct buf number = {0};
  for (size_t i = 0; i < zeros + rest; i++)
    buf_u8(&number, i < zeros ? 0 : 0xff);
  base64url_encode(out, buf_slice(&number));
  buf_destroy(&number);
}

/* With an exponent of 1 a signature is what anybody can write down; zeros in front make no modulus longer. */
static void test_numbers_that_make_no_rsa_key(void **state)
{
  static const struct {
    size_t zeros, rest;
    const char *exponent, *why;
  } rows[] = {
      {0, 256, "AQAB", NULL},
      {1, 256, "AAEAAQ", NULL},
      {256, 0, "AQAB", "the modulus has 0 bits"},
      {253, 3, "AQAB", "the modulus has 24 bits"},
      {1, 255, "AQAB", "the modulus has 2040 bits"},
      {0, 1025, "AQAB", "the modulus has 8200 bits"},
      {0, 256, "AQ", "\"e\""},
      {0, 256, "AAAB", "\"e\""},
      {0, 256, "Ag", "\"e\""},
      {0, 256, "AA", "\"e\""},
      {0, 256, "AQAAAAAAAAAAAQ", "\"e\""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct jwk *key = NULL;
    struct err err = {""};
    struct buf text = {0};
    buf_printf(&text, "{\"alg\":\"RS256\",\"kty\":\"RSA\",\"e\":\"%s\",\"n\":\"", rows[i].exponent);
    put_modulus(&text, rows[i].zeros, rows[i].rest);
    buf_printf(&text, "\"}");
    int rc = jwk_parse(buf_slice(&text), &key, &err);
    if (rows[i].why ? rc != -EINVAL || !strstr(err.text, rows[i].why) : rc != 0)
      fail_msg("%zu: %d \"%s\"", i, rc, err.text);
    jwk_free(key);
    buf_destroy(&text);
  }
}

/* A token whose header is JSON text, signed as the key would. */
static struct buf forge(const struct jwk *key, const char *header)
{
  struct buf token = {0}, signature = {0};
  base64url_encode(&token, slice_str(header));
  buf_bytes(&token, slice_str(".e30"));
  assert_int_equal(jwk_sign(key, buf_slice(&token), &signature), 0);
  buf_u8(&token, '.');
  base64url_encode(&token, buf_slice(&signature));
  buf_destroy(&signature);
  return token;
}

static void test_headers_that_are_refused(void **state)
{
  static const char *const headers[] = {
      "{}",
      "[]",
      "7",
      "",
      "{\"alg\":\"none\"}",
      "{\"alg\":\"NONE\"}",
      "{\"alg\":\"hs256\"}",
      "{\"alg\":\"HS512\"}",
      "{\"alg\":\"RS256\"}",
      "{\"alg\":7}",
      "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
      "{\"alg\":\"HS256\",\"crit\":[]}",
      "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
      "{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/\"}",
      "{\"alg\":\"HS256\",\"x5u\":\"http://127.0.0.1:1/\"}",
      "{\"alg\":\"HS256\",\"x5c\":[\"AA\"]}",
      "{\"alg\":\"HS256\",\"b64\":false}",
      "{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}",
      "{\"alg\":\"HS256\",\"zip\":\"DEF\"}",
      "{\"alg\":\"HS256\",\"kid\":\"../../etc/passwd\"}",
      "{\"alg\":\"HS256\",\"kid\":\"\"}",
      "{\"alg\":\"HS256\",\"kid\":7}",
  };
  struct jwk *key = key_of(HS_KEY);
  struct buf fine = forge(key, "{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"JWT\",\"other\":1}");
  assert_null(judge(buf_slice(&fine), key));
  buf_destroy(&fine);
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    struct buf token = forge(key, headers[i]);
    if (!judge(buf_slice(&token), key))
      fail_msg("%s was taken", headers[i]);
    buf_destroy(&token);
  }
  jwk_free(key);
}

/* The public half as an HMAC secret: the key says what it is for, not the token. */
static void test_a_public_key_is_no_secret(void **state)
{
  struct jwk *half = key_of(ED_KEY);
  struct jwk *secret =
      key_of("{\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
  struct buf token = sign(secret, "{}");
  assert_null(judge(buf_slice(&token), secret));
  assert_string_equal(judge(buf_slice(&token), half), "the token's algorithm is not the key's");
  buf_destroy(&token);
  jwk_free(secret);
  jwk_free(half);
}

static void test_shapes_that_are_no_token(void **state)
{
  static const char *const shapes[] = {"",
                                       ".",
                                       "..",
                                       "a",
                                       "a.b",
                                       "a.b.c",
                                       "....",
                                       HS_TOKEN ".",
                                       HS_TOKEN ".e30",
                                       "." RFC_CLAIMS ".",
                                       HS_TOKEN "=",
                                       " " HS_TOKEN,
                                       HS_TOKEN "\n"};
  struct jwk *key = key_of(HS_KEY);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    if (!judge(slice_str(shapes[i]), key))
      fail_msg("\"%s\" was taken", shapes[i]);
  }
  char *huge = calloc(1, JWT_BYTES_MAX + 2);
  memset(huge, 'A', JWT_BYTES_MAX + 1);
  assert_string_equal(judge(slice_str(huge), key), "the token is too long");
  free(huge);
  jwk_free(key);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_examples_of_the_standards),
      cmocka_unit_test(test_every_algorithm_there_and_back),
      cmocka_unit_test(test_coordinates_keep_their_zeros),
      cmocka_unit_test(test_key_files_come_in_two_forms),
      cmocka_unit_test(test_what_a_key_may_do),
      cmocka_unit_test(test_what_is_no_key),
      cmocka_unit_test(test_numbers_that_make_no_rsa_key),
      cmocka_unit_test(test_headers_that_are_refused),
      cmocka_unit_test(test_a_public_key_is_no_secret),
      cmocka_unit_test(test_shapes_that_are_no_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
