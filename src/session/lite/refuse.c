/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams, and transports, that nobody listens to any more. */
#include "session/lite/internal.h"

void quiet_data(struct stream *st, struct slice data, bool fin)
{
  stream_extend(st, data.n);
}

void quiet_code(struct stream *st, uint64_t code) {}

size_t quiet_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin)
{
  *ret_fin = false;
  return 0;
}

void quiet_sent(struct stream *st, size_t n, bool fin) {}

void quiet_closed(struct stream *st) {}

static const struct stream_events refused_events = {.data = quiet_data,
                                                    .reset = quiet_code,
                                                    .stopped = quiet_code,
                                                    .pull = quiet_pull,
                                                    .sent = quiet_sent,
                                                    .closed = quiet_closed};

void session_refuse(struct stream *st, uint64_t code)
{
  st->events = &refused_events;
  st->user = NULL;
  stream_stop(st, code);
  stream_reset(st, code);
}

static void refused_stream(struct transport *t, struct stream *st)
{
  session_refuse(st, LITE_RESET_SESSION_CLOSED);
}

static void refused_closed(struct transport *t, uint64_t code, struct slice reason, bool by_peer) {}

void lite_transport_refuse(struct transport *t, uint64_t code, const char *reason)
{
  static const struct transport_events refused = {.on_stream = refused_stream, .on_closed = refused_closed};
  t->events = &refused;
  transport_close(t, code, reason);
}
