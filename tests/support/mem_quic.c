/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What bindings need of the QUIC endpoint, on the in-memory transport: a test that links this file
 * runs them without sockets. */
#include "net/quic.h"
#include "support/mem_transport.h"

void quic_stream_reset_raw(struct stream *s, uint64_t wire_code)
{
  mem_stream_reset_raw(s, wire_code);
}

void quic_stream_stop_raw(struct stream *s, uint64_t wire_code)
{
  mem_stream_stop_raw(s, wire_code);
}

void quic_stream_set_prefix(struct stream *s, struct slice prefix)
{
  mem_stream_set_prefix(s, prefix);
}

void quic_each_stream(struct transport *t, void (*fn)(struct stream *s, void *ctx), void *ctx)
{
  mem_each_stream(t, fn, ctx);
}

void quic_close_raw(struct transport *t, uint64_t wire_code, const char *reason)
{
  t->ops->close(t, wire_code, reason);
}
