/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One bare viewer on one transport. Embedded in the crowd's array; it lives until the crowd ends.
 */
#pragma once
#include "load.h"
#include "base/buf.h"
#include "net/transport.h"
#include "net/worker.h"
#include "wire/lite/lite.h"

struct crowd;

struct viewer {
  struct crowd *crowd;
  struct transport *transport; /* NULL before and after */
  enum lite_version version;
  bool watching;
  uint64_t first, last;                 /* group numbers of the publisher's */
  uint64_t groups_whole;                /* that began at their first frame */
  struct buf setup, request, announces; /* what its three streams send */
  size_t setup_sent, request_sent, announces_sent;
};

struct crowd {
  const struct options *options;
  struct shared *shared;
  struct crowd_stats *stats;
  struct worker worker;
  const char *path; /* of the URL */
};

/* Takes the transport over. `quic`: the path goes into SETUP. */
void viewer_start(struct viewer *v, struct transport *t, bool quic);

/* Groups it should have and has not. */
uint64_t viewer_missing(const struct viewer *v, uint64_t published);
void viewer_destroy(struct viewer *v);
