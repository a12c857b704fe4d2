/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libFuzzer target: any bytes as fragmented MP4, read in cuts that the first byte chooses, and
 * what comes out of it through the catalog and the writer. What the writer wrote must be read
 * without an error.
 */
#include <errno.h>
#include <stdio.h>

#include "media/catalog.h"
#include "media/fmp4_reader.h"
#include "media/fmp4_writer.h"
#include "support/fuzz.h"

#define OUTPUT_MAX ((size_t)4 << 20)

struct target {
  struct fmp4_writer *writer;
  const struct media_track *tracks;
  struct media_buf out;
  size_t samples;
};

static const struct fmp4_limits limits = {
    .max_header = 1 << 20, .max_sample = 1 << 20, .max_tracks = 8, .max_pending = 4096};

static void through_catalog(const struct media_track *tracks, size_t count)
{
  struct catalog c = {0}, back;
  char *json, name[24];
  size_t len;
  for (size_t i = 0; i < count; i++) {
    snprintf(name, sizeof(name), "%zu", i);
    check(catalog_add(&c, name, &tracks[i], 0) == 0);
  }
  if (catalog_encode(&c, &json, &len) == 0) {
    int rc = catalog_parse(json, len, &back);
    check(rc == 0);
    if (rc == 0)
      catalog_destroy(&back);
    free(json);
  }
  catalog_destroy(&c);
}

static int on_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  struct target *t = arg;
  struct fmp4_writer_options options = {.fragment_samples = 3, .fragment_bytes = 4096};
  through_catalog(tracks, count);
  t->tracks = tracks;
  /* Some tracks cannot be written, such as AV1 without a picture size. */
  fmp4_writer_new(tracks, count, &options, &t->writer);
  return 0;
}

static int on_sample(void *arg, const struct fmp4_sample *s)
{
  struct target *t = arg;
  struct fmp4_writer_sample w = {
      .track = s->track, .pts = s->pts, .keyframe = s->keyframe, .data = s->data, .len = s->len};
  if (!t->writer || t->out.len > OUTPUT_MAX)
    return 0;
  if (fmp4_writer_add(t->writer, &w, &t->out) == -ENOMEM)
    return -ENOMEM;
  return 0;
}

static int count_sample(void *arg, const struct fmp4_sample *s)
{
  ++*(size_t *)arg;
  return 0;
}

static void read_back(const struct media_buf *out)
{
  static const struct fmp4_reader_events events = {.sample = count_sample};
  size_t count = 0;
  struct fmp4_reader *r = fmp4_reader_new(NULL, &events, &count);
  if (!r)
    return;
  int rv = fmp4_reader_feed(r, out->data, out->len);
  if (rv == 0)
    rv = fmp4_reader_finish(r);
  /* A decoding time beyond what the reader takes may come out of one that was just within. */
  if (rv < 0 && rv != -ENOMEM && rv != -EPROTO) {
    fprintf(stderr, "%s\n", fmp4_reader_error(r));
    check(false);
  }
  fmp4_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const struct fmp4_reader_events events = {.tracks = on_tracks, .sample = on_sample};
  struct target t = {0};
  if (size == 0)
    return 0;
  size_t cut = data[0] < 0x80 ? size : (size_t)(data[0] & 0x7f) * 3 + 1;
  struct fmp4_reader *r = fmp4_reader_new(&limits, &events, &t);
  if (!r)
    return 0;
  int rv = 0;
  for (size_t at = 1; at < size && rv == 0; at += cut)
    rv = fmp4_reader_feed(r, data + at, size - at < cut ? size - at : cut);
  rv = fmp4_reader_finish(r);
  check((rv == 0) == (fmp4_reader_error(r)[0] == '\0'));
  if (t.writer && fmp4_writer_finish(t.writer, &t.out) == 0 && !oom_failed())
    read_back(&t.out);
  fmp4_writer_free(t.writer);
  media_buf_destroy(&t.out);
  fmp4_reader_free(r);
  return 0;
}
