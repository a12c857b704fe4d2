/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The few facts that only a sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1 and Annex E)
 * or HEVC (ITU-T H.265, 7.3.2.2) tells: how deep frames are reordered, how large and how fast
 * they are. Everything else in it is read over.
 */
#ifndef MOQ_MEDIA_H26X_SPS_H
#define MOQ_MEDIA_H26X_SPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest parameter set looked at; a longer one is answered with -EMSGSIZE. */
#define SPS_MAX 4096

struct h26x_sps {
  uint32_t width, height; /* after cropping */
  bool reorder_known;
  uint32_t reorder_depth;    /* at most MEDIA_REORDER_MAX */
  uint32_t fps_num, fps_den; /* from the timing info; 0 when absent or not a sane rate */
};

/*
 * Both take the NAL unit without start code or length, header byte(s) included. 0 with *ret_sps
 * set, -EPROTO for bytes that are no SPS or end early.
 */
int h264_sps_parse(const uint8_t *nal, size_t len, struct h26x_sps *ret_sps);
int h265_sps_parse(const uint8_t *nal, size_t len, struct h26x_sps *ret_sps);

#endif
