/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "model/tree.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* -- nodes -- */

static struct node *node_new(struct node *parent, struct slice part)
{
  struct node *n = calloc(1, sizeof *n + part.n);
  if (!n)
    return NULL;
  n->parent = parent;
  list_init(&n->children);
  list_init(&n->watches);
  list_init(&n->link);
  if (part.n > 0)
    memcpy(n->part, part.p, part.n);
  n->name = (struct name){.parent = parent, .s = slice_of(n->part, part.n)};
  return n;
}

static struct node *child(const struct origin *o, const struct node *n, struct slice part)
{
  struct name *e = names_find(&o->nodes, n, part);
  return e ? container_of(e, struct node, name) : NULL;
}

/* Frees n and those above it as far as they are empty. */
static void release(struct origin *o, struct node *n)
{
  while (n != o->root && !n->broadcast && list_empty(&n->children) && list_empty(&n->watches)) {
    struct node *parent = n->parent;
    names_remove(&o->nodes, &n->name);
    list_remove(&n->link);
    free(n);
    n = parent;
  }
}

static struct node *find(const struct origin *o, struct slice path)
{
  struct node *n = o->root;
  struct slice part;
  while (n && path_part(&path, &part))
    n = child(o, n, part);
  return n;
}

/* The node at path, made with all above it when they are not there. NULL without memory. */
static struct node *make(struct origin *o, struct slice path)
{
  struct node *n = o->root;
  struct slice part;
  while (path_part(&path, &part)) {
    struct node *next = child(o, n, part);
    if (!next) {
      next = node_new(n, part);
      if (!next) {
        release(o, n);
        return NULL;
      }
      names_add(&o->nodes, &next->name);
      list_append(&n->children, &next->link);
    }
    n = next;
  }
  return n;
}

int tree_attach(struct broadcast *b)
{
  struct node *n = make(b->origin, path_slice(&b->path));
  if (!n)
    return -ENOMEM;
  assert(!n->broadcast);
  n->broadcast = b;
  b->node = n;
  return 0;
}

void tree_detach(struct broadcast *b)
{
  b->node->broadcast = NULL;
  release(b->origin, b->node);
}

/* -- watching -- */

static void call(struct watch *w, struct broadcast *b, enum watch_event event)
{
  struct slice suffix = slice_of(NULL, 0);
  bool under = path_under(path_slice(&b->path), path_slice(&w->prefix), &suffix);
  assert(under);
  (void)under;
  if (event == WATCH_ADDED)
    w->ops->added(w->ctx, b, suffix);
  else if (event == WATCH_CHANGED)
    w->ops->changed(w->ctx, b, suffix);
  else
    w->ops->removed(w->ctx, b, suffix);
}

void tree_notify(struct broadcast *b, enum watch_event event)
{
  struct origin *o = b->origin;
  o->notifying = true;
  for (struct node *n = b->node; n; n = n->parent) {
    list_for_each (it, &n->watches)
      call(container_of(it, struct watch, link), b, event);
  }
  o->notifying = false;
}

struct found {
  struct broadcast **p;
  size_t n, cap;
};

static int found_add(struct found *f, struct broadcast *b)
{
  if (f->n == f->cap) {
    size_t cap = f->cap ? f->cap * 2 : 16;
    struct broadcast **p = realloc(f->p, cap * sizeof *p);
    if (!p)
      return -ENOMEM;
    f->p = p;
    f->cap = cap;
  }
  f->p[f->n++] = b;
  return 0;
}

/* As deep as paths are, PATH_PARTS_MAX. */
static int collect(struct node *n, struct found *f)
{
  int rc = n->broadcast ? found_add(f, n->broadcast) : 0;
  list_for_each (it, &n->children) {
    if (rc == 0)
      rc = collect(container_of(it, struct node, link), f);
  }
  return rc;
}

static int by_path(const void *a, const void *b)
{
  const struct broadcast *x = *(struct broadcast *const *)a, *y = *(struct broadcast *const *)b;
  size_t n = x->path.n < y->path.n ? x->path.n : y->path.n;
  int c = memcmp(x->path.s, y->path.s, n);
  return c != 0 ? c : (x->path.n > y->path.n) - (x->path.n < y->path.n);
}

static void call_initial(struct watch *w, const struct found *f)
{
  w->origin->notifying = true;
  for (size_t i = 0; i < f->n; i++)
    call(w, f->p[i], WATCH_ADDED);
  w->origin->notifying = false;
}

int watch_new(struct origin *o, struct slice prefix, const struct watch_ops *ops, void *ctx, struct watch **ret_watch)
{
  assert(!o->notifying);
  struct path p;
  int rc = path_parse(&p, prefix);
  if (rc < 0)
    return rc;
  struct watch *w = calloc(1, sizeof *w);
  struct node *n = make(o, path_slice(&p));
  struct found f = {0};
  rc = w && n ? collect(n, &f) : -ENOMEM;
  if (rc < 0) {
    if (n)
      release(o, n);
    free(w);
    free(f.p);
    return rc;
  }
  *w = (struct watch){.origin = o, .node = n, .prefix = p, .ops = ops, .ctx = ctx};
  list_append(&n->watches, &w->link);
  *ret_watch = w;
  if (f.n > 0)
    qsort(f.p, f.n, sizeof *f.p, by_path);
  call_initial(w, &f);
  free(f.p);
  return 0;
}

void watch_free(struct watch *w)
{
  if (!w)
    return;
  assert(!w->origin->notifying);
  list_remove(&w->link);
  release(w->origin, w->node);
  free(w);
}

/* -- the origin -- */

struct origin *origin_new(struct model *m)
{
  struct origin *o = calloc(1, sizeof *o);
  if (!o)
    return NULL;
  *o = (struct origin){.model = m, .next_id = 1};
  o->root = node_new(NULL, slice_of(NULL, 0));
  if (!o->root || names_init(&o->nodes, &m->rng) < 0 || names_init(&o->shares, &m->rng) < 0) {
    names_destroy(&o->nodes);
    free(o->root);
    free(o);
    return NULL;
  }
  return o;
}

/* The first broadcast below n, or at it. */
static struct broadcast *any_broadcast(const struct node *n)
{
  while (!n->broadcast && !list_empty(&n->children))
    n = container_of(n->children.next, struct node, link);
  return n->broadcast;
}

void origin_free(struct origin *o)
{
  struct broadcast *b;
  if (!o)
    return;
  while ((b = any_broadcast(o->root)) != NULL) {
    assert(list_empty(&b->routes)); /* what is left only lingers */
    broadcast_remove(b, false, o->model->now);
  }
  assert(list_empty(&o->root->children) && list_empty(&o->root->watches) && !o->root->broadcast);
  names_destroy(&o->nodes);
  names_destroy(&o->shares);
  free(o->root);
  free(o);
}

struct broadcast *origin_find(struct origin *o, struct slice path)
{
  struct node *n = find(o, path);
  return n ? n->broadcast : NULL;
}
