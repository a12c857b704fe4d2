/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Broadcasts and tracks of the simulation, by number. */
#pragma once

enum { PATH_HEALTHY, PATHS = 6, TRACKS = 2, PREFIXES = 5 };
extern const char *const path_names[PATHS], *const track_names[TRACKS], *const prefix_names[PREFIXES];

struct slice;
int path_number(struct slice name);  /* -1 = none */
int track_number(struct slice name); /* -1 = none */
