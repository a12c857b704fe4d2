/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cmocka wants these in front of it, in this order. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
