/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The file of pp_spent.h: a header with the store's secret, then records, each with a checksum of its own, appended one by one
 * and rewritten (into a new file that takes its place) when most have expired. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

#define PP_SPENT_KEY_BYTES 16
#define PP_SPENT_SECRET_BYTES 16

struct pp_spent_record {
  uint8_t key[PP_SPENT_KEY_BYTES];
  uint64_t expires_s;
};

struct pp_spent_file {
  int fd; /* locked while it is open */
  size_t records;
  uint64_t size;
  const char *path;
};

/* Opens and reads. 0; -ENOENT when there is no file; other errors name it. `take` gets every record; what it returns below 0
 * ends the reading. */
int pp_spent_file_open(struct pp_spent_file *f, const char *path, uint8_t ret_secret[PP_SPENT_SECRET_BYTES],
                       int (*take)(void *ctx, const struct pp_spent_record *r), void *ctx, struct err *ret_err);
void pp_spent_file_close(struct pp_spent_file *f);

/* 0 when the record is in the file; negative errno: it is not. */
int pp_spent_file_append(struct pp_spent_file *f, const struct pp_spent_record *r);

/* Puts a file with these records in the place of the present one, if any; `next` gives them, false at the end. On failure
 * the present one stays. */
int pp_spent_file_rewrite(struct pp_spent_file *f, const uint8_t secret[PP_SPENT_SECRET_BYTES],
                          bool (*next)(void *ctx, struct pp_spent_record *ret), void *ctx);
