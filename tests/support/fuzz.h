/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all fuzz targets share. An input is `size` bytes on the heap at exactly that size; a target
 * may not keep anything from one input to the next that changes what it does. */
#pragma once
#include "base/slice.h"
#include <stdlib.h>

/* libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
static inline void check(bool ok)
{
  if (!ok)
    abort();
}
