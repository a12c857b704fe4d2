/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#pragma once
#include "base/slice.h"

/* Whether s is well-formed UTF-8 (no overlong forms, surrogates, or values above U+10FFFF). */
bool utf8_valid(struct slice s);
