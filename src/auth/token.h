/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Grants from signed tokens: a JWT that one of our keys has made. */
#pragma once
#include "auth/jwt.h"
#include "auth/keys.h"

/* A token that has been believed: what a grant borrows from. */
struct token {
  struct claims claims;
  char subject[JWK_KID_MAX + CLAIMS_SUBJECT_MAX + 16]; /* "kid=a sub=b", as far as there is any */
};

struct token_check {
  struct keys *keys;
  uint64_t leeway_s; /* how far clocks may be apart */
  uint64_t wall_s;   /* Unix time */
  uint64_t now;      /* ns, monotonic */
};

/* Fills a grant whose root is set. 0; -EPERM and *ret_why, a text for the log that has nothing of the token in it. The grant
 * borrows from *ret_token, which is the caller's to destroy after success. */
int token_grant(const struct token_check *check, struct slice text, struct token *ret_token, struct grant *g,
                const char **ret_why);
void token_destroy(struct token *t);
