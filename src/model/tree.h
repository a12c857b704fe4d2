/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tree of paths under an origin. Announcing costs the depth of the path and the watchers
 * concerned. */
#pragma once
#include "model/private.h"

enum watch_event { WATCH_ADDED, WATCH_CHANGED, WATCH_REMOVED };

/* Calls every watcher of b's path and what is above it. */
void tree_notify(struct broadcast *b, enum watch_event event);

/* Puts b at its path, where there is none. 0 or -ENOMEM. */
int tree_attach(struct broadcast *b);
void tree_detach(struct broadcast *b);

/* Withdraws b, which no route serves: its tracks end, or after a clean end of the last route part; watchers hear of it, it is
 * freed. */
void broadcast_remove(struct broadcast *b, bool clean, uint64_t now);
