/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Allocations of the product, counted, and failed on request; the linker puts these before the C library's, and the
 * simulation's own files go by them (see meson.build). */
#pragma once

extern long alloc_live;          /* that have not been freed */
extern long alloc_left;          /* until the one that fails; negative: none does */
extern volatile int alloc_spare; /* above 0 while the simulation uses the product's code for itself */
