/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_carried.h"
#include "auth/pp_header.h"
#include <errno.h>

/* Takes one more token over; it has to be the one that there is. */
static int join(struct buf *out, struct buf *token, int rc)
{
  if (rc == 0 && out->n > 0 && !slice_eq(buf_slice(out), buf_slice(token)))
    rc = -EINVAL;
  if (rc == 0 && out->n == 0)
    buf_bytes(out, buf_slice(token));
  if (rc == 0 && out->failed)
    rc = -ENOMEM;
  buf_destroy(token);
  return rc == -ENOENT ? 0 : rc;
}

static int read_setup(struct slice value, struct buf *token)
{
  struct slice bytes;
  if (value.n == 0)
    return -ENOENT;
  int rc = pp_setup_decode(value, PP_MOQT_TOKEN_TYPE, &bytes);
  if (rc < 0 || bytes.n == 0)
    return -EINVAL;
  buf_bytes(token, bytes);
  return token->failed ? -ENOMEM : 0;
}

static int read_query(const char *query, struct buf *out)
{
  int rc = 0;
  while (query && *query && rc == 0) {
    size_t n = strcspn(query, "&");
    struct buf token = {0};
    if (n > 3 && strncmp(query, "pp=", 3) == 0)
      rc = join(out, &token, pp_base64_decode(&token, slice_of(query + 3, n - 3)));
    query += n + (query[n] == '&');
  }
  return rc;
}

int pp_carried_read(const struct pp_carried *c, struct buf *out)
{
  struct buf token = {0};
  int rc = join(out, &token, read_setup(c->setup, &token));
  token = (struct buf){0};
  if (rc == 0 && c->header)
    rc = join(out, &token, pp_header_read_token(slice_str(c->header), &token));
  if (rc == 0)
    rc = read_query(c->query, out);
  return rc == 0 && out->n == 0 ? -ENOENT : rc;
}
