/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wt_echo.h"
#include "base/buf.h"
#include <stdio.h>
#include <stdlib.h>

#define LATE_NS (200 * NS_PER_MS)
#define ECHO_BYTES_MAX (4 << 20)

struct echo_stream {
  struct wt_echo *echo;
  size_t in, out_sent;
  bool fin;
  uint8_t bytes[];
};

static struct echo_stream *stream_new(struct wt_echo *e)
{
  struct echo_stream *es = malloc(sizeof *es + ECHO_BYTES_MAX);
  if (!es)
    abort();
  *es = (struct echo_stream){.echo = e};
  return es;
}

static bool starts_with(const struct echo_stream *es, const char *word)
{
  return es->in >= strlen(word) && memcmp(es->bytes, word, strlen(word)) == 0;
}

static const struct stream_events stream_events;

static void send_back(struct stream *s, struct echo_stream *es)
{
  struct echo_stream *back = stream_new(es->echo);
  struct stream *out;
  memcpy(back->bytes, es->bytes, es->in);
  back->in = es->in;
  back->fin = true;
  if (transport_open(s->transport, false, &stream_events, back, (struct send_order){1, 0}, &out) == 0)
    stream_wake(out);
  else
    free(back);
}

static void on_data(struct stream *s, struct slice in, bool fin)
{
  struct echo_stream *es = s->user;
  size_t n = in.n < ECHO_BYTES_MAX - es->in ? in.n : ECHO_BYTES_MAX - es->in;
  if (n > 0)
    memcpy(es->bytes + es->in, in.p, n);
  es->in += n;
  es->fin = fin;
  stream_extend(s, in.n);
  if (starts_with(es, "close"))
    transport_close(s->transport, 7, "bye");
  else if (starts_with(es, "reset"))
    stream_reset(s, 54);
  else if (starts_with(es, "stop"))
    stream_stop(s, 51);
  else if (s->bidi)
    stream_wake(s);
  else if (fin)
    send_back(s, es);
}

static void on_reset(struct stream *s, uint64_t code)
{
  if (s->bidi)
    stream_reset(s, code);
}

static void on_stopped(struct stream *s, uint64_t code) {}

static size_t on_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct echo_stream *es = s->user;
  *ret_fin = es->fin;
  if (es->out_sent == es->in)
    return 0;
  iov[0] = (struct iovec){es->bytes + es->out_sent, es->in - es->out_sent};
  return 1;
}

static void on_sent(struct stream *s, size_t n, bool fin)
{
  struct echo_stream *es = s->user;
  es->out_sent += n;
}

static void on_stream_closed(struct stream *s)
{
  free(s->user);
}

static const struct stream_events stream_events = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_stopped,
    .pull = on_pull,
    .sent = on_sent,
    .closed = on_stream_closed,
};

static void on_stream(struct transport *t, struct stream *s)
{
  s->events = &stream_events;
  s->user = stream_new(t->user);
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct iovec iov = {(void *)(uintptr_t)data.p, data.n};
  t->ops->send_datagram(t, &iov, 1);
}

static void on_streams(struct transport *t, bool bidi) {}

static void on_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct wt_echo *e = t->user;
  e->closed++;
  e->code = code;
  e->by_peer = by_peer;
  snprintf(e->reason, sizeof e->reason, "%.*s", SLICE_FMT(reason));
  log_info(e->log, "session closed code=%lld by_peer=%d reason=%s", (long long)code, by_peer, e->reason);
}

static const struct transport_events transport_events = {on_stream, on_datagram, on_streams, on_closed};

static void accept_session(struct wt_echo *e, struct wt_session *s)
{
  struct transport *t = wt_accept(s, wt_session_user(s));
  t->events = &transport_events;
  t->user = e;
  e->sessions++;
}

/* An answer that comes later; the request may be gone by then. */
struct late {
  struct timer timer;
  struct wt_echo *echo;
  struct wt_session *s;
  const char *protocol;
};

static void on_late(struct timer *t, uint64_t now)
{
  struct late *l = (struct late *)t;
  wt_session_set_user(l->s, (void *)(uintptr_t)l->protocol);
  accept_session(l->echo, l->s);
  free(l);
}

static void accept_late(struct wt_echo *e, struct wt_session *s)
{
  struct late *l = calloc(1, sizeof *l);
  if (!l)
    abort();
  *l = (struct late){.echo = e, .s = s, .protocol = wt_session_user(s)};
  timer_init(&l->timer, on_late);
  wt_session_set_user(s, l);
  timers_set(&e->worker->timers, &l->timer, e->worker->now + LATE_NS);
}

static void on_request(void *ctx, struct wt_session *s, const struct wt_request *r)
{
  struct wt_echo *e = ctx;
  log_info(e->log, "request authority=%s path=%s origin=%s protocol=%s", r->authority, r->path, r->origin,
           r->protocols[0] ? r->protocols[0] : "");
  wt_session_set_user(s, (void *)(uintptr_t)(r->protocols[0] ? r->protocols[0] : ""));
  if (strcmp(r->path, "/deny") == 0)
    wt_reject(s, 403);
  else if (strcmp(r->path, "/late") == 0)
    accept_late(e, s);
  else
    accept_session(e, s);
}

static void on_gone(void *ctx, struct wt_session *s)
{
  struct wt_echo *e = ctx;
  struct late *l = wt_session_user(s);
  timers_cancel(&e->worker->timers, &l->timer);
  free(l);
}

static const struct wt_server_events server_events = {on_request, on_gone};

static void on_connection(void *ctx, struct transport *t)
{
  struct wt_echo *e = ctx;
  wt_serve(t, e->worker, e->log, &server_events, e);
}

int wt_echo_init(struct wt_echo *e, struct worker *worker, const struct log *log, const char *bind, struct err *ret_err)
{
  static const char *const hosts[] = {"localhost", "127.0.0.1"};
  static const char *const alpn[] = {"h3", NULL};
  *e = (struct wt_echo){.worker = worker, .log = log};
  struct tls_server_config tls = {.generate = hosts, .generate_count = 2};
  int rc = tls_server_new(&tls, clock_wall_us(&worker->clock) / 1000000, &e->tls, ret_err);
  if (rc < 0)
    return rc;
  struct quic_endpoint_config config = {.worker = worker,
                                        .log = log,
                                        .rng = rng_system(),
                                        .tls = e->tls,
                                        .alpn = alpn,
                                        .secret = {1, 2, 3},
                                        .on_connection = on_connection,
                                        .ctx = e};
  quic_limits_default(&config.limits);
  rc = quic_endpoint_new(&config, bind, &e->ep, ret_err);
  if (rc < 0)
    tls_server_free(e->tls);
  return rc;
}

void wt_echo_destroy(struct wt_echo *e)
{
  quic_endpoint_free(e->ep);
  tls_server_free(e->tls);
}
