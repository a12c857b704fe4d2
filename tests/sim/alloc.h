/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Allocations, counted; the linker puts this before the C library's (see meson.build). */
#pragma once

extern long alloc_live; /* that have not been freed */
