/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/values.h"
#include <stdio.h>
#include <unistd.h>

/* "max" in the file, like a missing file, is no limit. */
static uint64_t control_group_limit(void)
{
  unsigned long long limit = 0;
  FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
  if (!f)
    return UINT64_MAX;
  if (fscanf(f, "%llu", &limit) != 1 || limit == 0)
    limit = UINT64_MAX;
  fclose(f);
  return limit;
}

uint64_t memory_total(void)
{
  uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES), size = (uint64_t)sysconf(_SC_PAGESIZE);
  uint64_t limit = control_group_limit();
  return pages * size < limit ? pages * size : limit;
}
