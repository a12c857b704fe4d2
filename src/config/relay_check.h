/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#pragma once
#include "config/relay_config.h"

/* Whether the values make sense together: 0, or -EINVAL with a text that names the place of one
 * that does not and what would be right; -ENOTSUP for a version that is not there. Pure. */
int relay_config_check(const struct relay_config *c, const struct option_state *st, struct err *ret_err);

/* Whether listen.version may name it in a file that is checked; a start refuses it. */
bool relay_config_later_version(const char *name);
