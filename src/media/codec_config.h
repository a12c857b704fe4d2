/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Decoder configuration records: from the boxes of an MP4 sample entry to a track's codec string
 * and parameters, and back from a codec string to a record where nobody sent one.
 *
 *   avcC, hvcC  ISO/IEC 14496-15, 5.3.3 and 8.3.3
 *   vpcC        VP Codec ISO Media File Format Binding, 1.0
 *   av1C        AV1 Codec ISO Media File Format Binding, 2.3
 *   esds        ISO/IEC 14496-1, 7.2.6 (AudioSpecificConfig: ISO/IEC 14496-3, 1.6.2.1)
 *   dOps        Encapsulation of Opus in ISOBMFF, 4.3.2
 */
#ifndef MOQ_MEDIA_CODEC_CONFIG_H
#define MOQ_MEDIA_CODEC_CONFIG_H

#include "media/track.h"

/* The longest record that is accepted. */
#define MEDIA_CONFIG_MAX 65536

/*
 * Each takes the payload of the named box (of esds: with version and flags), checks it, and sets
 * codec, codec string, configuration and whatever else the record tells of the track. `entry` is
 * the sample entry's type, it is the prefix of the codec string ("avc1" or "avc3").
 * 0, -EPROTO for a malformed record, -ENOTSUP for a codec inside it that is not handled
 * (esds only: MP3, say), -ENOMEM. On failure the track may be partly set. An empty av1C is taken
 * for Main profile, and leaves the track without configuration.
 */
int media_config_avcc(struct media_track *t, const char *entry, const uint8_t *p, size_t len);
int media_config_hvcc(struct media_track *t, const char *entry, const uint8_t *p, size_t len);
int media_config_vpcc(struct media_track *t, const uint8_t *p, size_t len);
int media_config_av1c(struct media_track *t, const uint8_t *p, size_t len);
int media_config_esds(struct media_track *t, const uint8_t *p, size_t len);
int media_config_dops(struct media_track *t, const uint8_t *p, size_t len);

/* An AudioSpecificConfig by itself. Sets sample rate and channels where it tells them. */
int media_config_asc(struct media_track *t, const uint8_t *p, size_t len);

/*
 * An Opus header as WebCodecs describes it ("OpusHead", RFC 7845, 5.1) or as MP4 does (dOps):
 * stored as dOps.
 */
int media_config_opus(struct media_track *t, const uint8_t *p, size_t len);

/*
 * Takes the codec string (copied) and finds the codec from it, e.g. MEDIA_H264 from "avc1.64001f".
 * 0, or -EINVAL when the string is empty or too long. An unknown codec is MEDIA_CODEC_NONE.
 */
int media_codec_from_string(struct media_track *t, const char *codec);

/*
 * Makes the configuration of a VP9, AV1, Opus or AAC-LC track from its codec string and
 * parameters, if it has none; a no-op for a track that has one. -ENODATA for H.264, HEVC and
 * other AAC, whose configuration nobody can guess; -EINVAL when the fields needed are missing.
 */
int media_config_synthesize(struct media_track *t);

#endif
