/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What tokens prove, and for how long. */
#include "net/quic_impl.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW_US 1800000000000000ULL

struct fixture {
  struct worker worker;
  struct quic_endpoint ep;
  uint64_t wall_us;
  union udp_addr peer, other;
  ngtcp2_pkt_hd hd;
  ngtcp2_cid odcid;
  uint8_t token[256];
};

static uint64_t wall(void *ctx)
{
  return ((struct fixture *)ctx)->wall_us;
}

static void setup(struct fixture *f, const char *secret)
{
  *f = (struct fixture){.wall_us = NOW_US};
  f->worker.clock = (struct clock){NULL, wall, f};
  f->ep.config.worker = &f->worker;
  memcpy(f->ep.config.secret, secret, strlen(secret));
  f->peer.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(5000)};
  inet_pton(AF_INET, "192.0.2.1", &f->peer.v4.sin_addr);
  f->other = f->peer;
  inet_pton(AF_INET, "192.0.2.2", &f->other.v4.sin_addr);
  f->hd.version = NGTCP2_PROTO_VER_V1;
  f->hd.token = f->token;
  ngtcp2_cid_init(&f->hd.dcid, (const uint8_t *)"retryscid", 9);
  ngtcp2_cid_init(&f->odcid, (const uint8_t *)"first dcid", 10);
  assert_int_equal(quic_keys_derive(&f->ep), 0);
}

static void make_retry(struct fixture *f)
{
  ngtcp2_ssize n =
      ngtcp2_crypto_generate_retry_token2(f->token, f->ep.retry_key, sizeof f->ep.retry_key, f->hd.version, &f->peer.sa,
                                          udp_addr_len(&f->peer), &f->hd.dcid, &f->odcid, f->wall_us * 1000);
  assert_true(n > 0);
  f->hd.tokenlen = (size_t)n;
}

static void make_regular(struct fixture *f)
{
  ngtcp2_ssize n = ngtcp2_crypto_generate_regular_token(f->token, f->ep.token_key, sizeof f->ep.token_key, &f->peer.sa,
                                                        udp_addr_len(&f->peer), f->wall_us * 1000);
  assert_true(n > 0);
  f->hd.tokenlen = (size_t)n;
}

static enum quic_token check(struct fixture *f, const union udp_addr *peer)
{
  ngtcp2_cid odcid = {0};
  enum quic_token t = quic_token_check(&f->ep, &f->hd, peer, &odcid);
  if (t == QUIC_TOKEN_RETRY)
    assert_true(ngtcp2_cid_eq(&odcid, &f->odcid));
  return t;
}

static void retry_token(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f, "secret");
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_NONE);
  make_retry(&f);
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_RETRY);
  assert_int_equal(check(&f, &f.other), QUIC_TOKEN_BAD);
  f.hd.dcid.data[0] ^= 1; /* an ID that we did not give out with it */
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_BAD);
  f.hd.dcid.data[0] ^= 1;
  for (size_t i = 1; i < f.hd.tokenlen; i++) {
    f.token[i] ^= 1;
    assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_BAD);
    f.token[i] ^= 1;
  }
  size_t whole = f.hd.tokenlen;
  for (f.hd.tokenlen = 1; f.hd.tokenlen < whole; f.hd.tokenlen++)
    assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_BAD);
  f.wall_us += QUIC_RETRY_LIFETIME_NS / 1000 + 1000000;
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_BAD);
}

static void regular_token(void **state)
{
  struct fixture f, restarted;
  (void)state;
  setup(&f, "secret");
  make_regular(&f);
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_REGULAR);
  f.peer.v4.sin_port = htons(6000); /* the next connection has another port */
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_REGULAR);
  assert_int_equal(check(&f, &f.other), QUIC_TOKEN_NONE);
  setup(&restarted, "secret");
  restarted.hd = f.hd;
  restarted.hd.token = f.token;
  assert_int_equal(check(&restarted, &f.peer), QUIC_TOKEN_REGULAR);
  setup(&restarted, "another secret");
  restarted.hd = f.hd;
  assert_int_equal(check(&restarted, &f.peer), QUIC_TOKEN_NONE);
  f.wall_us += QUIC_NEW_TOKEN_LIFETIME_NS / 1000 + 1000000;
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_NONE);
}

static void unknown_token(void **state)
{
  struct fixture f;
  (void)state;
  setup(&f, "secret");
  memset(f.token, 0x11, sizeof f.token);
  f.hd.tokenlen = 100;
  assert_int_equal(check(&f, &f.peer), QUIC_TOKEN_NONE);
}

static void reset_tokens(void **state)
{
  struct fixture f, g;
  uint8_t a[16], b[16];
  (void)state;
  setup(&f, "secret");
  setup(&g, "secret");
  assert_int_equal(quic_reset_token(&f.ep, &f.odcid, a), 0);
  assert_int_equal(quic_reset_token(&g.ep, &f.odcid, b), 0);
  assert_memory_equal(a, b, 16); /* no memory needed, only the secret */
  assert_int_equal(quic_reset_token(&f.ep, &f.hd.dcid, b), 0);
  assert_memory_not_equal(a, b, 16);
  setup(&g, "another");
  assert_int_equal(quic_reset_token(&g.ep, &f.odcid, b), 0);
  assert_memory_not_equal(a, b, 16);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(retry_token),
      cmocka_unit_test(regular_token),
      cmocka_unit_test(unknown_token),
      cmocka_unit_test(reset_tokens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
