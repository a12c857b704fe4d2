/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/fmp4_writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "media/annexb.h"
#include "media/codec_config.h"
#include "media/decode_times.h"
#include "media/mp4_init.h"

#define FRAGMENT_BYTES_DEFAULT ((size_t)8 << 20)
#define FRAGMENT_SAMPLES_MAX 4096

#define DEFAULT_BASE_IS_MOOF 0x020000
#define TRUN_DATA_OFFSET 0x000001
#define TRUN_DURATION 0x000100
#define TRUN_SIZE 0x000200
#define TRUN_FLAGS 0x000400
#define TRUN_COMPOSITION 0x000800

/* sample_depends_on: 2 on no other, 1 on others and not a place to start (8.8.3.1). */
#define FLAGS_KEYFRAME 0x02000000
#define FLAGS_DELTA 0x01010000

/* Where nothing tells how long a frame takes: 30 per second, AAC's usual 1024 samples. */
#define GUESS_FPS 30
#define GUESS_AUDIO_SAMPLES 1024

struct entry {
  int64_t dts;
  uint32_t size;
  uint32_t duration;
  uint32_t flags;
  int32_t composition;
};

struct out_track {
  bool annexb;
  struct decode_times times;
  struct entry *entries; /* of the fragment being gathered, options.fragment_samples of room */
  size_t count;
  struct media_buf data; /* their bytes */
  uint32_t last_duration;
};

struct fmp4_writer {
  struct fmp4_writer_options options;
  struct media_track *tracks;
  struct out_track *outs;
  size_t count;
  bool started; /* the header is written */
  uint32_t sequence;
  uint64_t dropped;
};

static int64_t frame_ticks(const struct media_track *t)
{
  if (t->kind == MEDIA_AUDIO)
    return t->sample_rate ? media_rescale(GUESS_AUDIO_SAMPLES, t->sample_rate, t->timescale) : 1;
  if (t->framerate_num)
    return (int64_t)t->timescale * t->framerate_den / t->framerate_num;
  return t->timescale / GUESS_FPS;
}

static int init_track(struct fmp4_writer *w, size_t i, const struct media_track *from)
{
  struct media_track *t = &w->tracks[i];
  struct out_track *o = &w->outs[i];
  int rv = media_track_copy(from, t);
  if (rv < 0)
    return rv;
  if (t->timescale == 0)
    t->timescale = media_track_pick_timescale(t);
  rv = media_config_synthesize(t);
  if (rv == -ENOMEM)
    return rv;
  o->annexb = rv < 0 && t->codec == MEDIA_H264;
  if (rv < 0 && !o->annexb)
    return -EINVAL;
  o->entries = calloc(w->options.fragment_samples, sizeof(*o->entries));
  if (!o->entries)
    return -ENOMEM;
  int64_t ticks = frame_ticks(t);
  o->last_duration = ticks > 0 && ticks < UINT32_MAX ? (uint32_t)ticks : 1;
  decode_times_init(&o->times, t->kind == MEDIA_VIDEO ? t->reorder_depth : 0, ticks);
  return 0;
}

static int init_tracks(struct fmp4_writer *w, const struct media_track *tracks, size_t count)
{
  w->tracks = calloc(count, sizeof(*w->tracks));
  w->outs = calloc(count, sizeof(*w->outs));
  if (!w->tracks || !w->outs)
    return -ENOMEM;
  w->count = count;
  for (size_t i = 0; i < count; i++) {
    int rv = init_track(w, i, &tracks[i]);
    if (rv < 0)
      return rv;
  }
  return 0;
}

int fmp4_writer_new(const struct media_track *tracks, size_t count, const struct fmp4_writer_options *options,
                    struct fmp4_writer **ret_w)
{
  if (count == 0)
    return -EINVAL;
  struct fmp4_writer *w = calloc(1, sizeof(*w));
  if (!w)
    return -ENOMEM;
  if (options)
    w->options = *options;
  if (w->options.fragment_samples == 0)
    w->options.fragment_samples = 1;
  if (w->options.fragment_samples > FRAGMENT_SAMPLES_MAX)
    w->options.fragment_samples = FRAGMENT_SAMPLES_MAX;
  if (w->options.fragment_bytes == 0)
    w->options.fragment_bytes = FRAGMENT_BYTES_DEFAULT;
  int rv = init_tracks(w, tracks, count);
  if (rv < 0) {
    fmp4_writer_free(w);
    return rv;
  }
  *ret_w = w;
  return 0;
}

void fmp4_writer_free(struct fmp4_writer *w)
{
  if (!w)
    return;
  for (size_t i = 0; i < w->count; i++) {
    media_track_destroy(&w->tracks[i]);
    free(w->outs[i].entries);
    media_buf_destroy(&w->outs[i].data);
  }
  free(w->tracks);
  free(w->outs);
  free(w);
}

uint32_t fmp4_writer_timescale(const struct fmp4_writer *w, size_t track)
{
  assert(track < w->count);
  return w->tracks[track].timescale;
}

uint64_t fmp4_writer_dropped(const struct fmp4_writer *w)
{
  return w->dropped;
}

/* Writes the header once every track has its configuration. */
static int start(struct fmp4_writer *w, struct media_buf *out)
{
  for (size_t i = 0; !w->started && i < w->count; i++)
    if (!w->tracks[i].config)
      return -EAGAIN;
  if (w->started)
    return 0;
  int rv = mp4_put_init(out, w->tracks, w->count);
  if (rv == 0)
    w->started = true;
  return rv;
}

static int learn_config(struct fmp4_writer *w, const struct fmp4_writer_sample *s)
{
  struct media_track *t = &w->tracks[s->track];
  struct out_track *o = &w->outs[s->track];
  if (!o->annexb || t->config || !s->keyframe)
    return 0;
  int rv = annexb_h264_config(t, s->data, s->len);
  if (rv == 0)
    decode_times_init(&o->times, t->reorder_depth, frame_ticks(t));
  return rv == -ENOMEM ? rv : 0;
}

static void put_trun(struct media_buf *out, const struct out_track *o, size_t moof)
{
  size_t trun =
      media_buf_full_box(out, "trun", 1, TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_COMPOSITION);
  media_buf_u32(out, (uint32_t)o->count);
  size_t data_offset = out->len;
  media_buf_u32(out, 0);
  for (size_t i = 0; i < o->count; i++) {
    media_buf_u32(out, o->entries[i].duration);
    media_buf_u32(out, o->entries[i].size);
    media_buf_u32(out, o->entries[i].flags);
    media_buf_u32(out, (uint32_t)o->entries[i].composition);
  }
  media_buf_end_box(out, trun);
  /* From the start of the moof over its end and the header of the mdat. */
  media_buf_set_u32(out, data_offset, (uint32_t)(out->len - moof + 8));
}

/* Writes what the track has gathered as one moof and mdat. */
static int put_fragment(struct fmp4_writer *w, size_t track, struct media_buf *out)
{
  struct out_track *o = &w->outs[track];
  if (o->count == 0)
    return 0;
  size_t moof = media_buf_box(out, "moof");
  size_t box = media_buf_full_box(out, "mfhd", 0, 0);
  media_buf_u32(out, ++w->sequence);
  media_buf_end_box(out, box);
  size_t traf = media_buf_box(out, "traf");
  box = media_buf_full_box(out, "tfhd", 0, DEFAULT_BASE_IS_MOOF);
  media_buf_u32(out, (uint32_t)track + 1);
  media_buf_end_box(out, box);
  box = media_buf_full_box(out, "tfdt", 1, 0);
  media_buf_u64(out, (uint64_t)o->entries[0].dts);
  media_buf_end_box(out, box);
  put_trun(out, o, moof);
  media_buf_end_box(out, traf);
  media_buf_end_box(out, moof);
  size_t mdat = media_buf_box(out, "mdat");
  media_buf_put(out, o->data.data, o->data.len);
  media_buf_end_box(out, mdat);
  o->count = 0;
  media_buf_clear(&o->data);
  return media_buf_error(out);
}

static int append_bytes(struct out_track *o, const struct fmp4_writer_sample *s)
{
  if (o->annexb)
    return annexb_h264_frame(&o->data, s->data, s->len);
  media_buf_put(&o->data, s->data, s->len);
  return media_buf_error(&o->data);
}

static int append(struct out_track *o, const struct fmp4_writer_sample *s, bool keyframe, int64_t dts)
{
  size_t before = o->data.len;
  int rv = append_bytes(o, s);
  if (rv < 0 || o->data.len == before)
    return rv;
  o->entries[o->count++] = (struct entry){
      .dts = dts,
      .size = (uint32_t)(o->data.len - before),
      .flags = keyframe ? FLAGS_KEYFRAME : FLAGS_DELTA,
      .composition = (int32_t)(s->pts - dts),
  };
  return 0;
}

/* The next sample's decoding time ends the one before. */
static void close_last(struct out_track *o, int64_t dts)
{
  struct entry *last = &o->entries[o->count - 1];
  int64_t duration = dts - last->dts;
  last->duration = duration < 0 ? 0 : duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
  o->last_duration = last->duration;
}

static bool times_fit(int64_t pts, int64_t dts)
{
  return dts >= 0 && pts - dts <= INT32_MAX && pts - dts >= INT32_MIN;
}

int fmp4_writer_add(struct fmp4_writer *w, const struct fmp4_writer_sample *s, struct media_buf *out)
{
  if (s->track >= w->count || s->len == 0 || s->len > UINT32_MAX / 2)
    return -EINVAL;
  struct out_track *o = &w->outs[s->track];
  bool video = w->tracks[s->track].kind == MEDIA_VIDEO;
  if (s->pts < 0)
    return -ERANGE;
  int rv = learn_config(w, s);
  if (rv == 0)
    rv = start(w, out);
  if (rv == -EAGAIN) {
    w->dropped++;
    return 0;
  }
  if (rv < 0)
    return rv;
  int64_t dts = s->has_dts ? s->dts : decode_times_next(&o->times, s->pts);
  if (!times_fit(s->pts, dts))
    return -ERANGE;
  if (o->count > 0) {
    close_last(o, dts);
    bool full = o->count == w->options.fragment_samples || o->data.len + s->len > w->options.fragment_bytes;
    if (full || (video && s->keyframe))
      rv = put_fragment(w, s->track, out);
  }
  return rv < 0 ? rv : append(o, s, !video || s->keyframe, dts);
}

int fmp4_writer_finish(struct fmp4_writer *w, struct media_buf *out)
{
  int rv = start(w, out);
  if (rv < 0)
    return rv == -EAGAIN ? 0 : rv;
  for (size_t i = 0; i < w->count; i++) {
    struct out_track *o = &w->outs[i];
    if (o->count > 0)
      o->entries[o->count - 1].duration = o->last_duration;
    rv = put_fragment(w, i, out);
    if (rv < 0)
      return rv;
  }
  return 0;
}
