/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Guests with an admission and a WebTransport layer that do what the test says: answers that come at once, late, never, or
 * when nobody waits any more. */
#include "relay/guest.h"
#include "support/mem_transport.h"
#include "support/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- admission ---- */

#define ASKED_MAX 8

static char ended_by[32]; /* the last session's end, as admission heard it */

struct admission {
  struct list waiting;
  unsigned asked, cancelled;
  bool now;   /* answers from inside admission_start */
  int status; /* of such answers */
  char transport[16], url[64];
  struct privacypass *pp;
};

static void answer(struct admission_ticket *t, int status)
{
  struct grant grant = {.root = slice_str("room"),
                        .source = "public",
                        .subject = "",
                        .publish = {slice_str("**")},
                        .subscribe = {slice_str("**")},
                        .publish_count = 1,
                        .subscribe_count = 1};
  list_remove(&t->link);
  t->done(t, status, status == 0 ? &grant : NULL, status == 0 ? NULL : "as the test says");
}

void admission_start(struct admission *a, const struct admission_request *request, struct admission_ticket *ticket)
{
  a->asked++;
  snprintf(a->transport, sizeof a->transport, "%s", request->transport);
  snprintf(a->url, sizeof a->url, "%s", request->url);
  list_append(&a->waiting, &ticket->link);
  if (a->now)
    answer(ticket, a->status);
}

void admission_end(struct admission_ticket *ticket, const struct admission_end *end)
{
  if (end)
    snprintf(ended_by, sizeof ended_by, "%s", end->reason);
  list_remove(&ticket->link);
}

const struct privacypass *admission_privacypass(const struct admission *a)
{
  return a->pp;
}

/* ---- WebTransport ---- */

struct wt_session {
  void *user;
  int status; /* of the answer, 0 = none yet */
  struct mem_pair *pair;
  const char *protocol;
};

static const struct wt_server_events *wt_events;
static void *wt_ctx;
static struct mem_pair *(*wt_pair)(void);

int wt_serve(struct transport *quic, struct worker *worker, const struct log *log,
             const struct wt_server_events *events, void *ctx)
{
  (void)quic, (void)worker, (void)log;
  wt_events = events;
  wt_ctx = ctx;
  return 0;
}

void wt_session_set_user(struct wt_session *s, void *user)
{
  s->user = user;
}

void *wt_session_user(struct wt_session *s)
{
  return s->user;
}

struct transport *wt_accept(struct wt_session *s, const char *protocol)
{
  assert_int_equal(s->status, 0);
  s->status = 200;
  s->protocol = protocol;
  s->pair = wt_pair();
  struct transport *t = mem_server(s->pair);
  t->kind = "webtransport";
  return t;
}

static unsigned wt_drained;

void wt_drain(struct transport *t)
{
  assert_string_equal(t->kind, "webtransport");
  wt_drained++;
}

void wt_reject(struct wt_session *s, int status)
{
  assert_int_equal(s->status, 0);
  s->status = status;
}

static char wt_asked[512];

void wt_reject_asking(struct wt_session *s, int status, struct slice www_authenticate)
{
  wt_reject(s, status);
  snprintf(wt_asked, sizeof wt_asked, "%.*s", SLICE_FMT(www_authenticate));
}

static unsigned wt_at_once;

void wt_close_at_once(struct transport *t)
{
  assert_string_equal(t->kind, "webtransport");
  wt_at_once++;
}

/* ---- the house ---- */

struct house {
  struct worker w;
  struct log log;
  uint64_t seed;
  struct model model;
  struct origin *origin;
  struct admission admission;
  struct guests guests;
  unsigned emptied;
  struct mem_pair *pairs[ASKED_MAX];
  size_t pair_n;
};

static struct house *h; /* of the test that runs */

static const char *const versions[] = {"moq-lite-06", "moq-lite-05", NULL};

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  (void)ctx, (void)level, (void)line, (void)n;
}

static void emptied(void *ctx)
{
  struct house *house = ctx;
  house->emptied++;
}

static struct mem_pair *pair_of(const char *protocol)
{
  struct mem_config config = mem_config_default();
  config.protocol = protocol;
  config.kind = "quic";
  struct mem_pair *p = mem_pair_new(&h->w.timers, &h->w.now, &config);
  h->pairs[h->pair_n++] = p;
  return p;
}

static struct mem_pair *pair_for_wt(void)
{
  return pair_of("moq-lite-06");
}

static int setup(void **state)
{
  h = calloc(1, sizeof *h);
  sim_init(&h->w);
  h->log = (struct log){.level = LOG_TRACE, .clock = h->w.clock, .sink = sink};
  model_init(&h->model, &h->w.timers, rng_seeded(&h->seed), 0, NULL, NULL);
  h->origin = origin_new(&h->model);
  list_init(&h->admission.waiting);
  h->admission.now = true;
  guests_init(&h->guests);
  h->guests.env = (struct lite_env){.model = &h->model,
                                    .origin = h->origin,
                                    .timers = &h->w.timers,
                                    .clock = h->w.clock,
                                    .now = &h->w.now,
                                    .log = &h->log};
  lite_limits_default(&h->guests.env.limits);
  h->guests.admission = &h->admission;
  h->guests.worker = &h->w;
  h->guests.log = &h->log;
  h->guests.versions = versions;
  h->guests.empty = emptied;
  h->guests.ctx = h;
  wt_pair = pair_for_wt;
  wt_events = NULL;
  guests_connection(&h->guests, mem_server(pair_of("h3"))); /* as a listener would */
  *state = h;
  return h->origin ? 0 : -1;
}

static int teardown(void **state)
{
  for (size_t i = 0; i < h->pair_n; i++) {
    struct transport *t = i == 0 ? mem_server(h->pairs[0]) : NULL;
    if (t)
      lite_transport_refuse(t, 0, "");
    mem_pair_free(h->pairs[i]);
  }
  assert_int_equal(h->guests.count, 0);
  assert_true(list_empty(&h->admission.waiting));
  origin_free(h->origin);
  model_destroy(&h->model);
  assert_int_equal(timers_next(&h->w.timers), TIMERS_NONE);
  free(h);
  return 0;
}

/* ---- clients, as little as is needed ---- */

struct client {
  struct transport *t;
  bool closed, setup_seen, goaway;
  bool hold; /* streams do not end */
  uint64_t code;
  char reason[64];
  const uint8_t *bytes;
  size_t n, sent;
};

static void client_data(struct stream *st, struct slice data, bool fin)
{
  struct client *c = st->user;
  stream_extend(st, data.n);
  if (!st->bidi)
    c->setup_seen = true;
  else if (data.n > 0 && data.p[0] == 5)
    c->goaway = true;
}

static void client_code(struct stream *st, uint64_t code) {}

static size_t client_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct client *c = st->user;
  *ret_fin = st->local && !c->hold;
  if (!st->local || c->sent == c->n)
    return 0;
  iov[0] = (struct iovec){(void *)(uintptr_t)(c->bytes + c->sent), c->n - c->sent};
  return 1;
}

static void client_sent(struct stream *st, size_t n, bool fin)
{
  struct client *c = st->user;
  c->sent += n;
}

static void client_gone(struct stream *st) {}

static const struct stream_events client_stream = {.data = client_data,
                                                   .reset = client_code,
                                                   .stopped = client_code,
                                                   .pull = client_pull,
                                                   .sent = client_sent,
                                                   .closed = client_gone};

static void client_on_stream(struct transport *t, struct stream *st)
{
  st->events = &client_stream;
  st->user = t->user;
}

static void client_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct client *c = t->user;
  c->t = NULL;
  c->closed = true;
  c->code = code;
  snprintf(c->reason, sizeof c->reason, "%.*s", SLICE_FMT(reason));
}

static const struct transport_events client_events = {.on_stream = client_on_stream, .on_closed = client_closed};

static void client_on(struct client *c, struct mem_pair *p)
{
  *c = (struct client){.t = mem_client(p)};
  c->t->events = &client_events;
  c->t->user = c;
}

/* SETUP with the path "/p?jwt=x". */
static void client_setup(struct client *c)
{
  static const uint8_t bytes[] = "\x01\x0b\x01\x02\x08/p?jwt=x";
  struct stream *st;
  c->bytes = bytes;
  c->n = sizeof bytes - 1;
  assert_int_equal(transport_open(c->t, false, &client_stream, c, ORDER_CONTROL, &st), 0);
  stream_wake(st);
}

static void run(uint64_t ms)
{
  sim_run(&h->w, ms * NS_PER_MS);
}

static struct mem_pair *quic_guest(struct client *c, const char *alpn)
{
  struct mem_pair *p = pair_of(alpn);
  client_on(c, p);
  guests_connection(&h->guests, mem_server(p));
  return p;
}

static void connect_request(struct wt_session *s, const char *const *protocols)
{
  struct wt_request request = {.authority = "host",
                               .path = "/p?jwt=x",
                               .origin = "",
                               .authorization = "",
                               .protocols = protocols,
                               .connection = mem_server(h->pairs[0])};
  wt_events->on_request(wt_ctx, s, &request);
}

static const char *const offer_06[] = {"moq-lite-06", NULL};

/* ---- raw QUIC ---- */

static void quic_is_asked_after_its_setup(void **state)
{
  static struct client c; /* events reach it until the teardown */
  quic_guest(&c, "moq-lite-06");
  run(50);
  assert_true(c.setup_seen);
  assert_int_equal(h->admission.asked, 0);
  client_setup(&c);
  run(50);
  assert_int_equal(h->admission.asked, 1);
  assert_string_equal(h->admission.transport, "quic");
  assert_string_equal(h->admission.url, "/p?jwt=x");
  assert_false(c.closed);
}

static void quic_is_refused_by_a_close_code(void **state)
{
  static const struct {
    int status;
    uint64_t code;
  } refusals[] = {{400, LITE_CLOSE_PROTOCOL},
                  {401, LITE_CLOSE_UNAUTHORIZED},
                  {403, LITE_CLOSE_UNAUTHORIZED},
                  {503, LITE_CLOSE_INTERNAL}};
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    static struct client c;
    h->admission.status = refusals[i].status;
    quic_guest(&c, "moq-lite-05");
    client_setup(&c);
    run(50);
    assert_true(c.closed);
    assert_int_equal(c.code, refusals[i].code);
    assert_int_equal(h->guests.count, 0);
    assert_int_equal(h->emptied, i + 1);
  }
}

static void a_late_answer_lets_in(void **state)
{
  static struct client c; /* events reach it until the teardown */
  h->admission.now = false;
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(3000);
  assert_int_equal(h->admission.asked, 1);
  answer(container_of(h->admission.waiting.next, struct admission_ticket, link), 0);
  run(30000);
  assert_false(c.closed);
}

static void a_late_refusal_closes(void **state)
{
  static struct client c; /* events reach it until the teardown */
  h->admission.now = false;
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(3000);
  answer(container_of(h->admission.waiting.next, struct admission_ticket, link), 401);
  run(50);
  assert_true(c.closed);
  assert_int_equal(c.code, LITE_CLOSE_UNAUTHORIZED);
  assert_string_equal(c.reason, "unauthorized");
}

static void no_answer_has_a_deadline(void **state)
{
  static struct client c; /* events reach it until the teardown */
  h->admission.now = false;
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(12000);
  assert_true(c.closed);
  assert_int_equal(c.code, LITE_CLOSE_INTERNAL);
  assert_true(list_empty(&h->admission.waiting)); /* cancelled */
}

static void a_grant_that_ends_closes(void **state)
{
  static struct client c; /* events reach it until the teardown */
  h->admission.now = false;
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(50);
  struct admission_ticket *t = container_of(h->admission.waiting.next, struct admission_ticket, link);
  answer(t, 0);
  run(1000);
  assert_false(c.closed);
  t->over(t, "enough");
  run(50);
  assert_true(c.closed);
  assert_int_equal(c.code, LITE_CLOSE_UNAUTHORIZED);
  assert_string_equal(c.reason, "enough");
  assert_string_equal(ended_by, "unauthorized");
}

static void the_end_is_told(void **state)
{
  static struct client c; /* events reach it until the teardown */
  struct mem_pair *p = quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(50);
  transport_close(mem_client(p), 0, "");
  run(50);
  assert_string_equal(ended_by, "done");
}

static void the_connection_goes_before_the_answer(void **state)
{
  static struct client c; /* events reach it until the teardown */
  h->admission.now = false;
  struct mem_pair *p = quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(50);
  assert_int_equal(h->admission.asked, 1);
  transport_close(mem_client(p), 0, "");
  run(50);
  assert_int_equal(h->guests.count, 0);
  assert_true(list_empty(&h->admission.waiting));
}

static void an_answer_to_a_session_that_closes_is_harmless(void **state)
{
  static struct client c; /* events reach it until the teardown */
  h->admission.now = false;
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(50);
  guests_close(&h->guests, LITE_CLOSE_DONE, "bye");
  answer(container_of(h->admission.waiting.next, struct admission_ticket, link), 0);
  run(50);
  assert_true(c.closed);
  assert_int_equal(c.code, LITE_CLOSE_DONE);
}

static void an_unknown_protocol_is_not_served(void **state)
{
  static struct client c; /* events reach it until the teardown */
  quic_guest(&c, "something-else");
  run(50);
  assert_true(c.closed);
  assert_int_equal(h->guests.count, 0);
}

/* ---- WebTransport ---- */

static void connect_is_asked_and_accepted(void **state)
{
  static const char *const offered[] = {"unheard-of", "moq-lite-05", "moq-lite-06", NULL};
  struct wt_session s = {0};
  static struct client c; /* events reach it until the teardown */
  connect_request(&s, offered);
  assert_int_equal(s.status, 200);
  assert_string_equal(s.protocol, "moq-lite-05"); /* the client's order counts */
  assert_string_equal(h->admission.transport, "webtransport");
  assert_string_equal(h->admission.url, "/p?jwt=x");
  client_on(&c, s.pair);
  client_setup(&c);
  run(50);
  assert_true(c.setup_seen && !c.closed);
  assert_int_equal(h->admission.asked, 1); /* once */
}

static void connect_is_refused_by_status(void **state)
{
  struct wt_session s = {0}, t = {0};
  static const char *const unknown[] = {"unheard-of", NULL};
  h->admission.status = 401;
  connect_request(&s, offer_06);
  assert_int_equal(s.status, 401);
  assert_null(s.user);
  connect_request(&t, unknown);
  assert_int_equal(t.status, 400);
  assert_int_equal(h->guests.count, 0);
}

static void connect_waits_for_its_answer(void **state)
{
  struct wt_session s = {0}, t = {0};
  h->admission.now = false;
  connect_request(&s, offer_06);
  connect_request(&t, offer_06);
  run(1000);
  assert_int_equal(s.status, 0);
  answer(container_of(h->admission.waiting.next, struct admission_ticket, link), 0);
  answer(container_of(h->admission.waiting.next, struct admission_ticket, link), 403);
  assert_int_equal(s.status, 200);
  assert_int_equal(t.status, 403);
  lite_transport_refuse(mem_client(s.pair), 0, "");
  run(50);
}

static void the_request_goes_before_the_answer(void **state)
{
  struct wt_session s = {0};
  h->admission.now = false;
  connect_request(&s, offer_06);
  wt_events->on_gone(wt_ctx, &s);
  assert_true(list_empty(&h->admission.waiting));
  assert_int_equal(h->guests.count, 0);
  assert_int_equal(h->emptied, 1);
}

/* ---- leaving ---- */

static void a_drain_asks_everybody_to_leave(void **state)
{
  static struct client c, late;
  struct wt_session waiting = {0}, after = {0};
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  run(50);
  h->admission.now = false;
  connect_request(&waiting, offer_06);
  unsigned drained = wt_drained;
  guests_goaway(&h->guests);
  run(50);
  assert_true(c.goaway && !c.closed);
  /* who was on the way gets in and hears it too */
  answer(container_of(h->admission.waiting.next, struct admission_ticket, link), 0);
  assert_int_equal(waiting.status, 200);
  client_on(&late, waiting.pair);
  client_setup(&late);
  run(50);
  assert_true(late.goaway);
  assert_int_equal(wt_drained, drained + 1); /* in WebTransport's own word as well */
  /* nobody else does */
  connect_request(&after, offer_06);
  assert_int_equal(after.status, 503);
  static struct client other;
  quic_guest(&other, "moq-lite-06");
  run(50);
  assert_true(other.closed);
  transport_close(c.t, LITE_CLOSE_DONE, "");
  run(50);
  assert_int_equal(h->emptied, 0);
  transport_close(late.t, LITE_CLOSE_DONE, "");
  run(50);
  assert_int_equal(h->emptied, 1);
}

static void the_end_of_a_drain_closes_everybody(void **state)
{
  static struct client c, silent;
  struct wt_session waiting = {0};
  quic_guest(&c, "moq-lite-06");
  client_setup(&c);
  quic_guest(&silent, "moq-lite-06");
  run(50);
  h->admission.now = false;
  connect_request(&waiting, offer_06);
  guests_close(&h->guests, LITE_CLOSE_GOAWAY_TIMEOUT, "server shutdown");
  assert_int_equal(waiting.status, 503);
  run(50);
  assert_true(c.closed && silent.closed);
  assert_int_equal(c.code, LITE_CLOSE_GOAWAY_TIMEOUT);
  assert_int_equal(h->guests.count, 0);
  assert_int_equal(h->emptied, 1);
}

/* Requests that are never whole: the relay keeps what there is of them. */
static void hoard(struct client *c, size_t requests)
{
  static uint8_t bytes[20000] = "\x02\x80\x00\x50\x00"; /* SUBSCRIBE of 20480 bytes */
  struct stream *st;
  c->bytes = bytes;
  c->n = sizeof bytes;
  for (size_t i = 0; i < requests; i++) {
    c->sent = 0;
    c->hold = true;
    assert_int_equal(transport_open(c->t, true, &client_stream, c, ORDER_CONTROL, &st), 0);
    stream_wake(st);
    run(1);
  }
}

static void those_for_whom_most_is_held_go_first(void **state)
{
  static struct client c[3];
  struct limits counts = {0};
  for (size_t i = 0; i < 3; i++) {
    quic_guest(&c[i], "moq-lite-06");
    client_setup(&c[i]);
    run(10);
  }
  size_t before = guests_memory(&h->guests);
  hoard(&c[1], 2);
  hoard(&c[2], 4);
  run(10);
  size_t more = guests_memory(&h->guests) - before;
  assert_in_range(more, 6 * 20000, 6 * 40000);
  assert_int_equal(guests_close_largest(&h->guests, 1, 1 << 20, &counts), 0); /* nobody holds as much */
  run(10);
  assert_false(c[0].closed || c[1].closed || c[2].closed);
  assert_in_range(guests_close_largest(&h->guests, 1, 10000, &counts), 4 * 20000, 4 * 40000);
  run(10);
  assert_true(c[2].closed && !c[1].closed);
  assert_int_equal(c[2].code, LITE_CLOSE_MEMORY);
  assert_true(guests_close_largest(&h->guests, 1 << 20, 10000, &counts) > 2 * 20000);
  run(10);
  assert_true(c[1].closed && !c[0].closed);
  assert_int_equal(counts.hits[LIMIT_MEMORY], 2);
  assert_true(guests_close_largest(&h->guests, 1 << 20, 0, &counts) > 0); /* whoever is left */
  run(10);
  assert_true(c[0].closed);
}

static bool always_full(void *ctx, const struct sockaddr_storage *peer)
{
  return true;
}

static void no_room_for_another_session(void **state)
{
  struct wt_session request = {0};
  h->guests.full = always_full;
  connect_request(&request, offer_06);
  assert_int_equal(request.status, 503);
  assert_int_equal(h->admission.asked, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(quic_is_asked_after_its_setup),
      TEST(quic_is_refused_by_a_close_code),
      TEST(a_late_answer_lets_in),
      TEST(a_late_refusal_closes),
      TEST(no_answer_has_a_deadline),
      TEST(a_grant_that_ends_closes),
      TEST(the_end_is_told),
      TEST(the_connection_goes_before_the_answer),
      TEST(an_answer_to_a_session_that_closes_is_harmless),
      TEST(an_unknown_protocol_is_not_served),
      TEST(connect_is_asked_and_accepted),
      TEST(connect_is_refused_by_status),
      TEST(connect_waits_for_its_answer),
      TEST(the_request_goes_before_the_answer),
      TEST(a_drain_asks_everybody_to_leave),
      TEST(the_end_of_a_drain_closes_everybody),
      TEST(those_for_whom_most_is_held_go_first),
      TEST(no_room_for_another_session),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
