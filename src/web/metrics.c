/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "web/metrics.h"
#include "web/exchange.h"
#include <inttypes.h>

#define CONTENT_TYPE "text/plain; version=0.0.4"

static void family(struct buf *out, const char *name, const char *help, const char *type)
{
  buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct buf *out, const char *name, const char *label, const char *label_value, uint64_t value)
{
  if (label)
    buf_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, label_value, value);
  else
    buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void write_limits(const struct limits *l, struct buf *out)
{
  static const char name[] = "moq_relay_limit_hits_total";
  family(out, name, "Requests and peers that were over a limit.", "counter");
  for (unsigned i = 0; i < LIMITS; i++)
    sample(out, name, "limit", limit_name((enum limit)i), l->hits[i]);
}

static void write_gauges(const struct gauge *rows, size_t n, struct buf *out)
{
  for (size_t i = 0; i < n; i++) {
    if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
      family(out, rows[i].name, rows[i].help, "gauge");
    sample(out, rows[i].name, rows[i].label, rows[i].label_value, rows[i].value);
  }
}

void metrics_write(const struct metrics_source *source, struct buf *out)
{
  struct gauge rows[GAUGES_MAX];
  if (source->counts)
    write_limits(source->counts, out);
  if (source->gauges)
    write_gauges(rows, source->gauges(source->ctx, rows, GAUGES_MAX), out);
}

void metrics_endpoint(struct exchange *x, char *rest)
{
  struct buf text = {0};
  struct MHD_Response *r = NULL;
  (void)rest;
  metrics_write(exchange_config(x)->metrics, &text);
  if (!text.failed)
    r = MHD_create_response_from_buffer(text.n, text.p, MHD_RESPMEM_MUST_COPY);
  buf_destroy(&text);
  if (r)
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_TYPE);
  exchange_answer(x, MHD_HTTP_OK, r);
}
