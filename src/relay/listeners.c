/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/relay_impl.h"
#include "relay/settings.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define INTERNAL_CLIENTS 16 /* connections to internal.listen */

/* Newest first: our order of preference on raw QUIC. */
static const enum lite_version served[] = {LITE_07, LITE_06, LITE_05, LITE_04, LITE_03, LITE_02, LITE_01};

static void on_connection(void *ctx, struct transport *t)
{
  struct relay *r = ctx;
  guests_connection(&r->guests, t);
}

static bool listed(const struct strlist *l, const struct lite_version_info *v)
{
  char name[32];
  snprintf(name, sizeof name, "moq-lite-%s", v->name);
  for (size_t i = 0; i < l->n; i++) {
    if (strcmp(l->v[i], name) == 0)
      return true;
  }
  return l->n == 0 && !v->by_name_only;
}

/* ALPNs of the versions that may be spoken; 01 and 02 share one and are told apart by SETUP. */
void relay_choose_versions(struct relay *r)
{
  size_t n = 0;
  for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
    const struct lite_version_info *v = lite_info(served[i]);
    if (!listed(&r->config->listen_version, v))
      continue;
    if (v->legacy_setup)
      r->legacy |= 1u << v->version;
    if (n > 0 && strcmp(r->versions[n - 1], v->alpn) == 0)
      continue;
    r->versions[n] = r->alpn[n] = v->alpn;
    n++;
  }
  r->alpn[n] = "h3";
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
  return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in *)a)->sin_port
                                       : ((const struct sockaddr_in6 *)a)->sin6_port);
}

static void address_text(const struct sockaddr_storage *a, char *out, size_t n)
{
  char host[INET6_ADDRSTRLEN] = "";
  bool v4 = a->ss_family == AF_INET;
  const void *ip = v4 ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                      : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
  inet_ntop(a->ss_family, ip, host, sizeof host);
  snprintf(out, n, v4 ? "%s:%u" : "[%s]:%u", host, port_of(a));
}

/* One line for all listeners: they ask for the same. */
static void tell_buffers(const struct relay *r)
{
  struct quic_buffers b;
  quic_endpoint_buffers(r->endpoints[0], &b);
  if (b.receive >= b.wanted && b.send >= b.wanted)
    return;
  log_warn(r->log,
           "UDP socket buffers are smaller than wanted (receive %zu, send %zu of %zu bytes), "
           "bursts may be lost: "
           "sysctl -w net.core.rmem_max=%zu net.core.wmem_max=%zu",
           b.receive, b.send, b.wanted, b.wanted, b.wanted);
}

int relay_start_quic(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  struct quic_endpoint_config config = {.worker = &r->worker,
                                        .log = r->log,
                                        .rng = r->rng,
                                        .counts = &r->counts,
                                        .tls = r->tls,
                                        .alpn = r->alpn,
                                        .on_connection = on_connection,
                                        .full = relay_quic_full,
                                        .ctx = r};
  settings_quic(c, &config.limits);
  memcpy(config.secret, r->secret, sizeof config.secret);
  if (c->listen.n > LISTENERS_MAX)
    return err_set(ret_err, -E2BIG, "listen.bind: more than %d addresses", LISTENERS_MAX);
  for (size_t i = 0; i < c->listen.n; i++) {
    char text[80];
    int rc = quic_endpoint_new(&config, c->listen.v[i], &r->endpoints[i], ret_err);
    if (rc < 0)
      return rc;
    r->endpoint_count = i + 1;
    address_text(quic_endpoint_address(r->endpoints[i]), text, sizeof text);
    log_info(r->log, "listening addr=%s kind=quic", text);
  }
  tell_buffers(r);
  return 0;
}

static int open_http(struct relay *r, const char *listen, struct tls_server *https, struct http_server **ret_http,
                     struct err *ret_err)
{
  char text[80];
  struct http_config config;
  settings_http(r->config, &config);
  config.worker = &r->worker;
  config.log = r->log;
  config.listen = listen;
  config.model = &r->model;
  config.origin = r->origin;
  config.admission = r->admission;
  config.tls = r->tls;
  config.https = https;
  config.full = relay_http_full;
  config.full_ctx = r;
  config.counts = &r->counts;
  int rc = http_server_new(&config, ret_http, ret_err);
  if (rc < 0)
    return rc;
  address_text(http_server_address(*ret_http), text, sizeof text);
  log_info(r->log, "listening addr=%s kind=%s", text, https ? "https" : "http");
  return 0;
}

int relay_start_http(struct relay *r, struct err *ret_err)
{
  const struct relay_config *c = r->config;
  char local[40];
  int rc = 0;
  snprintf(local, sizeof local, "127.0.0.1:%u", port_of(quic_endpoint_address(r->endpoints[0])));
  const char *listen = c->http_listen_set ? c->http_listen : is_on(c->https_listen) ? NULL : local;
  if (is_on(listen))
    rc = open_http(r, listen, NULL, &r->http, ret_err);
  if (rc < 0 && !c->http_listen_set) { /* nobody asked for it: another server may have that TCP
                                          port, as it may beside the Rust relay */
    log_warn(r->log, "no HTTP: %s; web.http.listen sets another address, \"\" none", ret_err->text);
    rc = 0;
  }
  if (rc == 0 && is_on(c->https_listen))
    rc = open_http(r, c->https_listen, r->https_tls, &r->https, ret_err);
  return rc;
}

int relay_start_internal(struct relay *r, struct err *ret_err)
{
  char text[80];
  r->metrics = (struct metrics_source){&r->counts, relay_gauges, r};
  struct http_config config = {.worker = &r->worker,
                               .log = r->log,
                               .listen = r->config->internal_listen,
                               .metrics = &r->metrics,
                               .clients = INTERNAL_CLIENTS};
  if (!is_on(config.listen))
    return 0;
  int rc = http_server_new(&config, &r->internal, ret_err);
  if (rc < 0)
    return rc;
  address_text(http_server_address(r->internal), text, sizeof text);
  log_info(r->log, "listening addr=%s kind=internal", text);
  return 0;
}
