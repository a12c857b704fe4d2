/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The messages of moq-lite as data, private to wire/lite. codec.c interprets one row per field for
 * encoding and decoding alike, streams.c one row per stream and side. A new version is one more bit
 * in the masks where it agrees with its predecessor, and new rows where it does not. */
#pragma once
#include "wire/lite/lite.h"

/* Sets of versions. */
typedef uint8_t lite_mask;
#define V(v) ((lite_mask)(1u << (v)))
#define V01 V(LITE_01)
#define V02 V(LITE_02)
#define V03 V(LITE_03)
#define V04 V(LITE_04)
#define V05 V(LITE_05)
#define V06 V(LITE_06)
#define V07 V(LITE_07)
#define V07_UP V07
#define V06_UP (V06 | V07_UP)
#define V05_UP (V05 | V06_UP)
#define V04_UP (V04 | V05_UP)
#define V03_UP (V03 | V04_UP)
#define V_ALL (V01 | V02 | V03_UP)

enum lite_kind {
  KIND_INT,        /* uint64_t, varint in [min, max] */
  KIND_FLOOR,      /* uint64_t, varint; LITE_NONE is sent as 0 */
  KIND_OPT,        /* uint64_t, 0 = LITE_NONE, else value + 1 */
  KIND_U8,         /* uint8_t, one byte, at most max */
  KIND_STRING,     /* struct slice, UTF-8 of at most max bytes */
  KIND_BYTES,      /* struct slice; parameters only */
  KIND_PATH,       /* struct slice, UTF-8 of at most PATH_PARTS_MAX parts */
  KIND_HOPS,       /* struct lite_hops in the version's form */
  KIND_PATHS,      /* struct lite_list of paths */
  KIND_INTS,       /* struct lite_list of at most max varints */
  KIND_PARAMETERS, /* count, then id and value, see struct lite_parameter_set */
};

/* How KIND_PATHS and KIND_INTS lie in a message's struct. */
struct lite_list {
  uint64_t count;
  struct slice items;
};

/* A parameter of a SETUP. KIND_U8 is a varint here, kept in an uint8_t: above max it reads as
 * `over`. A value equal to `absent` is left out. */
struct lite_parameter {
  uint64_t id;
  enum lite_kind kind; /* INT, U8, BYTES, STRING */
  uint16_t offset;
  lite_mask versions;
  uint64_t absent;
  uint8_t max, over;
};

struct lite_parameter_set {
  const struct lite_parameter *rows;
  size_t n;
  bool by_parity; /* even ids hold a bare varint, odd ones length and bytes; else all have a length
                   */
};

struct lite_field {
  enum lite_kind kind;
  uint16_t offset;
  lite_mask versions;
  bool none_if_absent; /* LITE_NONE in versions without the field */
  uint64_t min, max;   /* max 0: the kind's own bound */
  const struct lite_parameter_set *parameters;
};

struct lite_message {
  const char *name;
  size_t size; /* of its struct */
  const struct lite_field *fields;
  size_t n_fields;
  size_t max;                                                               /* body bytes; 0 = LITE_MESSAGE_MAX */
  bool u16_length;                                                          /* instead of a varint */
  bool (*valid)(const struct lite_version_info *, const union lite_body *); /* across fields; may be NULL */
};

/* In which versions a message exists, and with which Type. */
#define LITE_NO_TYPE (-1)
struct lite_form {
  enum lite_msg msg;
  lite_mask versions;
  int type;
};

/* What one side says on a stream: `first` once (LITE_UNKNOWN = no such message), then any number of
 * `rest`, then or instead frames. */
#define LITE_REST_MAX 3
struct lite_flow {
  enum lite_stream stream;
  enum lite_side side;
  lite_mask versions;
  enum lite_msg first;
  enum lite_msg rest[LITE_REST_MAX]; /* ends at LITE_UNKNOWN */
  bool frames;
};

/* Not too long, and no id twice but 0. */
bool lite_hops_ok(const struct lite_hops *h);

const struct lite_message *lite_message(enum lite_msg m);

/* NULL when there is none. */
const struct lite_form *lite_form(enum lite_version v, enum lite_msg m);
const struct lite_flow *lite_flow(enum lite_version v, enum lite_stream s, enum lite_side side);
