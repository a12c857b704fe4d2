/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths that anyone may use, without a credential: patterns from the root, whatever path was dialled. A rule and the path
 * may overlap in either direction: dialling below "anon" and two stars grants everything there, above it just that. */
#pragma once
#include "auth/admission.h"

struct public_rules {
  char *patterns[2][GRANT_PATTERNS_MAX]; /* [0] publish, [1] subscribe; parsed */
  size_t count[2];
};

int public_rules_init(struct public_rules *r, const struct admission_config *config, struct err *ret_err);
void public_rules_destroy(struct public_rules *r);

/* Adds to a grant what anyone may below its root; it borrows from the rules. False when there are too many. */
bool public_rules_grant(const struct public_rules *r, struct grant *g);
