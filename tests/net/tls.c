/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/tls.h"
#include <errno.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW 1800000000ULL
#define DAY 86400ULL

static const char *const hosts[] = {"relay.example", "127.0.0.1", "::1"};

static struct tls_server *generated(uint64_t now)
{
  struct tls_server_config config = {.generate = hosts, .generate_count = 3};
  struct tls_server *tls;
  struct err err;
  if (tls_server_new(&config, now, &tls, &err) != 0)
    fail_msg("%s", err.text);
  return tls;
}

static gnutls_x509_crt_t leaf_of(gnutls_certificate_credentials_t credentials, unsigned index)
{
  gnutls_x509_crt_t *chain;
  unsigned n;
  assert_int_equal(gnutls_certificate_get_x509_crt(credentials, index, &chain, &n), 0);
  gnutls_x509_crt_t leaf = chain[0];
  for (unsigned i = 1; i < n; i++)
    gnutls_x509_crt_deinit(chain[i]);
  gnutls_free(chain);
  return leaf;
}

/* What browsers ask of a certificate that is named by its hash, and what people ask of one for
 * their host. */
static void generated_certificate(void **state)
{
  (void)state;
  struct tls_server *tls = generated(NOW);
  gnutls_x509_crt_t crt = leaf_of(tls_server_credentials(tls), 0);
  uint64_t from = (uint64_t)gnutls_x509_crt_get_activation_time(crt);
  uint64_t to = (uint64_t)gnutls_x509_crt_get_expiration_time(crt);
  unsigned bits;
  assert_int_equal(from, NOW - DAY);
  assert_true(to - from <= 14 * DAY && to - from > 13 * DAY);
  assert_int_equal(tls_server_renew_at(tls), to - DAY);
  assert_int_equal(gnutls_x509_crt_get_pk_algorithm(crt, &bits), GNUTLS_PK_ECDSA);
  assert_int_equal(bits, 256);
  for (size_t i = 0; i < 3; i++)
    assert_true(gnutls_x509_crt_check_hostname(crt, hosts[i]));
  assert_false(gnutls_x509_crt_check_hostname(crt, "other.example"));
  assert_false(gnutls_x509_crt_check_hostname(crt, "127.0.0.2"));

  uint8_t digest[32];
  size_t n = sizeof digest;
  char hex[65], text[65];
  assert_int_equal(gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, digest, &n), 0);
  for (size_t i = 0; i < n; i++)
    snprintf(text + 2 * i, 3, "%02x", digest[i]);
  tls_server_fingerprint(tls, hex);
  assert_string_equal(hex, text);
  gnutls_x509_crt_deinit(crt);
  tls_server_free(tls);
}

static void write_file(const char *path, const gnutls_datum_t *d)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(d->data, 1, d->size, f), d->size);
  assert_int_equal(fclose(f), 0);
}

struct files {
  char dir[64], cert[96], key[96];
};

/* A self-signed pair in PEM files. */
static void make_files(struct files *f, const char *name)
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t crt;
  gnutls_datum_t pem;
  strcpy(f->dir, "/tmp/moq-tls-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->cert, sizeof f->cert, "%s/cert.pem", f->dir);
  snprintf(f->key, sizeof f->key, "%s/key.pem", f->dir);
  gnutls_x509_privkey_init(&key);
  gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_x509_crt_init(&crt);
  gnutls_x509_crt_set_version(crt, 3);
  gnutls_x509_crt_set_serial(crt, "1", 1);
  gnutls_x509_crt_set_activation_time(crt, NOW);
  gnutls_x509_crt_set_expiration_time(crt, NOW + DAY);
  gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_SET);
  gnutls_x509_crt_set_key(crt, key);
  assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
  assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
  write_file(f->cert, &pem);
  gnutls_free(pem.data);
  assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
  write_file(f->key, &pem);
  gnutls_free(pem.data);
  gnutls_x509_crt_deinit(crt);
  gnutls_x509_privkey_deinit(key);
}

static void remove_files(const struct files *f)
{
  unlink(f->cert);
  unlink(f->key);
  rmdir(f->dir);
}

static void chosen_by_name(void **state)
{
  struct files one, two;
  struct tls_server *tls;
  struct err err;
  (void)state;
  make_files(&one, "one.example");
  make_files(&two, "*.two.example");
  const char *const certs[] = {one.cert, two.cert}, *const keys[] = {one.key, two.key};
  struct tls_server_config config = {.cert = certs, .key = keys, .pairs = 2, .generate = hosts, .generate_count = 1};
  if (tls_server_new(&config, NOW, &tls, &err) != 0)
    fail_msg("%s", err.text);
  static const struct {
    const char *host, *named;
  } cases[] = {{"one.example", "one.example"},
               {"a.two.example", "x.two.example"},
               {"relay.example", "relay.example"},
               {"unknown.example", "one.example"},
               {"", "one.example"},
               {NULL, "one.example"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    gnutls_x509_crt_t crt = leaf_of(tls_server_credentials_for(tls, cases[i].host), 0);
    assert_true(gnutls_x509_crt_check_hostname(crt, cases[i].named));
    gnutls_x509_crt_deinit(crt);
  }
  for (unsigned i = 0; i < 3; i++) /* the joint set has all of them */
    gnutls_x509_crt_deinit(leaf_of(tls_server_credentials(tls), i));
  tls_server_free(tls);
  remove_files(&one);
  remove_files(&two);
}

static void reload(void **state)
{
  struct err err;
  char before[65], after[65];
  (void)state;
  struct tls_server *tls = generated(NOW);
  gnutls_certificate_credentials_t old = tls_server_credentials(tls);
  tls_server_fingerprint(tls, before);
  assert_int_equal(tls_server_reload(tls, NOW + 12 * DAY, &err), 0);
  tls_server_fingerprint(tls, after);
  assert_string_not_equal(before, after);
  assert_true(tls_server_renew_at(tls) > NOW + 12 * DAY);
  gnutls_x509_crt_deinit(leaf_of(old, 0)); /* handshakes that began with it can go on */
  assert_int_equal(tls_server_reload(tls, NOW + 13 * DAY, &err), 0);
  assert_int_equal(tls_server_reload(tls, NOW + 14 * DAY, &err), 0);
  tls_server_free(tls);
}

static void failed_reload_keeps_the_old(void **state)
{
  struct files f;
  struct tls_server *tls;
  struct err err;
  char before[65], after[65];
  (void)state;
  make_files(&f, "one.example");
  const char *const certs[] = {f.cert}, *const keys[] = {f.key};
  struct tls_server_config config = {.cert = certs, .key = keys, .pairs = 1};
  assert_int_equal(tls_server_new(&config, NOW, &tls, &err), 0);
  assert_true(tls_server_renew_at(tls) == UINT64_MAX);
  tls_server_fingerprint(tls, before);
  remove_files(&f);
  assert_int_equal(tls_server_reload(tls, NOW, &err), -ENOENT);
  assert_non_null(strstr(err.text, f.cert));
  tls_server_fingerprint(tls, after);
  assert_string_equal(before, after);
  tls_server_free(tls);
}

static void bad_files(void **state)
{
  struct files one, two;
  struct tls_server *tls;
  struct err err;
  (void)state;
  make_files(&one, "one.example");
  make_files(&two, "two.example");
  const struct {
    const char *cert, *key, *text;
    int rc;
  } cases[] = {{"/nonexistent/cert.pem", one.key, "/nonexistent/cert.pem", -ENOENT},
               {one.cert, "/nonexistent/key.pem", "/nonexistent/key.pem", -ENOENT},
               {one.key, one.key, one.key, -EINVAL},
               {one.cert, one.cert, one.cert, -EINVAL},
               {one.cert, two.key, "does not belong", -EINVAL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *const certs[] = {cases[i].cert}, *const keys[] = {cases[i].key};
    struct tls_server_config config = {.cert = certs, .key = keys, .pairs = 1};
    assert_int_equal(tls_server_new(&config, NOW, &tls, &err), cases[i].rc);
    assert_non_null(strstr(err.text, cases[i].text));
  }
  struct tls_server_config nothing = {0};
  assert_int_equal(tls_server_new(&nothing, NOW, &tls, &err), -EINVAL);
  remove_files(&one);
  remove_files(&two);
}

static void client_configuration(void **state)
{
  static const char *const bad_pin[] = {"abcd"}, *const no_file[] = {"/nonexistent/roots.pem"};
  struct tls_client *tls;
  struct err err;
  (void)state;
  struct tls_client_config config = {.fingerprints = bad_pin, .fingerprint_count = 1};
  assert_int_equal(tls_client_new(&config, &tls, &err), -EINVAL);
  config = (struct tls_client_config){.roots = no_file, .root_count = 1};
  assert_int_equal(tls_client_new(&config, &tls, &err), -ENOENT);
  assert_non_null(strstr(err.text, no_file[0]));
  config = (struct tls_client_config){.insecure = true};
  assert_int_equal(tls_client_new(&config, &tls, &err), 0);
  tls_client_free(tls);
  tls_client_free(NULL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(generated_certificate),
      cmocka_unit_test(chosen_by_name),
      cmocka_unit_test(reload),
      cmocka_unit_test(failed_reload_keeps_the_old),
      cmocka_unit_test(bad_files),
      cmocka_unit_test(client_configuration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
