/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tokens that have been used: each is good once. A bounded table that refuses when it is full rather than forget; entries go
 * when their challenge is not accepted any more. With a file it outlives the process: each token is written before it counts.
 * Entries are keyed digests of 16 bytes, so a false hit refuses a good token once in 2^64, and who reads the file learns no
 * token. Any thread may ask: there is one lock, held for the look-up, the write of one record and, seldom, a compaction. */
#pragma once
#include "base/err.h"
#include "base/rng.h"
#include "base/slice.h"

#define PP_SPENT_NEVER UINT64_MAX /* as an expiry: as long as the issuer's key, which is to say for good */

struct pp_spent;

struct pp_spent_config {
  size_t max;       /* tokens */
  const char *file; /* NULL = in memory alone; borrowed for the life of the store */
  struct rng rng;
};

/* `wall_s` (here and below) is Unix time. A file is made when there is none, read and compacted when there is one: a last record
 * that was not written whole is dropped, anything else that is unreadable is an error, as is a file that another process has.
 * Errors name the file. */
int pp_spent_new(const struct pp_spent_config *config, uint64_t wall_s, struct pp_spent **ret_spent,
                 struct err *ret_err);
void pp_spent_free(struct pp_spent *s);

/* `input` is what the token's signature is over: nonce, challenge and key, not the signature, of which an issuer can make any
 * number. */
bool pp_spent_has(struct pp_spent *s, struct slice input);
/* Spends it, at once or not at all. 0; -EEXIST when it has been spent; -ENOSPC when the store is full; -EIO when it cannot be
 * written. */
int pp_spent_add(struct pp_spent *s, struct slice input, uint64_t expires_s, uint64_t wall_s);

size_t pp_spent_count(struct pp_spent *s);
