/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The model's framing for consumers that want payload only, not the bytes of a wire format. */
#pragma once
#include "model/group.h"

extern const struct framing payload_framing;
