/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What GET /metrics shows, in Prometheus' text format 0.0.4. */
#pragma once
#include "base/buf.h"
#include "base/limits.h"

/* A number as it is now. Rows of one name follow each other. */
struct gauge {
  const char *name, *help;
  const char *label, *label_value; /* label NULL = none; both need no escaping */
  uint64_t value;
};

struct metrics_source {
  const struct limits *counts; /* NULL = none */
  /* Fills up to `max` rows, returns their number; strings are borrowed until the next call. NULL = none. */
  size_t (*gauges)(void *ctx, struct gauge *ret_rows, size_t max);
  void *ctx;
};

#define GAUGES_MAX 64

/* Appends the text; out->failed when memory was short. */
void metrics_write(const struct metrics_source *source, struct buf *out);
