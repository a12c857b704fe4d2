/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules, keys and tokens without memory: an error, never a shorter list, nobody let in. */
#include "auth/admission.h"
#include "auth/jwt.h"
#include "support/oom.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void every_allocation_may_fail(void **state)
{
  static const char *const prefixes[] = {"a", "b/**", "c"};
  struct admission_config config = {
      .publish = prefixes, .publish_count = 3, .subscribe = prefixes, .subscribe_count = 2};
  bool failed = true;
  long n = 0;
  (void)state;
  for (; failed; n++) {
    struct admission *a = NULL;
    struct err err = {""};
    assert_true(n < 100);
    oom_after(n, 1);
    int rc = admission_new(&config, &a, &err);
    failed = oom_end();
    assert_int_equal(rc, failed ? -ENOMEM : 0);
    assert_true((rc == 0) == (err.text[0] == '\0'));
    admission_free(a);
  }
  assert_true(n > 5);
}

static const char key_text[] =
    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"own\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}";

struct asked {
  struct admission_ticket ticket;
  int status;
  bool answered;
};

static void done(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  struct asked *a = container_of(t, struct asked, ticket);
  a->status = status;
  a->answered = true;
  assert_true(status == 0 ? grant->publish_count == 1 : reason[0] != '\0');
}

static void make_token(struct buf *out)
{
  struct jwk *key;
  struct err err;
  assert_int_equal(jwk_parse(slice_str(key_text), &key, &err), 0);
  assert_int_equal(jwt_sign(key, slice_str("{\"root\":\"room\",\"put\":\"\",\"sub\":\"me\"}"), out), 0);
  jwk_free(key);
}

/* True when an allocation failed. */
static bool asked_with(const char *path, const char *token, long n)
{
  struct admission_config config = {.key = path, .clock = clock_system()};
  struct sockaddr_storage peer = {0};
  struct admission_request request = {.transport = "quic", .url = "/room", .host = "", .bearer = token, .peer = &peer};
  struct asked asked = {.ticket.done = done};
  struct admission *a = NULL;
  struct err err = {""};
  list_init(&asked.ticket.link);
  oom_after(n, 1);
  int rc = admission_new(&config, &a, &err);
  if (rc == 0)
    admission_start(a, &request, &asked.ticket);
  bool failed = oom_end();
  assert_true(rc == 0 ? asked.answered : err.text[0] != '\0');
  assert_true(failed || (rc == 0 && asked.status == 0));
  assert_true(!failed || rc < 0 || asked.status != 0);
  admission_free(a);
  return failed;
}

static void a_key_and_a_token(void **state)
{
  char path[] = "/tmp/moq-auth-oom-XXXXXX";
  struct buf token = {0};
  int fd = mkstemp(path);
  long n = 0;
  (void)state;
  assert_true(fd >= 0);
  assert_int_equal(write(fd, key_text, strlen(key_text)), strlen(key_text));
  close(fd);
  make_token(&token);
  buf_u8(&token, 0);
  while (asked_with(path, (const char *)token.p, n))
    assert_true(++n < 200);
  assert_true(n > 5);
  buf_destroy(&token);
  unlink(path);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(a_key_and_a_token)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
