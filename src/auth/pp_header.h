/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Privacy Pass in HTTP (RFC 9577 2.1.2, 2.2.2): WWW-Authenticate with a challenge, Authorization with a token; base64url with
 * padding, quoted. Pure. */
#pragma once
#include "base/buf.h"

/* A PrivateToken challenge of a WWW-Authenticate header. */
struct pp_asked {
  struct buf challenge, key; /* decoded; key is empty when it was not given */
};
void pp_asked_destroy(struct pp_asked *a); /* a zeroed one is fine */

/* Appends `PrivateToken challenge="...", token-key="...", max-age=N`: deployed clients want all three and this spelling. */
void pp_header_ask(struct buf *out, struct slice challenge, struct slice key, unsigned max_age_s);
/* The first PrivateToken challenge in the header. 0; -ENOENT when there is none, -EINVAL, -ENOMEM. */
int pp_header_read_ask(struct slice header, struct pp_asked *ret_asked);

/* Appends `PrivateToken token="..."`. */
void pp_header_token(struct buf *out, struct slice token);
/* Reads an Authorization header liberally: scheme in any case, quoted or bare, padded or not; a second token is malformed.
 * Appends the token's bytes. 0; -ENOENT for another scheme, -EINVAL, -ENOMEM. */
int pp_header_read_token(struct slice header, struct buf *out);

/* base64url as the above have it. Padding may be missing, not wrong. Appends; errors of base64url_decode. */
int pp_base64_decode(struct buf *out, struct slice text);
void pp_base64_encode(struct buf *out, struct slice data); /* padded */
