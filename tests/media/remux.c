/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What `moq publish` and `moq subscribe` do to a clip, without the network: fragmented MP4 from
 * stdin, the catalog as JSON and back, each sample as a frame of the legacy container and back,
 * fragmented MP4 to stdout. Nothing goes from reader to writer that would not go over the wire.
 *
 * usage: remux [fragment samples] < in.mp4 > out.mp4      the catalog goes to stderr
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/catalog.h"
#include "media/container.h"
#include "media/fmp4_reader.h"
#include "media/fmp4_writer.h"

struct remux {
  struct fmp4_reader *reader;
  struct fmp4_writer *writer;
  struct fmp4_writer_options options;
  const struct media_track *in;
  struct media_buf out;
};

static int encode(const struct media_track *tracks, size_t count, char **ret_json, size_t *ret_len)
{
  struct catalog c = {0};
  int rv = 0;
  for (size_t i = 0; i < count && rv == 0; i++) {
    char name[32];
    snprintf(name, sizeof(name), "%s%zu", tracks[i].kind == MEDIA_VIDEO ? "video" : "audio", i);
    rv = catalog_add(&c, name, &tracks[i], 0);
  }
  if (rv == 0)
    rv = catalog_encode(&c, ret_json, ret_len);
  catalog_destroy(&c);
  return rv;
}

static int on_tracks(void *arg, const struct media_track *tracks, size_t count)
{
  struct remux *x = arg;
  struct catalog c = {0};
  char *json;
  size_t len;
  int rv = encode(tracks, count, &json, &len);
  if (rv < 0)
    return rv;
  fprintf(stderr, "%s\n", json);
  rv = catalog_parse(json, len, &c);
  free(json);
  if (rv < 0 || c.count != count)
    return rv < 0 ? rv : -EPROTO;
  /* The catalog lists video first; the clips of the tests do so too. */
  struct media_track out[CATALOG_ENTRIES_MAX];
  for (size_t i = 0; i < count; i++)
    out[i] = c.entries[i].track;
  x->in = tracks;
  rv = fmp4_writer_new(out, count, &x->options, &x->writer);
  catalog_destroy(&c);
  return rv;
}

static int on_sample(void *arg, const struct fmp4_sample *s)
{
  struct remux *x = arg;
  struct container_frame frame;
  struct media_buf wire = {0};
  uint8_t header[CONTAINER_HEADER_MAX];
  int64_t us = media_rescale(s->pts, x->in[s->track].timescale, MEDIA_US);
  int n = container_legacy_header(us + fmp4_reader_lead_us(x->reader), header);
  if (n < 0)
    return n;
  media_buf_put(&wire, header, (size_t)n);
  media_buf_put(&wire, s->data, s->len);
  int rv = media_buf_error(&wire);
  if (rv == 0)
    rv = container_legacy_parse(wire.data, wire.len, &frame);
  if (rv == 0) {
    uint32_t timescale = fmp4_writer_timescale(x->writer, s->track);
    struct fmp4_writer_sample w = {.track = s->track,
                                   .pts = media_rescale(frame.pts_us, MEDIA_US, timescale),
                                   .keyframe = s->keyframe,
                                   .data = frame.data,
                                   .len = frame.len};
    rv = fmp4_writer_add(x->writer, &w, &x->out);
  }
  media_buf_destroy(&wire);
  return rv;
}

static int run(struct remux *x)
{
  static const struct fmp4_reader_events events = {.tracks = on_tracks, .sample = on_sample};
  uint8_t buf[4096];
  size_t n;
  int rv = 0;
  x->reader = fmp4_reader_new(NULL, &events, x);
  if (!x->reader)
    return -ENOMEM;
  while (rv == 0 && (n = fread(buf, 1, sizeof(buf), stdin)) > 0)
    rv = fmp4_reader_feed(x->reader, buf, n);
  if (rv == 0)
    rv = fmp4_reader_finish(x->reader);
  if (rv == 0)
    rv = fmp4_writer_finish(x->writer, &x->out);
  if (rv == 0 && fwrite(x->out.data, 1, x->out.len, stdout) != x->out.len)
    rv = -EIO;
  return rv;
}

int main(int argc, char **argv)
{
  struct remux x = {0};
  if (argc > 1)
    x.options.fragment_samples = (size_t)atoi(argv[1]);
  int rv = run(&x);
  if (rv < 0)
    fprintf(stderr, "remux: %s: %s\n", strerror(-rv), x.reader ? fmp4_reader_error(x.reader) : "");
  fmp4_reader_free(x.reader);
  fmp4_writer_free(x.writer);
  media_buf_destroy(&x.out);
  return rv < 0 ? 1 : 0;
}
