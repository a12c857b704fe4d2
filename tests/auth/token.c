/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Admission by token: keys in a file and in a directory, times, tokens beside the public rules, keys that change. */
#include "auth/admission.h"
#include "auth/jwt.h"
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WALL_S 1700000000

static char dir[] = "/tmp/moq-auth-XXXXXX";
static uint64_t now_ns = NS_PER_S, wall_s = WALL_S;
static struct timers timers;

static uint64_t now(void *ctx)
{
  return now_ns;
}

static uint64_t wall(void *ctx)
{
  return wall_s * 1000000;
}

static const char *in_dir(const char *name)
{
  static char path[2][512];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
  return path[turn];
}

static void write_file(const char *name, const char *text)
{
  FILE *f = fopen(in_dir(name), "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

/* A new key in a file of that name (unless NULL), for signing. */
static struct jwk *make_key(const char *name, const char *kid, const char *scope)
{
  struct buf text = {0};
  struct jwk *key;
  struct err err;
  assert_int_equal(jwk_generate(&(struct jwk_new){.alg = JWK_HS256, .kid = kid, .scope = scope}, &text, NULL), 0);
  buf_u8(&text, '\0');
  if (name)
    write_file(name, (const char *)text.p);
  assert_int_equal(jwk_parse(slice_str((const char *)text.p), &key, &err), 0);
  buf_destroy(&text);
  return key;
}

static struct admission *admission_of(const char *key, const char *key_dir, const char *public, uint64_t leeway)
{
  struct admission *a;
  struct err err = {""};
  struct admission_config config = {.publish = &public,
                                    .subscribe = &public,
                                    .publish_count = public ? 1 : 0,
                                    .subscribe_count = public ? 1 : 0,
                                    .key = key,
                                    .key_dir = key_dir,
                                    .leeway_s = leeway,
                                    .clock = {now, wall, NULL},
                                    .timers = &timers};
  if (admission_new(&config, &a, &err) < 0)
    fail_msg("%s", err.text);
  return a;
}

struct asked {
  struct admission_ticket ticket;
  int status;
  size_t publish, subscribe;
  uint64_t expires;
  char who[512]; /* source and subject, or the reason */
};

static void on_done(struct admission_ticket *t, int status, const struct grant *g, const char *reason)
{
  struct asked *a = container_of(t, struct asked, ticket);
  a->status = status;
  if (g) {
    a->publish = g->publish_count;
    a->subscribe = g->subscribe_count;
    a->expires = g->expires;
  }
  snprintf(a->who, sizeof a->who, "%s%s%s", g ? g->source : reason, g ? " " : "", g ? g->subject : "");
}

static struct asked ask(struct admission *a, const char *url, const char *bearer)
{
  struct asked q = {.status = -1};
  admission_ticket_init(&q.ticket, on_done, NULL);
  admission_start(a, &(struct admission_request){.transport = "quic", .url = url, .host = "", .bearer = bearer},
                  &q.ticket);
  admission_end(&q.ticket, NULL);
  return q;
}

/* The URL of a path with a token for these claims. */
static const char *url_of(const char *path, const struct jwk *key, const char *claims)
{
  static char url[2 * JWT_BYTES_MAX];
  struct buf token = {0};
  assert_int_equal(jwt_sign(key, slice_str(claims), &token), 0);
  snprintf(url, sizeof url, "%s?jwt=%.*s", path, (int)token.n, (const char *)token.p);
  buf_destroy(&token);
  return url;
}

static void refused(struct admission *a, const char *url, const char *why)
{
  struct asked q = ask(a, url, NULL);
  if (q.status != 401 || strcmp(q.who, why) != 0)
    fail_msg("%.60s: %d \"%s\", expected \"%s\"", url, q.status, q.who, why);
}

static void test_a_key_file(void **state)
{
  struct jwk *key = make_key("root.jwk", NULL, NULL), *other = make_key(NULL, NULL, NULL);
  struct admission *a = admission_of(in_dir("root.jwk"), NULL, "anon", 0);
  struct asked q =
      ask(a, url_of("/room/1", key, "{\"root\":\"room\",\"put\":\"1\",\"get\":\"\",\"sub\":\"me\"}"), NULL);
  assert_int_equal(q.status, 0);
  assert_true(q.publish == 1 && q.subscribe == 1 && q.expires == 0);
  assert_string_equal(q.who, "jwt sub=me");
  refused(a, url_of("/other", key, "{\"root\":\"room\",\"get\":\"\"}"), "the token is for other paths");
  refused(a, url_of("/room", key, "{\"root\":\"room\"}"), "the token grants nothing");
  refused(a, url_of("/room", key, "{\"root\":7}"), "root is not a path");
  /* never the public rules, whatever the token */
  refused(a, url_of("/anon", other, "{\"get\":\"\"}"), "the token's signature is wrong");
  refused(a, url_of("/anon", key, "{\"root\":\"room\",\"get\":\"\"}"), "the token is for other paths");
  refused(a, "/anon?jwt=x", "the token is malformed");
  refused(a, "/room", "a token was expected");
  assert_string_equal(ask(a, "/anon", NULL).who, "public ");
  assert_string_equal(ask(a, "/anon?jwt=", NULL).who, "public ");
  admission_free(a);
  jwk_free(key);
  jwk_free(other);
}

static void test_where_the_token_is(void **state)
{
  struct jwk *key = make_key("root.jwk", NULL, NULL);
  struct admission *a = admission_of(in_dir("root.jwk"), NULL, NULL, 0);
  char url[JWT_BYTES_MAX], twice[2 * JWT_BYTES_MAX];
  snprintf(url, sizeof url, "%s", url_of("/r", key, "{\"root\":\"r\",\"get\":\"\"}"));
  const char *token = strchr(url, '=') + 1;
  assert_int_equal(ask(a, "/r", token).status, 0);
  assert_int_equal(ask(a, url, token).status, 0);
  snprintf(twice, sizeof twice, "%s&x=y&jwt=%s&jwt=", url, token);
  assert_int_equal(ask(a, twice, NULL).status, 0);
  snprintf(twice, sizeof twice, "%s&jwt=%sA", url, token);
  refused(a, twice, "two tokens that differ");
  assert_string_equal(ask(a, url, "other").who, "two tokens that differ");
  snprintf(twice, sizeof twice, "/r?x=1&jwt=%s", token);
  assert_int_equal(ask(a, twice, NULL).status, 0);
  snprintf(twice, sizeof twice, "/r?xjwt=%s", token);
  refused(a, twice, "a token was expected");
  admission_free(a);
  jwk_free(key);
}

static void test_times(void **state)
{
  struct jwk *key = make_key("root.jwk", NULL, NULL);
  for (uint64_t leeway = 0; leeway <= 60; leeway += 60) {
    struct admission *a = admission_of(in_dir("root.jwk"), NULL, NULL, leeway);
    char claims[100];
    for (int64_t off = -70; off <= 70; off += 10) {
      snprintf(claims, sizeof claims, "{\"get\":\"\",\"exp\":%lld}", (long long)(WALL_S + off));
      struct asked q = ask(a, url_of("/r", key, claims), NULL);
      assert_int_equal(q.status, off + (int64_t)leeway > 0 ? 0 : 401);
      assert_true(q.status ? strcmp(q.who, "the token has expired") == 0
                           : q.expires == WALL_S + (uint64_t)off + leeway);
      snprintf(claims, sizeof claims, "{\"get\":\"\",\"nbf\":%lld}", (long long)(WALL_S + off));
      q = ask(a, url_of("/r", key, claims), NULL);
      assert_int_equal(q.status, off <= (int64_t)leeway ? 0 : 401);
    }
    refused(a, url_of("/r", key, "{\"get\":\"\",\"exp\":-9223372036854775808}"), "the token has expired");
    assert_int_equal(ask(a, url_of("/r", key, "{\"get\":\"\",\"exp\":9223372036854775807}"), NULL).status, 0);
    admission_free(a);
  }
  jwk_free(key);
}

static unsigned overs;

static void count_over(struct admission_ticket *t, const char *reason)
{
  assert_string_equal(reason, "the token has expired");
  overs++;
}

static void pass(uint64_t s)
{
  for (uint64_t i = 0; i < s; i++) {
    now_ns += NS_PER_S;
    wall_s++;
    timers_run(&timers, now_ns);
  }
}

/* A grant is over with its token, also when the clock is set meanwhile, and once. */
static void test_the_end_of_a_grant(void **state)
{
  struct jwk *key = make_key("root.jwk", NULL, NULL);
  struct admission *a = admission_of(in_dir("root.jwk"), NULL, NULL, 0);
  struct asked q[2];
  char claims[100];
  snprintf(claims, sizeof claims, "{\"get\":\"\",\"exp\":%llu}", (unsigned long long)wall_s + 1000);
  for (int i = 0; i < 2; i++) {
    q[i].status = -1;
    admission_ticket_init(&q[i].ticket, on_done, count_over);
    admission_start(a, &(struct admission_request){.transport = "quic", .url = url_of("/r", key, claims), .host = ""},
                    &q[i].ticket);
    assert_int_equal(q[i].status, 0);
  }
  overs = 0;
  admission_end(&q[1].ticket, NULL); /* that session has left */
  pass(599);
  wall_s -= 100;
  pass(500);
  assert_int_equal(overs, 0);
  pass(1);
  assert_int_equal(overs, 1);
  pass(2000);
  assert_int_equal(overs, 1);
  admission_end(&q[0].ticket, &(struct admission_end){.reason = "unauthorized"});
  assert_int_equal(timers_next(&timers), TIMERS_NONE);
  admission_free(a);
  jwk_free(key);
}

static void test_a_directory(void **state)
{
  struct jwk *one = make_key("one.jwk", "one", NULL), *two = make_key("two.jwk", "two", NULL),
             *loose = make_key(NULL, NULL, NULL), *gone = make_key(NULL, "gone", NULL);
  struct admission *a = admission_of(NULL, dir, NULL, 0);
  assert_string_equal(ask(a, url_of("/r", one, "{\"get\":\"\"}"), NULL).who, "jwt kid=one");
  assert_string_equal(ask(a, url_of("/r", two, "{\"get\":\"\",\"sub\":\"me\"}"), NULL).who, "jwt kid=two sub=me");
  refused(a, url_of("/r", loose, "{\"get\":\"\"}"), "the token names no key");
  refused(a, url_of("/r", gone, "{\"get\":\"\"}"), "the token's key is not known");
  /* a key that goes takes its tokens with it, one that comes is found */
  char from[512], to[512];
  snprintf(from, sizeof from, "%s", in_dir("one.jwk"));
  snprintf(to, sizeof to, "%s", in_dir("gone.jwk"));
  assert_int_equal(rename(from, to), 0);
  now_ns += 2 * NS_PER_S;
  refused(a, url_of("/r", one, "{\"get\":\"\"}"), "the token's key is not known");
  refused(a, url_of("/r", gone, "{\"get\":\"\"}"), "the token's signature is wrong");
  admission_free(a);
  jwk_free(one);
  jwk_free(two);
  jwk_free(loose);
  jwk_free(gone);
}

static void test_a_key_that_changes(void **state)
{
  struct jwk *old = make_key("root.jwk", NULL, NULL);
  struct admission *a = admission_of(in_dir("root.jwk"), NULL, NULL, 0);
  assert_int_equal(ask(a, url_of("/r", old, "{\"get\":\"\"}"), NULL).status, 0);
  struct jwk *new = make_key("root.jwk", NULL, NULL);
  assert_int_equal(ask(a, url_of("/r", old, "{\"get\":\"\"}"), NULL).status, 0); /* not looked at again yet */
  now_ns += 2 * NS_PER_S;
  assert_int_equal(ask(a, url_of("/r", new, "{\"get\":\"\"}"), NULL).status, 0);
  refused(a, url_of("/r", old, "{\"get\":\"\"}"), "the token's signature is wrong");
  /* what cannot be used leaves the key that was */
  write_file("root.jwk", "half a k");
  now_ns += 2 * NS_PER_S;
  assert_int_equal(ask(a, url_of("/r", new, "{\"get\":\"\"}"), NULL).status, 0);
  assert_int_equal(unlink(in_dir("root.jwk")), 0);
  now_ns += 2 * NS_PER_S;
  assert_int_equal(ask(a, url_of("/r", new, "{\"get\":\"\"}"), NULL).status, 0);
  admission_free(a);
  jwk_free(old);
  jwk_free(new);
}

static void test_the_scope_of_a_key(void **state)
{
  struct jwk *key = make_key("root.jwk", NULL, "{\"root\":\"room\",\"get\":\"\"}");
  struct admission *a = admission_of(in_dir("root.jwk"), NULL, NULL, 0);
  assert_int_equal(ask(a, url_of("/room", key, "{\"root\":\"room/1\",\"get\":\"\"}"), NULL).status, 0);
  refused(a, url_of("/room", key, "{\"root\":\"room\",\"put\":\"\"}"), "the token grants more than its key may");
  refused(a, url_of("/room", key, "{\"get\":\"\"}"), "the token grants more than its key may");
  admission_free(a);
  jwk_free(key);
}

static void bad_start(const char *key, const char *key_dir, int rc, const char *why)
{
  struct admission *a = NULL;
  struct err err = {""};
  struct admission_config config = {.key = key, .key_dir = key_dir, .clock = {now, wall, NULL}};
  assert_int_equal(admission_new(&config, &a, &err), rc);
  assert_null(a);
  if (!strstr(err.text, why) || !strstr(err.text, key ? key : key_dir))
    fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void test_what_cannot_start(void **state)
{
  write_file("bad.jwk", "{}");
  bad_start(in_dir("bad.jwk"), NULL, -EINVAL, "not a usable key: \"alg\"");
  bad_start(in_dir("none.jwk"), NULL, -ENOENT, "No such file");
  bad_start(dir, NULL, -EINVAL, "not a file");
  bad_start(NULL, in_dir("none"), -ENOENT, "No such file");
  bad_start(NULL, in_dir("bad.jwk"), -ENOTDIR, "not a directory");
}

static int begin(void **state)
{
  return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
  DIR *d = opendir(dir);
  for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
    unlink(in_dir(e->d_name));
  if (d)
    closedir(d);
  return rmdir(dir);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_key_file),
      cmocka_unit_test(test_where_the_token_is),
      cmocka_unit_test(test_times),
      cmocka_unit_test(test_the_end_of_a_grant),
      cmocka_unit_test(test_a_directory),
      cmocka_unit_test(test_a_key_that_changes),
      cmocka_unit_test(test_the_scope_of_a_key),
      cmocka_unit_test(test_what_cannot_start),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
