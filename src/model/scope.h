/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The part of an origin that one session sees: everything below a root, of which it may publish and watch what the given
 * patterns (base/pattern.h) match. Paths on the session's wire are relative to the root. Filled from an admission's grant; owned by
 * the session. */
#pragma once
#include "base/pattern.h"

#define SCOPE_PATTERNS_MAX 64

struct scope {
  struct slice root;                 /* normalised, owned */
  struct slice *publish, *subscribe; /* patterns relative to the root, owned; "**" = everything */
  size_t publish_count, subscribe_count;
  bool peer; /* another relay's session: what it announces entered elsewhere. Set after scope_init */
};

/* Copies. Lists may be empty (nothing allowed). Errors of path_parse and pattern_parse, -ENOMEM, -E2BIG above
 * SCOPE_PATTERNS_MAX. */
int scope_init(struct scope *s, struct slice root, const struct slice *publish, size_t publish_count,
               const struct slice *subscribe, size_t subscribe_count);
void scope_destroy(struct scope *s); /* a zeroed scope is fine */

/* Absolute path of one on the session's wire. Errors of path_join. */
int scope_absolute(const struct scope *s, struct slice relative, struct path *ret_path);
/* The other way; false when it does not lie below the root. Borrowed from `absolute`. */
bool scope_relative(const struct scope *s, struct slice absolute, struct slice *ret_relative);

/* Whether a normalised relative path may be published, watched. */
bool scope_may_publish(const struct scope *s, struct slice relative);
bool scope_may_subscribe(const struct scope *s, struct slice relative);
