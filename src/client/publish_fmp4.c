/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fragmented MP4 on stdin as a hang broadcast: a catalog, and a track for each of the MP4's, its
 * samples in the legacy container. Video begins a group at each keyframe, every packet of audio is
 * a group. */
#include "client/feed.h"
#include "client/jitter.h"
#include "client/publish.h"
#include "client/timeline.h"
#include "media/catalog.h"
#include "media/fmp4_reader.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CATALOG_MAX_AGE_MS 5000
#define CATALOG_TIMESCALE 1000
#define PRIORITY_CATALOG 100
#define TRACK_NAME_BYTES 32

struct media {
  const struct media_track *track; /* the reader's */
  struct publisher_track *out;
  struct timeline_track time;
  struct jitter jitter;
  uint32_t told_jitter; /* milliseconds, in the catalog */
  char name[TRACK_NAME_BYTES];
};

struct movie {
  struct feed feed;
  const struct publish_options *options;
  struct fmp4_reader *reader;
  struct publisher_track *catalog;
  struct media *media;
  size_t count;
  struct timeline time;
  int64_t lead;
  bool warned;
};

static struct movie *movie_of(struct feed *f)
{
  return container_of(f, struct movie, feed);
}

/* ---- the catalog ---- */

static int put_catalog(struct movie *s, const struct catalog *c)
{
  char *json;
  size_t len;
  uint64_t now = program_now(&s->feed.program);
  int rc = catalog_encode(c, &json, &len);
  if (rc < 0)
    return rc;
  struct slice part = slice_of(json, len);
  rc = publisher_group(s->catalog, now);
  if (rc == 0)
    rc = publisher_frame(s->catalog, (now - s->feed.began) / NS_PER_MS, &part, 1);
  publisher_end_group(s->catalog);
  free(json);
  return rc;
}

static int publish_catalog(struct movie *s)
{
  struct catalog c = {0};
  int rc = 0;
  for (size_t i = 0; i < s->count && rc == 0; i++)
    rc = catalog_add(&c, s->media[i].name, s->media[i].track, s->media[i].told_jitter);
  if (rc == 0)
    rc = put_catalog(s, &c);
  catalog_destroy(&c);
  return rc;
}

/* Players add it to their buffers; a catalog that asks for more follows when the input turns out to
 * need it. */
static int check_jitter(struct movie *s, struct media *m)
{
  uint32_t ms = jitter_ms(&m->jitter);
  if (ms <= m->told_jitter + m->told_jitter / 4)
    return 0;
  m->told_jitter = ms;
  log_debug(&s->feed.program.log, "%s comes in bursts of %u ms", m->name, ms);
  return publish_catalog(s);
}

/* ---- tracks ---- */

static int add_media(struct movie *s, struct media *m, const struct media_track *track, size_t number)
{
  bool video = track->kind == MEDIA_VIDEO;
  struct track_info info = {.priority = video ? CATALOG_PRIORITY_VIDEO : CATALOG_PRIORITY_AUDIO,
                            .max_age_ms = s->options->max_age / NS_PER_MS,
                            .timescale = MEDIA_US};
  m->track = track;
  snprintf(m->name, sizeof m->name, "%s%zu", video ? "video" : "audio", number);
  program_say(&s->feed.program, "%s: %s", m->name, track->codec_string);
  return publisher_track(s->feed.publisher, m->name, &info, program_now(&s->feed.program), &m->out);
}

static int on_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  static const struct track_info info = {
      .priority = PRIORITY_CATALOG, .max_age_ms = CATALOG_MAX_AGE_MS, .timescale = CATALOG_TIMESCALE};
  struct movie *s = arg;
  size_t numbers[2] = {0, 0};
  s->lead = fmp4_reader_lead_us(s->reader);
  s->media = calloc(count + 1, sizeof *s->media);
  if (!s->media)
    return -ENOMEM;
  int rc = feed_announce(&s->feed);
  if (rc == 0)
    rc = publisher_track(s->feed.publisher, CATALOG_TRACK, &info, program_now(&s->feed.program), &s->catalog);
  for (; s->count < count && rc == 0; s->count++)
    rc = add_media(s, &s->media[s->count], &tracks[s->count], numbers[tracks[s->count].kind]++);
  return rc < 0 ? rc : publish_catalog(s);
}

/* ---- samples ---- */

static int put(struct movie *s, struct media *m, int64_t us, const struct fmp4_sample *in)
{
  uint8_t header[CONTAINER_HEADER_MAX];
  int n = container_legacy_header(us, header);
  if (n < 0)
    return n;
  struct slice parts[] = {slice_of(header, (size_t)n), slice_of(in->data, in->len)};
  int rc = publisher_frame(m->out, (uint64_t)us, parts, 2);
  if (rc == -EMSGSIZE && !s->warned) {
    program_error(&s->feed.program, "%s: frames are dropped: none is a keyframe, or they are too large for a group",
                  m->name);
    s->warned = true;
  }
  return rc == -EMSGSIZE ? 0 : rc;
}

static int on_sample(void *arg, const struct fmp4_sample *in)
{
  struct movie *s = arg;
  struct media *m = &s->media[in->track];
  bool audio = m->track->kind == MEDIA_AUDIO;
  int64_t dts = media_rescale(in->dts, m->track->timescale, MEDIA_US);
  int64_t us = media_rescale(in->pts, m->track->timescale, MEDIA_US) + s->lead;
  us += timeline_offset(&s->time, &m->time, dts);
  jitter_frame(&m->jitter, dts + m->time.offset, program_now(&s->feed.program));
  if (in->keyframe || audio) {
    int rc = publisher_group(m->out, program_now(&s->feed.program));
    if (rc < 0)
      return rc;
  }
  int rc = put(s, m, us, in);
  if (audio)
    publisher_end_group(m->out);
  return rc < 0 ? rc : check_jitter(s, m);
}

/* ---- the feed ---- */

static const struct fmp4_reader_events reader_events = {on_tracks, on_sample};

static int begin(struct feed *f)
{
  struct movie *s = movie_of(f);
  timeline_init(&s->time, 0);
  s->reader = fmp4_reader_new(NULL, &reader_events, s);
  if (!s->reader)
    program_error(&f->program, "out of memory");
  return s->reader ? 0 : -ENOMEM;
}

static int tell(struct movie *s, int rc)
{
  const char *text = fmp4_reader_error(s->reader);
  program_error(&s->feed.program, "stdin: %s", text[0] ? text : uv_strerror(rc));
  return rc;
}

static int data(struct feed *f, struct slice in)
{
  struct movie *s = movie_of(f);
  int rc = fmp4_reader_feed(s->reader, in.p, in.n);
  return rc < 0 ? tell(s, rc) : 0;
}

/* A file that was cut off is published as far as it goes. */
static int end(struct feed *f)
{
  struct movie *s = movie_of(f);
  int rc = fmp4_reader_finish(s->reader);
  if (rc == 0)
    return 0;
  tell(s, rc);
  return rc == -ENODATA && s->count > 0 ? 0 : rc;
}

static const struct feed_ops ops = {begin, data, end};

int publish_fmp4(const struct publish_options *o, const char *url, const char *broadcast)
{
  static struct movie s; /* holds the input's buffer: not for the stack */
  s.options = o;
  int code = feed_run(&s.feed, &ops, &o->connection, url, broadcast);
  fmp4_reader_free(s.reader);
  free(s.media);
  return code;
}
