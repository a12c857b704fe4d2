/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An issuer's directory (RFC 9578, section 4): the keys that it publishes. Pure. */
#pragma once
#include "auth/pp_key.h"

#define PP_DIRECTORY_PATH "/.well-known/private-token-issuer-directory"
#define PP_DIRECTORY_TYPE "application/private-token-issuer-directory"
#define PP_DIRECTORY_KEYS_MAX 16    /* that are kept; further ones are left out */
#define PP_DIRECTORY_ENTRIES_MAX 64 /* that are looked at */
#define PP_DIRECTORY_LIFE_MIN_S 60
#define PP_DIRECTORY_LIFE_MAX_S 86400
#define PP_DIRECTORY_LIFE_S 3600 /* where the answer says nothing */

struct pp_directory {
  struct pp_key *keys[PP_DIRECTORY_KEYS_MAX]; /* in the issuer's order of preference */
  uint64_t
      not_before[PP_DIRECTORY_KEYS_MAX]; /* Unix time from which on clients take it; tokens of it are good before */
  size_t count;
  size_t skipped; /* entries of our type that are no usable keys */
  struct err why; /* of the first of them */
};

/* 0; -EINVAL when it is no directory, or has no usable key of type 2; -ENOMEM. Other types and unknown members are nothing to
 * us. */
int pp_directory_parse(struct slice json, struct pp_directory *ret_directory, struct err *ret_err);
void pp_directory_destroy(struct pp_directory *d); /* a zeroed one is fine */

/* How long it may be used, from the value of Cache-Control ("" = none), within the bounds above. */
unsigned pp_directory_life(const char *cache_control);
