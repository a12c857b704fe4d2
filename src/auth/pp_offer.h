/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The challenges that this relay makes, and knows again: nothing of one is kept. For a path there are few that could be meant
 * (each operation; the path with a slash in front or without; wide scopes where they are allowed), so a token's digest is
 * compared with those of all. A redemption context, where they are on, is derived from issuer, scope and a window of time.
 * Pure. */
#pragma once
#include "auth/pp_check.h"

#define PP_OFFER_DEPTH_MAX 16 /* parts of a path that wide scopes are tried for */
#define PP_SECRET_BYTES 32

struct pp_offer {
  uint64_t window_s; /* how long a context is offered, and again as long accepted; 0 = no contexts */
  bool wide;         /* scopes of more than one path are offered and accepted */
  uint8_t secret[PP_SECRET_BYTES];
};

/* Appends the challenge of an issuer (its name) for a path, as it is to be told to a client. Slashes at either end are
 * dropped. 0; -EINVAL for a path that a scope cannot say (one with a colon or a star; a star at the end is fine where wide scopes are), -ENOMEM. */
int pp_offer_write(const struct pp_offer *o, struct slice issuer, enum pp_op op, struct slice path, uint64_t wall_s,
                   struct buf *out);

/* The challenge of that digest among those for a normalised path: PP_OK, PP_NO_CHALLENGE, PP_EXPIRED. ret_known->scope borrows
 * from `path`. */
enum pp_verdict pp_offer_find(const struct pp_offer *o, struct slice issuer, struct slice path, const uint8_t *digest,
                              uint64_t wall_s, struct pp_known *ret_known);
