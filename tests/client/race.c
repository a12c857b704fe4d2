/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Dialling several addresses, in virtual time: hosts that answer and hosts that never do. */
#include "client/race.h"
#include "quic_pair.h"
#include "net/quic_impl.h"
#include <arpa/inet.h>
#include <errno.h>

#define STAGGER (250 * NS_PER_MS)
#define TIMEOUT (10 * NS_PER_S)
#define SILENT "10.0.0.99"

static const char *const lite06[] = {"moq-lite-06", NULL};
static const char *const other[] = {"moq-lite-05", NULL};

/* ---- order ---- */

static void order(const char *families, const char *want)
{
  struct addrinfo list[32] = {0};
  const struct addrinfo *out[RACE_ADDRESSES_MAX];
  size_t n = strlen(families);
  for (size_t i = 0; i < n; i++) {
    list[i].ai_family = families[i] == '6' ? AF_INET6 : AF_INET;
    list[i].ai_next = i + 1 < n ? &list[i + 1] : NULL;
  }
  assert_int_equal(race_order(list, out), strlen(want));
  for (size_t i = 0; want[i]; i++)
    assert_ptr_equal(out[i], &list[want[i] - 'a']);
}

static void families_take_turns(void **state)
{
  order("6", "a");
  order("4466", "acbd");
  order("66644", "adbec");
  order("6664", "adbc");
  order("44444444444444444444", "abcdefghijklmnop");
}

/* ---- racing ---- */

struct lab {
  struct pair pair;
  struct race race;
  struct transport *won;
  bool lost;
  int rc;
  char text[256];
  struct addrinfo list[4];
  struct sockaddr_in addresses[4];
};

static void closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct lab *l = t->user;
  l->won = NULL;
}

static const struct transport_events events = {.on_closed = closed};

static void on_connection(void *ctx, struct transport *t)
{
  struct lab *l = ctx;
  race_won(&l->race, t);
  t->events = &events;
  t->user = l;
  assert_null(l->won);
  l->won = t;
}

static void lost(void *ctx, int rc, const char *text)
{
  struct lab *l = ctx;
  assert_false(l->lost);
  l->lost = true;
  l->rc = rc;
  snprintf(l->text, sizeof l->text, "%s", text);
}

static void lab_init(struct lab *l)
{
  struct quic_limits limits = pair_limits();
  struct err err;
  *l = (struct lab){0};
  pair_init_sim(&l->pair, 1);
  pair_server(&l->pair, &limits, lite06, NULL);
  struct quic_endpoint_config config = {.worker = &l->pair.worker,
                                        .rng = rng_seeded(&l->pair.seed),
                                        .limits = limits,
                                        .on_connection = on_connection,
                                        .ctx = l};
  if (quic_endpoint_new_on(&config, sim_udp_new(&l->pair.net, 50, 1000), &l->pair.client.ep, &err) < 0)
    fail_msg("%s", err.text);
  race_init(&l->race);
  l->race.worker = &l->pair.worker;
  l->race.endpoint = l->pair.client.ep;
  l->race.stagger_ns = STAGGER;
  l->race.timeout_ns = TIMEOUT;
  l->race.lost = lost;
  l->race.ctx = l;
}

/* hosts: 's' is the server, 'x' nobody. */
static void lab_start(struct lab *l, const char *hosts, const char *const *alpn)
{
  struct tls_client_config tls = {.insecure = true};
  struct err err;
  const struct sockaddr_in *server = (const struct sockaddr_in *)quic_endpoint_address(l->pair.server.ep);
  size_t n = strlen(hosts);
  for (size_t i = 0; i < n; i++) {
    l->addresses[i] = *server;
    if (hosts[i] == 'x')
      inet_pton(AF_INET, SILENT, &l->addresses[i].sin_addr);
    l->list[i] = (struct addrinfo){.ai_family = AF_INET,
                                   .ai_addr = (struct sockaddr *)&l->addresses[i],
                                   .ai_addrlen = sizeof l->addresses[i],
                                   .ai_next = i + 1 < n ? &l->list[i + 1] : NULL};
  }
  assert_int_equal(tls_client_new(&tls, &l->pair.pinned, &err), 0);
  struct quic_dial dial = {.host = "localhost", .alpn = alpn, .tls = l->pair.pinned};
  race_start(&l->race, l->list, &dial);
}

static uint64_t now_of(const struct lab *l)
{
  return clock_now(&l->pair.worker.clock);
}

static void lab_destroy(struct lab *l)
{
  race_cancel(&l->race);
  pair_destroy(&l->pair);
  assert_true(list_empty(&l->race.attempts));
}

static void the_first_answers(void **state)
{
  struct lab l;
  lab_init(&l);
  uint64_t began = now_of(&l);
  lab_start(&l, "sx", lite06);
  RUN_UNTIL(&l.pair, l.won);
  assert_true(now_of(&l) - began < STAGGER);
  assert_int_equal(l.race.next, 1);
  lab_destroy(&l);
}

static void a_silent_one_costs_one_stagger(void **state)
{
  struct lab l;
  lab_init(&l);
  uint64_t began = now_of(&l);
  lab_start(&l, "xs", lite06);
  RUN_UNTIL(&l.pair, l.won);
  assert_true(now_of(&l) - began >= STAGGER);
  assert_true(now_of(&l) - began < 2 * STAGGER);
  RUN_UNTIL(&l.pair, quic_endpoint_connections(l.pair.client.ep) == 1); /* the loser goes */
  assert_false(l.lost);
  lab_destroy(&l);
}

static void a_failure_costs_no_stagger(void **state)
{
  struct lab l;
  lab_init(&l);
  uint64_t began = now_of(&l);
  lab_start(&l, "sss", other);
  RUN_UNTIL(&l.pair, l.lost);
  assert_true(now_of(&l) - began < STAGGER);
  assert_int_equal(l.rc, -EPROTONOSUPPORT);
  assert_int_equal(l.race.next, 3);
  lab_destroy(&l);
}

static void all_are_silent(void **state)
{
  struct lab l;
  lab_init(&l);
  uint64_t began = now_of(&l);
  lab_start(&l, "xxx", lite06);
  RUN_UNTIL(&l.pair, l.lost);
  assert_true(now_of(&l) - began >= TIMEOUT - NS_PER_MS);
  assert_int_equal(l.rc, -ETIMEDOUT);
  assert_non_null(strstr(l.text, "no answer"));
  assert_int_equal(quic_endpoint_connections(l.pair.client.ep), 0);
  lab_destroy(&l);
}

static void an_answer_tells_more_than_silence(void **state)
{
  struct lab l;
  lab_init(&l);
  lab_start(&l, "xsx", other);
  RUN_UNTIL(&l.pair, l.lost);
  assert_int_equal(l.rc, -EPROTONOSUPPORT);
  lab_destroy(&l);
}

static void cancelled_says_nothing(void **state)
{
  struct lab l;
  lab_init(&l);
  lab_start(&l, "xx", lite06);
  uint64_t until = now_of(&l) + 2 * STAGGER;
  RUN_UNTIL(&l.pair, now_of(&l) >= until || list_empty(&l.pair.net.packets));
  race_cancel(&l.race);
  RUN_UNTIL(&l.pair, quic_endpoint_connections(l.pair.client.ep) == 0);
  assert_false(l.lost);
  assert_null(l.won);
  lab_destroy(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(families_take_turns),
      cmocka_unit_test(the_first_answers),
      cmocka_unit_test(a_silent_one_costs_one_stagger),
      cmocka_unit_test(a_failure_costs_no_stagger),
      cmocka_unit_test(all_are_silent),
      cmocka_unit_test(an_answer_tells_more_than_silence),
      cmocka_unit_test(cancelled_says_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
