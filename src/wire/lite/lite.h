/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The codec of moq-lite 01 to 06, and 07-wip: bytes <-> one struct per message. Pure: no session, no log, no
 * clock; it allocates only in the caller's `struct buf`. Versions differ by data: the version table
 * (lite_info), and for each message the rows that say in which versions it and its fields exist. A
 * session asks lite_info() where behaviour differs and never compares version numbers.
 *
 * Conventions of every struct here:
 * - Strings are borrowed: after decoding they point into the input, before encoding they must
 *   outlive the call. They are valid UTF-8 and paths have at most PATH_PARTS_MAX parts, both ways,
 *   but paths are not normalised (see path_parse).
 * - An optional number is LITE_NONE when absent.
 * - A field that the version does not have is ignored by the encoder; the decoder sets it to zero,
 *   except max_age, group_start, group_end and frame_end, which become LITE_NONE, and the cost of a
 *   SETUP, which becomes 1.
 * - Sequences and ids are 62 bits, also where varints have room for more.
 *
 * Errors: decoders return -EPROTO for malformed bytes; encoders -EINVAL for a value that a peer
 * would refuse, -ENOMEM. Outputs are untouched on failure. */
#pragma once
#include "base/buf.h"
#include "base/path.h"
#include "base/slice.h"

/* ---- Versions ---- */

enum lite_version { LITE_01, LITE_02, LITE_03, LITE_04, LITE_05, LITE_06, LITE_07, LITE_VERSIONS };

/* What an announcement says about its way here (moq-lite, "Hop lists"). */
enum lite_hop_form {
  LITE_HOPS_NONE,           /* nothing */
  LITE_HOPS_COUNT,          /* how many, the sender included; ids decode as 0 (unknown) */
  LITE_HOPS_WITH_SENDER,    /* ids, the sender's own last */
  LITE_HOPS_WITHOUT_SENDER, /* ids, without the sender's, which is in its ANNOUNCE_OK */
};

struct lite_version_info {
  enum lite_version version;
  const char *name;     /* "01" ...; after "moq-lite-" what options and logs call it */
  const char *alpn;     /* of raw QUIC, and the WebTransport subprotocol; 01 and 02 share "moql" */
  uint32_t code;        /* in CLIENT_SETUP and SERVER_SETUP */
  bool by_name_only;    /* not finished: offered and taken only when an option names it */
  const struct varint_form *ints;
  bool legacy_setup;    /* CLIENT_SETUP and SERVER_SETUP on the first bidirectional stream */
  bool setup_stream;    /* SETUP on a unidirectional stream, each way */
  bool announce_init;   /* the initial set is one ANNOUNCE_INIT */
  bool announce_ok;     /* ANNOUNCE_OK with Hop ID and count comes before the initial set */
  bool typed_announces; /* START, END, UPDATE and Announce IDs, not ANNOUNCE with a status byte */
  bool announce_again;  /* a second ANNOUNCE "active" of a live path replaces it in place */
  bool exclude_hop;     /* ANNOUNCE_REQUEST carries the asker's Hop ID */
  bool hidden;          /* ANNOUNCE_REQUEST says whether paths with a part that begins with "." are wanted */
  bool bases;           /* announcements may take part of their path and hops from a live one */
  enum lite_hop_form hops;
  bool costs;              /* announcements carry costs */
  bool subscribe_ok;       /* SUBSCRIBE is answered by SUBSCRIBE_OK; else by SUBSCRIBE_START and _END */
  bool stream_count;       /* SUBSCRIBE_END tells how many groups had a stream, once all of them have begun */
  bool max_age;            /* SUBSCRIBE has Max Age and the bounds */
  bool group_start_latest; /* Group Start absent = latest group; else a plain floor, 0 = none */
  bool frame_bounds;       /* SUBSCRIBE, FETCH and GROUP have Frame Start (and End) */
  bool track;              /* TRACK and TRACK_INFO */
  bool fetch;              /* FETCH is served (03 and 04 define it, deployed peers refuse it) */
  bool probe, goaway;
  bool probe_rtt;  /* PROBE has RTT */
  bool timestamps; /* frames have timestamps */
  bool datagrams;
};

/* Never NULL. */
const struct lite_version_info *lite_info(enum lite_version v);

/* Those that are spoken when nobody names any: 1u << LITE_01 | ... */
unsigned lite_default_versions(void);

/* The version of an ALPN or WebTransport subprotocol. "moql" gives LITE_02, to be replaced by what
 * the SETUP exchange picks. False when it is none of ours. */
bool lite_from_alpn(struct slice alpn, enum lite_version *ret_version);

/* The version of a code in a legacy SETUP: 01 or 02 only, since later versions are never negotiated
 * by code. */
bool lite_from_code(uint64_t code, enum lite_version *ret_version);

/* ---- Messages ---- */

#define LITE_NONE UINT64_MAX
#define LITE_HOPS_MAX 32            /* entries of a hop list */
#define LITE_PARAMETERS_MAX 64      /* of a SETUP */
#define LITE_SETUP_VERSIONS_MAX 128 /* of a CLIENT_SETUP */
#define LITE_SETUP_MAX (64u << 10)  /* body bytes of any SETUP */
#define LITE_GOAWAY_URI_MAX 8192    /* bytes */
#define LITE_MESSAGE_MAX (1u << 20) /* body bytes of any other message; a session may set less */

enum lite_msg {
  LITE_UNKNOWN,             /* a typed message of a type we do not know: skip it */
  LITE_CLIENT_SETUP,        /* 0x20 framing, with its type and u16 length */
  LITE_SERVER_SETUP,        /* 0x21 */
  LITE_CLIENT_SETUP_OLDER,  /* 0x40 framing, with its type and a varint length */
  LITE_SERVER_SETUP_OLDER,  /* 0x41 */
  LITE_CLIENT_SETUP_OLDEST, /* the framing of bidirectional stream type 0x0, varint length */
  LITE_SERVER_SETUP_OLDEST,
  LITE_SESSION_INFO,
  LITE_SETUP,
  LITE_ANNOUNCE_REQUEST,
  LITE_ANNOUNCE_INIT,
  LITE_ANNOUNCE_OK,
  LITE_ANNOUNCE,
  LITE_ANNOUNCE_START,
  LITE_ANNOUNCE_END,
  LITE_ANNOUNCE_UPDATE,
  LITE_SUBSCRIBE,
  LITE_SUBSCRIBE_UPDATE,
  LITE_SUBSCRIBE_OK,
  LITE_SUBSCRIBE_START,
  LITE_SUBSCRIBE_END,
  LITE_SUBSCRIBE_DROP,
  LITE_TRACK,
  LITE_TRACK_INFO,
  LITE_FETCH,
  LITE_PROBE,
  LITE_GOAWAY,
  LITE_GROUP,
  LITE_MSGS
};

/* Origin first. A non-zero id may be there once only; 0 = unknown. */
struct lite_hops {
  size_t n;
  uint64_t id[LITE_HOPS_MAX];
};

/* Section "Legacy SETUP exchange". `versions` holds `version_count` varints, in order of
 * preference: read them with lite_next_varint, write them with buf_varint. Parameters: p == NULL or
 * 0 = absent. */
struct lite_client_setup {
  uint64_t version_count;
  struct slice versions;
  struct slice path, authorization, authority, implementation; /* bytes of any kind */
  uint64_t max_request_id;
};

struct lite_server_setup {
  uint64_t version; /* a code, see lite_from_code */
};

struct lite_session_info {
  uint64_t bitrate; /* bits per second, 0 = unknown */
};

enum lite_role { LITE_ROLE_BOTH, LITE_ROLE_PUBLISHER, LITE_ROLE_SUBSCRIBER };

/* Setup stream. Start from LITE_SETUP_INIT: parameters with their default are left out. */
struct lite_setup {
  struct slice path; /* path and query of a raw QUIC client; p == NULL = absent */
  uint64_t hop;      /* sender's Hop ID, 0 = absent */
  uint64_t cost;     /* of subscribing from the sender; 1 = absent. 06+ */
  uint8_t probe;     /* 0 none, 1 report, 2 increase */
  uint8_t role;      /* enum lite_role */
};
#define LITE_SETUP_INIT                                                                                                \
  {                                                                                                                    \
    .cost = 1                                                                                                          \
  }

struct lite_announce_request {
  struct slice prefix;
  uint64_t exclude_hop; /* 04, 05; 0 = none */
  uint8_t hidden;       /* 07+; 1 = also paths with a part below the prefix that begins with "." */
};

/* `suffixes` holds `count` strings: lite_next_string reads them, buf_prefixed writes them. */
struct lite_announce_init {
  uint64_t count;
  struct slice suffixes;
};

struct lite_announce_ok {
  uint64_t hop;    /* publisher's Hop ID, 0 = unknown */
  uint64_t active; /* announcements of the initial set, which follow */
};

enum lite_status { LITE_ENDED, LITE_ACTIVE, LITE_RESTART };

struct lite_announce {
  uint8_t status; /* enum lite_status; RESTART only in 05, means ACTIVE, never sent */
  struct slice suffix;
  struct lite_hops hops; /* 03+, in the form of lite_info()->hops; meaningless when ended */
};

/* 07+: the live announcement that a path or hop list takes a part of, which lite_join_path and lite_join_hops put
 * together. Zeroes: all of it is here. */
struct lite_base {
  uint64_t distance; /* back from the next Announce ID of the stream: 1 = the latest START; 0 = none, then keep is 0 */
  uint64_t keep;     /* the base's first parts, its last hops */
};

struct lite_announce_start { /* takes the next Announce ID of its stream, from 0 */
  struct slice suffix;       /* what follows the base's parts */
  struct lite_hops hops;     /* what comes before the base's hops */
  uint64_t warm_cost, cold_cost;
  struct lite_base path_base, hop_base;
};

struct lite_announce_end {
  uint64_t id;
};

struct lite_announce_update {
  uint64_t id;
  struct lite_hops hops;
  uint64_t warm_cost, cold_cost;
  struct lite_base hop_base; /* may be the list that this one replaces */
};

/* What a subscriber wants of a track; the whole of SUBSCRIBE_UPDATE. */
struct lite_want {
  uint8_t priority;
  uint8_t ordered;      /* 03 to 05 */
  uint64_t max_age;     /* ms; 03+ */
  uint64_t group_start; /* 03 to 05: LITE_NONE = the latest group. 06+: a floor, 0 = none; LITE_NONE
                           encodes as 0 */
  uint64_t group_end;   /* inclusive, optional */
  uint64_t frame_start; /* 06+: within group_start */
  uint64_t frame_end;   /* 06+: within group_end, inclusive, optional; needs group_end */
};
/* Everything that will come, nothing older: zero is a bound where LITE_NONE is none. */
#define LITE_WANT_INIT                                                                                                 \
  {                                                                                                                    \
    .group_start = LITE_NONE, .group_end = LITE_NONE, .frame_end = LITE_NONE                                           \
  }

struct lite_subscribe {
  uint64_t id;
  struct slice broadcast, track;
  struct lite_want want;
};

struct lite_subscribe_update {
  struct lite_want want;
};

struct lite_subscribe_ok { /* 01 to 04; 01 has the priority only, 02 nothing */
  uint8_t priority, ordered;
  uint64_t max_age, group_start, group_end; /* the latter two optional */
};

struct lite_subscribe_start {
  uint64_t group; /* first one that will be delivered */
};

struct lite_subscribe_end {
  uint64_t group;   /* first one that will never exist (exclusive) */
  uint64_t streams; /* 07+: group streams that were opened for the subscription */
};

struct lite_subscribe_drop {
  uint64_t start, end; /* groups, inclusive */
  uint64_t error;
};

struct lite_track {
  struct slice broadcast, track;
};

struct lite_track_info {
  uint8_t priority;
  uint8_t ordered;    /* 05 */
  uint64_t max_age;   /* ms that older groups stay cached */
  uint64_t timescale; /* units per second, never 0 */
};

/* Mind frame_end: LITE_NONE unless the end is known. */
struct lite_fetch {
  struct slice broadcast, track;
  uint8_t priority;
  uint64_t group;
  uint64_t frame_start; /* 06+ */
  uint64_t frame_end;   /* 06+: inclusive, optional */
};

struct lite_probe {
  uint64_t bitrate; /* bits per second, 0 = unknown */
  uint64_t rtt;     /* ms, 0 = unknown; 04+ */
};

struct lite_goaway {
  struct slice uri; /* "" = the same place */
};

struct lite_group {
  uint64_t subscribe_id;
  uint64_t sequence;
  uint64_t frame_start; /* index of the stream's first frame; 06+ */
};

union lite_body {
  struct lite_client_setup client_setup; /* also _OLDER, _OLDEST */
  struct lite_server_setup server_setup; /* also _OLDER, _OLDEST */
  struct lite_session_info session_info;
  struct lite_setup setup;
  struct lite_announce_request announce_request;
  struct lite_announce_init announce_init;
  struct lite_announce_ok announce_ok;
  struct lite_announce announce;
  struct lite_announce_start announce_start;
  struct lite_announce_end announce_end;
  struct lite_announce_update announce_update;
  struct lite_subscribe subscribe;
  struct lite_subscribe_update subscribe_update;
  struct lite_subscribe_ok subscribe_ok;
  struct lite_subscribe_start subscribe_start;
  struct lite_subscribe_end subscribe_end;
  struct lite_subscribe_drop subscribe_drop;
  struct lite_track track;
  struct lite_track_info track_info;
  struct lite_fetch fetch;
  struct lite_probe probe;
  struct lite_goaway goaway;
  struct lite_group group;
};

/* Decodes a message's body (what lite_reader_next hands out). The strings of *ret_body borrow from
 * `body`. -EPROTO when it is malformed, not consumed whole, or not a message of this version. */
int lite_decode(enum lite_version v, enum lite_msg m, struct slice body, union lite_body *ret_body);

/* Appends the whole message: Type where it has one, length, body; not the stream's type
 * (lite_stream_begin). *out is as before when it fails, apart from out->failed on -ENOMEM. -EINVAL
 * also when the version has no such message. */
int lite_encode(enum lite_version v, enum lite_msg m, const union lite_body *in, struct buf *out);

/* Whether the version has the message. */
bool lite_has(enum lite_version v, enum lite_msg m);

/* The first `keep` parts of a base's suffix, then `rest`. -EPROTO when the base has fewer, or the path would have more
 * than PATH_PARTS_MAX parts or PATH_BYTES_MAX bytes. */
int lite_join_path(struct slice base, uint64_t keep, struct slice rest, struct path *ret_path);

/* `head`, then the last `keep` of the `n` hops at `base`. -EPROTO when there are fewer, or the list would be too long
 * or hold an id twice. */
int lite_join_hops(const uint64_t *base, size_t n, uint64_t keep, const struct lite_hops *head,
                   struct lite_hops *ret_hops);

/* "SUBSCRIBE", for logs. Static. */
const char *lite_msg_name(enum lite_msg m);

/* Takes the next item off a checked list of a decoded message (of 01 or 02); false at its end. */
bool lite_next_string(struct slice *rest, struct slice *ret_s);
bool lite_next_varint(struct slice *rest, uint64_t *ret_v);

/* ---- Streams ---- */

enum lite_stream {
  LITE_STREAM_UNKNOWN,       /* not a stream of this version: refuse that stream, keep the session */
  LITE_STREAM_LEGACY,        /* 0x20: CLIENT_SETUP and SERVER_SETUP, then SESSION_INFO */
  LITE_STREAM_LEGACY_OLDEST, /* 0x0: the same in the oldest framing */
  LITE_STREAM_ANNOUNCE,
  LITE_STREAM_SUBSCRIBE,
  LITE_STREAM_FETCH,
  LITE_STREAM_PROBE,
  LITE_STREAM_GOAWAY,
  LITE_STREAM_TRACK,
  LITE_STREAM_GROUP,        /* unidirectional */
  LITE_STREAM_SETUP,        /* unidirectional */
  LITE_STREAM_LEGACY_OLDER, /* 0x40: LITE_STREAM_LEGACY as moq-transport before draft 11 frames it */
  LITE_STREAMS
};

/* "subscribe", for logs. Static. */
const char *lite_stream_name(enum lite_stream s);

/* Reads the stream type off the first bytes that the opener of a stream sent. 1 when known:
 * *ret_stream is what it is and *ret_n how many bytes to skip (0 for LITE_STREAM_LEGACY and _OLDER,
 * whose type belongs to their first message). 0 when more bytes are needed. Never fails. */
int lite_stream_open(enum lite_version v, bool uni, struct slice in, enum lite_stream *ret_stream, size_t *ret_n);

/* Appends the stream type (nothing for LITE_STREAM_LEGACY and _OLDER). -EINVAL when the version has no such
 * stream, -ENOMEM. */
int lite_stream_begin(enum lite_version v, enum lite_stream s, struct buf *out);

/* Cuts one direction of one stream, after the stream type, into messages. It holds no bytes: the
 * caller keeps what has arrived and passes all that is not yet consumed. */
enum lite_side { LITE_OPENER, LITE_ACCEPTOR }; /* whose bytes these are */

struct lite_reader {
  enum lite_version version; /* after a legacy SETUP the session sets what was picked */
  enum lite_stream stream;
  enum lite_side side;
  bool started; /* the first message has been handed out */
  size_t max;   /* body bytes of one message */
};

struct lite_raw {
  enum lite_msg msg; /* LITE_UNKNOWN: skip it */
  uint64_t type;     /* of a typed message */
  struct slice body; /* borrowed from the input */
  size_t n;          /* bytes of the input that the message took */
};

/* max is at most LITE_MESSAGE_MAX; some messages have a lower bound of their own. */
void lite_reader_init(struct lite_reader *r, enum lite_version v, enum lite_stream s, enum lite_side side, size_t max);

/* 1: *ret_raw is the next message; skip its n bytes. 0: more bytes are needed. -EPROTO: nothing may
 * come here (extra bytes after the last message, or this side has nothing to say). -EMSGSIZE:
 * longer than allowed, found out as soon as the length is there. Either error concerns the stream.
 * With an empty `in` it is 0. */
int lite_reader_next(struct lite_reader *r, struct slice in, struct lite_raw *ret_raw);

/* Whether what comes now is frames (lite_frame_read), not messages: a group stream after GROUP, the
 * answer to FETCH. */
bool lite_reader_frames(const struct lite_reader *r);

/* ---- Frames and datagrams ---- */

#define LITE_FRAME_HEADER_MAX (2 * VARINT_ONES_MAX_BYTES)
#define LITE_DATAGRAM_HEADER_MAX (3 * VARINT_ONES_MAX_BYTES)
#define LITE_TIMESTAMP_MAX ((1ULL << 61) - 1) /* so that any difference of two fits a frame header */

struct lite_frame {
  uint64_t timestamp; /* in units of the track's timescale; LITE_NONE in versions without */
  uint64_t size;      /* payload bytes that follow */
};

/* Reads a frame header. prev is the timestamp of the frame before it on this stream, 0 for the
 * first (ignored in versions without). Returns its bytes (> 0), 0 when more are needed, -EPROTO
 * when the timestamp is out of range. The caller bounds the size. */
int lite_frame_read(enum lite_version v, struct slice in, uint64_t prev, struct lite_frame *ret_frame);

/* Writes a frame header; returns its bytes. -EINVAL: a timestamp above LITE_TIMESTAMP_MAX or a size
 * above 2^62-1. */
int lite_frame_header(enum lite_version v, uint64_t prev, uint64_t timestamp, uint64_t size,
                      uint8_t out[LITE_FRAME_HEADER_MAX]);

struct lite_datagram {
  uint64_t subscribe_id;
  uint64_t sequence;
  uint64_t timestamp;   /* absolute, at most LITE_TIMESTAMP_MAX */
  struct slice payload; /* borrowed; the rest of the datagram */
};

/* -EPROTO: malformed, or the version has no datagrams. */
int lite_datagram_decode(enum lite_version v, struct slice in, struct lite_datagram *ret_datagram);

/* Writes what comes before the payload; returns its bytes, or -EINVAL. */
int lite_datagram_header(enum lite_version v, const struct lite_datagram *in, uint8_t out[LITE_DATAGRAM_HEADER_MAX]);

/* ---- Codes ---- */

/* RESET_STREAM and STOP_SENDING. Receivers take them as advice: older peers number differently. */
enum lite_reset {
  LITE_RESET_INTERNAL = 0x0,
  LITE_RESET_CANCELLED = 0x1, /* not wanted any more: a routine unsubscribe */
  LITE_RESET_TIMEOUT = 0x2,   /* delivery timeout */
  LITE_RESET_SESSION_CLOSED = 0x3,
  LITE_RESET_GOING_AWAY = 0x4,
  LITE_RESET_TOO_FAR_BEHIND = 0x5,
  LITE_RESET_MALFORMED = 0x12,
  LITE_RESET_CONTROL_TIMEOUT = 0x31,
  LITE_RESET_GROUP_TOO_LARGE = 0x32,
  LITE_RESET_NOT_FOUND = 0x33,
  LITE_RESET_OLD = 0x34,
  LITE_RESET_EVICTED = 0x35,
  LITE_RESET_UNROUTABLE = 0x36,
  LITE_RESET_WRONG_FRAME_SIZE = 0x37,
  LITE_RESET_FRAME_TOO_LARGE = 0x38,
  LITE_RESET_TIMESTAMP = 0x39,
  LITE_RESET_OVER_LIMIT = 0x40 + 429, /* ours, an application's: refused, as one of our limits is reached */
};

/* CONNECTION_CLOSE, or CLOSE_WEBTRANSPORT_SESSION. */
enum lite_close {
  LITE_CLOSE_DONE = 0x0,
  LITE_CLOSE_INTERNAL = 0x1,
  LITE_CLOSE_UNAUTHORIZED = 0x2,
  LITE_CLOSE_PROTOCOL = 0x3,
  LITE_CLOSE_PARAMETERS = 0x6,
  LITE_CLOSE_GOAWAY_TIMEOUT = 0x10,
  LITE_CLOSE_CONTROL_TIMEOUT = 0x11,
  LITE_CLOSE_VERSION = 0x15,
  LITE_CLOSE_MEMORY = 0x40 + 503, /* ours, an application's: memory is short, and much is held for this peer */
};

#define LITE_CODE_APPLICATION 0x40u /* application code n is this + n, in both spaces */
#define LITE_APPLICATION_CODES 65536u

/* "cancelled", for logs; "application" and "unknown" for the rest. Static. */
const char *lite_reset_name(uint64_t code);
const char *lite_close_name(uint64_t code);

/* The code to pass on when a stream that is relayed was reset with `code`: itself when it is
 * registered or an application's, else LITE_RESET_INTERNAL. */
uint64_t lite_reset_relayed(uint64_t code);
