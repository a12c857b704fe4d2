/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/oom.h"
#include <limits.h>
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

const volatile int *oom_spared;

static long counted, from = LONG_MAX, to = LONG_MAX; /* those from `from` on fail, up to `to` */
static bool failed;

void oom_after(long n, long count)
{
  counted = 0;
  from = n;
  to = count < LONG_MAX - n ? n + count : LONG_MAX;
  failed = false;
}

bool oom_end(void)
{
  from = to = LONG_MAX;
  return failed;
}

bool oom_armed(void)
{
  return from != LONG_MAX;
}

bool oom_failed(void)
{
  return failed;
}

long oom_count(void)
{
  return counted;
}

bool oom_fails(void)
{
  if (oom_spared && *oom_spared > 0)
    return false;
  long n = counted++;
  if (n < from || n >= to)
    return false;
  return failed = true;
}

void *__wrap_malloc(size_t n)
{
  return oom_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
  return oom_fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
  return oom_fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
  return oom_fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
  return oom_fails() ? NULL : __real_strndup(s, n);
}
