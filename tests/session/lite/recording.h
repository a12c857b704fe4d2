/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A whole session of other implementations, as tests/vectors/session-*.json has it: what each side
 * said on each stream. The order of streams in time is not in it. */
#pragma once
#include "wire/lite/lite.h"

enum side { CLIENT, SERVER, SIDES };

struct said {
  struct slice bytes; /* the stream's type included, if this side opened it */
  bool there, fin, was_reset;
};

struct rec_stream {
  char name[32];
  bool bidi;
  enum side opener;
  enum lite_stream type;
  struct said by[SIDES];
};

#define REC_STREAMS_MAX 32

struct recording {
  enum lite_version version;
  struct rec_stream streams[REC_STREAMS_MAX];
  size_t n;
  struct slice datagram[SIDES]; /* one each, n == 0: none */
  uint8_t space[8192];
  size_t used;
};

/* Fails the test when the file is not as expected. */
void recording_load(struct recording *rec, const char *file);

/* The nth stream of a type; NULL when there are no more. */
const struct rec_stream *recording_find(const struct recording *rec, enum side opener, enum lite_stream type,
                                        unsigned nth);

/* What a side said, without the stream's type. */
struct slice rec_words(const struct recording *rec, const struct rec_stream *s, enum side by);
