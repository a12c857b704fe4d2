/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The keys that tokens are checked with: one key file, or a directory of files named {kid}.jwk. A file that changes is read
 * again, at most once per KEYS_CHECK_NS; one that has become unreadable leaves its old key in force and says so in the log,
 * one that is gone from a directory ends its key. Worker's thread; files are small and local. */
#pragma once
#include "auth/jwk.h"
#include "base/log.h"

#define KEYS_CHECK_NS NS_PER_S
#define KEYS_CACHED_MAX 256 /* keys of a directory in memory */

struct keys;

struct keys_config {
  const char *file, *directory; /* one of them; borrowed for the life of the keys */
  const struct log *log;
};

/* A single key is read at once, a directory must exist. Errors name the file. */
int keys_new(const struct keys_config *config, struct keys **ret_keys, struct err *ret_err);
void keys_free(struct keys *k);

/* The key that a token with this kid ("" = none) is to be checked with; NULL and *ret_why when there is none. A single key is
 * everybody's. Borrowed until the next call. */
const struct jwk *keys_find(struct keys *k, const char *kid, uint64_t now, const char **ret_why);
