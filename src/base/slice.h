/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Borrowed bytes. A slice owns nothing; whoever hands one out says how long it lives. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
  const uint8_t *p;
  size_t n;
};

static inline struct slice slice_of(const void *p, size_t n)
{
  return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
  return (struct slice){(const uint8_t *)s, strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
  return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline struct slice slice_from(struct slice s, size_t at)
{
  return (struct slice){at ? s.p + at : s.p, s.n - at};
}

/* For printf("%.*s", SLICE_FMT(s)). */
#define SLICE_FMT(s) (int)(s).n, (const char *)(s).p
