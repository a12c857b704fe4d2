/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The sample entries of stsd (ISO/IEC 14496-12, 12.1.3 and 12.2.3), read and written. */
#ifndef MOQ_MEDIA_MP4_SAMPLE_ENTRY_H
#define MOQ_MEDIA_MP4_SAMPLE_ENTRY_H

#include "media/media_buf.h"
#include "media/mp4_box.h"
#include "media/track.h"

/*
 * Fill in codec, size, channels and configuration. An entry of a codec that is not handled
 * (encrypted ones are such) leaves the codec string empty and is no error. 0, -EPROTO, -ENOMEM.
 */
int mp4_video_entry(struct media_track *t, const struct mp4_box *entry, struct mp4_error *err);
int mp4_audio_entry(struct media_track *t, const struct mp4_box *entry, struct mp4_error *err);

/*
 * Appends the sample entry of a track that has a configuration. 0, or -EINVAL for a track whose
 * codec cannot be written.
 */
int mp4_put_sample_entry(struct media_buf *b, const struct media_track *t);

#endif
