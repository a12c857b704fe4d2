/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/mux.h"
#include "client/timeline.h"
#include "media/fmp4_reader.h"
#include "media/fmp4_writer.h"
#include <errno.h>
#include <stdlib.h>

/* Frames may go back by so much in presentation time without that being a new beginning: 16 frames
 * at 10 a second. */
#define REORDER_TOLERANCE INT64_C(1600000)

struct sample {
  struct sample *next;
  int64_t us;       /* when it is due: decoding time if known, else presentation time */
  int64_t pts, dts; /* writer's ticks */
  bool has_dts, keyframe;
  size_t len;
  uint8_t data[];
};

struct mux_track {
  struct mux *mux;
  size_t index;
  enum media_kind kind;
  enum media_container container;
  uint32_t timescale;         /* the writer's */
  struct fmp4_reader *reader; /* of a CMAF track */
  uint32_t reader_timescale;
  size_t reader_track;
  int64_t lead;
  struct sample *first, **last;
  struct timeline_track time;
  uint64_t dry_since; /* ns, while it has no sample; 0 = from the next look on */
  bool ended;
};

struct mux {
  struct mux_track *tracks;
  size_t count;
  struct fmp4_writer *writer;
  struct timeline time;
  int64_t begin, end;
  bool started;
  uint64_t dropped;
};

/* ---- samples in ---- */

static int push(struct mux_track *t, const struct sample *s, const uint8_t *data)
{
  struct sample *copy = malloc(sizeof *copy + s->len);
  if (!copy)
    return -ENOMEM;
  *copy = *s;
  copy->next = NULL;
  memcpy(copy->data, data, s->len);
  *t->last = copy;
  t->last = &copy->next;
  return 0;
}

static void pop(struct mux_track *t, uint64_t now)
{
  struct sample *s = t->first;
  t->first = s->next;
  if (!t->first)
    t->last = &t->first;
  t->dry_since = now;
  free(s);
}

static int reader_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  struct mux_track *t = arg;
  for (size_t i = 0; i < count; i++) {
    if (tracks[i].kind == t->kind) {
      t->reader_track = i;
      t->reader_timescale = tracks[i].timescale;
      return 0;
    }
  }
  return -EPROTO;
}

static int reader_sample(void *arg, const struct fmp4_sample *in)
{
  struct mux_track *t = arg;
  uint32_t from = t->reader_timescale;
  if (in->track != t->reader_track)
    return 0;
  struct sample s = {.us = media_rescale(in->dts, from, MEDIA_US) + t->lead,
                     .pts = media_rescale(in->pts, from, t->timescale) + media_rescale(t->lead, MEDIA_US, t->timescale),
                     .dts = media_rescale(in->dts, from, t->timescale) + media_rescale(t->lead, MEDIA_US, t->timescale),
                     .has_dts = true,
                     .keyframe = in->keyframe,
                     .len = in->len};
  return push(t, &s, in->data);
}

static const struct fmp4_reader_events reader_events = {reader_tracks, reader_sample};

static int plain_frame(struct mux_track *t, struct slice frame, bool first)
{
  struct container_frame f;
  int rc = t->container == CONTAINER_LOC ? container_loc_parse(frame.p, frame.n, &f)
                                         : container_legacy_parse(frame.p, frame.n, &f);
  if (rc < 0 || f.len == 0)
    return rc;
  struct sample s = {.us = f.pts_us,
                     .pts = media_rescale(f.pts_us, MEDIA_US, t->timescale),
                     .keyframe = first || t->kind == MEDIA_AUDIO,
                     .len = f.len};
  return push(t, &s, f.data);
}

int mux_frame(struct mux *m, size_t track, struct slice frame, bool first)
{
  struct mux_track *t = &m->tracks[track];
  int rc =
      t->container == CONTAINER_CMAF ? fmp4_reader_feed(t->reader, frame.p, frame.n) : plain_frame(t, frame, first);
  if (rc == -ENOMEM)
    return rc;
  m->dropped += rc < 0;
  return 0;
}

bool mux_hungry(const struct mux *m, size_t track)
{
  return !m->tracks[track].first;
}

void mux_end(struct mux *m, size_t track)
{
  m->tracks[track].ended = true;
}

/* ---- the file out ---- */

static struct mux_track *earliest(struct mux *m)
{
  struct mux_track *best = NULL;
  for (size_t i = 0; i < m->count; i++) {
    struct mux_track *t = &m->tracks[i];
    if (t->first && (!best || t->first->us < best->first->us))
      best = t;
  }
  return best;
}

/* Until when to wait for tracks that may still have something earlier; 0 = not. */
static uint64_t wait_until(struct mux *m, uint64_t now)
{
  uint64_t until = 0;
  for (size_t i = 0; i < m->count; i++) {
    struct mux_track *t = &m->tracks[i];
    if (t->first || t->ended)
      continue;
    t->dry_since = t->dry_since ? t->dry_since : now;
    uint64_t at = t->dry_since + MUX_WAIT;
    if (now < at && (!until || at < until))
      until = at;
  }
  return until;
}

static int write_first(struct mux *m, struct mux_track *t, uint64_t now, struct media_buf *out)
{
  struct sample *s = t->first;
  if (!m->started && s->us > MUX_KEEP_US)
    m->time.offset = -s->us;
  int64_t offset = timeline_offset(&m->time, &t->time, s->us);
  int64_t ticks = media_rescale(offset, MEDIA_US, t->timescale);
  m->begin = m->started ? m->begin : s->us + offset;
  m->end = m->time.end;
  m->started = true;
  struct fmp4_writer_sample w = {.track = t->index,
                                 .pts = s->pts + ticks,
                                 .has_dts = s->has_dts,
                                 .dts = s->dts + ticks,
                                 .keyframe = s->keyframe,
                                 .data = s->data,
                                 .len = s->len};
  int rc = fmp4_writer_add(m->writer, &w, out);
  pop(t, now);
  if (rc == -ENOMEM)
    return rc;
  m->dropped += rc < 0;
  return 0;
}

int mux_write(struct mux *m, uint64_t now, struct media_buf *out, uint64_t *ret_at)
{
  struct mux_track *t;
  *ret_at = UINT64_MAX;
  while ((t = earliest(m)) != NULL) {
    uint64_t until = wait_until(m, now);
    if (until) {
      *ret_at = until;
      return 0;
    }
    int rc = write_first(m, t, now, out);
    if (rc < 0)
      return rc;
    if (!t->first && !t->ended)
      return 1; /* its next frame may be there already */
  }
  return 0;
}

int mux_finish(struct mux *m, struct media_buf *out)
{
  struct mux_track *t;
  int rc = 0;
  while (rc == 0 && (t = earliest(m)) != NULL)
    rc = write_first(m, t, 0, out);
  return rc < 0 ? rc : fmp4_writer_finish(m->writer, out);
}

uint64_t mux_dropped(const struct mux *m)
{
  return m->dropped + fmp4_writer_dropped(m->writer);
}

int64_t mux_time_us(const struct mux *m)
{
  return m->end - m->begin;
}

/* ---- life ---- */

bool mux_can(const struct catalog_entry *entry)
{
  struct fmp4_writer *w;
  if (entry->container == CONTAINER_UNKNOWN || entry->broadcast ||
      (entry->container == CONTAINER_CMAF && !entry->init) || fmp4_writer_new(&entry->track, 1, NULL, &w) < 0)
    return false;
  fmp4_writer_free(w);
  return true;
}

/* What a CMAF track's times have to be moved by lest one is negative: its header tells. */
static int probe_lead(struct mux_track *t, const struct catalog_entry *e, int64_t *ret_lead)
{
  struct fmp4_reader *r = fmp4_reader_new(NULL, &reader_events, t);
  if (!r)
    return -ENOMEM;
  int rc = fmp4_reader_feed(r, e->init, e->init_len);
  if (rc == 0)
    rc = fmp4_reader_finish(r);
  if (rc == 0)
    *ret_lead = fmp4_reader_lead_us(r);
  fmp4_reader_free(r);
  return rc;
}

static int open_readers(struct mux *m, const struct catalog_entry *const *entries)
{
  int64_t lead = 0, most = 0;
  for (size_t i = 0; i < m->count; i++) {
    struct mux_track *t = &m->tracks[i];
    if (t->container != CONTAINER_CMAF)
      continue;
    int rc = probe_lead(t, entries[i], &lead);
    if (rc < 0)
      return rc;
    most = lead > most ? lead : most;
    t->reader = fmp4_reader_new(NULL, &reader_events, t);
    if (!t->reader)
      return -ENOMEM;
    rc = fmp4_reader_feed(t->reader, entries[i]->init, entries[i]->init_len);
    if (rc < 0)
      return rc;
  }
  for (size_t i = 0; i < m->count; i++)
    m->tracks[i].lead = most; /* the same for all, so that they stay in step */
  return 0;
}

static int open_writer(struct mux *m, const struct catalog_entry *const *entries)
{
  struct media_track *tracks = calloc(m->count, sizeof *tracks);
  if (!tracks)
    return -ENOMEM;
  for (size_t i = 0; i < m->count; i++)
    tracks[i] = entries[i]->track; /* borrowed: the writer copies */
  int rc = fmp4_writer_new(tracks, m->count, NULL, &m->writer);
  free(tracks);
  return rc;
}

int mux_new(const struct catalog_entry *const *entries, size_t count, struct mux **ret_m)
{
  struct mux *m = calloc(1, sizeof *m);
  if (m)
    m->tracks = calloc(count, sizeof *m->tracks);
  if (!m || !m->tracks) {
    free(m);
    return -ENOMEM;
  }
  m->count = count;
  timeline_init(&m->time, REORDER_TOLERANCE);
  int rc = open_writer(m, entries);
  for (size_t i = 0; i < count && rc == 0; i++) {
    struct mux_track *t = &m->tracks[i];
    *t = (struct mux_track){.mux = m, .index = i, .kind = entries[i]->track.kind, .container = entries[i]->container};
    t->timescale = fmp4_writer_timescale(m->writer, i);
    t->last = &t->first;
  }
  if (rc == 0)
    rc = open_readers(m, entries);
  if (rc < 0) {
    mux_free(m);
    return rc;
  }
  *ret_m = m;
  return 0;
}

void mux_free(struct mux *m)
{
  if (!m)
    return;
  for (size_t i = 0; i < m->count; i++) {
    while (m->tracks[i].first)
      pop(&m->tracks[i], 0);
    fmp4_reader_free(m->tracks[i].reader);
  }
  fmp4_writer_free(m->writer);
  free(m->tracks);
  free(m);
}
