/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is published, and the rules that every viewer checks: frames whole, in order, with their own bytes; each group at
 * most once and complete before the next, unless the link has faults. Any group's shape and bytes follow from the seed. */
#include "udp_world.h"
#include <stdio.h>

static const char *const names[TRACKS] = {"video", "audio"};
#define AUDIO_INTERVAL_MS 100
#define AUDIO_BYTES 160
#define LATE_MAX_NS (2 * NS_PER_S) /* of a frame on a perfect path, all told */

/* ---- shapes ---- */

static uint64_t mix(uint64_t x)
{
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

static uint64_t key(const struct world *w, unsigned track, uint32_t group, uint32_t index)
{
  return mix(mix(w->seed + track) ^ ((uint64_t)group << 32 | index));
}

static uint32_t frames_in(const struct world *w, unsigned track, uint32_t group)
{
  return track ? 1 : 1 + (uint32_t)(key(w, track, group, UINT32_MAX) % w->source.group_frames);
}

/* The first frame of a group is the largest, as pictures go. */
static size_t frame_make(const struct world *w, unsigned track, uint32_t group, uint32_t index, uint8_t *out)
{
  uint64_t k = key(w, track, group, index), max = track ? AUDIO_BYTES : w->source.frame_max >> (index ? 2 : 0);
  size_t n = FRAME_HEAD + (size_t)(k % max);
  uint32_t head[] = {track, group, index};
  memcpy(out, head, FRAME_HEAD);
  for (size_t i = FRAME_HEAD; i < n; i += 8) {
    k = k * 6364136223846793005ULL + 1442695040888963407ULL;
    memcpy(out + i, &k, n - i < 8 ? n - i : 8);
  }
  return n;
}

/* ---- the publisher ---- */

static void on_frame(struct timer *t, uint64_t now)
{
  struct media *m = container_of(t, struct media, timer);
  struct source *s = m->source;
  struct world *w = s->host.w;
  unsigned track = (unsigned)(m - s->tracks);
  uint8_t bytes[FRAME_MAX + FRAME_HEAD + 8];
  struct slice frame = slice_of(bytes, frame_make(w, track, m->group, m->index, bytes));
  if (m->index == 0 && publisher_group(m->t, now) < 0)
    sim_fail(w, "source", "no group");
  if (m->index == 0)
    m->began[m->group % GROUPS_KEPT] = now;
  if (publisher_frame(m->t, now / 1000, &frame, 1) < 0)
    sim_fail(w, "source", "no frame");
  if (++m->index == frames_in(w, track, m->group)) {
    publisher_end_group(m->t);
    m->group++;
    m->index = 0;
  }
  timers_set(&w->worker.timers, t, now + (track ? AUDIO_INTERVAL_MS : s->interval_ms) * NS_PER_MS);
}

/* What viewers of others' versions see of its groups begins anew: where its hop is not told, nobody knows that the
 * publisher is the same. */
static void source_ended(struct client *c)
{
  c->w->restarts++;
}

void source_start(struct source *s, struct world *w)
{
  static const struct track_info infos[TRACKS] = {{10, 3000, 1000000}, {200, 3000, 1000000}};
  s->frame_max = (unsigned)between(w, 500, FRAME_MAX - 1);
  s->group_frames = (unsigned)between(w, 1, 12);
  s->interval_ms = (unsigned)between(w, 40, 150);
  host_start(&s->host, w, false);
  s->client.publish = true;
  s->client.on_end = source_ended;
  snprintf(s->client.name, sizeof s->client.name, "publisher");
  if (publisher_new(s->host.origin, slice_str("live"), w->worker.now, &s->publisher) < 0)
    sim_fail(w, "source", "no publisher");
  for (unsigned i = 0; i < TRACKS; i++) {
    struct media *m = &s->tracks[i];
    m->source = s;
    if (publisher_track(s->publisher, names[i], &infos[i], w->worker.now, &m->t) < 0)
      sim_fail(w, "source", "no track");
    timer_init(&m->timer, on_frame);
    timers_set(&w->worker.timers, &m->timer, w->worker.now + 1 + i);
  }
  client_start(&s->client, w, &s->host.env, &w->relays[0]);
}

void source_stop(struct source *s)
{
  struct world *w = s->host.w;
  for (unsigned i = 0; i < TRACKS; i++)
    timers_cancel(&w->worker.timers, &s->tracks[i].timer);
  client_stop(&s->client);
  publisher_free(s->publisher, w->worker.now);
  host_stop(&s->host);
}

/* ---- viewers ---- */

/* Whether a viewer must get everything: nothing between it and the publisher ever has a fault. */
static bool healthy(const struct player *p)
{
  const struct world *w = p->host.w;
  bool far = p->client.to != &w->relays[0];
  return !w->leaving && p->client.perfect && w->source.client.perfect && (!far || w->relays[1].uplink.perfect);
}

/* A publisher that came back, or a relay that did, counts anew where nobody can tell that the publisher is the same one:
 * what was there before comes again under higher numbers, once for each time. */
static bool may_repeat(struct watched *t)
{
  const struct world *w = t->player->host.w;
  return lite_info(w->source.client.version)->hops <= LITE_HOPS_COUNT && ++t->repeats <= w->restarts;
}

static void check_begin(struct watched *t, uint32_t group)
{
  struct player *p = t->player;
  struct world *w = p->host.w;
  if (!t->any)
    return;
  bool cut = t->index > 0;
  uint32_t last = t->group - !cut; /* the one that was received last, whole or in part */
  if (group <= last && !may_repeat(t))
    sim_fail(w, p->client.name, "%s group %u came after group %u", names[t->track], group, last);
  if (!healthy(p))
    return;
  if (cut)
    sim_fail(w, p->client.name, "%s group %u ended after %u of %u frames, on a perfect path", names[t->track], t->group,
             t->index, frames_in(w, t->track, t->group));
  if (group != last + 1)
    sim_fail(w, p->client.name, "%s groups %u to %u are missing, on a perfect path", names[t->track], last + 1,
             group - 1);
}

/* What was published while the viewer was there comes soon, whatever happens to others. */
static void check_time(const struct watched *t, uint32_t group, uint32_t index)
{
  const struct player *p = t->player;
  struct world *w = p->host.w;
  uint64_t began = w->source.tracks[t->track].began[group % GROUPS_KEPT];
  uint64_t late = w->worker.now - began - index * w->source.interval_ms * NS_PER_MS;
  if (healthy(p) && began > p->client.up_since + NS_PER_S && late > LATE_MAX_NS)
    sim_fail(w, p->client.name, "frame %u of %s group %u is %llu ms late, on a perfect path", index, names[t->track],
             group, (unsigned long long)(late / NS_PER_MS));
}

static void check_frame(struct watched *t, const struct viewer_frame *f)
{
  struct player *p = t->player;
  struct world *w = p->host.w;
  uint8_t want[FRAME_MAX + FRAME_HEAD + 8];
  uint32_t head[3];
  if (f->payload.n < FRAME_HEAD)
    sim_fail(w, p->client.name, "a frame of %zu bytes", f->payload.n);
  memcpy(head, f->payload.p, FRAME_HEAD);
  if (head[0] != t->track || head[2] != f->index || f->index >= frames_in(w, t->track, head[1]))
    sim_fail(w, p->client.name, "%s: frame %u of group %u of track %u, where frame %llu is due", names[t->track],
             head[2], head[1], head[0], (unsigned long long)f->index);
  size_t n = frame_make(w, t->track, head[1], head[2], want);
  if (n != f->payload.n || memcmp(want, f->payload.p, n) != 0)
    sim_fail(w, p->client.name, "%s: frame %u of group %u is damaged", names[t->track], head[2], head[1]);
  if (f->index == 0)
    check_begin(t, head[1]);
  else if (!t->any || head[1] != t->group || f->index != t->index)
    sim_fail(w, p->client.name, "%s: frame %u of group %u comes after frame %u of group %u", names[t->track], head[2],
             head[1], t->index, t->group);
  check_time(t, head[1], head[2]);
  t->any = true;
  t->group = head[1];
  t->index = head[2] + 1;
  if (t->index == frames_in(w, t->track, t->group)) {
    t->groups++;
    t->newest = t->group + 1ULL;
    t->group++;
    t->index = 0;
  }
  w->frames++;
  world_note(w, head, sizeof head);
}

static void on_ready(void *ctx, struct viewer *v)
{
  struct watched *t = ctx;
  struct viewer_frame f;
  while (viewer_peek(v, &f)) {
    check_frame(t, &f);
    viewer_take(v);
  }
}

static void on_found(void *ctx, struct viewer *v)
{
  struct watched *t = ctx;
  struct player *p = t->player;
  story(p->host.w, p->client.name, "%s is found", names[t->track]);
  if (t->any && healthy(p))
    sim_fail(p->host.w, p->client.name, "%s was lost meanwhile, on a perfect path", names[t->track]);
  t->repeats = 0;
  t->any = false; /* another subscription begins anew */
}

static void on_lost(void *ctx, struct viewer *v, uint64_t code)
{
  struct watched *t = ctx;
  story(t->player->host.w, t->player->client.name, "%s is lost, code 0x%llx", names[t->track],
        (unsigned long long)code);
}

static const struct viewer_events viewer_events = {on_ready, on_found, on_lost};

static void watch(struct player *p)
{
  struct world *w = p->host.w;
  for (unsigned i = 0; i < TRACKS; i++) {
    struct watched *t = &p->tracks[i];
    *t = (struct watched){.player = p, .track = i};
    struct viewer_config config = {.worker = &w->worker,
                                   .origin = p->host.origin,
                                   .path = slice_str("live"),
                                   .track = slice_str(names[i]),
                                   .priority = i ? 200 : 10,
                                   .max_age_ms = p->max_age_ms,
                                   .events = &viewer_events,
                                   .ctx = t};
    if (viewer_new(&config, &t->v) < 0)
      sim_fail(w, p->client.name, "no viewer");
  }
}

static void unwatch(struct player *p)
{
  struct world *w = p->host.w;
  for (unsigned i = 0; i < TRACKS; i++) {
    struct watched *t = &p->tracks[i];
    if (t->any)
      story(w, p->client.name, "has had %llu whole groups of %s, up to %llu of %u", (unsigned long long)t->groups,
            names[i], (unsigned long long)t->newest - (t->newest > 0), w->source.tracks[i].group);
    viewer_free(t->v);
    t->v = NULL;
  }
}

/* Each session of a viewer is a program of its own, which knows nothing of the one before. */
static void restart(struct deferred *d, uint64_t now)
{
  struct player *p = container_of(d, struct player, restart);
  struct world *w = p->host.w;
  unwatch(p);
  host_stop(&p->host);
  host_start(&p->host, w, false);
  p->host.model.limits.linger_ns = 0;
  watch(p);
}

static void player_ended(struct client *c)
{
  worker_defer(&c->w->worker, &container_of(c, struct player, client)->restart);
}

void player_start(struct player *p, struct world *w)
{
  host_start(&p->host, w, false);
  p->host.model.limits.linger_ns = 0; /* a program that ends does not wait */
  deferred_init(&p->restart, restart);
  p->max_age_ms = between(w, 500, 5000);
  p->client.watch = true;
  p->client.on_end = player_ended;
  snprintf(p->client.name, sizeof p->client.name, "viewer %u", (unsigned)(p - w->viewers));
  client_start(&p->client, w, &p->host.env, &w->relays[below(w, w->relay_n)]);
  watch(p);
}

void player_stop(struct player *p)
{
  client_stop(&p->client);
  worker_defer_cancel(&p->restart);
  unwatch(p);
  host_stop(&p->host);
}

void player_check_live(struct player *p)
{
  struct world *w = p->host.w;
  for (unsigned i = 0; i < TRACKS; i++) {
    uint64_t newest = w->source.tracks[i].whole_before;
    if (p->tracks[i].newest < newest)
      sim_fail(w, p->client.name, "the newest whole group of %s is %lld of %llu, long after the last fault", names[i],
               (long long)p->tracks[i].newest - 1, (unsigned long long)newest - 1);
  }
}
