/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whether a token lets somebody in: the checks, in their order. Cheap ones first; the signature last, and only then the token
 * is spent. Which keys and challenges there are is told by who asks. Worker's thread. */
#pragma once
#include "auth/pp_key.h"
#include "auth/pp_scope.h"
#include "auth/pp_spent.h"

enum pp_verdict {
  PP_OK,
  PP_MALFORMED,
  PP_OTHER_TYPE,
  PP_NO_KEY,
  PP_NO_CHALLENGE,
  PP_EXPIRED,
  PP_OTHER_SCOPE,
  PP_REPLAYED,
  PP_BUSY,
  PP_BAD_SIGNATURE,
  PP_STORE_FULL,
  PP_STORE_BROKEN,
  PP_VERDICTS
};

struct pp_verdict_row {
  const char *name; /* a word, for counters and tests */
  const char *why;  /* for the log; nothing of the token */
  uint16_t code;    /* of REQUEST_ERROR in draft-ietf-moq-privacy-pass-auth-03; 0 = none */
  int status;       /* HTTP */
};
const struct pp_verdict_row *pp_verdict_row(enum pp_verdict v);

struct pp_known {
  struct pp_scope scope; /* of the challenge; borrowed from who told it, until the check is over */
  uint64_t expires_s;    /* Unix time from which on the challenge is not accepted; PP_SPENT_NEVER */
};

struct pp_check_ops {
  /* The key with this id (PP_KEY_ID_BYTES), NULL when none is held, and whose it is. */
  const struct pp_key *(*key)(void *ctx, const uint8_t *id, const void **ret_issuer);
  /* The challenge with this digest (PP_DIGEST_BYTES), if that issuer's tokens for it are accepted: PP_OK, PP_NO_CHALLENGE,
   * PP_EXPIRED. */
  enum pp_verdict (*challenge)(void *ctx, const void *issuer, const uint8_t *digest, struct pp_known *ret_known);
  /* Whether the issuer may grant the operation there at all. */
  bool (*may)(void *ctx, const void *issuer, enum pp_op op);
  /* Whether a signature may be checked now. */
  bool (*budget)(void *ctx);
};

struct pp_check {
  const struct pp_check_ops *ops;
  void *ctx;
  struct pp_spent *spent;
  unsigned wanted; /* 1u << enum pp_op: any of them will do */
  struct slice namespace;
  const struct slice *track; /* NULL = none is asked for */
  uint64_t wall_s;
};

/* On PP_OK the token has been spent, and *ret_op is what it grants. */
enum pp_verdict pp_check(const struct pp_check *check, struct slice token, enum pp_op *ret_op);
