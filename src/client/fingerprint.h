/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fetches http://HOST:PORT/certificate.sha256 on libuv's thread pool, so that the loop does not
 * wait. */
#pragma once
#include "net/worker.h"

struct fingerprint_job;

enum fingerprint_result {
  FINGERPRINT_GOT,
  FINGERPRINT_UNKNOWN_HOST,
  FINGERPRINT_UNREACHABLE,
  FINGERPRINT_REFUSED, /* the server has none */
  FINGERPRINT_FAILED
};

/* done comes once, on the loop, with 64 hex digits or an error's text. NULL without memory. */
struct fingerprint_job *fingerprint_fetch(struct worker *worker, const char *host, const char *port,
                                          void (*done)(void *ctx, enum fingerprint_result result, const char *text),
                                          void *ctx);
/* done is not wanted any more. NULL is fine. */
void fingerprint_cancel(struct fingerprint_job *job);
