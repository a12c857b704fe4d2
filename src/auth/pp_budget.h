/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How many signatures an address may have checked. A table of a fixed size: addresses (IPv6: /64) that fall into the same slot
 * share what it has. Worker's thread. */
#pragma once
#include "base/rng.h"
#include <stdbool.h>
#include <sys/socket.h>

#define PP_BUDGET_SLOTS 8192

struct pp_budget {
  uint64_t per_second; /* also what may come at once */
  uint64_t seed;       /* so that nobody can choose whom to share with */
  uint64_t busy_until[PP_BUDGET_SLOTS];
};

/* per_second > 0. */
void pp_budget_init(struct pp_budget *b, uint64_t per_second, const struct rng *rng);

/* Takes one. False when there is none left. `peer` NULL: an address of its own. */
bool pp_budget_take(struct pp_budget *b, const struct sockaddr_storage *peer, uint64_t now);
