/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * H.264 as encoders of browsers send it (ITU-T H.264, Annex B: start codes, parameter sets before
 * each keyframe) turned into what an MP4 holds (avcC once, each NAL unit after its length).
 */
#ifndef MOQ_MEDIA_ANNEXB_H
#define MOQ_MEDIA_ANNEXB_H

#include "media/media_buf.h"
#include "media/track.h"

/*
 * Makes the track's configuration out of the parameter sets in a keyframe. 0; -ENODATA when the
 * frame has no SPS or no PPS; -EPROTO, -ENOMEM.
 */
int annexb_h264_config(struct media_track *t, const uint8_t *frame, size_t len);

/*
 * Appends the frame with four-byte lengths, without parameter sets and access unit delimiters.
 * 0 or -ENOMEM. Bytes before the first start code are dropped.
 */
int annexb_h264_frame(struct media_buf *out, const uint8_t *frame, size_t len);

#endif
