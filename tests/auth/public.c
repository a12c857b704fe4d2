/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Public rules: who is granted what where. Rows of the table of compatible path rules that need no
 * token, with the semantics of today's relay: dialling below a prefix grants all there, above it
 * grants the prefix. */
#include "auth/admission.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct asked {
  struct admission_ticket ticket;
  int answers, status;
  char text[4096]; /* "root / subscribe,subscribe / publish", each prefix in brackets */
  char reason[100];
};

static void put_prefixes(char *out, const struct slice *v, size_t n)
{
  for (size_t i = 0; i < n; i++)
    sprintf(out + strlen(out), "[%.*s]", SLICE_FMT(v[i]));
}

static void on_done(struct admission_ticket *t, int status, const struct grant *g, const char *reason)
{
  struct asked *a = container_of(t, struct asked, ticket);
  a->answers++;
  a->status = status;
  a->text[0] = '\0';
  snprintf(a->reason, sizeof a->reason, "%s", reason ? reason : "");
  if (status != 0) {
    assert_null(g);
    return;
  }
  sprintf(a->text, "%.*s / ", SLICE_FMT(g->root));
  put_prefixes(a->text, g->subscribe, g->subscribe_count);
  strcat(a->text, " / ");
  put_prefixes(a->text, g->publish, g->publish_count);
}

static struct admission *rules(const char *const *publish, const char *const *subscribe)
{
  struct admission *a;
  struct err err = {""};
  struct admission_config config = {.publish = publish, .subscribe = subscribe};
  while (publish && publish[config.publish_count])
    config.publish_count++;
  while (subscribe && subscribe[config.subscribe_count])
    config.subscribe_count++;
  if (admission_new(&config, &a, &err) < 0)
    fail_msg("%s", err.text);
  return a;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define BOTH(...) rules(LIST(__VA_ARGS__), LIST(__VA_ARGS__))

static void ask(struct admission *a, struct asked *q, const struct admission_request *request)
{
  *q = (struct asked){.status = -1};
  admission_ticket_init(&q->ticket, on_done, NULL);
  admission_start(a, request, &q->ticket);
  assert_int_equal(q->answers, 1);
  admission_end(&q->ticket, NULL); /* fine after the answer */
}

static void granted(struct admission *a, const char *url, const char *want)
{
  struct asked q;
  ask(a, &q, &(struct admission_request){.transport = "webtransport", .url = url, .host = "h"});
  if (q.status != 0 || strcmp(q.text, want) != 0)
    fail_msg("\"%s\": status %d (%s), \"%s\", expected \"%s\"", url, q.status, q.reason, q.text, want);
}

static void refused(struct admission *a, const char *url, int status)
{
  struct asked q;
  ask(a, &q, &(struct admission_request){.transport = "webtransport", .url = url, .host = "h"});
  if (q.status != status)
    fail_msg("\"%s\": status %d, \"%s\", expected %d", url, q.status, q.text, status);
  assert_true(q.reason[0] != '\0');
}

/* Rows 1 to 5. */
static void a_prefix(void **state)
{
  struct admission *a = BOTH("anon");
  (void)state;
  granted(a, "/anon", "anon / [**] / [**]");
  granted(a, "/anon/room/1", "anon/room/1 / [**] / [**]");
  refused(a, "/anonymous", 401);
  refused(a, "/ano", 401);
  granted(a, "/", " / [anon/**] / [anon/**]");
  granted(a, "", " / [anon/**] / [anon/**]");
  refused(a, "/x", 401);
  refused(a, "/room/anon", 401);
  admission_free(a);
  a = rules(LIST(), LIST());
  refused(a, "/x", 401);
  refused(a, "/", 401);
  admission_free(a);
}

/* Rows 6, 7 and 27: a raw QUIC session has no path. */
static void everything(void **state)
{
  static const char *const spellings[] = {"", "**", "/", "/**", "//"};
  (void)state;
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
    struct admission *a = BOTH(spellings[i]);
    granted(a, "/any/path", "any/path / [**] / [**]");
    granted(a, "/", " / [**] / [**]");
    granted(a, "", " / [**] / [**]");
    admission_free(a);
  }
}

/* Rows 8 and 9: a token is refused where none is expected, never ignored. */
static void tokens(void **state)
{
  struct admission *a = BOTH("anon", "");
  (void)state;
  refused(a, "/anon?jwt=eyJhbGciOiJIUzI1NiJ9.e30.AAAA", 401);
  refused(a, "/anon?jwt=garbage", 401);
  refused(a, "/anon?x=y&jwt=garbage", 401);
  refused(a, "?jwt=garbage", 401);
  granted(a, "/anon?jwt=", "anon / [**] / [**]");
  granted(a, "/anon?jwt=&x=y", "anon / [**] / [**]");
  granted(a, "/anon?notjwt=x", "anon / [**] / [**]");
  granted(a, "/anon?x=jwt=y", "anon / [**] / [**]");
  granted(a, "/anon?", "anon / [**] / [**]");
  admission_free(a);
}

static void slashes_are_normalised(void **state)
{
  static const char *const spellings[] = {"room/1", "/room/1", "room/1/", "//room//1//", "room/1/**", "/room/1/**"};
  (void)state;
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
    struct admission *a = BOTH(spellings[i]);
    granted(a, "/room/1", "room/1 / [**] / [**]");
    granted(a, "//room//1//", "room/1 / [**] / [**]");
    granted(a, "room/1/x", "room/1/x / [**] / [**]");
    granted(a, "/room", "room / [1/**] / [1/**]");
    refused(a, "/room/12", 401);
    admission_free(a);
  }
}

/* The table form: what may be watched and what may be published differ. */
static void lists_that_differ(void **state)
{
  struct admission *a = rules(LIST("up"), LIST("up/a", "down", "up/b/c"));
  (void)state;
  granted(a, "/up", "up / [a/**][b/c/**] / [**]");
  granted(a, "/up/a", "up/a / [**] / [**]");
  granted(a, "/up/b", "up/b / [c/**] / [**]");
  granted(a, "/up/z", "up/z /  / [**]");
  granted(a, "/down/x", "down/x / [**] / ");
  granted(a, "/", " / [up/a/**][down/**][up/b/c/**] / [up/**]");
  refused(a, "/other", 401);
  admission_free(a);
}

static void patterns(void **state)
{
  struct admission *a = rules(LIST("rooms/*/chat", "me"), LIST("**/public", "cam-*"));
  (void)state;
  granted(a, "/", " / [**/public][cam-*] / [rooms/*/chat][me/**]");
  granted(a, "/rooms/1", "rooms/1 / [**/public] / [chat]");
  granted(a, "/rooms/1/public", "rooms/1/public / [**/public][] / ");
  granted(a, "/cam-3", "cam-3 / [**/public][] / ");
  granted(a, "/me", "me / [**/public] / [**]");
  admission_free(a);
}

static void bad_paths(void **state)
{
  struct admission *a = BOTH("");
  char deep[200] = "", longest[2000];
  (void)state;
  for (int i = 0; i < 40; i++)
    strcat(deep, "/p");
  refused(a, deep, 400);
  memset(longest, 'a', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  refused(a, longest, 400);
  admission_free(a);
}

static void a_path_and_a_query_apart(void **state)
{
  struct admission *a = BOTH("why?");
  struct asked q;
  (void)state;
  ask(a, &q, &(struct admission_request){.transport = "http", .url = "/why?/x", .query = ""});
  assert_int_equal(q.status, 0);
  assert_string_equal(q.text, "why?/x / [**] / [**]");
  ask(a, &q, &(struct admission_request){.transport = "http", .url = "/why?jwt=x", .query = ""});
  assert_int_equal(q.status, 401);
  assert_string_equal(q.reason, "the path is not public");
  ask(a, &q, &(struct admission_request){.transport = "http", .url = "/why?", .query = "jwt=x"});
  assert_int_equal(q.status, 401);
  assert_string_equal(q.reason, "authentication is disabled");
  admission_free(a);
}

static void bad_rule(const char *text)
{
  struct admission *a = NULL;
  struct err err = {""};
  const char *const list[] = {"fine", text};
  struct admission_config config = {.subscribe = list, .subscribe_count = 2};
  assert_int_equal(admission_new(&config, &a, &err), -EINVAL);
  assert_null(a);
  if (!strstr(err.text, text))
    fail_msg("\"%s\" is not in: %s", text, err.text);
}

static void bad_rules(void **state)
{
  (void)state;
  bad_rule("a**");
  bad_rule("***");
  bad_rule("a/**/b/**");
}

static void too_many_rules(void **state)
{
  const char *list[GRANT_PATTERNS_MAX + 1];
  struct admission *a = NULL;
  struct err err = {""};
  (void)state;
  for (size_t i = 0; i < GRANT_PATTERNS_MAX + 1; i++)
    list[i] = "a";
  struct admission_config config = {.publish = list, .publish_count = GRANT_PATTERNS_MAX};
  assert_int_equal(admission_new(&config, &a, &err), 0);
  admission_free(a);
  a = NULL;
  config.publish_count++;
  assert_int_equal(admission_new(&config, &a, &err), -E2BIG);
  assert_null(a);
  assert_non_null(strstr(err.text, "64"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_prefix),
      cmocka_unit_test(everything),
      cmocka_unit_test(tokens),
      cmocka_unit_test(slashes_are_normalised),
      cmocka_unit_test(lists_that_differ),
      cmocka_unit_test(patterns),
      cmocka_unit_test(bad_paths),
      cmocka_unit_test(a_path_and_a_query_apart),
      cmocka_unit_test(bad_rules),
      cmocka_unit_test(too_many_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
