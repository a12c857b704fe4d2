/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What was sent. Each time a publisher sends a group - on a stream, as a datagram, as the answer to a fetch - is a
 * *sending* with a number of its own, which every frame's payload begins with; the rest of the payload follows from seed,
 * sending and frame. So whatever a viewer receives tells which sending it is of, and each byte of it can be checked. */
#pragma once
#include "base/slice.h"
#include "wire/lite/lite.h"

#define SENDING_FRAMES 24
#define FRAME_MARK 16 /* bytes of payload that name sending, frame and size */

struct sending {
  uint32_t id;
  uint8_t path, track;
  bool whole;    /* its end has been sent */
  bool excused;  /* something happened that the healthy viewer may lose it by */
  bool answer;   /* to a fetch */
  bool received; /* whole, by the healthy viewer */
  bool marked;   /* a frame of it tells what it is of */
  bool datagram;
  unsigned publisher, life; /* who sent it; which of its sessions */
  uint64_t sequence;        /* the publisher's */
  uint64_t timestamp;       /* of frame 0; the others follow in steps of 1 */
  uint64_t begun, ended;    /* ns */
  uint32_t frames;
  uint32_t size[SENDING_FRAMES];
  uint64_t at[SENDING_FRAMES]; /* ns, when each was sent */
};

struct ledger {
  uint64_t seed;
  struct sending **sendings;
  uint32_t n, cap;
};

void ledger_init(struct ledger *l, uint64_t seed);
void ledger_destroy(struct ledger *l);
struct sending *ledger_new(struct ledger *l);

/* n payload bytes of a frame from offset `at` on. */
void ledger_fill(const struct ledger *l, const struct sending *s, uint32_t frame, size_t at, uint8_t *p, size_t n);

/* A stream of frames that is checked as it comes. Zero-initialise, then set the first three. */
struct frame_check {
  const struct ledger *ledger;
  enum lite_version version;
  bool exact_times;              /* timestamps are the publisher's own */
  uint32_t index;                /* of the frame that is next or under way */
  const struct sending *sending; /* NULL until a payload told */
  bool inside;
  uint64_t size, at, timestamp;
  uint8_t head[LITE_FRAME_HEADER_MAX], mark[FRAME_MARK];
  uint8_t head_n;
};

/* NULL, or what is wrong. */
const char *frame_check_feed(struct frame_check *c, struct slice data);
/* The clean end has come: the sending must have ended there as well. NULL, or what is wrong. */
const char *frame_check_end(const struct frame_check *c);
