/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "load.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t field(const char *path, const char *name)
{
  char line[256];
  unsigned long long v = 0;
  FILE *f = fopen(path, "r");
  if (!f)
    return 0;
  while (fgets(line, sizeof line, f)) {
    if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), ":%llu", &v) == 1)
      break;
  }
  fclose(f);
  return v;
}

/* schedstat counts nanoseconds; where the kernel has none, stat counts ticks. */
static uint64_t thread_cpu_ns(pid_t pid, const char *tid)
{
  char path[100];
  unsigned long long ns = 0, user = 0, sys = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", (int)pid, tid);
  FILE *f = fopen(path, "r");
  if (f) {
    int n = fscanf(f, "%llu", &ns);
    fclose(f);
    if (n == 1 && ns > 0)
      return ns;
  }
  snprintf(path, sizeof path, "/proc/%d/task/%.16s/stat", (int)pid, tid);
  f = fopen(path, "r");
  if (!f)
    return 0;
  int n = fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys);
  fclose(f);
  return n == 2 ? (user + sys) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK)) : 0;
}

bool proc_usage(pid_t pid, struct proc_usage *ret_usage)
{
  char path[100];
  struct proc_usage u = {0};
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *d = opendir(path);
  if (!d)
    return false;
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.')
      continue;
    u.cpu_ns += thread_cpu_ns(pid, e->d_name);
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/status", (int)pid, e->d_name);
    u.switches += field(path, "voluntary_ctxt_switches");
  }
  closedir(d);
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  u.rss_kb = field(path, "VmRSS");
  *ret_usage = u;
  return u.rss_kb > 0;
}

uint64_t proc_own_cpu_ns(void)
{
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return ((uint64_t)r.ru_utime.tv_sec + (uint64_t)r.ru_stime.tv_sec) * NS_PER_S +
         ((uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec) * 1000;
}
