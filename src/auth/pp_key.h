/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A public key of a Privacy Pass issuer: RSASSA-PSS, 2048 bits, SHA-384, salt of 48 bytes (RFC 9578 6.5), and nothing else:
 * a key with another salt would accept tokens of another kind. Read-only once made: any thread may verify. */
#pragma once
#include "auth/pp_token.h"
#include "base/err.h"

#define PP_KEY_TEXT_MAX (16u << 10) /* of a key file */

struct pp_key;

/* From DER as the issuer published it: the key's id is the digest of exactly these bytes. 0; -EINVAL and why; -ENOMEM. */
int pp_key_new(struct slice spki, struct pp_key **ret_key, struct err *ret_err);
/* From a key file: base64url of the DER, padded or not, or PEM. A PEM of an ordinary RSA key stands for the RSASSA-PSS key of
 * the same numbers. Errors as above. */
int pp_key_parse(struct slice text, struct pp_key **ret_key, struct err *ret_err);
void pp_key_free(struct pp_key *key);

const uint8_t *pp_key_id(const struct pp_key *key); /* PP_KEY_ID_BYTES */
struct slice pp_key_spki(const struct pp_key *key);

/* Whether `signature` is the key's over `input` (RFC 9578 6.4). */
bool pp_key_verify(const struct pp_key *key, struct slice input, struct slice signature);
