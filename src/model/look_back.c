/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Older groups than the cache has, for a viewer that named where to begin: fetched upstream one after the other, newest
 * first, since what is nearest to the live edge is worth most when the bound ends it.
 *
 *     UNDECIDED --started--> NEXT --asked--> ASKED --it came--> GOT --delivered--> READING --whole--> NEXT
 *       any --start reached, too old, cut, nothing left--> DONE
 *
 * Until DONE all groups below the viewer's start come this way, also those that come by themselves, and what was had so comes
 * no other way later: a group that the budget took meanwhile may come again, but not to this viewer. Once a request is refused
 * or the bound used up, only what has come by itself is left. */
#include "model/private.h"

static void done_with(struct look_back *b)
{
  group_unref(b->group);
  b->group = NULL;
  b->state = LOOK_DONE;
}

static void answered(struct fetch *f, struct group *g, uint64_t code)
{
  struct sub *s = container_of(f, struct sub, back.fetch);
  struct look_back *b = &s->back;
  (void)code; /* the viewer begins where it can */
  b->group = g;
  b->state = g ? LOOK_GOT : LOOK_NEXT;
  if (!g) {
    b->left = 0;
    b->below = f->sequence + 1; /* it may come by itself */
  }
  sub_schedule(s);
}

void look_back_begin(struct sub *s)
{
  const struct sub_params *p = &s->params;
  struct look_back *b = &s->back;
  b->state = LOOK_DONE;
  if (!p->look_back || p->from_latest || p->max_age_ms == 0)
    return;
  b->state = LOOK_NEXT;
  b->top = b->below = p->group_end < s->start ? p->group_end + 1 : s->start;
  b->left = s->track->model->limits.look_back;
}

static uint64_t ticks_to_ms(uint64_t ticks, uint64_t timescale)
{
  unsigned __int128 ms = (unsigned __int128)ticks * 1000 / timescale;
  return ms < UINT64_MAX ? (uint64_t)ms : UINT64_MAX;
}

/* By timestamps: when a fetched group was new nobody here knows. */
static bool too_old(const struct sub *s, const struct group *g)
{
  const struct track *t = s->track;
  if (!t->newest || !t->has_info || group_objects(g, 0) == 0)
    return false;
  uint64_t newest = t->newest->newest_timestamp;
  return newest > g->newest_timestamp &&
         ticks_to_ms(newest - g->newest_timestamp, t->info.timescale) > s->params.max_age_ms;
}

/* The next group, or when nobody may be asked any more the next that has come by itself. NULL when it is not here. */
static struct group *next_here(const struct sub *s)
{
  const struct look_back *b = &s->back;
  if (b->left > 0)
    return track_find(s->track, b->below - 1);
  for (struct list *it = s->track->groups.prev; it != &s->track->groups; it = it->prev) {
    struct group *g = container_of(it, struct group, link);
    if (g->sequence < b->below && !g->fetched)
      return g->sequence >= s->params.group_start ? g : NULL;
  }
  return NULL;
}

/* Was left out as too old when the viewer began. */
static bool left_out(const struct sub *s, const struct group *g)
{
  return !g->fetched && g->serial <= s->start_serial;
}

static void ask(struct sub *s, uint64_t now)
{
  struct look_back *b = &s->back;
  struct group *g = b->below > s->params.group_start ? next_here(s) : NULL;
  if (b->below <= s->params.group_start || (!g && b->left == 0) || (g && left_out(s, g))) {
    done_with(b);
    return;
  }
  b->below = g ? g->sequence : b->below - 1;
  b->left -= b->left > 0;
  if (g) {
    b->group = group_ref(g);
    b->state = LOOK_GOT;
    return;
  }
  b->state = LOOK_ASKED;
  b->fetch = (struct fetch){.sequence = b->below, .done = answered};
  track_fetch(s->track, &b->fetch, false, now);
}

static void give(struct sub *s, uint64_t now)
{
  struct look_back *b = &s->back;
  if (too_old(s, b->group)) {
    done_with(b);
    return;
  }
  b->state = LOOK_READING;
  sub_deliver(s, b->group, now);
}

static bool reads(const struct sub *s, const struct group *g)
{
  list_for_each (it, &s->deliveries) {
    if (container_of(it, struct delivery, link)->reader.group == g)
      return true;
  }
  return false;
}

/* The next one is asked for when this one is whole: so the viewer's own pace bounds it, and its age is known. */
static void read_on(struct sub *s)
{
  struct look_back *b = &s->back;
  if (b->group->state != GROUP_WHOLE || too_old(s, b->group)) {
    done_with(b);
    return;
  }
  group_unref(b->group);
  b->group = NULL;
  b->state = LOOK_NEXT;
}

static bool waiting(const struct sub *s)
{
  const struct look_back *b = &s->back;
  if (b->state == LOOK_READING)
    return b->group->state == GROUP_OPEN && reads(s, b->group);
  return b->state == LOOK_ASKED || b->state == LOOK_DONE;
}

void look_back_run(struct sub *s, uint64_t now)
{
  struct model *m = s->track->model;
  if (s->back.state == LOOK_UNDECIDED)
    return;
  while (m->running == s && !waiting(s)) {
    if (s->back.state == LOOK_NEXT)
      ask(s, now);
    else if (s->back.state == LOOK_GOT)
      give(s, now);
    else
      read_on(s);
  }
}

void look_back_moved(struct sub *s, const struct group *g)
{
  if (s->back.state == LOOK_READING && s->back.group == g)
    sub_schedule(s);
}

bool look_back_busy(const struct sub *s)
{
  return s->back.state != LOOK_UNDECIDED && s->back.state != LOOK_DONE;
}

bool look_back_has(const struct sub *s, uint64_t sequence)
{
  return sequence < s->back.top && (look_back_busy(s) || sequence >= s->back.below);
}

void look_back_stop(struct sub *s, uint64_t now)
{
  if (s->back.state == LOOK_ASKED)
    fetch_cancel(&s->back.fetch, now);
  done_with(&s->back);
}
