/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What is known of one media track, whichever way it came in: the reader fills it from an MP4
 * header, the catalog from JSON; the writer and the catalog turn it back into either.
 */
#ifndef MOQ_MEDIA_TRACK_H
#define MOQ_MEDIA_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum media_kind { MEDIA_VIDEO, MEDIA_AUDIO };

enum media_codec {
  MEDIA_CODEC_NONE, /* one that this library only passes through by its codec string */
  MEDIA_H264,
  MEDIA_H265,
  MEDIA_VP9,
  MEDIA_AV1,
  MEDIA_AAC,
  MEDIA_OPUS,
};

/* With the terminating zero. The longest in use is HEVC's, about 40. */
#define MEDIA_CODEC_STRING_MAX 64

/* The most frames that H.264 and HEVC let a decoder hold back (MaxDpbFrames). */
#define MEDIA_REORDER_MAX 16

/* Ticks per second of the timestamps that travel with hang's frames. */
#define MEDIA_US 1000000u

struct media_track {
  enum media_kind kind;
  enum media_codec codec;
  char codec_string[MEDIA_CODEC_STRING_MAX]; /* as WebCodecs wants it, e.g. "avc1.64001f" */
  uint32_t id;                               /* track_ID in its MP4; 0: none yet */
  uint32_t timescale;                        /* ticks per second; 0: unknown */

  /* Video. 0 is unknown. */
  uint32_t width, height;                 /* coded, in pixels */
  uint32_t display_width, display_height; /* the picture's shape when pixels are not square */
  uint32_t rotation;                      /* clockwise, degrees: 0, 90, 180, 270 */
  uint32_t framerate_num, framerate_den;  /* frames per second as a fraction */
  /*
   * How many frames a decoder must hold back to put them in order (0 without B-frames). An upper
   * bound does no harm; `reorder_known` is false when even that is a guess.
   */
  uint32_t reorder_depth;
  bool reorder_known;

  /* Audio. */
  uint32_t sample_rate; /* Hz */
  uint32_t channels;

  uint64_t bitrate; /* bits per second, 0 is unknown */

  /*
   * The decoder's configuration as the MP4 sample entry has it, without box header: avcC, hvcC,
   * vpcC (with version and flags), av1C, dOps; for AAC the AudioSpecificConfig out of the esds.
   * Owned. NULL when in-band or unknown.
   */
  uint8_t *config;
  size_t config_len;
};

/* Frees what it owns and zeroes it. A zeroed track is a valid empty one. */
void media_track_destroy(struct media_track *t);

/* Deep copy into *ret_t, which holds nothing before. 0 or -ENOMEM. */
int media_track_copy(const struct media_track *t, struct media_track *ret_t);

/* Replaces the configuration by a copy of these bytes. 0 or -ENOMEM, then it is unchanged. */
int media_track_set_config(struct media_track *t, const uint8_t *config, size_t len);

/*
 * The timescale for an MP4 of a track that comes without one: the sample rate for audio; for
 * video of a known frame rate the multiple that ffmpeg takes too (so that files compare tick by
 * tick), else microseconds.
 */
uint32_t media_track_pick_timescale(const struct media_track *t);

/*
 * Sets the frame rate from a decimal number of frames per second, recognizing the NTSC family
 * (29.97 is 30000/1001). Ignores what is not in (0, 1000].
 */
void media_track_set_framerate(struct media_track *t, double fps);

/*
 * Converts ticks between timescales (neither 0), rounding to nearest; saturates far outside of
 * any real timestamp. From a timescale below 1 MHz to microseconds and back is exact.
 */
int64_t media_rescale(int64_t ticks, uint32_t from, uint32_t to);

#endif
