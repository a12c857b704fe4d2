/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of WebTransport share. Who does what:
 *
 *   webtransport.c          the API: a connection's start and end, the session's transport
 *   webtransport_session.c  the session's life: request, answer, capsules, close
 *   webtransport_streams.c  HTTP/3: which stream is what, control stream, requests
 *   webtransport_wait.c     what arrives before its session: kept for a while, handed over, or
 * rejected
 *
 * A stream of the peer is ours (a `struct h3_stream` is its user) until its type and session id are
 * read. Then it is handed to the session: its events and user become the session's, and it is not
 * looked at again, but for the session's end. The session's own streams get their prefix and are
 * the session's from the start. */
#pragma once
#include "net/webtransport.h"
#include "wire/h3/capsule.h"
#include "wire/h3/codes.h"
#include "wire/h3/frame.h"
#include "wire/h3/message.h"

enum h3_kind {
  H3_KIND_UNTYPED,     /* the first varint is not whole */
  H3_KIND_WT_PREFIX,   /* a session's stream; the session id is not whole */
  H3_KIND_WAITING,     /* a session's stream that is here before the session */
  H3_KIND_CONTROL_OUT, /* ours */
  H3_KIND_CONTROL,
  H3_KIND_QPACK_ENCODER,
  H3_KIND_QPACK_DECODER,
  H3_KIND_REQUEST, /* HEADERS not whole */
  H3_KIND_CONNECT, /* the session's */
  H3_KIND_DISCARD, /* nothing more is expected from the peer */
  H3_KINDS,
};

/* Pieces that we write on one stream: HEADERS, DRAIN, CLOSE. Each is encoded whole, and stays where
 * it is until the stream is closed. */
#define H3_PIECES 3

struct h3_stream {
  struct list link; /* wt_conn.streams, in order of arrival */
  struct wt_conn *conn;
  struct stream *s;
  enum h3_kind kind;
  uint64_t since; /* ns, when it came */
  /* in */
  struct h3_varint varint;
  struct h3_frame_reader frames;
  struct buf in;       /* a frame's payload, or what a waiting stream has got */
  uint64_t session_id; /* of a session's stream */
  bool fin;            /* a waiting stream's end has come */
  bool stopped;        /* the peer wants nothing from a waiting stream */
  uint64_t stop_code;
  bool is_ghost; /* all of it came while it waited, so that QUIC has closed it: `s` is the ghost */
  struct stream ghost;
  /* out */
  struct buf out[H3_PIECES];
  uint8_t out_count, out_at; /* pieces there are, and the one being sent */
  size_t out_sent;           /* bytes of it */
  bool out_fin;
  /* while the session decides about it */
  const struct stream_ops *real_ops;
  bool stopped_by_session;
};

enum wt_state {
  WT_HELD,      /* server: CONNECT is there, the peer's SETTINGS are not; client: CONNECT is not sent */
  WT_REQUESTED, /* waits for the owner's (server) or the peer's (client) answer */
  WT_OPEN,
  WT_CLOSING, /* `end` says how; on_closed will come */
};

/* How a session ended. */
struct wt_end {
  bool known;
  uint64_t code;
  bool by_peer;
  char reason[WT_REASON_MAX + 1];
};

struct wt_session {
  struct transport t; /* first */
  struct wt_conn *conn;
  struct h3_stream *connect; /* NULL when the stream has closed, or is not opened yet */
  enum wt_state state;
  uint64_t id;
  void *owner;     /* wt_session_set_user */
  struct buf text; /* the following four, each with its NUL */
  const char *authority, *path, *origin, *authorization;
  bool at_once; /* see wt_close_at_once */
  struct wt_protocols protocols;
  struct wt_capsule_reader capsules;
  struct wt_end end;
};

struct wt_datagram {
  struct list link;
  uint64_t session_id;
  size_t n;
  uint8_t bytes[];
};

struct wt_conn {
  struct transport *quic;
  struct worker *worker;
  const struct log *log;
  const struct wt_server_events *server; /* of a server */
  const struct wt_dial_events *dial;     /* of a client; NULL when told already */
  void *ctx;
  struct h3_qpack qpack;
  struct list streams;
  struct h3_stream *control_out, *control, *qpack_encoder, *qpack_decoder;
  bool settings_seen, failed;
  struct h3_settings settings;
  struct wt_session *session;
  uint32_t requests;         /* so far */
  uint32_t counts[H3_KINDS]; /* streams of each kind */
  struct list datagrams;     /* that wait */
  uint32_t datagram_count;
  size_t waiting_bytes;
  struct timer connect_timer, waiting_timer, linger_timer, type_timer;
  struct deferred handover;
  struct h3_stream *handing; /* whose on_stream is running */
};

/* ---- webtransport.c ---- */

extern const struct transport_ops wt_transport_ops;

/* Ends the connection with an HTTP/3 code. */
void wt_fail(struct wt_conn *c, uint64_t code, const char *reason);

/* ---- webtransport_session.c ---- */

/* A server's CONNECT. 0 or -ENOMEM. */
int wt_session_request(struct h3_stream *h, const struct h3_request *request, const struct h3_fields *fields);

/* A client's session-to-be. 0 or -ENOMEM. */
int wt_session_plan(struct wt_conn *c, const char *authority, const char *path, const char *const *protocols);

/* The peer's SETTINGS are here, or it allows more streams: what was held may go on. */
void wt_session_unhold(struct wt_conn *c);

/* Payload of a DATA frame on the CONNECT stream. */
void wt_session_capsules(struct wt_session *s, struct slice in);

/* The response to a client's CONNECT. */
void wt_session_answered(struct wt_session *s, const struct h3_fields *fields);

/* The CONNECT stream ended: FIN, or reset (then code is TRANSPORT_NO_CODE). */
void wt_session_peer_end(struct wt_session *s, uint64_t code, struct slice reason);

void wt_session_free(struct wt_session *s);

/* Makes a stream of a closing session nobody's: the session hears of it once more, when it is
 * closed. */
void wt_session_orphan(struct wt_session *s, struct stream *stream);

void wt_session_close(struct transport *t, uint64_t code, const char *reason);
void wt_session_on_linger(struct timer *t, uint64_t now);
void wt_session_on_connect_timeout(struct timer *t, uint64_t now);

/* The client's owner hears why there will be no session, once. */
void wt_dial_failed(struct wt_conn *c, int status, const char *text);

/* ---- webtransport_streams.c ---- */

extern const struct stream_events h3_stream_events;

/* Events of a stream that nobody listens to, and has been reset and stopped; all but `closed` also
 * one by one. */
extern const struct stream_events h3_ignored_events;
void h3_ignore_data(struct stream *s, struct slice in, bool fin);
void h3_ignore_code(struct stream *s, uint64_t code);
size_t h3_pull_nothing(struct stream *s, struct iovec *iov, size_t max, bool *ret_fin);
void h3_ignore_sent(struct stream *s, size_t n, bool fin);

void h3_on_stream(struct transport *t, struct stream *s);

/* Opens a stream of our own for HTTP/3. Errors of open_stream. */
int h3_open(struct wt_conn *c, bool bidi, enum h3_kind kind, struct h3_stream **ret_h);

void h3_set_kind(struct h3_stream *h, enum h3_kind kind);

/* A new piece to encode the next thing to send into; then h3_piece_done. NULL when there are
 * H3_PIECES already. */
struct buf *h3_piece(struct h3_stream *h);

/* Sends the piece, and FIN after it; a piece that failed for want of memory ends the connection. */
void h3_piece_done(struct h3_stream *h, bool fin);

/* A response without a body. */
void h3_answer(struct h3_stream *h, int status, const char *protocol, bool fin);
/* A refusal, with www-authenticate unless it is empty, and the end of the stream. */
void h3_answer_asking(struct h3_stream *h, int status, struct slice www_authenticate);

/* Both directions end with a code as it is on the wire; what still comes is dropped. A ghost is
 * freed. */
void h3_refuse(struct h3_stream *h, uint64_t wire_code);

/* Forgets a stream that is handed over or closed. */
void h3_stream_free(struct h3_stream *h);

/* ---- webtransport_wait.c ---- */

/* A session's stream whose prefix has been read; `in` is what follows. */
void wt_wait_stream(struct h3_stream *h, struct slice in, bool fin);

/* More of a waiting one. */
void wt_wait_data(struct h3_stream *h, struct slice in, bool fin);

void wt_wait_datagram(struct wt_conn *c, uint64_t session_id, struct slice payload);

/* QUIC has closed the stream. True when it lives on as a ghost, to be handed over whole. */
bool wt_wait_closed(struct h3_stream *h);

/* Gives an open session what waits for it. */
void wt_hand_over(struct wt_conn *c);

/* Rejects all that waits. */
void wt_wait_end(struct wt_conn *c, uint64_t wire_code);

void wt_wait_on_timeout(struct timer *t, uint64_t now);
/* Refuses streams that have not said in WT_TYPE_NS what they are, or ask for: h3_on_stream sets it. */
void h3_on_type_timeout(struct timer *t, uint64_t now);
