/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A movie fragment's header (ISO/IEC 14496-12, 8.8): where its samples are and when they play. */
#ifndef MOQ_MEDIA_MP4_MOOF_H
#define MOQ_MEDIA_MP4_MOOF_H

#include "media/mp4_box.h"
#include "media/mp4_moov.h"

/* sample_is_non_sync_sample of the sample flags (8.8.3.1). */
#define MP4_SAMPLE_NON_SYNC 0x00010000u

/* Decoding times are kept below this, so that sums of them cannot overflow. */
#define MP4_TIME_MAX (INT64_C(1) << 60)

/* A sample that is announced, its bytes still to come. Times are media times, without edits. */
struct mp4_pending {
  uint64_t offset; /* of its first byte in the input */
  uint32_t size;
  uint32_t duration;
  int64_t dts;
  int32_t composition; /* presentation minus decoding time */
  uint32_t trak;       /* index into mp4_moov.traks */
  bool keyframe;
};

/* Samples in the order of their offsets, `first` is the next one that is due. */
struct mp4_pending_list {
  struct mp4_pending *items; /* owned */
  size_t first, count, cap;
};

void mp4_pending_destroy(struct mp4_pending_list *list);

/*
 * Parses the body of a moof box and appends its samples to `list`, which then holds at most
 * `max_samples`; moves the traks' next_dts. Samples of size 0 and of tracks that are not handled
 * are left out. 0, -EPROTO or -ENOMEM; after a failure list and moov are of no further use.
 */
int mp4_moof_parse(const struct mp4_box *moof, size_t max_samples, struct mp4_moov *moov, struct mp4_pending_list *list,
                   struct mp4_error *err);

#endif
