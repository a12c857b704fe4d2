/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a MoQ frame of a hang broadcast looks like inside.
 *
 * "legacy", the default: the presentation time in microseconds as a QUIC varint (RFC 9000,
 * section 16; in every version of moq-lite), then the bytes of one sample. A frame without sample
 * bytes is a marker that the content ends there, and is to be skipped.
 *
 * "loc" (draft-ietf-moq-loc): a varint with the length of a list of properties, the properties,
 * the bytes of one sample.
 *
 * "cmaf": whole moof and mdat boxes, for a reader that was fed the catalog's init segment.
 */
#ifndef MOQ_MEDIA_CONTAINER_H
#define MOQ_MEDIA_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

enum media_container {
  CONTAINER_LEGACY,
  CONTAINER_CMAF,
  CONTAINER_LOC,
  CONTAINER_UNKNOWN, /* a kind of later days: ignore that rendition */
};

/* The longest header that container_legacy_header writes. */
#define CONTAINER_HEADER_MAX 8

/* The largest timestamp that a varint holds. */
#define CONTAINER_US_MAX ((INT64_C(1) << 62) - 1)

/*
 * Writes what goes before a sample's bytes. Returns its length, at most CONTAINER_HEADER_MAX, or
 * -ERANGE for a time that is negative or over CONTAINER_US_MAX.
 */
int container_legacy_header(int64_t pts_us, uint8_t out[CONTAINER_HEADER_MAX]);

struct container_frame {
  int64_t pts_us;
  const uint8_t *data; /* borrowed from the frame */
  size_t len;          /* 0: a marker, nothing to decode */
};

/* Both: 0 with *ret_frame set, or -EPROTO for a frame that ends inside its header. */
int container_legacy_parse(const uint8_t *frame, size_t len, struct container_frame *ret_frame);
int container_loc_parse(const uint8_t *frame, size_t len, struct container_frame *ret_frame);

#endif
