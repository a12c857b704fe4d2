/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths that anyone may use, without a credential. A rule and the dialled path may overlap in
 * either direction: dialling below a prefix grants everything there, dialling above it grants the
 * prefix. */
#pragma once
#include "auth/admission.h"

struct public_rules {
  char *prefixes[2][GRANT_PREFIXES_MAX]; /* [0] publish, [1] subscribe; normalised */
  size_t count[2];
};

int public_rules_init(struct public_rules *r, const struct admission_config *config, struct err *ret_err);
void public_rules_destroy(struct public_rules *r);

/* Fills the prefixes of a grant for a normalised path; they borrow from the rules. */
void public_rules_grant(const struct public_rules *r, struct slice path, struct grant *ret_grant);
