/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames for consumers that want payload only, not the bytes of a wire format. */
#pragma once
#include "base/buf.h"
#include "model/group.h"

/* The model's framing without any. */
extern const struct framing payload_framing;

/* The payload of frame i when all of it is there: where it lies, or copied together into *scratch.
 * Borrowed until the scratch is used again, or the group goes. */
bool payload_frame(const struct group *g, size_t i, struct buf *scratch, struct slice *ret_payload);
