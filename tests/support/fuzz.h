/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all fuzz targets share. An input is `size` bytes on the heap at exactly that size; a target
 * may not keep anything from one input to the next that changes what it does. */
#pragma once
#include "base/slice.h"
#include "support/oom.h"
#include <stdlib.h>

/* libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. Where an allocation has failed only memory is looked after: the code that follows
 * must bear that it does not hold. */
static inline void check(bool ok)
{
  if (!ok && !oom_failed())
    abort();
}

/* A target's own memory, never NULL: the second try goes well where allocations fail on purpose. */
static inline void *fuzz_alloc(size_t n)
{
  void *p = malloc(n ? n : 1);
  if (!p)
    p = malloc(n ? n : 1);
  if (!p)
    abort();
  return p;
}

/* The input with a NUL after it; free() it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
  char *text = fuzz_alloc(size + 1);
  if (size > 0)
    memcpy(text, data, size);
  text[size] = '\0';
  return text;
}
