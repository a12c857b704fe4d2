/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Admission by an auth server, in virtual time and over an HTTP client that does what the test says: what each answer comes
 * to, checks and their failures, grants that end, what the server is told at the end. */
#include "auth/admission.h"
#include "auth/server.h"
#include "support/oom.h"
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define WALL_S 1700000000
#define POSTS_MAX 8

/* -- time -- */

static struct timers timers;
static uint64_t now_ns;

static uint64_t now(void *ctx)
{
  return now_ns;
}

static uint64_t wall(void *ctx)
{
  return WALL_S * UINT64_C(1000000) + (now_ns - NS_PER_S) / 1000;
}

static void pass_ms(uint64_t ms)
{
  uint64_t end = now_ns + ms * NS_PER_MS;
  while (timers_next(&timers) <= end) {
    now_ns = timers_next(&timers) > now_ns ? timers_next(&timers) : now_ns;
    timers_run(&timers, now_ns);
  }
  now_ns = end;
}

static void pass(uint64_t s)
{
  pass_ms(s * 1000);
}

/* -- the HTTP client -- */

static struct wire {
  struct http_post *posts[POSTS_MAX]; /* under way, oldest first */
  char bodies[POSTS_MAX][1024];
  size_t n;
  unsigned sent, cancelled;
  bool busy;
  char last[1024]; /* the newest body */
} wire;

int http_client_new(const struct http_client_config *config, struct http_client **ret_client, struct err *ret_err)
{
  static char place;
  *ret_client = (struct http_client *)&place;
  return 0;
}

void http_client_free(struct http_client *c)
{
  assert_int_equal(wire.n, 0);
}

int http_client_post(struct http_client *c, struct http_post *p, struct slice body)
{
  assert_null(p->client);
  if (wire.busy)
    return -EBUSY;
  assert_true(wire.n < POSTS_MAX);
  p->client = c;
  wire.posts[wire.n] = p;
  snprintf(wire.bodies[wire.n], sizeof wire.bodies[0], "%.*s", SLICE_FMT(body));
  strcpy(wire.last, wire.bodies[wire.n]);
  wire.n++;
  wire.sent++;
  return 0;
}

static void forget(size_t at)
{
  wire.n--;
  for (size_t i = at; i < wire.n; i++) {
    wire.posts[i] = wire.posts[i + 1];
    memcpy(wire.bodies[i], wire.bodies[i + 1], sizeof wire.bodies[0]);
  }
}

int http_client_get(struct http_client *c, struct http_post *p)
{
  (void)c, (void)p;
  fail_msg("an auth server is posted to");
  return -EINVAL;
}

const char *http_client_url_fault(const char *url)
{
  (void)url;
  return NULL;
}

void http_post_cancel(struct http_post *p)
{
  for (size_t i = 0; p->client && i < wire.n; i++) {
    if (wire.posts[i] == p) {
      p->client = NULL;
      wire.cancelled++;
      forget(i);
    }
  }
}

/* Answers the oldest; status 0 fails it. */
static void reply(int status, const char *body)
{
  assert_true(wire.n > 0);
  struct http_post *p = wire.posts[0];
  struct http_answer a = {.status = status};
  if (status)
    a.body = slice_str(body);
  else
    a.error = body;
  p->client = NULL;
  forget(0);
  p->done(p, &a);
}

/* -- who asks -- */

struct guest {
  struct admission_ticket ticket;
  unsigned answers, overs;
  int status;
  bool leaves; /* from inside what it is told */
  char root[64], who[128], reason[128];
  size_t publish, subscribe;
  uint64_t expires;
};

static void leave(struct guest *g, const char *reason)
{
  admission_end(&g->ticket, &(struct admission_end){reason, 100, 200});
}

static void on_done(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  struct guest *g = container_of(t, struct guest, ticket);
  g->answers++;
  g->status = status;
  snprintf(g->reason, sizeof g->reason, "%s", reason ? reason : "");
  if (g->leaves)
    leave(g, "left");
  if (status != 0)
    return;
  snprintf(g->root, sizeof g->root, "%.*s", SLICE_FMT(grant->root));
  snprintf(g->who, sizeof g->who, "%s %s", grant->source, grant->subject);
  g->publish = grant->publish_count;
  g->subscribe = grant->subscribe_count;
  g->expires = grant->expires;
}

static void on_over(struct admission_ticket *t, const char *reason)
{
  struct guest *g = container_of(t, struct guest, ticket);
  g->overs++;
  snprintf(g->reason, sizeof g->reason, "%s", reason);
  if (g->leaves)
    leave(g, "left");
}

static struct admission *a;
static char logged[8192];
static unsigned idle;

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  size_t have = strlen(logged);
  snprintf(logged + have, sizeof logged - have, "%.*s\n", (int)n, line);
}

static void on_idle(void *ctx)
{
  idle++;
}

static int setup(void **state)
{
  static struct log log;
  static uint64_t seed;
  struct err err;
  now_ns = NS_PER_S;
  seed = 7;
  idle = 0;
  logged[0] = '\0';
  wire = (struct wire){0};
  log = (struct log){.level = LOG_INFO, .clock = {now, wall, NULL}, .sink = sink};
  struct auth_server_config server = {.http = {.url = "unix:x", .timers = &timers, .clock = {now, wall, NULL}},
                                      .node = "edge",
                                      .rng = rng_seeded(&seed),
                                      .log = &log,
                                      .idle = on_idle};
  struct admission_config config = {.clock = {now, wall, NULL}, .timers = &timers, .log = &log, .server = &server};
  return admission_new(&config, &a, &err);
}

static int teardown(void **state)
{
  admission_free(a);
  assert_int_equal(timers_next(&timers), TIMERS_NONE);
  return 0;
}

static void ask(struct guest *g, const char *url)
{
  *g = (struct guest){.status = -1};
  admission_ticket_init(&g->ticket, on_done, on_over);
  admission_start(a, &(struct admission_request){.transport = "quic", .url = url, .host = "h"}, &g->ticket);
}

#define ALL "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]"
#define EXPIRES(s) ",\"expires\":170000" #s /* four digits: seconds from the beginning */

static void let_in(struct guest *g, const char *grant)
{
  ask(g, "/room?jwt=secret");
  assert_int_equal(g->answers, 0);
  reply(200, grant);
  assert_int_equal(g->status, 0);
}

static void ends_with(struct guest *g, const char *told, const char *want)
{
  char text[100];
  leave(g, told);
  snprintf(text, sizeof text, "\"event\":\"end\",\"reason\":\"%s\",", want);
  if (!strstr(wire.last, text))
    fail_msg("%s: %s", want, wire.last);
  reply(204, "");
}

static bool last_is(const char *event)
{
  char text[64];
  snprintf(text, sizeof text, "\"event\":\"%s\"", event);
  return strstr(wire.last, text) != NULL;
}

/* -- the answer -- */

static void a_grant_lets_in(void **state)
{
  struct guest g;
  let_in(&g, "{\"publish\":[\"a\",\"b\"],\"subscribe\":[\"**\"],\"root\":\"x/y\",\"tier\":\"gold\"}");
  assert_string_equal(g.root, "x/y");
  assert_true(g.publish == 2 && g.subscribe == 1);
  assert_memory_equal(g.who, "server id=", 10);
  assert_non_null(strstr(g.who, " tier=gold"));
  assert_non_null(strstr(wire.last, "\"path\":\"/room\",\"query\":\"jwt=secret\""));
  pass(100000);
  assert_int_equal(wire.sent, 1); /* it wants no check */
  leave(&g, "done");
  assert_non_null(
      strstr(wire.last, "\"reason\":\"done\",\"duration\":100000.000000000,\"bytes\":{\"sent\":100,\"received\":200}"));
  assert_true(admission_busy(a));
  assert_int_equal(idle, 0);
  reply(204, "");
  assert_false(admission_busy(a));
  assert_int_equal(idle, 1);
  assert_null(strstr(logged, "secret"));
}

static void what_is_no_grant(void **state)
{
  static const struct {
    int status;
    const char *body;
    int want;
  } answers[] = {{401, "", 401},
                 {403, "no!", 401},
                 {200, "{}", 401},
                 {200, "{\"publish\":[]}", 401},
                 {200, "nonsense", 502},
                 {200, "", 502},
                 {204, "", 502},
                 {302, ALL "}", 502},
                 {404, ALL "}", 502},
                 {500, ALL "}", 502},
                 {0, "Timeout was reached", 502},
                 {200, ALL ",\"expires\":5}", 502},
                 {200, ALL ",\"revalidate\":5}", 502},
                 {200, ALL ",\"mounts\":{\"a\":\"b\"}}", 502}};
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    struct guest g;
    ask(&g, "/room?jwt=secret");
    reply(answers[i].status, answers[i].body);
    if (g.answers != 1 || g.status != answers[i].want)
      fail_msg("%d %s: %d", answers[i].status, answers[i].body, g.status);
    admission_end(&g.ticket, &(struct admission_end){.reason = "refused"});
    assert_int_equal(wire.n, 0); /* who was refused has no end */
  }
  assert_non_null(strstr(logged, "mounts, which are not supported"));
  assert_non_null(strstr(logged, "Timeout was reached"));
  assert_non_null(strstr(logged, "status 500"));
  assert_null(strstr(logged, "secret"));
}

static void who_does_not_wait(void **state)
{
  struct guest g, other;
  ask(&g, "/room");
  ask(&other, "/room");
  admission_end(&g.ticket, NULL);
  assert_int_equal(wire.n, 1);
  assert_int_equal(wire.cancelled, 1);
  reply(200, ALL "}");
  assert_true(g.answers == 0 && other.answers == 1);
  ends_with(&other, "done", "done");
}

static void too_many_at_a_time(void **state)
{
  struct guest g;
  wire.busy = true;
  ask(&g, "/room");
  assert_int_equal(g.status, 502);
  wire.busy = false;
  let_in(&g, ALL "}");
  wire.busy = true;
  leave(&g, "done"); /* lost, and the log says so */
  assert_non_null(strstr(logged, "the end of a session failed: too many requests"));
  assert_false(admission_busy(a));
}

static void what_cannot_be_asked(void **state)
{
  struct guest g;
  ask(&g, "/\xff");
  assert_int_equal(g.status, 400);
  assert_int_equal(wire.sent, 0);
}

static void who_leaves_from_inside(void **state)
{
  struct guest g;
  for (int granted = 0; granted < 2; granted++) {
    ask(&g, "/room");
    g.leaves = true;
    reply(granted ? 200 : 401, ALL EXPIRES(1000) ",\"revalidate\":10}");
    if (granted)
      reply(204, "");
  }
  let_in(&g, ALL EXPIRES(1000) ",\"revalidate\":10}");
  g.leaves = true;
  pass(10);
  reply(403, "");
  assert_int_equal(g.overs, 1);
  assert_non_null(strstr(wire.last, "\"reason\":\"refused\""));
  reply(0, "gone");
  let_in(&g, ALL EXPIRES(1000) "}");
  g.leaves = true;
  pass(1000);
  assert_int_equal(g.overs, 1);
  wire.busy = true;
  reply(204, "");
  wire.busy = false;
  let_in(&g, ALL ",\"expires\":1700002000}");
  g.leaves = true;
  wire.busy = true; /* so that the end is lost from inside */
  pass(1000);
  assert_int_equal(g.overs, 1);
}

/* -- checks -- */

static void checks_go_on(void **state)
{
  struct guest g;
  let_in(&g, ALL EXPIRES(0060) ",\"revalidate\":10}");
  assert_int_equal(g.expires, WALL_S + 60);
  for (int i = 1; i <= 20; i++) {
    char grant[200];
    pass_ms(9999);
    assert_int_equal(wire.n, 0);
    pass_ms(1);
    assert_true(wire.n == 1 && last_is("revalidate"));
    snprintf(grant, sizeof grant, ALL ",\"expires\":%d,\"revalidate\":10,\"tier\":\"t%d\"}", WALL_S + 10 * i + 60, i);
    reply(200, grant);
  }
  assert_int_equal(g.overs, 0); /* though it would have expired long since */
  assert_non_null(strstr(logged, "tier \"t19\" is now \"t20\""));
  /* an answer without times ends the checks */
  pass(10);
  reply(200, ALL "}");
  pass(100000);
  assert_true(wire.n == 0 && g.overs == 0);
  ends_with(&g, "done", "done");
}

static void checks_that_end_it(void **state)
{
  static const struct {
    int status;
    const char *body, *why, *reason;
  } answers[] = {{403, "", "refused", "the auth server has refused the session"},
                 {401, "", "refused", "the auth server has refused the session"},
                 {200, "{}", "refused", "the auth server has refused the session"},
                 {200, "{\"publish\":[\"**\"]}", "grant narrowed", "grant narrowed"},
                 {200, ALL ",\"root\":\"elsewhere\"}", "root changed", "root changed"},
                 {200, ALL ",\"peer\":true}", "peer changed", "peer changed"},
                 {200, ALL ",\"revalidate\":1}", "invalid", "the grant has revalidate without expires"},
                 {200, ALL ",\"mounts\":{\"a\":\"b\"}}", "invalid", "the grant has mounts, which are not supported"}};
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    struct guest g;
    char grant[200];
    snprintf(grant, sizeof grant, ALL ",\"expires\":%llu,\"revalidate\":5}",
             (unsigned long long)wall(NULL) / 1000000 + 60);
    let_in(&g, grant);
    pass(5);
    reply(answers[i].status, answers[i].body);
    assert_int_equal(g.overs, 1);
    assert_string_equal(g.reason, answers[i].reason);
    pass(1000);
    assert_true(wire.n == 0 && g.overs == 1);
    ends_with(&g, "unauthorized", answers[i].why);
  }
}

/* 1 s, 2 s, 4 s..., a quarter more or less, at most 60 s. */
static void failures_keep_it_until_it_expires(void **state)
{
  struct guest g;
  let_in(&g, ALL EXPIRES(1000) ",\"revalidate\":600}");
  pass(600);
  for (uint64_t wait = 1000; now_ns < 800 * NS_PER_S; wait = wait < 32000 ? 2 * wait : 60000) {
    assert_int_equal(wire.n, 1);
    reply(wait == 1000 ? 500 : 0, "down");
    assert_int_equal(g.overs, 0);
    pass_ms(wait * 3 / 4 - 1);
    assert_int_equal(wire.n, 0);
    pass_ms(wait / 2 + 2);
  }
  reply(200, "half an ans");
  pass_ms(999999 - (now_ns - NS_PER_S) / NS_PER_MS);
  assert_int_equal(g.overs, 0);
  pass_ms(1);
  assert_int_equal(g.overs, 1);
  assert_string_equal(g.reason, "the grant has expired");
  assert_int_equal(wire.n, 0); /* what was under way is not waited for */
  ends_with(&g, "unauthorized", "expired");
}

static void failures_do_not_add_up(void **state)
{
  struct guest g;
  let_in(&g, ALL EXPIRES(1000) ",\"revalidate\":4}");
  pass(4);
  for (int i = 0; i < 5; i++) {
    reply(503, "");
    pass(5); /* never longer than its own interval, and a quarter */
    assert_int_equal(wire.n, 1);
  }
  reply(200, ALL EXPIRES(1000) ",\"revalidate\":4}");
  pass(4);
  reply(503, "");
  pass_ms(1250); /* begins with 1 s again */
  assert_int_equal(wire.n, 1);
  leave(&g, "done");
  assert_true(last_is("end"));
  assert_int_equal(wire.n, 1);
  reply(500, "");
  assert_non_null(strstr(logged, "the end of a session failed, status 500"));
}

static void a_check_on_demand(void **state)
{
  struct guest g;
  let_in(&g, ALL "}");
  admission_check(&g.ticket);
  assert_true(wire.n == 1 && last_is("revalidate"));
  admission_check(&g.ticket); /* once more after that one: the answer may be older than the wish */
  admission_check(&g.ticket);
  assert_int_equal(wire.n, 1);
  reply(200, ALL "}");
  assert_int_equal(wire.n, 1);
  reply(403, "");
  assert_int_equal(wire.n, 0);
  assert_int_equal(g.overs, 1);
  admission_check(&g.ticket);
  assert_int_equal(wire.n, 0);
  ends_with(&g, "unauthorized", "refused");
  admission_check(&g.ticket);
  admission_end(&g.ticket, NULL);
  assert_int_equal(wire.n, 0);
}

static void the_server_goes_with_ends_under_way(void **state)
{
  struct guest g[3];
  for (size_t i = 0; i < 3; i++) {
    let_in(&g[i], ALL "}");
    leave(&g[i], "done");
    if (i < 2)
      reply(204, "");
  }
  assert_true(admission_busy(a)); /* and is freed all the same */
}

/* A session from its beginning to its end, as far as it comes. */
static void whole_life(struct guest *g)
{
  ask(g, "/room?jwt=secret");
  if (wire.n > 0)
    reply(200, ALL ",\"root\":\"r\",\"expires\":1700100000,\"revalidate\":10}");
  assert_int_equal(g->answers, 1);
  for (int i = 0; i < 4 && g->status == 0; i++) {
    pass(10);
    if (wire.n > 0)
      reply(200, ALL ",\"root\":\"r\",\"expires\":1700100000,\"revalidate\":10}");
  }
  assert_int_equal(g->overs, 0); /* a check for which there is no memory is one that failed */
  leave(g, "done");
  while (wire.n > 0)
    reply(204, "");
  assert_false(admission_busy(a));
}

/* A library's, by way of our own. */
static void *json_alloc(size_t n)
{
  return malloc(n);
}

static void every_allocation_fails_in_turn(void **state)
{
  long n = 0;
  unsigned let_in_all_the_same = 0, turned_away = 0;
  json_set_alloc_funcs(json_alloc, free);
  for (bool failed = true; failed; n++) {
    struct guest g;
    assert_true(n < 10000);
    oom_after(n, 1);
    whole_life(&g);
    failed = oom_end();
    if (g.status == 0)
      let_in_all_the_same++;
    else
      turned_away++;
    assert_true(g.status == 0 || g.status == 502 || g.status == 503);
  }
  assert_true(let_in_all_the_same > 10 && turned_away > 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(a_grant_lets_in),
      TEST(what_is_no_grant),
      TEST(who_does_not_wait),
      TEST(too_many_at_a_time),
      TEST(what_cannot_be_asked),
      TEST(who_leaves_from_inside),
      TEST(checks_go_on),
      TEST(checks_that_end_it),
      TEST(failures_keep_it_until_it_expires),
      TEST(failures_do_not_add_up),
      TEST(a_check_on_demand),
      TEST(every_allocation_fails_in_turn),
      TEST(the_server_goes_with_ends_under_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
