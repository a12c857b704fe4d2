/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Asks the peer what it announces and keeps a route in the origin for each broadcast it may publish.
 *
 * The stream may be reset, or given up when a message on it stops half way, while the session goes on. What was announced is
 * lost then, as with the session, and the peer is asked again, each time a little later until it has answered. A stream that it
 * ends is final. */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

#define AGAIN_MIN NS_PER_S /* until the peer is asked again; below what a lost path lingers by default */
#define AGAIN_MAX (60 * NS_PER_S)

/* One live announcement of the peer. It holds an entry also when it got no route (not allowed, over a limit), since ids and
 * ends refer to it. */
struct heard {
  UT_hash_handle hh_id, hh_path;
  uint64_t id;         /* Announce ID, in versions that have it */
  struct route *route; /* NULL = not used */
  struct slice suffix; /* as on the wire, normalised; owned, follows the struct */
  uint64_t *hops;      /* as on the wire, for announcements that take some of them; in versions that do */
  size_t hop_count;
};

struct sub_announce {
  struct control control;
  struct heard *by_id, *by_path;
  uint64_t next_id;
  uint64_t peer_hop;
  bool ok;    /* ANNOUNCE_OK or ANNOUNCE_INIT has come, where there is one */
  bool ended; /* by the peer: it announces no more */
  struct timer again;
  uint64_t delay; /* ns, of the next time */
};

static struct sub_announce *announce_of(struct control *c)
{
  return container_of(c, struct sub_announce, control);
}

/* ---- hop lists ---- */

/* The full path of an announcement: what was listed, then the peer itself. A list that names no publisher gets a stamp of
 * this connection in front. 0, or -ELOOP when it has been here or would be too long. */
static int full_path(const struct sub_announce *a, const struct lite_hops *listed, struct route_info *out)
{
  const struct lite_session *s = a->control.session;
  out->hop_count = 0;
  bool append = s->version->hops == LITE_HOPS_WITHOUT_SENDER;
  for (size_t i = 0; i < listed->n; i++) {
    if (listed->id[i] == s->env->model->hop_id || (append && a->peer_hop && listed->id[i] == a->peer_hop))
      return -ELOOP;
    out->hops[out->hop_count++] = listed->id[i];
  }
  if (append) {
    if (a->peer_hop == s->env->model->hop_id || out->hop_count == HOPS_MAX)
      return -ELOOP;
    out->hops[out->hop_count++] = a->peer_hop;
  }
  if (out->hop_count == 0 || out->hops[0] == 0) {
    if (out->hop_count == HOPS_MAX)
      return -ELOOP;
    memmove(out->hops + 1, out->hops, out->hop_count * sizeof *out->hops);
    out->hops[0] = s->stamp;
    out->hop_count++;
  }
  return 0;
}

static uint64_t add_cost(uint64_t a, uint64_t b)
{
  return a + b > (1ULL << 62) - 1 || a + b < a ? (1ULL << 62) - 1 : a + b;
}

static int route_of(const struct sub_announce *a, const struct lite_hops *hops, uint64_t warm, uint64_t cold,
                    struct route_info *out)
{
  const struct lite_session *s = a->control.session;
  out->warm = add_cost(warm, s->peer.cost);
  out->cold = add_cost(cold, s->peer.cost);
  out->local = s->env->local_publishers && !s->scope.peer;
  return full_path(a, hops, out);
}

/* ---- entries ---- */

static struct heard *find_path(struct sub_announce *a, struct slice suffix)
{
  struct heard *h;
  HASH_FIND(hh_path, a->by_path, suffix.p, suffix.n, h);
  return h;
}

static void forget(struct sub_announce *a, struct heard *h, bool clean)
{
  if (h->route) {
    log_debug(a->control.session->env->log, "session %llu: unannounced broadcast=%.*s",
              (unsigned long long)a->control.session->id, SLICE_FMT(h->suffix));
    route_remove(h->route, clean, session_now(a->control.session));
    subscribe_prune(a->control.session, false);
  }
  HASH_DELETE(hh_path, a->by_path, h);
  if (a->control.session->version->typed_announces)
    HASH_DELETE(hh_id, a->by_id, h);
  free(h->hops);
  free(h);
}

static void forget_all(struct sub_announce *a, bool clean)
{
  struct heard *h, *tmp;
  HASH_ITER (hh_path, a->by_path, h, tmp)
    forget(a, h, clean);
}

/* False without memory, then it is in neither table. */
static bool index_heard(struct sub_announce *a, struct heard *h)
{
  HASH_ADD_KEYPTR(hh_path, a->by_path, h->suffix.p, h->suffix.n, h);
  if (!h->hh_path.tbl)
    return false;
  if (!a->control.session->version->typed_announces)
    return true;
  HASH_ADD(hh_id, a->by_id, id, sizeof h->id, h);
  if (h->hh_id.tbl)
    return true;
  HASH_DELETE(hh_path, a->by_path, h);
  return false;
}

static struct heard *remember(struct sub_announce *a, struct slice suffix)
{
  struct heard *h = calloc(1, sizeof *h + suffix.n);
  if (!h)
    return NULL;
  memcpy(h + 1, suffix.p, suffix.n);
  h->suffix = slice_of(h + 1, suffix.n);
  h->id = a->next_id++;
  if (index_heard(a, h))
    return h;
  free(h);
  return NULL;
}

/* False without memory, then the old list stays. */
static bool keep_hops(struct sub_announce *a, struct heard *h, const struct lite_hops *hops)
{
  if (!a->control.session->version->bases)
    return true;
  uint64_t *copy = malloc(hops->n * sizeof *copy + 1); /* of an empty list as well, so that NULL is an error */
  if (!copy)
    return false;
  memcpy(copy, hops->id, hops->n * sizeof *copy);
  free(h->hops);
  h->hops = copy;
  h->hop_count = hops->n;
  return true;
}

/* Gives the entry a route when it may have one. */
static void add_route(struct sub_announce *a, struct heard *h, const struct route_info *info)
{
  struct lite_session *s = a->control.session;
  struct path absolute;
  const char *why = NULL;
  if (!session_path_fits(s, h->suffix))
    why = "over a limit (limits.path_parts, limits.path_bytes)"; /* other paths of this peer, maybe a relay, are used */
  else if (!scope_may_publish(&s->scope, h->suffix) || scope_absolute(&s->scope, h->suffix, &absolute) < 0)
    why = "not allowed to publish there";
  else if (route_add(s->env->origin, path_slice(&absolute), info, &subscribe_source, s, session_now(s), &h->route) < 0)
    why = "over a limit (limits.broadcasts)";
  log_write(s->env->log, why ? LOG_WARN : LOG_DEBUG, "session %llu: announced broadcast=%.*s%s%s",
            (unsigned long long)s->id, SLICE_FMT(h->suffix), why ? " ignored: " : "", why ? why : "");
}

static void out_of_memory(struct sub_announce *a)
{
  lite_session_close(a->control.session, LITE_CLOSE_INTERNAL, "out of memory");
}

static void announced(struct sub_announce *a, const struct path *suffix, const struct lite_hops *hops, uint64_t warm,
                      uint64_t cold)
{
  struct lite_session *s = a->control.session;
  struct route_info info;
  if (HASH_CNT(hh_path, a->by_path) >= s->env->limits.announces) {
    session_limit(s, LIMIT_ANNOUNCES);
    lite_session_close(s, LITE_CLOSE_INTERNAL, "too many broadcasts announced (limits.announces)");
    return;
  }
  struct heard *h = remember(a, path_slice(suffix));
  if (!h || !keep_hops(a, h, hops)) {
    out_of_memory(a);
    return;
  }
  if (route_of(a, hops, warm, cold, &info) == 0)
    add_route(a, h, &info);
}

static void updated(struct sub_announce *a, struct heard *h, const struct lite_hops *hops, uint64_t warm, uint64_t cold)
{
  struct lite_session *s = a->control.session;
  struct route_info info;
  bool usable = route_of(a, hops, warm, cold, &info) == 0;
  if (usable && h->route) {
    (void)route_update(h->route, &info, session_now(s)); /* on failure the old facts stay */
  } else if (usable) {
    add_route(a, h, &info);
  } else if (h->route) {
    route_remove(h->route, true, session_now(s));
    h->route = NULL;
    subscribe_prune(s, false);
  }
}

/* An announcement that may not be of a live broadcast. */
static void first_heard(struct sub_announce *a, const struct path *suffix, const struct lite_hops *hops, uint64_t warm,
                        uint64_t cold)
{
  if (find_path(a, path_slice(suffix)))
    session_violation(a->control.session, "a live broadcast announced again");
  else
    announced(a, suffix, hops, warm, cold);
}

static bool parse_suffix(struct sub_announce *a, struct slice raw, struct path *ret_suffix)
{
  bool ok = path_parse(ret_suffix, raw) == 0;
  if (!ok)
    session_violation(a->control.session, "malformed path announced");
  return ok;
}

/* ---- messages ---- */

static void on_ok(struct sub_announce *a, const union lite_body *b)
{
  if (a->ok)
    session_violation(a->control.session, "a second ANNOUNCE_OK");
  a->ok = true;
  a->peer_hop = b->announce_ok.hop;
}

static void on_init(struct sub_announce *a, const union lite_body *b)
{
  struct slice rest = b->announce_init.suffixes, suffix;
  struct lite_hops unknown = {0};
  if (a->ok) {
    session_violation(a->control.session, "a second ANNOUNCE_INIT");
    return;
  }
  a->ok = true;
  while (!a->control.session->closing && lite_next_string(&rest, &suffix)) {
    struct path path;
    if (parse_suffix(a, suffix, &path))
      first_heard(a, &path, &unknown, 0, 0);
  }
}

static void on_announce(struct sub_announce *a, const union lite_body *b)
{
  const struct lite_announce *m = &b->announce;
  struct path suffix;
  if (!parse_suffix(a, m->suffix, &suffix))
    return;
  struct heard *h = find_path(a, path_slice(&suffix));
  if (m->status == LITE_ENDED) {
    if (h)
      forget(a, h, true);
  } else if (!h) {
    announced(a, &suffix, &m->hops, 0, 0);
  } else if (a->control.session->version->announce_again) {
    updated(a, h, &m->hops, 0, 0);
  } else {
    session_violation(a->control.session, "a live broadcast announced again");
  }
}

static struct heard *find_id(struct sub_announce *a, uint64_t id)
{
  struct heard *h;
  HASH_FIND(hh_id, a->by_id, &id, sizeof id, h);
  if (!h)
    session_violation(a->control.session, "an unknown Announce ID");
  return h;
}

/* The announcement that a path or list takes some of; it has to be live. NULL after a violation. A distance to before
 * the first gives an id that nobody will ever have. */
static struct heard *find_base(struct sub_announce *a, const struct lite_base *base)
{
  return find_id(a, a->next_id - base->distance);
}

static bool whole_path(struct sub_announce *a, const struct lite_announce_start *m, struct path *ret_suffix)
{
  if (m->path_base.distance == 0)
    return parse_suffix(a, m->suffix, ret_suffix);
  struct heard *base = find_base(a, &m->path_base);
  if (!base)
    return false;
  bool ok = lite_join_path(base->suffix, m->path_base.keep, m->suffix, ret_suffix) == 0;
  if (!ok)
    session_violation(a->control.session, "a path that does not fit its base");
  return ok;
}

static bool whole_hops(struct sub_announce *a, const struct lite_base *ref, const struct lite_hops *head,
                       struct lite_hops *ret_hops)
{
  if (ref->distance == 0) {
    *ret_hops = *head;
    return true;
  }
  struct heard *base = find_base(a, ref);
  if (!base)
    return false;
  bool ok = lite_join_hops(base->hops, base->hop_count, ref->keep, head, ret_hops) == 0;
  if (!ok)
    session_violation(a->control.session, "hops that do not fit their base");
  return ok;
}

static void on_start(struct sub_announce *a, const union lite_body *b)
{
  const struct lite_announce_start *m = &b->announce_start;
  struct path suffix;
  struct lite_hops hops;
  if (whole_path(a, m, &suffix) && whole_hops(a, &m->hop_base, &m->hops, &hops))
    first_heard(a, &suffix, &hops, m->warm_cost, m->cold_cost);
}

static void on_end(struct sub_announce *a, const union lite_body *b)
{
  struct heard *h = find_id(a, b->announce_end.id);
  if (h)
    forget(a, h, true);
}

static void on_update(struct sub_announce *a, const union lite_body *b)
{
  const struct lite_announce_update *m = &b->announce_update;
  struct lite_hops hops;
  struct heard *h = find_id(a, m->id);
  if (!h || !whole_hops(a, &m->hop_base, &m->hops, &hops))
    return;
  if (keep_hops(a, h, &hops))
    updated(a, h, &hops, m->warm_cost, m->cold_cost);
  else
    out_of_memory(a);
}

static const struct {
  enum lite_msg msg;
  void (*handle)(struct sub_announce *a, const union lite_body *b);
} handlers[] = {
    {LITE_ANNOUNCE_OK, on_ok},       {LITE_ANNOUNCE_INIT, on_init}, {LITE_ANNOUNCE, on_announce},
    {LITE_ANNOUNCE_START, on_start}, {LITE_ANNOUNCE_END, on_end},   {LITE_ANNOUNCE_UPDATE, on_update},
};

static void announce_message(struct control *c, const struct lite_raw *raw)
{
  struct sub_announce *a = announce_of(c);
  struct lite_session *s = c->session;
  union lite_body body;
  if (s->closing)
    return;
  if (lite_decode(s->version->version, raw->msg, raw->body, &body) < 0) {
    session_violation(s, "malformed announcement");
    return;
  }
  bool opens = raw->msg == LITE_ANNOUNCE_OK || raw->msg == LITE_ANNOUNCE_INIT;
  if ((s->version->announce_ok || s->version->announce_init) && !a->ok && !opens) {
    session_violation(s, "an announcement before the initial set");
    return;
  }
  a->delay = AGAIN_MIN;
  for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
    if (handlers[i].msg == raw->msg)
      handlers[i].handle(a, &body);
  }
}

/* The peer announces no more: what it had is gone. */
static void announce_fin(struct control *c)
{
  announce_of(c)->ended = true;
  forget_all(announce_of(c), true);
  control_fin(c);
}

static void announce_reset(struct control *c, uint64_t code)
{
  forget_all(announce_of(c), false);
  control_abort(c, LITE_RESET_CANCELLED);
}

static void ask_later(struct sub_announce *a)
{
  struct lite_session *s = a->control.session;
  timers_set(s->env->timers, &a->again, session_now(s) + a->delay);
  a->delay = a->delay < AGAIN_MAX / 2 ? a->delay * 2 : AGAIN_MAX;
}

/* When the session ends, its streams close first, and whether it ended cleanly is known only then: the routes stay. */
static void announce_gone(struct control *c)
{
  struct sub_announce *a = announce_of(c);
  if (!a->ended && !c->session->closing)
    ask_later(a);
}

void subscribe_announce_close(struct lite_session *s, bool clean)
{
  struct sub_announce *a = s->announce;
  if (!a)
    return;
  s->announce = NULL;
  timers_cancel(s->env->timers, &a->again);
  forget_all(a, clean);
  free(a);
}

#define SUFFIX_BYTES 64 /* typically */

static size_t announce_memory(const struct control *c)
{
  const struct sub_announce *a = container_of(c, struct sub_announce, control);
  return sizeof *a + HASH_CNT(hh_path, a->by_path) * (sizeof(struct heard) + SUFFIX_BYTES) +
         HASH_OVERHEAD(hh_path, a->by_path) + HASH_OVERHEAD(hh_id, a->by_id);
}

static const struct control_ops announce_ops = {.name = "announce",
                                                .memory = announce_memory,
                                                .message = announce_message,
                                                .fin = announce_fin,
                                                .reset = announce_reset,
                                                .gone = announce_gone};

static int ask(struct sub_announce *a, struct lite_session *s)
{
  a->control = (struct control){.session = s};
  a->ok = false;
  a->next_id = a->peer_hop = 0;
  int rc = control_open(&a->control, s, LITE_STREAM_ANNOUNCE, &announce_ops);
  if (rc < 0)
    return rc;
  union lite_body body = {
      .announce_request = {.prefix = slice_of("", 0), .exclude_hop = s->env->model->hop_id, .hidden = 1}};
  control_send(&a->control, LITE_ANNOUNCE_REQUEST, &body);
  return 0;
}

static void on_again(struct timer *timer, uint64_t now)
{
  struct sub_announce *a = container_of(timer, struct sub_announce, again);
  struct lite_session *s = a->control.session;
  (void)now;
  if (s->closing)
    return;
  log_debug(s->env->log, "session %llu: asking again for announcements", (unsigned long long)s->id);
  forget_all(a, false); /* of a stream that was given up here */
  if (ask(a, s) < 0)
    ask_later(a);
}

int subscribe_announce_open(struct lite_session *s)
{
  struct sub_announce *a = calloc(1, sizeof *a);
  if (!a)
    return -ENOMEM;
  a->delay = AGAIN_MIN;
  timer_init(&a->again, on_again);
  int rc = ask(a, s);
  if (rc < 0)
    free(a);
  else
    s->announce = a;
  return rc;
}
