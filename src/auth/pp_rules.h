/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an issuer's tokens may grant at most. An issuer signs blindly and never sees a scope: whoever gets any token of it can
 * get one for any scope, so the limit is the relay's to set. */
#pragma once
#include "auth/grant.h"
#include "auth/pp_scope.h"
#include "base/err.h"

#define PP_RULES_MAX 64

struct pp_rule {
  struct slice issuer; /* empty: any; borrowed from the text */
  unsigned ops;        /* 1u << enum pp_op */
  char *pattern;       /* parsed; owned */
};

struct pp_rules {
  struct pp_rule list[PP_RULES_MAX];
  size_t count;
};

/* "[ISSUER ]OPERATION:PATTERN"; the texts outlive the rules. Errors quote the rule. */
int pp_rules_init(struct pp_rules *r, const char *const *texts, size_t n, struct err *ret_err);
void pp_rules_destroy(struct pp_rules *r);

/* Adds to a grant what the issuer may grant of an operation below its root; it borrows from the rules. False when there are
 * too many. */
bool pp_rules_grant(const struct pp_rules *r, struct slice issuer, enum pp_op op, struct grant *g);
