/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/mp4_moof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TFHD_BASE_DATA_OFFSET 0x000001
#define TFHD_DESCRIPTION_INDEX 0x000002
#define TFHD_DURATION 0x000008
#define TFHD_SIZE 0x000010
#define TFHD_FLAGS 0x000020
#define TFHD_DEFAULT_BASE_IS_MOOF 0x020000

#define TRUN_DATA_OFFSET 0x000001
#define TRUN_FIRST_FLAGS 0x000004
#define TRUN_DURATION 0x000100
#define TRUN_SIZE 0x000200
#define TRUN_FLAGS 0x000400
#define TRUN_COMPOSITION 0x000800

#define PENDING_MIN 64

struct moof_parser {
  const struct mp4_box *moof;
  struct mp4_moov *moov;
  struct mp4_pending_list *list;
  size_t max_samples;
  struct mp4_error *err;
  bool first_traf;

  /* Of the traf being read. */
  uint32_t trak;
  struct mp4_defaults defaults;
  uint64_t base; /* what data offsets count from */
  uint64_t data; /* where the next run's samples are if it does not say */
};

static int truncated(const struct mp4_box *box, struct mp4_error *err)
{
  return mp4_fail(err, -EPROTO, box->type, box->offset, "ends before its last field");
}

void mp4_pending_destroy(struct mp4_pending_list *list)
{
  free(list->items);
  *list = (struct mp4_pending_list){0};
}

static int append(struct mp4_pending_list *list, const struct mp4_pending *sample)
{
  if (list->first == list->count)
    list->first = list->count = 0;
  if (list->count == list->cap && list->first > list->cap / 2) {
    list->count -= list->first;
    memmove(list->items, list->items + list->first, list->count * sizeof(*list->items));
    list->first = 0;
  }
  if (list->count == list->cap) {
    size_t cap = list->cap ? list->cap * 2 : PENDING_MIN;
    struct mp4_pending *items = realloc(list->items, cap * sizeof(*items));
    if (!items)
      return -ENOMEM;
    list->items = items;
    list->cap = cap;
  }
  list->items[list->count++] = *sample;
  return 0;
}

static int parse_tfhd(struct moof_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  mp4_full_box(&c, &flags);
  uint32_t id = mp4_u32(&c);
  size_t i = 0;
  while (i < p->moov->count && p->moov->traks[i].track.id != id)
    i++;
  if (c.failed)
    return truncated(box, p->err);
  if (i == p->moov->count)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "track %" PRIu32 " is not in the movie header", id);
  p->trak = (uint32_t)i;
  p->defaults = p->moov->traks[i].trex;
  if (flags & TFHD_BASE_DATA_OFFSET)
    p->base = mp4_u64(&c);
  else if ((flags & TFHD_DEFAULT_BASE_IS_MOOF) || p->first_traf)
    p->base = p->moof->offset;
  else
    p->base = p->data; /* right behind the previous track fragment's bytes */
  if (flags & TFHD_DESCRIPTION_INDEX)
    mp4_u32(&c);
  if (flags & TFHD_DURATION)
    p->defaults.duration = mp4_u32(&c);
  if (flags & TFHD_SIZE)
    p->defaults.size = mp4_u32(&c);
  if (flags & TFHD_FLAGS)
    p->defaults.flags = mp4_u32(&c);
  if (c.failed)
    return truncated(box, p->err);
  p->data = p->base;
  p->first_traf = false;
  return 0;
}

static int parse_tfdt(struct moof_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  uint64_t time = mp4_u32_or_64(&c, mp4_full_box(&c, &flags));
  if (c.failed)
    return truncated(box, p->err);
  if (time > MP4_TIME_MAX)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "decoding time %" PRIu64 " is out of range", time);
  p->moov->traks[p->trak].next_dts = (int64_t)time;
  return 0;
}

/* One sample of a run; its fields are read from `c` as the run's flags say. */
static int run_sample(struct moof_parser *p, const struct mp4_box *box, struct mp4_cursor *c, uint32_t flags,
                      uint32_t default_flags)
{
  struct mp4_trak *trak = &p->moov->traks[p->trak];
  struct mp4_pending s = {.offset = p->data, .dts = trak->next_dts, .trak = p->trak};
  s.duration = flags & TRUN_DURATION ? mp4_u32(c) : p->defaults.duration;
  s.size = flags & TRUN_SIZE ? mp4_u32(c) : p->defaults.size;
  uint32_t sample_flags = flags & TRUN_FLAGS ? mp4_u32(c) : default_flags;
  /* Version 0 calls it unsigned, but nobody delays a frame by 2^31 ticks: writers mean negative. */
  s.composition = flags & TRUN_COMPOSITION ? (int32_t)mp4_u32(c) : 0;
  s.keyframe = !(sample_flags & MP4_SAMPLE_NON_SYNC);
  if (c->failed)
    return truncated(box, p->err);
  if (s.offset > UINT64_MAX - s.size || trak->next_dts > MP4_TIME_MAX)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "offset or time is out of range");
  p->data += s.size;
  trak->next_dts += s.duration;
  if (s.size == 0 || trak->track.codec_string[0] == '\0')
    return 0;
  if (p->list->count - p->list->first >= p->max_samples)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "more than %zu samples before their bytes",
                    p->max_samples);
  return append(p->list, &s);
}

static int parse_trun(struct moof_parser *p, const struct mp4_box *box)
{
  struct mp4_cursor c = box->body;
  uint32_t flags;
  mp4_full_box(&c, &flags);
  uint32_t count = mp4_u32(&c);
  if (flags & TRUN_DATA_OFFSET) {
    int32_t offset = (int32_t)mp4_u32(&c);
    if (offset < 0 ? p->base < 0 - (uint64_t)(int64_t)offset : p->base > UINT64_MAX - (uint64_t)offset)
      return mp4_fail(p->err, -EPROTO, box->type, box->offset, "data offset %" PRId32 " leads out of the file", offset);
    p->data = p->base + (uint64_t)(int64_t)offset;
  }
  uint32_t first_flags = flags & TRUN_FIRST_FLAGS ? mp4_u32(&c) : p->defaults.flags;
  if (c.failed)
    return truncated(box, p->err);
  /* Only samples without bytes and without fields could be more than the list's bound allows. */
  if (count > p->max_samples)
    return mp4_fail(p->err, -EPROTO, box->type, box->offset, "%" PRIu32 " samples are more than %zu", count,
                    p->max_samples);
  for (uint32_t i = 0; i < count; i++) {
    int rv = run_sample(p, box, &c, flags, i == 0 ? first_flags : p->defaults.flags);
    if (rv < 0)
      return rv;
  }
  return 0;
}

static int parse_traf(struct moof_parser *p, const struct mp4_box *traf)
{
  struct mp4_box box;
  int rv = mp4_find_box(traf->body, MP4_TYPE('t', 'f', 'h', 'd'), &box, p->err);
  if (rv == 0)
    return mp4_fail(p->err, -EPROTO, traf->type, traf->offset, "has no tfhd");
  if (rv < 0 || (rv = parse_tfhd(p, &box)) < 0)
    return rv;
  rv = mp4_find_box(traf->body, MP4_TYPE('t', 'f', 'd', 't'), &box, p->err);
  if (rv < 0 || (rv > 0 && (rv = parse_tfdt(p, &box)) < 0))
    return rv;
  struct mp4_cursor c = traf->body;
  while ((rv = mp4_next_box(&c, &box, p->err)) > 0) {
    if (box.type != MP4_TYPE('t', 'r', 'u', 'n'))
      continue;
    int failure = parse_trun(p, &box);
    if (failure < 0)
      return failure;
  }
  return rv;
}

static int by_offset(const void *a, const void *b)
{
  const struct mp4_pending *x = a, *y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Puts the new samples in order and checks that no byte belongs to two of them. */
static int settle(struct moof_parser *p, size_t added)
{
  struct mp4_pending_list *list = p->list;
  if (added > 1)
    qsort(&list->items[list->count - added], added, sizeof(*list->items), by_offset);
  for (size_t i = list->count - added; i < list->count; i++) {
    if (i == list->first)
      continue;
    const struct mp4_pending *a = &list->items[i - 1], *b = &list->items[i];
    if (b->offset < a->offset + a->size)
      return mp4_fail(p->err, -EPROTO, p->moof->type, p->moof->offset,
                      "samples at bytes %" PRIu64 " and %" PRIu64 " overlap", a->offset, b->offset);
  }
  return 0;
}

int mp4_moof_parse(const struct mp4_box *moof, size_t max_samples, struct mp4_moov *moov, struct mp4_pending_list *list,
                   struct mp4_error *err)
{
  struct moof_parser p = {
      .moof = moof, .moov = moov, .list = list, .max_samples = max_samples, .err = err, .first_traf = true};
  struct mp4_cursor c = moof->body;
  struct mp4_box box;
  size_t before = list->count - list->first;
  int rv;
  while ((rv = mp4_next_box(&c, &box, err)) > 0) {
    if (box.type != MP4_TYPE('t', 'r', 'a', 'f'))
      continue;
    int failure = parse_traf(&p, &box);
    if (failure < 0)
      return failure;
  }
  return rv < 0 ? rv : settle(&p, list->count - list->first - before);
}
