/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What bounds a session beyond the size of one thing: paths, the pace of requests, what is unfinished. */
#include "session/lite/internal.h"
#include <errno.h>

/* Unfinished bytes that a session may have whatever the others have; more of them only as long as it leaves as much to
 * others, so that no few sessions take all there is. */
#define PARTIAL_FREE 4096u
#define BURST_NS (2 * NS_PER_S) /* requests that may come at once: as many as the pace allows in this time */

void lite_limits_default(struct lite_limits *ret_limits)
{
  *ret_limits = (struct lite_limits){
      .announces = 1000,
      .requests = 1000,
      .tracks = 1000,
      .fetches = 256,
      .fetches_total = 20000,
      .requests_per_second = 1000,
      .announce_streams = 32,
      .announce_entries = 10000,
      .path_parts = PATH_PARTS_MAX,
      .path_bytes = PATH_BYTES_MAX,
      .message_bytes = 64u << 10,
      .partial_bytes = 16u << 20,
      .queue_bytes = 4u << 20,
      .session_queue_bytes = 16u << 20,
      .groups = 4096,
      .setup_timeout_ns = 10 * NS_PER_S,
      .message_timeout_ns = 10 * NS_PER_S,
  };
}

void session_limit(const struct lite_session *s, enum limit limit)
{
  limit_hit(s->env->counts, limit, session_now(s), "session=%llu", (unsigned long long)s->id);
}

static unsigned parts_of(struct slice path)
{
  struct slice part;
  unsigned n = 0;
  while (path_part(&path, &part))
    n++;
  return n;
}

bool session_path_fits(const struct lite_session *s, struct slice path)
{
  const struct lite_limits *l = &s->env->limits;
  bool many = parts_of(path) > l->path_parts;
  if (!many && path.n <= l->path_bytes)
    return true;
  session_limit(s, many ? LIMIT_PATH_PARTS : LIMIT_PATH_BYTES);
  return false;
}

int session_path(const struct lite_session *s, struct path *ret_path, struct slice raw)
{
  struct path p;
  int rc = path_parse(&p, raw);
  if (rc == 0 && !session_path_fits(s, path_slice(&p)))
    return -ENAMETOOLONG;
  if (rc == -ENAMETOOLONG)
    session_limit(s, raw.n > PATH_BYTES_MAX ? LIMIT_PATH_BYTES : LIMIT_PATH_PARTS);
  if (rc == 0)
    *ret_path = p;
  return rc;
}

bool session_keep(struct lite_session *s, size_t *kept, size_t n)
{
  struct lite_totals *all = s->env->totals;
  bool more = n > *kept;
  s->partial += n - *kept;
  if (all)
    all->partial_bytes += n - *kept;
  *kept = n;
  if (!more || !all || s->partial <= PARTIAL_FREE || all->partial_bytes + s->partial <= s->env->limits.partial_bytes)
    return true;
  session_limit(s, LIMIT_PARTIAL_BYTES);
  return false;
}

/* ---- requests ---- */

void session_count_request(struct lite_session *s, enum lite_stream type, int by)
{
  struct lite_totals *all = s->env->totals;
  s->open[type] += (uint32_t)by;
  if (all)
    all->open[type] += (uint32_t)by;
}

bool session_has_room(struct lite_session *s, enum lite_stream type)
{
  const struct lite_limits *l = &s->env->limits;
  const uint32_t *all = s->env->totals ? s->env->totals->open : s->open;
  const struct {
    bool meant;
    uint32_t open, max;
    enum limit limit;
  } rows[] = {
      {true, s->request_count[false], l->requests, LIMIT_SUBSCRIPTIONS},
      {type == LITE_STREAM_FETCH, s->open[type], l->fetches, LIMIT_SESSION_FETCHES},
      {type == LITE_STREAM_FETCH, all[type], l->fetches_total, LIMIT_FETCHES_TOTAL},
      {type == LITE_STREAM_ANNOUNCE, s->open[type], l->announce_streams, LIMIT_ANNOUNCE_STREAMS},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].meant && rows[i].open >= rows[i].max) {
      session_limit(s, rows[i].limit);
      return false;
    }
  }
  return true;
}

static uint64_t request_ns(const struct lite_session *s)
{
  return NS_PER_S / s->env->limits.requests_per_second;
}

/* `paced` is when the requests so far would have come at an even pace. */
uint64_t session_request_at(const struct lite_session *s)
{
  return s->paced > BURST_NS ? s->paced - BURST_NS : 0;
}

void session_requested(struct lite_session *s, uint64_t n)
{
  uint64_t now = session_now(s), ns = request_ns(s), most = ns > 0 ? BURST_NS / ns : UINT64_MAX;
  s->paced = (s->paced > now ? s->paced : now) + (n < most ? n : most) * ns;
}
