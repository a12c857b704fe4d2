/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Allocations that fail when a test says so. The linker sends those of our own code through here (oom_link_args of
 * tests/support/meson.build); those inside libraries are untouched. One thread. */
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From now on allocations are counted; after n that go well the next `count` fail. */
void oom_after(long n, long count);
/* From now on none fails. Whether one did since oom_after. */
bool oom_end(void);
/* Whether one may fail: between oom_after and oom_end. */
bool oom_armed(void);
/* Whether one has failed since oom_after. */
bool oom_failed(void);
/* How many there were since oom_after. */
long oom_count(void);
/* Not NULL: while it is above 0 allocations are neither counted nor failed, for the test's own ones. Volatile, because
 * compilers know that malloc reads nothing. */
extern const volatile int *oom_spared;

/* Counts one, for other allocators: whether it fails. */
bool oom_fails(void);

#ifdef __cplusplus
}
#endif
