/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a credential is worth: where a session stands and what it may publish and watch there. Everything after admission
 * sees this alone. Patterns are relative to the root (base/pattern.h). All is borrowed from whoever made it, for as long as
 * the callback that hands it over lasts. */
#pragma once
#include "base/pattern.h"

#define GRANT_PATTERNS_MAX 64

enum grant_verb { GRANT_PUBLISH, GRANT_SUBSCRIBE };

struct grant {
  struct slice root; /* normalised: the path that was dialled */
  struct slice publish[GRANT_PATTERNS_MAX], subscribe[GRANT_PATTERNS_MAX];
  size_t publish_count, subscribe_count;
  uint64_t expires;             /* Unix time in seconds; 0 = never */
  bool cluster;                 /* a peer relay of ours */
  const char *source, *subject; /* for the log: "public", "jwt"; whose it is, "" = nobody's; never NULL once granted */
};

/* Adds what an absolute pattern leaves below the root; what is there already is not added again. False when there are too
 * many. */
bool grant_add(struct grant *g, enum grant_verb verb, struct slice pattern);

static inline bool grant_is_empty(const struct grant *g)
{
  return g->publish_count + g->subscribe_count == 0;
}
