/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of what an auth server says and is told. Byte 0 chooses: two answers with a 0xff between them, or what a
 * client gave: a URL, a query and a token. */
#include "auth/server_grant.h"
#include "auth/server_request.h"
#include "support/fuzz.h"
#include <jansson.h>

#define WALL_S 1700000000

static bool parse(struct slice body, struct server_grant *ret)
{
  const char *why = NULL;
  int rc = server_grant_parse(body, slice_str("a/b"), WALL_S, ret, &why);
  check(rc == 0 || why != NULL);
  if (rc < 0)
    return false;
  check(ret->publish_count + ret->subscribe_count > 0);
  check(ret->expires == 0 || ret->expires > WALL_S);
  check(!server_grant_change(ret, ret));
  return true;
}

static void fuzz_answers(struct slice in)
{
  const uint8_t *cut = in.n > 0 ? memchr(in.p, 0xff, in.n) : NULL;
  size_t n = cut ? (size_t)(cut - in.p) : in.n;
  struct server_grant held = {0}, fresh = {0};
  if (parse(slice_of(in.p, n), &held) && cut && parse(slice_from(in, n + 1), &fresh))
    server_grant_change(&held, &fresh);
  server_grant_destroy(&held);
  server_grant_destroy(&fresh);
}

/* Whatever a client gave, what is sent is JSON with no member twice. */
static void fuzz_request(struct slice in)
{
  char *text = fuzz_text(in.p, in.n), *query = strchr(text, '\n'), *bearer = query ? strchr(query + 1, '\n') : NULL;
  struct buf facts = {0}, body = {0};
  if (query)
    *query++ = '\0';
  if (bearer)
    *bearer++ = '\0';
  struct admission_request r = {.transport = "quic", .url = text, .query = query, .host = text, .bearer = bearer};
  if (server_facts(&r, "edge", &facts) == 0) {
    server_body(SERVER_CONNECT, "00ff", buf_slice(&facts), NULL, 0, &body);
    json_t *o = body.failed ? NULL : json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
    check(o != NULL);
    json_decref(o);
  }
  buf_destroy(&facts);
  buf_destroy(&body);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static void (*const parts[])(struct slice) = {fuzz_answers, fuzz_request};
  if (size > 0)
    parts[data[0] % 2](slice_of(data + 1, size - 1));
  return 0;
}
