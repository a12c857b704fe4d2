/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an auth server answers and what it is told: grants of every kind, and the JSON of the three events. */
#include "auth/server_grant.h"
#include "auth/server_request.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define WALL 1700000000

/* "root / publish / subscribe / expires / revalidate / tier / peer" */
static void text_of(const struct server_grant *g, char *out, size_t n)
{
  size_t at = (size_t)snprintf(out, n, "%s /", g->root);
  for (size_t i = 0; i < g->publish_count; i++)
    at += (size_t)snprintf(out + at, n - at, " %s", g->publish[i]);
  at += (size_t)snprintf(out + at, n - at, " /");
  for (size_t i = 0; i < g->subscribe_count; i++)
    at += (size_t)snprintf(out + at, n - at, " %s", g->subscribe[i]);
  snprintf(out + at, n - at, " / %llu / %llu / %s / %d", (unsigned long long)g->expires,
           (unsigned long long)g->revalidate_s, g->tier, g->peer);
}

static const struct row {
  const char *body;
  int rc;
  const char *text; /* the grant, or why there is none */
} rows[] = {
    {"{\"publish\":[\"alice/**\"],\"subscribe\":[\"**\"]}", 0, "a/b / alice/** / ** / 0 / 0 /  / 0"},
    {"{\"subscribe\":[\"x\",\"*/chat\",\"\"]}", 0, "a/b / / x */chat  / 0 / 0 /  / 0"},
    {"{\"publish\":[\"**\"],\"root\":\"/other//place/\"}", 0, "other/place / ** / / 0 / 0 /  / 0"},
    {"{\"publish\":[\"**\"],\"root\":\"\"}", 0, " / ** / / 0 / 0 /  / 0"},
    {"{\"publish\":[\"**\"],\"root\":null,\"expires\":null,\"mounts\":null,\"peer\":null,\"tier\":null}", 0,
     "a/b / ** / / 0 / 0 /  / 0"},
    {"{\"publish\":[\"**\"],\"expires\":1700000001,\"revalidate\":60,\"tier\":\"gold\",\"peer\":true}", 0,
     "a/b / ** / / 1700000001 / 60 / gold / 1"},
    {"{\"publish\":[\"**\"],\"tier\":\"a \\\"b\\u0001\"}", 0, "a/b / ** / / 0 / 0 / a__b_ / 0"},
    {"{\"publish\":[\"**\"],\"unheard\":[1,2],\"mounts\":{}}", 0, "a/b / ** / / 0 / 0 /  / 0"},
    {"{\"publish\":[\"**\"],\"expires\":9223372036854775807,\"revalidate\":9223372036854775807}", 0,
     "a/b / ** / / 9223372036854775807 / 9223372036854775807 /  / 0"},
    {"{}", -EPERM, "grants nothing"},
    {"{\"publish\":[],\"subscribe\":[]}", -EPERM, "grants nothing"},
    {"{\"publish\":[],\"expires\":1}", -EPERM, "grants nothing"},
    {"", -EINVAL, "not JSON"},
    {"{\"publish\":[\"**\"]", -EINVAL, "not JSON"},
    {"{\"publish\":[\"**\"]} x", -EINVAL, "not JSON"},
    {"{\"publish\":[\"**\"],\"publish\":[]}", -EINVAL, "not JSON"},
    {"[\"**\"]", -EINVAL, "not a JSON object"},
    {"{\"publish\":\"**\"}", -EINVAL, "not a list"},
    {"{\"publish\":[7]}", -EINVAL, "malformed pattern"},
    {"{\"publish\":[\"a/**/b/**\"]}", -EINVAL, "malformed pattern"},
    {"{\"publish\":[\"a\\u0000b\"]}", -EINVAL, "not JSON"},
    {"{\"publish\":[\"**\"],\"root\":7}", -EINVAL, "root is not a path"},
    {"{\"publish\":[\"**\"],\"expires\":\"1700000001\"}", -EINVAL, "whole number"},
    {"{\"publish\":[\"**\"],\"expires\":1700000001.5}", -EINVAL, "whole number"},
    {"{\"publish\":[\"**\"],\"peer\":1}", -EINVAL, "wrong type"},
    {"{\"publish\":[\"**\"],\"tier\":1}", -EINVAL, "wrong type"},
    {"{\"publish\":[\"**\"],\"mounts\":[]}", -EINVAL, "wrong type"},
    {"{\"publish\":[\"**\"],\"mounts\":{\".svc\":\".svc/pid\"}}", -ENOTSUP, "mounts, which are not supported"},
    {"{\"publish\":[\"**\"],\"revalidate\":5}", -ENOTSUP, "revalidate without expires"},
    {"{\"publish\":[\"**\"],\"expires\":1700000001,\"revalidate\":0}", -ENOTSUP, "in the past, or zero"},
    {"{\"publish\":[\"**\"],\"expires\":1700000000}", -ENOTSUP, "expired already"},
    {"{\"publish\":[\"**\"],\"expires\":-1}", -ENOTSUP, "in the past, or zero"},
};

static int parse(const char *body, struct server_grant *ret, const char **ret_why)
{
  return server_grant_parse(slice_str(body), slice_str("a/b"), WALL, ret, ret_why);
}

static void grants_of_every_kind(void **state)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct server_grant g = {0};
    const char *why = "";
    char text[500] = "";
    int rc = parse(rows[i].body, &g, &why);
    if (rc == 0)
      text_of(&g, text, sizeof text);
    if (rc != rows[i].rc || (rc == 0 ? strcmp(text, rows[i].text) != 0 : !strstr(why, rows[i].text)))
      fail_msg("%s: %d \"%s\", expected %d \"%s\"", rows[i].body, rc, rc ? why : text, rows[i].rc, rows[i].text);
    server_grant_destroy(&g);
  }
}

/* Every text that a grant begins with is none, and is read without a fault. */
static void half_a_grant(void **state)
{
  const char *whole = rows[5].body;
  for (size_t n = 0; n < strlen(whole); n++) {
    struct server_grant g;
    const char *why = "";
    assert_int_equal(server_grant_parse(slice_of(whole, n), slice_str(""), WALL, &g, &why), -EINVAL);
  }
}

static void too_many_patterns(void **state)
{
  struct buf b = {0};
  struct server_grant g;
  const char *why = "";
  buf_printf(&b, "{\"publish\":[\"p\"");
  for (int i = 0; i < GRANT_PATTERNS_MAX; i++)
    buf_printf(&b, ",\"p%d\"", i);
  buf_printf(&b, "]}");
  assert_int_equal(server_grant_parse(buf_slice(&b), slice_str(""), WALL, &g, &why), -ENOTSUP);
  assert_non_null(strstr(why, "too many"));
  buf_destroy(&b);
}

static void what_changes(void **state)
{
  static const struct {
    const char *held, *fresh, *change;
  } changes[] = {
      {"{\"publish\":[\"a\"]}", "{\"publish\":[\"a\"]}", NULL},
      {"{\"publish\":[\"a/b\"]}", "{\"publish\":[\"x\",\"a/**\"]}", NULL},
      {"{\"publish\":[\"a\"]}", "{\"publish\":[\"a\"],\"tier\":\"x\",\"expires\":1700000009}", NULL},
      {"{\"publish\":[\"a\"]}", "{\"publish\":[\"a\"],\"root\":\"a/b\"}", NULL},
      {"{\"publish\":[\"a/**\"]}", "{\"publish\":[\"a/b\"]}", "grant narrowed"},
      {"{\"publish\":[\"a\",\"b\"]}", "{\"publish\":[\"a\"]}", "grant narrowed"},
      {"{\"publish\":[\"a\"]}", "{\"subscribe\":[\"a\"]}", "grant narrowed"},
      {"{\"publish\":[\"a\"],\"subscribe\":[\"**\"]}", "{\"publish\":[\"a\"]}", "grant narrowed"},
      {"{\"publish\":[\"a\"]}", "{\"publish\":[\"a\"],\"root\":\"c\"}", "root changed"},
      {"{\"publish\":[\"a\"]}", "{\"publish\":[\"a\"],\"peer\":true}", "peer changed"},
  };
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    struct server_grant held, fresh;
    const char *why;
    assert_int_equal(parse(changes[i].held, &held, &why), 0);
    assert_int_equal(parse(changes[i].fresh, &fresh, &why), 0);
    const char *change = server_grant_change(&held, &fresh);
    if (!change != !changes[i].change || (change && strcmp(change, changes[i].change) != 0))
      fail_msg("%s, then %s: \"%s\"", changes[i].held, changes[i].fresh, change ? change : "(none)");
    server_grant_destroy(&held);
    server_grant_destroy(&fresh);
  }
}

/* -- requests -- */

static struct sockaddr_storage address(const char *host, uint16_t port)
{
  struct sockaddr_storage a = {0};
  struct sockaddr_in *v4 = (void *)&a;
  struct sockaddr_in6 *v6 = (void *)&a;
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
  } else {
    assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
  }
  return a;
}

static void told(const struct admission_request *r, const char *want)
{
  struct buf facts = {0}, body = {0};
  assert_int_equal(server_facts(r, "edge", &facts), 0);
  server_body(SERVER_CONNECT, "00ff", buf_slice(&facts), NULL, 0, &body);
  if (!slice_eq(buf_slice(&body), slice_str(want)))
    fail_msg("%.*s\nexpected %s", (int)body.n, (const char *)body.p, want);
  buf_destroy(&facts);
  buf_destroy(&body);
}

#define HEAD "{\"id\":\"00ff\",\"event\":\"connect\",\"node\":\"edge\","

static void what_a_server_is_told(void **state)
{
  struct sockaddr_storage peer = address("203.0.113.9", 4433), local = address("::1", 443),
                          mapped = address("::ffff:192.0.2.7", 1);
  told(&(struct admission_request){.transport = "quic",
                                   .url = "/demo//room/?jwt=a%20b&x",
                                   .host = "relay.example",
                                   .alpn = "moq-lite-05",
                                   .role = "publisher",
                                   .peer = &peer,
                                   .local = &local},
       HEAD "\"transport\":\"quic\",\"remote\":\"203.0.113.9:4433\",\"local\":\"[::1]:443\",\"server_name\":"
            "\"relay.example\",\"alpn\":\"moq-lite-05\",\"path\":\"/demo//room/\",\"query\":\"jwt=a%20b&x\",\"role\":"
            "\"publisher\"}");
  told(&(struct admission_request){.transport = "webtransport", .url = "", .host = "[::1]:4443", .peer = &mapped},
       HEAD "\"transport\":\"quic\",\"remote\":\"192.0.2.7:1\",\"server_name\":\"::1\",\"path\":\"/\"}");
  told(
      &(struct admission_request){
          .transport = "http", .url = "room \"1\"?", .query = "a=b", .host = "h:80", .bearer = "\xfb\xff"},
      HEAD "\"transport\":\"http\",\"server_name\":\"h\",\"path\":\"/room \\\"1\\\"?\",\"query\":\"a=b\",\"token\":{"
           "\"kind\":0,\"value\":\"-_8\"}}");
}

static void what_is_not_text(void **state)
{
  static const struct admission_request odd[] = {{.transport = "quic", .url = "/\xff", .host = ""},
                                                 {.transport = "quic", .url = "/a?\xc0\x80", .host = ""},
                                                 {.transport = "quic", .url = "/a", .host = "\xff"}};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    struct buf facts = {0};
    assert_int_equal(server_facts(&odd[i], "", &facts), -EINVAL);
    buf_destroy(&facts);
  }
}

static void how_a_session_ended(void **state)
{
  struct buf body = {0};
  struct admission_end end = {"done", 10, 20};
  server_body(SERVER_END, "00ff", slice_str("\"node\":\"\"}"), &end, 1500000001, &body);
  assert_true(slice_eq(buf_slice(&body),
                       slice_str("{\"id\":\"00ff\",\"event\":\"end\",\"reason\":\"done\",\"duration\":1.500000001,"
                                 "\"bytes\":{\"sent\":10,\"received\":20},\"node\":\"\"}")));
  buf_destroy(&body);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(grants_of_every_kind),  cmocka_unit_test(half_a_grant),
      cmocka_unit_test(too_many_patterns),     cmocka_unit_test(what_changes),
      cmocka_unit_test(what_a_server_is_told), cmocka_unit_test(what_is_not_text),
      cmocka_unit_test(how_a_session_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
