/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "names.h"
#include "base/slice.h"

const char *const path_names[PATHS] = {"healthy/one", "live", "live/a", "live/a/b", "other", "other/live"};
const char *const track_names[TRACKS] = {"video", "audio"};
const char *const prefix_names[PREFIXES] = {"", "live", "live/a", "other", "nothing"};

static int number(const char *const *names, int n, struct slice name)
{
  for (int i = 0; i < n; i++) {
    if (slice_eq(name, slice_str(names[i])))
      return i;
  }
  return -1;
}

int path_number(struct slice name)
{
  return number(path_names, PATHS, name);
}

int track_number(struct slice name)
{
  return number(track_names, TRACKS, name);
}
