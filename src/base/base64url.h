/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base64url without padding (RFC 4648, section 5), as tokens and keys use it. */
#pragma once
#include "base/buf.h"

/* Appends the text of `data`. */
void base64url_encode(struct buf *out, struct slice data);

/* Appends the bytes of `text`. 0; -EINVAL for any character that is not of the alphabet ('=' and white space included), a
 * length that no bytes have, or bits left over at the end that are not 0: one text for each value, so that what is signed
 * cannot be written in two ways. -ENOMEM. On failure `out` has some of it. */
int base64url_decode(struct buf *out, struct slice text);
