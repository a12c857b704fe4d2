/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Writes fragmented MP4, without I/O of its own: samples in, bytes to append to the file out.
 *
 * Frames stay in the order in which they come, which is decoding order. From the wire they have
 * only a presentation time; their decoding times are derived as decode_times.h says, with the
 * reordering depth that the codec's configuration tells, and B-frames come out with the right
 * composition offsets. A sample's duration is the distance to the next one, so the latest sample
 * of each track is held until the next comes or the writer is finished.
 *
 * H.264 without a configuration is taken to be Annex B (browsers send that): the header of the
 * file waits for the first keyframe's parameter sets, and samples until then are dropped.
 *
 * Presentation times of a track should not run back by more than reordering: after a publisher
 * restarted its clock the caller maps the new times behind the old ones. One thread at a time.
 */
#ifndef MOQ_MEDIA_FMP4_WRITER_H
#define MOQ_MEDIA_FMP4_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/media_buf.h"
#include "media/track.h"

struct fmp4_writer_options {
  /*
   * Samples of one track that go into one fragment; 0 is 1, the least delay. A keyframe begins a
   * fragment all the same, so a large number makes one fragment per group.
   */
  size_t fragment_samples;
  size_t fragment_bytes; /* of samples, after which a fragment is written; 0 is 8 MiB */
};

struct fmp4_writer_sample {
  size_t track; /* index into the tracks given to fmp4_writer_new */
  /* In ticks of fmp4_writer_timescale, not negative. */
  int64_t pts;
  bool has_dts; /* false: derive it */
  int64_t dts;
  bool keyframe; /* of video; every packet of audio is one */
  const uint8_t *data;
  size_t len;
};

struct fmp4_writer;

/*
 * Copies the tracks. A track without timescale gets media_track_pick_timescale, one without
 * configuration gets one made up where that is possible. 0 with *ret_w set, owned by the caller;
 * -EINVAL for no tracks or one that no MP4 can be written of, -ENOMEM.
 */
int fmp4_writer_new(const struct media_track *tracks, size_t count, const struct fmp4_writer_options *options,
                    struct fmp4_writer **ret_w);
void fmp4_writer_free(struct fmp4_writer *w);

/* Ticks per second of the track's samples. */
uint32_t fmp4_writer_timescale(const struct fmp4_writer *w, size_t track);

/*
 * Takes a sample (its bytes are copied) and appends what can be written now to `out`: the file's
 * header before all else, then fragments. 0; -EINVAL for an unknown track or no bytes; -ERANGE
 * for times that an MP4 cannot hold, then the sample is left out; -ENOMEM, then the file is of
 * no further use.
 */
int fmp4_writer_add(struct fmp4_writer *w, const struct fmp4_writer_sample *sample, struct media_buf *out);

/* Appends what is held back, and the header if there never was a sample. 0 or -ENOMEM. */
int fmp4_writer_finish(struct fmp4_writer *w, struct media_buf *out);

/* Samples dropped because the header could not be written yet. */
uint64_t fmp4_writer_dropped(const struct fmp4_writer *w);

#endif
