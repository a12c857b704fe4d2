/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client of a relay as bytes on streams: it speaks moq-lite with nothing of ours but the codec, so what it hears is what
 * the relay sent. Publishers and viewers are made of it. */
#pragma once
#include "net/transport.h"
#include "session/sendq.h"
#include "story.h"
#include "wire.h"
#include "wire/lite/lite.h"

struct peer;
struct peer_stream;
struct relay;

struct peer_ops {
  /* Requests may be made. */
  void (*ready)(struct peer *p);
  /* The other side opened a stream and its type is known; sets s->user. */
  void (*opened)(struct peer_stream *s);
  void (*message)(struct peer_stream *s, enum lite_msg m, const union lite_body *body);
  /* Bytes of frames, in order. */
  void (*frames)(struct peer_stream *s, struct slice data);
  /* The other side's direction is over: cleanly, or by a reset. Once. */
  void (*over)(struct peer_stream *s, bool reset, uint64_t code);
  void (*stopped)(struct peer_stream *s, uint64_t code);
  void (*gone)(struct peer_stream *s); /* freed after it */
  void (*datagram)(struct peer *p, const struct lite_datagram *d);
  void (*closed)(struct peer *p, uint64_t code, bool by_relay); /* all streams are gone */
};

struct peer {
  struct actor who;
  struct run *run;
  const struct peer_ops *ops;
  struct transport *t; /* NULL before peer_join and once closed */
  struct wire *wire;   /* valid while t is */
  struct relay *relay;
  enum lite_version version;
  uint64_t hop;
  struct list streams;
  bool ready, stalled, closing;
  bool good; /* healthy: nothing befalls it */
};

struct peer_stream {
  struct list link;
  struct peer *peer;
  struct stream *st;
  bool local, typed, over;
  enum lite_stream type;
  struct lite_reader reader;
  struct buf in;
  struct sendq out;
  size_t owed; /* credit kept back while stalled */
  void *user;
};

/* Joins a relay as a client. */
void peer_join(struct peer *p, struct relay *relay, enum lite_version v, uint64_t hop);
void peer_close(struct peer *p, uint64_t code);
void peer_stall(struct peer *p, bool stalled);

/* NULL when the relay allows no more streams. The stream's type is sent. */
struct peer_stream *peer_open(struct peer *p, enum lite_stream type, void *user);
/* These do nothing when s is NULL. */
void peer_say(struct peer_stream *s, enum lite_msg m, const union lite_body *body);
void peer_write(struct peer_stream *s, const void *p, size_t n);
void peer_fin(struct peer_stream *s);
void peer_reset(struct peer_stream *s, uint64_t code);
void peer_stop(struct peer_stream *s, uint64_t code);
