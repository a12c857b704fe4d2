/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The server binding against raw peers: what deployed clients send, and what nobody should. */
#include "webtransport_peers.h"
#include <jansson.h>
#include <stdio.h>

static struct pair p;

static struct mem_config config;

static int setup(void **state)
{
  p.accept = "moq-lite-06";
  p.reject = 0;
  config = mem_config_default();
  return 0;
}

#define BYTES(s) slice_of(s, sizeof s - 1)

static void settle(void)
{
  sim_run(&p.w, 100 * NS_PER_MS);
}

/* An open session with its CONNECT stream. */
static struct flow *session_up(void)
{
  pair_raw(&p, &config);
  raw_settings(&p);
  struct flow *connect = raw_connect(&p);
  settle();
  assert_int_equal(raw_status(connect), 200);
  assert_non_null(p.server.t);
  return connect;
}

/* ---- what deployed clients send ---- */

static void unhex(const char *hex, struct buf *out)
{
  for (; hex[0] && hex[1]; hex += 2) {
    char pair[3] = {hex[0], hex[1], 0};
    buf_u8(out, (uint8_t)strtoul(pair, NULL, 16));
  }
}

static void vector(const char *name, struct buf *out)
{
  char path[1024];
  json_error_t error;
  snprintf(path, sizeof path, "%s/webtransport-rust.json", VECTORS_DIR);
  json_t *all = json_load_file(path, 0, &error), *v;
  size_t i;
  assert_non_null(all);
  json_array_foreach(all, i, v) if (strcmp(json_string_value(json_object_get(v, "name")), name) == 0)
      unhex(json_string_value(json_object_get(v, "hex")), out);
  assert_true(out->n > 0);
  json_decref(all);
}

static void rust_client(size_t segment, uint64_t seed)
{
  struct buf settings = {0}, request = {0}, uni = {0}, bidi = {0};
  vector("client_stream_2", &settings);
  vector("client_stream_0", &request);
  vector("client_stream_6", &uni);
  vector("client_stream_4", &bidi);
  config.segment = segment;
  config.seed = seed;
  config.jitter_ns = 5 * NS_PER_MS; /* streams overtake the CONNECT and the SETTINGS */
  pair_raw(&p, &config);
  flow_open(&p.client, false, buf_slice(&settings), false);
  struct flow *connect = flow_open(&p.client, true, buf_slice(&request), false);
  flow_open(&p.client, false, buf_slice(&uni), true);
  flow_open(&p.client, true, buf_slice(&bidi), false);
  sim_run(&p.w, 2 * NS_PER_S);
  assert_int_equal(p.requests, 1);
  assert_string_equal(p.path, "/room?jwt=abc");
  assert_string_equal(p.authority, "127.0.0.1:46121");
  assert_memory_equal(p.protocols, "moq-lite-06 moq-lite-05 moq-lite-04 ", 36);
  assert_int_equal(raw_status(connect), 200);
  assert_int_equal(p.server.flow_count, 2);
  struct flow *u = flow_of(&p.server, 6), *b = flow_of(&p.server, 4);
  assert_true(slice_eq(buf_slice(&u->in), slice_from(buf_slice(&uni), 3)));
  assert_true(u->fin && u->closed && !b->fin);
  assert_true(slice_eq(buf_slice(&b->in), slice_from(buf_slice(&bidi), 3)));
  /* Ours: control stream first, with SETTINGS. */
  assert_int_equal(p.client.flows[4]->id & 3, 3);
  struct flow *control = flow_of(&p.client, 3);
  assert_memory_equal(control->in.p, "\x00\x04\x25\x01\x00\x07\x00\x06", 8);
  pair_down(&p);
  buf_destroy(&settings);
  buf_destroy(&request);
  buf_destroy(&uni);
  buf_destroy(&bidi);
}

static void a_rust_client_in_any_pieces(void **state)
{
  static const size_t segments[] = {1, 2, 3, 7, 1200};
  for (uint64_t seed = 1; seed <= 40; seed++)
    rust_client(segments[seed % 5], seed);
}

static void cut_anywhere(void **state)
{
  struct buf request = {0};
  vector("client_stream_0", &request);
  for (size_t n = 0; n < request.n; n++) {
    pair_raw(&p, &config);
    raw_settings(&p);
    struct flow *f = flow_open(&p.client, true, slice_of(request.p, n), true);
    settle();
    assert_int_equal(p.requests, 0);
    assert_true(f->was_reset && !p.client.closed);
    pair_down(&p);
  }
  buf_destroy(&request);
}

static void other_requests_are_answered(void **state)
{
  p.accept = NULL;
  pair_raw(&p, &config);
  raw_settings(&p);
  struct flow *a = raw_request(&p, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/", NULL);
  struct flow *b = raw_request(&p, false, ":method", "POST", ":scheme", "https", ":authority", "h", ":path", "/", NULL);
  struct flow *c = raw_request(&p, true, ":method", "CONNECT", ":authority", "h:1", NULL);
  struct flow *d = raw_request(&p, true, ":method", "CONNECT", ":scheme", "https", ":authority", "h", ":path", "/",
                               ":protocol", "websocket", NULL);
  struct flow *e = raw_request(&p, true, ":method", "CONNECT", ":scheme", "http", ":authority", "h", ":path", "/",
                               ":protocol", "webtransport", NULL);
  struct flow *f = raw_request(&p, true, ":method", "GET", NULL);
  settle();
  assert_true(raw_status(a) == 404 && a->fin && a->closed);
  assert_true(raw_status(b) == 404 && b->fin && b->was_stopped && b->stop_code == H3_NO_ERROR);
  assert_int_equal(raw_status(c), 405);
  assert_int_equal(raw_status(d), 501);
  assert_int_equal(raw_status(e), 400);
  assert_true(f->was_reset && f->reset_code == H3_MESSAGE_ERROR);
  struct flow *g = raw_connect(&p);
  settle();
  assert_int_equal(p.requests, 1);
  pair_accept(&p, "moq-lite-05");
  settle();
  assert_int_equal(raw_status(g), 200);
  assert_false(p.client.closed);
  pair_down(&p);
}

static void a_refusal_leaves_room_for_another_try(void **state)
{
  p.reject = 403;
  pair_raw(&p, &config);
  raw_settings(&p);
  struct flow *a = raw_connect(&p);
  settle();
  assert_true(raw_status(a) == 403 && a->fin && !p.client.closed);
  p.reject = 0;
  struct flow *b = raw_connect(&p);
  settle();
  assert_int_equal(raw_status(b), 200);
  assert_string_equal(p.server.t->protocol, "moq-lite-06");
  /* The refused session's streams are not the new one's. */
  struct flow *old = flow_open(&p.client, false, BYTES("\x40\x54\x00old"), false);
  struct flow *new = flow_open(&p.client, false, BYTES("\x40\x54\x04new"), false);
  settle();
  assert_true(old->was_stopped && old->stop_code == WT_BUFFERED_STREAM_REJECTED);
  assert_false(new->was_stopped);
  assert_int_equal(p.server.flow_count, 1);
  pair_down(&p);
}

static void no_protocol(void **state)
{
  p.accept = "";
  pair_raw(&p, &config);
  raw_settings(&p);
  struct flow *a =
      raw_request(&p, false, ":method", "CONNECT", ":scheme", "https", ":authority", "h", ":path", "/", ":protocol",
                  "webtransport-h3", "origin", "https://x", "wt-available-protocols", "moq, 3", NULL);
  settle();
  assert_int_equal(raw_status(a), 200);
  assert_string_equal(p.protocols, "");
  assert_string_equal(p.origin, "https://x");
  assert_string_equal(p.server.t->protocol, "");
  pair_down(&p);
}

static void connect_waits_for_settings(void **state)
{
  pair_raw(&p, &config);
  struct flow *a = raw_connect(&p);
  settle();
  assert_int_equal(p.requests, 0);
  raw_settings(&p);
  settle();
  assert_int_equal(p.requests, 1);
  assert_int_equal(raw_status(a), 200);
  pair_down(&p);
}

static void a_second_session_is_refused(void **state)
{
  session_up();
  struct flow *b = raw_connect(&p);
  settle();
  assert_true(b->was_reset && b->reset_code == H3_REQUEST_REJECTED);
  assert_int_equal(p.requests, 1);
  assert_false(p.server.closed);
  pair_down(&p);
}

static void unknown_things_are_skipped(void **state)
{
  pair_raw(&p, &config);
  struct flow *control = raw_settings(&p);
  flow_send(control, BYTES("\x21\x03xyz\x0d\x01\x05\x07\x01\x00\x03\x01\x00"), false);
  flow_open(&p.client, false, BYTES("\x02\x20"), false); /* QPACK: capacity 0 */
  flow_open(&p.client, false, BYTES("\x03\x48"), false); /* QPACK: stream cancellation */
  struct flow *grease = flow_open(&p.client, false, BYTES("\x21whatever"), false);
  struct buf request = {0};
  vector("client_stream_0", &request);
  struct flow *connect = flow_open(&p.client, true, BYTES("\x40\x40\x02hi"), false);
  flow_send(connect, buf_slice(&request), false);
  settle();
  assert_true(grease->was_stopped && grease->stop_code == H3_STREAM_CREATION_ERROR);
  assert_int_equal(raw_status(connect), 200);
  /* An unknown frame, an empty DATA, an unknown capsule in two DATA frames, DRAIN */
  flow_send(connect,
            BYTES("\x21\x01x\x00\x00\x00\x02\x17\x05\x00\x05"
                  "12345\x00\x05\x80\x00\x78\xae\x00"),
            false);
  settle();
  assert_false(p.client.closed || p.server.closed);
  pair_down(&p);
  buf_destroy(&request);
}

/* ---- errors of the connection ---- */

static const struct {
  const char *what;
  uint64_t code;
  bool settings, bidi, fin;
  struct slice bytes;
} errors[] = {
#define BAD(what, code, settings, bidi, fin, bytes)                                                                    \
  {                                                                                                                    \
    what, code, settings, bidi, fin,                                                                                   \
    {                                                                                                                  \
      (const uint8_t *)bytes, sizeof bytes - 1                                                                         \
    }                                                                                                                  \
  }
    BAD("control without SETTINGS", H3_MISSING_SETTINGS, false, false, false, "\x00\x07\x01\x00"),
    BAD("control closed", H3_CLOSED_CRITICAL_STREAM, false, false, true, "\x00\x04\x00"),
    BAD("second control", H3_STREAM_CREATION_ERROR, true, false, false, "\x00\x04\x00"),
    BAD("SETTINGS twice", H3_FRAME_UNEXPECTED, false, false, false, "\x00\x04\x00\x04\x00"),
    BAD("DATA on control", H3_FRAME_UNEXPECTED, false, false, false, "\x00\x04\x00\x00\x00"),
    BAD("HEADERS on control", H3_FRAME_UNEXPECTED, false, false, false, "\x00\x04\x00\x01\x00"),
    BAD("HTTP/2 PING on control", H3_FRAME_UNEXPECTED, false, false, false, "\x00\x04\x00\x06\x00"),
    BAD("GOAWAY without id", H3_FRAME_ERROR, false, false, false, "\x00\x04\x00\x07\x00"),
    BAD("GOAWAY too long", H3_FRAME_ERROR, false, false, false, "\x00\x04\x00\x07\x09"),
    BAD("GOAWAY with rest", H3_FRAME_ERROR, false, false, false, "\x00\x04\x00\x07\x02\x00\x00"),
    BAD("setting twice", H3_SETTINGS_ERROR, false, false, false, "\x00\x04\x04\x08\x01\x08\x01"),
    BAD("HTTP/2 setting", H3_SETTINGS_ERROR, false, false, false, "\x00\x04\x02\x04\x01"),
    BAD("setting cut short", H3_FRAME_ERROR, false, false, false, "\x00\x04\x01\x08"),
    BAD("SETTINGS too long", H3_EXCESSIVE_LOAD, false, false, false, "\x00\x04\x44\x01"),
    BAD("push stream", H3_STREAM_CREATION_ERROR, true, false, false, "\x01"),
    BAD("QPACK insert", QPACK_ENCODER_STREAM_ERROR, true, false, false, "\x02\x41\x61\x01\x62"),
    BAD("QPACK insert count", QPACK_DECODER_STREAM_ERROR, true, false, false, "\x03\x01"),
    BAD("QPACK stream closed", H3_CLOSED_CRITICAL_STREAM, true, false, true, "\x02"),
    BAD("session id of no request", H3_ID_ERROR, true, false, false, "\x40\x54\x02"),
    BAD("session id of no request, bidi", H3_ID_ERROR, true, true, false, "\x40\x41\x01"),
    BAD("DATA before HEADERS", H3_FRAME_UNEXPECTED, true, true, false, "\x00\x01x"),
    BAD("SETTINGS on a request", H3_FRAME_UNEXPECTED, true, true, false, "\x04\x00"),
    BAD("PUSH_PROMISE on a request", H3_FRAME_UNEXPECTED, true, true, false, "\x05\x01\x00"),
    BAD("HTTP/2 frame on a request", H3_FRAME_UNEXPECTED, true, true, false, "\x02\x00"),
    BAD("dynamic table", QPACK_DECOMPRESSION_FAILED, true, true, false, "\x01\x03\x02\x00\x80"),
    BAD("field section cut short", QPACK_DECOMPRESSION_FAILED, true, true, false, "\x01\x01\x00"),
#undef BAD
};

static void errors_end_the_connection(void **state)
{
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    pair_raw(&p, &config);
    if (errors[i].settings)
      raw_settings(&p);
    sim_run(&p.w, 10 * NS_PER_MS);
    flow_open(&p.client, errors[i].bidi, errors[i].bytes, errors[i].fin);
    settle();
    if (!p.client.closed || p.client.code != errors[i].code)
      fail_msg("%s: closed %d, code 0x%llx", errors[i].what, p.client.closed, (unsigned long long)p.client.code);
    pair_down(&p);
  }
}

static void errors_on_an_open_session(void **state)
{
  static const struct {
    struct slice bytes;
    uint64_t code;
  } bad[] = {{{(const uint8_t *)"\x01\x02\x00\x00", 4}, H3_FRAME_UNEXPECTED}, /* trailers */
             {{(const uint8_t *)"\x00\x05\x99\x0b\x4d\x3e\x01", 7}, H3_MESSAGE_ERROR},
             {{(const uint8_t *)"\x00\x03\x68\x43\x02", 5}, H3_MESSAGE_ERROR}};
  for (size_t i = 0; i < 3; i++) {
    struct flow *connect = session_up();
    flow_send(connect, bad[i].bytes, false);
    settle();
    assert_true(p.client.closed && p.server.closed);
    assert_int_equal(p.client.code, bad[i].code);
    assert_true(p.server.code == TRANSPORT_NO_CODE && !p.server.by_peer);
    pair_down(&p);
  }
}

static void a_reset_critical_stream(void **state)
{
  session_up();
  mem_stream_reset_raw(p.client.flows[0]->s, H3_NO_ERROR);
  settle();
  assert_int_equal(p.client.code, H3_CLOSED_CRITICAL_STREAM);
  pair_down(&p);
  session_up();
  mem_stream_stop_raw(flow_of(&p.client, 3)->s, H3_NO_ERROR); /* ours */
  settle();
  assert_int_equal(p.client.code, H3_CLOSED_CRITICAL_STREAM);
  pair_down(&p);
}

static void headers_have_a_limit(void **state)
{
  pair_raw(&p, &config);
  raw_settings(&p);
  struct flow *frame = flow_open(&p.client, true, BYTES("\x01\x80\x00\x40\x01\x00\x00"), false);
  static uint8_t section[500] = {1, 0x41, 0xf1, 0, 0}; /* 495 times :status 200, 42 bytes each */
  memset(section + 5, 0xd9, sizeof section - 5);
  struct flow *fields = flow_open(&p.client, true, slice_of(section, sizeof section), false);
  settle();
  assert_true(raw_status(frame) == 431 && frame->was_stopped);
  assert_true(raw_status(fields) == 431 && fields->was_stopped);
  assert_false(p.client.closed);
  pair_down(&p);
}

static void requests_have_a_limit(void **state)
{
  config.streams_bidi = 1000;
  pair_raw(&p, &config);
  raw_settings(&p);
  for (int i = 0; i < WT_REQUESTS_OPEN_MAX; i++)
    flow_open(&p.client, true, BYTES("\x01"), false);
  settle();
  struct flow *more = flow_open(&p.client, true, BYTES("\x01"), false);
  settle();
  assert_true(more->was_reset && more->reset_code == H3_REQUEST_REJECTED && !p.client.closed);
  for (int i = WT_REQUESTS_OPEN_MAX; i < WT_REQUESTS_MAX; i++)
    flow_open(&p.client, true, BYTES("\x01"), false);
  settle();
  assert_true(p.client.closed && p.client.code == H3_EXCESSIVE_LOAD);
  pair_down(&p);
}

static void a_connection_without_session_ends(void **state)
{
  pair_raw(&p, &config);
  raw_settings(&p);
  sim_run(&p.w, WT_CONNECT_NS - NS_PER_S);
  assert_false(p.client.closed);
  sim_run(&p.w, 2 * NS_PER_S);
  assert_true(p.client.closed && p.client.code == H3_NO_ERROR);
  pair_down(&p);
  session_up();
  sim_run(&p.w, 3 * WT_CONNECT_NS);
  assert_false(p.client.closed);
  pair_down(&p);
}

/* ---- before the session ---- */

static void early_streams_wait(void **state)
{
  p.accept = NULL;
  pair_raw(&p, &config);
  raw_settings(&p);
  raw_connect(&p);
  flow_open(&p.client, false,
            BYTES("\x40\x54\x00"
                  "all of it"),
            true);
  struct flow *b = flow_open(&p.client, true,
                             BYTES("\x40\x41\x00"
                                   "some"),
                             false);
  struct flow *c = flow_open(&p.client, true,
                             BYTES("\x40\x41\x00"
                                   "stopped"),
                             false);
  struct flow *d = flow_open(&p.client, false,
                             BYTES("\x40\x54\x00"
                                   "reset"),
                             false);
  struct flow *other = flow_open(&p.client, false,
                                 BYTES("\x40\x54\x20"
                                       "other"),
                                 false);
  struct iovec datagram = {(void *)(uintptr_t) "\x00"
                                               "dg",
                           3};
  p.client.t->ops->send_datagram(p.client.t, &datagram, 1);
  settle();
  flow_send(b, BYTES(" more"), false);
  mem_stream_stop_raw(c->s, wt_code_to_h3(5));
  mem_stream_reset_raw(d->s, wt_code_to_h3(6));
  settle();
  assert_int_equal(p.server.flow_count, 0);
  pair_accept(&p, "moq-lite-06");
  settle();
  assert_int_equal(p.server.flow_count, 3);
  assert_true(slice_eq(buf_slice(&p.server.flows[0]->in), slice_str("all of it")));
  assert_true(p.server.flows[0]->fin && p.server.flows[0]->closed);
  assert_true(slice_eq(buf_slice(&p.server.flows[1]->in), slice_str("some more")));
  assert_true(p.server.flows[2]->was_stopped && p.server.flows[2]->stop_code == 5);
  assert_true(other->was_stopped && other->stop_code == WT_BUFFERED_STREAM_REJECTED);
  assert_true(slice_eq(buf_slice(&p.server.datagrams), slice_str("dg")));
  /* What waited goes on as any stream. */
  flow_send(b, BYTES(" and more"), true);
  flow_send(p.server.flows[1], BYTES("answer"), true);
  settle();
  assert_true(slice_eq(buf_slice(&p.server.flows[1]->in), slice_str("some more and more")));
  assert_true(slice_eq(buf_slice(&b->in), slice_str("answer")));
  assert_true(b->closed && p.server.flows[1]->closed);
  pair_down(&p);
}

static void waiting_has_limits(void **state)
{
  static uint8_t big[40000] = {0x40, 0x54, 0x00};
  p.accept = NULL;
  pair_raw(&p, &config);
  struct flow *a = flow_open(&p.client, false, slice_of(big, sizeof big), false);
  settle();
  struct flow *b = flow_open(&p.client, false, slice_of(big, sizeof big), false);
  settle();
  assert_true(!a->was_stopped && b->was_stopped && b->stop_code == WT_BUFFERED_STREAM_REJECTED);
  for (int i = 1; i < WT_WAITING_STREAMS_MAX; i++)
    flow_open(&p.client, false, BYTES("\x40\x54\x00"), false);
  settle();
  struct flow *more = flow_open(&p.client, false, BYTES("\x40\x54\x00"), false);
  settle();
  assert_true(more->was_stopped && more->stop_code == WT_BUFFERED_STREAM_REJECTED && !a->was_stopped);
  sim_run(&p.w, WT_WAITING_NS);
  assert_true(a->was_stopped && a->stop_code == WT_BUFFERED_STREAM_REJECTED);
  raw_settings(&p);
  raw_connect(&p);
  settle();
  pair_accept(&p, "moq-lite-06");
  settle();
  assert_int_equal(p.server.flow_count, 0);
  pair_down(&p);
}

static void a_stream_that_never_says_what_it_is(void **state)
{
  pair_raw(&p, &config);
  raw_settings(&p);
  raw_connect(&p);
  settle();
  struct flow *half = flow_open(&p.client, false, BYTES("\x40"), false);
  struct flow *nobodys = flow_open(&p.client, true, BYTES("\x40\x41"), false);
  struct flow *request = flow_open(&p.client, true, BYTES("\x01\x20\x00"), false); /* HEADERS, 1 byte of 32 */
  sim_run(&p.w, WT_TYPE_NS - NS_PER_S);
  struct flow *later = flow_open(&p.client, false, BYTES("\x40"), false);
  settle();
  assert_false(half->was_stopped || nobodys->was_stopped);
  sim_run(&p.w, NS_PER_S);
  assert_true(half->was_stopped && half->stop_code == WT_BUFFERED_STREAM_REJECTED);
  assert_true(nobodys->was_stopped && nobodys->was_reset && !later->was_stopped);
  assert_true(request->was_reset && request->was_stopped && request->stop_code == H3_REQUEST_INCOMPLETE);
  flow_send(later, BYTES("\x54"), false);
  sim_run(&p.w, WT_TYPE_NS - NS_PER_S / 2);
  assert_true(later->was_stopped);
  assert_false(p.server.closed);
  pair_down(&p);
}

static void a_client_may_go_before_the_answer(void **state)
{
  for (int way = 0; way < 4; way++) {
    p.accept = NULL;
    pair_raw(&p, &config);
    raw_settings(&p);
    struct flow *connect = raw_connect(&p);
    flow_open(&p.client, false,
              BYTES("\x40\x54\x00"
                    "early"),
              true);
    settle();
    assert_int_equal(p.requests, 1);
    if (way == 0)
      mem_stream_reset_raw(connect->s, H3_REQUEST_CANCELLED);
    else if (way == 1)
      flow_send(connect, BYTES(""), true);
    else if (way == 2)
      transport_close(p.client.t, 0, "");
    else
      mem_kill(p.mem);
    sim_run(&p.w, NS_PER_S);
    sim_run(&p.w, way == 3 ? 10 * NS_PER_S : 0);
    assert_int_equal(p.gone, 1);
    if (way < 2) { /* the connection is as good as new */
      assert_false(p.client.closed);
      raw_connect(&p);
      settle();
      assert_int_equal(p.requests, 2);
      pair_accept(&p, "moq-lite-06");
    }
    pair_down(&p);
  }
}

/* ---- an open session ---- */

static void a_session_refuses_a_stream(void **state)
{
  session_up();
  p.server.refuse = 7;
  struct flow *a = flow_open(&p.client, false,
                             BYTES("\x40\x54\x00"
                                   "no"),
                             true);
  struct flow *b = flow_open(&p.client, true,
                             BYTES("\x40\x41\x00"
                                   "no"),
                             false);
  settle();
  assert_int_equal(p.server.flow_count, 2);
  assert_true(p.server.flows[0]->in.n == 0 && p.server.flows[1]->in.n == 0);
  assert_true(a->closed && p.server.flows[0]->closed);
  assert_true(b->was_stopped && b->was_reset && b->stop_code == 7 && b->reset_code == 7);
  pair_down(&p);
}

static void prefixes_of_our_streams(void **state)
{
  session_up();
  struct flow *u = flow_open(&p.server, false, BYTES("hello"), true);
  struct flow *b = flow_open(&p.server, true, BYTES("hi"), true);
  settle();
  struct flow *pu = flow_of(&p.client, u->id), *pb = flow_of(&p.client, b->id);
  assert_true(slice_eq(buf_slice(&pu->in), BYTES("\x40\x54\x00hello")) && pu->fin);
  assert_true(slice_eq(buf_slice(&pb->in), BYTES("\x40\x41\x00hi")) && pb->fin);
  flow_send(pb, BYTES("no prefix back"), true);
  settle();
  assert_true(slice_eq(buf_slice(&b->in), slice_str("no prefix back")) && b->closed);
  pair_down(&p);
}

static void datagrams(void **state)
{
  session_up();
  struct iovec out[2] = {{(void *)(uintptr_t) "a", 1}, {(void *)(uintptr_t) "bc", 2}};
  assert_int_equal(p.server.t->ops->max_datagram(p.server.t), config.max_datagram - 1);
  assert_int_equal(p.server.t->ops->send_datagram(p.server.t, out, 2), 0);
  struct iovec in = {(void *)(uintptr_t) "\x00xyz", 4}, other = {(void *)(uintptr_t) "\x01xyz", 4};
  p.client.t->ops->send_datagram(p.client.t, &in, 1);
  p.client.t->ops->send_datagram(p.client.t, &other, 1);
  settle();
  assert_true(slice_eq(buf_slice(&p.client.datagrams), BYTES("\x00"
                                                             "abc")));
  assert_true(slice_eq(buf_slice(&p.server.datagrams), slice_str("xyz")));
  in = (struct iovec){(void *)(uintptr_t) "\xff\xff", 2};
  p.client.t->ops->send_datagram(p.client.t, &in, 1);
  settle();
  assert_int_equal(p.client.code, H3_DATAGRAM_ERROR);
  pair_down(&p);
}

static void the_peer_closes(void **state)
{
  struct flow *connect = session_up();
  flow_open(&p.client, true,
            BYTES("\x40\x41\x00"
                  "open"),
            false);
  settle();
  flow_send(connect,
            BYTES("\x00\x0a\x68\x43\x07\x00\x00\x00\x09"
                  "bye"),
            true);
  settle();
  assert_true(p.server.closed && p.server.by_peer && p.server.code == 9);
  assert_string_equal(p.server.reason, "bye");
  assert_true(p.client.closed && p.client.code == 0x52e4a40fa8e4);
  assert_string_equal(p.client.reason, "bye");
  pair_down(&p);

  connect = session_up();
  flow_send(connect, BYTES(""), true);
  settle();
  assert_true(p.server.closed && p.server.by_peer && p.server.code == 0);
  pair_down(&p);

  connect = session_up();
  mem_stream_reset_raw(connect->s, H3_REQUEST_CANCELLED);
  settle();
  assert_true(p.server.closed && p.server.by_peer && p.server.code == TRANSPORT_NO_CODE);
  pair_down(&p);

  session_up();
  transport_close(p.client.t, wt_code_to_h3(77), "gone");
  settle();
  assert_true(p.server.closed && p.server.by_peer && p.server.code == 77);
  assert_string_equal(p.server.reason, "gone");
  pair_down(&p);
}

static void we_close(void **state)
{
  struct flow *connect = session_up();
  struct flow *b = flow_open(&p.client, true,
                             BYTES("\x40\x41\x00"
                                   "open"),
                             false);
  flow_open(&p.server, false, BYTES("ours"), false);
  settle();
  connect->in.n = 0;
  wt_drain(p.server.t);
  wt_drain(p.server.t);
  transport_close(p.server.t, 9, "bye");
  transport_close(p.server.t, 10, "again");
  struct stream *s;
  assert_true(transport_open(p.server.t, false, NULL, NULL, ORDER_CONTROL, &s) < 0);
  flow_send(b, BYTES("late"), false);
  struct flow *late = flow_open(&p.client, true,
                                BYTES("\x40\x41\x00"
                                      "late"),
                                false);
  sim_run(&p.w, 50 * NS_PER_MS);
  /* One DRAIN, CLOSE, FIN; the connection is still there to deliver them. */
  assert_true(slice_eq(buf_slice(&connect->in), BYTES("\x00\x05\x80\x00\x78\xae\x00\x00\x0a\x68\x43\x07\x00\x00\x00\x09"
                                                      "bye")));
  assert_true(connect->fin && !p.client.closed);
  assert_true(b->was_reset && b->reset_code == WT_SESSION_GONE && b->stop_code == WT_SESSION_GONE);
  assert_true(late->was_stopped && late->stop_code == WT_SESSION_GONE);
  assert_true(slice_eq(buf_slice(&flow_of(&p.server, b->id)->in), slice_str("open"))); /* nothing late */
  sim_run(&p.w, NS_PER_S);
  assert_true(p.server.closed && !p.server.by_peer && p.server.code == 9);
  assert_string_equal(p.server.reason, "bye");
  assert_true(p.client.closed && p.client.code == wt_code_to_h3(9));
  assert_string_equal(p.client.reason, "bye");
  pair_down(&p);
}

static void closing_ends_early_when_the_peer_agrees(void **state)
{
  config.delay_ns = 300 * NS_PER_MS; /* linger is 1.8 s */
  pair_raw(&p, &config);
  raw_settings(&p);
  struct flow *connect = raw_connect(&p);
  sim_run(&p.w, NS_PER_S);
  transport_close(p.server.t, 1, "");
  sim_run(&p.w, 310 * NS_PER_MS);
  assert_true(connect->fin);
  flow_send(connect, BYTES(""), true);
  sim_run(&p.w, 310 * NS_PER_MS);
  assert_true(p.server.closed && p.server.code == 1);
  pair_down(&p);
}

static void closing_from_on_stream(void **state)
{
  session_up();
  p.server.close_in_on_stream = true;
  struct flow *a = flow_open(&p.client, true,
                             BYTES("\x40\x41\x00"
                                   "x"),
                             true);
  sim_run(&p.w, 10 * NS_PER_MS);
  assert_int_equal(p.server.flows[0]->in.n, 0);
  assert_true(a->was_reset && a->reset_code == WT_SESSION_GONE);
  sim_run(&p.w, NS_PER_S);
  assert_true(p.server.closed && p.server.code == 3);
  pair_down(&p);
}

static void sudden_death(void **state)
{
  session_up();
  flow_open(&p.client, true,
            BYTES("\x40\x41\x00"
                  "open"),
            false);
  settle();
  mem_kill(p.mem);
  sim_run(&p.w, 11 * NS_PER_S);
  assert_true(p.server.closed && !p.server.by_peer && p.server.code == TRANSPORT_NO_CODE);
  pair_down(&p);
}

/* ---- noise ---- */

static void noise(uint64_t seed)
{
  struct rng rng = rng_seeded(&seed);
  struct buf request = {0};
  vector("client_stream_0", &request);
  buf_bytes(&request, BYTES("\x00\x0a\x68\x43\x07\x00\x00\x00\x09"
                            "bye"));
  struct slice valid[] = {BYTES(RAW_SETTINGS),
                          buf_slice(&request),
                          BYTES("\x40\x54\x00uni stream"),
                          BYTES("\x40\x41\x00"
                                "bidi stream"),
                          BYTES("\x02\x20\x20"),
                          BYTES("\x03\x48")};
  config.seed = seed;
  config.segment = 1 + rng_below(&rng, 30);
  config.jitter_ns = rng_below(&rng, 2) * 3 * NS_PER_MS;
  pair_raw(&p, &config);
  for (int i = 0; i < 12 && p.client.t; i++) {
    size_t which = i < 2 ? (size_t)i : rng_below(&rng, 6);
    uint8_t bytes[512];
    size_t n = valid[which].n;
    memcpy(bytes, valid[which].p, n);
    for (uint64_t flips = rng_below(&rng, 3); flips > 0; flips--)
      bytes[rng_below(&rng, n)] = (uint8_t)rng_u64(&rng);
    n -= rng_below(&rng, 4) == 0 ? rng_below(&rng, n) : 0;
    struct flow *f = flow_open(&p.client, which == 1 || which == 3, slice_of(bytes, n), rng_below(&rng, 3) == 0);
    if (rng_below(&rng, 8) == 0)
      mem_stream_reset_raw(f->s, rng_u64(&rng) >> 3);
    sim_run(&p.w, rng_below(&rng, 5) * NS_PER_MS);
  }
  sim_run(&p.w, rng_below(&rng, 20) * NS_PER_S);
  pair_down(&p);
  buf_destroy(&request);
}

static void noise_does_no_harm(void **state)
{
  for (uint64_t seed = 1; seed <= 500; seed++)
    noise(seed);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_rust_client_in_any_pieces),
      T(cut_anywhere),
      T(other_requests_are_answered),
      T(a_refusal_leaves_room_for_another_try),
      T(no_protocol),
      T(connect_waits_for_settings),
      T(a_second_session_is_refused),
      T(unknown_things_are_skipped),
      T(errors_end_the_connection),
      T(errors_on_an_open_session),
      T(a_reset_critical_stream),
      T(headers_have_a_limit),
      T(requests_have_a_limit),
      T(a_connection_without_session_ends),
      T(early_streams_wait),
      T(waiting_has_limits),
      T(a_stream_that_never_says_what_it_is),
      T(a_client_may_go_before_the_answer),
      T(a_session_refuses_a_stream),
      T(prefixes_of_our_streams),
      T(datagrams),
      T(the_peer_closes),
      T(we_close),
      T(closing_ends_early_when_the_peer_agrees),
      T(closing_from_on_stream),
      T(sudden_death),
      T(noise_does_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
