/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What outlives the process, in the folder `state_dir`: one file "secret", mode 0600. Stateless
 * resets and Retry and NEW_TOKEN tokens are derived from it, so a relay that comes back on the same
 * address can tell the clients of the one that crashed that their connections are gone (RFC
 * 9000, 10.3). */
#pragma once
#include "base/err.h"
#include "base/rng.h"

#define STATE_SECRET_BYTES 32

/* The secret of `dir`, made on first use together with the folder itself (mode 0700; its parent has
 * to be there). Two processes that start at the same time get the same one. Errors name the file
 * and what is wrong with it: -EPERM when others may read it, -EINVAL when it is not what we wrote.
 */
int state_secret(const char *dir, struct rng *rng, uint8_t ret_secret[STATE_SECRET_BYTES], struct err *ret_err);
