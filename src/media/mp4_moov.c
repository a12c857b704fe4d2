/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/mp4_moov.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "media/codec_config.h"
#include "media/mp4_sample_entry.h"

#define HANDLER_VIDEO MP4_TYPE('v', 'i', 'd', 'e')
#define HANDLER_AUDIO MP4_TYPE('s', 'o', 'u', 'n')

#define FRAGMENT_HELP                                                                                                  \
  "this MP4 is not fragmented; make it so with: ffmpeg -i in.mp4 -c copy -f mp4 -movflags "                            \
  "+frag_keyframe+empty_moov+default_base_moof out.mp4"

/* An edit list that shifts by more than this is not believed. */
#define EDIT_SHIFT_MAX (INT64_C(1) << 48)

/* What is gathered of one trak before it is known whether it is of use. */
struct trak_parser {
  struct mp4_trak *out;
  uint32_t movie_timescale;
  uint32_t handler;
  uint64_t empty_edit; /* in movie ticks */
  int64_t media_time;  /* in media ticks */
  struct mp4_error *err;
};

static int truncated(const struct mp4_box *box, struct mp4_error *err)
{
  return mp4_fail(err, -EPROTO, box->type, box->offset, "ends before its last field");
}

void mp4_moov_destroy(struct mp4_moov *m)
{
  for (size_t i = 0; i < m->count; i++)
    media_track_destroy(&m->traks[i].track);
  free(m->traks);
  *m = (struct mp4_moov){0};
}

/* Rotation by quarter turns out of a transformation matrix; anything else is left upright. */
static uint32_t matrix_rotation(const uint32_t m[9])
{
  int32_t a = (int32_t)m[0], b = (int32_t)m[1], c = (int32_t)m[3];
  if (a == 0 && b > 0 && c < 0)
    return 90;
  if (a == 0 && b < 0 && c > 0)
    return 270;
  return a < 0 && b == 0 ? 180 : 0;
}

static int parse_tkhd(struct trak_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags, matrix[9];
  uint8_t version = mp4_full_box(&c, &flags);
  mp4_skip(&c, version == 1 ? 16 : 8);
  p->out->track.id = mp4_u32(&c);
  mp4_skip(&c, version == 1 ? 28 : 24);
  for (int i = 0; i < 9; i++)
    matrix[i] = mp4_u32(&c);
  p->out->track.display_width = mp4_u32(&c) >> 16;
  p->out->track.display_height = mp4_u32(&c) >> 16;
  if (c.failed)
    return truncated(box, p->err);
  p->out->track.rotation = matrix_rotation(matrix);
  return 0;
}

static int parse_mdhd(struct trak_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  uint8_t version = mp4_full_box(&c, &flags);
  mp4_skip(&c, version == 1 ? 16 : 8);
  p->out->track.timescale = mp4_u32(&c);
  if (c.failed)
    return truncated(box, p->err);
  if (p->out->track.timescale == 0)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "timescale is 0");
  return 0;
}

static int parse_hdlr(struct trak_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  mp4_skip(&c, 8);
  p->handler = mp4_u32(&c);
  return c.failed ? truncated(box, p->err) : 0;
}

/* Leading empty edits delay the track, the first real one says which media time is presented. */
static int parse_elst(struct trak_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  uint8_t version = mp4_full_box(&c, &flags);
  uint32_t count = mp4_u32(&c);
  for (uint32_t i = 0; i < count && !c.failed; i++) {
    uint64_t duration = mp4_u32_or_64(&c, version);
    uint64_t raw = mp4_u32_or_64(&c, version);
    int64_t media_time = version == 1 ? (int64_t)raw : (int32_t)(uint32_t)raw;
    mp4_skip(&c, 4);
    if (c.failed)
      break;
    if (media_time >= 0) {
      p->media_time = media_time;
      return 0;
    }
    if (duration > EDIT_SHIFT_MAX || (p->empty_edit += duration) > EDIT_SHIFT_MAX)
      return mp4_fail(p->err, -EPROTO, box->type, box->offset, "empty edit is too long");
  }
  return c.failed ? truncated(box, p->err) : 0;
}

static int parse_stsd(struct trak_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  mp4_full_box(&c, &flags);
  uint32_t count = mp4_u32(&c);
  struct mp4_box entry;
  int rv = mp4_next_box(&c, &entry, p->err);
  if (rv < 0)
    return rv;
  if (rv == 0 || count == 0)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "has no sample entry");
  p->out->entry_type = entry.type;
  if (p->handler == HANDLER_VIDEO) {
    p->out->track.kind = MEDIA_VIDEO;
    return mp4_video_entry(&p->out->track, &entry, p->err);
  }
  p->out->track.kind = MEDIA_AUDIO;
  return mp4_audio_entry(&p->out->track, &entry, p->err);
}

/* Samples described in the movie header are a progressive file's, or the start of a hybrid one. */
static int refuse_samples(struct trak_parser *p, struct mp4_cursor stbl)
{
  struct mp4_box box;
  uint32_t flags;
  int rv = mp4_find_box(stbl, MP4_TYPE('s', 't', 's', 'z'), &box, p->err);
  if (rv <= 0)
    return rv;
  struct mp4_cursor c = box.body;
  mp4_full_box(&c, &flags);
  mp4_u32(&c);
  uint32_t count = mp4_u32(&c);
  if (c.failed)
    return truncated(&box, p->err);
  if (count > 0)
    return mp4_fail(p->err, -ENOTSUP, box.type, box.offset,
                    "the header itself holds %" PRIu32 " samples; " FRAGMENT_HELP, count);
  return 0;
}

static int parse_stbl(struct trak_parser *p, const struct mp4_box *box)
{
  struct mp4_box stsd;
  int rv = refuse_samples(p, box->body);
  if (rv < 0)
    return rv;
  if (p->handler != HANDLER_VIDEO && p->handler != HANDLER_AUDIO)
    return 0;
  rv = mp4_find_box(box->body, MP4_TYPE('s', 't', 's', 'd'), &stsd, p->err);
  if (rv == 0)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "has no stsd");
  return rv < 0 ? rv : parse_stsd(p, &stsd);
}

/* Descends one level; `required` is a box whose absence is an error. */
static int child(struct trak_parser *p, const struct mp4_box *parent, uint32_t type, struct mp4_box *ret_box)
{
  int rv = mp4_find_box(parent->body, type, ret_box, p->err);
  if (rv == 0)
    return mp4_fail(p->err, -EPROTO, parent->type, parent->offset, "has no %s", mp4_type_name(type).text);
  return rv < 0 ? rv : 0;
}

static int parse_mdia(struct trak_parser *p, const struct mp4_box *mdia)
{
  struct mp4_box box, minf;
  int rv;
  if ((rv = child(p, mdia, MP4_TYPE('m', 'd', 'h', 'd'), &box)) < 0 || (rv = parse_mdhd(p, &box)) < 0)
    return rv;
  if ((rv = child(p, mdia, MP4_TYPE('h', 'd', 'l', 'r'), &box)) < 0 || (rv = parse_hdlr(p, &box)) < 0)
    return rv;
  if ((rv = child(p, mdia, MP4_TYPE('m', 'i', 'n', 'f'), &minf)) < 0 ||
      (rv = child(p, &minf, MP4_TYPE('s', 't', 'b', 'l'), &box)) < 0)
    return rv;
  return parse_stbl(p, &box);
}

static int parse_edts(struct trak_parser *p, const struct mp4_box *trak)
{
  struct mp4_box edts, elst;
  int rv = mp4_find_box(trak->body, MP4_TYPE('e', 'd', 't', 's'), &edts, p->err);
  if (rv <= 0)
    return rv;
  rv = mp4_find_box(edts.body, MP4_TYPE('e', 'l', 's', 't'), &elst, p->err);
  return rv <= 0 ? rv : parse_elst(p, &elst);
}

static void settle(struct trak_parser *p)
{
  struct media_track *t = &p->out->track;
  int64_t delay = 0;
  if (p->empty_edit && p->movie_timescale)
    delay = media_rescale((int64_t)p->empty_edit, p->movie_timescale, t->timescale);
  int64_t shift = delay - p->media_time;
  if (shift < EDIT_SHIFT_MAX && shift > -EDIT_SHIFT_MAX)
    p->out->edit_shift = shift;
  /* Only a shape that differs from the coded one is worth telling. */
  if (t->kind == MEDIA_AUDIO || (uint64_t)t->display_width * t->height == (uint64_t)t->display_height * t->width)
    t->display_width = t->display_height = 0;
}

static int parse_trak(const struct mp4_box *trak, uint32_t movie_timescale, struct mp4_trak *out, struct mp4_error *err)
{
  struct trak_parser p = {.out = out, .movie_timescale = movie_timescale, .err = err};
  struct mp4_box box;
  int rv;
  if ((rv = child(&p, trak, MP4_TYPE('t', 'k', 'h', 'd'), &box)) < 0 || (rv = parse_tkhd(&p, &box)) < 0 ||
      (rv = parse_edts(&p, trak)) < 0)
    return rv;
  if ((rv = child(&p, trak, MP4_TYPE('m', 'd', 'i', 'a'), &box)) < 0 || (rv = parse_mdia(&p, &box)) < 0)
    return rv;
  settle(&p);
  return 0;
}

static int add_trak(struct mp4_moov *m, const struct mp4_box *box, size_t max_tracks, uint32_t movie_timescale,
                    struct mp4_error *err)
{
  if (m->count == max_tracks)
    return mp4_fail(err, -EPROTO, box->type, box->offset, "more than %zu tracks", max_tracks);
  struct mp4_trak *traks = realloc(m->traks, (m->count + 1) * sizeof(*traks));
  if (!traks)
    return -ENOMEM;
  m->traks = traks;
  struct mp4_trak *t = &traks[m->count++];
  *t = (struct mp4_trak){0};
  int rv = parse_trak(box, movie_timescale, t, err);
  if (rv < 0)
    return rv;
  for (size_t i = 0; i + 1 < m->count; i++)
    if (traks[i].track.id == t->track.id)
      return mp4_fail(err, -EPROTO, box->type, box->offset, "track %" PRIu32 " is there twice", t->track.id);
  return 0;
}

static int parse_trex(struct mp4_moov *m, const struct mp4_box *box, struct mp4_error *err)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  mp4_full_box(&c, &flags);
  uint32_t id = mp4_u32(&c);
  mp4_u32(&c);
  struct mp4_defaults d = {0};
  d.duration = mp4_u32(&c);
  d.size = mp4_u32(&c);
  d.flags = mp4_u32(&c);
  if (c.failed)
    return truncated(box, err);
  for (size_t i = 0; i < m->count; i++) {
    if (m->traks[i].track.id == id) {
      m->traks[i].trex = d;
      m->traks[i].has_trex = true;
    }
  }
  return 0;
}

static int parse_mvex(struct mp4_moov *m, const struct mp4_box *moov, struct mp4_error *err)
{
  struct mp4_box mvex, box;
  int rv = mp4_find_box(moov->body, MP4_TYPE('m', 'v', 'e', 'x'), &mvex, err);
  if (rv < 0)
    return rv;
  if (rv == 0)
    return mp4_fail(err, -ENOTSUP, moov->type, moov->offset, "has no mvex: " FRAGMENT_HELP);
  while ((rv = mp4_next_box(&mvex.body, &box, err)) > 0) {
    if (box.type != MP4_TYPE('t', 'r', 'e', 'x'))
      continue;
    int failure = parse_trex(m, &box, err);
    if (failure < 0)
      return failure;
  }
  return rv;
}

static int movie_timescale(const struct mp4_box *moov, uint32_t *ret_timescale, struct mp4_error *err)
{
  struct mp4_box box;
  uint32_t flags;
  *ret_timescale = 0;
  int rv = mp4_find_box(moov->body, MP4_TYPE('m', 'v', 'h', 'd'), &box, err);
  if (rv <= 0)
    return rv;
  struct mp4_cursor c = box.body;
  mp4_skip(&c, mp4_full_box(&c, &flags) == 1 ? 16 : 8);
  *ret_timescale = mp4_u32(&c);
  return c.failed ? truncated(&box, err) : 0;
}

static int parse_moov(struct mp4_moov *m, const struct mp4_box *moov, size_t max_tracks, struct mp4_error *err)
{
  struct mp4_cursor c = moov->body;
  struct mp4_box box;
  uint32_t timescale;
  int rv = movie_timescale(moov, &timescale, err);
  if (rv < 0)
    return rv;
  while ((rv = mp4_next_box(&c, &box, err)) > 0) {
    if (box.type != MP4_TYPE('t', 'r', 'a', 'k'))
      continue;
    int failure = add_trak(m, &box, max_tracks, timescale, err);
    if (failure < 0)
      return failure;
  }
  return rv < 0 ? rv : parse_mvex(m, moov, err);
}

int mp4_moov_parse(const struct mp4_box *moov, size_t max_tracks, struct mp4_moov *ret_moov, struct mp4_error *err)
{
  struct mp4_moov m = {0};
  int rv = parse_moov(&m, moov, max_tracks, err);
  if (rv < 0) {
    mp4_moov_destroy(&m);
    return rv;
  }
  *ret_moov = m;
  return 0;
}
