/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a token says (the payload of a JWT, RFC 7519), and the scope of a key, which has the same members: a root and, below
 * it, what may be published and watched. `put`/`get` are path prefixes, `publish`/`subscribe` patterns, a string or a list;
 * a token of neither may have `pub`/`sub`, prefixes, as older documents spell them. `exp`, `nbf` and `iat` are Unix times in
 * whole seconds. A token with `aud` is refused, since no audience is configured; what else it has means nothing here. */
#pragma once
#include "auth/grant.h"
#include "base/buf.h"

#define CLAIMS_PATTERNS_MAX GRANT_PATTERNS_MAX
#define CLAIMS_SUBJECT_MAX 64

struct claims {
  char *root;                                                          /* normalised */
  char *publish[CLAIMS_PATTERNS_MAX], *subscribe[CLAIMS_PATTERNS_MAX]; /* patterns, the root in front */
  size_t publish_count, subscribe_count;
  bool cluster;
  bool expires_given, not_before_given, issued_given;
  int64_t expires, not_before, issued;
  char subject[CLAIMS_SUBJECT_MAX + 1]; /* for logs: one word, "" = none */
};

/* From JSON text. 0; -EINVAL and *ret_why, a short text for the log; -ENOMEM. On failure there is nothing to destroy. */
int claims_parse(struct slice json, struct claims *ret_claims, const char **ret_why);
void claims_destroy(struct claims *c); /* a zeroed one is fine */

/* Adds to a grant, whose root is set, what the claims allow below it. The grant borrows from the claims. False when that
 * are too many patterns. */
bool claims_grant(const struct claims *c, struct grant *g);

/* Whether everything that `c` allows lies within `scope`. Says no when in doubt. */
bool claims_within(const struct claims *c, const struct claims *scope);

/* Appends JSON of what a person asks to be signed: root, put, get as given, exp, iat (the order of the Rust tools). The
 * result is for claims_parse to check. */
struct claims_wanted {
  const char *root;
  const char *const *publish, *const *subscribe;
  size_t publish_count, subscribe_count;
  bool cluster, patterns; /* patterns: the lists are such, not prefixes */
  bool expires_given, issued_given;
  int64_t expires, issued;
};
void claims_write(const struct claims_wanted *w, struct buf *out);
