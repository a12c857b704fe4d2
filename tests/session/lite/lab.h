/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A bench for moq-lite sessions in virtual time: nodes with a model of their own, sessions between them over in-memory
 * transports, and raw peers that say and hear bytes as the test wants. Every wait is in virtual time and bounded. */
#pragma once
#include "base/log.h"
#include "model/origin.h"
#include "session/lite/session.h"
#include "session/sendq.h"
#include "support/mem_transport.h"
#include "support/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Above 0 while the bench itself allocates: a test that lets allocations fail spares these. */
extern volatile int lab_unlimited; /* volatile: compilers know that calloc reads nothing */

#define LAB_WAIT_MS 200 /* longer than any answer takes here, shorter than any deadline */

struct lab {
  struct worker w;
  struct log log;
  unsigned long turns;          /* of the loop so far */
  unsigned long steps, kill_at; /* at step kill_at, `kill` is called once; 0 = never */
  void (*kill)(struct lab *lab);
  void *kill_ctx;
  bool quiet; /* expectations are not checked: the scenario is being killed */
  struct list links, raws;
};

void lab_init(struct lab *lab);
/* Ends every link and checks that nothing is left. */
void lab_destroy(struct lab *lab);
void lab_run(struct lab *lab, uint64_t ms);

/* -- nodes: a model and what sessions share -- */

struct node {
  struct lab *lab;
  struct model model;
  struct origin *origin;
  struct deferred work;
  struct lite_env env;
  struct lite_totals totals;
  struct limits counts;
  uint64_t seed;
  bool manual;                     /* sessions are not started by themselves */
  const char *root;                /* scope of sessions that start by themselves */
  const char *publish, *subscribe; /* a prefix each; NULL = nothing */
  unsigned legacy;                 /* versions that the SETUP exchange may pick: 1u << LITE_01 | ... */
};

void node_init(struct node *n, struct lab *lab);
/* The lab's links have ended: checks that every gauge is at zero. */
void node_destroy(struct node *n);

/* One session of a node. Lives until lab_destroy. */
struct end {
  struct list link;
  struct node *node;
  struct lite_session *session; /* NULL once closed */
  bool setup, closed, by_peer;
  unsigned goaways;
  char path[64], reason[64];
  uint64_t code;
};

struct pair {
  struct list link;
  struct mem_pair *mem;
  struct mem_config config; /* what `mem` was made with */
};

int end_start(struct end *e); /* with the node's scope */

/* Two sessions joined: `client` dials `server`. */
struct pair *lab_join(struct lab *lab, struct node *client, struct node *server, const struct mem_config *config,
                      enum lite_version v, struct end *ret_client, struct end *ret_server);
void lab_cut(struct lab *lab, struct pair *p); /* both ends are gone at once, without a word */

/* -- raw peers -- */

struct raw {
  struct list link;
  struct lab *lab;
  struct pair *pair;
  struct transport *t; /* NULL once closed */
  enum lite_version version;
  struct list streams;                    /* every stream there was, in order */
  uint64_t code;                          /* of the close */
  bool closed, by_peer, deaf, refuse_all; /* deaf: gives no credit back for what streams bring */
  unsigned datagrams;
  uint8_t datagram[1300];
  size_t datagram_n;
  bool moved[2]; /* on_streams was called */
};

struct raw_stream {
  struct list link;
  struct raw *raw;
  struct stream *st; /* NULL once closed */
  bool local, bidi, typed;
  enum lite_stream type;
  struct lite_reader reader; /* of what the other side says */
  uint8_t *in;
  size_t in_n, at; /* received; consumed */
  bool fin, was_reset, stopped;
  uint64_t reset_code, stop_code;
  struct sendq out;
};

/* A peer of a session of `node`, as the client, or the server of a session that dials. */
void raw_join(struct raw *r, struct lab *lab, struct node *node, const struct mem_config *config, enum lite_version v,
              struct end *ret_end);
void raw_serve(struct raw *r, struct lab *lab, struct node *node, const struct mem_config *config, enum lite_version v,
               struct end *ret_end);
void raw_close(struct raw *r, uint64_t code);
/* Its SETUP, with a hop. */
struct raw_stream *raw_setup(struct raw *r, uint64_t hop);

/* Functions on streams do nothing when the stream is NULL or gone. */
struct raw_stream *raw_open(struct raw *r, bool bidi);
void raw_write(struct raw_stream *s, const void *p, size_t n, bool fin);
void raw_fin(struct raw_stream *s);
void raw_reset(struct raw_stream *s, uint64_t code);
void raw_stop(struct raw_stream *s, uint64_t code);
struct raw_stream *raw_begin(struct raw *r, enum lite_stream type);
void raw_say(struct raw_stream *s, enum lite_msg m, const union lite_body *body);
struct raw_stream *raw_request(struct raw *r, enum lite_stream type, enum lite_msg m, const union lite_body *body);
void raw_datagram(struct raw *r, uint64_t id, uint64_t sequence, uint64_t timestamp, const char *payload);

struct raw_stream *raw_announce_request(struct raw *r, const char *prefix);
struct raw_stream *raw_subscribe(struct raw *r, uint64_t id, const char *broadcast, const char *track,
                                 const struct lite_want *want);
struct raw_stream *raw_track(struct raw *r, const char *broadcast, const char *track);
struct raw_stream *raw_fetch(struct raw *r, const char *broadcast, const char *track, uint64_t group);
/* A group's stream with whole frames, one per word of `text`; fin when asked. */
struct raw_stream *raw_group(struct raw *r, uint64_t id, uint64_t sequence, const char *text, bool fin);
void raw_frames(struct raw_stream *s, uint64_t first_timestamp, const char *text, bool fin);

/* -- hearing; each runs the lab up to LAB_WAIT_MS -- */

/* The n-th stream of a type that the other side opened; NULL when none comes. */
struct raw_stream *raw_incoming(struct raw *r, enum lite_stream type, unsigned n);
unsigned raw_count(struct raw *r, enum lite_stream type);
/* The next message; false when none comes. Strings borrow until the lab runs again. */
bool raw_hear(struct raw_stream *s, enum lite_msg *ret_msg, union lite_body *ret_body);
/* The next message is this one. */
union lite_body raw_expect(struct raw_stream *s, enum lite_msg m);
/* Nothing was said that has not been heard. */
bool raw_silent(struct raw_stream *s);
/* Frames of a group's stream, or the answer to a fetch: "a b c " (what is whole so far). Runs the lab first. */
const char *raw_text(struct raw_stream *s);

/* -- a raw publisher's side: the relay's request streams, answered -- */

/* Announces: waits for the request, answers ANNOUNCE_OK with `hop` and starts for each path. */
struct raw_stream *raw_publish(struct raw *r, uint64_t hop, const char *const *paths, size_t n);
void raw_start(struct raw_stream *announce, const char *path, const uint64_t *hops, size_t n);
void raw_unstart(struct raw_stream *announce, const char *path, uint64_t id);
/* Answers the n-th TRACK and hears the m-th SUBSCRIBE. */
struct raw_stream *raw_answer_track(struct raw *r, unsigned n);
struct raw_stream *raw_hear_subscribe(struct raw *r, unsigned n, struct lite_subscribe *ret_subscribe);

#define WANT_LATEST                                                                                                    \
  (&(struct lite_want){.priority = 100, .group_start = LITE_NONE, .group_end = LITE_NONE, .frame_end = LITE_NONE})
#define WANT_PAST                                                                                                      \
  (&(struct lite_want){                                                                                                \
      .priority = 100, .max_age = 60000, .group_start = 0, .group_end = LITE_NONE, .frame_end = LITE_NONE})
