/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The head of a fragmented MP4: ftyp and moov with mvex (ISO/IEC 14496-12, 4.3 and clause 8). */
#ifndef MOQ_MEDIA_MP4_INIT_H
#define MOQ_MEDIA_MP4_INIT_H

#include "media/media_buf.h"
#include "media/track.h"

/*
 * Appends the head for these tracks, each with a timescale and a configuration; track i gets the
 * track_ID i + 1. 0, -EINVAL for a track that cannot be written, or -ENOMEM.
 */
int mp4_put_init(struct media_buf *b, const struct media_track *tracks, size_t count);

#endif
