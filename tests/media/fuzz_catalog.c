/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target: lines of any bytes as the frames of one group of the catalog track. */
#include <string.h>

#include "media/catalog.h"
#include "support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct catalog_stream s = {0};
  const char *at = (const char *)data, *end = at + size;
  for (uint64_t index = 0; at < end; index++) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    struct catalog c;
    if (!stop)
      stop = end;
    if (catalog_stream_frame(&s, index, at, (size_t)(stop - at), &c) == 0) {
      char *json;
      size_t len;
      if (catalog_encode(&c, &json, &len) == 0)
        free(json);
      catalog_destroy(&c);
    }
    at = stop == end ? end : stop + 1;
  }
  catalog_stream_destroy(&s);
  return 0;
}
