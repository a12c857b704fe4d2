/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The relay's inside, for the files that it is made of: relay.c puts it together and ends it, listeners.c opens what
 * clients come through, gauges.c knows what it holds. Worker's thread. */
#pragma once
#include "model/origin.h"
#include "net/quic.h"
#include "relay/guest.h"
#include "relay/memory.h"
#include "relay/relay.h"
#include "relay/state.h"
#include "relay/tidy.h"
#include "web/http.h"

#define LISTENERS_MAX 16
#define VERSIONS_MAX 8

struct relay {
  const struct relay_config *config;
  const struct log *log;
  struct rng rng;
  struct worker worker;
  struct model model;
  struct origin *origin;
  struct deferred model_work;
  struct admission *admission;
  struct tls_server *tls, *https_tls; /* of QUIC, of HTTPS */
  struct timer renew, drain, look;    /* look: whether memory can be given back */
  struct tidy tidy;
  struct memory memory;
  struct limits counts;
  struct quic_endpoint *endpoints[LISTENERS_MAX];
  size_t endpoint_count;
  struct http_server *http, *https, *internal;
  struct metrics_source metrics;
  struct lite_totals totals;
  struct guests guests;
  const char *versions[VERSIONS_MAX + 1]; /* spoken, our order; NULL-terminated */
  const char *alpn[VERSIONS_MAX + 2];     /* the same and "h3" */
  unsigned legacy;                        /* versions of the SETUP exchange, a bit each */
  uint8_t secret[STATE_SECRET_BYTES];
  bool http_busy, https_busy; /* while draining: requests are being answered */
  enum { RUNNING, DRAINING, CLOSING } stage;
  void (*ended)(void *ctx);
  void *ended_ctx;
};

static inline bool is_on(const char *listen)
{
  return listen && listen[0] != '\0';
}

/* -- listeners.c -- */

/* The versions that may be spoken, by listen.version. */
void relay_choose_versions(struct relay *r);
/* Each opens its listeners and says so on the log; errors name the address. HTTP after QUIC, whose port it takes. */
int relay_start_quic(struct relay *r, struct err *ret_err);
int relay_start_http(struct relay *r, struct err *ret_err);
int relay_start_internal(struct relay *r, struct err *ret_err);

/* -- gauges.c -- */

/* Begins to look at what could be given back, and at memory.max: the latter once all listeners are open. */
void relay_start_tidy(struct relay *r);
void relay_start_memory(struct relay *r);
/* Whether somebody new has to be refused; ctx is the relay. */
bool relay_quic_full(void *ctx, const union udp_addr *peer);
bool relay_guests_full(void *ctx, const struct sockaddr_storage *peer);
bool relay_http_full(void *ctx);
/* What /metrics shows beside the counters (struct metrics_source). */
size_t relay_gauges(void *ctx, struct gauge *ret_rows, size_t max);
