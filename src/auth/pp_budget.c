/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_budget.h"
#include "base/clock.h"
#include <netinet/in.h>
#include <string.h>

void pp_budget_init(struct pp_budget *b, uint64_t per_second, const struct rng *rng)
{
  *b = (struct pp_budget){.per_second = per_second, .seed = rng_u64(rng)};
}

static uint64_t network_of(const struct sockaddr_storage *peer)
{
  uint64_t v = 0;
  if (peer && peer->ss_family == AF_INET) {
    memcpy(&v, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    v |= 1ULL << 32; /* apart from any /64 that looks like it */
  } else if (peer && peer->ss_family == AF_INET6) {
    const struct in6_addr *a = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    bool mapped = IN6_IS_ADDR_V4MAPPED(a);
    memcpy(&v, a->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
    v |= mapped ? 1ULL << 32 : 0;
  }
  return v;
}

static uint64_t mix(uint64_t v)
{
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ULL;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebULL;
  return v ^ (v >> 31);
}

bool pp_budget_take(struct pp_budget *b, const struct sockaddr_storage *peer, uint64_t now)
{
  uint64_t *until = &b->busy_until[mix(mix(network_of(peer) ^ b->seed) + b->seed) % PP_BUDGET_SLOTS];
  uint64_t from = *until > now ? *until : now, cost = NS_PER_S / b->per_second;
  if (from + cost - now > NS_PER_S)
    return false;
  *until = from + cost;
  return true;
}
