/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* When to give free memory back to the system. An allocator keeps what many sessions or a large
 * cache have left behind, since pages in use lie between; asking it for more than it does by itself
 * takes some milliseconds, so it is asked when much has gone and rarely. Pure: the owner looks at
 * intervals, and does what is due. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define TIDY_SESSIONS_MIN 100 /* less than that is not worth the while */
#define TIDY_BYTES_MIN ((size_t)16 << 20)

/* Zero-initialise. The most that was seen since free memory was given back last. */
struct tidy {
  size_t sessions, cached;
};

/* Notes what is in use now, or was at most: connections, and bytes of the cache and of QUIC. True when it is half of what it was,
 * or less: give free memory back now. */
bool tidy_due(struct tidy *t, size_t sessions, size_t cached);
