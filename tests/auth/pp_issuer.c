/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* When an issuer's directory is asked for, and what stays when it gives nothing; in virtual time. */
#include "auth/pp_issuer.h"
#include "auth/pp_header.h"
#include "pp_vectors.h"
#include <errno.h>
#include <stdio.h>

static json_t *root;

/* ---- the wire ---- */

static struct {
  struct http_post *post; /* under way */
  unsigned asked;
  char url[256];
} wire;

int http_client_new(const struct http_client_config *config, struct http_client **ret_client, struct err *ret_err)
{
  static char place;
  snprintf(wire.url, sizeof wire.url, "%s", config->url);
  *ret_client = (struct http_client *)&place;
  return 0;
}

void http_client_free(struct http_client *c)
{
  assert_null(wire.post);
}

int http_client_get(struct http_client *c, struct http_post *p)
{
  assert_null(wire.post);
  wire.post = p;
  wire.asked++;
  p->client = c;
  return 0;
}

int http_client_post(struct http_client *c, struct http_post *p, struct slice body)
{
  fail_msg("a directory is got");
  return -EINVAL;
}

const char *http_client_url_fault(const char *url)
{
  return NULL;
}

void http_post_cancel(struct http_post *p)
{
  p->client = NULL;
  wire.post = NULL;
}

static void reply(int status, const char *body, const char *cache_control)
{
  struct http_post *p = wire.post;
  struct http_answer a = {
      .status = status, .body = slice_str(body), .cache_control = cache_control, .error = status ? NULL : "lost"};
  assert_non_null(p);
  wire.post = NULL;
  p->client = NULL;
  p->done(p, &a);
}

/* ---- the world ---- */

static uint64_t now;
static struct timers timers;
static char lines[4096];

static uint64_t read_now(void *ctx)
{
  return now;
}

static uint64_t read_wall(void *ctx)
{
  return now / 1000;
}

static void keep(void *ctx, enum log_level level, const char *line, size_t n)
{
  size_t have = strlen(lines);
  snprintf(lines + have, sizeof lines - have, "%.*s\n", (int)n, line);
}

static struct log log_here;

static struct pp_issuer *begin(const char *name)
{
  static uv_loop_t loop; /* never run */
  struct pp_issuer_config config = {.name = name, .log = &log_here};
  struct pp_issuer *issuer = NULL;
  struct err err = {""};
  now = 1000 * NS_PER_S;
  wire.post = NULL;
  wire.asked = 0;
  lines[0] = '\0';
  timers = (struct timers){0};
  log_here = (struct log){.level = LOG_INFO, .clock = {read_now, read_wall, NULL}, .sink = keep};
  config.http.loop = &loop;
  config.http.timers = &timers;
  config.http.clock = log_here.clock;
  if (pp_issuer_new(&config, &issuer, &err) < 0)
    fail_msg("%s", err.text);
  return issuer;
}

static void pass(uint64_t ns)
{
  now += ns;
  timers_run(&timers, now);
}

/* A directory of one key of the vectors. */
static const char *directory(const char *which)
{
  static char text[2048];
  snprintf(text, sizeof text, "{\"token-keys\":[{\"token-type\":2,\"token-key\":\"%s\"}]}",
           pp_text(json_object_get(root, which), "spki_base64url"));
  return text;
}

static bool knows(const struct pp_issuer *issuer, const char *which)
{
  struct buf id = pp_hex(json_object_get(root, which), "token_key_id");
  bool known = pp_issuer_find(issuer, id.p) != NULL;
  buf_destroy(&id);
  return known;
}

static void test_asked_before_it_ends(void **state)
{
  struct pp_issuer *issuer = begin("issuer.example:8443");
  assert_string_equal(wire.url, "https://issuer.example:8443" PP_DIRECTORY_PATH);
  assert_null(pp_issuer_key(issuer));
  reply(200, directory("key"), "max-age=400");
  assert_true(knows(issuer, "key") && pp_issuer_key(issuer));
  pass(299 * NS_PER_S);
  assert_int_equal(wire.asked, 1);
  pass(2 * NS_PER_S);
  assert_int_equal(wire.asked, 2);
  reply(200, directory("other_key"), "");
  assert_true(knows(issuer, "other_key") && !knows(issuer, "key"));
  pp_issuer_free(issuer);
}

static void test_failures_leave_what_is_known(void **state)
{
  struct pp_issuer *issuer = begin("issuer.example");
  reply(200, directory("key"), "max-age=100");
  pass(100 * NS_PER_S);
  reply(0, "", "");
  assert_non_null(strstr(lines, "not read: lost; those that were read before stay"));
  for (int i = 0; i < 10; i++) {
    unsigned before = wire.asked;
    pass(PP_ISSUER_RETRY_MAX_NS);
    assert_int_equal(wire.asked, before + 1);
    reply(i % 2 ? 404 : 200, "{}", "");
    assert_true(knows(issuer, "key"));
  }
  pass(PP_ISSUER_RETRY_MAX_NS);
  reply(200, directory("other_key"), "");
  assert_true(knows(issuer, "other_key"));
  pp_issuer_free(issuer);
}

static void test_one_that_is_down_is_asked_again(void **state)
{
  struct pp_issuer *issuer = begin("http://127.0.0.1:8080");
  assert_string_equal(wire.url, "http://127.0.0.1:8080" PP_DIRECTORY_PATH);
  assert_true(slice_eq(pp_issuer_name(issuer), slice_str("127.0.0.1:8080")));
  reply(0, "", "");
  assert_non_null(strstr(lines, "its tokens are refused until they are"));
  pass(PP_ISSUER_RETRY_NS);
  assert_int_equal(wire.asked, 2);
  reply(200, directory("key"), "");
  assert_true(knows(issuer, "key"));
  pp_issuer_free(issuer);
}

static void test_unknown_keys_are_looked_for_seldom(void **state)
{
  struct pp_issuer *issuer = begin("issuer.example");
  reply(200, directory("key"), "");
  for (int i = 0; i < 1000; i++)
    pp_issuer_look_again(issuer);
  assert_int_equal(wire.asked, 1);
  pass(PP_ISSUER_AGAIN_NS);
  for (int i = 0; i < 1000; i++)
    pp_issuer_look_again(issuer);
  assert_int_equal(wire.asked, 2);
  pass(PP_ISSUER_AGAIN_NS);
  pp_issuer_look_again(issuer); /* while the last is still under way */
  assert_int_equal(wire.asked, 2);
  reply(200, directory("other_key"), "");
  assert_true(knows(issuer, "other_key"));
  pp_issuer_free(issuer);
}

static void test_freed_while_it_asks(void **state)
{
  struct pp_issuer *issuer = begin("issuer.example");
  assert_non_null(wire.post);
  pp_issuer_free(issuer);
  pass(1000 * NS_PER_S);
  assert_int_equal(wire.asked, 1);
}

static void test_names(void **state)
{
  static const char *const names[] = {"", "a/b", "a b", "user@host", "https://a", "a,b", "http://"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct pp_issuer_config config = {.name = names[i], .log = &log_here};
    struct pp_issuer *issuer = NULL;
    struct err err = {""};
    assert_int_equal(pp_issuer_new(&config, &issuer, &err), -EINVAL);
    assert_non_null(strstr(err.text, "privacypass.issuer: "));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_asked_before_it_ends),
      cmocka_unit_test(test_failures_leave_what_is_known),
      cmocka_unit_test(test_one_that_is_down_is_asked_again),
      cmocka_unit_test(test_unknown_keys_are_looked_for_seldom),
      cmocka_unit_test(test_freed_while_it_asks),
      cmocka_unit_test(test_names),
  };
  root = pp_vectors();
  int rc = cmocka_run_group_tests_name("issuers", tests, NULL, NULL);
  json_decref(root);
  return rc;
}
