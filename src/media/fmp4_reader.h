/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reads fragmented MP4 as it comes out of a pipe, without I/O of its own: feed it bytes in any
 * cuts, it calls back with the tracks once they are known and with each sample as soon as its
 * last byte is there, in the order of the bytes.
 *
 * What it reads: ftyp, one moov with mvex (a repeated one must be identical), any number of
 * moof and mdat (in any arrangement in which a sample's moof comes before its bytes); other
 * top-level boxes are skipped. A file that is not fragmented is refused with advice.
 *
 * One thread at a time. Callbacks run inside feed and finish; they must not call the reader.
 */
#ifndef MOQ_MEDIA_FMP4_READER_H
#define MOQ_MEDIA_FMP4_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/track.h"

/* What a stream can make the reader hold. Zero means the default. */
struct fmp4_limits {
  size_t max_header;  /* bytes of a moov or moof; 4 MiB */
  size_t max_sample;  /* bytes of a sample; 32 MiB */
  size_t max_tracks;  /* tracks in the movie header, of any kind; 32 */
  size_t max_pending; /* samples announced whose bytes have not come; 262144 (12 MB) */
};

/* A frame of video or a packet of audio. */
struct fmp4_sample {
  size_t track; /* index into the tracks of the `tracks` callback */
  /* In ticks of the track's timescale, edit list applied: both can be negative. */
  int64_t dts;
  int64_t pts;
  uint32_t duration; /* as the file has it; 0 is unknown */
  bool keyframe;
  const uint8_t *data; /* borrowed until the callback returns */
  size_t len;          /* at least 1 */
};

struct fmp4_reader_events {
  /*
   * Once, before the first sample: when the first fragment's header is read (which tells the
   * frame rate), or at finish for a file without fragments. `tracks` lives as long as the reader.
   */
  int (*tracks)(void *arg, const struct media_track *tracks, size_t count);
  int (*sample)(void *arg, const struct fmp4_sample *sample);
};

struct fmp4_reader;

/* NULL when out of memory. `limits` (may be NULL) and `events` are copied. */
struct fmp4_reader *fmp4_reader_new(const struct fmp4_limits *limits, const struct fmp4_reader_events *events,
                                    void *arg);
void fmp4_reader_free(struct fmp4_reader *r);

/*
 * Takes all of the bytes. 0, or the first failure, which also is the answer to every later call:
 * -EPROTO malformed or over a limit, -ENOTSUP an MP4 of another kind, -ENOMEM, or the negative
 * number that a callback returned.
 */
int fmp4_reader_feed(struct fmp4_reader *r, const uint8_t *data, size_t len);

/*
 * The input is at its end. 0, or as feed; -ENODATA when it ended inside a box or a sample, or
 * before any movie header (samples that were complete have been delivered).
 */
int fmp4_reader_finish(struct fmp4_reader *r);

/* A sentence for the user about the failure: box, byte offset, what is wrong. "" if none. */
const char *fmp4_reader_error(const struct fmp4_reader *r);

/*
 * Microseconds to add to every track's presentation times so that none of them is negative (on
 * the wire they cannot be) and the tracks stay in step: what the edit lists cut off at the front
 * (encoder delay of AAC, reordering of B-frames), 0 without such. Known once `tracks` was called.
 */
int64_t fmp4_reader_lead_us(const struct fmp4_reader *r);

#endif
