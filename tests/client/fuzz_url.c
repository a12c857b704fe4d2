/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of relay URLs, and of what they and any other text become in a line of JSON. */
#include "client/json_line.h"
#include "client/url.h"
#include "support/fuzz.h"
#include <jansson.h>

static void check_url(const char *text)
{
  struct relay_url url;
  struct err err = {""};
  if (relay_url_parse(text, &url, &err) < 0) {
    check(err.text[0] != '\0');
    return;
  }
  check(url.host[0] != '\0' && url.path[0] == '/' && !strchr(url.path, '#'));
  long port = strtol(url.port, NULL, 10);
  check(port > 0 && port < 65536);
}

static void check_line(struct slice text)
{
  struct buf b = {0};
  json_begin(&b);
  json_text(&b, "text", text);
  json_base64(&b, "bytes", text);
  json_number(&b, "n", text.n);
  json_end(&b);
  check(!b.failed && b.n > 0 && b.p[b.n - 1] == '\n' && !memchr(b.p, '\n', b.n - 1));
  json_t *line = json_loadb((const char *)b.p, b.n, JSON_ALLOW_NUL, NULL);
  check(json_is_string(json_object_get(line, "text")) && json_is_string(json_object_get(line, "bytes")));
  json_decref(line);
  buf_destroy(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = fuzz_text(data, size);
  check_url(text);
  free(text);
  check_line(slice_of(data, size));
  return 0;
}
