/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages whose fields are chosen by bytes: what a fuzzer says that knows the language. It walks the codec's own
 * tables, so it speaks every version there is. */
#pragma once
#include "base/buf.h"
#include "base/cursor.h"
#include "wire/lite/tables.h"

/* Names that strings of messages choose from, besides bytes of the input itself; "" ends it. */
extern const char *const compose_names[];

/* Small numbers mostly, sometimes one at the edge of something, sometimes any. */
uint64_t compose_number(struct cursor *c);
/* A name, or bytes of the input. Borrowed. */
struct slice compose_text(struct cursor *c);

/* Appends message m with fields taken from c. 0, or the encoder's error: the fields do not go together, or the version has no
 * such message. */
int compose_message(enum lite_version v, enum lite_msg m, struct cursor *c, struct buf *out);
