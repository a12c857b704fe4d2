/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The movie header of a fragmented MP4 (ISO/IEC 14496-12, clause 8): which tracks there are. */
#ifndef MOQ_MEDIA_MP4_MOOV_H
#define MOQ_MEDIA_MP4_MOOV_H

#include "media/mp4_box.h"
#include "media/track.h"

/* What a fragment may leave out: trex of the movie, or tfhd of the fragment. */
struct mp4_defaults {
  uint32_t duration;
  uint32_t size;
  uint32_t flags;
};

struct mp4_trak {
  struct media_track track; /* codec_string is empty for a track that is not handled */
  uint32_t entry_type;      /* of its sample entry, for messages; 0: none */
  struct mp4_defaults trex;
  bool has_trex;
  /* Added to a media time to get the presentation time that the edit list asks for. */
  int64_t edit_shift;
  /* Where the next fragment without a tfdt goes on. */
  int64_t next_dts;
};

struct mp4_moov {
  struct mp4_trak *traks; /* owned */
  size_t count;
};

void mp4_moov_destroy(struct mp4_moov *m);

/*
 * Parses the body of a moov box. Tracks of other kinds than audio and video and of codecs that are
 * not handled are kept with an empty codec string, so that their fragments can be skipped.
 * 0 with *ret_moov set; -EPROTO for malformed bytes or more than max_tracks tracks, -ENOTSUP for a
 * file that is not fragmented (the message says how to make one that is), -ENOMEM.
 */
int mp4_moov_parse(const struct mp4_box *moov, size_t max_tracks, struct mp4_moov *ret_moov, struct mp4_error *err);

#endif
