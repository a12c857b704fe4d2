/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The inside of a moq-lite session, shared by its files:
 *
 *   session.c             life: the transport's events
 *   dispatch.c            which stream is what             refuse.c              streams nobody listens to
 *   setup.c               SETUP of 05 and later
 *   setup_legacy.c        the SETUP exchange of 01 and 02
 *   control.c             a request stream: messages in, queued bytes out
 *   publish_announce.c    serves ANNOUNCE_REQUEST          subscribe_announce.c  asks, and adds routes
 *   publish_track.c       serves TRACK, FETCH              subscribe_track.c     the model's source: asks for tracks
 *   publish_group.c       serves SUBSCRIBE, sends groups   subscribe_group.c     receives groups and fetched frames
 *   probe.c, goaway.c
 *   wait.c                deadlines of what the peer has begun
 *   limits.c              bounds on paths, requests and what is unfinished
 *
 * Objects live until their stream's `closed`; nothing is freed inside a handler that something above it still uses. */
#pragma once
#include "base/heap.h"
#include "session/lite/session.h"
#include "session/sendq.h"
/* Else uthash ends the process where memory does. An element that could not be added has a NULL hh.tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct control;

/* Something the peer has to go on with within limits.message_timeout_ns. Embedded; link initialised with list_init and
 * `expired` set by the owner. All waits of a session are equally long, so they end in the order they began. */
struct wait {
  struct list link; /* in session->waits */
  uint64_t since;
  void (*expired)(struct wait *w); /* once; the wait is over then */
};

struct control_ops {
  const char *name;
  bool no_request; /* the opener may say nothing at all */
  bool answered;   /* the peer's answer has to begin within limits.message_timeout_ns, and one of frames to go on */
  /* One whole message of the peer. A handler that does not like it calls control_abort. */
  void (*message)(struct control *c, const struct lite_raw *raw);
  void (*fin)(struct control *c);                    /* the peer's direction ended cleanly */
  void (*reset)(struct control *c, uint64_t code);   /* it was reset */
  void (*stopped)(struct control *c, uint64_t code); /* the peer refuses ours; may be NULL */
  /* Raw bytes instead of messages (the answer to FETCH); NULL: messages only. */
  void (*frames)(struct control *c, struct slice data, bool fin);
  void (*drained)(struct control *c); /* the peer acknowledged some of what was queued; may be NULL */
  size_t (*memory)(const struct control *c); /* bytes of the owner, if it may hold much; may be NULL */
  void (*gone)(struct control *c);    /* the stream is over: free the owner */
};

/* One bidirectional request stream. Embedded first in its owner. */
struct control {
  struct list link; /* in session->requests */
  struct lite_session *session;
  const struct control_ops *ops;
  struct stream *stream;     /* NULL while it waits for the peer to allow one more */
  struct lite_reader reader; /* of the peer's bytes */
  struct buf in;             /* an incomplete message */
  struct sendq out;
  struct reader *body; /* group bytes that follow the queue, or NULL */
  struct send_order order;
  struct wait wait; /* for a stream, an answer, or the rest of a message */
  size_t kept;      /* of `in`, as counted by session_keep */
  bool ours;
  bool deaf;       /* no more events for the owner but `gone` */
  bool peer_ended; /* the peer's direction is over */
};

/* A stream that the peer opened, with the bytes after its type. */
void control_accept(struct control *c, struct lite_session *s, struct stream *stream, enum lite_stream type,
                    const struct control_ops *ops);
/* Opens one: its type is queued. Waits when the peer allows no more. -ENOMEM, -EUSERS; then `gone` is not called. */
int control_open(struct control *c, struct lite_session *s, enum lite_stream type, const struct control_ops *ops);
/* Queues a message. On failure the stream is reset. */
void control_send(struct control *c, enum lite_msg m, const union lite_body *body);
void control_send_bytes(struct control *c, struct slice bytes);
void control_fin(struct control *c);
/* Ends both directions with a reset code; `gone` follows (without a stream: from the next retry, or when its wait is over). */
void control_abort(struct control *c, uint64_t code);
void control_feed(struct control *c, struct slice data, bool fin);
/* More streams may be opened. */
void control_retry(struct lite_session *s);

struct lite_session {
  const struct lite_env *env;
  const struct lite_session_events *events;
  void *ctx;
  struct transport *transport;
  const struct lite_version_info *version;
  uint64_t id;
  unsigned legacy; /* versions of the SETUP exchange that may be picked, a bit each */
  struct scope scope;
  bool started, setup_begun, setup_seen, setup_ended, closing, goaway_sent, goaway_seen, client;
  struct lite_setup peer;      /* hop, cost, probe, role; its path is not kept */
  struct legacy_setup *unanswered; /* CLIENT_SETUP of a client that has not been let in yet */
  struct setup_out *setup_out; /* our SETUP while the peer allows no stream for it */
  uint64_t stamp;              /* stands for a publisher that names no hop */
  struct list requests;        /* struct control.link, those with a stream */
  struct list waiting;         /* those without yet */
  uint32_t request_count[2];   /* the peer's, ours */
  uint32_t open[LITE_STREAMS]; /* the peer's by kind */
  size_t queued;               /* control bytes held by all of them */
  size_t partial;              /* bytes of the peer's messages that have not come whole */
  uint64_t paced;              /* see session_request_at */
  struct timer pace_timer;     /* for requests in `held` */
  struct list held;            /* streams that came before admission, and requests that came too fast */
  uint32_t held_count;
  struct heap outgoing;       /* struct out_group.queue: groups without a stream yet, next one on top */
  uint32_t group_count;       /* groups on their way to the peer */
  struct upstream *upstreams; /* by subscribe id (uthash) */
  uint64_t next_subscribe_id;
  uint64_t subscribe_order; /* counts the peer's subscriptions: older first at equal priority */
  struct sub_announce *announce;
  uint32_t announce_entries; /* of the peer's announce streams but the first */
  bool announce_first;       /* there is one that is the first */
  struct timer setup_timer;
  struct list waits; /* struct wait.link, oldest first */
  struct timer wait_timer;
  struct control *probe;
};

static inline uint64_t session_now(const struct lite_session *s)
{
  return *s->env->now;
}

/* ---- limits.c ---- */

/* The session is over a limit: counts it. The caller refuses. */
void session_limit(const struct lite_session *s, enum limit limit);
/* Whether a normalised path is within limits.path_parts and path_bytes; when not, that is counted. */
bool session_path_fits(const struct lite_session *s, struct slice path);
/* As path_parse, and -ENAMETOOLONG for a path that is over limits.path_parts or path_bytes, which is counted. */
int session_path(const struct lite_session *s, struct path *ret_path, struct slice raw);
/* An object has n bytes of unfinished messages instead of *kept. False: that is over limits.partial_bytes, and counted. It
 * is noted all the same; with 0 it is taken back. */
bool session_keep(struct lite_session *s, size_t *kept, size_t n);
/* Whether the peer may have one more request of that kind open; when not, it is counted. */
bool session_has_room(struct lite_session *s, enum lite_stream type);
void session_count_request(struct lite_session *s, enum lite_stream type, int by);
/* When limits.requests_per_second allows the next request. */
uint64_t session_request_at(const struct lite_session *s);
/* The peer has made a request that is worth n; more than a burst counts as a burst. */
void session_requested(struct lite_session *s, uint64_t n);

/* Ends the session for a peer's breach; logs it once. */
void session_violation(struct lite_session *s, const char *what);

void waits_init(struct lite_session *s);
void waits_destroy(struct lite_session *s); /* they are over */
/* No effect on a wait that goes on. */
void wait_begin(struct lite_session *s, struct wait *w);
void wait_end(struct wait *w);

/* Refuses one stream, both directions; the session goes on. */
void session_refuse(struct stream *st, uint64_t code);
/* Rows for event tables whose stream has nothing to say or to hear. */
void quiet_data(struct stream *st, struct slice data, bool fin); /* gives the credit back */
void quiet_code(struct stream *st, uint64_t code);
size_t quiet_pull(struct stream *st, struct iovec *iov, size_t max, bool *ret_fin);
void quiet_sent(struct stream *st, size_t n, bool fin);
void quiet_closed(struct stream *st);

/* ---- setup.c ---- */
/* Our part: a stream of its own, or as a client of 01 and 02 the first move of the exchange. -ENOMEM. */
int setup_begin(struct lite_session *s, const struct lite_session_config *config);
/* Opens our Setup stream when the peer allowed none at first; errors of transport_open. */
int setup_open(struct lite_session *s);
void setup_out_free(struct setup_out *o); /* one that never got a stream; NULL is fine */
void setup_accept(struct lite_session *s, struct stream *st);
/* Disarms the deadline when the peer's SETUP is here and the session started. */
void setup_settle(struct lite_session *s);
void setup_timeout(struct timer *timer, uint64_t now);

/* ---- dispatch.c ---- */
/* Takes a stream that the peer opened; it has limits.message_timeout_ns to say what it is. */
void dispatch_accept(struct lite_session *s, struct stream *st);
/* The session has started: streams that waited for it go on. */
void dispatch_held(struct lite_session *s);
void dispatch_on_pace(struct timer *timer, uint64_t now);

/* The peer's SETUP, of whatever kind, has come and the version is known: asks for admission. */
void session_is_set_up(struct lite_session *s, struct slice authorization);
void setup_legacy_accept(struct lite_session *s, struct stream *stream, enum lite_stream type);
/* Answers CLIENT_SETUP, if there is one: the client may come in. */
void setup_legacy_answer(struct lite_session *s);
int setup_legacy_open(struct lite_session *s, const char *path);

/* ---- the publisher half ---- */
void publish_announce_accept(struct lite_session *s, struct stream *stream);
void publish_track_accept(struct lite_session *s, struct stream *stream);
void publish_fetch_accept(struct lite_session *s, struct stream *stream);
void publish_subscribe_accept(struct lite_session *s, struct stream *stream);
void publish_groups_retry(struct lite_session *s);
/* The session ends: groups that never got a stream go. */
void publish_groups_drop(struct lite_session *s);
void probe_accept(struct lite_session *s, struct stream *stream);
/* There will be something to measure. */
void probe_wake(struct lite_session *s);
void goaway_accept(struct lite_session *s, struct stream *stream);

/* What the peer is reached through, for the model: its hop; of a relay that names none the session's stamp, which what it
 * announces has. */
uint64_t publish_hop(const struct lite_session *s);
/* The track that a request names, as a reference, served by a route that did not come through the peer; NULL and a reset
 * code when there is none this session may watch. */
struct track *publish_find(struct lite_session *s, struct slice broadcast, struct slice track, uint64_t *ret_code);

/* How groups look in a version. Versions that write frames alike share one, and so the bytes. */
const struct framing *lite_framing(const struct lite_version_info *version);

/* ---- the subscriber half ---- */
int subscribe_announce_open(struct lite_session *s);
/* The session ends: what the peer announced is unannounced (clean) or lost. */
void subscribe_announce_close(struct lite_session *s, bool clean);
extern const struct source_ops subscribe_source;
void subscribe_group_accept(struct lite_session *s, struct stream *stream, struct slice data, bool fin);
void subscribe_datagram(struct lite_session *s, struct slice data);

/* Our SUBSCRIBE of a track upstream. */
struct upstream {
  struct control control;
  UT_hash_handle hh;
  uint64_t id;
  struct track *track;    /* a reference; NULL once the model does not want it any more */
  struct list groups;     /* struct in_group.link: streams that feed it */
  uint64_t next_sequence; /* above every group that has begun, in the peer's numbering */
  uint64_t streams;       /* group streams that have come, used or not */
  uint64_t expected;      /* of them in all, where SUBSCRIBE_END tells; else LITE_NONE */
  bool ended;             /* SUBSCRIBE_END has come */
  bool over;              /* its stream is gone after the end */
};
/* Ends subscriptions whose track has moved to another source; all of them when the session ends. */
void subscribe_prune(struct lite_session *s, bool all);
/* One of its group streams has come. */
void subscribe_counted(struct upstream *u);
struct upstream *subscribe_find(struct lite_session *s, uint64_t id);
void subscribe_groups_cancel(struct upstream *u, uint64_t code);

/* Frames of a stream on their way into a group. */
struct frame_parser {
  uint8_t head[LITE_FRAME_HEADER_MAX];
  uint8_t head_n;
  uint64_t timestamp; /* of the frame before, 0 at first */
  uint64_t left;      /* payload bytes to come */
  uint64_t next_id;
};
/* Appends to g. 0, or a negative error; *ret_code is the reset code that fits it. */
int frame_parser_feed(struct frame_parser *p, const struct lite_session *s, struct group *g, struct slice data,
                      uint64_t *ret_code);
/* Whether the stream may end here. */
static inline bool frame_parser_whole(const struct frame_parser *p)
{
  return p->left == 0 && p->head_n == 0;
}
