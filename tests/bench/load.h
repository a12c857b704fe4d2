/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The parts of the load tool. It runs as several processes that share one `struct shared`:
 *
 *   fanout.c   the parent: options, phases, what the relay uses (/proc), the report
 *   source.c   a child that publishes stamped frames at a steady rate
 *   crowd.c    children that hold many viewers each: dialling, the ramp
 *   viewer.c   a bare viewer: SETUP, SUBSCRIBE, and the group streams, whose frames it checks
 *   histogram.c, proc.c
 *
 * Viewers use the project's QUIC and codecs, but neither its sessions nor its model: they are to
 * cost less than what they measure. */
#pragma once
#include "base/clock.h"
#include "base/slice.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct options {
  const char *url, *broadcast;
  uint32_t viewers, processes, stalled;
  uint32_t per_socket;  /* viewers that share a socket */
  uint32_t ramp;        /* connections begun per second */
  double rate;          /* frames per second */
  uint32_t size, group; /* bytes of a frame, frames of a group */
  uint32_t seconds;
  uint32_t max_age_ms;
  bool idle; /* sessions that ask for nothing, and no publisher */
  bool json, series;
  pid_t relay; /* 0 = unknown */
};

/* Latencies in ns: 32 steps per power of two, so within 3 %. */
#define HISTOGRAM_STEPS 32
#define HISTOGRAM_SLOTS (64 * HISTOGRAM_STEPS)
struct histogram {
  uint64_t n, max;
  uint64_t slot[HISTOGRAM_SLOTS];
};
void histogram_add(struct histogram *h, uint64_t v);
void histogram_merge(struct histogram *to, const struct histogram *from);
uint64_t histogram_at(const struct histogram *h, double part); /* 0 when it is empty */

enum phase { PHASE_RAMP, PHASE_RUN, PHASE_DRAIN, PHASE_LEAVE };

/* Written by one process, read by the parent while it runs. */
struct crowd_stats {
  _Atomic uint32_t up, watching, failed, lost; /* viewers: session there, first frame seen, never
                                                  came up, closed before their time */
  _Atomic uint32_t complete;                   /* have seen the last group end */
  _Atomic uint64_t frames, bytes;              /* whole and right */
  _Atomic uint64_t bad;                        /* frames that were not what was published */
  _Atomic uint64_t groups_whole, groups_reset;
  _Atomic uint64_t groups_missing; /* between a viewer's first and the last one; set in the end */
  _Atomic uint64_t cpu_ns;
  struct histogram latency; /* of the frames that came in PHASE_RUN */
};

#define CROWDS_MAX 16
struct shared {
  _Atomic int phase;
  _Atomic bool source_up, source_done;
  _Atomic uint64_t source_frames, source_groups, source_cpu_ns;
  _Atomic uint64_t source_late_ns; /* worst delay of a frame against its schedule */
  struct crowd_stats crowd[CROWDS_MAX];
};

/* What is at the front of each frame. The rest is pattern_at(group, index). */
struct stamp {
  uint64_t magic, group, index, sent; /* index in the group; sent: monotonic ns */
  uint64_t size;
};
#define STAMP_MAGIC 0x6d6f712d6c6f6164ULL

/* Bytes that differ from frame to frame; `n` of them. Made before the processes part. */
int pattern_init(size_t frame_max);
const uint8_t *pattern_at(uint64_t group, uint64_t index);

/* Both return the exit code of their process. */
int source_main(const struct options *o, struct shared *shared);
int crowd_main(const struct options *o, struct shared *shared, struct crowd_stats *stats, uint32_t viewers);

struct proc_usage {
  uint64_t cpu_ns, rss_kb, switches;
};
/* Of all threads of a process. False when it cannot be read. */
bool proc_usage(pid_t pid, struct proc_usage *ret_usage);
uint64_t proc_own_cpu_ns(void);
