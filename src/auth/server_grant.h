/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an auth server's answer says: a grant, as JSON. Members: `publish`, `subscribe` (lists of patterns relative to the
 * root), `root` (absolute; the dialled path when it is not there), `expires` (Unix seconds), `revalidate` (seconds, needs
 * expires), `tier` (a label for the log), `peer`. `mounts` are not supported: an answer that has any cannot be honoured.
 * Members that are not known mean nothing. */
#pragma once
#include "auth/grant.h"

#define TIER_MAX 64 /* bytes of a label; longer ones are cut */

struct server_grant {
  char *root;                                                        /* normalised; owned */
  char *publish[GRANT_PATTERNS_MAX], *subscribe[GRANT_PATTERNS_MAX]; /* owned */
  size_t publish_count, subscribe_count;
  uint64_t expires;      /* Unix time in seconds; 0 = never */
  uint64_t revalidate_s; /* ask again after that; 0 = never */
  bool peer;
  char tier[TIER_MAX + 1]; /* "" = none */
};

/* Of a body for a session that dialled `path` (normalised). 0; on failure a text for the log in *ret_why and nothing to
 * destroy: -EPERM it grants nothing, -EINVAL it is not a grant, -ENOTSUP it is one that we cannot honour, -ENOMEM. */
int server_grant_parse(struct slice body, struct slice path, uint64_t wall_s, struct server_grant *ret_grant,
                       const char **ret_why);
void server_grant_destroy(struct server_grant *g); /* a zeroed one is fine */

/* For the session; borrows from `g`. */
void server_grant_use(const struct server_grant *g, struct grant *ret_grant);

/* Why a session with grant `held` cannot go on with `fresh`: in a word or two, as the end event tells it; NULL: it can. What
 * `fresh` allows beyond it does not matter. */
const char *server_grant_change(const struct server_grant *held, const struct server_grant *fresh);
