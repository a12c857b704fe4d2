/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Helpers of the option engine; see options.h for the public parsers. */
#pragma once
#include "config/options.h"

/* 0; -EINVAL no number; -ERANGE outside min..max (max 0 = none). */
int parse_integer(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int parse_bool(const char *text, bool *ret);
int strlist_add(struct strlist *l, const char *text, size_t n); /* copies; -ENOMEM */
void strlist_clear(struct strlist *l);

/* Bytes of memory that this machine or, if it is less, this control group has. */
uint64_t memory_total(void);
