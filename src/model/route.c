/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Routes of a broadcast, and the life of broadcasts, which have one as long as somebody serves them
 * or lingers. */
#include "model/private.h"
#include "model/tree.h"
#include <errno.h>
#include <stdlib.h>

struct route *broadcast_active(const struct broadcast *b)
{
  return list_empty(&b->routes) ? NULL : container_of(b->routes.next, struct route, link);
}

const struct route_info *broadcast_route(const struct broadcast *b)
{
  const struct route *r = broadcast_active(b);
  return r ? &r->info : NULL;
}

void *broadcast_source(const struct broadcast *b)
{
  const struct route *r = broadcast_active(b);
  return r ? r->source : NULL;
}

bool route_through(const struct route_info *info, uint64_t hop)
{
  for (uint8_t i = 0; hop != 0 && i < info->hop_count; i++) {
    if (info->hops[i] == hop)
      return true;
  }
  return false;
}

static struct route *best_around(const struct broadcast *b, uint64_t hop)
{
  list_for_each (it, &b->routes) {
    struct route *r = container_of(it, struct route, link);
    if (!route_through(&r->info, hop))
      return r;
  }
  return NULL;
}

const struct route_info *broadcast_route_around(const struct broadcast *b, uint64_t hop, uint64_t *ret_version)
{
  const struct route *r = best_around(b, hop);
  if (r && ret_version)
    *ret_version = r->version;
  return r ? &r->info : NULL;
}

/* -- tracks and their routes -- */

static bool has_refused(const struct track *t, const struct route *r)
{
  for (uint8_t i = 0; i < t->refused_n; i++) {
    if (t->refused[i] == r->serial)
      return true;
  }
  return false;
}

struct route *track_best(const struct track *t)
{
  list_for_each (it, &t->broadcast->routes) {
    struct route *r = container_of(it, struct route, link);
    if (!route_through(&r->info, t->avoid) && !has_refused(t, r))
      return r;
  }
  return NULL;
}

void *track_source(const struct track *t)
{
  const struct route *r = track_route(t);
  return t->parting ? t->source : r ? r->source : NULL;
}

struct track *broadcast_track_around(struct broadcast *b, struct slice name, uint64_t hop)
{
  struct route *r = best_around(b, hop);
  if (!r && !list_empty(&b->routes)) {
    errno = ENOENT;
    return NULL;
  }
  struct track *t = track_get(b, name, r == broadcast_active(b) ? 0 : hop);
  if (!t || !t->route || !route_through(&t->route->info, hop))
    return t;
  track_unref(t); /* the best route refused it, and the next came through the asker */
  return track_get(b, name, hop);
}

struct track *broadcast_track(struct broadcast *b, struct slice name)
{
  return broadcast_track_around(b, name, 0);
}

/* -- the order -- */

static int compare(uint64_t a, uint64_t b)
{
  return a < b ? -1 : a > b;
}

/* Lists of equal length. */
static int compare_hops(const struct route_info *a, const struct route_info *b)
{
  int c = 0;
  for (uint8_t i = 0; c == 0 && i < a->hop_count; i++)
    c = compare(a->hops[i], b->hops[i]);
  return c;
}

bool route_before(const struct route *a, const struct route *b, enum takeover takeover)
{
  const struct route_info *x = &a->info, *y = &b->info;
  int c = compare(x->warm, y->warm);
  if (c == 0)
    c = compare(x->cold, y->cold);
  if (c == 0)
    c = compare(y->local, x->local);
  if (c == 0 && !x->local)
    c = compare(x->hop_count, y->hop_count);
  if (c == 0 && !x->local)
    c = compare_hops(x, y);
  if (c == 0 && x->local && takeover == TAKEOVER_NEVER)
    c = compare(a->serial, b->serial);
  return c != 0 ? c < 0 : a->serial > b->serial;
}

static void insert(struct broadcast *b, struct route *r)
{
  struct list *at = b->routes.next;
  enum takeover takeover = b->model->limits.takeover;
  while (at != &b->routes && route_before(container_of(at, struct route, link), r, takeover))
    at = at->next;
  list_insert_before(at, &r->link);
}

/* A track that has no route while there are some waits for nothing. */
static void settle_route(struct track *t, const struct route *gone, uint64_t now)
{
  struct route *old = t->route, *next = track_best(t);
  bool alive = old && old != gone;
  if (old == next)
    return;
  t->route = next;
  if (!next && t->broadcast->route_n > 0)
    track_end(t, CODE_UNROUTABLE, alive, now);
  else
    track_rerouted(t, alive, now);
}

/* The routes have changed; `gone` is not among them any more. */
static void reroute(struct broadcast *b, const struct route *gone, uint64_t now)
{
  struct list todo;
  list_init(&todo);
  list_move_all(&b->tracks, &todo);
  while (!list_empty(&todo)) {
    struct track *t = container_of(todo.next, struct track, link);
    list_remove(&t->link);
    list_append(&b->tracks, &t->link);
    settle_route(t, gone, now);
  }
}

/* -- broadcasts -- */

void broadcast_remove(struct broadcast *b, bool clean, uint64_t now)
{
  struct model *m = b->model;
  timers_cancel(m->timers, &b->linger);
  while (!list_empty(&b->tracks)) {
    struct track *t = track_ref(container_of(b->tracks.next, struct track, link));
    if (!clean || !track_part(t, now))
      track_end(t, CODE_UNROUTABLE, false, now);
    track_unref(t);
  }
  tree_notify(b, WATCH_REMOVED);
  tree_detach(b);
  m->broadcasts_now--;
  free(b);
}

static void on_linger(struct timer *timer, uint64_t now)
{
  struct broadcast *b = container_of(timer, struct broadcast, linger);
  model_saw(b->model, now);
  broadcast_remove(b, false, now);
}

static int broadcast_new(struct origin *o, const struct path *path, struct broadcast **ret_b)
{
  struct model *m = o->model;
  if (m->broadcasts_now >= m->limits.broadcasts) {
    limit_hit(m->counts, LIMIT_BROADCASTS, m->now, "broadcast=%.*s", (int)path->n, path->s);
    return -EUSERS;
  }
  struct broadcast *b = calloc(1, sizeof *b);
  if (!b)
    return -ENOMEM;
  *b = (struct broadcast){.model = m, .origin = o, .path = *path, .id = o->next_id++};
  list_init(&b->routes);
  list_init(&b->tracks);
  timer_init(&b->linger, on_linger);
  int rc = tree_attach(b);
  if (rc < 0) {
    free(b);
    return rc;
  }
  m->broadcasts_now++;
  *ret_b = b;
  return 0;
}

/* -- routes -- */

static bool loops(const struct model *m, const struct route_info *info)
{
  return route_through(info, m->hop_id);
}

int route_add(struct origin *o, struct slice path, const struct route_info *info, const struct source_ops *ops,
              void *source, uint64_t now, struct route **ret_route)
{
  struct path p;
  int rc = path_parse(&p, path);
  if (rc < 0)
    return rc;
  model_saw(o->model, now);
  if (info->hop_count > HOPS_MAX || loops(o->model, info))
    return -ELOOP;
  struct broadcast *b = origin_find(o, path_slice(&p));
  if (b && b->route_n >= o->model->limits.routes_per_path)
    return -EUSERS;
  struct route *r = calloc(1, sizeof *r);
  if (!r)
    return -ENOMEM;
  struct share *share = share_take(&o->shares, &o->model->cache, info->local ? source : (void *)r);
  bool made = !b;
  rc = !share ? -ENOMEM : made ? broadcast_new(o, &p, &b) : 0;
  if (rc < 0) {
    if (share)
      share_release(share);
    free(r);
    return rc;
  }
  *r = (struct route){
      .broadcast = b, .info = *info, .ops = ops, .source = source, .share = share, .serial = o->next_id++};
  r->version = r->serial;
  insert(b, r);
  b->route_n++;
  timers_cancel(o->model->timers, &b->linger);
  *ret_route = r;
  reroute(b, NULL, now);
  tree_notify(b, made ? WATCH_ADDED : WATCH_CHANGED);
  return 0;
}

static bool same_info(const struct route_info *a, const struct route_info *b)
{
  return a->hop_count == b->hop_count && a->warm == b->warm && a->cold == b->cold && a->local == b->local &&
         compare_hops(a, b) == 0;
}

int route_update(struct route *r, const struct route_info *info, uint64_t now)
{
  struct broadcast *b = r->broadcast;
  model_saw(b->model, now);
  if (info->hop_count > HOPS_MAX || loops(b->model, info))
    return -ELOOP;
  if (same_info(&r->info, info))
    return 0;
  r->info = *info;
  r->version = b->origin->next_id++;
  list_remove(&r->link);
  insert(b, r);
  reroute(b, NULL, now);
  tree_notify(b, WATCH_CHANGED);
  return 0;
}

static void route_free(struct route *r)
{
  share_release(r->share);
  free(r);
}

void route_remove(struct route *r, bool clean, uint64_t now)
{
  struct broadcast *b = r->broadcast;
  struct model *m = b->model;
  model_saw(m, now);
  list_remove(&r->link);
  b->route_n--;
  if (b->route_n == 0 && (clean || m->limits.linger_ns == 0)) {
    route_free(r);
    broadcast_remove(b, clean, now);
    return;
  }
  reroute(b, r, now);
  route_free(r);
  if (b->route_n > 0)
    tree_notify(b, WATCH_CHANGED);
  else
    timers_set(m->timers, &b->linger, add_sat(now, m->limits.linger_ns));
}
