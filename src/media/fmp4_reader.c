/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/fmp4_reader.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "media/media_buf.h"
#include "media/mp4_box.h"
#include "media/mp4_moof.h"
#include "media/mp4_moov.h"

#define MAX_HEADER_DEFAULT ((size_t)4 << 20)
#define MAX_SAMPLE_DEFAULT ((size_t)32 << 20)
#define MAX_TRACKS_DEFAULT 32
#define MAX_PENDING_DEFAULT ((size_t)1 << 18)

#define BOX_HEADER 8
#define BOX_HEADER_LARGE 16
#define NO_END UINT64_MAX

#define MOOV MP4_TYPE('m', 'o', 'o', 'v')
#define MOOF MP4_TYPE('m', 'o', 'o', 'f')
#define MDAT MP4_TYPE('m', 'd', 'a', 't')
#define NO_BOX 0

#define FRAMERATE_SAMPLES_MIN 4

/*
 * A top-level box goes through HEADER, then one of the others by its type:
 *
 *   HEADER --+--> HOLD (moov, moof: kept whole, then parsed) --+
 *      ^     +--> DATA (mdat: cut into the samples that are due)|
 *      |     +--> SKIP (everything else) ----------------------+
 *      +-------------------------------------------------------+
 */
enum state { READ_HEADER, READ_HOLD, READ_DATA, READ_SKIP };

struct fmp4_reader {
  struct fmp4_limits limits;
  struct fmp4_reader_events events;
  void *arg;

  enum state state;
  int failure;           /* sticky */
  uint64_t pos;          /* bytes consumed so far: the offset of the next one */
  uint64_t box_start;    /* of the current box */
  uint64_t box_end;      /* behind it; NO_END: it goes on to the end of the input */
  uint32_t box_type;     /* NO_BOX between boxes */
  struct media_buf held; /* box header, then a held box's body or the sample being gathered */
  struct mp4_error error;

  bool have_moov;
  bool reported;
  struct media_buf moov_bytes; /* the movie header's body, to compare a repeated one with */
  struct mp4_moov moov;
  struct mp4_pending_list pending;

  /* The tracks that are reported, and for each trak of the file its index there. */
  struct media_track *tracks;
  size_t track_count;
  size_t *track_of_trak;
  int64_t lead_us;
};

struct input {
  const uint8_t *at;
  size_t len;
};

static size_t or_default(size_t v, size_t fallback)
{
  return v ? v : fallback;
}

struct fmp4_reader *fmp4_reader_new(const struct fmp4_limits *limits, const struct fmp4_reader_events *events,
                                    void *arg)
{
  struct fmp4_reader *r = calloc(1, sizeof(*r));
  if (!r)
    return NULL;
  struct fmp4_limits given = limits ? *limits : (struct fmp4_limits){0};
  r->limits.max_header = or_default(given.max_header, MAX_HEADER_DEFAULT);
  r->limits.max_sample = or_default(given.max_sample, MAX_SAMPLE_DEFAULT);
  r->limits.max_tracks = or_default(given.max_tracks, MAX_TRACKS_DEFAULT);
  r->limits.max_pending = or_default(given.max_pending, MAX_PENDING_DEFAULT);
  r->events = *events;
  r->arg = arg;
  return r;
}

void fmp4_reader_free(struct fmp4_reader *r)
{
  if (!r)
    return;
  for (size_t i = 0; i < r->track_count; i++)
    media_track_destroy(&r->tracks[i]);
  free(r->tracks);
  free(r->track_of_trak);
  mp4_moov_destroy(&r->moov);
  mp4_pending_destroy(&r->pending);
  media_buf_destroy(&r->held);
  media_buf_destroy(&r->moov_bytes);
  free(r);
}

const char *fmp4_reader_error(const struct fmp4_reader *r)
{
  if (r->error.text[0] == '\0' && r->failure == -ENOMEM)
    return "out of memory";
  return r->error.text;
}

int64_t fmp4_reader_lead_us(const struct fmp4_reader *r)
{
  return r->lead_us;
}

static int fail_box(struct fmp4_reader *r, int code, const char *what)
{
  return mp4_fail(&r->error, code, r->box_type, r->box_start, "%s", what);
}

static void consume(struct fmp4_reader *r, struct input *in, size_t len)
{
  in->at += len;
  in->len -= len;
  r->pos += len;
}

/* Moves up to `want` bytes to the held ones. */
static void hold(struct fmp4_reader *r, struct input *in, uint64_t want)
{
  size_t n = in->len < want ? in->len : (size_t)want;
  media_buf_put(&r->held, in->at, n);
  consume(r, in, n);
}

static void end_box(struct fmp4_reader *r)
{
  r->box_type = NO_BOX;
  r->state = READ_HEADER;
  media_buf_clear(&r->held);
}

/* --- tracks --- */

/*
 * The frame rate by the first fragment's durations: what most of them are, by a majority vote in
 * one pass (Boyer and Moore), and counted after. The first of a clip is often longer.
 */
static uint32_t usual_duration(struct fmp4_reader *r, size_t trak, size_t *ret_samples)
{
  const struct mp4_pending *items = r->pending.items;
  uint32_t usual = 0;
  size_t lead = 0, votes = 0, samples = 0;
  for (size_t i = r->pending.first; i < r->pending.count; i++) {
    if (items[i].trak != trak)
      continue;
    if (lead == 0)
      usual = items[i].duration;
    lead = items[i].duration == usual ? lead + 1 : lead - 1;
  }
  for (size_t i = r->pending.first; i < r->pending.count; i++) {
    if (items[i].trak != trak)
      continue;
    samples++;
    votes += items[i].duration == usual;
  }
  *ret_samples = samples;
  return votes * 2 > samples ? usual : 0;
}

/* A few samples tell less than what the encoder wrote into its parameter sets. */
static void guess_framerate(struct fmp4_reader *r, size_t trak, struct media_track *t)
{
  size_t samples;
  uint32_t duration = usual_duration(r, trak, &samples);
  if (duration && (samples >= FRAMERATE_SAMPLES_MIN || !t->framerate_num))
    media_track_set_framerate(t, (double)t->timescale / duration);
}

static void update_lead(struct fmp4_reader *r, const struct mp4_trak *trak)
{
  int64_t us = media_rescale(-trak->edit_shift, trak->track.timescale, MEDIA_US);
  if (us > r->lead_us)
    r->lead_us = us;
}

static int copy_tracks(struct fmp4_reader *r)
{
  size_t n = r->moov.count ? r->moov.count : 1;
  r->tracks = calloc(n, sizeof(*r->tracks));
  r->track_of_trak = calloc(n, sizeof(*r->track_of_trak));
  if (!r->tracks || !r->track_of_trak)
    return -ENOMEM;
  for (size_t i = 0; i < r->moov.count; i++) {
    const struct mp4_trak *trak = &r->moov.traks[i];
    if (trak->track.codec_string[0] == '\0')
      continue;
    struct media_track *t = &r->tracks[r->track_count];
    if (media_track_copy(&trak->track, t) < 0)
      return -ENOMEM;
    r->track_of_trak[i] = r->track_count++;
    update_lead(r, trak);
    if (t->kind == MEDIA_VIDEO)
      guess_framerate(r, i, t);
  }
  return 0;
}

static int report_tracks(struct fmp4_reader *r)
{
  if (r->reported)
    return 0;
  r->reported = true;
  int rv = copy_tracks(r);
  if (rv < 0)
    return rv;
  if (r->track_count == 0) {
    uint32_t entry = r->moov.count ? r->moov.traks[0].entry_type : NO_BOX;
    return mp4_fail(&r->error, -ENOTSUP, MOOV, 0, "no track of a codec that can be sent (the first is '%s')",
                    entry ? mp4_type_name(entry).text : "none");
  }
  return r->events.tracks ? r->events.tracks(r->arg, r->tracks, r->track_count) : 0;
}

/* --- held boxes --- */

static int take_moov(struct fmp4_reader *r, const struct mp4_box *box)
{
  size_t len = mp4_left(&box->body);
  if (r->have_moov) {
    if (len == r->moov_bytes.len && memcmp(box->body.at, r->moov_bytes.data, len) == 0)
      return 0;
    return fail_box(r, -EPROTO, "a second, different movie header");
  }
  int rv = mp4_moov_parse(box, r->limits.max_tracks, &r->moov, &r->error);
  if (rv < 0)
    return rv;
  r->have_moov = true;
  media_buf_put(&r->moov_bytes, box->body.at, len);
  return media_buf_error(&r->moov_bytes);
}

static int take_moof(struct fmp4_reader *r, const struct mp4_box *box)
{
  int rv = mp4_moof_parse(box, r->limits.max_pending, &r->moov, &r->pending, &r->error);
  return rv < 0 ? rv : report_tracks(r);
}

/* The held box is complete: the box header is not in `held` any more. */
static int take_held(struct fmp4_reader *r)
{
  int rv = media_buf_error(&r->held);
  if (rv < 0)
    return rv;
  struct mp4_box box = {.type = r->box_type, .offset = r->box_start};
  box.body = mp4_cursor(r->held.data, r->held.len, r->pos - r->held.len);
  rv = box.type == MOOV ? take_moov(r, &box) : take_moof(r, &box);
  end_box(r);
  return rv;
}

/* --- box headers --- */

static bool may_start_a_file(uint32_t type)
{
  static const uint32_t types[] = {MP4_TYPE('f', 't', 'y', 'p'),
                                   MP4_TYPE('s', 't', 'y', 'p'),
                                   MP4_TYPE('f', 'r', 'e', 'e'),
                                   MP4_TYPE('s', 'k', 'i', 'p'),
                                   MP4_TYPE('w', 'i', 'd', 'e'),
                                   MP4_TYPE('u', 'u', 'i', 'd'),
                                   MP4_TYPE('p', 'd', 'i', 'n'),
                                   MP4_TYPE('s', 'i', 'd', 'x'),
                                   MP4_TYPE('e', 'm', 's', 'g'),
                                   MP4_TYPE('p', 'r', 'f', 't'),
                                   MOOV,
                                   MOOF,
                                   MDAT};
  for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
    if (types[i] == type)
      return true;
  return false;
}

static int enter_box(struct fmp4_reader *r)
{
  bool held = r->box_type == MOOV || r->box_type == MOOF;
  if (r->box_start == 0 && !may_start_a_file(r->box_type))
    return fail_box(r, -ENOTSUP, "this is no MP4");
  if ((r->box_type == MDAT || r->box_type == MOOF) && !r->have_moov)
    return fail_box(r, -ENOTSUP,
                    "comes before the movie header (moov). A file that was not made for "
                    "streaming has it at its end: make it fragmented with ffmpeg -i in.mp4 -c "
                    "copy -f mp4 -movflags +frag_keyframe+empty_moov+default_base_moof out.mp4");
  if (held && r->box_end != NO_END && r->box_end - r->pos > r->limits.max_header)
    return mp4_fail(&r->error, -EPROTO, r->box_type, r->box_start, "%" PRIu64 " bytes are over the limit of %zu",
                    r->box_end - r->pos, r->limits.max_header);
  r->state = held ? READ_HOLD : r->box_type == MDAT ? READ_DATA : READ_SKIP;
  media_buf_clear(&r->held);
  return 0;
}

static int end_reached(struct fmp4_reader *r)
{
  if (r->state == READ_HOLD)
    return take_held(r);
  end_box(r);
  return 0;
}

static int read_header(struct fmp4_reader *r, struct input *in)
{
  if (r->held.len == 0)
    r->box_start = r->pos;
  if (r->held.len < BOX_HEADER)
    hold(r, in, BOX_HEADER - r->held.len);
  if (r->held.failed)
    return -ENOMEM;
  if (r->held.len < BOX_HEADER)
    return 0;
  struct mp4_cursor c = mp4_cursor(r->held.data, r->held.len, r->box_start);
  uint64_t size = mp4_u32(&c);
  r->box_type = mp4_u32(&c);
  if (size == 1) {
    if (r->held.len < BOX_HEADER_LARGE)
      hold(r, in, BOX_HEADER_LARGE - r->held.len);
    if (r->held.failed)
      return -ENOMEM;
    if (r->held.len < BOX_HEADER_LARGE)
      return 0;
    c = mp4_cursor(r->held.data, r->held.len, r->box_start);
    mp4_skip(&c, BOX_HEADER);
    size = mp4_u64(&c);
  }
  if (size != 0 && (size < r->held.len || size > NO_END - 1 - r->box_start))
    return fail_box(r, -EPROTO, "impossible box size");
  r->box_end = size == 0 ? NO_END : r->box_start + size;
  int rv = enter_box(r);
  /* Nothing more needs to come for an empty box. */
  if (rv == 0 && r->pos == r->box_end)
    rv = end_reached(r);
  return rv;
}

static int read_hold(struct fmp4_reader *r, struct input *in)
{
  if (r->box_end != NO_END) {
    hold(r, in, r->box_end - r->pos);
    return r->pos == r->box_end ? end_reached(r) : 0;
  }
  hold(r, in, in->len);
  if (r->held.len > r->limits.max_header)
    return fail_box(r, -EPROTO, "without an end is over the limit of a header");
  return 0;
}

static void skip_to(struct fmp4_reader *r, struct input *in, uint64_t target)
{
  uint64_t left = target - r->pos;
  consume(r, in, in->len < left ? in->len : (size_t)left);
}

static int read_skip(struct fmp4_reader *r, struct input *in)
{
  skip_to(r, in, r->box_end);
  return r->pos == r->box_end ? end_reached(r) : 0;
}

/* --- samples --- */

static int deliver(struct fmp4_reader *r, const struct mp4_pending *p, const uint8_t *data)
{
  const struct mp4_trak *trak = &r->moov.traks[p->trak];
  struct fmp4_sample s = {
      .track = r->track_of_trak[p->trak],
      .dts = p->dts + trak->edit_shift,
      .pts = p->dts + p->composition + trak->edit_shift,
      .duration = p->duration,
      .keyframe = p->keyframe || trak->track.kind == MEDIA_AUDIO,
      .data = data,
      .len = p->size,
  };
  return r->events.sample ? r->events.sample(r->arg, &s) : 0;
}

static int check_sample(struct fmp4_reader *r, const struct mp4_pending *p)
{
  if (p->offset < r->pos)
    return mp4_fail(&r->error, -EPROTO, r->box_type, r->box_start,
                    "a sample is announced at byte %" PRIu64 ", which has passed", p->offset);
  if (r->box_end != NO_END && p->size > r->box_end - p->offset)
    return mp4_fail(&r->error, -EPROTO, r->box_type, r->box_start,
                    "the sample at byte %" PRIu64 " goes beyond the end of the box", p->offset);
  if (p->size > r->limits.max_sample)
    return mp4_fail(&r->error, -EPROTO, r->box_type, r->box_start,
                    "the sample at byte %" PRIu64 " has %" PRIu32 " bytes, the limit is %zu", p->offset, p->size,
                    r->limits.max_sample);
  return 0;
}

/* Gathers the sample that is due; delivers it straight from the input when it is whole there. */
static int read_sample(struct fmp4_reader *r, struct input *in, const struct mp4_pending *p)
{
  int rv = 0;
  if (r->held.len == 0 && in->len >= p->size) {
    rv = deliver(r, p, in->at);
    consume(r, in, p->size);
    r->pending.first++;
    return rv;
  }
  hold(r, in, p->size - r->held.len);
  if (r->held.failed)
    return -ENOMEM;
  if (r->held.len < p->size)
    return 0;
  rv = deliver(r, p, r->held.data);
  media_buf_clear(&r->held);
  r->pending.first++;
  return rv;
}

static int read_data(struct fmp4_reader *r, struct input *in)
{
  const struct mp4_pending *p = r->pending.first < r->pending.count ? &r->pending.items[r->pending.first] : NULL;
  if (!p || p->offset >= r->box_end)
    return read_skip(r, in);
  if (r->held.len == 0) {
    int rv = check_sample(r, p);
    if (rv < 0)
      return rv;
  }
  if (r->held.len == 0 && r->pos < p->offset) {
    skip_to(r, in, p->offset);
  } else {
    int rv = read_sample(r, in, p);
    if (rv < 0)
      return rv;
  }
  if (r->held.len == 0 && r->pos == r->box_end)
    end_box(r);
  return 0;
}

static int step(struct fmp4_reader *r, struct input *in)
{
  switch (r->state) {
  case READ_HEADER:
    return read_header(r, in);
  case READ_HOLD:
    return read_hold(r, in);
  case READ_DATA:
    return read_data(r, in);
  case READ_SKIP:
    return read_skip(r, in);
  }
  return -EINVAL;
}

int fmp4_reader_feed(struct fmp4_reader *r, const uint8_t *data, size_t len)
{
  struct input in = {.at = data, .len = len};
  while (r->failure == 0 && in.len > 0)
    r->failure = step(r, &in);
  return r->failure;
}

static int finish(struct fmp4_reader *r)
{
  bool open_end = r->box_type != NO_BOX && r->box_end == NO_END;
  int rv;
  if (open_end && r->state == READ_HOLD && (rv = take_held(r)) < 0)
    return rv;
  if (!r->have_moov)
    return mp4_fail(&r->error, -ENODATA, MOOV, r->pos, "the input ended before a movie header");
  if (r->pending.first < r->pending.count)
    return mp4_fail(&r->error, -ENODATA, MDAT, r->pos, "the input ended, %zu samples that were announced are missing",
                    r->pending.count - r->pending.first);
  if (!open_end && (r->box_type != NO_BOX || r->held.len > 0))
    return mp4_fail(&r->error, -ENODATA, r->box_type, r->box_start, "the input ended inside this box");
  return report_tracks(r);
}

int fmp4_reader_finish(struct fmp4_reader *r)
{
  if (r->failure == 0)
    r->failure = finish(r);
  return r->failure;
}
