/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/tidy.h"

static bool halved(size_t most, size_t now, size_t least)
{
  return now <= most / 2 && most - now >= least;
}

bool tidy_due(struct tidy *t, size_t sessions, size_t cached)
{
  if (sessions > t->sessions)
    t->sessions = sessions;
  if (cached > t->cached)
    t->cached = cached;
  bool due = halved(t->sessions, sessions, TIDY_SESSIONS_MIN) || halved(t->cached, cached, TIDY_BYTES_MIN);
  if (due)
    *t = (struct tidy){sessions, cached};
  return due;
}
