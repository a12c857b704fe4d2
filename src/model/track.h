/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tracks: one upstream subscription, however many viewers, and who gets which group.
 *
 * A track belongs to a broadcast of an origin (origin.h). Its upstream side is a state machine owned by one function:
 *
 *     IDLE --first viewer--> PENDING --info or first group--> LIVE --last viewer left--> LINGERING --> IDLE
 *       any state --source lost/refused/finished--> CLOSED (track leaves its broadcast; a later request makes a new one)
 *
 * A LIVE track whose broadcast is unannounced leaves it as well, but may part first (source_ops.parts): what is under way comes,
 * and the end that the source tells, for at most limits.parting_ns.
 *
 * Every wait has a deadline from struct model_limits. One worker's thread; `now` is ns. */
#pragma once
#include "base/clock.h"
#include "base/path.h"
#include "base/timers.h"
#include "model/group.h"

struct broadcast;
struct sub;

#define TRACK_NAME_MAX 256                    /* bytes */
#define TRACK_SEQUENCE_MAX ((1ULL << 53) - 1) /* of a group, rebased: deployed JavaScript peers count no further */
#define TRACK_RECENT 64                       /* datagrams and cut groups remembered, to recognise a second copy */
#define TRACK_REFUSED_MAX 4                   /* routes that may refuse a track before it is refused */
#define UPDATE_INTERVAL (100 * NS_PER_MS)

/* Codes that the model gives as reasons; sessions translate them. Values are those of moq-lite (wire-level, "new" codes). */
enum model_code {
  CODE_INTERNAL = 0x0,
  CODE_CANCELLED = 0x1,
  CODE_TIMEOUT = 0x2, /* delivery timeout: too old for this viewer */
  CODE_SESSION = 0x3,
  CODE_GOING_AWAY = 0x4,
  CODE_TOO_FAR_BEHIND = 0x5,
  CODE_MALFORMED = 0x12,
  CODE_CONTROL_TIMEOUT = 0x31,
  CODE_GROUP_TOO_LARGE = 0x32,
  CODE_NOT_FOUND = 0x33,
  CODE_OLD = 0x34,
  CODE_EVICTED = 0x35,
  CODE_UNROUTABLE = 0x36,
  CODE_FRAME_SIZE = 0x37,
  CODE_FRAME_TOO_LARGE = 0x38,
};

/* Fixed for the life of a track. */
struct track_info {
  uint8_t priority;
  uint64_t max_age_ms; /* how long older groups stay in the cache */
  uint64_t timescale;  /* units per second, never 0 */
};

/* What one viewer wants; also what goes upstream (the union of all). */
struct sub_params {
  uint8_t priority;  /* higher first */
  bool oldest_first; /* "Ordered" of moq-lite 03 to 05 */
  bool from_latest;  /* begin with the newest group; else with the oldest one >= group_start that max_age allows */
  bool look_back;    /* group_start was named: what lies between it and the cache is fetched upstream, newest first, as
                             far as max_age (by timestamps) and limits.look_back allow */
  /* Older groups are skipped; 0 = only the newest; UINT64_MAX = no limit. Where to begin: age is a group's distance in
   * arrival from the newest. While delivering: a group that is not whole at the viewer max_age + limits.handover_ns after a
   * newer one arrived (or after its own delivery began, if that was later) is dropped. The allowance lets a viewer that
   * keeps up have the tail of every group although max_age is 0: the next group begins before the last bytes are there. */
  uint64_t max_age_ms;
  uint64_t group_start; /* floor */
  uint64_t group_end;   /* inclusive; UINT64_MAX = none */
  uint64_t frame_start; /* first object of group_start */
  uint64_t frame_end;   /* last object of group_end, inclusive; UINT64_MAX = none */
};

/* -- the upstream side: given by whoever announced the broadcast -- */

struct source_ops {
  /* The track's info is wanted (or known to be nothing: then track_close). Answer with track_set_info, now or later. */
  void (*info)(void *source, struct track *t);
  /* Start delivering; answer with groups, or track_close. */
  void (*subscribe)(void *source, struct track *t, const struct sub_params *wanted);
  /* The union changed, at most every UPDATE_INTERVAL. May be NULL. */
  void (*update)(void *source, struct track *t, const struct sub_params *wanted);
  /* Nobody wants it any more, or the track moved to another source: stop. track->upstream is the source's own pointer. */
  /* Afterwards the source calls nothing of this track, except to finish or cut the groups it has begun; it cuts what it
   * will not finish. */
  void (*unsubscribe)(void *source, struct track *t);
  /* An older group that the cache does not have: 0, and answer with track_group (a group whose sequence is asked for) or
   * track_fetch_failed; or a negative error: not possible. `sequence` is in the source's own numbering. NULL: never
   * possible. */
  int (*fetch)(void *source, struct track *t, uint64_t sequence);
  /* After a clean end of its route the source goes on with the tracks that are live: it calls track_finish or track_close,
   * and `update` and `unsubscribe` still come. It closes all of them before it goes. */
  bool parts;
};

enum track_state { TRACK_IDLE, TRACK_PENDING, TRACK_LIVE, TRACK_LINGERING, TRACK_CLOSED };

struct track {
  uint32_t refs;
  enum track_state state;
  struct broadcast *broadcast; /* NULL once closed */
  struct slice name;           /* owned */
  bool has_info;
  struct track_info info;
  struct list groups; /* by rising sequence */
  struct group *newest;
  struct list subs, waiters;
  void *upstream;  /* belongs to the source while it is subscribed; NULL after unsubscribe and for a new source */
  bool parting;    /* its broadcast has been unannounced, its source is to finish it */
  uint64_t base;   /* added to the source's sequences: a publisher that comes back counts from 0 again */
  uint64_t final;  /* exclusive end announced by the source, UINT64_MAX = unknown */
  uint64_t joined; /* viewers so far, also those that have left again */
  /* the model's own */
  struct model *model;
  struct route *route; /* what serves it: the best one that did not come through `avoid` and has not refused it */
  uint64_t avoid;      /* hop id, 0 = none */
  uint64_t refused[TRACK_REFUSED_MAX]; /* serials of routes */
  uint8_t refused_n;
  struct list link;  /* in its broadcast */
  struct list order; /* struct group.order */
  struct list fetches;
  const struct source_ops *ops; /* the source that `asked` and `subscribed` are about */
  void *source;
  uint64_t publisher;                 /* hop id of the origin publisher of the current numbering, 0 = unknown */
  uint64_t serial;                    /* of the newest arrival */
  uint64_t floor;                     /* sequences below are stale */
  uint64_t gone_below, evicted_below; /* groups below were here and are not; the budget took them */
  uint64_t highest;                   /* exclusive: above every sequence given out */
  uint64_t first, accepted;           /* lowest live sequence of this subscription, and how many came: tells gaps */
  uint64_t recent[TRACK_RECENT];      /* sequences of datagrams and cut groups, a ring */
  uint32_t recent_n, group_n, sub_n, latest_n, unended_n;
  uint64_t code;          /* of the close */
  struct sub_params sent; /* what was last asked for upstream */
  uint64_t sent_at;
  struct timer timer, age_timer, update_timer, finish_timer;
  bool info_asked, subscribed, fresh, confirm, over, dirty;
};

struct track *track_ref(struct track *t);
void track_unref(struct track *t);

/* Called by the source. */
void track_set_info(struct track *t, const struct track_info *info, uint64_t now);
/* Begins a group; the source's sequence is rebased. Returns a reference in *ret_g. -EEXIST: it is here already or was (also as
 * a datagram): the source stops that stream; -ENOMEM; -ESTALE: evicted or older than the track keeps. */
int track_group(struct track *t, uint64_t sequence, uint64_t now, struct group **ret_g);
/* One object that is a whole group, to be sent as a datagram. */
int track_datagram(struct track *t, uint64_t sequence, uint64_t timestamp, struct slice payload, uint64_t now);
/* The source's last sequence is known: groups at or above `final` (exclusive, source's numbering) will never exist. Viewers
 * get on_end when all groups below are delivered. */
void track_finish(struct track *t, uint64_t final, uint64_t now);
/* After track_finish: every group that the source will begin has begun. What is missing below the end need not be waited
 * for. */
void track_all_begun(struct track *t);
/* The source that serves it now, NULL when there is none: whether an answer still concerns the track. */
void *track_source(const struct track *t);
/* It does not exist, or broke. When this source has given nothing of it yet and there is another route, that one is asked;
 * else viewers get on_end(code) and waiters fail. */
void track_close(struct track *t, uint64_t code, uint64_t now);
void track_fetch_failed(struct track *t, uint64_t sequence, uint64_t code, uint64_t now);

/* -- asking for the info -- */

struct info_waiter {
  struct list link;
  struct track *track; /* the model's own, while waiting */
  struct timer timer;
  /* Once: info, or NULL with a code. Not called after info_wait_cancel. May be called from inside track_wait_info. */
  void (*done)(struct info_waiter *w, const struct track_info *info, uint64_t code);
};
void track_wait_info(struct track *t, struct info_waiter *w, uint64_t now);
void info_wait_cancel(struct info_waiter *w); /* fine when done or never started (initialise link with list_init) */

/* -- fetch: see track_fetch below -- */

struct fetch {
  struct list link;
  uint64_t sequence;
  struct track *track; /* the model's own, while waiting */
  struct timer timer;
  uint64_t code;
  bool latest;
  /* Once: a group (a reference goes to the callee) or NULL and a code. Not from inside track_fetch unless it is cached. */
  void (*done)(struct fetch *f, struct group *g, uint64_t code);
};

/* -- viewers -- */

/* One group on its way to one viewer. Made by the model, freed by it after delivery_done, on_drop or sub_close. Bytes that
 * reader_pull gave live as long as the group: a viewer whose transport may still read them (a stream that was reset but
 * has not closed) takes group_ref(d->reader.group) before d goes, and drops it when the stream has closed. */
struct delivery {
  struct sub *sub;
  struct reader reader;  /* begun already; pull from it */
  struct list link;      /* in sub->deliveries */
  void *user;            /* the viewer's, NULL at first */
  uint64_t first_object; /* index of the first object served (Frame Start) */
  /* the model's own */
  uint64_t begun; /* ns */
  size_t counted; /* its part of sub->behind */
  bool dropped;
};

/* Callbacks come from model_run, from timers_run, and (on_wake, on_drop, on_datagram) from inside the producer's calls. All
 * of them may call sub_open, sub_update, sub_close and delivery_done, of this sub and others, and free the sub after closing
 * it; none may call the producer's functions (group_*, track_*), add or remove routes, or call model_run. */
struct sub_ops {
  /* A group to deliver, those of one turn by rising sequence where they came in order; which goes first on the wire is
   * the viewer's to say (params.oldest_first). Open a stream when possible; until delivery_done its age is watched. */
  void (*on_group)(struct sub *s, struct delivery *d);
  /* There is more to pull, or an end, or a cut. */
  void (*on_wake)(struct delivery *d);
  /* It is given up (too old for this viewer, too far behind): reset its stream with `code`. d is gone after the call. */
  void (*on_drop)(struct delivery *d, uint64_t code);
  void (*on_datagram)(struct sub *s, uint64_t sequence, uint64_t timestamp, struct slice payload);
  /* No further group: code 0 and finished = a clean end at `final` (exclusive); else broken with `code`. Deliveries under
   * way go on. Close the sub when they are done. Once. */
  void (*on_end)(struct sub *s, bool finished, uint64_t final, uint64_t code);
};

/* Embedded by the viewer. */
struct sub {
  struct track *track;
  const struct sub_ops *ops;
  void *user;
  const struct framing *framing;
  struct sub_params params;
  struct list link, deliveries; /* deliveries by rising sequence */
  size_t behind;                /* bytes not taken yet of deliveries under way, no less than that */
  uint32_t delivery_n;
  bool started, ended;
  /* the model's own */
  uint64_t hop;                 /* see sub_reached_through */
  bool circling;                /* its track is served through that hop now */
  uint64_t start, start_serial; /* once started: groups below are not for this viewer; the newest arrival then */
  uint64_t seen;                /* serial of the newest group considered */
  uint64_t held, held_serial;   /* lowest group held back by group_end, and its serial; UINT64_MAX = none */
  uint64_t again, again_from;   /* held groups that are looked at again: up to this serial, from that sequence on */
  struct list pending;
  struct timer timer;
  struct look_back {
    enum { LOOK_UNDECIDED, LOOK_NEXT, LOOK_ASKED, LOOK_GOT, LOOK_READING, LOOK_DONE } state;
    struct fetch fetch;
    struct group *group; /* a reference: what came, until it is whole */
    uint64_t top, below; /* where it began (0 = it did not); the next one to ask for is below that */
    uint32_t left;       /* that may be asked for */
  } back;                /* older groups than the cache has, see sub_params.look_back */
};

/* Joins. Groups that the cache has and the params allow come through on_group, never from inside this call but in order
 * at the end of the turn (model->defer) or later; ditto on_end. 0, -ENOMEM, -EUSERS (limit). */
int sub_open(struct sub *s, struct track *t, const struct sub_params *params, const struct framing *framing,
             const struct sub_ops *ops, void *user, uint64_t now);
/* The viewer is reached through `hop`, a relay (0 = unknown), which was not on its track's route. When the source refuses and
 * the next route came through it, both would wait for each other: on_end(CODE_UNROUTABLE). */
void sub_reached_through(struct sub *s, uint64_t hop);
void sub_update(struct sub *s, const struct sub_params *params, uint64_t now);
/* Leaves; deliveries are freed without on_drop. A zeroed or closed sub is fine. */
void sub_close(struct sub *s, uint64_t now);
/* The viewer has sent it all (acked) or its stream is gone: frees d. */
void delivery_done(struct delivery *d);

/* -- fetch -- */

/* The cached group, else upstream's, within the deadline. `latest` ignores f->sequence and takes the newest, waiting for one.
 * Codes when upstream cannot be asked: CODE_EVICTED (the budget took it), CODE_OLD (it has left the window, or is an earlier
 * publisher's), CODE_NOT_FOUND (it never was here, or was damaged), CODE_UNROUTABLE (nobody serves the track); else
 * upstream's code, or CODE_CONTROL_TIMEOUT. */
void track_fetch(struct track *t, struct fetch *f, bool latest, uint64_t now);
void fetch_cancel(struct fetch *f, uint64_t now); /* list_init(&f->link) first; fine at any time */
