/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where a request may carry a Privacy Pass token. Pure. */
#pragma once
#include "auth/pp_token.h"

struct pp_carried {
  struct slice setup; /* value of SETUP's parameter 3; empty = none */
  const char *header; /* Authorization, when its scheme is PrivateToken; NULL = none */
  const char *query;  /* may have pp=TOKEN, base64url: ours, for browsers on versions without a SETUP; NULL = none */
};

/* Appends the token's bytes. 0; -ENOENT when there is none; -EINVAL when one is malformed or two differ; -ENOMEM. */
int pp_carried_read(const struct pp_carried *c, struct buf *out);
