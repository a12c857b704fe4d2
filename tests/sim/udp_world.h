/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whole relays on simulated UDP, in virtual time: one publisher, one or two relays, several viewers. Everything but the
 * network, the clock and the randomness is the product's: QUIC endpoints with real TLS, WebTransport, admission, sessions,
 * model, and the client's publisher and viewer. A seed says who is there, how they are connected, and what befalls them.
 *
 *     publisher --link-- relay 0 --link-- relay 1        each link is perfect for its whole life, or has a life of
 *                           |                |           faults (udp_faults.c)
 *                        viewers          viewers
 *
 * Files: udp_node.c programs and their connections, udp_media.c what is published and how viewers check it, udp_faults.c
 * what goes wrong, udp_sim.c the run and its options. A rule that is broken ends the run through sim_fail. */
#pragma once
#include "base/buf.h"
#include "client/publisher.h"
#include "client/viewer.h"
#include "net/sim_udp.h"
#include "relay/guest.h"
#include "support/sim.h"

#define RELAYS_MAX 2
#define VIEWERS_MAX 6
#define TRACKS 2         /* video and audio */
#define GROUPS_KEPT 4096 /* of which it is known when they began */
#define FRAME_MAX 16384
#define FRAME_HEAD 12                   /* track, group, index; 4 bytes each */
#define SESSION_GRACE_NS (5 * NS_PER_S) /* beyond the idle timeout: keep-alive, the path's delay, and room */

struct world;

/* A model and what sessions on it share: one program. */
struct host {
  struct world *w;
  struct model model;
  struct origin *origin; /* NULL: not running */
  struct deferred work;
  struct lite_env env;
};

enum fault {
  FAULT_NONE,
  FAULT_LOSSY,          /* loss, doubles, reordering */
  FAULT_SLOW,           /* less than the video needs */
  FAULT_BLACKOUT_SHORT, /* the session survives it */
  FAULT_BLACKOUT_LONG,  /* longer than the idle timeout */
  FAULT_MOVE,           /* a NAT gives it another port */
  FAULT_VANISH,         /* gone without a word; comes back as another host */
  FAULT_LEAVE,          /* closes its session, comes back */
  FAULTS
};

/* A program's connection to a relay, made again when it ends. */
struct client {
  struct world *w;
  char name[12];
  const struct lite_env *env;
  struct relay_node *to;
  enum lite_version version;
  bool webtransport;
  bool publish, watch;
  const char *offer[2];
  struct udp *udp; /* belongs to ep */
  struct quic_endpoint *ep;
  struct lite_session *session;
  uint8_t address; /* 10.0.0.x */
  uint16_t port;
  bool busy;     /* dialled, or up */
  bool away;     /* has left or vanished: does not dial */
  unsigned ups;  /* sessions so far */
  unsigned ends; /* that ended or failed to come up */
  uint64_t up_since;
  struct timer redial;
  void (*on_end)(struct client *c); /* the session has ended; may be NULL */

  struct sim_link link; /* without faults */
  bool perfect;         /* never has any */
  enum fault fault;
  struct timer next_fault;
  uint64_t since, healed; /* ns, of the fault; of the end of the one before */
  unsigned ends_before;   /* the fault */
  bool was_up;            /* before the fault, long enough for the path to be known */
  bool survivor;          /* was in the dark for a moment: no reason to end */
};

struct relay_node {
  struct host host;
  struct quic_endpoint *ep;
  struct guests guests;
  struct client uplink; /* of relay 1, to relay 0 */
  struct lite_env uplink_env;
};

/* One track at one viewer. */
struct watched {
  struct viewer *v;
  struct player *player;
  unsigned track;
  bool any;                /* a group has begun */
  uint32_t group, index;   /* of the next frame, when in a group */
  uint64_t groups, newest; /* whole ones; newest + 1, 0 = none */
  unsigned repeats;        /* see may_repeat */
};

struct player {
  struct host host;
  struct client client;
  struct watched tracks[TRACKS];
  struct deferred restart;
  uint64_t max_age_ms;
};

struct media {
  uint32_t group, index; /* of the next frame */
  uint32_t whole_before; /* groups, a little before the end */
  uint64_t began[GROUPS_KEPT];
  struct publisher_track *t;
  struct timer timer;
  struct source *source;
};

struct source {
  struct host host;
  struct client client;
  struct publisher *publisher;
  struct media tracks[TRACKS];
  unsigned frame_max, group_frames, interval_ms;
};

/* Whom a relay must have forgotten by a time. */
struct overdue {
  struct list link;
  struct timer timer;
  struct relay_node *relay;
  struct world *w;
  uint8_t address;
};

struct world {
  uint64_t seed, state, quic_state, net_state;
  struct rng rng;
  struct worker worker;
  struct sim_net net;
  struct log log;
  struct tls_server *tls;
  struct tls_client *pin;
  struct admission *admission;
  struct quic_limits limits;
  struct relay_node relays[RELAYS_MAX];
  size_t relay_n, viewer_n;
  struct source source;
  struct player viewers[VIEWERS_MAX];
  uint8_t next_address;
  struct list overdue;
  bool faults_over, leaving; /* leaving: everybody at once, in the middle of everything */
  unsigned restarts;         /* of what feeds viewers: the publisher's session, the relays' link */
  struct buf story;
  uint64_t digest; /* of the story and all that was received */
  bool trace, log_all;
  size_t frames;
  size_t passed; /* worlds before this one */
};

/* What a run shares with others: certificate, and what to print. */
struct sim_options {
  struct tls_server *tls;
  struct tls_client *pin;
  bool trace, log;
  size_t passed;
};

static inline uint64_t below(struct world *w, uint64_t n)
{
  return rng_below(&w->rng, n);
}

static inline uint64_t between(struct world *w, uint64_t from, uint64_t to)
{
  return from + below(w, to - from + 1);
}

/* One line of the story: who, and what happened to it. */
void story(struct world *w, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A rule was broken: prints the story, the seed and how to replay it, and ends the program. */
_Noreturn void sim_fail(struct world *w, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void world_note(struct world *w, const void *p, size_t n); /* into the digest */

/* ---- udp_node.c ---- */

void host_start(struct host *h, struct world *w, bool local_publishers);
/* Its sessions have ended: checks that every gauge is at zero. */
void host_stop(struct host *h);

void relay_start(struct relay_node *r, struct world *w);
/* Relay 1 dials relay 0, as a cluster would. */
void relay_uplink(struct relay_node *r, struct relay_node *to);
void relay_stop(struct relay_node *r);
/* Whether anything of a client's address is left at the QUIC endpoint. */
bool relay_knows(const struct relay_node *r, uint8_t address);
/* Fails when it still does at `at`. */
void relay_must_forget(struct relay_node *r, struct world *w, uint8_t address, uint64_t at);

/* Dials; name, version, transport and what it may do are set. */
void client_start(struct client *c, struct world *w, const struct lite_env *env, struct relay_node *to);
void client_leave(struct client *c);  /* closes the session, does not dial again until client_return */
void client_vanish(struct client *c); /* without a word */
void client_return(struct client *c);
void client_stop(struct client *c);

/* ---- udp_media.c ---- */

void source_start(struct source *s, struct world *w);
void source_stop(struct source *s);
void player_start(struct player *p, struct world *w);
void player_stop(struct player *p);
/* Everything was healed a while ago: it has what is new. */
void player_check_live(struct player *p);

/* ---- udp_faults.c ---- */

/* Gives the client its link; an imperfect one has faults until faults_over. */
void faults_start(struct client *c, bool perfect);
/* The last fault is over. */
void faults_heal(struct client *c);
/* The world has been well for a while. */
void faults_check(struct client *c);
