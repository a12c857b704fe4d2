/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Privacy Pass on the wire: challenges and tokens of type 0x0002 (RFC 9577, RFC 9578), and what carries a token in SETUP
 * (draft-ietf-moq-privacy-pass-auth, draft-ietf-moq-transport). Pure; integers are big-endian. */
#pragma once
#include "base/buf.h"
#include "base/cursor.h"

#define PP_TYPE 0x0002 /* blind RSA, 2048 bits */
#define PP_NONCE_BYTES 32
#define PP_DIGEST_BYTES 32
#define PP_KEY_ID_BYTES 32
#define PP_CONTEXT_BYTES 32
#define PP_SIGNATURE_BYTES 256
#define PP_SIGNED_BYTES (2 + PP_NONCE_BYTES + PP_DIGEST_BYTES + PP_KEY_ID_BYTES)
#define PP_TOKEN_BYTES (PP_SIGNED_BYTES + PP_SIGNATURE_BYTES)

/* What a token is asked for (TokenChallenge, RFC 9577 2.1.1). */
struct pp_challenge {
  uint16_t type;
  struct slice issuer;  /* host or host:port, at least a byte */
  struct slice context; /* empty or PP_CONTEXT_BYTES */
  struct slice origin_info;
};

/* Of any type. 0; -EINVAL. Borrows from `bytes`. */
int pp_challenge_decode(struct slice bytes, struct pp_challenge *ret_challenge);
/* Appends it. What does not fit its length marks `out` as failed. */
void pp_challenge_encode(struct buf *out, const struct pp_challenge *c);

/* The token (RFC 9577 2.2.1). A token says of its challenge no more than the digest. */
struct pp_token {
  struct slice nonce, digest, key_id, signature;
  struct slice input; /* what is signed: all before the signature */
};

/* Exactly the bytes of one token. 0; -EPROTONOSUPPORT for another type, whatever its length, -EINVAL. Borrows. */
int pp_token_decode(struct slice bytes, struct pp_token *ret_token);

/* draft-ietf-moq-privacy-pass-auth has not been given its numbers yet; the one that a Token structure names a Privacy Pass
 * token with. While it is none, only the framing of draft version 01 is read. */
#define PP_MOQT_TOKEN_TYPE_NONE UINT64_MAX
#define PP_MOQT_TOKEN_TYPE PP_MOQT_TOKEN_TYPE_NONE

/* The token in the value of SETUP's parameter 3. Two forms: scheme 1, u16 length, token (draft version 01, deployed clients);
 * or the Token structure of moq-transport with USE_VALUE and `token_type`. 0; -EINVAL. Borrows. */
int pp_setup_decode(struct slice value, uint64_t token_type, struct slice *ret_token);
/* The first form. */
void pp_setup_encode(struct buf *out, struct slice token);
