/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One JSON object as one line, for programs that read the client's output. No nesting. Bytes that
 * are no UTF-8 become U+FFFD, so that every line parses whatever a peer names its things. A failed
 * allocation shows in buf.failed. */
#pragma once
#include "base/buf.h"

void json_begin(struct buf *b);
void json_text(struct buf *b, const char *key, struct slice text);
void json_base64(struct buf *b, const char *key, struct slice data); /* RFC 4648, section 4 */
void json_number(struct buf *b, const char *key, uint64_t value);
void json_bool(struct buf *b, const char *key, bool value);
/* With the newline. */
void json_end(struct buf *b);
