/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* URLs of relays: https:// is WebTransport; http:// is WebTransport whose certificate hash comes
 * from /certificate.sha256 at the same host and port over plain HTTP; moql:// and moqt:// are raw
 * QUIC. */
#pragma once
#include "base/err.h"
#include <stdbool.h>

struct relay_url {
  char host[256]; /* without brackets */
  char port[6];
  char path[1024]; /* path and query, begins with '/' */
  bool webtransport, fetch_fingerprint;
};

/* 0 or -EINVAL with a text that quotes the URL's faulty part. */
int relay_url_parse(const char *text, struct relay_url *ret_url, struct err *ret_err);
