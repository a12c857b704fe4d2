/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "alloc.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

long alloc_live, alloc_left = -1;
volatile int alloc_spare; /* volatile: compilers know that allocators read nothing */

static void *counted(void *p)
{
  alloc_live += p != NULL;
  return p;
}

static bool fails(void)
{
  return alloc_left >= 0 && alloc_spare == 0 && alloc_left-- == 0;
}

void *__wrap_malloc(size_t n)
{
  return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t m)
{
  return fails() ? NULL : counted(__real_calloc(n, m));
}

void *__wrap_realloc(void *p, size_t n)
{
  if (fails())
    return NULL;
  return p ? __real_realloc(p, n) : counted(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
  alloc_live -= p != NULL;
  __real_free(p);
}

char *__wrap_strndup(const char *s, size_t n)
{
  n = strnlen(s, n);
  char *p = __wrap_malloc(n + 1);
  if (p) {
    memcpy(p, s, n);
    p[n] = '\0';
  }
  return p;
}

char *__wrap_strdup(const char *s)
{
  return __wrap_strndup(s, strlen(s));
}
