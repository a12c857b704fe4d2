/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "webtransport_peers.h"
#include <stdio.h>

/* ---- streams ---- */

static void on_data(struct stream *s, struct slice in, bool fin)
{
  struct flow *f = s->user;
  assert_false(f->fin || f->was_reset || f->closed);
  buf_bytes(&f->in, in);
  f->fin = fin;
  stream_extend(s, in.n);
}

static void on_reset(struct stream *s, uint64_t code)
{
  struct flow *f = s->user;
  f->was_reset = true;
  f->reset_code = code;
}

static void on_stopped(struct stream *s, uint64_t code)
{
  struct flow *f = s->user;
  f->was_stopped = true;
  f->stop_code = code;
}

static size_t on_pull(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin)
{
  struct flow *f = s->user;
  *ret_fin = f->out_fin;
  if (f->out_sent == f->out_n)
    return 0;
  iov[0] = (struct iovec){f->out + f->out_sent, f->out_n - f->out_sent};
  return 1;
}

static void on_sent(struct stream *s, size_t n, bool fin)
{
  struct flow *f = s->user;
  f->out_sent += n;
}

static void on_closed(struct stream *s)
{
  struct flow *f = s->user;
  assert_false(f->closed);
  f->closed = true;
  f->s = NULL;
  f->ep->open--;
}

static const struct stream_events flow_events = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_stopped,
    .pull = on_pull,
    .sent = on_sent,
    .closed = on_closed,
};

#define FLOW_BYTES_MAX 65536

/* Tests that fail an allocation do not mean ours. */
static void *get(size_t n)
{
  void *p = calloc(1, n);
  return p ? p : calloc(1, n);
}

static struct flow *flow_new(struct ep *ep)
{
  assert_true(ep->flow_count < FLOWS_MAX);
  struct flow *f = get(sizeof *f);
  f->ep = ep;
  ep->flows[ep->flow_count++] = f;
  ep->open++;
  return f;
}

static void flow_is(struct flow *f, struct stream *s)
{
  f->s = s;
  f->id = s->id;
  f->bidi = s->bidi;
  f->local = s->local;
}

void flow_send(struct flow *f, struct slice bytes, bool fin)
{
  if (!f->out)
    f->out = get(FLOW_BYTES_MAX);
  assert_true(f->out_n + bytes.n <= FLOW_BYTES_MAX);
  if (bytes.n > 0)
    memcpy(f->out + f->out_n, bytes.p, bytes.n);
  f->out_n += bytes.n;
  f->out_fin = fin;
  if (f->s)
    stream_wake(f->s);
}

struct flow *flow_try(struct ep *ep, bool bidi, struct slice bytes, bool fin)
{
  struct flow *f = flow_new(ep);
  struct stream *s = NULL;
  struct send_order order = {1, ep->flow_count};
  if (transport_open(ep->t, bidi, &flow_events, f, order, &s) < 0) {
    ep->flow_count--;
    ep->open--;
    free(f);
    return NULL;
  }
  flow_is(f, s);
  flow_send(f, bytes, fin);
  return f;
}

struct flow *flow_open(struct ep *ep, bool bidi, struct slice bytes, bool fin)
{
  struct flow *f = flow_try(ep, bidi, bytes, fin);
  assert_non_null(f);
  return f;
}

struct flow *flow_of(struct ep *ep, uint64_t id)
{
  for (size_t i = 0; i < ep->flow_count; i++)
    if (ep->flows[i]->id == id)
      return ep->flows[i];
  return NULL;
}

/* ---- ends ---- */

static void on_stream(struct transport *t, struct stream *s)
{
  struct ep *ep = t->user;
  struct flow *f = flow_new(ep);
  assert_ptr_equal(s->transport, ep->t);
  flow_is(f, s);
  if (ep->close_in_on_stream)
    transport_close(t, 3, "enough");
  s->events = &flow_events;
  s->user = f;
  if (!ep->refuse)
    return;
  stream_stop(s, ep->refuse);
  stream_reset(s, ep->refuse);
}

static void on_datagram(struct transport *t, struct slice data)
{
  struct ep *ep = t->user;
  buf_bytes(&ep->datagrams, data);
  ep->datagram_count++;
}

static void on_streams(struct transport *t, bool bidi)
{
  struct ep *ep = t->user;
  ep->on_streams++;
}

static void on_transport_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer)
{
  struct ep *ep = t->user;
  assert_false(ep->closed);
  assert_int_equal(ep->open, 0);
  ep->closed = true;
  ep->code = code;
  ep->by_peer = by_peer;
  snprintf(ep->reason, sizeof ep->reason, "%.*s", SLICE_FMT(reason));
  ep->t = NULL;
}

static const struct transport_events ep_events = {on_stream, on_datagram, on_streams, on_transport_closed};

void ep_take(struct ep *ep, struct transport *t)
{
  ep->t = t;
  t->events = &ep_events;
  t->user = ep;
}

void ep_free(struct ep *ep)
{
  for (size_t i = 0; i < ep->flow_count; i++) {
    assert_true(ep->flows[i]->closed);
    buf_destroy(&ep->flows[i]->in);
    free(ep->flows[i]->out);
    free(ep->flows[i]);
  }
  buf_destroy(&ep->datagrams);
}

/* ---- the server ---- */

static void on_request(void *ctx, struct wt_session *s, const struct wt_request *request)
{
  struct pair *p = ctx;
  p->requests++;
  snprintf(p->path, sizeof p->path, "%s", request->path);
  snprintf(p->authority, sizeof p->authority, "%s", request->authority);
  snprintf(p->origin, sizeof p->origin, "%s", request->origin);
  p->protocols[0] = '\0';
  for (size_t i = 0, n = 0; request->protocols[i]; i++)
    n += (size_t)snprintf(p->protocols + n, sizeof p->protocols - n, "%s%s", i ? " " : "", request->protocols[i]);
  assert_ptr_equal(request->connection, mem_server(p->mem));
  wt_session_set_user(s, p);
  p->request = s;
  if (p->reject) {
    p->request = NULL;
    wt_reject(s, p->reject);
  } else if (p->accept)
    pair_accept(p, strstr(p->protocols, p->accept) ? p->accept : "");
}

void pair_accept(struct pair *p, const char *protocol)
{
  assert_ptr_equal(wt_session_user(p->request), p);
  struct transport *t = wt_accept(p->request, protocol);
  p->request = NULL;
  if (p->refuse)
    transport_close(t, 15, "no common version");
  else
    ep_take(&p->server, t);
  assert_string_equal(t->kind, "webtransport");
  assert_string_equal(t->protocol, protocol);
  assert_string_equal(t->path, p->path);
  assert_string_equal(t->host, p->authority);
  assert_false(t->client);
}

static void on_gone(void *ctx, struct wt_session *s)
{
  struct pair *p = ctx;
  assert_ptr_equal(p->request, s);
  p->request = NULL;
  p->gone++;
}

static const struct wt_server_events server_events = {on_request, on_gone};
const struct wt_server_events *const pair_server_events = &server_events;

/* ---- the client ---- */

static void on_session(void *ctx, struct transport *t)
{
  struct pair *p = ctx;
  assert_false(p->up || p->failed);
  p->up = true;
  if (p->refuse)
    transport_close(t, 15, "no common version");
  else
    ep_take(&p->client, t);
  assert_true(t->client);
}

static void on_failed(void *ctx, int status, const char *text)
{
  struct pair *p = ctx;
  assert_false(p->up || p->failed);
  p->failed = true;
  p->failed_status = status;
  snprintf(p->failed_text, sizeof p->failed_text, "%s", text);
}

static const struct wt_dial_events dial_events = {on_session, on_failed};
const struct wt_dial_events *const pair_dial_events = &dial_events;

void pair_start(struct pair *p, const struct mem_config *config)
{
  const char *accept = p->accept;
  int reject = p->reject;
  *p = (struct pair){.accept = accept, .reject = reject};
  sim_init(&p->w);
  p->mem = mem_pair_new(&p->w.timers, &p->w.now, config);
  assert_int_equal(h3_qpack_init(&p->qpack), 0);
}

void pair_raw(struct pair *p, const struct mem_config *config)
{
  pair_start(p, config);
  assert_int_equal(wt_serve(mem_server(p->mem), &p->w, NULL, &server_events, p), 0);
  ep_take(&p->client, mem_client(p->mem));
}

void pair_dial(struct pair *p, const struct mem_config *config, const char *const *protocols)
{
  pair_start(p, config);
  assert_int_equal(wt_serve(mem_server(p->mem), &p->w, NULL, &server_events, p), 0);
  assert_int_equal(
      wt_connect(mem_client(p->mem), &p->w, NULL, "localhost:4443", "/room?jwt=abc", protocols, &dial_events, p), 0);
}

void pair_raw_server(struct pair *p, const struct mem_config *config, const char *const *protocols)
{
  pair_start(p, config);
  ep_take(&p->server, mem_server(p->mem));
  assert_int_equal(wt_connect(mem_client(p->mem), &p->w, NULL, "localhost", "/", protocols, &dial_events, p), 0);
}

void pair_down(struct pair *p)
{
  mem_pair_free(p->mem);
  assert_null(p->request);
  ep_free(&p->server);
  ep_free(&p->client);
  h3_qpack_destroy(&p->qpack);
}

/* ---- the raw peer ---- */

struct flow *raw_settings(struct pair *p)
{
  return flow_open(&p->client, false, slice_of(RAW_SETTINGS, sizeof RAW_SETTINGS - 1), false);
}

struct flow *raw_connect(struct pair *p)
{
  static const char *const protocols[] = {"moq-lite-06", "moq-lite-05", NULL};
  struct buf out = {0};
  wt_request_write(&p->qpack, 0, "localhost", "/room", protocols, &out);
  struct flow *f = flow_open(&p->client, true, buf_slice(&out), false);
  buf_destroy(&out);
  return f;
}

struct flow *raw_request(struct pair *p, int fin, ...)
{
  struct h3_field list[16];
  struct buf section = {0}, out = {0};
  size_t n = 0;
  va_list ap;
  va_start(ap, fin);
  for (const char *name; (name = va_arg(ap, const char *)) != NULL; n++)
    list[n] = H3_FIELD(name, va_arg(ap, const char *));
  va_end(ap);
  h3_qpack_encode(&p->qpack, 0, list, n, &section);
  h3_frame_write(&out, H3_HEADERS, buf_slice(&section));
  struct flow *f = flow_open(&p->client, true, buf_slice(&out), fin);
  buf_destroy(&section);
  buf_destroy(&out);
  return f;
}

int raw_status(struct flow *f)
{
  struct h3_frame_reader r = {0};
  struct h3_frame_part part;
  struct slice in = buf_slice(&f->in);
  struct h3_fields fields;
  char protocol[WT_PROTOCOL_MAX];
  int status = 0;
  if (h3_frame_read(&r, &in, &part) != H3_READ_BEGIN || h3_frame_read(&r, &in, &part) != H3_READ_PART)
    return 0;
  assert_int_equal(part.type, H3_HEADERS);
  assert_true(part.end);
  assert_int_equal(h3_qpack_decode(f->id, part.data, &fields), 0);
  assert_int_equal(h3_response_check(&fields, &status, protocol), 0);
  h3_fields_destroy(&fields);
  return status;
}
