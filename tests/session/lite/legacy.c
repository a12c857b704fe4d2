/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The SETUP exchange of moq-lite 01 and 02, byte for byte, in its three framings. */
#include "lab.h"
#include <string.h>

struct stage {
  struct lab lab;
  struct node relay;
  struct raw peer;
  struct end end;
};

static void stage_up(struct stage *st, const struct mem_config *config)
{
  lab_init(&st->lab);
  node_init(&st->relay, &st->lab);
  raw_join(&st->peer, &st->lab, &st->relay, config, LITE_02, &st->end);
}

static void stage_down(struct stage *st)
{
  lab_destroy(&st->lab);
  node_destroy(&st->relay);
}

#define OF_01 "\xc0\x00\x00\x00\xff\x0d\xad\x01"
#define OF_02 "\xc0\x00\x00\x00\xff\x0d\xad\x02"
#define OF_MOQT_14 "\xc0\x00\x00\x00\xff\x00\x00\x0e"
#define GREASE "\xc0\x00\x00\x00\x4a\x4a\x4a\x4a"
#define BYTES(s) s, sizeof(s) - 1

struct exchange {
  const char *name, *says;
  size_t says_n;
  const char *hears;
  size_t hears_n;
  enum lite_version picks;
};

static const struct exchange exchanges[] = {
    {"today", BYTES("\x20\x00\x1a\x03" OF_02 OF_01 OF_MOQT_14 "\x00"), BYTES("\x21\x00\x09" OF_02 "\x00"), LITE_02},
    {"the client's order decides", BYTES("\x20\x00\x12\x02" OF_01 OF_02 "\x00"), BYTES("\x21\x00\x09" OF_01 "\x00"),
     LITE_01},
    /* id 2 = 5, id 7 = "x", and two that mean nothing: an even one with a number, an odd one with bytes */
    {"parameters and versions that mean nothing",
     BYTES("\x20\x00\x27\x03" GREASE OF_MOQT_14 OF_02 "\x04\x02\x05\x07\x01x\x4a\x4a\x07\x4a\x4b\x02\xff\xff"),
     BYTES("\x21\x00\x09" OF_02 "\x00"), LITE_02},
    {"before moq-transport 11", BYTES("\x40\x40\x12\x02" OF_02 OF_01 "\x00"), BYTES("\x40\x41\x09" OF_02 "\x00"),
     LITE_02},
    /* all values have a length there */
    {"its parameters", BYTES("\x40\x40\x40\x1d\x02" GREASE OF_01 "\x03\x01\x02/a\x02\x01\x05\x2a\x02zz"),
     BYTES("\x40\x41\x09" OF_01 "\x00"), LITE_01},
    {"oldest", BYTES("\x00\x0a\x01" OF_01 "\x00"), BYTES("\x09" OF_01 "\x00"), LITE_01},
    {"a parameter that is no number", BYTES("\x00\x0f\x01" OF_02 "\x01\x02\x03zzz"), NULL, 0, LITE_02},
};

static void exchange(const struct exchange *x, const struct mem_config *config)
{
  struct stage st;
  stage_up(&st, config);
  struct raw_stream *s = raw_open(&st.peer, true);
  raw_write(s, x->says, x->says_n, false);
  lab_run(&st.lab, 10 * LAB_WAIT_MS); /* a byte a turn takes its time */
  if (x->hears) {
    assert_int_equal(s->in_n, x->hears_n);
    assert_memory_equal(s->in, x->hears, x->hears_n);
    assert_true(st.end.setup && !st.end.closed && !s->fin);
    assert_int_equal(lite_session_version(st.end.session), x->picks);
    st.peer.version = x->picks;
    (void)raw_expect(raw_announce_request(&st.peer, ""), LITE_ANNOUNCE_INIT);
    raw_write(s, "\x01\x05", 2, false); /* SESSION_INFO */
    lab_run(&st.lab, 20);
    assert_false(st.end.closed);
    raw_fin(s);
    lab_run(&st.lab, 20);
    assert_int_equal(st.end.code, LITE_CLOSE_DONE);
  } else {
    assert_int_equal(st.end.code, LITE_CLOSE_PROTOCOL);
  }
  assert_true(st.end.closed);
  stage_down(&st);
}

static void every_framing_is_answered_in_kind(void **state)
{
  for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++)
    exchange(&exchanges[i], NULL);
}

static void a_byte_at_a_time(void **state)
{
  struct mem_config config = mem_config_default();
  config.segment = 1;
  for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++)
    exchange(&exchanges[i], &config);
}

static void no_common_version_ends_the_session(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_write(raw_open(&st.peer, true), BYTES("\x40\x40\x12\x02" GREASE OF_MOQT_14 "\x00"), false);
  lab_run(&st.lab, LAB_WAIT_MS);
  assert_true(st.end.closed);
  assert_int_equal(st.end.code, LITE_CLOSE_VERSION);
  stage_down(&st);
}

static void half_an_exchange_has_a_deadline(void **state)
{
  struct stage st;
  stage_up(&st, NULL);
  raw_write(raw_open(&st.peer, true), BYTES("\x40"), false);
  lab_run(&st.lab, 11000);
  assert_true(st.end.closed);
  assert_int_equal(st.end.code, LITE_CLOSE_CONTROL_TIMEOUT);
  stage_down(&st);
}

static void our_session_at_both_ends(void **state)
{
  struct lab lab;
  struct node a, b;
  struct end client, server;
  lab_init(&lab);
  node_init(&a, &lab);
  node_init(&b, &lab);
  lab_join(&lab, &a, &b, NULL, LITE_02, &client, &server);
  lab_run(&lab, LAB_WAIT_MS);
  assert_true(client.setup && server.setup);
  assert_int_equal(lite_session_version(client.session), LITE_02);
  assert_int_equal(lite_session_version(server.session), LITE_02);
  lab_destroy(&lab);
  node_destroy(&a);
  node_destroy(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_framing_is_answered_in_kind),  cmocka_unit_test(a_byte_at_a_time),
      cmocka_unit_test(no_common_version_ends_the_session), cmocka_unit_test(half_an_exchange_has_a_deadline),
      cmocka_unit_test(our_session_at_both_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
